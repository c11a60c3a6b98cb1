//! The four-letter words: what a server says of itself to anybody who asks in plain text.

use std::fmt::Write as _;

use crate::znode::{Mode, Status};

/// The version of ZooKeeper whose protocol is served; clients choose features by it.
const VERSION: &str = concat!("3.8.0-grudge-", env!("CARGO_PKG_VERSION"));
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";

/// A question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Are you there?
    Ruok,
    /// Who are you?
    Srvr,
    /// The same, and who is connected.
    Stat,
    /// Counters, one a line.
    Mntr,
    /// Do you serve writes?
    Isro,
    /// What were you started with?
    Conf,
    /// What do you run on?
    Envi,
}

impl Word {
    /// The question that these four bytes are.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 4]) -> Option<Word> {
        Some(match &bytes {
            b"ruok" => Word::Ruok,
            b"srvr" => Word::Srvr,
            b"stat" => Word::Stat,
            b"mntr" => Word::Mntr,
            b"isro" => Word::Isro,
            b"conf" => Word::Conf,
            b"envi" => Word::Envi,
            _ => return None,
        })
    }
}

/// What the front end itself has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Traffic {
    /// Requests received.
    pub received: u64,
    /// Replies sent.
    pub sent: u64,
    /// The port clients connect to.
    pub client_port: u16,
    /// Connections that one address may have; 0 means any number.
    pub max_connections: usize,
}

/// The answer.
#[must_use]
pub fn answer(word: Word, status: &Status, traffic: &Traffic) -> String {
    match word {
        Word::Ruok => "imok".to_owned(),
        Word::Isro => if status.mode == Mode::Looking { "null" } else { "rw" }.to_owned(),
        Word::Conf => conf(status, traffic),
        Word::Envi => format!("Environment:\nzookeeper.version={VERSION}\nos.name={}\n", std::env::consts::OS),
        Word::Srvr | Word::Stat | Word::Mntr if status.mode == Mode::Looking => NOT_SERVING.to_owned(),
        Word::Srvr => format!("Zookeeper version: {VERSION}\n{}", srvr(status, traffic)),
        Word::Stat => format!("Zookeeper version: {VERSION}\nClients:\n\n{}", srvr(status, traffic)),
        Word::Mntr => mntr(status, traffic),
    }
}

fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Looking => "looking",
        Mode::Follower => "follower",
        Mode::Leader => "leader",
        Mode::Standalone => "standalone",
    }
}

fn srvr(status: &Status, traffic: &Traffic) -> String {
    format!(
        "Received: {}\nSent: {}\nConnections: {}\nOutstanding: {}\nZxid: {:#x}\nMode: {}\nNode count: {}\n",
        traffic.received,
        traffic.sent,
        status.connections,
        status.outstanding,
        status.zxid,
        mode(status.mode),
        status.nodes,
    )
}

fn conf(status: &Status, traffic: &Traffic) -> String {
    format!(
        "clientPort={}\ntickTime={}\nmaxClientCnxns={}\nminSessionTimeout={}\nmaxSessionTimeout={}\nserverId={}\n",
        traffic.client_port,
        status.tick_ms,
        traffic.max_connections,
        status.tick_ms * 2,
        status.tick_ms * 20,
        status.server,
    )
}

fn mntr(status: &Status, traffic: &Traffic) -> String {
    let mut text = format!("zk_version\t{VERSION}\nzk_server_state\t{}\n", mode(status.mode));
    let counters = [
        ("zk_packets_received", traffic.received),
        ("zk_packets_sent", traffic.sent),
        ("zk_num_alive_connections", status.connections as u64),
        ("zk_outstanding_requests", status.outstanding as u64),
        ("zk_znode_count", status.nodes as u64),
        ("zk_watch_count", status.watches as u64),
        ("zk_ephemerals_count", status.ephemerals as u64),
        ("zk_global_sessions", status.sessions as u64),
    ];
    for (name, value) in counters {
        let _ = writeln!(text, "{name}\t{value}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(mode: Mode) -> Status {
        Status {
            mode,
            zxid: 0x1_0000_0005,
            nodes: 6,
            ephemerals: 1,
            watches: 2,
            sessions: 3,
            connections: 1,
            outstanding: 0,
            server: 2,
            tick_ms: 500,
        }
    }

    #[test]
    fn the_words_are_answered_as_zookeeper_answers_them() {
        let traffic = Traffic { received: 7, sent: 8, client_port: 2181, max_connections: 60 };
        let ask = |word: &[u8; 4], mode| {
            let word = Word::from_bytes(*word).expect("a word of the table");
            answer(word, &status(mode), &traffic)
        };
        assert_eq!(ask(b"ruok", Mode::Looking), "imok");
        assert_eq!(ask(b"isro", Mode::Looking), "null");
        assert_eq!(ask(b"isro", Mode::Follower), "rw");
        assert_eq!(ask(b"srvr", Mode::Looking), NOT_SERVING);
        insta::assert_snapshot!("srvr", ask(b"srvr", Mode::Leader));
        insta::assert_snapshot!("stat", ask(b"stat", Mode::Standalone));
        insta::assert_snapshot!("mntr", ask(b"mntr", Mode::Follower));
        insta::assert_snapshot!("conf", ask(b"conf", Mode::Follower));
    }

    #[test]
    fn a_frame_length_is_no_word() {
        assert_eq!(Word::from_bytes([0, 0, 0, 45]), None);
    }
}
