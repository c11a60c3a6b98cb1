//! The service and the broadcast joined into one replica.

use std::collections::VecDeque;
use std::time::Duration;

use super::op::{Reply, Request};
use super::service::{Effect, Service};
use super::txn::digest;
use crate::replica::{Event, Input, Output, Replica as Contract, Time};
use crate::zab::{self, Zab};

/// What a replica is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who it is, who the others are, the broadcast's limits, and the planted bugs.
    pub zab: zab::Config,
    /// The unit of session timeouts: 2 to 20 of these are granted.
    pub tick: Duration,
    /// The wall clock, milliseconds since 1970, when the replica's time was zero.
    pub wall_ms: i64,
    /// Draws passwords and the distance between snapshots.
    pub seed: u64,
    /// At most so many transactions lie between two snapshots, and more than half of that.
    pub snap_count: u32,
}

impl Config {
    /// The usual limits: sessions of 1 to 10 seconds, a snapshot after 100,000 transactions at the latest.
    #[must_use]
    pub fn new(zab: zab::Config, wall_ms: i64, seed: u64) -> Config {
        Config { zab, tick: Duration::from_millis(500), wall_ms, seed, snap_count: 100_000 }
    }

    /// A snapshot after so many transactions at the latest. A tenth of them stay in memory behind it, so a peer that
    /// was away for longer gets a SNAP.
    #[must_use]
    pub fn snapshot_after(mut self, transactions: u64) -> Config {
        self.snap_count = u32::try_from(transactions).unwrap_or(u32::MAX);
        self.zab.retain = usize::try_from(transactions / 10).unwrap_or(usize::MAX);
        self
    }
}

/// A server of a ZooKeeper cluster.
#[derive(Debug)]
pub struct Replica {
    zab: Zab,
    service: Service,
}

impl Replica {
    /// A digest of the tree, the sessions and the last zxid applied: equal on servers that have applied the same.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.service.state().digest()
    }

    #[cfg(test)]
    pub(super) fn zxid(&self) -> i64 {
        self.service.state().zxid
    }

    #[cfg(test)]
    pub(super) fn service(&self) -> &Service {
        &self.service
    }

    /// Does what the service and the broadcast want of each other, until neither wants anything.
    fn settle(
        &mut self,
        now: Time,
        from_zab: Vec<zab::Effect>,
        mut from_service: Vec<Effect>,
        out: &mut Vec<Output<Self>>,
    ) {
        let mut queue = VecDeque::from(from_zab);
        loop {
            let mut effects = Vec::new();
            for effect in from_service.drain(..) {
                self.serve(now, effect, &mut effects, out);
            }
            queue.extend(effects);
            match queue.pop_front() {
                Some(effect) => self.broadcast(now, effect, &mut from_service, out),
                None => break,
            }
        }
        // Only now has the service applied all that the broadcast has delivered.
        if let Some(state) = self.service.snapshot() {
            let mut effects = Vec::new();
            self.zab.compact(state, &mut effects);
            for effect in effects {
                self.broadcast(now, effect, &mut from_service, out);
            }
        }
    }

    /// Carries out what the service wants.
    fn serve(&mut self, now: Time, effect: Effect, from_zab: &mut Vec<zab::Effect>, out: &mut Vec<Output<Self>>) {
        // What is refused was asked in an office or on a link that is no more: its clients are told by a change of
        // status, or have gone.
        let refused = match effect {
            Effect::Reply { client, reply } => return out.push(Output::Reply { client, reply }),
            Effect::Propose(payload) => self.zab.propose(now, payload, from_zab).err(),
            Effect::Barrier(token) => self.zab.barrier(token, from_zab).err(),
            Effect::TellLeader(app) => self.zab.tell_leader(now, app, from_zab).err(),
            Effect::TellFollower(link, app) => self.zab.tell_follower(now, link, app, from_zab).err(),
        };
        if let Some(refused) = refused {
            tracing::debug!(%refused, "the broadcast refused");
        }
    }

    /// Carries out what the broadcast wants.
    fn broadcast(
        &mut self,
        now: Time,
        effect: zab::Effect,
        from_service: &mut Vec<Effect>,
        out: &mut Vec<Output<Self>>,
    ) {
        match effect {
            zab::Effect::Send { to, message } => out.push(Output::Send { to, message }),
            zab::Effect::Persist(records) => out.push(Output::Persist(records)),
            zab::Effect::Rewrite(records) => out.push(Output::Rewrite(records)),
            zab::Effect::Deliver { zxid, payload, replayed } => {
                out.push(Output::Event(Event::Applied { position: zxid.0, digest: digest(&payload) }));
                self.service.deliver(now, zxid.0 as i64, &payload, replayed, from_service);
            }
            zab::Effect::Restore { zxid, state } => {
                out.push(Output::Event(Event::Restored { position: zxid.0 }));
                self.service.restore(zxid.0 as i64, &state);
            }
            zab::Effect::FromFollower { link, app } => self.service.hear_follower(now, link, &app, from_service),
            zab::Effect::FromLeader { app } => self.service.hear_leader(now, &app, from_service),
            zab::Effect::Confirmed { token } => self.service.confirmed(now, token, from_service),
            zab::Effect::Reached(point) => out.push(Output::Event(Event::Reached(point))),
            zab::Effect::Status(status) => {
                out.push(Output::Event(status.into()));
                self.service.stand(now, status, from_service);
            }
        }
    }
}

impl Contract for Replica {
    type Config = Config;
    type Record = zab::Record;
    type Message = zab::Message;
    type Request = Request;
    type Reply = Reply;

    fn recover(config: Config, now: Time, records: Vec<zab::Record>) -> Replica {
        Replica { zab: Zab::recover(config.zab.clone(), now, records), service: Service::new(config, now) }
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output<Self>>) {
        let (mut from_zab, mut from_service) = (Vec::new(), Vec::new());
        match input {
            Input::Tick => {
                self.zab.step(now, zab::Input::Tick, &mut from_zab);
                self.service.tick(now, &mut from_service);
            }
            Input::Message { from, message } => {
                self.zab.step(now, zab::Input::Message { from, message }, &mut from_zab);
            }
            Input::Request { client, request } => self.service.request(now, client, request, &mut from_service),
            Input::Persisted(n) => self.zab.step(now, zab::Input::Persisted(n), &mut from_zab),
        }
        self.settle(now, from_zab, from_service, out);
    }

    fn wake(&self) -> Time {
        self.zab.wake().min(self.service.wake())
    }

    fn check(&self) -> Result<(), String> {
        self.zab.check()?;
        self.service.check()
    }
}
