//! One end of a link between a follower and its leader: packets arrive once and in order, or the link ends.
//!
//! The network below may lose, repeat, delay and reorder. Each packet is numbered and repeated until the other
//! end has acknowledged it; what arrives early waits for what is missing. Both ends name the link by a number that
//! they use once in all their lives ([`Nonce`]), so a frame of an older link, or meant for an older life, is
//! never taken for one of this link. This is what ZAB expects of TCP, made explicit: when it can not be kept,
//! the link is closed and the follower joins anew.
//!
//! An acknowledgement here only says that a packet arrived. That a transaction is durable is said by the packets
//! `Ack` and `AckNewLeader`.

use std::collections::{BTreeMap, VecDeque};

use super::message::{Body, Direction, Frame, Message, Nonce, Packet};
use super::{Config, Effect};
use crate::replica::{NodeId, Time};

/// Frames that are repeated at most at one time.
const BURST: usize = 64;
/// Packets that wait at most for a missing one.
const EARLY: usize = 4096;

#[derive(Debug)]
pub(super) struct Endpoint {
    peer: NodeId,
    direction: Direction,
    follower: Nonce,
    leader: Option<Nonce>,
    unacknowledged: VecDeque<Packet>,
    /// All packets below this number have arrived at the other end.
    acknowledged: u64,
    /// When the oldest unacknowledged packet became the oldest, and when it was sent last.
    waiting_since: Time,
    sent_at: Time,
    received: u64,
    early: BTreeMap<u64, Packet>,
    heard: Time,
}

impl Endpoint {
    /// The follower's end, before the leader has answered.
    pub(super) fn to_leader(now: Time, peer: NodeId, follower: Nonce) -> Self {
        Endpoint::new(now, peer, Direction::ToLeader, follower, None)
    }

    /// The leader's end.
    pub(super) fn to_follower(now: Time, peer: NodeId, follower: Nonce, leader: Nonce) -> Self {
        Endpoint::new(now, peer, Direction::ToFollower, follower, Some(leader))
    }

    fn new(now: Time, peer: NodeId, direction: Direction, follower: Nonce, leader: Option<Nonce>) -> Self {
        Endpoint {
            peer,
            direction,
            follower,
            leader,
            unacknowledged: VecDeque::new(),
            acknowledged: 0,
            waiting_since: now,
            sent_at: now,
            received: 0,
            early: BTreeMap::new(),
            heard: now,
        }
    }

    /// True if the frame belongs to this link. The leader's first answer tells its number for it.
    pub(super) fn accepts(&self, frame: &Frame) -> bool {
        let answers = self.leader.is_none() || frame.leader == self.leader;
        frame.follower == self.follower && frame.leader.is_some() && answers
    }

    /// Sends a packet.
    pub(super) fn send(&mut self, now: Time, packet: Packet, out: &mut Vec<Effect>) {
        if self.unacknowledged.is_empty() {
            self.waiting_since = now;
            self.sent_at = now;
        }
        let number = self.acknowledged + self.unacknowledged.len() as u64;
        self.unacknowledged.push_back(packet.clone());
        self.frame(Body::Packet { number, packet }, out);
    }

    /// Sends a sign of life.
    pub(super) fn ping(&self, beat: u64, out: &mut Vec<Effect>) {
        self.frame(Body::Ping { beat }, out);
    }

    /// Tells the other end that the link is over.
    pub(super) fn close(&self, out: &mut Vec<Effect>) {
        self.frame(Body::Close, out);
    }

    fn frame(&self, body: Body, out: &mut Vec<Effect>) {
        let frame = Frame {
            follower: self.follower,
            leader: self.leader,
            direction: self.direction,
            received: self.received,
            body,
        };
        out.push(Effect::Send { to: self.peer, message: Message::Frame(frame) });
    }

    /// Takes note of a frame that this end accepts, of what it acknowledges and of the packet that it carries.
    pub(super) fn receive(&mut self, now: Time, frame: Frame) {
        self.heard = now;
        self.leader = frame.leader;
        let arrived = frame.received.saturating_sub(self.acknowledged).min(self.unacknowledged.len() as u64);
        if arrived > 0 {
            self.unacknowledged.drain(..arrived as usize);
            self.acknowledged += arrived;
            self.waiting_since = now;
            self.sent_at = now;
        }
        if let Body::Packet { number, packet } = frame.body
            && number >= self.received
            && (number == self.received || self.early.len() < EARLY)
        {
            self.early.insert(number, packet);
        }
    }

    /// The next packet in order, if it has arrived.
    pub(super) fn next(&mut self) -> Option<Packet> {
        let packet = self.early.remove(&self.received)?;
        self.received += 1;
        Some(packet)
    }

    /// Repeats what has not been acknowledged for a tick; at once while the other end has not answered at all.
    pub(super) fn repeat(&mut self, now: Time, config: &Config, out: &mut Vec<Effect>) {
        let patience = if self.leader.is_none() { Time::ZERO } else { config.tick };
        if self.unacknowledged.is_empty() || now < self.sent_at + patience {
            return;
        }
        self.sent_at = now;
        for (number, packet) in (self.acknowledged..).zip(self.unacknowledged.iter().take(BURST)) {
            self.frame(Body::Packet { number, packet: packet.clone() }, out);
        }
    }

    /// True if the other end has been silent, or has acknowledged nothing, for longer than `sync_limit`.
    pub(super) fn is_dead(&self, now: Time, config: &Config) -> bool {
        let limit = config.tick * config.sync_limit;
        now > self.heard + limit || !self.unacknowledged.is_empty() && now > self.waiting_since + limit
    }
}

/// Answers a frame of a link that is not known here.
pub(super) fn refuse(to: NodeId, frame: &Frame, out: &mut Vec<Effect>) {
    if frame.body == Body::Close {
        return;
    }
    let direction = match frame.direction {
        Direction::ToLeader => Direction::ToFollower,
        Direction::ToFollower => Direction::ToLeader,
    };
    let close = Frame { follower: frame.follower, leader: frame.leader, direction, received: 0, body: Body::Close };
    out.push(Effect::Send { to, message: Message::Frame(close) });
}
