//! The state machine: keys, leases, and which requests were applied. The same commands give the same state.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::api::{
    DeleteRangeRequest, DeleteRangeResponse, Error, MAX_LEASE_TTL, OpResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, Response, Span, TxnRequest, TxnResponse,
};
use super::command::{Applied, Command, Operation};
use super::lease::Leases;
use super::mvcc::{Change, Mvcc};
use super::txn::{self, Plan, Step};

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    store: Mvcc,
    leases: Leases,
    applied: Applied,
}

impl State {
    /// The number of the last transaction that changed a key; 1 at first.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.store.revision()
    }

    pub(crate) fn leases(&self) -> &Leases {
        &self.leases
    }

    pub(crate) fn encode(&self) -> Bytes {
        postcard::to_allocvec(self).expect("the state has nothing that cannot be encoded").into()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }

    /// Applies a command; none if it was applied before.
    pub(crate) fn apply(&mut self, command: &Command) -> Option<Result<Response, Error>> {
        self.applied.first_time(command.id).then(|| self.execute(&command.operation))
    }

    pub(crate) fn execute(&mut self, operation: &Operation) -> Result<Response, Error> {
        match operation {
            Operation::Put(put) => {
                self.check_put(put)?;
                Ok(Response::Put(self.change(|state, change| state.put(change, put))))
            }
            Operation::DeleteRange(delete) => {
                Ok(Response::DeleteRange(self.change(|state, change| state.delete(change, delete))))
            }
            Operation::Txn(request) => self.txn(request).map(Response::Txn),
            Operation::Compact { revision } => self.store.compact(*revision).map(|()| Response::Compact),
            Operation::LeaseGrant { id, ttl } => self.grant(*id, *ttl),
            Operation::LeaseRevoke { id } => self.revoke(*id),
        }
    }

    /// All changes of the closure get one revision.
    fn change<T>(&mut self, run: impl FnOnce(&mut Self, &mut Change) -> T) -> T {
        let mut change = self.store.begin();
        let result = run(self, &mut change);
        self.store.commit(change);
        result
    }

    fn check_put(&self, put: &PutRequest) -> Result<(), Error> {
        if (put.ignore_value || put.ignore_lease) && self.store.get(&put.key).is_none() {
            return Err(Error::KeyNotFound);
        }
        if put.lease != 0 && self.leases.get(put.lease).is_none() {
            return Err(Error::LeaseNotFound);
        }
        Ok(())
    }

    fn put(&mut self, change: &mut Change, put: &PutRequest) -> PutResponse {
        let present = self.store.get(&put.key);
        let (mut value, mut lease) = (put.value.clone(), put.lease);
        if let Some(present) = &present {
            if put.ignore_value {
                value = present.value.clone();
            }
            if put.ignore_lease {
                lease = present.lease;
            }
        }
        self.store.put(change, &put.key, present.as_ref(), value, lease);
        self.leases.attach(&put.key, present.as_ref().map_or(0, |kv| kv.lease), lease);
        PutResponse { prev_kv: present.filter(|_| put.prev_kv) }
    }

    fn delete(&mut self, change: &mut Change, delete: &DeleteRangeRequest) -> DeleteRangeResponse {
        let gone = self.store.delete(change, &delete.span);
        for kv in &gone {
            self.leases.detach(&kv.key, kv.lease);
        }
        let deleted = i64::try_from(gone.len()).expect("a count of things in memory fits");
        DeleteRangeResponse { deleted, prev_kvs: if delete.prev_kv { gone } else { Vec::new() } }
    }

    fn grant(&mut self, id: i64, ttl: i64) -> Result<Response, Error> {
        if ttl > MAX_LEASE_TTL {
            Err(Error::LeaseTtlTooLarge)
        } else if self.leases.grant(id, ttl) {
            Ok(Response::LeaseGrant { id, ttl })
        } else {
            Err(Error::LeaseExists)
        }
    }

    /// Ends a lease and deletes its keys at one revision.
    fn revoke(&mut self, id: i64) -> Result<Response, Error> {
        let lease = self.leases.remove(id).ok_or(Error::LeaseNotFound)?;
        self.change(|state, change| {
            for key in lease.keys {
                state.store.delete(change, &Span::Key(key));
            }
        });
        Ok(Response::LeaseRevoke)
    }

    /// Reads.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Error> {
        self.store.range(request)
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Error> {
        let plan = txn::plan(&self.store, request);
        self.check_plan(&plan)?;
        self.change(|state, change| state.run(change, plan))
    }

    /// A transaction that writes nothing.
    pub(crate) fn read_txn(&self, request: &TxnRequest) -> Result<TxnResponse, Error> {
        self.look(&txn::plan(&self.store, request))
    }

    fn look(&self, plan: &Plan<'_>) -> Result<TxnResponse, Error> {
        let answer = |step: &Step<'_>| match step {
            Step::Range(range) => Some(self.range(range).map(OpResponse::Range)),
            Step::Txn(inner) => Some(self.look(inner).map(OpResponse::Txn)),
            Step::Put(_) | Step::DeleteRange(_) => None,
        };
        let responses = plan.steps.iter().filter_map(answer).collect::<Result<_, _>>()?;
        Ok(TxnResponse { succeeded: plan.succeeded, responses })
    }

    /// Refuses a plan of which a step cannot be done, before any of it is.
    fn check_plan(&self, plan: &Plan<'_>) -> Result<(), Error> {
        plan.steps.iter().try_for_each(|step| match step {
            Step::Range(range) => self.store.check_revision(range.revision),
            Step::Put(put) => self.check_put(put),
            Step::DeleteRange(_) => Ok(()),
            Step::Txn(inner) => self.check_plan(inner),
        })
    }

    fn run(&mut self, change: &mut Change, plan: Plan<'_>) -> Result<TxnResponse, Error> {
        let mut responses = Vec::with_capacity(plan.steps.len());
        for step in plan.steps {
            responses.push(match step {
                Step::Range(range) => OpResponse::Range(self.range(range)?),
                Step::Put(put) => OpResponse::Put(self.put(change, put)),
                Step::DeleteRange(delete) => OpResponse::DeleteRange(self.delete(change, delete)),
                Step::Txn(inner) => OpResponse::Txn(self.run(change, inner)?),
            });
        }
        Ok(TxnResponse { succeeded: plan.succeeded, responses })
    }
}
