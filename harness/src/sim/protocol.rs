//! What the simulated runner has to know of each protocol's replicas.

use std::net::Ipv4Addr;
use std::path::Path;

use clap::{Args, Command, FromArgMatches};
use grudge_nodes::command::NodeArgs;
use grudge_nodes::replica::{NodeId, Replica};
use grudge_nodes::{kv, znode};
use grudge_workloads::registry;

use super::client::{Life, raft, zab};
use crate::exit::Failure;
use crate::fault::Arena;
use crate::spec::Spec;
use crate::system::Place;

/// Milliseconds since 1970 at which the wall clocks of all simulated machines begin.
const WALL_MS: i64 = 1_767_225_600_000;

/// A replica that can be simulated with its clients.
pub(super) trait Protocol: Replica {
    /// What its clients speak.
    const SPEAKS: registry::Protocol;

    /// What a life of a replica is started with, by the arguments that a process of it is started with.
    fn config(node: &NodeArgs, id: NodeId) -> Self::Config;

    /// How the clients of that workload live, if there are any.
    fn hire(workload: &str) -> Option<Life<Self>>;

    /// What the front end tells a replica when a client's connection ends.
    fn goodbye() -> Option<Self::Request>;
}

impl Protocol for kv::Replica {
    const SPEAKS: registry::Protocol = registry::Protocol::Etcd;

    fn config(node: &NodeArgs, id: NodeId) -> kv::Config {
        NodeArgs { id: id.0, ..node.clone() }.kv_config()
    }

    fn hire(workload: &str) -> Option<Life<Self>> {
        raft::hire(workload)
    }

    fn goodbye() -> Option<Self::Request> {
        None
    }
}

impl Protocol for znode::Replica {
    const SPEAKS: registry::Protocol = registry::Protocol::ZooKeeper;

    fn config(node: &NodeArgs, id: NodeId) -> znode::Config {
        NodeArgs { id: id.0, ..node.clone() }.znode_config(WALL_MS)
    }

    fn hire(workload: &str) -> Option<Life<Self>> {
        zab::hire(workload)
    }

    fn goodbye() -> Option<Self::Request> {
        Some(znode::Request::Disconnected)
    }
}

/// The arguments with which the spec's system starts a replica of ours: those of node 1.
///
/// # Errors
/// There is no such system, or it is not ours.
pub(super) fn node(spec: &Spec) -> Result<NodeArgs, Failure> {
    let system = spec.system.system()?;
    system.spans(spec.nodes)?;
    system.accept(&spec.bugs)?;
    spec.check_faults(Arena::Simulation, system.replica)?;
    let addresses: Vec<Ipv4Addr> =
        (1..=spec.nodes).map(|id| Ipv4Addr::new(10, 0, 0, u8::try_from(id).unwrap_or(u8::MAX))).collect();
    let line = system.command_line(&Place {
        grudge: Path::new("grudge"),
        id: 1,
        addresses: &addresses,
        home: Path::new("home"),
        data: Path::new("data"),
        events: Path::new("events"),
        seed: spec.seed,
        bugs: &spec.bugs,
    });
    let foreign = || {
        Failure::BadArguments(format!(
            "system `{}` cannot be simulated: only replicas that `grudge node` starts can",
            spec.system
        ))
    };
    let [program, command, arguments @ ..] = line.as_slice() else { return Err(foreign()) };
    if (program.as_str(), command.as_str()) != ("grudge", "node") {
        return Err(foreign());
    }
    let command = NodeArgs::augment_args(Command::new("node").no_binary_name(true));
    let matches = command.try_get_matches_from(arguments).map_err(|_| foreign())?;
    NodeArgs::from_arg_matches(&matches).map_err(|_| foreign())
}
