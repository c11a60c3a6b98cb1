//! The follower's side: one link to one leader, through the phases in order.

use super::core::{Core, Leave, leave};
use super::link::Endpoint;
use super::message::{Body, Frame, Packet, Txn, Vote};
use super::{Effect, Record, Refused, Status, Zxid};
use crate::bugs::Bug;
use crate::replica::{NodeId, Time};

/// How far the follower has come with this leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// FOLLOWERINFO is sent.
    Discovery,
    /// The leader's epoch is accepted; its history arrives.
    Synchronisation(u32),
    /// NEWLEADER is acknowledged; proposals are logged, nothing is delivered.
    Synchronised(u32),
    /// In step.
    Broadcast(u32),
}

#[derive(Debug)]
pub(super) struct Follower {
    pub(super) vote: Vote,
    endpoint: Endpoint,
    phase: Phase,
    since: Time,
}

impl Follower {
    /// Opens a link to the leader that the election named.
    pub(super) fn start(core: &mut Core, now: Time, vote: Vote, out: &mut Vec<Effect>) -> Self {
        let mut endpoint = Endpoint::to_leader(now, vote.leader, core.nonce());
        endpoint.send(now, Packet::FollowerInfo { accepted_epoch: core.log.accepted_epoch }, out);
        Follower { vote, endpoint, phase: Phase::Discovery, since: now }
    }

    /// True if the frame belongs to this link.
    pub(super) fn accepts(&self, from: NodeId, frame: &Frame) -> bool {
        from == self.vote.leader && self.endpoint.accepts(frame)
    }

    /// A frame on this link.
    pub(super) fn hear(
        &mut self,
        core: &mut Core,
        now: Time,
        frame: Frame,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        match frame.body {
            Body::Close => return leave("the leader closed the link"),
            Body::Ping { beat } => self.endpoint.ping(beat, out),
            Body::Packet { .. } => {}
        }
        self.endpoint.receive(now, frame);
        while let Some(packet) = self.endpoint.next() {
            self.obey(core, now, packet, out)?;
        }
        Ok(())
    }

    fn obey(&mut self, core: &mut Core, now: Time, packet: Packet, out: &mut Vec<Effect>) -> Result<(), Leave> {
        match (self.phase, packet) {
            (Phase::Discovery, Packet::LeaderInfo { epoch }) => self.accept_epoch(core, now, epoch, out),
            (Phase::Synchronisation(_), Packet::Trunc { zxid }) => truncate(core, zxid, out),
            (Phase::Synchronisation(_), Packet::Snap { zxid, state }) => {
                if zxid < core.delivered() {
                    return Err(core.violation(format!("SNAP to {zxid}, but {} is delivered", core.delivered())));
                }
                core.log.install(zxid, state);
                core.rewrite(out);
                Ok(())
            }
            (Phase::Synchronisation(_), Packet::Diff { txns }) => append(core, txns, out),
            (Phase::Synchronisation(accepted), Packet::NewLeader { epoch }) if epoch == accepted => {
                // The log holds the leader's history before this record, so it is never the epoch that is durable
                // alone (ZOOKEEPER-4643).
                core.log.current_epoch = epoch;
                core.persist(vec![Record::CurrentEpoch(epoch)], out);
                self.phase = Phase::Synchronised(epoch);
                self.endpoint.send(now, Packet::AckNewLeader, out);
                Ok(())
            }
            (Phase::Synchronised(epoch), Packet::UpToDate { committed }) => {
                if committed < core.delivered() {
                    let delivered = core.delivered();
                    return Err(core.violation(format!("UPTODATE at {committed}, but {delivered} is delivered")));
                }
                if !core.log.contains(committed) {
                    return leave(format!("UPTODATE at {committed}, which is not in the log"));
                }
                self.phase = Phase::Broadcast(epoch);
                core.deliver(committed, out);
                core.set_status(Status::Following { leader: self.vote.leader, epoch }, out);
                Ok(())
            }
            (Phase::Synchronised(epoch) | Phase::Broadcast(epoch), Packet::Proposal(txn)) => {
                self.log_proposal(core, now, epoch, txn, out)
            }
            (Phase::Broadcast(_), Packet::Commit { zxid }) => match core.head() {
                Some(head) if head == zxid => {
                    core.deliver(zxid, out);
                    Ok(())
                }
                head => leave(format!("COMMIT of {zxid}, but the head of the queue is {head:?}")),
            },
            (Phase::Broadcast(_), Packet::App(app)) => {
                out.push(Effect::FromLeader { app });
                Ok(())
            }
            (phase, packet) => leave(format!("{packet:?} does not fit into {phase:?}")),
        }
    }

    fn accept_epoch(&mut self, core: &mut Core, now: Time, epoch: u32, out: &mut Vec<Effect>) -> Result<(), Leave> {
        let accepted = core.log.accepted_epoch;
        if epoch < accepted {
            return leave(format!("the leader's epoch {epoch} is below the accepted epoch {accepted}"));
        }
        let counts = epoch > accepted;
        if counts {
            core.log.accepted_epoch = epoch;
            core.persist(vec![Record::AcceptedEpoch(epoch)], out);
        }
        self.phase = Phase::Synchronisation(epoch);
        let ack = Packet::AckEpoch { counts, current_epoch: core.log.current_epoch, summary: core.log.summary() };
        self.endpoint.send(now, ack, out);
        Ok(())
    }

    fn log_proposal(
        &mut self,
        core: &mut Core,
        now: Time,
        epoch: u32,
        txn: Txn,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        let zxid = txn.zxid;
        if zxid.epoch() != epoch {
            return leave(format!("PROPOSAL {zxid} in epoch {epoch}"));
        }
        let ack = Packet::Ack { zxid };
        if core.config.has(Bug::ZabAckBeforeFsync) {
            // Planted: forceSync=no lets the acknowledgement overtake the disk.
            self.endpoint.send(now, ack, out);
            return append(core, vec![txn], out);
        }
        append(core, vec![txn], out)?;
        self.endpoint.send(now, ack, out);
        Ok(())
    }

    /// Half a tick has passed.
    pub(super) fn beat(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) -> Result<(), Leave> {
        if self.endpoint.is_dead(now, &core.config) {
            return leave("the leader is silent");
        }
        let in_step = matches!(self.phase, Phase::Broadcast(_));
        if !in_step && now > self.since + core.config.tick * core.config.init_limit {
            return leave("discovery and synchronisation took too long");
        }
        self.endpoint.repeat(now, &core.config, out);
        Ok(())
    }

    pub(super) fn tell_leader(&mut self, now: Time, app: bytes::Bytes, out: &mut Vec<Effect>) -> Result<(), Refused> {
        if !matches!(self.phase, Phase::Broadcast(_)) {
            return Err(Refused::NotFollowing);
        }
        self.endpoint.send(now, Packet::App(app), out);
        Ok(())
    }

    /// Gives the link up.
    pub(super) fn close(&self, out: &mut Vec<Effect>) {
        self.endpoint.close(out);
    }
}

fn truncate(core: &mut Core, zxid: Zxid, out: &mut Vec<Effect>) -> Result<(), Leave> {
    if zxid < core.delivered() {
        return Err(core.violation(format!("TRUNC to {zxid}, but {} is delivered", core.delivered())));
    }
    if !core.log.contains(zxid) {
        return leave(format!("TRUNC to {zxid}, which is not in the log"));
    }
    core.log.truncate(zxid);
    core.persist(vec![Record::Truncate(zxid)], out);
    Ok(())
}

/// Appends as many as fit, and persists them.
fn append(core: &mut Core, txns: Vec<Txn>, out: &mut Vec<Effect>) -> Result<(), Leave> {
    let mut records = Vec::with_capacity(txns.len());
    let mut misfit = None;
    for txn in txns {
        if !core.log.is_next(txn.zxid) {
            misfit = Some(txn.zxid);
            break;
        }
        records.push(Record::from(&txn));
        core.log.append(txn);
    }
    if !records.is_empty() {
        core.persist(records, out);
    }
    match misfit {
        Some(zxid) => leave(format!("{zxid} does not follow {}", core.log.last())),
        None => Ok(()),
    }
}
