//! Synchronisation, at the leader: a quorum takes over the leader's history before anything is served.
//!
//! The follower's ACKEPOCH carries a summary of its log, from which the leader finds where their common prefix
//! ends:
//! - the follower's log goes on behind it: TRUNC to it. What is cut off was never committed, so never delivered;
//! - the leader's log goes on behind it: DIFF, the transactions that are lacking;
//! - the leader's log begins behind it: SNAP, the leader's snapshot, then DIFF.
//!
//! Apache's leader knows the follower's last zxid only, and so must not truncate across epochs: the greatest zxid
//! of its own below the follower's last one may be missing there. With the summary the prefix is exact.
//!
//! Then comes NEWLEADER. The follower makes the history durable, *then* its current epoch, *then* acknowledges. A
//! quorum of these (the leader is one) establishes the leader: its whole history is committed. UPTODATE tells each
//! follower how far it may deliver. Proposals made meanwhile follow NEWLEADER on the link; commits only follow
//! UPTODATE, which says it for all before.

use super::core::Core;
use super::leader::{Leader, Phase, Stage};
use super::message::{Packet, Summary, Txn};
use super::{Effect, Record, Status};
use crate::bugs::Bug;
use crate::point::Point;
use crate::replica::{NodeId, Time};

/// Bytes of payload in one DIFF packet, roughly.
const DIFF_BYTES: usize = 256 * 1024;

impl Leader {
    /// A quorum has promised: the leader's history is the epoch's.
    pub(super) fn begin_synchronisation(&mut self, core: &mut Core, now: Time, epoch: u32, out: &mut Vec<Effect>) {
        self.phase = Phase::Synchronisation(epoch);
        core.log.current_epoch = epoch;
        let write = core.persist(vec![Record::CurrentEpoch(epoch)], out);
        out.push(Effect::Reached(Point::ZabPromised));
        self.writing.push_back((write, core.log.last()));
        self.synchronise(core, now, out);
    }

    /// Sends the history to all who wait for it.
    pub(super) fn synchronise(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) {
        let (Phase::Synchronisation(epoch) | Phase::Broadcast(epoch)) = self.phase else { return };
        let mut lost: Vec<NodeId> = Vec::new();
        for (id, peer) in &mut self.links {
            let Stage::Promised(summary) = &peer.stage else { continue };
            let Some(packets) = plan(core, summary) else {
                tracing::error!("{id} shares no history with this leader, which has no snapshot to send");
                lost.push(*id);
                continue;
            };
            for packet in packets {
                peer.endpoint.send(now, packet, out);
            }
            peer.endpoint.send(now, Packet::NewLeader { epoch }, out);
            peer.stage = Stage::Synchronising(core.log.last());
        }
        for id in lost {
            self.drop_link(id, out);
        }
    }

    /// A follower, or the leader itself, holds the history.
    pub(super) fn hear_synchronised(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) {
        if let Phase::Synchronisation(epoch) = self.phase {
            let holders = self.links.values().filter(|peer| matches!(peer.stage, Stage::Synchronised(_))).count();
            if holders + usize::from(self.durable.is_some()) < core.quorum() {
                return;
            }
            self.phase = Phase::Broadcast(epoch);
            self.committed = core.log.last();
            core.deliver(self.committed, out);
            core.set_status(Status::Leading { epoch }, out);
            out.push(Effect::Reached(Point::ZabEstablished));
        }
        if let Phase::Broadcast(_) = self.phase {
            for peer in self.links.values_mut() {
                if let Stage::Synchronised(through) = peer.stage {
                    peer.stage = Stage::InStep(through);
                    peer.endpoint.send(now, Packet::UpToDate { committed: self.committed }, out);
                }
            }
            self.advance(core, now, out);
        }
    }
}

/// What makes the follower's log equal to the leader's. None if the leader has neither a common transaction nor a
/// snapshot, which no correct history leads to.
fn plan(core: &Core, summary: &Summary) -> Option<Vec<Packet>> {
    let mut packets = Vec::new();
    let from = match core.log.common(summary) {
        Some(common) => {
            if summary.last() > common && !core.config.has(Bug::ZabSkipTrunc) {
                packets.push(Packet::Trunc { zxid: common });
            }
            common
        }
        None => {
            let (zxid, state) = core.log.snapshot()?;
            packets.push(Packet::Snap { zxid: *zxid, state: state.clone() });
            *zxid
        }
    };
    let mut txns: Vec<Txn> = Vec::new();
    let mut bytes = 0;
    for txn in core.log.after(from).filter(|txn| !core.log.lacks(txn.zxid)) {
        bytes += txn.payload.len();
        txns.push(txn.clone());
        if bytes >= DIFF_BYTES {
            packets.push(Packet::Diff { txns: std::mem::take(&mut txns) });
            bytes = 0;
        }
    }
    if !txns.is_empty() {
        packets.push(Packet::Diff { txns });
    }
    Some(packets)
}
