//! Transactions: what is refused before anything happens, and which operations are to be done.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::api::{
    Compare, DeleteRangeRequest, Error, KeyValue, MAX_TXN_OPS, Op, Operand, PutRequest, RangeRequest, Relation, Span,
    TxnRequest,
};
use super::mvcc::Mvcc;

/// What an operation list writes, for finding keys that would be written twice.
#[derive(Debug, Default)]
struct Written {
    puts: BTreeSet<Bytes>,
    deletes: Vec<Span>,
}

impl Written {
    fn put(&mut self, key: &Bytes) -> Result<(), Error> {
        let fresh = self.puts.insert(key.clone()) && !self.deletes.iter().any(|span| span.contains(key));
        if fresh { Ok(()) } else { Err(Error::DuplicateKey) }
    }

    fn delete(&mut self, span: &Span) -> Result<(), Error> {
        if self.puts.iter().any(|key| span.contains(key)) {
            return Err(Error::DuplicateKey);
        }
        self.deletes.push(span.clone());
        Ok(())
    }

    /// Only one branch happens, so the branches may write the same; but neither what stands beside them.
    fn either(&mut self, one: Written, other: Written) -> Result<(), Error> {
        let deletes: Vec<Span> = one.deletes.into_iter().chain(other.deletes).collect();
        let puts: BTreeSet<Bytes> = one.puts.into_iter().chain(other.puts).collect();
        if deletes.iter().any(|span| self.puts.iter().any(|key| span.contains(key))) {
            return Err(Error::DuplicateKey);
        }
        puts.iter().try_for_each(|key| self.put(key))?;
        self.deletes.extend(deletes);
        Ok(())
    }
}

/// Refuses what is wrong whatever the state is.
pub(crate) fn validate(txn: &TxnRequest) -> Result<(), Error> {
    written(txn).map(drop)
}

fn written(txn: &TxnRequest) -> Result<(Written, Written), Error> {
    if [txn.compare.len(), txn.success.len(), txn.failure.len()].iter().any(|count| *count > MAX_TXN_OPS) {
        return Err(Error::TooManyOps);
    }
    txn.compare.iter().try_for_each(|compare| validate_span(&compare.span))?;
    Ok((written_by(&txn.success)?, written_by(&txn.failure)?))
}

fn written_by(ops: &[Op]) -> Result<Written, Error> {
    let mut all = Written::default();
    for op in ops {
        match op {
            Op::Range(range) => validate_span(&range.span)?,
            Op::Put(put) => {
                validate_put(put)?;
                all.put(&put.key)?;
            }
            Op::DeleteRange(delete) => {
                validate_span(&delete.span)?;
                all.delete(&delete.span)?;
            }
            Op::Txn(inner) => {
                let (success, failure) = written(inner)?;
                all.either(success, failure)?;
            }
        }
    }
    Ok(all)
}

pub(crate) fn validate_span(span: &Span) -> Result<(), Error> {
    if span.start().is_empty() { Err(Error::EmptyKey) } else { Ok(()) }
}

pub(crate) fn validate_put(put: &PutRequest) -> Result<(), Error> {
    if put.key.is_empty() {
        Err(Error::EmptyKey)
    } else if put.ignore_value && !put.value.is_empty() {
        Err(Error::ValueProvided)
    } else if put.ignore_lease && put.lease != 0 {
        Err(Error::LeaseProvided)
    } else {
        Ok(())
    }
}

/// A transaction whose conditions were judged.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) succeeded: bool,
    pub(crate) steps: Vec<Step<'a>>,
}

/// One thing to do.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    Range(&'a RangeRequest),
    Put(&'a PutRequest),
    DeleteRange(&'a DeleteRangeRequest),
    Txn(Plan<'a>),
}

/// Judges all conditions, the nested ones too, by the state as it is.
pub(crate) fn plan<'a>(store: &Mvcc, txn: &'a TxnRequest) -> Plan<'a> {
    let succeeded = txn.compare.iter().all(|compare| holds(store, compare));
    let ops = if succeeded { &txn.success } else { &txn.failure };
    let step = |op: &'a Op| match op {
        Op::Range(range) => Step::Range(range),
        Op::Put(put) => Step::Put(put),
        Op::DeleteRange(delete) => Step::DeleteRange(delete),
        Op::Txn(inner) => Step::Txn(plan(store, inner)),
    };
    Plan { succeeded, steps: ops.iter().map(step).collect() }
}

fn holds(store: &Mvcc, compare: &Compare) -> bool {
    let mut found = store.visible(&compare.span, i64::MAX).peekable();
    if found.peek().is_some() {
        return found.all(|kv| relates(&kv, compare));
    }
    let missing =
        KeyValue { key: Bytes::new(), value: Bytes::new(), create_revision: 0, mod_revision: 0, version: 0, lease: 0 };
    !matches!(compare.operand, Operand::Value(_)) && relates(&missing, compare)
}

fn relates(kv: &KeyValue, compare: &Compare) -> bool {
    let ordering = match &compare.operand {
        Operand::Version(version) => kv.version.cmp(version),
        Operand::Create(revision) => kv.create_revision.cmp(revision),
        Operand::Mod(revision) => kv.mod_revision.cmp(revision),
        Operand::Value(value) => kv.value.cmp(value),
        Operand::Lease(lease) => kv.lease.cmp(lease),
    };
    match compare.relation {
        Relation::Equal => ordering.is_eq(),
        Relation::NotEqual => ordering.is_ne(),
        Relation::Greater => ordering.is_gt(),
        Relation::Less => ordering.is_lt(),
    }
}
