//! ZooKeeper's atomic broadcast with opaque payloads.

mod api;
mod message;

use bytes::Bytes;

pub use api::{Config, Effect, Input, Link, Record, Refused, Status, Zxid};
pub use message::Message;

use crate::replica::Time;

/// One peer's broadcast core.
#[derive(Debug)]
pub struct Zab {
    config: Config,
    status: Status,
    wake: Time,
}

impl Zab {
    /// A peer that starts with the durable records of its former lives. Nothing is delivered before a leader is
    /// established.
    #[must_use]
    pub fn recover(config: Config, now: Time, _records: Vec<Record>) -> Self {
        Zab { wake: now, status: Status::Looking, config }
    }

    /// One step. Effects are pushed to the end of `out`.
    pub fn step(&mut self, now: Time, _input: Input, _out: &mut Vec<Effect>) {
        self.wake = now + self.config.tick / 2;
    }

    /// When it wants the next [`Input::Tick`] at the latest.
    #[must_use]
    pub fn wake(&self) -> Time {
        self.wake
    }

    /// Its standing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// Broadcasts a transaction. It may be lost with its leader; if it is delivered anywhere, then everywhere, at
    /// this zxid.
    ///
    /// # Errors
    /// Only an established leader proposes.
    pub fn propose(&mut self, _now: Time, _payload: Bytes, _out: &mut Vec<Effect>) -> Result<Zxid, Refused> {
        Err(Refused::NotLeading)
    }

    /// Says something to the leader, in order with this follower's acknowledgements. It is lost if the link ends.
    ///
    /// # Errors
    /// Only a follower in step has a leader to talk to; a leader does not talk to itself.
    pub fn tell_leader(&mut self, _now: Time, _app: Bytes, _out: &mut Vec<Effect>) -> Result<(), Refused> {
        Err(Refused::NotFollowing)
    }

    /// Says something to a follower, in order with proposals and commits: what is delivered here before the call
    /// is delivered there before the message. It is lost if the link ends.
    ///
    /// # Errors
    /// The link may be closed, or this peer no leader any more.
    pub fn tell_follower(
        &mut self,
        _now: Time,
        _link: Link,
        _app: Bytes,
        _out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        Err(Refused::NotLeading)
    }

    /// The followers in step with this leader; none on other peers.
    #[must_use]
    pub fn followers(&self) -> Vec<Link> {
        Vec::new()
    }

    /// Asks a quorum whether this peer still leads; [`Effect::Confirmed`] with the token means that it did at some
    /// moment after this call, and everything committed before the call has been delivered here.
    ///
    /// # Errors
    /// Only an established leader can ask.
    pub fn barrier(&mut self, _now: Time, _token: u64, _out: &mut Vec<Effect>) -> Result<(), Refused> {
        Err(Refused::NotLeading)
    }

    /// The last delivered transaction.
    #[must_use]
    pub fn delivered(&self) -> Zxid {
        Zxid::ZERO
    }

    /// Transactions in the log behind its snapshot: the state machine compacts when they are many.
    #[must_use]
    pub fn log_len(&self) -> usize {
        0
    }

    /// Replaces the log up to the last delivered transaction by the state after it.
    pub fn compact(&mut self, _state: Bytes, _out: &mut Vec<Effect>) {}

    /// The invariants that one peer can see of itself.
    ///
    /// # Errors
    /// Says which one is broken.
    pub fn check(&self) -> Result<(), String> {
        Ok(())
    }
}
