//! What a peer keeps while its role changes.

use std::collections::BTreeMap;

use super::log::Log;
use super::message::{Message, Nonce, Notification, Standing, Vote};
use super::{Config, Effect, Record, Status, Zxid};
use crate::bugs::Bug;
use crate::replica::NodeId;

/// Why a peer leaves its role and looks for a leader.
#[derive(Debug)]
pub(super) struct Leave(pub(super) String);

pub(super) fn leave<T>(why: impl Into<String>) -> Result<T, Leave> {
    Err(Leave(why.into()))
}

#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) log: Log,
    /// The election round (FLE's logical clock).
    pub(super) round: u64,
    /// The highest epoch heard of; a hint, for safety rests on what a quorum accepted.
    pub(super) highest_epoch: u32,
    nonces: u64,
    writes: u64,
    pub(super) durable: u64,
    delivered: Zxid,
    status: Status,
    /// The last notification of each peer: older ones say nothing any more.
    notified: BTreeMap<NodeId, Nonce>,
    broken: Option<String>,
}

impl Core {
    pub(super) fn new(config: Config, log: Log) -> Self {
        Core {
            config,
            log,
            round: 0,
            highest_epoch: 0,
            nonces: 0,
            writes: 0,
            durable: 0,
            delivered: Zxid::ZERO,
            status: Status::Looking,
            notified: BTreeMap::new(),
            broken: None,
        }
    }

    pub(super) fn quorum(&self) -> usize {
        self.config.peers.len() / 2 + 1
    }

    /// The other voting peers.
    pub(super) fn others(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.config.peers.iter().copied().filter(|peer| *peer != self.config.id)
    }

    /// A number that no life of this peer has used or will use: the life is durable before anything is sent.
    pub(super) fn nonce(&mut self) -> Nonce {
        self.nonces += 1;
        Nonce { life: self.log.life, count: self.nonces }
    }

    /// Pushes a write and returns its number, for [`Core::durable`].
    pub(super) fn persist(&mut self, records: Vec<Record>, out: &mut Vec<Effect>) -> u64 {
        out.push(Effect::Persist(records));
        self.writes += 1;
        self.writes
    }

    pub(super) fn rewrite(&mut self, out: &mut Vec<Effect>) {
        out.push(Effect::Rewrite(self.log.records()));
        self.writes += 1;
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    pub(super) fn set_status(&mut self, status: Status, out: &mut Vec<Effect>) {
        if self.status != status {
            self.status = status;
            out.push(Effect::Status(status));
        }
    }

    pub(super) fn delivered(&self) -> Zxid {
        self.delivered
    }

    /// Delivers all that is committed: the log up to `through`, from the snapshot on if it is ahead.
    pub(super) fn deliver(&mut self, through: Zxid, out: &mut Vec<Effect>) {
        if let Some((zxid, state)) = self.log.snapshot()
            && *zxid > self.delivered
        {
            self.delivered = *zxid;
            out.push(Effect::Restore { zxid: *zxid, state: state.clone() });
        }
        for txn in self.log.after(self.delivered).take_while(|txn| txn.zxid <= through) {
            let replayed = self.log.is_recovered(txn.zxid);
            out.push(Effect::Deliver { zxid: txn.zxid, payload: txn.payload.clone(), replayed });
            self.delivered = txn.zxid;
        }
    }

    /// The first transaction that is not delivered: the head of the queue that commits must follow.
    pub(super) fn head(&self) -> Option<Zxid> {
        self.log.after(self.delivered).next().map(|txn| txn.zxid)
    }

    /// This peer's vote for itself.
    pub(super) fn own_vote(&self) -> Vote {
        Vote { epoch: self.log.current_epoch, zxid: self.log.last(), leader: self.config.id }
    }

    pub(super) fn notify(&mut self, to: NodeId, standing: Standing, vote: Vote, out: &mut Vec<Effect>) {
        let notification = Notification { nonce: self.nonce(), round: self.round, standing, vote };
        out.push(Effect::Send { to, message: Message::Notification(notification) });
    }

    /// False if the sender has said something newer already.
    pub(super) fn is_news(&mut self, from: NodeId, notification: &Notification) -> bool {
        let last = self.notified.entry(from).or_insert(Nonce { life: 0, count: 0 });
        let news = notification.nonce > *last;
        *last = notification.nonce.max(*last);
        news
    }

    /// Takes down that the protocol itself was broken. The first time counts.
    pub(super) fn violation(&mut self, what: String) -> Leave {
        self.broken.get_or_insert(what.clone());
        Leave(what)
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if let Some(what) = &self.broken {
            return Err(what.clone());
        }
        let Log { accepted_epoch, current_epoch, .. } = self.log;
        if current_epoch > accepted_epoch && !self.config.has(Bug::ZabForgetAccepted) {
            return Err(format!("current epoch {current_epoch} is above the accepted epoch {accepted_epoch}"));
        }
        if self.delivered > self.log.last() {
            return Err(format!("delivered {} but the log ends at {}", self.delivered, self.log.last()));
        }
        Ok(())
    }
}
