//! The leader's side: its links, and where each follower stands. The phases are in [`discovery`](super::discovery),
//! [`synchronisation`](super::synchronisation) and [`broadcast`](super::broadcast).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::core::{Core, Leave, leave};
use super::link::{Endpoint, refuse};
use super::message::{Body, Frame, Nonce, Packet, Summary, Vote};
use super::{Effect, Link, Zxid};
use crate::replica::{NodeId, Time};

/// How far the leader has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It waits for a quorum of FOLLOWERINFO, to choose an epoch that is new to all of them.
    Discovery,
    /// It waits for a quorum of ACKEPOCH.
    Promise(u32),
    /// It waits for a quorum to hold its history.
    Synchronisation(u32),
    /// Established.
    Broadcast(u32),
}

/// How far one follower has come.
#[derive(Debug)]
pub(super) enum Stage {
    /// FOLLOWERINFO has arrived.
    Connected,
    /// LEADERINFO is sent.
    Invited,
    /// ACKEPOCH has arrived; it waits until a quorum has promised.
    Promised(Summary),
    /// It was sent the history up to this transaction, and proposals behind it.
    Synchronising(Zxid),
    /// It holds the history; the leader is not established yet.
    Synchronised(Zxid),
    /// In step; all up to this transaction is durable there.
    InStep(Zxid),
}

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) endpoint: Endpoint,
    pub(super) stage: Stage,
    number: u64,
    /// The last heartbeat it has answered.
    pub(super) beat: u64,
}

#[derive(Debug)]
pub(super) struct Leader {
    pub(super) vote: Vote,
    pub(super) phase: Phase,
    pub(super) links: BTreeMap<NodeId, Peer>,
    /// The number of each peer's last link: older ones do not come back.
    opened: BTreeMap<NodeId, Nonce>,
    /// The accepted epochs that FOLLOWERINFO told.
    pub(super) infos: BTreeMap<NodeId, u32>,
    /// Who has promised to obey no older epoch.
    pub(super) promises: BTreeSet<NodeId>,
    heard: BTreeMap<NodeId, Time>,
    since: Time,
    /// Own writes that are not durable yet: the number of the write, and how far the history reaches with it.
    pub(super) writing: VecDeque<(u64, Zxid)>,
    /// How far the own history is durable, once it is this epoch's.
    pub(super) durable: Option<Zxid>,
    pub(super) committed: Zxid,
    pub(super) counter: u32,
    pub(super) beat: u64,
    /// Barriers: the heartbeat that a quorum must have answered, and the caller's token.
    pub(super) barriers: VecDeque<(u64, u64)>,
}

impl Leader {
    pub(super) fn start(core: &mut Core, now: Time, vote: Vote, out: &mut Vec<Effect>) -> Result<Self, Leave> {
        let mut leader = Leader {
            vote,
            phase: Phase::Discovery,
            links: BTreeMap::new(),
            opened: BTreeMap::new(),
            infos: BTreeMap::new(),
            promises: BTreeSet::new(),
            heard: core.others().map(|peer| (peer, now)).collect(),
            since: now,
            writing: VecDeque::new(),
            durable: None,
            committed: core.delivered(),
            counter: 0,
            beat: 0,
            barriers: VecDeque::new(),
        };
        leader.hear_info(core, now, core.config.id, core.log.accepted_epoch, out)?;
        Ok(leader)
    }

    /// A frame towards this leader, of whichever link.
    pub(super) fn hear(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        frame: Frame,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        if frame.leader.is_none() {
            return self.hear_unanswered(core, now, from, frame, out);
        }
        let Some(peer) = self.links.get_mut(&from).filter(|peer| peer.endpoint.accepts(&frame)) else {
            refuse(from, &frame, out);
            return Ok(());
        };
        match frame.body {
            Body::Close => {
                self.links.remove(&from);
                return Ok(());
            }
            Body::Ping { beat } => peer.beat = peer.beat.max(beat),
            Body::Packet { .. } => {}
        }
        peer.endpoint.receive(now, frame);
        self.heard.insert(from, now);
        self.confirm(core, out);
        while let Some(packet) = self.links.get_mut(&from).and_then(|peer| peer.endpoint.next()) {
            if let Err(Misfit(why)) = self.obey(core, now, from, packet, out)? {
                tracing::warn!("link from {from} closed: {why}");
                self.drop_link(from, out);
            }
        }
        Ok(())
    }

    /// A frame of a follower that has not heard this leader yet. Its first packet opens the link.
    fn hear_unanswered(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        frame: Frame,
        out: &mut Vec<Effect>,
    ) -> Result<(), Leave> {
        if self.opened.get(&from).is_some_and(|last| *last >= frame.follower) {
            return Ok(());
        }
        let Body::Packet { number: 0, packet: Packet::FollowerInfo { accepted_epoch } } = &frame.body else {
            return Ok(());
        };
        let accepted_epoch = *accepted_epoch;
        self.opened.insert(from, frame.follower);
        let nonce = core.nonce();
        let mut endpoint = Endpoint::to_follower(now, from, frame.follower, nonce);
        endpoint.receive(now, Frame { leader: Some(nonce), ..frame });
        endpoint.next();
        endpoint.ping(self.beat, out);
        self.links.insert(from, Peer { endpoint, stage: Stage::Connected, number: nonce.count, beat: 0 });
        self.hear_info(core, now, from, accepted_epoch, out)
    }

    fn obey(
        &mut self,
        core: &mut Core,
        now: Time,
        from: NodeId,
        packet: Packet,
        out: &mut Vec<Effect>,
    ) -> Result<Result<(), Misfit>, Leave> {
        let Some(peer) = self.links.get_mut(&from) else { return Ok(Ok(())) };
        match (&mut peer.stage, packet) {
            (Stage::Invited, Packet::AckEpoch { counts, current_epoch, summary }) => {
                self.hear_promise(core, now, from, counts, current_epoch, summary, out)?;
            }
            (Stage::Synchronising(through), Packet::AckNewLeader) => {
                peer.stage = Stage::Synchronised(*through);
                self.hear_synchronised(core, now, out);
            }
            // A follower that is far behind acknowledges what a snapshot has replaced here meanwhile.
            (Stage::InStep(acked), Packet::Ack { zxid }) if zxid > *acked && core.log.held(zxid) => {
                *acked = zxid;
                self.advance(core, now, out);
            }
            (Stage::InStep(_), Packet::App(app)) => {
                out.push(Effect::FromFollower { link: Link { follower: from, number: peer.number }, app });
            }
            (stage, packet) => return Ok(Err(Misfit(format!("{packet:?} does not fit into {stage:?}")))),
        }
        Ok(Ok(()))
    }

    /// Half a tick has passed.
    pub(super) fn beat(&mut self, core: &mut Core, now: Time, out: &mut Vec<Effect>) -> Result<(), Leave> {
        let limit = core.config.tick * core.config.sync_limit;
        let mut silence: Vec<Time> = self.heard.values().map(|heard| now.saturating_sub(*heard)).collect();
        silence.sort_unstable();
        if core.quorum() > 1 && silence[core.quorum() - 2] > limit {
            return leave("no quorum of followers is heard");
        }
        let established = matches!(self.phase, Phase::Broadcast(_));
        if !established && now > self.since + core.config.tick * core.config.init_limit {
            return leave("discovery and synchronisation took too long");
        }
        let dead: Vec<NodeId> =
            self.links.iter().filter(|(_, p)| p.endpoint.is_dead(now, &core.config)).map(|(id, _)| *id).collect();
        for id in dead {
            self.drop_link(id, out);
        }
        self.beat += 1;
        for peer in self.links.values_mut() {
            peer.endpoint.ping(self.beat, out);
            peer.endpoint.repeat(now, &core.config, out);
        }
        Ok(())
    }

    pub(super) fn drop_link(&mut self, id: NodeId, out: &mut Vec<Effect>) {
        if let Some(peer) = self.links.remove(&id) {
            peer.endpoint.close(out);
        }
    }

    /// Gives all links up.
    pub(super) fn close(&self, out: &mut Vec<Effect>) {
        for peer in self.links.values() {
            peer.endpoint.close(out);
        }
    }

    /// The link, if it is open and in step.
    pub(super) fn in_step(&mut self, link: Link) -> Option<&mut Peer> {
        self.links
            .get_mut(&link.follower)
            .filter(|peer| peer.number == link.number && matches!(peer.stage, Stage::InStep(_)))
    }

    /// All links in step.
    pub(super) fn followers(&self) -> Vec<Link> {
        let in_step = self.links.iter().filter(|(_, peer)| matches!(peer.stage, Stage::InStep(_)));
        in_step.map(|(id, peer)| Link { follower: *id, number: peer.number }).collect()
    }
}

/// A packet at the wrong time, or with a wrong content: the link ends.
struct Misfit(String);
