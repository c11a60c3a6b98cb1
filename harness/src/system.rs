//! Systems as data: how one replica of a system is started, read from `nodes/systems/*.toml`.
//!
//! A system is started by a command line, in an environment, beside files that are written before its first start. All
//! of them are texts with placeholders:
//!
//! | placeholder | becomes |
//! |---|---|
//! | `{grudge}` | the path of this binary |
//! | `{id}` `{ip}` `{seed}` | the node's number, address and seed |
//! | `{data}` | the folder of its disk: what must outlive a process lies below it |
//! | `{home}` | the folder that holds its disk and its log; there is room for its configuration |
//! | `{events}` | the file in which a replica of ours writes its events down |
//! | `{peers}` | `each-peer` once for every node of the cluster, with `{peer-id}` and `{peer-ip}`: so many arguments in the place of a whole one, or with `join-peers` one text anywhere |
//! | `{bugs}` (a whole argument) | `each-bug` once for every planted bug that is on, with `{bug}` |

mod place;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use grudge_nodes::bugs::Bug;
use grudge_nodes::command;
use grudge_workloads::registry::Protocol;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::Deserialize;
use thiserror::Error;

pub use place::Place;

/// What is known without any file on the machine.
const BUILT_IN: [&str; 4] = [
    include_str!("../../nodes/systems/raft.toml"),
    include_str!("../../nodes/systems/zab.toml"),
    include_str!("../../nodes/systems/etcd.toml"),
    include_str!("../../nodes/systems/zookeeper.toml"),
];
/// How long a system may take to come up that says nothing of it.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// What is added to the environment of each node, with placeholders.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Files that each node finds at its first start: a path with placeholders and what it holds, with placeholders.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// What must be there before anything is started.
    #[serde(default)]
    pub needs: Vec<Need>,
    /// How long the cluster may take until it serves, and a node that was restarted until it accepts clients; 30 s if
    /// absent.
    #[serde(default = "patience", with = "compact::required")]
    pub patience: Duration,
    /// The texts that name one node of the cluster.
    #[serde(default)]
    pub each_peer: Vec<String>,
    /// What stands between the texts of all nodes, if they are one text.
    #[serde(default)]
    pub join_peers: Option<String>,
    /// The arguments that switch one planted bug on.
    #[serde(default)]
    pub each_bug: Vec<String>,
    /// The planted bugs it can be started with.
    #[serde(default)]
    pub bugs: Vec<Bug>,
    /// How its members are changed, if they can be.
    #[serde(default)]
    pub membership: Option<Membership>,
    /// Which replica of ours it is, if it is one: it writes its events down, and halts at points of its protocol.
    #[serde(default)]
    pub replica: Option<command::Protocol>,
}

/// How the members of a running cluster are changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Membership {
    /// The port on which each node is reached by its peers.
    pub peer_port: u16,
    /// What the command line of a node ends with that joins a running cluster.
    pub joining: Vec<String>,
}

/// A program or a file without which a system cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Need {
    /// A name is looked for among the programs (`PATH`), and a path is where it must be.
    pub file: PathBuf,
    /// The command that installs it.
    pub install: String,
}

impl Need {
    /// Whether it is there.
    fn is_met(&self) -> bool {
        if self.file.components().count() > 1 {
            return self.file.exists();
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::split_paths(&path).any(|folder| folder.join(&self.file).is_file())
    }
}

fn patience() -> Duration {
    PATIENCE
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
    /// Something is not on this machine.
    #[error("system `{system}` needs {file}, which is not on this machine: {install}", file = file.display())]
    Missing {
        /// The system.
        system: String,
        /// What is missing.
        file: PathBuf,
        /// The command that installs it.
        install: String,
    },
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

    /// Which replica of ours the system of that name is; none if it is not, or if nobody knows it.
    #[must_use]
    pub fn replica_named(name: &str) -> Option<command::Protocol> {
        System::named(name).ok()?.replica
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

    /// Whether everything that it needs is on this machine.
    ///
    /// # Errors
    /// Something is missing; the error says how to install it.
    pub fn installed(&self) -> Result<(), SystemError> {
        match self.needs.iter().find(|need| !need.is_met()) {
            None => Ok(()),
            Some(Need { file, install }) => {
                Err(SystemError::Missing { system: self.name.clone(), file: file.clone(), install: install.clone() })
            }
        }
    }

    /// The command line that starts one node: the program and its arguments.
    #[must_use]
    pub fn command_line(&self, place: &Place<'_>) -> Vec<String> {
        let mut line = Vec::new();
        for argument in &self.command {
            match argument.as_str() {
                "{peers}" if self.join_peers.is_none() => line.extend(place.peers(&self.each_peer)),
                "{bugs}" => {
                    for bug in place.bugs {
                        line.extend(self.each_bug.iter().map(|text| text.replace("{bug}", &bug_name(*bug))));
                    }
                }
                text => line.push(self.fill(text, place)),
            }
        }
        line
    }

    /// What is added to the environment of one node.
    #[must_use]
    pub fn environment(&self, place: &Place<'_>) -> BTreeMap<String, String> {
        self.environment.iter().map(|(name, value)| (name.clone(), self.fill(value, place))).collect()
    }

    /// The files that one node finds at its first start.
    #[must_use]
    pub fn files(&self, place: &Place<'_>) -> Vec<(PathBuf, String)> {
        self.files.iter().map(|(path, text)| (self.fill(path, place).into(), self.fill(text, place))).collect()
    }

    /// A text with everything in the place of its placeholders.
    fn fill(&self, text: &str, place: &Place<'_>) -> String {
        match &self.join_peers {
            Some(between) => place.fill(&text.replace("{peers}", &place.peers(&self.each_peer).join(between))),
            None => place.fill(text),
        }
    }
}

/// Writes a file that was there before the node, so that no loss of power takes it away.
///
/// # Errors
/// It cannot be written.
pub(crate) fn lay(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// A bug's name on the command line.
fn bug_name(bug: Bug) -> String {
    bug.to_possible_value().expect("no bug is hidden from the command line").get_name().to_owned()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

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
        assert_eq!(error.to_string(), "there is no system `paxos`; the systems known are: raft, zab, etcd, zookeeper");
    }

    #[test]
    fn a_foreign_bug_is_answered_with_the_systems_own() {
        let error = System::named("raft").and_then(|raft| raft.accept(&[Bug::ZabSkipTrunc])).expect_err("zab's");
        let said = error.to_string();
        let wanted =
            "system `raft` cannot be started with bug `zab-skip-trunc`; the bugs it knows are: raft-stale-read, ";
        assert!(said.starts_with(wanted) && said.ends_with(", lease-no-extend"), "{said}");
    }

    /// The second of two nodes.
    fn place() -> Place<'static> {
        Place {
            grudge: Path::new("/bin/grudge"),
            id: 2,
            addresses: &const { [Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 2)] },
            home: Path::new("run/n2"),
            data: Path::new("run/n2/data"),
            events: Path::new("run/n2/events"),
            seed: 7,
            bugs: &[Bug::ZabSkipTrunc],
        }
    }

    #[test]
    fn a_command_line_names_the_node_its_peers_and_its_bugs() {
        let line = System::named("zab").expect("built in").command_line(&place());
        assert_eq!(
            line.join(" "),
            "/bin/grudge node zab --id 2 --data run/n2/data --listen 10.42.0.2:2888 --client 10.42.0.2:2181 --seed 7 \
             --events run/n2/events \
             --snapshot-after 500 --peer 1=10.42.0.1:2888 --peer 2=10.42.0.2:2888 --bug zab-skip-trunc"
        );
    }

    #[test]
    fn peers_can_be_one_text_in_an_argument_a_file_or_the_environment() {
        let line = System::named("etcd").expect("built in").command_line(&place());
        let at = line.iter().position(|argument| argument == "--initial-cluster").expect("etcd is told its cluster");
        assert_eq!(line[at + 1], "n1=http://10.42.0.1:2380,n2=http://10.42.0.2:2380");
        assert!(line.contains(&"run/n2/data/etcd".to_owned()), "{line:?}");

        let zookeeper = System::named("zookeeper").expect("built in");
        let files: BTreeMap<PathBuf, String> = zookeeper.files(&place()).into_iter().collect();
        assert_eq!(files[Path::new("run/n2/data/myid")], "2\n");
        let config = &files[Path::new("run/n2/zoo.cfg")];
        assert!(config.contains("\nserver.1=10.42.0.1:2888:3888\nserver.2=10.42.0.2:2888:3888\n"), "{config}");
        assert!(config.contains("\ndataDir=run/n2/data\n"), "{config}");

        let all = system("each-peer = ['{peer-ip}']\njoin-peers = ' '\nenvironment = { ALL = '{id} of {peers}' }");
        assert_eq!(all.environment(&place())["ALL"], "2 of 10.42.0.1 10.42.0.2");
    }

    /// A small system with these further lines.
    fn system(lines: &str) -> System {
        let text = format!("name = 'x'\nabout = 'x'\nprotocol = 'etcd'\nclient-port = 1\ncommand = ['x']\n{lines}");
        toml::from_str(&text).expect(lines)
    }

    #[test]
    fn what_is_not_installed_is_named_with_what_installs_it() {
        let table = [
            ("sh", true),
            ("/bin/sh", true),
            ("no-such-program", false),
            ("/no/such.jar", false),
            // A folder is no program.
            (".", false),
        ];
        for (file, there) in table {
            let needs = system(&format!("needs = [{{ file = '{file}', install = 'make it' }}]")).installed();
            let sentence = format!("system `x` needs {file}, which is not on this machine: make it");
            assert_eq!(needs.map_err(|error| error.to_string()), if there { Ok(()) } else { Err(sentence) });
        }
    }

    #[test]
    fn a_system_that_needs_time_says_so() {
        assert_eq!(system("").patience, PATIENCE);
        assert_eq!(system("patience = '2m'").patience, Duration::from_secs(120));
    }
}
