//! A cluster in which nothing happens by itself: a script delivers, loses, flushes and crashes.
//!
//! Commands, with members as `n1`:
//!
//! - `cluster 3` starts that many members, `bug raft-stale-read` before it plants a bug in all of them
//! - `elect n1` is `timeout n1` and `deliver`, without telling of it
//! - `timeout n1` lets the time pass until that member wants its tick; `wait 500` lets milliseconds pass for all
//! - `deliver` delivers everything until it is quiet; `deliver n1` only what goes to or from that member;
//!   `deliver n1 n2` only what is on the way from the one to the other, and no answers
//! - `lose n1`, `lose n1 n2` lose what is on the way, likewise
//! - `cut n1`, `heal` lose everything to and from a member until healed
//! - `slow n1` lets a member's writes wait for `flush n1`, which also makes it fast again
//! - `crash n1` loses power, `restart n1` starts it from what is durable
//! - `propose n1 x y z`, `read n1`, `compact n1`
//! - `show` prints all members, `show n1` one

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::show;
use crate::bugs::Bug;
use crate::raft::{Config, Effect, Invariants, Message, Raft, Record, Timeouts};
use crate::replica::{NodeId, Time};

#[derive(Debug, Default)]
pub(super) struct Cluster {
    now: Time,
    members: BTreeMap<NodeId, Member>,
    bugs: Vec<Bug>,
    way: VecDeque<(NodeId, NodeId, Message)>,
    cut: BTreeSet<NodeId>,
    invariants: Invariants,
    told: Vec<String>,
}

#[derive(Debug)]
struct Member {
    raft: Option<Raft>,
    durable: Vec<Record>,
    outputs: VecDeque<Effect>,
    slow: bool,
    writes: u64,
    applied: u64,
}

type Told = Result<(), String>;

impl Cluster {
    /// Carries out a line of a script; what is worth telling of it.
    pub(super) fn command(&mut self, line: &str) -> Result<Vec<String>, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["cluster", count] => self.start(number(count)?),
            ["bug", name] => {
                let bug = <Bug as clap::ValueEnum>::from_str(name, false)?;
                self.bugs.push(bug);
            }
            ["timeout", id] => self.timeout(node(id)?)?,
            ["wait", milliseconds] => self.wait(Duration::from_millis(number(milliseconds)?))?,
            ["elect", id] => {
                let id = node(id)?;
                self.timeout(id)?;
                self.deliver(&[])?;
                self.told.clear();
                if self.raft(id)?.leader() != Some(id) {
                    return Err(format!("{id} was not elected"));
                }
            }
            ["deliver", between @ ..] => self.deliver(&nodes(between)?)?,
            ["lose", between @ ..] => {
                let between = nodes(between)?;
                self.way.retain(|(from, to, _)| !concerns(&between, *from, *to));
            }
            ["cut", id] => drop(self.cut.insert(node(id)?)),
            ["heal"] => self.cut.clear(),
            ["slow", id] => self.member(node(id)?)?.slow = true,
            ["flush", id] => {
                self.member(node(id)?)?.slow = false;
                self.flush(node(id)?)?;
            }
            ["crash", id] => {
                let member = self.member(node(id)?)?;
                member.raft = None;
                member.outputs.clear();
            }
            ["restart", id] => self.restart(node(id)?)?,
            ["propose", id, data @ ..] => {
                let id = node(id)?;
                for data in data {
                    if self.raft(id)?.propose(Bytes::copy_from_slice(data.as_bytes())).is_err() {
                        self.told.push(format!("{id} knows no leader"));
                    }
                }
                self.drain(id)?;
            }
            ["read", id] => {
                let id = node(id)?;
                if self.raft(id)?.read().is_err() {
                    self.told.push(format!("{id} knows no leader"));
                }
                self.drain(id)?;
            }
            ["compact", id] => {
                let id = node(id)?;
                let applied = self.member(id)?.applied;
                self.raft(id)?.compact(applied, || Bytes::from_static(b"state"));
                self.drain(id)?;
            }
            ["show"] => {
                let lines: Vec<String> =
                    self.members.values().filter_map(|m| m.raft.as_ref()).map(show::member).collect();
                self.told.extend(lines);
            }
            ["show", id] => {
                let line = show::member(self.raft(node(id)?)?);
                self.told.push(line);
            }
            _ => return Err(format!("{line:?} is no command")),
        }
        Ok(std::mem::take(&mut self.told))
    }

    fn start(&mut self, count: u64) {
        for id in (1..=count).map(NodeId) {
            let member = Member {
                raft: None,
                durable: Vec::new(),
                outputs: VecDeque::new(),
                slow: false,
                writes: 0,
                applied: 0,
            };
            self.members.insert(id, member);
        }
        for id in (1..=count).map(NodeId) {
            self.restart(id).expect("it was just made");
        }
        // What every member says of its first life is in no script's interest.
        self.told.clear();
    }

    fn member(&mut self, id: NodeId) -> Result<&mut Member, String> {
        self.members.get_mut(&id).ok_or_else(|| format!("there is no {id}"))
    }

    fn raft(&mut self, id: NodeId) -> Result<&mut Raft, String> {
        self.member(id)?.raft.as_mut().ok_or_else(|| format!("{id} is down"))
    }

    fn restart(&mut self, id: NodeId) -> Told {
        let config = Config {
            id,
            peers: self.members.keys().copied().collect(),
            timeouts: Timeouts::default(),
            seed: 7,
            bugs: self.bugs.clone(),
            keep_entries: 0,
        };
        let now = self.now;
        let member = self.member(id)?;
        let raft = Raft::recover(config, now, member.durable.clone());
        (member.writes, member.applied) = (0, raft.snapshot().map_or(0, |snapshot| snapshot.last.index));
        member.raft = Some(raft);
        self.drain(id)
    }

    fn timeout(&mut self, id: NodeId) -> Told {
        let wake = self.raft(id)?.wake();
        self.now = self.now.max(wake);
        let now = self.now;
        self.raft(id)?.tick(now);
        self.drain(id)
    }

    fn wait(&mut self, duration: Duration) -> Told {
        self.now += duration;
        let now = self.now;
        let ids: Vec<NodeId> = self.members.keys().copied().collect();
        for id in ids {
            if let Ok(raft) = self.raft(id) {
                raft.tick(now);
                self.drain(id)?;
            }
        }
        Ok(())
    }

    /// Delivers messages, and answers to them unless a direction is given.
    fn deliver(&mut self, between: &[NodeId]) -> Told {
        let mut rounds = 0;
        loop {
            let (now, later): (Vec<_>, Vec<_>) =
                self.way.drain(..).partition(|(from, to, _)| concerns(between, *from, *to));
            self.way = later.into();
            if now.is_empty() {
                return Ok(());
            }
            for (from, to, message) in now {
                self.told.push(format!("{from} -> {to}  {}", show::message(&message)));
                let at = self.now;
                if let Ok(raft) = self.raft(to) {
                    raft.receive(at, from, message);
                    self.drain(to)?;
                }
            }
            rounds += 1;
            if between.len() == 2 {
                return Ok(());
            }
            if rounds > 100 {
                return Err("it never becomes quiet".to_owned());
            }
        }
    }

    /// Takes what a member wants done, and does what no barrier holds back.
    fn drain(&mut self, id: NodeId) -> Told {
        let member = self.member(id)?;
        let mut effects = Vec::new();
        if let Some(raft) = &mut member.raft {
            raft.drain(&mut effects);
        }
        member.outputs.extend(effects);
        self.flush(id)?;
        let members = self.members.values().filter_map(|member| member.raft.as_ref());
        self.invariants.observe(members)
    }

    fn flush(&mut self, id: NodeId) -> Told {
        let member = self.member(id)?;
        let (mut told, mut sent, mut written) = (Vec::new(), Vec::new(), false);
        while let Some(effect) = member.outputs.pop_front() {
            let write = matches!(effect, Effect::Persist(_) | Effect::Rewrite(_));
            if write && member.slow {
                member.outputs.push_front(effect);
                break;
            }
            told.extend(show::effect(&effect).map(|line| format!("{id} {line}")));
            written |= write;
            member.writes += u64::from(write);
            match effect {
                Effect::Persist(records) => member.durable.extend(records),
                Effect::Rewrite(records) => member.durable = records,
                Effect::Send { to, message } => sent.push((id, to, message)),
                Effect::Apply(entry) => member.applied = entry.at.index,
                Effect::Restore(snapshot) => member.applied = snapshot.last.index,
                Effect::Event(_) | Effect::ReadReady { .. } | Effect::LeaderChanged => {}
            }
        }
        let writes = member.writes;
        self.told.extend(told);
        let cut = &self.cut;
        self.way.extend(sent.into_iter().filter(|(from, to, _)| !cut.contains(from) && !cut.contains(to)));
        if !written {
            return Ok(());
        }
        self.raft(id)?.persisted(writes);
        self.drain(id)
    }
}

/// Whether a message is meant: all are without names, those of one member with one, one direction with two.
fn concerns(between: &[NodeId], from: NodeId, to: NodeId) -> bool {
    match between {
        [] => true,
        [one] => from == *one || to == *one,
        [one, other, ..] => from == *one && to == *other,
    }
}

fn number(word: &str) -> Result<u64, String> {
    word.parse().map_err(|_| format!("{word:?} is no number"))
}

fn node(word: &str) -> Result<NodeId, String> {
    let digits = word.strip_prefix('n').ok_or_else(|| format!("{word:?} is no member"))?;
    number(digits).map(NodeId)
}

fn nodes(words: &[&str]) -> Result<Vec<NodeId>, String> {
    words.iter().map(|word| node(word)).collect()
}
