//! What clients may ask of the key-value store and what they are told: the etcd v3 subset as plain types.
//!
//! Nothing here knows gRPC; a front end translates. The texts of [`Error`] are those that etcd's clients know.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::raft::Role;
use crate::replica::NodeId;

/// The most operations or comparisons in one list of a transaction, as in etcd.
pub const MAX_TXN_OPS: usize = 128;
/// The largest request that is accepted, in encoded bytes, as in etcd.
pub const MAX_REQUEST_BYTES: usize = 1_572_864;
/// The longest time to live of a lease, in seconds, as in etcd.
pub const MAX_LEASE_TTL: i64 = 9_000_000_000;

/// The keys that an operation is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Span {
    /// One key.
    Key(Bytes),
    /// All keys from the first, inclusive, to the second, exclusive. Empty if they are not in order.
    Range(Bytes, Bytes),
    /// All keys from this one on.
    From(Bytes),
}

impl Span {
    /// Reads etcd's pair of `key` and `range_end`: an empty end means one key, a zero byte means "and all after it".
    #[must_use]
    pub fn from_wire(key: Bytes, range_end: Bytes) -> Self {
        match range_end.as_ref() {
            [] => Span::Key(key),
            [0] => Span::From(key),
            _ => Span::Range(key, range_end),
        }
    }

    /// The first key of the span.
    #[must_use]
    pub fn start(&self) -> &Bytes {
        match self {
            Span::Key(key) | Span::Range(key, _) | Span::From(key) => key,
        }
    }

    /// Whether the key lies in the span.
    #[must_use]
    pub fn contains(&self, key: &[u8]) -> bool {
        match self {
            Span::Key(one) => key == one.as_ref(),
            Span::Range(start, end) => key >= start.as_ref() && key < end.as_ref(),
            Span::From(start) => key >= start.as_ref(),
        }
    }
}

/// A key as a read sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value; empty if only keys were asked for.
    pub value: Bytes,
    /// The revision at which the key came into being (after its last deletion).
    pub create_revision: i64,
    /// The revision of its last change.
    pub mod_revision: i64,
    /// How often it was written since it came into being, from 1.
    pub version: i64,
    /// The lease it hangs on, 0 for none.
    pub lease: i64,
}

/// The order of a read's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortOrder {
    /// By key, ascending.
    #[default]
    None,
    /// From low to high.
    Ascend,
    /// From high to low.
    Descend,
}

/// What a read's answer is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SortTarget {
    /// The key.
    #[default]
    Key,
    /// The number of writes.
    Version,
    /// The create revision.
    Create,
    /// The revision of the last change.
    Mod,
    /// The value.
    Value,
}

/// How much of each key a read wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Projection {
    /// Keys and values.
    #[default]
    Full,
    /// Keys without their values.
    KeysOnly,
    /// Only how many there are.
    CountOnly,
}

/// How fresh a read has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Consistency {
    /// It sees every write that was answered before the read began.
    #[default]
    Linearizable,
    /// It sees what this replica happens to have applied.
    Serializable,
}

/// A read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RangeRequest {
    /// Which keys.
    pub span: Span,
    /// The most keys to return, 0 for all.
    pub limit: i64,
    /// The revision to read at, 0 or less for the newest.
    pub revision: i64,
    /// How fresh; inside a transaction it has no meaning.
    pub consistency: Consistency,
    /// How much of each key.
    pub projection: Projection,
    /// In which order.
    pub order: SortOrder,
    /// Ordered by what.
    pub target: SortTarget,
}

impl RangeRequest {
    /// A linearizable read of all of these keys, now.
    #[must_use]
    pub fn new(span: Span) -> Self {
        RangeRequest {
            span,
            limit: 0,
            revision: 0,
            consistency: Consistency::default(),
            projection: Projection::default(),
            order: SortOrder::default(),
            target: SortTarget::default(),
        }
    }
}

/// A write of one key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PutRequest {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// The lease to hang it on, 0 for none.
    pub lease: i64,
    /// Return what was there before.
    pub prev_kv: bool,
    /// Keep the present value; the request must bring none.
    pub ignore_value: bool,
    /// Keep the present lease; the request must bring none.
    pub ignore_lease: bool,
}

impl PutRequest {
    /// A plain write.
    #[must_use]
    pub fn new(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        PutRequest {
            key: key.into(),
            value: value.into(),
            lease: 0,
            prev_kv: false,
            ignore_value: false,
            ignore_lease: false,
        }
    }
}

/// A deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeleteRangeRequest {
    /// Which keys.
    pub span: Span,
    /// Return what was there before.
    pub prev_kv: bool,
}

/// How a comparison's two sides must relate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Relation {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// The stored side is greater.
    Greater,
    /// The stored side is less.
    Less,
}

/// What a comparison looks at, with the value to compare to. A missing key has zeroes, and no value at all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operand {
    /// The number of writes since creation.
    Version(i64),
    /// The create revision.
    Create(i64),
    /// The revision of the last change.
    Mod(i64),
    /// The value; never holds for a missing key.
    Value(Bytes),
    /// The lease.
    Lease(i64),
}

/// One condition of a transaction. With more than one key, it must hold for each of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compare {
    /// Which keys.
    pub span: Span,
    /// How they must relate.
    pub relation: Relation,
    /// To what.
    pub operand: Operand,
}

/// One operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// A read; it sees what earlier operations of the transaction wrote.
    Range(RangeRequest),
    /// A write.
    Put(PutRequest),
    /// A deletion.
    DeleteRange(DeleteRangeRequest),
    /// A transaction within; its conditions are judged by the state before the outermost one.
    Txn(TxnRequest),
}

/// If all comparisons hold, the first list, otherwise the second; at one revision.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TxnRequest {
    /// The conditions.
    pub compare: Vec<Compare>,
    /// What is done if all hold.
    pub success: Vec<Op>,
    /// What is done otherwise.
    pub failure: Vec<Op>,
}

impl TxnRequest {
    /// Whether no branch writes anything.
    #[must_use]
    pub fn is_read_only(&self) -> bool {
        self.success.iter().chain(&self.failure).all(|op| match op {
            Op::Range(_) => true,
            Op::Txn(inner) => inner.is_read_only(),
            Op::Put(_) | Op::DeleteRange(_) => false,
        })
    }
}

/// What a client may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Read keys.
    Range(RangeRequest),
    /// Write a key.
    Put(PutRequest),
    /// Delete keys.
    DeleteRange(DeleteRangeRequest),
    /// Compare, then do.
    Txn(TxnRequest),
    /// Forget what was superseded at or before this revision.
    Compact {
        /// The oldest revision that can still be read afterwards.
        revision: i64,
    },
    /// Make a lease.
    LeaseGrant {
        /// Its number, 0 to have one chosen.
        id: i64,
        /// Seconds to live.
        ttl: i64,
    },
    /// End a lease and delete its keys.
    LeaseRevoke {
        /// Its number.
        id: i64,
    },
    /// Let a lease live for another full time.
    LeaseKeepAlive {
        /// Its number.
        id: i64,
    },
    /// How long a lease still has.
    LeaseTimeToLive {
        /// Its number.
        id: i64,
        /// Return its keys too.
        keys: bool,
    },
    /// All leases.
    Leases,
    /// How this replica does; answered from what it knows itself.
    Status,
}

/// What every answer carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who answers.
    pub member: NodeId,
    /// The store's revision when the answer was made.
    pub revision: i64,
    /// The Raft term of the one who answers.
    pub term: u64,
}

/// The answer to a read.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RangeResponse {
    /// The keys, in the order asked for.
    pub kvs: Vec<KeyValue>,
    /// Whether the limit held keys back.
    pub more: bool,
    /// How many keys lie in the span, whatever the limit.
    pub count: i64,
}

/// The answer to a write.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PutResponse {
    /// What was there before, if it was asked for and there was something.
    pub prev_kv: Option<KeyValue>,
}

/// The answer to a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeleteRangeResponse {
    /// How many keys were deleted.
    pub deleted: i64,
    /// What was there before, if it was asked for.
    pub prev_kvs: Vec<KeyValue>,
}

/// The answer to one operation of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OpResponse {
    /// To a read.
    Range(RangeResponse),
    /// To a write.
    Put(PutResponse),
    /// To a deletion.
    DeleteRange(DeleteRangeResponse),
    /// To a transaction within.
    Txn(TxnResponse),
}

/// The answer to a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TxnResponse {
    /// Whether all conditions held.
    pub succeeded: bool,
    /// The answers of the branch that was taken, in order.
    pub responses: Vec<OpResponse>,
}

/// How a replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Its role in the consensus.
    pub role: Role,
    /// The leader it knows.
    pub leader: Option<NodeId>,
    /// Its term.
    pub term: u64,
    /// The last index of its log.
    pub last_index: u64,
    /// The last index it knows to be committed.
    pub commit_index: u64,
    /// The last index it applied.
    pub applied_index: u64,
    /// The store's revision.
    pub revision: i64,
}

/// What a request that worked is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Response {
    /// To [`Request::Range`].
    Range(RangeResponse),
    /// To [`Request::Put`].
    Put(PutResponse),
    /// To [`Request::DeleteRange`].
    DeleteRange(DeleteRangeResponse),
    /// To [`Request::Txn`].
    Txn(TxnResponse),
    /// To [`Request::Compact`].
    Compact,
    /// To [`Request::LeaseGrant`].
    LeaseGrant {
        /// The lease's number.
        id: i64,
        /// The seconds it really has: short ones are lengthened.
        ttl: i64,
    },
    /// To [`Request::LeaseRevoke`].
    LeaseRevoke,
    /// To [`Request::LeaseKeepAlive`].
    LeaseKeepAlive {
        /// The lease's number.
        id: i64,
        /// The seconds it has from now on, 0 if there is no such lease (any more).
        ttl: i64,
    },
    /// To [`Request::LeaseTimeToLive`].
    LeaseTimeToLive {
        /// The lease's number.
        id: i64,
        /// The whole seconds left, −1 if there is no such lease.
        ttl: i64,
        /// The seconds it was granted for, 0 if there is no such lease.
        granted_ttl: i64,
        /// Its keys, if they were asked for.
        keys: Vec<Bytes>,
    },
    /// To [`Request::Leases`].
    Leases(Vec<i64>),
    /// To [`Request::Status`].
    Status(Status),
}

/// A request that worked: what every answer carries, and the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// What every answer carries.
    pub header: Header,
    /// The answer itself.
    pub response: Response,
}

/// What a client is told.
pub type Reply = Result<Answer, Error>;

/// Why a request did not work. All but [`Error::Timeout`] mean that it certainly changed nothing and never will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub enum Error {
    /// This replica knows no leader; the request was not passed on. gRPC: Unavailable.
    #[error("etcdserver: no leader")]
    NoLeader,
    /// A later term's leader took over, and what the former one left does not hold the request. gRPC: Unavailable.
    #[error("etcdserver: leader changed")]
    LeaderChanged,
    /// Not answered in time. It may have happened, or may still happen. gRPC: Unavailable.
    #[error("etcdserver: request timed out")]
    Timeout,
    /// gRPC: OutOfRange.
    #[error("etcdserver: mvcc: required revision has been compacted")]
    Compacted,
    /// gRPC: OutOfRange.
    #[error("etcdserver: mvcc: required revision is a future revision")]
    FutureRevision,
    /// gRPC: InvalidArgument.
    #[error("etcdserver: key is not provided")]
    EmptyKey,
    /// A put that keeps the value or lease of a key that does not exist. gRPC: InvalidArgument.
    #[error("etcdserver: key not found")]
    KeyNotFound,
    /// A value beside `ignore_value`. gRPC: InvalidArgument.
    #[error("etcdserver: value is provided")]
    ValueProvided,
    /// A lease beside `ignore_lease`. gRPC: InvalidArgument.
    #[error("etcdserver: lease is provided")]
    LeaseProvided,
    /// gRPC: InvalidArgument.
    #[error("etcdserver: duplicate key given in txn request")]
    DuplicateKey,
    /// gRPC: InvalidArgument.
    #[error("etcdserver: too many operations in txn request")]
    TooManyOps,
    /// gRPC: InvalidArgument.
    #[error("etcdserver: request is too large")]
    RequestTooLarge,
    /// gRPC: NotFound.
    #[error("etcdserver: requested lease not found")]
    LeaseNotFound,
    /// gRPC: FailedPrecondition.
    #[error("etcdserver: lease already exists")]
    LeaseExists,
    /// gRPC: OutOfRange.
    #[error("etcdserver: too large lease TTL")]
    LeaseTtlTooLarge,
}
