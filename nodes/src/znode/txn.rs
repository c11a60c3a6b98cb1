//! Transactions and the state they build.
//!
//! What is broadcast is the *request*, stamped with a time by the leader. Every server applies it to the same state
//! and finds the same result, a refusal included; so a refused write has a zxid too, as in ZooKeeper.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use super::op::{Answer, CreateAnswer, EventKind, NodeOp, Write};
use super::session::{Session, SessionId};
use super::tree::Tree;
use crate::replica::NodeId;

/// Where a request came in: who has to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) node: NodeId,
    /// Tells this life of the server from others, whose tickets are the same.
    pub(crate) life: u64,
    pub(crate) ticket: u64,
}

/// A request in the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Txn {
    /// None if the leader asks on its own account: to end a session that has expired.
    pub(crate) origin: Option<Origin>,
    pub(crate) session: SessionId,
    /// The leader's clock, milliseconds since 1970.
    pub(crate) time_ms: i64,
    pub(crate) write: Write,
}

impl Txn {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("a transaction has no unserialisable part").into()
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Txn, postcard::Error> {
        postcard::from_bytes(payload)
    }
}

/// Where a transaction came from, as far as its server can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Replay {
    /// It is applied for the first time, or as if it were.
    No,
    /// It is replayed from the own log, and the planted bug `zab-ephemeral-replay` is on.
    KeepsEphemerals,
}

/// What a transaction did.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) result: Result<Answer, ErrorCode>,
    /// What watchers are told, in order.
    pub(crate) changes: Vec<Change>,
}

/// Something that watchers may have waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: EventKind,
    pub(crate) path: String,
}

/// All that the log has built: the tree and the sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) tree: Tree,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// The last transaction applied.
    pub(crate) zxid: i64,
}

impl State {
    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_stdvec(self).expect("the state has no unserialisable part").into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<State, postcard::Error> {
        postcard::from_bytes(bytes)
    }

    /// A digest of the tree, the sessions and the last zxid: equal states have equal ones.
    pub(crate) fn digest(&self) -> u64 {
        digest(&self.encode())
    }

    /// Applies the transaction of this zxid.
    pub(crate) fn apply(&mut self, zxid: i64, txn: &Txn, replay: Replay) -> Applied {
        self.zxid = zxid;
        let mut changes = Vec::new();
        let result = match &txn.write {
            Write::OpenSession { password, timeout_ms } => {
                self.open(txn.session, Session { password: *password, timeout_ms: *timeout_ms })
            }
            _ if !self.sessions.contains_key(&txn.session) => Err(ErrorCode::SessionExpired),
            Write::CloseSession => {
                self.sessions.remove(&txn.session);
                if replay == Replay::No {
                    let paths = self.tree.end_session(zxid, txn.session);
                    changes.extend(paths.into_iter().map(|path| Change { kind: EventKind::Deleted, path }));
                }
                Ok(Answer::Done)
            }
            Write::Node(op) => apply_op(&mut self.tree, zxid, txn, op, &mut changes),
            Write::Multi(ops) => Ok(self.apply_multi(zxid, txn, ops, &mut changes)),
        };
        Applied { result, changes }
    }

    /// The state when a multi is done with half of its operations, in which it claims the multi's zxid already.
    pub(crate) fn halfway(&self, zxid: i64, txn: &Txn) -> State {
        let mut state = self.clone();
        if let Write::Multi(ops) = &txn.write {
            let half = Write::Multi(ops[..ops.len() / 2].to_vec());
            state.apply(zxid, &Txn { write: half, ..txn.clone() }, Replay::No);
        }
        state
    }

    fn open(&mut self, id: SessionId, session: Session) -> Result<Answer, ErrorCode> {
        // Two servers never draw the same number, and one does only if its clock was set back across a restart.
        if self.sessions.contains_key(&id) {
            return Err(ErrorCode::SessionMoved);
        }
        self.sessions.insert(id, session);
        Ok(Answer::Done)
    }

    fn apply_multi(&mut self, zxid: i64, txn: &Txn, ops: &[NodeOp], changes: &mut Vec<Change>) -> Answer {
        let mut done = Vec::new();
        let result = self.tree.atomically(|tree| {
            for op in ops {
                done.push(apply_op(tree, zxid, txn, op, changes)?);
            }
            Ok(())
        });
        match result {
            Ok(()) => Answer::Multi(done),
            Err(error) => {
                changes.clear();
                let untried = ops.len() - done.len() - 1;
                let mut steps = vec![None; done.len()];
                steps.push(Some(error));
                steps.extend(vec![Some(ErrorCode::RuntimeInconsistency); untried]);
                Answer::MultiFailed(steps)
            }
        }
    }
}

fn apply_op(
    tree: &mut Tree,
    zxid: i64,
    txn: &Txn,
    op: &NodeOp,
    changes: &mut Vec<Change>,
) -> Result<Answer, ErrorCode> {
    match op {
        NodeOp::Create(create) => {
            let (path, stat) = tree.create(zxid, txn.time_ms, txn.session, create)?;
            changes.push(Change { kind: EventKind::Created, path: path.clone() });
            Ok(match create.answer {
                CreateAnswer::Path => Answer::Path(path),
                CreateAnswer::PathAndStat => Answer::PathAndStat(path, stat),
            })
        }
        NodeOp::Delete { path, version } => {
            tree.delete(zxid, path, *version)?;
            changes.push(Change { kind: EventKind::Deleted, path: path.clone() });
            Ok(Answer::Deleted)
        }
        NodeOp::SetData { path, data, version } => {
            let stat = tree.set_data(zxid, txn.time_ms, path, data.clone(), *version)?;
            changes.push(Change { kind: EventKind::DataChanged, path: path.clone() });
            Ok(Answer::Stat(stat))
        }
        NodeOp::SetAcl { path, acl, version } => tree.set_acl(path, acl.clone(), *version).map(Answer::Stat),
        NodeOp::Check { path, version } => tree.check(path, *version).map(|()| Answer::Checked),
    }
}

/// FNV-1a, 64 bits: short, fixed, and good enough to tell states apart that should be equal.
pub(crate) fn digest(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
