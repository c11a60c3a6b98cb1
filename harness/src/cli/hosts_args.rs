//! The options that say on which hosts.

use std::path::PathBuf;

use clap::Args;

use crate::exit::Failure;
use crate::host::GatherError;
use crate::host::address::AddressError;
use crate::host::inventory::{self, Inventory, InventoryError};
use crate::host::ssh::SshError;

#[derive(Debug, Args)]
pub(super) struct HostsArgs {
    /// On the hosts that an ssh configuration names: `--ssh-config <(vagrant ssh-config)`
    #[arg(long, value_name = "FILE")]
    ssh_config: Option<PathBuf>,
    /// On these hosts, as ssh knows them: n1,me@n2; or @FILE with one a line
    #[arg(long, value_name = "H,…")]
    hosts: Option<String>,
}

impl HostsArgs {
    /// The hosts; none if none were named.
    ///
    /// # Errors
    /// What was given makes no sense.
    pub(super) fn inventory(&self) -> Result<Option<Inventory>, Failure> {
        let refused = |error: InventoryError| Failure::BadArguments(error.to_string());
        let listed = self.hosts.as_deref().map(inventory::listed).transpose().map_err(refused)?;
        match (&self.ssh_config, listed) {
            (Some(file), listed) => Inventory::of_config(file, listed).map(Some).map_err(refused),
            (None, listed) => Ok(listed.map(Inventory::of_list)),
        }
    }
}

impl From<SshError> for Failure {
    fn from(error: SshError) -> Failure {
        match error {
            SshError::Config(said) => Failure::BadArguments(said),
            SshError::NoSsh(_) | SshError::NoRoom(_) | SshError::Unreachable(_) => Failure::Harness(error.into()),
        }
    }
}

impl From<GatherError> for Failure {
    fn from(error: GatherError) -> Failure {
        match error {
            GatherError::Ssh(error) => error.into(),
            GatherError::Address(AddressError::Several { .. } | AddressError::Unfit { .. }) => {
                Failure::BadArguments(error.to_string())
            }
            GatherError::Upload(_) | GatherError::Agent { .. } | GatherError::Address(AddressError::None { .. }) => {
                Failure::Harness(error.into())
            }
        }
    }
}
