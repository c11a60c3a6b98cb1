//! Raft: a log that a majority agrees on, without I/O.
//!
//! # What it promises
//!
//! The five properties of the paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm",
//! Fig. 3): at most one leader a term (election safety); a leader never changes or removes its own entries (leader
//! append-only); logs which agree in the term of an entry agree in everything up to it (log matching); what is
//! committed is in the log of every later leader (leader completeness); no two members apply different entries at
//! one index (state machine safety). They hold while messages are lost, repeated, delayed, reordered or come from an
//! earlier life of their sender, and while members stop, are paused, and start again with what was durable.
//! When a majority can talk to each other and is not too slow, the log grows.
//!
//! # How
//!
//! - **Elections** ([`election`]): timeouts are drawn anew each time. A member first asks whether it could win
//!   (pre-vote, dissertation §9.6), so that one which was cut off does not depose a working leader; a member which
//!   heard a leader within the least election timeout grants nothing (§4.2.3). A leader that has not heard a
//!   majority for the longest election timeout gives up.
//! - **Replication** ([`replication`]): batches are sent without waiting for the answers to earlier ones. A follower
//!   that misses something says where its log may last have agreed, and the leader steps over whole terms at once.
//!   Only entries of the leader's own term are committed by counting (§5.4.2); each term begins with an empty one.
//! - **Durability**: everything a step wants said falls into what may overtake the disk (a leader's entries, what is
//!   committed already) and what may not (votes, acknowledgements); [`Raft::drain`] puts the write between the two.
//!   A leader counts itself when its own write is durable. While a write is under way new proposals wait and then
//!   go together: one flush for many, whatever the driver does.
//! - **Reads** ([`read_index`]): the leader notes its commit index and serves a read from there once a majority
//!   answered a message that was sent after the read was asked (§6.4). Reads asked meanwhile share the next round.
//! - **Followers pass on** proposals and reads, once. A proposal names the term of the leader it is meant for, and
//!   no other leader takes it. So whoever has applied an entry of a later term knows that an earlier term's
//!   proposal which it has not seen is never going to happen.
//! - **Compaction**: the state machine hands in a snapshot, and the whole write-ahead log is rewritten to it and
//!   what follows. A follower that is further behind than the leader's log goes back gets the snapshot.
//!
//! # What is left out
//!
//! Changes of the membership, handing over leadership on purpose, reads by leases of a clock, and snapshots in
//! pieces: one is sent as one message.

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::{Event, NodeId, Time};

mod config;
mod disk;
mod election;
mod invariants;
mod log;
mod message;
mod read_index;
mod replication;
mod role;
#[cfg(test)]
mod tests;

pub use config::{Config, Timeouts};
pub use invariants::Invariants;
pub use log::Log;
pub(crate) use log::digest;
pub use message::{Body, Effect, Entry, Message, Outcome, Position, ReadId, Record, Snapshot};
pub use role::Role;

use disk::{Disk, Outbox};
use role::State;

/// The number of an election; at most one leader has it.
pub type Term = u64;
/// A place in the log, from 1.
pub type Index = u64;

/// No leader is known: what was asked was not passed on to anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no leader is known")]
pub struct NoLeader;

/// One member of the cluster.
#[derive(Debug)]
pub struct Raft {
    id: NodeId,
    /// All members but itself.
    others: Vec<NodeId>,
    timeouts: Timeouts,
    bugs: Vec<Bug>,
    keep_entries: Index,
    rng: ChaCha8Rng,
    now: Time,
    /// How often it was started, this time included.
    life: u64,
    term: Term,
    vote: Option<NodeId>,
    log: Log,
    /// The last index known to be committed.
    commit: Index,
    /// The last index handed to the state machine.
    delivered: Index,
    leader: Option<NodeId>,
    /// When the known leader was last heard.
    heard: Time,
    /// When it asks for votes, unless it leads.
    deadline: Time,
    state: State,
    /// How many reads were asked here in this life.
    reads: u64,
    outbox: Outbox,
    disk: Disk,
    violation: Option<String>,
}

impl Raft {
    /// A member that starts with what its former lives made durable.
    #[must_use]
    pub fn recover(config: Config, now: Time, records: Vec<Record>) -> Self {
        let (mut life, mut term, mut vote, mut log) = (0, 0, None, Log::default());
        for record in records {
            match record {
                Record::Life(number) => life = number,
                Record::HardState { term: t, vote: v } => (term, vote) = (t, v),
                Record::Entry(entry) => log.replay(entry),
                Record::Snapshot(snapshot) => log.install(snapshot),
            }
        }
        life += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(config.seed);
        rng.set_stream(config.id.0 << 32 | life);
        let mut others = config.peers;
        others.retain(|peer| *peer != config.id);
        others.sort_unstable();
        others.dedup();
        let applied = log.snapshot().map_or(0, |snapshot| snapshot.last.index);
        let mut raft = Raft {
            id: config.id,
            others,
            timeouts: config.timeouts,
            bugs: config.bugs,
            keep_entries: config.keep_entries,
            rng,
            now,
            life,
            term,
            vote,
            disk: Disk::with_durable(log.last().index),
            log,
            commit: applied,
            delivered: applied,
            leader: None,
            heard: now,
            deadline: now,
            state: State::Follower,
            reads: 0,
            outbox: Outbox::default(),
            violation: None,
        };
        // Before anything else is said: numbers which hold the life must never be given twice.
        raft.outbox.record(Record::Life(life));
        raft.reset_deadline();
        raft
    }

    /// Its number.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Its role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.state.role()
    }

    /// Its term.
    #[must_use]
    pub fn term(&self) -> Term {
        self.term
    }

    /// Which life this is, from 1. Durable before anything is sent or answered.
    #[must_use]
    pub fn life(&self) -> u64 {
        self.life
    }

    /// The leader it knows.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.leader
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The last index it knows to be committed.
    #[must_use]
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The newest snapshot: where the state machine begins after [`Raft::recover`].
    #[must_use]
    pub fn snapshot(&self) -> Option<&Snapshot> {
        self.log.snapshot()
    }

    /// How many bytes of entries a restart would have to replay, roughly.
    #[must_use]
    pub fn log_bytes(&self) -> usize {
        self.log.bytes()
    }

    /// How many members make a majority.
    fn quorum(&self) -> usize {
        self.others.len().div_ceil(2) + 1
    }

    /// The largest value that a majority has reached, itself with `own` included.
    fn reached_by_quorum<T: Ord>(&self, own: T, others: impl Iterator<Item = T>) -> T {
        let mut values: Vec<T> = others.chain([own]).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        values.swap_remove(self.quorum() - 1)
    }

    fn has_bug(&self, bug: Bug) -> bool {
        self.bugs.contains(&bug)
    }

    /// Notes that a property which must never break is broken. The first one is kept for [`Raft::check`].
    fn violated(&mut self, what: String) {
        tracing::debug!(node = %self.id, "{what}");
        self.violation.get_or_insert(what);
    }

    /// When it wants [`Raft::tick`] at the latest.
    #[must_use]
    pub fn wake(&self) -> Time {
        match &self.state {
            State::Leader(leading) => leading.heartbeat_at,
            _ => self.deadline,
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Time) {
        self.now = now;
        if matches!(self.state, State::Leader(_)) {
            self.check_quorum();
            self.beat();
        } else if now >= self.deadline {
            self.ask_pre_votes();
        }
    }

    /// A message arrived.
    pub fn receive(&mut self, now: Time, from: NodeId, message: Message) {
        self.now = now;
        if !self.others.contains(&from) {
            tracing::warn!(node = %self.id, %from, "dropped a message from somebody who is not a member");
            return;
        }
        let Message { term, body } = message;
        match body {
            // Neither the question nor a yes to it says that the term has begun.
            Body::PreVote { last } => return self.on_pre_vote(from, term, last),
            Body::PreVoteReply { granted: true } => return self.on_pre_vote_granted(from, term),
            // A member that was removed or cut off must not depose a leader that others hear (§4.2.3).
            Body::Vote { .. } if term > self.term && self.hears_leader() => return,
            _ => {}
        }
        if term < self.term {
            return self.refuse_old_term(from, &body);
        }
        if term > self.term {
            self.adopt_term(term);
        }
        match body {
            Body::Vote { last } => self.on_vote(from, last),
            Body::VoteReply { granted } => self.on_vote_reply(from, granted),
            Body::Append { prev, entries, commit, round } => self.on_append(from, prev, entries, commit, round),
            Body::Install { snapshot, round } => self.on_install(from, snapshot, round),
            Body::AppendReply { outcome, round } => self.on_append_reply(from, outcome, round),
            Body::Propose { data } => self.on_propose(data),
            Body::ReadIndex { id } => self.on_read_index(id),
            Body::ReadIndexReply { id, index } => self.on_read_index_reply(id, index),
            Body::PreVote { .. } | Body::PreVoteReply { .. } => {}
        }
    }

    /// Tells a sender that its term is over, where that helps it on.
    fn refuse_old_term(&mut self, from: NodeId, body: &Body) {
        match body {
            Body::Vote { .. } => self.send(from, Body::VoteReply { granted: false }),
            Body::Append { .. } | Body::Install { .. } => {
                let outcome = Outcome::Rejected { at: 0, hint: Position::default() };
                self.send(from, Body::AppendReply { outcome, round: 0 });
            }
            _ => {}
        }
    }

    /// Proposes an entry, here or at the leader. It is lost if that leader's term ends before it is committed.
    ///
    /// # Errors
    /// If no leader is known; then it was certainly not proposed.
    ///
    /// # Returns
    /// The term in which it was proposed. If an entry of a later term is applied first, this one never will be.
    pub fn propose(&mut self, data: Bytes) -> Result<Term, NoLeader> {
        if let State::Leader(leading) = &mut self.state {
            leading.proposals.push(data);
        } else {
            let leader = self.leader.ok_or(NoLeader)?;
            self.send(leader, Body::Propose { data });
        }
        Ok(self.term)
    }

    /// All writes up to the `n`-th of this life are durable.
    pub fn persisted(&mut self, n: u64) {
        self.disk.persisted(n);
        self.advance_commit();
    }

    /// Replaces the log up to an index that was applied by the state machine's state after it. False, and the state
    /// is not asked for, if there is nothing to replace.
    pub fn compact(&mut self, applied: Index, state: impl FnOnce() -> Bytes) -> bool {
        let before = self.log.snapshot().map_or(0, |snapshot| snapshot.last.index);
        let (Some(term), Some(chain)) = (self.log.term_at(applied), self.log.chain_at(applied)) else { return false };
        if applied <= before || applied > self.delivered {
            return false;
        }
        let last = Position { index: applied, term };
        self.log.compact(Snapshot { last, chain, data: state() }, self.keep_entries);
        self.outbox.rewrite();
        self.reached(Point::RaftSnapshotTaken);
        true
    }

    /// Moves out what the calls since the last drain want done, in order.
    pub fn drain(&mut self, out: &mut Vec<Effect>) {
        self.append_proposals();
        self.start_read_round();
        self.replicate_to_all();
        self.deliver();

        // Raft-no-fsync (etcd issue 14143): what was held back for the write leaves before it.
        let acknowledge_early = self.has_bug(Bug::RaftNoFsync);
        let Outbox { overtaking, records, rewrite, held } = std::mem::take(&mut self.outbox);
        out.extend(overtaking);
        let write = if rewrite {
            Some(Effect::Rewrite(self.all_records()))
        } else {
            (!records.is_empty()).then_some(Effect::Persist(records))
        };
        if write.is_some() {
            self.disk.issued(self.log.last().index);
        }
        if acknowledge_early {
            out.extend(held);
            out.extend(write);
        } else {
            out.extend(write);
            out.extend(held);
        }
    }

    fn all_records(&self) -> Vec<Record> {
        let state = [Record::Life(self.life), self.hard_state()];
        state.into_iter().chain(self.log.records()).collect()
    }

    /// Hands what is committed to the state machine. It need not wait for this member's disk: a majority has it.
    fn deliver(&mut self) {
        while self.delivered < self.commit {
            self.delivered += 1;
            let entry = self.log.entry(self.delivered).expect("committed entries stay until they were applied");
            self.outbox.overtake(Effect::Apply(entry.clone()));
        }
    }

    /// Says something once everything recorded so far is durable.
    fn send(&mut self, to: NodeId, body: Body) {
        self.outbox.hold(Effect::Send { to, message: Message { term: self.term, body } });
    }

    /// Reports a point, once everything recorded so far is durable and what may overtake that has left.
    fn reached(&mut self, point: Point) {
        self.outbox.hold(Effect::Event(Event::Reached(point)));
    }

    fn record_hard_state(&mut self) {
        let state = self.hard_state();
        self.outbox.record(state);
    }

    fn hard_state(&self) -> Record {
        // Raft-vote-lost: a later life knows the term, but not that it has voted in it.
        let vote = self.vote.filter(|_| !self.has_bug(Bug::RaftVoteLost));
        Record::HardState { term: self.term, vote }
    }

    /// Takes note of the leader, and tells the world if it is another one than before.
    fn set_leader(&mut self, leader: Option<NodeId>) {
        if self.leader == leader {
            return;
        }
        self.leader = leader;
        let epoch = self.term;
        let event = match leader {
            Some(leader) if leader == self.id => Event::Leading { epoch },
            Some(leader) => Event::Following { epoch, leader },
            None => Event::Looking,
        };
        self.outbox.hold(Effect::Event(event));
        self.outbox.overtake(Effect::LeaderChanged);
    }

    fn reset_deadline(&mut self) {
        let timeout = self.rng.random_range(self.timeouts.election_min..=self.timeouts.election_max);
        self.deadline = self.now + timeout;
    }

    /// The invariants that it can see of itself.
    ///
    /// # Errors
    /// Says which one is broken and by what.
    pub fn check(&self) -> Result<(), String> {
        let (last, base) = (self.log.last(), self.log.base());
        let ordered = base.index <= self.delivered && self.delivered <= self.commit && self.commit <= last.index;
        if let Some(violation) = &self.violation {
            return Err(violation.clone());
        }
        if !ordered {
            return Err(format!(
                "{}: base {} ≤ applied {} ≤ committed {} ≤ last {} does not hold",
                self.id, base.index, self.delivered, self.commit, last.index
            ));
        }
        if self.term < last.term {
            return Err(format!("{}: its log reaches term {}, beyond its own {}", self.id, last.term, self.term));
        }
        if let State::Leader(leading) = &self.state
            && let Some((peer, progress)) = leading.followers.iter().find(|(_, p)| p.matched > last.index)
        {
            return Err(format!(
                "{}: {peer} acknowledged {}, but the leader's log ends at {}",
                self.id, progress.matched, last.index
            ));
        }
        Ok(())
    }
}
