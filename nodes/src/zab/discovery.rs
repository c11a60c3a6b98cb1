//! Discovery, at the leader: an epoch that is new to a quorum, and a quorum's promise to obey no older one.
//!
//! - FOLLOWERINFO tells the epoch that a peer has accepted. The new epoch is above all of a quorum's.
//! - LEADERINFO tells the new epoch. A follower accepts it, durably, if it is above what it has accepted; if it is
//!   equal, the follower had promised before, and does not count again. So at most one leader of an epoch can
//!   collect a quorum of promises.
//! - ACKEPOCH tells the follower's history. If one of the promising quorum has a later one (current epoch, then
//!   last zxid) than the leader, the leader gives up: it might lack what is committed.

use super::core::{Core, Leave, leave};
use super::leader::{Leader, Phase, Stage};
use super::message::{Packet, Summary};
use super::{Effect, Record};
use crate::point::Point;
use crate::replica::{NodeId, Time};

impl Leader {
    /// A peer, or the leader itself, has accepted that epoch so far.
    pub(super) fn hear_info(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        accepted_epoch: u32,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        core.highest_epoch = core.highest_epoch.max(accepted_epoch);
        match self.phase {
            Phase::Discovery => {
                self.infos.insert(from, accepted_epoch);
                if self.infos.len() >= core.quorum() {
                    self.choose_epoch(core, now, out)?;
                }
                Ok(())
            }
            Phase::Promise(epoch) | Phase::Synchronisation(epoch) | Phase::Broadcast(epoch) => {
                if accepted_epoch > epoch {
                    // It could never join: only an epoch above its own gets it back.
                    return leave(format!("{from} has accepted epoch {accepted_epoch}, above {epoch}"));
                }
                self.invite(now, epoch, out);
                Ok(())
            }
        }
    }

    fn choose_epoch(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) -> Result<(), Leave> {
        let Some(epoch) = core.highest_epoch.checked_add(1) else {
            return leave("the epochs are exhausted");
        };
        core.log.accepted_epoch = epoch;
        core.persist(vec![Record::AcceptedEpoch(epoch)], out);
        out.push(Effect::Reached(Point::ZabEpochAccepted));
        self.phase = Phase::Promise(epoch);
        self.invite(now, epoch, out);
        self.promises.insert(core.config.id);
        self.count_promises(core, now, out);
        Ok(())
    }

    fn invite(&mut self, now: Time, epoch: u32, out: &mut Vec<Effect>) {
        for peer in self.links.values_mut().filter(|peer| matches!(peer.stage, Stage::Connected)) {
            peer.stage = Stage::Invited;
            peer.endpoint.send(now, Packet::LeaderInfo { epoch }, out);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "the packet's fields")]
    pub(super) fn hear_promise(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        counts: bool,
        current_epoch: u32,
        summary: Summary,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        let (theirs, ours) = ((current_epoch, summary.last()), (core.log.current_epoch, core.log.last()));
        let promising = matches!(self.phase, Phase::Promise(_));
        if counts && promising && theirs > ours {
            return leave(format!("{from} has the later history: {theirs:?} against {ours:?}"));
        }
        if let Some(peer) = self.links.get_mut(&from) {
            peer.stage = Stage::Promised(summary);
        }
        if counts {
            self.promises.insert(from);
        }
        if promising {
            self.count_promises(core, now, out);
        } else {
            self.synchronise(core, now, out);
        }
        Ok(())
    }

    fn count_promises(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) {
        if let Phase::Promise(epoch) = self.phase
            && self.promises.len() >= core.quorum()
        {
            self.begin_synchronisation(core, now, epoch, out);
        }
    }
}
