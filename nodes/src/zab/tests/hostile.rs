//! Whatever a peer says, nobody panics.

use bytes::Bytes;
use proptest::prelude::*;

use super::ensemble::{Ensemble, Show};
use crate::replica::NodeId;
use crate::zab::message::{Body, Direction, Frame, Message, Nonce, Notification, Packet, Standing, Summary, Txn, Vote};
use crate::zab::{Effect, Input, Zxid};

fn number() -> impl Strategy<Value = u32> {
    prop_oneof![0..4_u32, Just(u32::MAX), Just(u32::MAX - 1)]
}

fn zxid() -> impl Strategy<Value = Zxid> {
    (number(), number()).prop_map(|(epoch, counter)| Zxid::new(epoch, counter))
}

fn long() -> impl Strategy<Value = u64> {
    prop_oneof![0..20_u64, Just(u64::MAX), Just(u64::MAX - 1)]
}

fn txn() -> impl Strategy<Value = Txn> {
    zxid().prop_map(|zxid| Txn { zxid, payload: Bytes::from_static(b"x") })
}

fn packet() -> impl Strategy<Value = Packet> {
    let summary = (zxid(), proptest::collection::vec(zxid(), 0..3)).prop_map(|(base, ends)| Summary { base, ends });
    prop_oneof![
        number().prop_map(|accepted_epoch| Packet::FollowerInfo { accepted_epoch }),
        number().prop_map(|epoch| Packet::LeaderInfo { epoch }),
        (any::<bool>(), number(), summary).prop_map(|(counts, current_epoch, summary)| Packet::AckEpoch {
            counts,
            current_epoch,
            summary
        }),
        zxid().prop_map(|zxid| Packet::Trunc { zxid }),
        zxid().prop_map(|zxid| Packet::Snap { zxid, state: Bytes::new() }),
        proptest::collection::vec(txn(), 0..3).prop_map(|txns| Packet::Diff { txns }),
        number().prop_map(|epoch| Packet::NewLeader { epoch }),
        Just(Packet::AckNewLeader),
        zxid().prop_map(|committed| Packet::UpToDate { committed }),
        txn().prop_map(Packet::Proposal),
        zxid().prop_map(|zxid| Packet::Ack { zxid }),
        zxid().prop_map(|zxid| Packet::Commit { zxid }),
        Just(Packet::App(Bytes::from_static(b"app"))),
    ]
}

/// A link's body, with a number that is next or near it.
fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => (long(), packet()).prop_map(|(number, packet)| Body::Packet { number, packet }),
        1 => long().prop_map(|beat| Body::Ping { beat }),
        1 => Just(Body::Close),
    ]
}

fn notification() -> impl Strategy<Value = Notification> {
    let standing = prop_oneof![Just(Standing::Looking), Just(Standing::Following), Just(Standing::Leading)];
    (long(), long(), standing, number(), zxid(), 0..5_u64).prop_map(|(count, round, standing, epoch, zxid, leader)| {
        let vote = Vote { epoch, zxid, leader: NodeId(leader) };
        Notification { nonce: Nonce { life: 9, count }, round, standing, vote }
    })
}

/// Either a notification, or a body for the link that the victim has (whatever its numbers are).
fn words() -> impl Strategy<Value = Result<Notification, (Body, u64)>> {
    prop_oneof![
        1 => notification().prop_map(Ok),
        4 => (body(), long()).prop_map(Err),
    ]
}

/// The numbers of the link over which the victim last said something to that peer.
fn last_frame(effects: &[Effect], peer: NodeId) -> Option<Frame> {
    effects.iter().rev().find_map(|effect| match effect {
        Effect::Send { to, message: Message::Frame(frame) } if *to == peer => Some(frame.clone()),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_peer_says_nobody_panics(
        said in proptest::collection::vec(words(), 1..80),
        victim in prop_oneof![Just(1_u64), Just(3)],
        started in 1..20_u64,
    ) {
        let mut ensemble = Ensemble::new(3, Show::States);
        ensemble.start(1..=3);
        ensemble.run(started);
        let liar = NodeId(4 - victim);
        let mut now = ensemble.now();
        let mut link = ensemble.last_frame(victim, liar.0);
        for words in said {
            let message = match words {
                Ok(notification) => Message::Notification(notification),
                Err((body, received)) => {
                    let fresh = Nonce { life: 1_000, count: received };
                    let (follower, leader, direction) = match &link {
                        Some(frame) => (frame.follower, frame.leader.or(Some(fresh)), opposite(frame.direction)),
                        None => (fresh, None, Direction::ToLeader),
                    };
                    Message::Frame(Frame { follower, leader, direction, received, body })
                }
            };
            let mut effects = Vec::new();
            now += std::time::Duration::from_millis(7);
            ensemble.peer(victim).step(now, Input::Message { from: liar, message }, &mut effects);
            link = last_frame(&effects, liar).or(link);
        }
    }
}

fn opposite(direction: Direction) -> Direction {
    match direction {
        Direction::ToLeader => Direction::ToFollower,
        Direction::ToFollower => Direction::ToLeader,
    }
}
