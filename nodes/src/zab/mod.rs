//! ZooKeeper's atomic broadcast (ZAB 1.0) with opaque payloads.
//!
//! # What it promises
//!
//! A leader broadcasts transactions; every peer delivers the same ones in the same order.
//! - *Integrity*: what is delivered was proposed, and is delivered once in a life.
//! - *Total order*: of two peers' delivered sequences one is a prefix of the other, snapshots understood.
//! - *Primary order*: one leader's transactions are delivered in the order of its proposals, and none of an earlier
//!   epoch after one of a later; a leader proposes only once it has delivered all that earlier epochs committed.
//! - *Durability*: what was delivered anywhere survives while a majority of the peers keep their disks.
//! - *Liveness*: while a majority can talk to each other in time, they get a leader and its proposals are delivered.
//!
//! A transaction is delivered only once it is known to be committed. After a start nothing is delivered before a
//! leader is established, so what a TRUNC cuts off has never been seen by the state machine. [`Zab::check`] says so
//! if it were otherwise.
//!
//! # How
//!
//! Junqueira, Reed, Serafini: *Zab: High-performance broadcast for primary-backup systems* (DSN 2011) and the ZAB 1.0
//! of Apache ZooKeeper. A peer is in one of three roles and passes these phases:
//!
//! | phase | module | packets | what it guards |
//! |---|---|---|---|
//! | election | [`election`] | notifications | nothing; it finds the peer with the best history |
//! | discovery | [`discovery`] | FOLLOWERINFO, LEADERINFO, ACKEPOCH | at most one leader an epoch; its history is a quorum's latest |
//! | synchronisation | [`synchronisation`] | TRUNC, DIFF, SNAP, NEWLEADER, ACK, UPTODATE | a quorum holds that history before anything is served |
//! | broadcast | [`broadcast`] | PROPOSAL, ACK, COMMIT, PING | durable before acknowledged, a quorum before committed, in order |
//!
//! Writes are pushed as [`Effect::Persist`] before what must wait for them; only a leader's proposals overtake its
//! own disk, and its own vote on them waits for [`Input::Persisted`].
//!
//! The network below loses, repeats, delays and reorders. Notifications carry numbers, and only a peer's latest
//! counts. Between follower and leader runs a [`link`] of numbered packets; when order can not be kept, or the
//! other end is silent for `sync_limit` ticks, or a packet does not fit into the phase, the link is closed and the
//! follower joins anew. A leader that has not heard a quorum for that long gives up.
//!
//! What the state machine says to its peers ([`Zab::tell_leader`], [`Zab::tell_follower`]) travels on the same links
//! in the same order as proposals and commits. [`Zab::barrier`] goes beyond Apache's SYNC: a quorum confirms that the
//! leader still leads.
//!
//! # What is left out
//!
//! Observers, dynamic reconfiguration, weighted and hierarchical quorums, and authentication of peers. A snapshot
//! travels in one message.

mod api;
mod broadcast;
mod core;
mod discovery;
mod election;
mod follower;
mod leader;
mod link;
mod log;
mod message;
mod synchronisation;

use bytes::Bytes;

pub use api::{Config, Effect, Input, Link, Record, Refused, Status, Zxid};
pub use message::Message;

use self::core::{Core, Leave};
use self::election::Election;
use self::follower::Follower;
use self::leader::Leader;
use self::log::Log;
use self::message::{Direction, Frame, Notification, Standing, Vote};
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::{NodeId, Time};

/// One peer's broadcast core.
#[derive(Debug)]
pub struct Zab {
    core: Core,
    role: Role,
    next_beat: Time,
}

#[derive(Debug)]
enum Role {
    /// Not a word has been said in this life.
    Silent,
    Looking(Election),
    Following(Box<Follower>),
    Leading(Box<Leader>),
}

impl Zab {
    /// A peer that starts with the durable records of its former lives. Nothing is delivered before a leader is
    /// established.
    ///
    /// # Panics
    /// If the records are not what a log of this peer can contain.
    #[must_use]
    pub fn recover(config: Config, now: Time, records: Vec<Record>) -> Self {
        let mut log = Log::recover(records);
        if config.has(Bug::ZabForgetAccepted) {
            log.accepted_epoch = log.last().epoch();
        }
        Zab { core: Core::new(config, log), role: Role::Silent, next_beat: now }
    }

    /// One step. Effects are pushed to the end of `out`.
    pub fn step(&mut self, now: Time, input: Input, out: &mut Vec<Effect>) {
        if let Role::Silent = self.role {
            self.core.persist(vec![Record::Life(self.core.log.life)], out);
            self.role = Role::Looking(Election::start(&mut self.core, now, out));
            self.next_beat = now + self.core.config.tick / 2;
        }
        let result = match input {
            Input::Tick => Ok(()),
            Input::Message { from, message } => self.hear(now, from, message, out),
            Input::Persisted(n) => {
                self.core.durable = self.core.durable.max(n);
                if let Role::Leading(leader) = &mut self.role {
                    leader.hear_durable(&mut self.core, now, out);
                }
                Ok(())
            }
        };
        let result = result.and_then(|()| self.pass_time(now, out));
        if let Err(Leave(why)) = result {
            self.look(now, &why, out);
        }
    }

    /// When it wants the next [`Input::Tick`] at the latest.
    #[must_use]
    pub fn wake(&self) -> Time {
        match &self.role {
            Role::Looking(election) => election.wake().map_or(self.next_beat, |at| at.min(self.next_beat)),
            _ => self.next_beat,
        }
    }

    fn pass_time(&mut self, now: Time, out: &mut Vec<Effect>) -> Result<(), Leave> {
        if now >= self.next_beat {
            self.next_beat = now + self.core.config.tick / 2;
            match &mut self.role {
                Role::Silent => {}
                Role::Looking(election) => election.broadcast(&mut self.core, out),
                Role::Following(follower) => follower.beat(&mut self.core, now, out)?,
                Role::Leading(leader) => leader.beat(&mut self.core, now, out)?,
            }
        }
        if let Role::Looking(election) = &self.role
            && let Some(vote) = election.outcome(&self.core, now)
        {
            self.settle(now, vote, out)?;
        }
        Ok(())
    }

    fn settle(&mut self, now: Time, vote: Vote, out: &mut Vec<Effect>) -> Result<(), Leave> {
        tracing::debug!("{} votes for {} ({})", self.core.config.id, vote.leader, vote.zxid);
        self.role = if vote.leader == self.core.config.id {
            Role::Leading(Box::new(Leader::start(&mut self.core, now, vote, out)?))
        } else {
            Role::Following(Box::new(Follower::start(&mut self.core, now, vote, out)))
        };
        Ok(())
    }

    /// Leaves the role and looks for a leader.
    fn look(&mut self, now: Time, why: &str, out: &mut Vec<Effect>) {
        tracing::info!("{} looks for a leader: {why}", self.core.config.id);
        match &self.role {
            Role::Silent | Role::Looking(_) => {}
            Role::Following(follower) => follower.close(out),
            Role::Leading(leader) => leader.close(out),
        }
        self.core.set_status(Status::Looking, out);
        self.role = Role::Looking(Election::start(&mut self.core, now, out));
    }

    fn hear(&mut self, now: Time, from: NodeId, message: Message, out: &mut Vec<Effect>) -> Result<(), Leave> {
        if from == self.core.config.id || !self.core.config.peers.contains(&from) {
            tracing::warn!("{} ignores {from}, which is not a peer", self.core.config.id);
            return Ok(());
        }
        match message {
            Message::Notification(heard) => {
                if self.core.is_news(from, &heard) && self.core.config.peers.contains(&heard.vote.leader) {
                    self.hear_notification(now, from, heard, out);
                }
                Ok(())
            }
            Message::Frame(frame) => match frame.direction {
                Direction::ToLeader => self.hear_follower(now, from, frame, out),
                Direction::ToFollower => self.hear_leader(now, from, frame, out),
            },
        }
    }

    fn hear_notification(&mut self, now: Time, from: NodeId, heard: Notification, out: &mut Vec<Effect>) {
        let (standing, vote) = match &mut self.role {
            Role::Silent => return,
            Role::Looking(election) => return election.hear(&mut self.core, now, from, heard, out),
            Role::Following(follower) => (Standing::Following, follower.vote),
            Role::Leading(leader) => (Standing::Leading, leader.vote),
        };
        if heard.standing == Standing::Looking {
            self.core.notify(from, standing, vote, out);
        }
    }

    fn hear_follower(&mut self, now: Time, from: NodeId, frame: Frame, out: &mut Vec<Effect>) -> Result<(), Leave> {
        match &mut self.role {
            Role::Leading(leader) => leader.hear(&mut self.core, now, from, frame, out),
            // The sender may know the outcome of this election already; it will repeat its question.
            Role::Silent | Role::Looking(_) if frame.leader.is_none() => Ok(()),
            _ => {
                link::refuse(from, &frame, out);
                Ok(())
            }
        }
    }

    fn hear_leader(&mut self, now: Time, from: NodeId, frame: Frame, out: &mut Vec<Effect>) -> Result<(), Leave> {
        match &mut self.role {
            Role::Following(follower) if follower.accepts(from, &frame) => {
                follower.hear(&mut self.core, now, frame, out)
            }
            _ => {
                link::refuse(from, &frame, out);
                Ok(())
            }
        }
    }

    /// Its standing.
    #[must_use]
    pub fn status(&self) -> Status {
        self.core.status()
    }

    /// Broadcasts a transaction. It may be lost with its leader; if it is delivered anywhere, then everywhere, at
    /// this zxid.
    ///
    /// # Errors
    /// Only an established leader proposes.
    pub fn propose(&mut self, now: Time, payload: Bytes, out: &mut Vec<Effect>) -> Result<Zxid, Refused> {
        let Role::Leading(leader) = &mut self.role else { return Err(Refused::NotLeading) };
        let result = leader.propose(&mut self.core, now, payload, out);
        if result == Err(Refused::EpochExhausted) {
            self.look(now, "the epoch has no zxid left", out);
        }
        result
    }

    /// Says something to the leader, in order with this follower's acknowledgements. It is lost if the link ends.
    ///
    /// # Errors
    /// Only a follower in step has a leader to talk to; a leader does not talk to itself.
    pub fn tell_leader(&mut self, now: Time, app: Bytes, out: &mut Vec<Effect>) -> Result<(), Refused> {
        match &mut self.role {
            Role::Following(follower) => follower.tell_leader(now, app, out),
            _ => Err(Refused::NotFollowing),
        }
    }

    /// Says something to a follower, in order with proposals and commits: what is delivered here before the call
    /// is delivered there before the message. It is lost if the link ends.
    ///
    /// # Errors
    /// The link may be closed, or this peer no leader any more.
    pub fn tell_follower(&mut self, now: Time, link: Link, app: Bytes, out: &mut Vec<Effect>) -> Result<(), Refused> {
        let Role::Leading(leader) = &mut self.role else { return Err(Refused::NotLeading) };
        leader.tell_follower(now, link, app, out)
    }

    /// The followers in step with this leader; none on other peers.
    #[must_use]
    pub fn followers(&self) -> Vec<Link> {
        match &self.role {
            Role::Leading(leader) => leader.followers(),
            _ => Vec::new(),
        }
    }

    /// Asks a quorum whether this peer still leads. [`Effect::Confirmed`] with the token means that it did at some
    /// moment after this call, and everything committed before the call has been delivered here.
    ///
    /// # Errors
    /// Only an established leader can ask.
    pub fn barrier(&mut self, token: u64, out: &mut Vec<Effect>) -> Result<(), Refused> {
        let Role::Leading(leader) = &mut self.role else { return Err(Refused::NotLeading) };
        leader.barrier(&self.core, token, out)
    }

    /// The last delivered transaction.
    #[must_use]
    pub fn delivered(&self) -> Zxid {
        self.core.delivered()
    }

    /// The last logged transaction.
    #[must_use]
    pub fn last_logged(&self) -> Zxid {
        self.core.log.last()
    }

    /// Delivered transactions behind the snapshot: the state machine compacts when they are many.
    #[must_use]
    pub fn log_len(&self) -> usize {
        self.core.log.between_snapshot_and(self.core.delivered())
    }

    /// Replaces the log up to the last delivered transaction by the state after it. Without effect if the log's
    /// snapshot is as late already: a leader's, for one, that waits to be restored.
    pub fn compact(&mut self, state: Bytes, out: &mut Vec<Effect>) {
        if self.log_len() > 0 {
            self.core.log.compact(self.core.delivered(), state, self.core.config.retain);
            self.core.rewrite(out);
            out.push(Effect::Reached(Point::ZabSnapshotTaken));
        }
    }

    /// The invariants that one peer can see of itself.
    ///
    /// # Errors
    /// Says which one is broken.
    pub fn check(&self) -> Result<(), String> {
        self.core.check()
    }
}

#[cfg(test)]
pub(crate) mod tests;
