//! The leader's own duties beside broadcasting: whose session is whose, when it expires, and whether it still leads.
//!
//! An office lasts as long as the leadership; nothing in it outlives a change of leader. A new leader gives every
//! session its full timeout and learns who serves it from the connections, all of which are made anew under it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::op::Write;
use super::session::{Password, SessionId, Tracker};
use super::txn::{Origin, State, Txn};
use crate::replica::{ClientId, Time};
use crate::zab::Link;

/// What a server asks of its leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Ask {
    /// Broadcast this.
    Write { origin: Origin, client: ClientId, session: SessionId, write: Write },
    /// Tell me when a quorum has confirmed that you lead.
    Sync { ticket: u64 },
    /// A client wants to go on with its session over a connection of mine.
    Resume { ticket: u64, client: ClientId, session: SessionId, password: Password },
    /// These sessions' clients were heard of.
    Heard(Vec<SessionId>),
}

/// What a leader says to a server. It arrives in order with what is committed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Word {
    /// Yes: whatever was committed when you asked has been sent to you.
    Granted { ticket: u64 },
    /// No: there is no such session, or it goes on over another connection.
    Refused { ticket: u64 },
    /// The session goes on over another connection: hang up on the one you have.
    Detach { session: SessionId, client: ClientId },
}

/// Who asks: the leader's own server, or a follower over its link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Asker {
    Me,
    Follower(Link),
}

/// What the leader wants done.
#[derive(Debug)]
pub(crate) enum Order {
    Propose(Txn),
    Barrier(u64),
    Say(Asker, Word),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    asker: Asker,
    client: ClientId,
}

/// What a leader knows as long as it leads.
#[derive(Debug)]
pub(crate) struct Office {
    tracker: Tracker,
    owners: BTreeMap<SessionId, Owner>,
    /// Sessions whose end has been proposed: nobody goes on with them.
    ending: BTreeSet<SessionId>,
    barriers: BTreeMap<u64, (Asker, u64)>,
    next_barrier: u64,
}

impl Office {
    /// Takes office: every session has its full timeout from now on.
    pub(crate) fn new(now: Time, tick: Duration, first_barrier: u64, state: &State) -> Office {
        let mut tracker = Tracker::new(tick);
        for (id, session) in &state.sessions {
            tracker.track(now, *id, session.timeout());
        }
        Office {
            tracker,
            owners: BTreeMap::new(),
            ending: BTreeSet::new(),
            barriers: BTreeMap::new(),
            next_barrier: first_barrier,
        }
    }

    /// The first barrier token that no office has used so far.
    pub(crate) fn next_barrier(&self) -> u64 {
        self.next_barrier
    }

    /// When the next session may have expired.
    pub(crate) fn next_expiry(&self) -> Option<Time> {
        self.tracker.next()
    }

    /// Answers a server, its own included.
    pub(crate) fn hear(
        &mut self,
        now: Time,
        clock_ms: i64,
        state: &State,
        asker: Asker,
        ask: Ask,
        orders: &mut Vec<Order>,
    ) {
        match ask {
            Ask::Write { origin, client, session, write } => {
                self.tracker.touch(now, session);
                let owner = *self.owners.entry(session).or_insert(Owner { asker, client });
                if owner != (Owner { asker, client }) {
                    return orders.push(Order::Say(asker, Word::Refused { ticket: origin.ticket }));
                }
                if write == Write::CloseSession {
                    self.ending.insert(session);
                }
                orders.push(Order::Propose(Txn { origin: Some(origin), session, time_ms: clock_ms, write }));
            }
            Ask::Sync { ticket } => {
                let token = self.next_barrier;
                self.next_barrier += 1;
                self.barriers.insert(token, (asker, ticket));
                orders.push(Order::Barrier(token));
            }
            Ask::Resume { ticket, client, session, password } => {
                let owner = Owner { asker, client };
                let granted = self.resume(now, state, session, &password, owner, orders);
                let word = if granted { Word::Granted { ticket } } else { Word::Refused { ticket } };
                orders.push(Order::Say(asker, word));
            }
            Ask::Heard(sessions) => sessions.into_iter().for_each(|session| self.tracker.touch(now, session)),
        }
    }

    fn resume(
        &mut self,
        now: Time,
        state: &State,
        session: SessionId,
        password: &Password,
        owner: Owner,
        orders: &mut Vec<Order>,
    ) -> bool {
        let known = state.sessions.get(&session).is_some_and(|known| known.password == *password);
        if !known || self.ending.contains(&session) {
            return false;
        }
        self.tracker.touch(now, session);
        if let Some(old) = self.owners.insert(session, owner)
            && old != owner
        {
            orders.push(Order::Say(old.asker, Word::Detach { session, client: old.client }));
        }
        true
    }

    /// Proposes the end of the sessions that have expired.
    pub(crate) fn expire(&mut self, now: Time, clock_ms: i64, orders: &mut Vec<Order>) {
        for session in self.tracker.expire(now) {
            if self.ending.insert(session) {
                let txn = Txn { origin: None, session, time_ms: clock_ms, write: Write::CloseSession };
                orders.push(Order::Propose(txn));
            }
        }
    }

    /// A quorum has confirmed that this server led when the barrier was asked for.
    pub(crate) fn confirmed(&mut self, token: u64, orders: &mut Vec<Order>) {
        if let Some((asker, ticket)) = self.barriers.remove(&token) {
            orders.push(Order::Say(asker, Word::Granted { ticket }));
        }
    }

    /// A session was opened by a transaction.
    pub(crate) fn opened(&mut self, now: Time, session: SessionId, timeout: Duration) {
        self.tracker.track(now, session, timeout);
    }

    /// A session was ended by a transaction.
    pub(crate) fn ended(&mut self, session: SessionId) {
        self.tracker.remove(session);
        self.owners.remove(&session);
        self.ending.remove(&session);
    }
}

/// Between servers, as bytes.
pub(crate) fn encode<T: Serialize>(message: &T) -> Bytes {
    postcard::to_stdvec(message).expect("what servers say has no unserialisable part").into()
}
