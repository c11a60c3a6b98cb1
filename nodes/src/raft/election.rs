//! Elections: pre-vote, vote, and a leader's giving up.
//!
//! A vote is durable before it is sent, because the reply is held back for the write. A candidate counts its own
//! vote at once, but nobody hears of its candidacy before that vote is durable.

use std::collections::BTreeSet;

use super::message::{Body, Effect, Message, Position};
use super::role::State;
use super::{Raft, Term};
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::NodeId;

impl Raft {
    /// Whether it leads, or heard a leader within the least election timeout (§4.2.3, §9.6).
    pub(super) fn hears_leader(&self) -> bool {
        match self.state {
            State::Leader(_) => true,
            _ => self.leader.is_some() && self.now < self.heard + self.timeouts.election_min,
        }
    }

    /// Asks whether it could win an election.
    pub(super) fn ask_pre_votes(&mut self) {
        self.set_leader(None);
        self.reset_deadline();
        self.state = State::PreCandidate(BTreeSet::from([self.id]));
        if self.quorum() == 1 {
            return self.stand();
        }
        let message = Message { term: self.term + 1, body: Body::PreVote { last: self.log.last() } };
        self.broadcast(&message);
    }

    fn broadcast(&mut self, message: &Message) {
        for &to in &self.others {
            self.outbox.hold(Effect::Send { to, message: message.clone() });
        }
    }

    /// Grants what [`Raft::on_vote`] would, if nobody leads.
    pub(super) fn on_pre_vote(&mut self, from: NodeId, term: Term, last: Position) {
        let free = term > self.term || (term == self.term && self.vote.is_none());
        let granted = free && last.at_least(self.log.last()) && !self.hears_leader();
        let message = Message { term: if granted { term } else { self.term }, body: Body::PreVoteReply { granted } };
        self.outbox.hold(Effect::Send { to: from, message });
    }

    pub(super) fn on_pre_vote_granted(&mut self, from: NodeId, term: Term) {
        let quorum = self.quorum();
        let State::PreCandidate(granted) = &mut self.state else { return };
        if term != self.term + 1 {
            return;
        }
        granted.insert(from);
        if granted.len() >= quorum {
            self.stand();
        }
    }

    /// Begins a new term and stands for election in it (§5.2).
    fn stand(&mut self) {
        self.term += 1;
        self.vote = Some(self.id);
        self.record_hard_state();
        self.reset_deadline();
        self.state = State::Candidate(BTreeSet::from([self.id]));
        if self.quorum() == 1 {
            return self.lead();
        }
        self.broadcast(&Message { term: self.term, body: Body::Vote { last: self.log.last() } });
    }

    pub(super) fn on_vote(&mut self, from: NodeId, last: Position) {
        let free = self.vote.is_none_or(|vote| vote == from);
        let granted = free && last.at_least(self.log.last());
        if granted {
            self.state = State::Follower;
            if self.vote.is_none() {
                self.vote = Some(from);
                self.record_hard_state();
                self.reached(Point::RaftVoted);
            }
            self.reset_deadline();
        }
        self.send(from, Body::VoteReply { granted });
    }

    pub(super) fn on_vote_reply(&mut self, from: NodeId, granted: bool) {
        let quorum = self.quorum();
        let State::Candidate(votes) = &mut self.state else { return };
        if granted {
            votes.insert(from);
        }
        if votes.len() >= quorum {
            self.lead();
        }
    }

    /// A later term began: follow in it, without a leader yet.
    pub(super) fn adopt_term(&mut self, term: Term) {
        self.term = term;
        self.vote = None;
        self.record_hard_state();
        self.step_down();
    }

    fn step_down(&mut self) {
        if !matches!(self.state, State::Follower) {
            self.state = State::Follower;
            self.reset_deadline();
        }
        self.set_leader(None);
    }

    /// The leader of this term spoke.
    pub(super) fn follow(&mut self, leader: NodeId) {
        self.state = State::Follower;
        self.heard = self.now;
        self.reset_deadline();
        self.set_leader(Some(leader));
    }

    /// Gives leadership up if no majority was heard for the longest election timeout: somebody else may lead by
    /// now, and clients had better ask there.
    pub(super) fn check_quorum(&mut self) {
        // Raft-stale-read, raft-readid-reuse: it takes its leadership for granted, here as in `read_index`.
        if self.has_bug(Bug::RaftStaleRead) || self.has_bug(Bug::RaftReadidReuse) {
            return;
        }
        let State::Leader(leading) = &self.state else { return };
        let heard = self.reached_by_quorum(self.now, leading.followers.values().map(|progress| progress.heard));
        if self.now > heard + self.timeouts.election_max {
            self.step_down();
        }
    }
}
