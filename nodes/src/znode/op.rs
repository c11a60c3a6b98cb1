//! What clients ask and what they are told, as types: the client protocol without its bytes.

use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use super::session::{Password, SessionId};
use super::tree::{Acl, Stat};

/// How long a created node lives, and who names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreateMode {
    /// Until it is deleted.
    Persistent,
    /// Until its session ends.
    Ephemeral,
    /// Persistent; the parent's create count is appended to its name.
    PersistentSequential,
    /// Ephemeral; the parent's create count is appended to its name.
    EphemeralSequential,
}

impl CreateMode {
    /// Whether the node dies with its session.
    #[must_use]
    pub fn is_ephemeral(self) -> bool {
        matches!(self, CreateMode::Ephemeral | CreateMode::EphemeralSequential)
    }

    /// Whether the parent's create count is appended to the name.
    #[must_use]
    pub fn is_sequential(self) -> bool {
        matches!(self, CreateMode::PersistentSequential | CreateMode::EphemeralSequential)
    }
}

/// How much the caller of a create wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CreateAnswer {
    /// The node's path (`create`).
    Path,
    /// Its path and its stat (`create2`).
    PathAndStat,
}

/// A node to be created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Its path; of a sequential node, the path without the number.
    pub path: String,
    /// Its first data. The protocol tells none from empty.
    pub data: Option<Vec<u8>>,
    /// Its access control list.
    pub acl: Vec<Acl>,
    /// How long it lives, and who names it.
    pub mode: CreateMode,
    /// What is answered.
    pub answer: CreateAnswer,
}

/// A change of one node. A version of −1 means any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeOp {
    /// Create a node.
    Create(Create),
    /// Delete a node without children.
    Delete {
        /// Which.
        path: String,
        /// The data version it must have.
        version: i32,
    },
    /// Replace a node's data.
    SetData {
        /// Which.
        path: String,
        /// The new data.
        data: Option<Vec<u8>>,
        /// The data version it must have.
        version: i32,
    },
    /// Replace a node's access control list.
    SetAcl {
        /// Which.
        path: String,
        /// The new list.
        acl: Vec<Acl>,
        /// The ACL version it must have.
        version: i32,
    },
    /// Change nothing; fail unless the node has this data version. Only inside a multi.
    Check {
        /// Which.
        path: String,
        /// The data version it must have.
        version: i32,
    },
}

/// A change that goes through the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Write {
    /// One change.
    Node(NodeOp),
    /// All changes or none.
    Multi(Vec<NodeOp>),
    /// Begin the session that asks.
    OpenSession {
        /// What proves later that a client owns the session.
        password: Password,
        /// The negotiated timeout, milliseconds.
        timeout_ms: u32,
    },
    /// End the session that asks, and its ephemeral nodes.
    CloseSession,
}

/// A question that any server answers from its own tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// The node's stat.
    Exists {
        /// Which.
        path: String,
        /// Whether to be told when it is created, changed or deleted.
        watch: bool,
    },
    /// The node's data and stat.
    GetData {
        /// Which.
        path: String,
        /// Whether to be told when it is changed or deleted.
        watch: bool,
    },
    /// The names of the node's children, sorted.
    GetChildren {
        /// Which.
        path: String,
        /// Whether to be told when a child comes or goes, or the node goes.
        watch: bool,
        /// What is answered.
        answer: ChildrenAnswer,
    },
    /// The node's access control list and stat.
    GetAcl {
        /// Which.
        path: String,
    },
    /// The paths of the asking session's ephemeral nodes that begin with a prefix.
    GetEphemerals {
        /// The prefix.
        prefix: String,
    },
    /// The number of nodes below a node.
    CountDescendants {
        /// Which.
        path: String,
    },
}

/// How much the caller of a get-children wants to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildrenAnswer {
    /// The names.
    Names,
    /// The names and the node's stat (`getChildren2`).
    NamesAndStat,
}

/// The watches that a client had on its last connection, to be armed again here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetWatches {
    /// The last zxid the client has seen: what changed later is told at once.
    pub relative_zxid: i64,
    /// Watches left by get-data, and by exists on a node that was there.
    pub data: Vec<String>,
    /// Watches left by exists on a node that was not there.
    pub exist: Vec<String>,
    /// Watches left by get-children.
    pub child: Vec<String>,
}

/// One request on a connected session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Goes through the log.
    Write(Write),
    /// Answered once this server has everything that was committed before the call.
    Sync {
        /// Echoed in the answer.
        path: String,
    },
    /// Answered by this server alone.
    Local(Local),
}

/// A request that a server answers alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Local {
    /// A question about the tree.
    Read(Read),
    /// Arm watches again after a reconnect.
    SetWatches(SetWatches),
    /// Is one of these watches armed?
    CheckWatches {
        /// On which node.
        path: String,
        /// Which ones.
        kind: WatchKind,
    },
    /// Disarm these watches.
    RemoveWatches {
        /// On which node.
        path: String,
        /// Which ones.
        kind: WatchKind,
    },
    /// I am alive.
    Ping,
    /// Credentials; accepted whatever they say, since access is not controlled.
    Auth,
    /// Well-formed, but not served: an unknown operation, flags that mean nothing.
    Refused(ErrorCode),
}

/// Which of the asking connection's watches on a node are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WatchKind {
    /// Those of get-children.
    Children,
    /// Those of exists and get-data.
    Data,
    /// All.
    Any,
}

/// What a client conversation says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// The first words of a connection.
    Connect(Connect),
    /// An operation.
    Op {
        /// The client's number for it, echoed in the answer.
        xid: i32,
        /// What is asked.
        op: Op,
    },
    /// What does this server say of itself? Answered at once, connected or not.
    Status,
    /// The conversation is over; its session lives on.
    Disconnected,
}

/// The first words of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connect {
    /// The last zxid the client has seen anywhere: a server that has not got so far must not serve it.
    pub last_zxid_seen: i64,
    /// The timeout the client would like, milliseconds.
    pub timeout_ms: i32,
    /// The session to go on with; none for a new one.
    pub resume: Option<(SessionId, Password)>,
}

/// What a client conversation is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The session is open, or goes on, over this connection.
    Connected {
        /// Its number.
        session: SessionId,
        /// What proves later that a client owns it.
        password: Password,
        /// The negotiated timeout, milliseconds.
        timeout_ms: u32,
    },
    /// There is no such session (any more), or the password is wrong. A close follows.
    Expired,
    /// The answer to an operation.
    Answer {
        /// The client's number for it.
        xid: i32,
        /// The zxid of the write; for anything else the last zxid this server has applied.
        zxid: i64,
        /// The result.
        result: Result<Answer, ErrorCode>,
    },
    /// A watch fired.
    Event {
        /// What happened.
        kind: EventKind,
        /// To which node.
        path: String,
    },
    /// What this server says of itself.
    Status(Box<Status>),
    /// The server hangs up.
    Close,
}

/// The result of an operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Nothing but that it was done: ping, auth, set-watches, closing a session.
    Done,
    /// A multi's delete, or a delete.
    Deleted,
    /// A multi's check held.
    Checked,
    /// A path: create, sync.
    Path(String),
    /// A path and its stat: create2.
    PathAndStat(String, Stat),
    /// A stat: exists, set-data, set-ACL.
    Stat(Stat),
    /// Data and stat.
    Data(Option<Vec<u8>>, Stat),
    /// Names or paths: get-children, get-ephemerals.
    Names(Vec<String>),
    /// Names and the parent's stat.
    NamesAndStat(Vec<String>, Stat),
    /// A list and stat.
    Acl(Vec<Acl>, Stat),
    /// A number of nodes.
    Count(i32),
    /// A multi that was applied: one answer an operation.
    Multi(Vec<Answer>),
    /// A multi that was not: `None` for operations before the one that failed.
    MultiFailed(Vec<Option<ErrorCode>>),
}

/// What a watch tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// The node is there now.
    Created,
    /// The node is gone.
    Deleted,
    /// The node's data was replaced.
    DataChanged,
    /// A child came or went.
    ChildrenChanged,
}

/// What a server is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It knows no established leader and serves nobody.
    Looking,
    /// It serves under a leader.
    Follower,
    /// It leads.
    Leader,
    /// It is the only server.
    Standalone,
}

/// What a server says of itself, for the four-letter words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// What it is.
    pub mode: Mode,
    /// The last zxid it has applied.
    pub zxid: i64,
    /// Nodes in its tree.
    pub nodes: usize,
    /// Ephemeral nodes in its tree.
    pub ephemerals: usize,
    /// Watches that are armed here.
    pub watches: usize,
    /// Sessions of the whole cluster.
    pub sessions: usize,
    /// Conversations with this server.
    pub connections: usize,
    /// Requests of those that wait for an answer.
    pub outstanding: usize,
    /// The server's number.
    pub server: u64,
    /// The length of a tick, milliseconds.
    pub tick_ms: u64,
}
