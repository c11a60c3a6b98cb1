//! What replicas say to each other.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::api::Response;
use super::command::RequestId;
use crate::raft;

/// A message between replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// Of the consensus.
    Raft(raft::Message),
    /// A question about a lease's time, which only the leader can answer.
    Ask {
        /// The request.
        id: RequestId,
        /// The question.
        question: LeaseQuestion,
    },
    /// The leader's answer to an [`Message::Ask`].
    Told {
        /// The request.
        id: RequestId,
        /// The answer.
        answer: LeaseAnswer,
    },
}

/// What only the leader knows of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseQuestion {
    /// Let it live for another full time.
    KeepAlive {
        /// The lease.
        id: i64,
    },
    /// How long does it have?
    TimeToLive {
        /// The lease.
        id: i64,
        /// Say its keys too.
        keys: bool,
    },
}

/// The answer to a [`LeaseQuestion`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LeaseAnswer {
    /// It has its full time from now on.
    KeptAlive {
        /// The lease.
        id: i64,
        /// Seconds; 0 if there is no such lease.
        ttl: i64,
    },
    /// What is left.
    TimeToLive {
        /// The lease.
        id: i64,
        /// Seconds left, −1 if there is no such lease.
        ttl: i64,
        /// Seconds it was granted for.
        granted_ttl: i64,
        /// Its keys.
        keys: Vec<Bytes>,
    },
}

impl From<LeaseAnswer> for Response {
    fn from(answer: LeaseAnswer) -> Self {
        match answer {
            LeaseAnswer::KeptAlive { id, ttl } => Response::LeaseKeepAlive { id, ttl },
            LeaseAnswer::TimeToLive { id, ttl, granted_ttl, keys } => {
                Response::LeaseTimeToLive { id, ttl, granted_ttl, keys }
            }
        }
    }
}
