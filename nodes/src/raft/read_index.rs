//! Linearizable reads without a log entry: ReadIndex (§6.4 of the dissertation).
//!
//! A leader may have been deposed without knowing it, so its commit index alone proves nothing. It opens a *round*:
//! a number that all its messages carry from then on and that followers send back. Once a majority sent back the
//! round, or a later one of the same term, there was a moment after the read was asked at which this leader led, and
//! the commit index of the round's beginning holds all that was answered before. Rounds are counted within a term
//! and replies of another term are dropped, so no answer can be taken for another's (compare etcd issue 20418).

use super::message::{Body, Effect, ReadId};
use super::role::State;
use super::{Index, NoLeader, Raft};
use crate::bugs::Bug;

/// A leader's reads.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The newest round of this term.
    pub(crate) round: u64,
    /// Asked after the newest round began.
    waiting: Vec<ReadId>,
    /// Asked before, with the commit index of its beginning.
    under_way: Option<(Index, Vec<ReadId>)>,
}

impl Raft {
    /// Asks for an index at which a read may be served; [`Effect::ReadReady`] brings it.
    ///
    /// # Errors
    /// If no leader is known.
    pub fn read(&mut self) -> Result<ReadId, NoLeader> {
        let leader = self.leader.ok_or(NoLeader)?;
        self.reads += 1;
        let id = ReadId { node: self.id, life: self.life, seq: self.reads };
        if leader == self.id {
            self.on_read_index(id);
        } else {
            self.send(leader, Body::ReadIndex { id });
        }
        Ok(id)
    }

    pub(super) fn on_read_index(&mut self, id: ReadId) {
        // Raft-stale-read: the answer is given at once, though another may lead by now.
        if self.has_bug(Bug::RaftStaleRead) && matches!(self.state, State::Leader(_)) {
            return self.answer_reads(self.commit, vec![id]);
        }
        if let State::Leader(leading) = &mut self.state {
            leading.reads.waiting.push(id);
        }
    }

    /// Opens a round for the reads that wait, unless one is under way. It needs an entry of the own term to be
    /// committed: before, the leader does not know all that is.
    pub(super) fn start_read_round(&mut self) {
        let reuse = self.has_bug(Bug::RaftReadidReuse);
        let State::Leader(leading) = &mut self.state else { return };
        let reads = &mut leading.reads;
        // Raft-readid-reuse (etcd issue 20418): reads asked later join the round under way.
        if let Some((index, ids)) = reads.under_way.as_mut().filter(|_| reuse) {
            *index = self.commit;
            ids.append(&mut reads.waiting);
        }
        if reads.waiting.is_empty() || reads.under_way.is_some() || self.commit < leading.first {
            return;
        }
        reads.round += 1;
        reads.under_way = Some((self.commit, std::mem::take(&mut reads.waiting)));
        self.finish_read_round();
    }

    /// Answers the reads of the round that is under way, if a majority has sent it back.
    pub(super) fn finish_read_round(&mut self) {
        let State::Leader(leading) = &self.state else { return };
        let round = leading.reads.round;
        let proven = self.reached_by_quorum(round, leading.followers.values().map(|progress| progress.round));
        if proven < round {
            return;
        }
        let State::Leader(leading) = &mut self.state else { return };
        if let Some((index, ids)) = leading.reads.under_way.take() {
            self.answer_reads(index, ids);
        }
    }

    fn answer_reads(&mut self, index: Index, ids: Vec<ReadId>) {
        for id in ids {
            if id.node == self.id {
                self.outbox.overtake(Effect::ReadReady { id, index });
            } else if self.others.contains(&id.node) {
                self.send(id.node, Body::ReadIndexReply { id, index });
            }
        }
    }

    pub(super) fn on_read_index_reply(&mut self, id: ReadId, index: Index) {
        if id.node == self.id && id.life == self.life {
            self.outbox.overtake(Effect::ReadReady { id, index });
        }
    }
}
