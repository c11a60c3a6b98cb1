//! How clients talk to a system, if not all of them need be ours.

use std::fmt;
use std::sync::Arc;

use crate::client::{Asks, Connect, http};
use crate::registry::{Entry, Protocol, list};

/// How clients talk to a system.
#[derive(Clone)]
pub enum Speech {
    /// In a protocol that is known here.
    Protocol(Protocol),
    /// In requests that are described.
    Http(Arc<http::Api>, Asks),
    /// By programs of their own, which can do these workloads. Here only nodes are asked for their roles.
    Foreign(Vec<String>, Arc<dyn Connect>),
}

impl From<Protocol> for Speech {
    fn from(protocol: Protocol) -> Speech {
        Speech::Protocol(protocol)
    }
}

impl Speech {
    /// Whether a workload can be done in it.
    pub(crate) fn can(&self, entry: &Entry) -> bool {
        match self {
            Speech::Protocol(protocol) => entry.protocols.contains(protocol),
            Speech::Http(..) => entry.name == "register",
            Speech::Foreign(workloads, _) => workloads.iter().any(|name| name == entry.name),
        }
    }

    /// The workloads that can be done in it.
    #[must_use]
    pub fn workloads(&self) -> Vec<&'static str> {
        list().iter().filter(|entry| self.can(entry)).map(|entry| entry.name).collect()
    }
}

impl fmt::Display for Speech {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speech::Protocol(protocol) => write!(f, "over the {protocol} protocol"),
            Speech::Http(..) => f.write_str("over HTTP"),
            Speech::Foreign(..) => f.write_str("by the system's own clients"),
        }
    }
}
