//! A link over a bad network: everything once and in order, or nothing.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use crate::replica::{NodeId, Time};
use crate::zab::link::Endpoint;
use crate::zab::message::{Body, Frame, Nonce, Packet};
use crate::zab::{Config, Effect, Message};

const FOLLOWER: Nonce = Nonce { life: 3, count: 7 };
const LEADER: Nonce = Nonce { life: 1, count: 9 };

/// What the network does with a frame.
#[derive(Clone, Copy, Debug)]
enum Fate {
    Arrives,
    Lost,
    Twice,
    /// It arrives after the ones behind it.
    Late,
}

fn fate() -> impl Strategy<Value = Fate> {
    prop_oneof![4 => Just(Fate::Arrives), 1 => Just(Fate::Lost), 1 => Just(Fate::Twice), 1 => Just(Fate::Late)]
}

fn config() -> Config {
    Config::new(NodeId(1), vec![NodeId(1), NodeId(2)])
}

fn app(number: u64) -> Packet {
    Packet::App(Bytes::from(number.to_string()))
}

fn frames(effects: Vec<Effect>) -> impl Iterator<Item = Frame> {
    effects.into_iter().filter_map(|effect| match effect {
        Effect::Send { message: Message::Frame(frame), .. } => Some(frame),
        _ => None,
    })
}

/// Carries all frames over, by the fates in turn; calm when they are used up.
fn carry(effects: Vec<Effect>, fates: &mut VecDeque<Fate>) -> Vec<Frame> {
    let (mut arrived, mut late) = (Vec::new(), Vec::new());
    for frame in frames(effects) {
        match fates.pop_front().unwrap_or(Fate::Arrives) {
            Fate::Arrives => arrived.push(frame),
            Fate::Lost => {}
            Fate::Twice => arrived.extend([frame.clone(), frame]),
            Fate::Late => late.push(frame),
        }
    }
    arrived.extend(late);
    arrived
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn packets_arrive_once_and_in_order(fates in proptest::collection::vec(fate(), 0..200), count in 1_u64..60) {
        let config = config();
        let mut fates = VecDeque::from(fates);
        let mut now = Time::ZERO;
        let mut leader = Endpoint::to_follower(now, NodeId(2), FOLLOWER, LEADER);
        let mut follower = Endpoint::to_leader(now, NodeId(1), FOLLOWER);
        let mut got = Vec::new();
        for step in 0.. {
            let (mut down, mut up) = (Vec::new(), Vec::new());
            if step < count {
                leader.send(now, app(step), &mut down);
            }
            leader.repeat(now, &config, &mut down);
            for frame in carry(down, &mut fates) {
                prop_assert!(follower.accepts(&frame));
                follower.receive(now, frame);
            }
            while let Some(packet) = follower.next() {
                got.push(packet);
            }
            follower.ping(0, &mut up);
            for frame in carry(up, &mut fates) {
                // The follower knows the leader's number only from its first frame on.
                if leader.accepts(&frame) {
                    leader.receive(now, frame);
                }
            }
            if got.len() as u64 == count && fates.is_empty() {
                break;
            }
            prop_assert!(step < 1_000, "only {} of {count} packets arrived", got.len());
            now += config.tick / 2;
        }
        prop_assert_eq!(got, (0..count).map(app).collect::<Vec<_>>());
    }
}

#[test]
fn frames_of_another_link_are_not_accepted() {
    let mut out = Vec::new();
    Endpoint::to_follower(Time::ZERO, NodeId(2), FOLLOWER, LEADER).ping(1, &mut out);
    let frame = frames(out).next().expect("a ping");
    let mut follower = Endpoint::to_leader(Time::ZERO, NodeId(1), FOLLOWER);
    let older_follower = Nonce { life: 2, ..FOLLOWER };
    let older_leader = Nonce { count: 8, ..LEADER };
    assert!(!follower.accepts(&Frame { follower: older_follower, ..frame.clone() }));
    assert!(!follower.accepts(&Frame { leader: None, ..frame.clone() }));
    assert!(follower.accepts(&Frame { leader: Some(older_leader), ..frame.clone() }), "it does not know any yet");
    follower.receive(Time::ZERO, frame.clone());
    assert!(follower.accepts(&frame));
    assert!(!follower.accepts(&Frame { leader: Some(older_leader), ..frame }));
}

#[test]
fn an_end_that_acknowledges_nothing_is_dead_although_it_is_heard() {
    let config = config();
    let limit = config.tick * config.sync_limit;
    let mut leader = Endpoint::to_follower(Time::ZERO, NodeId(2), FOLLOWER, LEADER);
    leader.send(Time::ZERO, app(1), &mut Vec::new());
    let now = limit + Duration::from_millis(1);
    let mut out = Vec::new();
    let follower = Endpoint::to_leader(now, NodeId(1), FOLLOWER);
    follower.ping(0, &mut out);
    let frame = frames(out).next().expect("a ping");
    assert_eq!(frame.body, Body::Ping { beat: 0 });
    leader.receive(now, Frame { leader: Some(LEADER), ..frame });
    assert!(leader.is_dead(now, &config));
    assert!(!Endpoint::to_leader(now, NodeId(1), FOLLOWER).is_dead(now + limit, &config));
}
