//! A cluster's members, by the service `Cluster`.

use std::future::Future;
use std::net::SocketAddr;

use async_trait::async_trait;
use tonic::{Response, Status};

use super::link::Link;
use super::outcome::Stop;
use super::pb;
use super::pb::cluster_client::ClusterClient;
use super::session::Session;
use crate::client::adapter::Conversation as _;
use crate::client::{Effect, Member, Membership, Target};

/// What the address of a peer begins with.
const SCHEME: &str = "http://";

/// An administrator of etcd.
pub(crate) struct Members;

#[async_trait]
impl Membership for Members {
    async fn members(&self, asked: &Target) -> Result<Vec<Member>, String> {
        let ask = |mut cluster: ClusterClient<Link>| async move { cluster.member_list(pb::MemberListRequest {}).await };
        let answer = step(asked, Effect::None, ask).await?;
        answer.members.iter().map(member).collect()
    }

    async fn remove(&self, asked: &Target, id: u64) -> Result<(), String> {
        let request = pb::MemberRemoveRequest { id };
        let ask = |mut cluster: ClusterClient<Link>| async move { cluster.member_remove(request).await };
        step(asked, Effect::Write, ask).await.map(drop)
    }

    async fn add(&self, asked: &Target, peer: SocketAddr) -> Result<(), String> {
        let request = pb::MemberAddRequest { peer_ur_ls: vec![format!("{SCHEME}{peer}")], is_learner: false };
        let ask = |mut cluster: ClusterClient<Link>| async move { cluster.member_add(request).await };
        step(asked, Effect::Write, ask).await.map(drop)
    }
}

/// One call over a connection of its own.
async fn step<T, F>(asked: &Target, effect: Effect, ask: impl FnOnce(ClusterClient<Link>) -> F) -> Result<T, String>
where
    F: Future<Output = Result<Response<T>, Status>> + Send,
{
    let mut session = Session::open(asked).await?;
    let called = match session.cluster() {
        Ok(cluster) => session.step(effect, ask(cluster)).await,
        Err(stop) => Err(stop),
    };
    called.map_err(Stop::token)
}

/// A member has a name from the moment on in which it has told the others.
fn member(of: &pb::Member) -> Result<Member, String> {
    let peer = of.peer_ur_ls.first().and_then(|url| url.strip_prefix(SCHEME)?.parse().ok());
    let peer = peer.ok_or_else(|| format!("bad-peer-url-{}", of.peer_ur_ls.join("-")))?;
    Ok(Member { id: of.id, peer, joined: !of.name.is_empty() && !of.is_learner })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_has_not_come_yet_has_no_name() {
        let of = |url: &str, name: &str| {
            member(&pb::Member {
                id: 7,
                name: name.to_owned(),
                peer_ur_ls: vec![url.to_owned()],
                client_ur_ls: Vec::new(),
                is_learner: false,
            })
        };
        let peer = "10.42.0.3:2380".parse().expect("an address");
        assert_eq!(of("http://10.42.0.3:2380", "n3"), Ok(Member { id: 7, peer, joined: true }));
        assert_eq!(of("http://10.42.0.3:2380", ""), Ok(Member { id: 7, peer, joined: false }));
        assert_eq!(of("unix://n3", "n3"), Err("bad-peer-url-unix://n3".to_owned()));
    }
}
