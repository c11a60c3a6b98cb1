//! Znodes that others hang below: set-up, not part of any operation.

use std::collections::BTreeSet;

use zookeeper_client::{Acls, CreateMode, CreateOptions, Error};

use super::outcome::Stop;
use super::session::Session;
use crate::client::Effect;

/// How a persistent znode is made.
pub(super) const PERSISTENT: CreateOptions<'static> = CreateMode::Persistent.with_acls(Acls::anyone_all());

/// Znodes that this client has seen to exist.
#[derive(Clone, Default)]
pub(super) struct Known(BTreeSet<String>);

impl Known {
    /// Makes the znode and its parents if they are not there. This may be repeated, and an operation that does not get
    /// past it has sent nothing of its own.
    pub(super) async fn ensure(&mut self, session: &mut Session, path: &str) -> Result<(), Stop> {
        if !self.0.contains(path) {
            make_directory(session, path).await?;
            self.0.insert(path.to_owned());
        }
        Ok(())
    }
}

/// Makes a persistent znode and its parents, if they are not there.
pub(super) async fn make_directory(session: &mut Session, path: &str) -> Result<(), Stop> {
    let client = session.client()?;
    match session.step(Effect::None, client.mkdir(path, &PERSISTENT)).await {
        Ok(()) | Err(Stop::Error(_, Error::NodeExists)) => Ok(()),
        Err(stop) => Err(stop),
    }
}

/// The names of a znode's children, as the server that is asked has them; none if there is no such znode.
pub(super) async fn children(session: &mut Session, path: &str) -> Result<Vec<String>, Stop> {
    let client = session.client()?;
    match session.step(Effect::None, client.list_children(path)).await {
        Err(Stop::Error(_, Error::NoNode)) => Ok(Vec::new()),
        other => other,
    }
}
