//! One client's connection: its requests are answered in the order in which they came.
//!
//! Writes are passed on at once and wait here for their result; a read behind one of them waits for it, and so sees
//! its effect. Nothing behind an unanswered request is answered. What comes behind a sync is not even passed on
//! before the sync is answered: otherwise a write could be answered after it with a smaller zxid, and the client
//! would believe that it has seen less than it has.

use std::collections::VecDeque;

use super::op::{Local, Op, Reply};
use super::session::SessionId;

/// How far a connection has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Nothing was said yet.
    New,
    /// The leader was asked for the session.
    Opening { ticket: u64, session: SessionId },
    /// The session is served.
    Open(SessionId),
}

/// A request in its place.
#[derive(Debug)]
pub(crate) enum Pending {
    /// The leader or the log has it.
    Write { ticket: u64, xid: i32 },
    /// The leader asks a quorum.
    Sync { ticket: u64, xid: i32, path: String },
    /// A quorum has confirmed; it is answered once it is its turn.
    Synced { xid: i32, path: String },
    /// It is answered here, once it is its turn.
    Local { xid: i32, op: Local },
    /// Its answer is known.
    Done(Reply),
}

/// One client's connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    pub(crate) queue: VecDeque<Pending>,
    /// What the client said behind a sync, or without waiting for its session.
    pub(crate) held: VecDeque<(i32, Op)>,
}

impl Connection {
    pub(crate) fn new() -> Connection {
        Connection { phase: Phase::New, queue: VecDeque::new(), held: VecDeque::new() }
    }

    /// The tickets that stand for its requests elsewhere.
    pub(crate) fn tickets(&self) -> impl Iterator<Item = u64> {
        let opening = match &self.phase {
            Phase::Opening { ticket, .. } => Some(*ticket),
            Phase::New | Phase::Open(_) => None,
        };
        opening.into_iter().chain(self.queue.iter().filter_map(Pending::ticket))
    }

    /// The request with that ticket.
    pub(crate) fn find(&mut self, ticket: u64) -> Option<&mut Pending> {
        self.queue.iter_mut().find(|pending| pending.ticket() == Some(ticket))
    }

    /// The next request whose turn has come and whose answer is not elsewhere.
    pub(crate) fn pop_ready(&mut self) -> Option<Pending> {
        match self.queue.front()? {
            Pending::Write { .. } | Pending::Sync { .. } => None,
            Pending::Synced { .. } | Pending::Local { .. } | Pending::Done(_) => self.queue.pop_front(),
        }
    }

    /// The session, if it is open and nothing keeps the next request from being passed on.
    pub(crate) fn taking(&self) -> Option<SessionId> {
        let syncing = self.queue.iter().any(|pending| matches!(pending, Pending::Sync { .. } | Pending::Synced { .. }));
        match self.phase {
            Phase::Open(session) if !syncing => Some(session),
            Phase::New | Phase::Opening { .. } | Phase::Open(_) => None,
        }
    }
}

impl Pending {
    fn ticket(&self) -> Option<u64> {
        match self {
            Pending::Write { ticket, .. } | Pending::Sync { ticket, .. } => Some(*ticket),
            Pending::Synced { .. } | Pending::Local { .. } | Pending::Done(_) => None,
        }
    }
}
