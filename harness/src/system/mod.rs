//! Systems as data: how one replica of a system is started, read from `nodes/systems/*.toml`.
//!
//! A system is started by a command line, in an environment, beside files that are written before its first start. All
//! of them are texts with placeholders:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{grudge}` | the path of this binary |
//! | `{id}` `{ip}` `{seed}` | the node's number, address and seed |
//! | `{first-ip}` | the address of the first node |
//! | `{majority}` | how many nodes are more than half of them |
//! | `{data}` | the folder of its disk: what must outlive a process lies below it |
//! | `{home}` | the folder that holds its disk and its log; there is room for its configuration |
//! | `{events}` | the file in which a replica of ours writes its events down |
//! | `{here}` (in `command` and `client`) | the folder of the file that describes the system |
//! | `{peers}` | `each-peer` once for every node of the cluster, with `{peer-id}` and `{peer-ip}`: so many arguments in the place of a whole one, or with `join-peers` one text anywhere |
//! | `{later}` | the text `later` in every node but the first, where it is nothing: how the others find it |
//! | `{bugs}` (a whole argument) | `each-bug` once for every planted bug that is on, with `{bug}` |
//!
//! A file that says `like = "etcd"` is that system but for what it says itself.

mod error;
mod known;
mod need;
mod place;
mod speech;
mod start;
mod subject;

use std::collections::BTreeMap;
use std::time::Duration;

use grudge_nodes::bugs::Bug;
use grudge_nodes::command;
use grudge_workloads::client::Leader;
use grudge_workloads::client::http::Api;
use grudge_workloads::registry::Protocol;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize};

use crate::net::MOST_NODES;
use crate::spec::kebab;

pub use error::SystemError;
pub use need::Need;
pub use place::Place;
pub(crate) use start::lay;
pub use subject::{Subject, is_path};

/// How long a system may take to come up that says nothing of it.
const PATIENCE: Duration = Duration::from_secs(30);

/// A system that can be tested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct System {
    /// Its name on the command line.
    #[serde(deserialize_with = "name")]
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What its clients speak, if that is known here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Protocol>,
    /// How its registers are reached over HTTP, if it speaks that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<Api>,
    /// The program that makes its clients' calls and its arguments, if none of ours does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub client: Vec<String>,
    /// The workloads that such a client can do; if absent all that its protocol can.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub workloads: Vec<String>,
    /// How a node is asked whether it leads, if its protocol has no words for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leader: Option<Leader>,
    /// The port on which each node serves clients.
    pub client_port: u16,
    /// How many nodes it has.
    #[serde(default)]
    pub nodes: Nodes,
    /// The command line that starts one node, with placeholders.
    #[serde(deserialize_with = "line")]
    pub command: Vec<String>,
    /// A second command line, if a node is two processes: they are paused and killed together, and neither goes on
    /// when the other has ended. The first is what faults of a single process hit.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub beside: Vec<String>,
    /// What is added to the environment of each node, with placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub environment: BTreeMap<String, String>,
    /// Files that each node finds at its first start: a path with placeholders and what it holds, with placeholders.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What must be there before anything is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<Need>,
    /// How long the cluster may take until it serves, and a node that was restarted until it accepts clients; 30 s if
    /// absent.
    #[serde(default = "patience", with = "compact::required")]
    pub patience: Duration,
    /// The texts that name one node of the cluster.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each_peer: Vec<String>,
    /// What stands between the texts of all nodes, if they are one text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join_peers: Option<String>,
    /// A text that every node but the first has.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub later: String,
    /// The arguments that switch one planted bug on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub each_bug: Vec<String>,
    /// The planted bugs it can be started with.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bugs: Vec<Bug>,
    /// How its members are changed, if they can be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub membership: Option<Membership>,
    /// Which replica of ours it is, if it is one: it writes its events down, and halts at points of its protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replica: Option<command::Protocol>,
}

/// How many nodes a system has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Nodes {
    /// If nothing is said of it.
    #[serde(default = "usual")]
    pub usual: usize,
    /// At most.
    #[serde(default = "most")]
    pub most: usize,
}

impl Default for Nodes {
    fn default() -> Nodes {
        Nodes { usual: usual(), most: most() }
    }
}

fn usual() -> usize {
    5
}

fn most() -> usize {
    MOST_NODES
}

/// How the members of a running cluster are changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Membership {
    /// The port on which each node is reached by its peers.
    pub peer_port: u16,
    /// What the command line of a node ends with that joins a running cluster.
    pub joining: Vec<String>,
}

fn patience() -> Duration {
    PATIENCE
}

/// A name, which the folder of its runs has, too.
fn name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.chars().all(fits) {
        true => Ok(name),
        false => Err(D::Error::custom(
            "a system's name is of letters, digits, `-`, `_` and `.`, and begins with one of the first two",
        )),
    }
}

/// A command line, which has a program at least.
fn line<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let line = Vec::<String>::deserialize(deserializer)?;
    if line.is_empty() { Err(D::Error::custom("a command line begins with a program")) } else { Ok(line) }
}

impl System {
    /// Whether it can have so many nodes.
    ///
    /// # Errors
    /// It cannot.
    pub fn spans(&self, nodes: usize) -> Result<(), SystemError> {
        match nodes <= self.nodes.most {
            true => Ok(()),
            false => Err(SystemError::Nodes { system: self.name.clone(), most: self.nodes.most, nodes }),
        }
    }

    /// Whether it can be started with all of these bugs.
    ///
    /// # Errors
    /// It cannot; the error lists those it can.
    pub fn accept(&self, bugs: &[Bug]) -> Result<(), SystemError> {
        match bugs.iter().find(|bug| !self.bugs.contains(bug)) {
            None => Ok(()),
            Some(bug) => Err(SystemError::Bug {
                system: self.name.clone(),
                bug: kebab(bug),
                known: self.bugs.iter().map(kebab).collect::<Vec<_>>().join(", "),
            }),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn a_foreign_bug_is_answered_with_the_systems_own() {
        let error = System::named("raft").and_then(|raft| raft.accept(&[Bug::ZabSkipTrunc])).expect_err("zab's");
        let said = error.to_string();
        let wanted =
            "system `raft` cannot be started with bug `zab-skip-trunc`; the bugs it knows are: raft-stale-read, ";
        assert!(said.starts_with(wanted) && said.ends_with(", lease-no-extend"), "{said}");
    }

    /// A small system with these further lines.
    pub(in crate::system) fn system(lines: &str) -> System {
        let text = format!("name = 'x'\nabout = 'x'\nprotocol = 'etcd'\nclient-port = 1\ncommand = ['x']\n{lines}");
        toml::from_str(&text).expect(lines)
    }

    #[test]
    fn a_system_says_how_many_nodes_it_has() {
        assert_eq!(system("").nodes, Nodes { usual: 5, most: MOST_NODES });
        let redis = System::named("redis").expect("built in");
        assert_eq!((redis.nodes.usual, redis.spans(1)), (1, Ok(())));
        let error = redis.spans(3).expect_err("it is one server").to_string();
        assert_eq!(error, "system `redis` has at most 1 node, not 3");
    }

    #[test]
    fn a_system_that_needs_time_says_so() {
        assert_eq!(system("").patience, PATIENCE);
        assert_eq!(system("patience = '2m'").patience, Duration::from_secs(120));
    }
}
