//! The workloads, by name.

use std::fmt;
use std::sync::Arc;

use grudge_checkers::history::History;

use crate::client::{Adapter, Calls, Connect, Membership, Reads, etcd, http, redis, zookeeper};
use crate::generator::{Boxed, Build, Pace};
use crate::lock::Trust;
use crate::operation::Invocation;
use crate::register::Updates;
use crate::speech::Speech;
use crate::workload::{Judgement, Options, Workload};
use crate::{grow, judge, lease, lock, register, session};

/// The protocol in which clients talk to a system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// ZooKeeper's client protocol.
    ZooKeeper,
    /// The etcd v3 gRPC API.
    Etcd,
    /// Redis' protocol, of a server or of a sentinel that knows one.
    Redis,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::ZooKeeper => "zookeeper",
            Protocol::Etcd => "etcd",
            Protocol::Redis => "redis",
        })
    }
}

/// How the members of a cluster that speaks it are changed, if its protocol has words for that.
#[must_use]
pub fn membership(protocol: Protocol) -> Option<Arc<dyn Membership>> {
    match protocol {
        Protocol::Etcd => Some(Arc::new(etcd::Members)),
        Protocol::ZooKeeper | Protocol::Redis => None,
    }
}

/// A workload's entry in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a line.
    pub summary: &'static str,
    /// The protocols that can do it.
    pub protocols: &'static [Protocol],
}

/// Why there is no such workload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// Nobody has heard of it.
    #[error("There is no workload `{name}`. There are: {}.", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// It exists, but cannot be done so.
    #[error("The workload `{name}` cannot be run {how}. There can be run: {can}.")]
    Speech {
        /// What was asked for.
        name: &'static str,
        /// How clients talk to the system.
        how: String,
        /// All workloads that can be done so, with commas.
        can: String,
    },
    /// A number that makes no sense.
    #[error("The workload `{name}` needs at least one worker and one key, and a rate above 0.")]
    Options {
        /// What was asked for.
        name: &'static str,
    },
}

const ALL: &[Protocol] = &[Protocol::ZooKeeper, Protocol::Etcd, Protocol::Redis];
const QUORUMS: &[Protocol] = &[Protocol::ZooKeeper, Protocol::Etcd];

const ENTRIES: [Entry; 9] = [
    Entry {
        name: "register",
        summary: "read, write and compare-and-set over several keys, all of it linearizable",
        protocols: ALL,
    },
    Entry {
        name: "register-local",
        summary: "as register, but reads are served by the node that is asked; only updates are judged",
        protocols: QUORUMS,
    },
    Entry {
        name: "register-unsynced",
        summary: "as register-local, but its reads are trusted and judged as linearizable, which no such read promises",
        protocols: QUORUMS,
    },
    Entry {
        name: "lock",
        summary: "acquire, prove and release locks; fencing tokens grow and no proof succeeds after a later holder's",
        protocols: ALL,
    },
    Entry {
        name: "lock-unfenced",
        summary: "acquire, work under and release locks, which are trusted; one holder at a time, which no lease can promise",
        protocols: ALL,
    },
    Entry {
        name: "set",
        summary: "add unique elements and read whole sets; nothing acknowledged is lost, nothing else is there",
        protocols: ALL,
    },
    Entry {
        name: "multi",
        summary: "write pairs by one transaction and read both halves at once; both or none",
        protocols: QUORUMS,
    },
    Entry {
        name: "session",
        summary: "read, write, and go to another server with what was seen; nobody sees the world go backwards",
        protocols: &[Protocol::ZooKeeper],
    },
    Entry {
        name: "lease",
        summary: "grant, renew, check and revoke leases; none ends before its time",
        protocols: &[Protocol::Etcd],
    },
];

/// All workloads, in the order in which they are shown.
#[must_use]
pub fn list() -> &'static [Entry] {
    &ENTRIES
}

/// A workload in that speech, ready to run.
///
/// # Errors
/// There is none of that name, or not in that speech, or the options make no sense; the message is for a person.
pub fn find(name: &str, speech: impl Into<Speech>, options: &Options) -> Result<Workload, Unsupported> {
    let speech = speech.into();
    let entry = entry(name, &speech)?;
    if options.workers == 0 || options.keys == Some(0) || options.rate.is_some_and(|rate| rate.is_nan() || rate <= 0.0)
    {
        return Err(Unsupported::Options { name: entry.name });
    }
    let connect = clients(entry.name, &speech);
    Ok(match entry.name {
        "register" => registers(entry.name, options, connect, Reads::Linearizable),
        "register-local" => registers(entry.name, options, connect, Reads::Local),
        // What the node that is asked serves, taken for the truth.
        "register-unsynced" => registers(entry.name, options, connect, Reads::Linearizable),
        "lock" => locks(entry.name, options, connect, Trust::Fenced),
        "lock-unfenced" => locks(entry.name, options, connect, Trust::Blind),
        "set" => growing(entry.name, grow::SET, options, connect, judge::sets),
        "multi" => growing(entry.name, grow::MULTI, options, connect, judge::pairs),
        "session" => sessions(entry.name, options, connect),
        _ => leases(entry.name, options, connect),
    })
}

/// How the clients of a workload reach a node, without the rest of the workload.
///
/// # Errors
/// There is none of that name, or not in that speech; the message is for a person.
pub fn connect(name: &str, speech: impl Into<Speech>) -> Result<Arc<dyn Connect>, Unsupported> {
    let speech = speech.into();
    Ok(clients(entry(name, &speech)?.name, &speech))
}

fn entry(name: &str, speech: &Speech) -> Result<&'static Entry, Unsupported> {
    let entry = list().iter().find(|entry| entry.name == name);
    let entry = entry.ok_or_else(|| Unsupported::Unknown { name: name.to_owned() })?;
    if !speech.can(entry) {
        let can = speech.workloads().join(", ");
        return Err(Unsupported::Speech { name: entry.name, how: speech.to_string(), can });
    }
    Ok(entry)
}

/// The clients of an entry of the list.
fn clients(name: &str, speech: &Speech) -> Arc<dyn Connect> {
    match speech {
        Speech::Protocol(protocol) => client(name, *protocol),
        Speech::Http(api, asks) => Arc::new(http::Clients::new(Arc::clone(api), asks.clone())),
        Speech::Foreign(_, asks) => Arc::clone(asks),
    }
}

/// The client of an entry of the list, in a protocol that is known here.
fn client(name: &str, protocol: Protocol) -> Arc<dyn Connect> {
    match (name, protocol) {
        ("register", Protocol::ZooKeeper) => over_zookeeper(zookeeper::Register::new(Reads::Linearizable)),
        ("register", Protocol::Etcd) => over_etcd(etcd::Register::new(Reads::Linearizable)),
        ("register-local" | "register-unsynced", Protocol::ZooKeeper) => {
            over_zookeeper(zookeeper::Register::new(Reads::Local))
        }
        ("register-local" | "register-unsynced", Protocol::Etcd) => over_etcd(etcd::Register::new(Reads::Local)),
        ("lock" | "lock-unfenced", Protocol::ZooKeeper) => over_zookeeper(zookeeper::Lock::default()),
        ("lock" | "lock-unfenced", Protocol::Etcd) => over_etcd(etcd::Lock::default()),
        ("set", Protocol::ZooKeeper) => over_zookeeper(zookeeper::Set::default()),
        ("set", Protocol::Etcd) => over_etcd(etcd::Set),
        ("register", Protocol::Redis) => over_redis(redis::Register),
        ("lock" | "lock-unfenced", Protocol::Redis) => over_redis(redis::Lock::default()),
        (_, Protocol::Redis) => over_redis(redis::Set),
        ("multi", Protocol::ZooKeeper) => over_zookeeper(zookeeper::Multi::default()),
        ("multi", Protocol::Etcd) => over_etcd(etcd::Multi),
        (_, Protocol::ZooKeeper) => Arc::new(Adapter::<zookeeper::Nomad, _>::new(zookeeper::Travels::default())),
        (_, Protocol::Etcd) => over_etcd(etcd::Lease),
    }
}

/// Registers whose reads are judged as what they are taken for.
fn registers(name: &'static str, options: &Options, connect: Arc<dyn Connect>, reads: Reads) -> Workload {
    // Few keys at a time, so that workers meet on them.
    let keys = options.keys.unwrap_or_else(|| (options.workers / 4).max(1));
    let (main, liveness) = register::phases(options.seed, options.workers, keys);
    let main = main.changed_by(if connect.can("cas") { Updates::Both } else { Updates::Writes });
    Workload {
        name,
        connect,
        main: paced(main.boxed(), options).time_limit(options.time).boxed(),
        liveness: liveness.boxed(),
        judge: match reads {
            Reads::Linearizable => judge::registers,
            Reads::Local => judge::local_registers,
        },
        watch: match reads {
            Reads::Linearizable => judge::watch_registers,
            Reads::Local => judge::watch_local_registers,
        },
    }
}

fn locks(name: &'static str, options: &Options, connect: Arc<dyn Connect>, trust: Trust) -> Workload {
    // Fewer locks than workers, so that they compete; not too few, or most of the time would go by in waiting.
    let keys = options.keys.unwrap_or_else(|| (options.workers / 2).max(1));
    Workload {
        name,
        connect,
        main: paced(lock::lockers(options.seed, keys, options.time, trust), options),
        liveness: lock::Recovered::new(keys).boxed(),
        judge: match trust {
            Trust::Fenced => judge::locks,
            Trust::Blind => judge::unfenced_locks,
        },
        watch: match trust {
            Trust::Fenced => judge::watch_locks,
            Trust::Blind => judge::watch_nothing,
        },
    }
}

fn growing(
    name: &'static str,
    shape: grow::Shape,
    options: &Options,
    connect: Arc<dyn Connect>,
    judged: fn(&History) -> Vec<Judgement>,
) -> Workload {
    let (main, liveness) = grow::phases(shape, options.seed, options.keys.unwrap_or(2));
    let main = paced(main.boxed(), options).time_limit(options.time).boxed();
    Workload { name, connect, main, liveness: liveness.boxed(), judge: judged, watch: judge::watch_nothing }
}

fn sessions(name: &'static str, options: &Options, connect: Arc<dyn Connect>) -> Workload {
    // So few that each worker has lately seen all of them.
    let keys = options.keys.unwrap_or(2);
    Workload {
        name,
        connect,
        main: paced(session::wanderers(options.seed, keys), options).time_limit(options.time).boxed(),
        liveness: session::recovered(options.seed, keys),
        judge: judge::sessions,
        watch: judge::watch_sessions,
    }
}

fn leases(name: &'static str, options: &Options, connect: Arc<dyn Connect>) -> Workload {
    // Each has its own times, so that one is about to end at any moment.
    let leases = options.keys.unwrap_or(4);
    Workload {
        name,
        connect,
        main: paced(lease::holders(options.seed, leases), options).time_limit(options.time).boxed(),
        liveness: lease::Recovered::default().boxed(),
        judge: judge::leases,
        watch: judge::watch_nothing,
    }
}

fn over_zookeeper<C: Calls<zookeeper::Session>>(calls: C) -> Arc<dyn Connect> {
    Arc::new(Adapter::new(calls))
}

fn over_etcd<C: Calls<etcd::Session>>(calls: C) -> Arc<dyn Connect> {
    Arc::new(Adapter::new(calls))
}

fn over_redis<C: Calls<redis::Session>>(calls: C) -> Arc<dyn Connect> {
    Arc::new(Adapter::new(calls))
}

fn paced(work: Boxed<Invocation>, options: &Options) -> Boxed<Invocation> {
    match options.rate {
        Some(rate) => work.paced(Pace::random_rate(rate, options.seed)).boxed(),
        None => work,
    }
}

fn names() -> String {
    list().iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use grudge_checkers::verdict::Verdict;

    use super::*;

    fn options() -> Options {
        Options { seed: 1, workers: 4, keys: None, rate: None, time: Duration::from_secs(1) }
    }

    #[test]
    fn everything_in_the_list_can_be_found() {
        for entry in list() {
            for protocol in entry.protocols {
                let workload = find(entry.name, *protocol, &options()).expect("the list says that it can be run");
                assert_eq!(workload.name, entry.name);
            }
        }
    }

    #[test]
    fn an_unknown_workload_gets_a_sentence() {
        let error = find("queue", Protocol::Etcd, &options()).err().expect("there is no queue");
        assert_eq!(
            error.to_string(),
            "There is no workload `queue`. There are: register, register-local, register-unsynced, lock, lock-unfenced, set, multi, session, lease."
        );
    }

    #[test]
    fn senseless_options_get_a_sentence() {
        let senseless = [
            Options { workers: 0, ..options() },
            Options { keys: Some(0), ..options() },
            Options { rate: Some(0.0), ..options() },
            Options { rate: Some(f64::NAN), ..options() },
        ];
        for options in senseless {
            let error = find("lock", Protocol::ZooKeeper, &options).err();
            assert_eq!(error, Some(Unsupported::Options { name: "lock" }), "{options:?}");
        }
    }

    #[test]
    fn an_empty_history_is_never_valid() {
        for entry in list() {
            let workload = find(entry.name, entry.protocols[0], &options()).expect("it is in the list");
            for judgement in (workload.judge)(&History::default()) {
                assert!(matches!(judgement.verdict, Verdict::Unknown { .. }), "{judgement:?}");
            }
        }
    }
}
