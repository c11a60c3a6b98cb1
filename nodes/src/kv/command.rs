//! What stands in the replicated log, and how it is applied only once.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::api::{DeleteRangeRequest, PutRequest, TxnRequest};
use crate::replica::NodeId;

/// A request's number. No two requests ever share one, because the life of a replica is durable before it says
/// anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RequestId {
    /// The replica that a client asked.
    pub(crate) node: NodeId,
    /// In which life of that replica.
    pub(crate) life: u64,
    /// The how-many-eth of that life, from 1.
    pub(crate) seq: u64,
}

/// An entry of the replicated log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Command {
    pub(crate) id: RequestId,
    pub(crate) operation: Operation,
}

/// A change of the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Operation {
    Put(PutRequest),
    DeleteRange(DeleteRangeRequest),
    Txn(TxnRequest),
    Compact { revision: i64 },
    LeaseGrant { id: i64, ttl: i64 },
    LeaseRevoke { id: i64 },
}

impl Command {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).expect("a command has nothing that cannot be encoded").into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

/// How many requests of one replica may be applied out of order before the oldest gaps are given up.
const WINDOW: usize = 1024;

/// Which requests were applied. The network may repeat a proposal on its way to the leader; then the log has it
/// twice, and the second is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Applied {
    lives: BTreeMap<NodeId, Life>,
}

/// The requests of one replica's newest life.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Life {
    life: u64,
    /// All up to this one were applied or never will be.
    floor: u64,
    /// Those above the floor that were applied.
    above: BTreeSet<u64>,
}

impl Applied {
    /// Notes a request; false if it must not be applied (again).
    pub(crate) fn first_time(&mut self, id: RequestId) -> bool {
        let life = self.lives.entry(id.node).or_default();
        if id.life > life.life {
            *life = Life { life: id.life, ..Life::default() };
        }
        // Of an earlier life nobody waits any more.
        if id.life < life.life || id.seq <= life.floor || !life.above.insert(id.seq) {
            return false;
        }
        if life.above.len() > WINDOW
            && let Some(oldest) = life.above.pop_first()
        {
            life.floor = oldest;
        }
        while life.above.remove(&(life.floor + 1)) {
            life.floor += 1;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(life: u64, seq: u64) -> RequestId {
        RequestId { node: NodeId(1), life, seq }
    }

    #[test]
    fn a_request_is_applied_once_in_whatever_order_it_comes() {
        let mut applied = Applied::default();
        for (life, seq, first) in [
            (1, 1, true),
            (1, 1, false),
            (1, 4, true),
            (1, 3, true),
            (1, 4, false),
            (1, 2, true),
            (1, 3, false),
            (1, 5, true),
            (2, 1, true),
            (1, 6, false),
            (2, 1, false),
        ] {
            assert_eq!(applied.first_time(id(life, seq)), first, "life {life}, request {seq}");
        }
    }

    #[test]
    fn gaps_do_not_pile_up() {
        let mut applied = Applied::default();
        for seq in (2..10_000).step_by(2) {
            assert!(applied.first_time(id(1, seq)), "request {seq}");
        }
        assert!(applied.lives[&NodeId(1)].above.len() <= WINDOW);
        assert!(!applied.first_time(id(1, 3)), "its gap was given up");
        assert!(applied.first_time(id(1, 9_997)), "its gap is young");
    }
}
