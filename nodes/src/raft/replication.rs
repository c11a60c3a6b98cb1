//! Replication: a leader's sending, a follower's taking, and the commit rule.

use bytes::Bytes;

use super::message::{Body, Effect, Entry, Message, Outcome, Position, Record, Snapshot};
use super::read_index::Reads;
use super::role::{Leading, State};
use super::{Index, Log, Raft};
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::{Event, NodeId, Time};

/// The most bytes of entries in one message.
const BATCH_BYTES: usize = 1 << 20;
/// The most entries under way to one follower.
const WINDOW: Index = 16_384;

/// What a leader knows of a follower.
#[derive(Debug)]
pub(crate) struct Progress {
    /// The follower's log is durable and equal to the leader's up to here.
    pub(crate) matched: Index,
    /// The next entry to send.
    next: Index,
    mode: Mode,
    /// When it was last heard.
    pub(crate) heard: Time,
    /// The newest round it sent back.
    pub(crate) round: u64,
    /// The commit index and the round it was last told.
    told: (Index, u64),
    /// It is time to speak to it, whatever there is to say.
    due: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Where the logs agree is not known: one empty message at a time.
    Probe,
    /// They agree up to `next`, if nothing is lost: batch after batch without waiting.
    Stream,
}

impl Progress {
    /// What there is to say to the follower now.
    fn say(&mut self, log: &Log, commit: Index, round: u64) -> Vec<Body> {
        let mut bodies = Vec::new();
        if self.next <= log.base().index {
            let snapshot = log.snapshot().expect("a log that does not begin at 1 has a snapshot").clone();
            self.next = snapshot.last.index + 1;
            self.mode = Mode::Probe;
            bodies.push(Body::Install { snapshot, round });
        }
        while self.mode == Mode::Stream && self.next <= log.last().index && self.next - self.matched <= WINDOW {
            let entries = log.batch(self.next, BATCH_BYTES);
            let prev = position_before(log, self.next);
            self.next += entries.len() as Index;
            bodies.push(Body::Append { prev, entries, commit, round });
        }
        if bodies.is_empty() && (self.due || self.told < (commit, round)) {
            let prev = position_before(log, self.next);
            bodies.push(Body::Append { prev, entries: Vec::new(), commit, round });
        }
        if !bodies.is_empty() {
            self.told = (commit, round);
            self.due = false;
        }
        bodies
    }

    /// The follower has everything up to `matched`.
    fn accepted(&mut self, matched: Index) {
        self.matched = self.matched.max(matched);
        if self.matched + 1 >= self.next {
            self.next = self.matched + 1;
            self.mode = Mode::Stream;
        }
    }

    /// The follower lacks the entry at `at`; `agree` is the last place that can be equal in both logs.
    fn rejected(&mut self, at: Index, agree: Index) {
        // Old news: it has it by now, or another probe is under way.
        let stale = at <= self.matched || (self.mode == Mode::Probe && at + 1 != self.next);
        if !stale {
            self.mode = Mode::Probe;
            self.next = agree.min(at.saturating_sub(1)).max(self.matched) + 1;
            self.due = true;
        }
    }
}

impl Raft {
    /// Becomes the leader of its term and begins it with an empty entry (§5.4.2, §8).
    pub(super) fn lead(&mut self) {
        let last = self.log.last().index;
        let now = self.now;
        // Raft-commit-old-term: the term begins without an entry of its own, and what it took over counts as such.
        let first = last + u64::from(!self.has_bug(Bug::RaftCommitOldTerm));
        let progress = |_| Progress {
            matched: 0,
            next: last + 1,
            mode: Mode::Stream,
            heard: now,
            round: 0,
            told: (0, 0),
            due: true,
        };
        self.state = State::Leader(Leading {
            first,
            followers: self.others.iter().map(|&peer| (peer, progress(peer))).collect(),
            proposals: Vec::new(),
            heartbeat_at: now + self.timeouts.heartbeat,
            reads: Reads::default(),
        });
        self.outbox.overtake(Effect::Event(Event::Reached(Point::RaftElected)));
        self.set_leader(Some(self.id));
        if first > last {
            self.append(Bytes::new());
        }
    }

    fn append(&mut self, data: Bytes) {
        let entry = Entry { at: Position { index: self.log.last().index + 1, term: self.term }, data };
        self.log.push(entry.clone());
        self.outbox.record(Record::Entry(entry));
    }

    pub(super) fn on_propose(&mut self, data: Bytes) {
        if let State::Leader(leading) = &mut self.state {
            leading.proposals.push(data);
        }
    }

    /// Puts the proposals into the log together, unless a write is still under way.
    pub(super) fn append_proposals(&mut self) {
        if !self.disk.is_idle() {
            return;
        }
        let State::Leader(leading) = &mut self.state else { return };
        for data in std::mem::take(&mut leading.proposals) {
            self.append(data);
        }
    }

    /// Makes a message to each follower due, if it is time for heartbeats.
    pub(super) fn beat(&mut self) {
        let State::Leader(leading) = &mut self.state else { return };
        if self.now >= leading.heartbeat_at {
            leading.heartbeat_at = self.now + self.timeouts.heartbeat;
            leading.followers.values_mut().for_each(|progress| progress.due = true);
        }
    }

    /// Sends each follower what it lacks. This may overtake the leader's own write (§10.2.1 of the dissertation).
    pub(super) fn replicate_to_all(&mut self) {
        let Raft { state, log, outbox, commit, term, .. } = self;
        let State::Leader(leading) = state else { return };
        let round = leading.reads.round;
        for (&to, progress) in &mut leading.followers {
            for body in progress.say(log, *commit, round) {
                outbox.overtake(Effect::Send { to, message: Message { term: *term, body } });
            }
        }
    }

    pub(super) fn on_append(&mut self, from: NodeId, prev: Position, entries: Vec<Entry>, commit: Index, round: u64) {
        if !self.accept_leader(from) {
            return;
        }
        if !is_contiguous(prev, &entries, self.term) {
            tracing::warn!(node = %self.id, %from, "dropped entries that do not follow on each other");
            return;
        }
        let outcome = if prev.index < self.log.base().index {
            // What is behind the snapshot is committed, so the leader has it too.
            Outcome::Accepted { matched: self.commit }
        } else if self.log.has(prev) {
            let matched = prev.index + entries.len() as Index;
            if !self.take(entries) {
                return;
            }
            self.commit = self.commit.max(commit.min(matched));
            Outcome::Accepted { matched }
        } else {
            Outcome::Rejected { at: prev.index, hint: self.log.last_not_after(prev) }
        };
        self.send(from, Body::AppendReply { outcome, round });
    }

    /// Follows whoever speaks as the leader of this term; but two leaders of one term cannot be.
    fn accept_leader(&mut self, from: NodeId) -> bool {
        let other = match self.state {
            State::Leader(_) => Some(self.id),
            _ => self.leader.filter(|leader| *leader != from),
        };
        if let Some(other) = other {
            self.violated(format!("election safety: {from} and {other} both lead term {}", self.term));
            return false;
        }
        self.follow(from);
        true
    }

    /// Takes entries which fit; what contradicts them is cut off (§5.3). False if they contradict what is committed.
    fn take(&mut self, entries: Vec<Entry>) -> bool {
        for entry in entries {
            if self.log.has(entry.at) {
                continue;
            }
            if entry.at.index <= self.log.last().index {
                if entry.at.index <= self.commit {
                    let (index, term) = (entry.at.index, entry.at.term);
                    self.violated(format!("{}: entry {index} is committed, but term {term} changes it", self.id));
                    return false;
                }
                self.log.truncate_after(entry.at.index - 1);
                self.disk.truncated_after(entry.at.index - 1);
            }
            self.log.push(entry.clone());
            self.outbox.record(Record::Entry(entry));
        }
        true
    }

    pub(super) fn on_install(&mut self, from: NodeId, snapshot: Snapshot, round: u64) {
        if !self.accept_leader(from) {
            return;
        }
        if snapshot.last.index > self.commit {
            if !self.log.has(snapshot.last) {
                self.disk.truncated_after(0);
            }
            self.log.install(snapshot.clone());
            (self.commit, self.delivered) = (snapshot.last.index, snapshot.last.index);
            self.outbox.rewrite();
            self.outbox.overtake(Effect::Restore(snapshot));
            self.reached(Point::RaftSnapshotInstalled);
        }
        let outcome = Outcome::Accepted { matched: self.commit };
        self.send(from, Body::AppendReply { outcome, round });
    }

    pub(super) fn on_append_reply(&mut self, from: NodeId, outcome: Outcome, round: u64) {
        let last = self.log.last().index;
        let State::Leader(leading) = &mut self.state else { return };
        let Some(progress) = leading.followers.get_mut(&from) else { return };
        progress.heard = self.now;
        progress.round = progress.round.max(round);
        match outcome {
            // More than there is can only be nonsense.
            Outcome::Accepted { matched } if matched > last => return,
            Outcome::Accepted { matched } => progress.accepted(matched),
            Outcome::Rejected { at, hint } => progress.rejected(at, self.log.last_not_after(hint).index),
        }
        self.advance_commit();
        self.finish_read_round();
    }

    /// Commits what a majority has, if it is of the own term; what is before it is committed with it (§5.4.2).
    pub(super) fn advance_commit(&mut self) {
        let State::Leader(leading) = &self.state else { return };
        let (first, before) = (leading.first, self.commit);
        // Raft-no-fsync: the leader counts itself before its write is durable.
        let own = if self.has_bug(Bug::RaftNoFsync) { self.log.last().index } else { self.disk.durable() };
        let reached = self.reached_by_quorum(own, leading.followers.values().map(|progress| progress.matched));
        // Raft-commit-old-term: entries of any term are committed by counting.
        let own_term = self.log.term_at(reached) == Some(self.term) || self.has_bug(Bug::RaftCommitOldTerm);
        if reached > before && own_term {
            self.commit = reached;
            if before < first && first <= reached {
                self.reached(Point::RaftEstablished);
            }
        }
    }
}

fn position_before(log: &Log, next: Index) -> Position {
    let index = next - 1;
    Position { index, term: log.term_at(index).expect("what is sent follows on something in the log") }
}

fn is_contiguous(prev: Position, entries: &[Entry], term: u64) -> bool {
    let mut before = prev;
    entries.iter().all(|entry| {
        let follows = entry.at.index == before.index + 1 && entry.at.term >= before.term && entry.at.term <= term;
        before = entry.at;
        follows
    })
}
