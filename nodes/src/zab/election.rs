//! Fast leader election: peers that look for a leader settle on the best vote of a quorum.
//!
//! Each starts a round by voting for itself, tells everybody, and changes to a better vote when it hears one. Votes
//! are ordered by (current epoch, last zxid, id), so the winner has the longest history of its quorum. Once a
//! quorum votes as it does, a peer waits a little for a better vote and then takes its role; when every voter
//! agrees there is none to wait for. A notification of an older round is answered, not counted; one of a later
//! round starts the election over in that round.
//!
//! A peer that has a leader answers who it is, so that a late joiner need not disturb the ensemble: it follows when
//! a quorum names the same leader and that leader says so itself.
//!
//! Nothing in here is needed for safety: two leaders, or a wrong one, are sorted out by the epochs of
//! [discovery](super::discovery). So lost, repeated and late notifications cost time only.

use std::collections::BTreeMap;

use super::Effect;
use super::core::Core;
use super::message::{Notification, Standing, Vote};
use crate::replica::{NodeId, Time};

#[derive(Debug)]
pub(super) struct Election {
    vote: Vote,
    /// The votes of this round.
    ballots: BTreeMap<NodeId, Vote>,
    /// Peers that have a leader, and which.
    settled: BTreeMap<NodeId, NodeId>,
    /// Peers that say that they lead.
    leaders: BTreeMap<NodeId, Vote>,
    finalize_at: Option<Time>,
}

impl Election {
    /// Starts another round.
    pub(super) fn start(core: &mut Core, now: Time, out: &mut Vec<Effect>) -> Self {
        core.round = core.round.saturating_add(1);
        let mut election = Election {
            vote: core.own_vote(),
            ballots: BTreeMap::new(),
            settled: BTreeMap::new(),
            leaders: BTreeMap::new(),
            finalize_at: None,
        };
        election.broadcast(core, out);
        election.count(core, now);
        election
    }

    /// Repeats the vote, for notifications may be lost.
    pub(super) fn broadcast(&mut self, core: &mut Core, out: &mut Vec<Effect>) {
        let others: Vec<NodeId> = core.others().collect();
        for peer in others {
            core.notify(peer, Standing::Looking, self.vote, out);
        }
    }

    /// Hears another peer.
    pub(super) fn hear(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        heard: Notification,
        out: &mut Vec<Effect>,
    ) {
        self.settled.remove(&from);
        self.leaders.remove(&from);
        match heard.standing {
            Standing::Looking => self.hear_looking(core, from, heard, out),
            Standing::Following | Standing::Leading => {
                self.settled.insert(from, heard.vote.leader);
                if heard.standing == Standing::Leading {
                    self.leaders.insert(from, heard.vote);
                }
                if heard.round == core.round {
                    self.ballots.insert(from, heard.vote);
                }
            }
        }
        self.count(core, now);
    }

    fn hear_looking(&mut self, core: &mut Core, from: NodeId, heard: Notification, out: &mut Vec<Effect>) {
        if heard.round < core.round {
            core.notify(from, Standing::Looking, self.vote, out);
            return;
        }
        let old = (core.round, self.vote);
        if heard.round > core.round {
            core.round = heard.round;
            self.ballots.clear();
            self.vote = core.own_vote();
        }
        self.vote = self.vote.max(heard.vote);
        self.ballots.insert(from, heard.vote);
        if (core.round, self.vote) != old {
            self.finalize_at = None;
            self.broadcast(core, out);
        }
    }

    fn supporters(&self) -> usize {
        1 + self.ballots.values().filter(|vote| **vote == self.vote).count()
    }

    fn count(&mut self, core: &Core, now: Time) {
        if self.supporters() < core.quorum() {
            self.finalize_at = None;
        } else if self.finalize_at.is_none() {
            self.finalize_at = Some(now + core.config.finalize_wait);
        }
    }

    /// What this peer settles on, if it is time.
    pub(super) fn outcome(&self, core: &Core, now: Time) -> Option<Vote> {
        let established = self
            .leaders
            .iter()
            .find(|(leader, _)| self.settled.values().filter(|named| named == leader).count() >= core.quorum());
        if let Some((leader, vote)) = established {
            return Some(Vote { leader: *leader, ..*vote });
        }
        let unanimous = self.supporters() == core.config.peers.len();
        (unanimous || self.finalize_at.is_some_and(|at| now >= at)).then_some(self.vote)
    }

    /// When the outcome may be due.
    pub(super) fn wake(&self) -> Option<Time> {
        self.finalize_at
    }
}
