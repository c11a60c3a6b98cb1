//! What a replica does for leases: it grants through the log, answers for them while it leads, and proposes their ends.

use super::{Output, Replica};
use crate::bugs::Bug;
use crate::kv::api::{Error, MAX_LEASE_TTL, Response};
use crate::kv::command::{Command, Operation};
use crate::kv::lease::Countdown;
use crate::kv::message::{LeaseAnswer, LeaseQuestion, Message};
use crate::kv::pending::{Asker, Passed, Question};
use crate::point::Point;
use crate::raft::Term;
use crate::replica::{ClientId, Event, Time};

impl Replica {
    /// Everything that must be the same on all replicas is decided before the proposal: the number and the time.
    pub(super) fn grant(&self, id: i64, ttl: i64) -> Result<Operation, Error> {
        if ttl > MAX_LEASE_TTL {
            return Err(Error::LeaseTtlTooLarge);
        }
        let shortest = i64::try_from(self.config.timeouts.lease_min.as_secs()).unwrap_or(MAX_LEASE_TTL);
        let id = if id == 0 { self.choose_lease_id() } else { id };
        Ok(Operation::LeaseGrant { id, ttl: ttl.max(shortest) })
    }

    /// A number that no other grant chooses: the node, its life, and its next request are in it.
    fn choose_lease_id(&self) -> i64 {
        let id = (self.config.id.0 & 0x7f) << 56 | (self.raft.life() & 0xffff) << 40 | (self.requests + 1);
        i64::try_from(id).expect("the highest bit is clear")
    }

    /// Asks about a lease's time, here or at the leader.
    pub(super) fn ask_leader(
        &mut self,
        now: Time,
        client: ClientId,
        question: LeaseQuestion,
        out: &mut Vec<Output>,
    ) -> Result<(), Error> {
        if self.is_leader() {
            return self.ask(now, Asker::Client(client), Question::Lease(question));
        }
        let to = self.raft.leader().ok_or(Error::NoLeader)?;
        let id = self.next_request();
        self.passed.insert(id.seq, Passed { client, deadline: now + self.config.timeouts.request });
        out.push(Output::Send { to, message: Message::Ask { id, question } });
        Ok(())
    }

    /// Begins to count down, all leases anew, when it has applied an entry of its own term.
    pub(super) fn begin_countdown(&mut self, now: Time, term: Term) {
        // Lease-no-extend: every member counts from the grant that it applied, and a new leader goes on with that.
        let due = (self.is_leader() && term == self.raft.term()) || self.has_bug(Bug::LeaseNoExtend);
        if self.countdown.is_none() && due {
            self.countdown = Some(Countdown::start(now, self.state.leases()));
        }
    }

    /// Counts granted leases down, and revoked ones no more.
    pub(super) fn count_down(&mut self, now: Time, result: &Result<Response, Error>, operation: &Operation) {
        let Some(countdown) = &mut self.countdown else { return };
        match (result, operation) {
            (Ok(Response::LeaseGrant { id, ttl }), _) => countdown.set(now, *id, *ttl),
            (Ok(Response::LeaseRevoke), Operation::LeaseRevoke { id }) => countdown.remove(*id),
            _ => {}
        }
    }

    /// Another leads, or nobody, or it has just begun to.
    pub(super) fn end_countdown(&mut self, now: Time) {
        if self.has_bug(Bug::LeaseNoExtend) {
            return;
        }
        // Lease-old-leader (etcd issues 12528, 15247): what was over before it learnt that its term is, it ends through
        // the next leader.
        if self.has_bug(Bug::LeaseOldLeader)
            && let Some(countdown) = &mut self.countdown
        {
            countdown.forget_running(now);
            if self.raft.leader().is_none() {
                return;
            }
            self.propose_ends(now);
        }
        self.countdown = None;
    }

    /// None if this is not the leader any more.
    pub(super) fn answer_lease(&mut self, now: Time, question: LeaseQuestion) -> Option<LeaseAnswer> {
        let countdown = self.countdown.as_mut()?;
        match question {
            LeaseQuestion::KeepAlive { id } => {
                let lease = self.state.leases().get(id).filter(|_| countdown.left(now, id).is_some());
                let ttl = lease.map_or(0, |lease| lease.ttl);
                if ttl > 0 {
                    countdown.set(now, id, ttl);
                }
                Some(LeaseAnswer::KeptAlive { id, ttl })
            }
            LeaseQuestion::TimeToLive { id, keys } => {
                let Some((lease, left)) = self.state.leases().get(id).zip(countdown.left(now, id)) else {
                    return Some(LeaseAnswer::TimeToLive { id, ttl: -1, granted_ttl: 0, keys: Vec::new() });
                };
                let keys = if keys { lease.keys.iter().cloned().collect() } else { Vec::new() };
                let ttl = i64::try_from(left.as_secs()).unwrap_or(MAX_LEASE_TTL);
                Some(LeaseAnswer::TimeToLive { id, ttl, granted_ttl: lease.ttl, keys })
            }
        }
    }

    /// Proposes the end of each lease whose time is over.
    pub(super) fn end_leases(&mut self, now: Time, out: &mut Vec<Output>) {
        let over = self.countdown.as_ref().and_then(Countdown::next).is_some_and(|end| end <= now);
        if over && self.is_leader() {
            out.push(Output::Event(Event::Reached(Point::LeaseOver)));
            self.propose_ends(now);
        }
    }

    fn propose_ends(&mut self, now: Time) {
        while let Some(id) = self.countdown.as_mut().and_then(|countdown| countdown.take_over_due(now)) {
            let command = Command { id: self.next_request(), operation: Operation::LeaseRevoke { id } };
            self.raft.propose(command.encode()).expect("ends are proposed while a leader is known");
        }
    }
}
