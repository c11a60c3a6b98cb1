//! The follower's side: one link to one leader, through the phases in order.

use bytes::Bytes;

use super::core::{Core, Leave, leave};
use super::link::Endpoint;
use super::message::{Body, Frame, Packet, Txn, Vote};
use super::{Effect, Record, Refused, Status, Zxid};
use crate::bugs::Bug;
use crate::point::Point;
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
    /// Planted by `zab-epoch-before-log` and `zab-newleader-ack-early`, empty without them: the leader's history, kept
    /// in memory until NEWLEADER comes, as Apache's learner does.
    deferred: Vec<Packet>,
}

impl Follower {
    /// Opens a link to the leader that the election named.
    pub(super) fn start(core: &mut Core, now: Time, vote: Vote, out: &mut Vec<Effect>) -> Self {
        let mut endpoint = Endpoint::to_leader(now, vote.leader, core.nonce());
        endpoint.send(now, Packet::FollowerInfo { accepted_epoch: core.log.accepted_epoch }, out);
        Follower { vote, endpoint, phase: Phase::Discovery, since: now, deferred: Vec::new() }
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
            (
                Phase::Synchronisation(_),
                packet @ (Packet::Trunc { .. } | Packet::Snap { .. } | Packet::Diff { .. }),
            ) => {
                if core.config.has(Bug::ZabEpochBeforeLog) || core.config.has(Bug::ZabNewleaderAckEarly) {
                    self.deferred.push(packet);
                    return Ok(());
                }
                take_over(core, packet, out)
            }
            (Phase::Synchronisation(accepted), Packet::NewLeader { epoch }) if epoch == accepted => {
                self.join(core, now, epoch, out)
            }
            (Phase::Synchronised(epoch), Packet::UpToDate { committed }) => {
                if committed < core.delivered() {
                    let delivered = core.delivered();
                    return Err(core.violation(format!("UPTODATE at {committed}, but {delivered} is delivered")));
                }
                if !core.log.contains(committed) && !core.config.has(Bug::ZabLogHole) {
                    return leave(format!("UPTODATE at {committed}, which is not in the log"));
                }
                self.phase = Phase::Broadcast(epoch);
                core.deliver(committed, out);
                core.set_status(Status::Following { leader: self.vote.leader, epoch }, out);
                out.push(Effect::Reached(Point::ZabInStep));
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
            out.push(Effect::Reached(Point::ZabEpochAccepted));
        }
        self.phase = Phase::Synchronisation(epoch);
        let ack = Packet::AckEpoch { counts, current_epoch: core.log.current_epoch, summary: core.log.summary() };
        self.endpoint.send(now, ack, out);
        Ok(())
    }

    /// The leader's history is complete: it is durable first, then its epoch, then that is acknowledged.
    fn join(&mut self, core: &mut Core, now: Time, epoch: u32, out: &mut Vec<Effect>) -> Result<(), Leave> {
        let early = core.config.has(Bug::ZabNewleaderAckEarly);
        if early {
            self.acknowledge(now, out);
        }
        if core.config.has(Bug::ZabEpochBeforeLog) {
            adopt(core, epoch, out);
        }
        for packet in std::mem::take(&mut self.deferred) {
            take_over(core, packet, out)?;
        }
        if core.log.current_epoch < epoch {
            adopt(core, epoch, out);
        }
        self.phase = Phase::Synchronised(epoch);
        if !early {
            self.acknowledge(now, out);
        }
        Ok(())
    }

    fn acknowledge(&mut self, now: Time, out: &mut Vec<Effect>) {
        self.endpoint.send(now, Packet::AckNewLeader, out);
        out.push(Effect::Reached(Point::ZabNewleaderAcked));
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

    pub(super) fn tell_leader(&mut self, now: Time, app: Bytes, out: &mut Vec<Effect>) -> Result<(), Refused> {
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

/// Follows one packet of the leader's history.
fn take_over(core: &mut Core, packet: Packet, out: &mut Vec<Effect>) -> Result<(), Leave> {
    match packet {
        Packet::Trunc { zxid } => truncate(core, zxid, out),
        Packet::Snap { zxid, state } => install(core, zxid, state, out),
        Packet::Diff { txns } => {
            if core.config.has(Bug::ZabLogHole) {
                txns.iter().for_each(|txn| core.log.leave_out(txn.zxid));
            }
            append(core, txns, out)
        }
        packet => leave(format!("{packet:?} is no part of a history")),
    }
}

/// The log holds the leader's history of this epoch from now on.
fn adopt(core: &mut Core, epoch: u32, out: &mut Vec<Effect>) {
    core.log.current_epoch = epoch;
    core.persist(vec![Record::CurrentEpoch(epoch)], out);
    out.push(Effect::Reached(Point::ZabEpochCurrent));
}

fn install(core: &mut Core, zxid: Zxid, state: Bytes, out: &mut Vec<Effect>) -> Result<(), Leave> {
    if zxid < core.delivered() {
        return Err(core.violation(format!("SNAP to {zxid}, but {} is delivered", core.delivered())));
    }
    core.log.install(zxid, state);
    if !core.config.has(Bug::ZabSnapMemory) {
        core.rewrite(out);
    }
    out.push(Effect::Reached(Point::ZabSnapInstalled));
    Ok(())
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
    out.push(Effect::Reached(Point::ZabTruncated));
    Ok(())
}

/// Appends as many as fit, and persists them.
fn append(core: &mut Core, txns: Vec<Txn>, out: &mut Vec<Effect>) -> Result<(), Leave> {
    let mut records = Vec::with_capacity(txns.len());
    let mut misfit = None;
    for txn in txns {
        let fits = core.log.is_next(txn.zxid) || core.config.has(Bug::ZabLogHole) && txn.zxid > core.log.last();
        if !fits {
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
