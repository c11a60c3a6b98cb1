//! Systems as data: how one replica of a system is started, read from `nodes/systems/*.toml`.
//!
//! A system is started by a command line with placeholders:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{grudge}` | the path of this binary |
//! | `{id}` `{ip}` `{data}` `{seed}` | the node's number, address, data folder and seed |
//! | `{events}` | the file in which the node writes its events down |
//! | `{peers}` (a whole argument) | `each-peer` once for every node of the cluster, with `{peer-id}` and `{peer-ip}` |
//! | `{bugs}` (a whole argument) | `each-bug` once for every planted bug that is on, with `{bug}` |

use std::net::Ipv4Addr;
use std::path::Path;

use clap::ValueEnum;
use grudge_nodes::bugs::Bug;
use grudge_nodes::command;
use serde::Deserialize;
use thiserror::Error;

/// What is known without any file on the machine.
const BUILT_IN: [&str; 2] =
    [include_str!("../../nodes/systems/raft.toml"), include_str!("../../nodes/systems/zab.toml")];

/// What clients speak with a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// The ZooKeeper client protocol.
    Zookeeper,
    /// etcd's v3 gRPC protocol.
    Etcd,
}

/// A system that can be tested.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct System {
    /// Its name on the command line.
    pub name: String,
    /// One line for people.
    pub about: String,
    /// What its clients speak.
    pub protocol: Protocol,
    /// The port on which each node serves clients.
    pub client_port: u16,
    /// The command line that starts one node, with placeholders.
    pub command: Vec<String>,
    /// The arguments that name one node of the cluster.
    #[serde(default)]
    pub each_peer: Vec<String>,
    /// The arguments that switch one planted bug on.
    #[serde(default)]
    pub each_bug: Vec<String>,
    /// The planted bugs it can be started with.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// Which replica of ours it is, if it is one: it writes its events down, and halts at points of its protocol.
    #[serde(default)]
    pub replica: Option<command::Protocol>,
}

/// A system that is not known, or a wish that it cannot fulfil.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SystemError {
    /// Nobody knows this system.
    #[error("there is no system `{name}`; the systems known are: {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names, with commas.
        known: String,
    },
    /// The bug belongs to another system.
    #[error("system `{system}` cannot be started with bug `{bug}`; the bugs it knows are: {known}")]
    Bug {
        /// The system.
        system: String,
        /// The bug asked for.
        bug: String,
        /// All of its bugs, with commas.
        known: String,
    },
}

/// What the placeholders of one node stand for.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The path of this binary.
    pub grudge: &'a Path,
    /// The node's number, from 1.
    pub id: u64,
    /// The address of every node of the cluster, by number from 1.
    pub addresses: &'a [Ipv4Addr],
    /// The node's data folder.
    pub data: &'a Path,
    /// The file in which the node writes its events down.
    pub events: &'a Path,
    /// The node's seed.
    pub seed: u64,
    /// The planted bugs that are on.
    pub bugs: &'a [Bug],
}

impl System {
    /// All systems known, by name.
    #[must_use]
    pub fn all() -> Vec<System> {
        BUILT_IN
            .iter()
            .map(|text| toml::from_str(text).expect("nodes/systems/*.toml are read by a test, so they parse"))
            .collect()
    }

    /// The system of that name.
    ///
    /// # Errors
    /// There is none; the error lists those there are.
    pub fn named(name: &str) -> Result<System, SystemError> {
        let all = System::all();
        let known = all.iter().map(|system| system.name.as_str()).collect::<Vec<_>>().join(", ");
        all.into_iter()
            .find(|system| system.name == name)
            .ok_or_else(|| SystemError::Unknown { name: name.to_owned(), known })
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
                bug: bug_name(*bug),
                known: self.bugs.iter().map(|bug| bug_name(*bug)).collect::<Vec<_>>().join(", "),
            }),
        }
    }

    /// The command line that starts one node: the program and its arguments.
    #[must_use]
    pub fn command_line(&self, place: &Place<'_>) -> Vec<String> {
        let own = |text: &str| {
            let index = usize::try_from(place.id - 1).expect("a cluster has few nodes");
            text.replace("{grudge}", &place.grudge.to_string_lossy())
                .replace("{id}", &place.id.to_string())
                .replace("{ip}", &place.addresses[index].to_string())
                .replace("{data}", &place.data.to_string_lossy())
                .replace("{events}", &place.events.to_string_lossy())
                .replace("{seed}", &place.seed.to_string())
        };
        let mut line = Vec::new();
        for argument in &self.command {
            match argument.as_str() {
                "{peers}" => {
                    for (index, ip) in place.addresses.iter().enumerate() {
                        let (id, ip) = ((index + 1).to_string(), ip.to_string());
                        line.extend(
                            self.each_peer
                                .iter()
                                .map(|text| own(&text.replace("{peer-id}", &id).replace("{peer-ip}", &ip))),
                        );
                    }
                }
                "{bugs}" => {
                    for bug in place.bugs {
                        line.extend(self.each_bug.iter().map(|text| text.replace("{bug}", &bug_name(*bug))));
                    }
                }
                text => line.push(own(text)),
            }
        }
        line
    }
}

/// A bug's name on the command line.
fn bug_name(bug: Bug) -> String {
    bug.to_possible_value().expect("no bug is hidden from the command line").get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_system_is_known_by_its_name() {
        for system in System::all() {
            assert_eq!(System::named(&system.name).as_ref(), Ok(&system));
        }
    }

    #[test]
    fn every_planted_bug_has_a_system_that_bears_it() {
        for bug in Bug::value_variants() {
            let system = System::named(bug.protocol()).expect("a protocol of ours is a system");
            assert_eq!(system.accept(&[*bug]), Ok(()), "{}", bug_name(*bug));
        }
    }

    #[test]
    fn an_unknown_system_is_answered_with_those_known() {
        let error = System::named("paxos").expect_err("nobody knows it");
        assert_eq!(error.to_string(), "there is no system `paxos`; the systems known are: raft, zab");
    }

    #[test]
    fn a_foreign_bug_is_answered_with_the_systems_own() {
        let error = System::named("raft").and_then(|raft| raft.accept(&[Bug::ZabSkipTrunc])).expect_err("zab's");
        let said = error.to_string();
        let wanted =
            "system `raft` cannot be started with bug `zab-skip-trunc`; the bugs it knows are: raft-stale-read, ";
        assert!(said.starts_with(wanted) && said.ends_with(", lease-no-extend"), "{said}");
    }

    #[test]
    fn a_command_line_names_the_node_its_peers_and_its_bugs() {
        let zab = System::named("zab").expect("built in");
        let line = zab.command_line(&Place {
            grudge: Path::new("/bin/grudge"),
            id: 2,
            addresses: &[Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 2)],
            data: Path::new("run/n2/data"),
            events: Path::new("run/n2/events"),
            seed: 7,
            bugs: &[Bug::ZabSkipTrunc],
        });
        assert_eq!(
            line.join(" "),
            "/bin/grudge node zab --id 2 --data run/n2/data --listen 10.42.0.2:2888 --client 10.42.0.2:2181 --seed 7 \
             --events run/n2/events \
             --snapshot-after 500 --peer 1=10.42.0.1:2888 --peer 2=10.42.0.2:2888 --bug zab-skip-trunc"
        );
    }
}
