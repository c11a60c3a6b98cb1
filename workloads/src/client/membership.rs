//! Who belongs to a cluster, and how that is changed: an administrator's calls, not a client's.

use std::net::SocketAddr;

use async_trait::async_trait;

use super::Target;

/// One member, as another knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The number that its cluster has given it.
    pub id: u64,
    /// Where its peers reach it.
    pub peer: SocketAddr,
    /// Whether it has ever been there since it was added, and counts as a voter.
    pub joined: bool,
}

/// Changes of a cluster's members, each decided by the members themselves.
///
/// An error is a short token. One that leaves it open whether the change was made is told by asking for the
/// [members](Membership::members) again.
#[async_trait]
pub trait Membership: Send + Sync {
    /// The members, as that node knows them.
    ///
    /// # Errors
    /// The node did not answer in time, or not so that it makes sense.
    async fn members(&self, asked: &Target) -> Result<Vec<Member>, String>;

    /// Has that node remove a member.
    ///
    /// # Errors
    /// It was refused, or nobody knows.
    async fn remove(&self, asked: &Target, id: u64) -> Result<(), String>;

    /// Has that node add a member, which its peers will reach there.
    ///
    /// # Errors
    /// It was refused, or nobody knows.
    async fn add(&self, asked: &Target, peer: SocketAddr) -> Result<(), String>;
}
