//! Broadcast, at the leader: PROPOSAL, durable, ACK, quorum, COMMIT, in the order of the zxids.
//!
//! A follower acknowledges in order, so one zxid tells how far its log is durable; the transactions that a quorum
//! has reached are committed one by one, from the head of the queue. The proposals overtake the leader's own disk;
//! its own acknowledgement waits for it like any other.

use bytes::Bytes;

use super::core::Core;
use super::leader::{Leader, Phase, Stage};
use super::message::{Packet, Txn};
use super::{Effect, Link, Record, Refused, Zxid};
use crate::replica::Time;

impl Leader {
    /// Proposes the next transaction.
    pub(super) fn propose(
        &mut self,
        core: &mut Core,
        now: Time,
        payload: Bytes,
        out: &mut Vec<Effect>,
    ) -> Result<Zxid, Refused> {
        let Phase::Broadcast(epoch) = self.phase else { return Err(Refused::NotLeading) };
        self.counter = self.counter.checked_add(1).ok_or(Refused::EpochExhausted)?;
        let zxid = Zxid::new(epoch, self.counter);
        let txn = Txn { zxid, payload };
        for peer in self.links.values_mut() {
            if matches!(peer.stage, Stage::Synchronising(_) | Stage::InStep(_)) {
                peer.endpoint.send(now, Packet::Proposal(txn.clone()), out);
            }
        }
        let write = core.persist(vec![Record::from(&txn)], out);
        core.log.append(txn);
        self.writing.push_back((write, zxid));
        Ok(zxid)
    }

    /// Own writes have become durable.
    pub(super) fn hear_durable(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) {
        while let Some((write, zxid)) = self.writing.front().copied()
            && write <= core.durable
        {
            self.writing.pop_front();
            self.durable = Some(zxid);
        }
        self.hear_synchronised(core, now, out);
    }

    /// Commits what a quorum has made durable.
    pub(super) fn advance(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) {
        let mut reached: Vec<Zxid> = self.durable.into_iter().collect();
        reached.extend(self.links.values().filter_map(|peer| match peer.stage {
            Stage::InStep(acked) => Some(acked),
            _ => None,
        }));
        reached.sort_unstable_by(|a, b| b.cmp(a));
        let Some(quorum_has) = reached.get(core.quorum() - 1).copied() else { return };
        while let Some(head) = core.head().filter(|head| *head <= quorum_has) {
            self.committed = head;
            for peer in self.links.values_mut().filter(|peer| matches!(peer.stage, Stage::InStep(_))) {
                peer.endpoint.send(now, Packet::Commit { zxid: head }, out);
            }
            core.deliver(head, out);
        }
    }

    /// Says something to one follower.
    pub(super) fn tell_follower(
        &mut self,
        now: Time,
        link: Link,
        app: Bytes,
        out: &mut Vec<Effect>,
    ) -> Result<(), Refused> {
        let peer = self.in_step(link).ok_or(Refused::LinkClosed)?;
        peer.endpoint.send(now, Packet::App(app), out);
        Ok(())
    }

    /// Asks all who are in step to answer a heartbeat that begins now. A follower that answers has accepted no
    /// later epoch yet, so if a quorum does, no later leader was established before the question.
    pub(super) fn barrier(&mut self, core: &Core, token: u64, out: &mut Vec<Effect>) -> Result<(), Refused> {
        let Phase::Broadcast(_) = self.phase else { return Err(Refused::NotLeading) };
        self.beat += 1;
        self.barriers.push_back((self.beat, token));
        for peer in self.links.values().filter(|peer| matches!(peer.stage, Stage::InStep(_))) {
            peer.endpoint.ping(self.beat, out);
        }
        self.confirm(core, out);
        Ok(())
    }

    /// Confirms the barriers that a quorum has answered.
    pub(super) fn confirm(&mut self, core: &Core, out: &mut Vec<Effect>) {
        while let Some((beat, token)) = self.barriers.front().copied() {
            let answered = |peer: &&super::leader::Peer| matches!(peer.stage, Stage::InStep(_)) && peer.beat >= beat;
            if 1 + self.links.values().filter(answered).count() < core.quorum() {
                return;
            }
            self.barriers.pop_front();
            out.push(Effect::Confirmed { token });
        }
    }
}
