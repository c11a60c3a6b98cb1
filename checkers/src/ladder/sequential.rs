//! Whether there is a sequential order, by search.
//!
//! A configuration says how far each session has come, which updates of unknown outcome were taken, and what the
//! registers hold. Depth first, each is looked at once. Reads that are legal are taken at once: whatever legal order goes on
//! from a configuration, moving such a read to its front changes no state. An update of unknown outcome is taken only if
//! its value is observed by somebody: otherwise leaving it out of a legal order changes no observation. (A state that
//! nobody observed may as well have been another.)
//!
//! The search gives up after [`MOST`] configurations, which hold a few words for each session and each key.

use rustc_hash::{FxHashMap, FxHashSet};

use super::record::{Act, Record};
use crate::model::Datum;
use crate::verdict::Verdict;

/// How many configurations are looked at, and again as many to make a contradiction small.
const MOST: usize = 1 << 18;

/// Looks for an order.
pub(super) fn search(record: &Record<'_>) -> Verdict {
    let all: Vec<usize> = (0..record.calls.len()).collect();
    if let Some(phantom) = phantom(record) {
        let reason = format!("{}, which nobody wrote", record.who(phantom));
        return Verdict::Invalid { witness: record.witness(reason, [phantom]) };
    }
    let mut left = MOST;
    match Search::new(record, &all).run(&mut left) {
        Found::Order => Verdict::Valid,
        Found::GaveUp => Verdict::Unknown {
            reason: format!("a sequential order was neither found nor excluded by {MOST} configurations"),
        },
        Found::Nothing => {
            let calls = shrink(record, all);
            let told: Vec<String> = calls.iter().map(|&call| record.who(call)).collect();
            let reason = format!("no order of these that keeps each process's own explains them: {}", told.join("; "));
            Verdict::Invalid { witness: record.witness(reason, calls) }
        }
    }
}

/// A call that saw what nobody can have written.
fn phantom(record: &Record<'_>) -> Option<usize> {
    let written: FxHashSet<(usize, Datum)> =
        record.calls.iter().filter_map(|call| Some((call.key, call.act.produces()?))).collect();
    record.calls.iter().position(|call| {
        let saw = call.act.observes().filter(|value| call.happened && *value != record.nothing);
        saw.is_some_and(|value| !written.contains(&(call.key, value)))
    })
}

/// Leaves out what the contradiction does not need: as long as what is left has no order, one operation after the other,
/// with all that observed what it wrote. What a legal order needs not to hold is none the worse without those: nobody
/// observes any more what was there instead.
fn shrink(record: &Record<'_>, mut calls: Vec<usize>) -> Vec<usize> {
    let mut left = MOST;
    let sessions: Vec<Vec<usize>> = (0..record.sessions)
        .map(|session| calls.iter().copied().filter(|&call| record.calls[call].session == session).collect())
        .collect();
    let single = calls.iter().rev().map(|&call| vec![call]);
    let attempts: Vec<Vec<usize>> = sessions.into_iter().chain(single).collect();
    for attempt in attempts {
        let rest = without(record, &calls, &attempt);
        if rest.len() < calls.len() && matches!(Search::new(record, &rest).run(&mut left), Found::Nothing) {
            calls = rest;
        }
    }
    calls
}

fn without(record: &Record<'_>, calls: &[usize], gone: &[usize]) -> Vec<usize> {
    let mut gone: FxHashSet<usize> = gone.iter().copied().collect();
    loop {
        let product = |call: usize| Some((record.calls[call].key, record.calls[call].act.produces()?));
        let missing: FxHashSet<(usize, Datum)> = gone.iter().filter_map(|&call| product(call)).collect();
        let needs = |call: &usize| {
            let call = &record.calls[*call];
            call.act.observes().is_some_and(|value| missing.contains(&(call.key, value)))
        };
        let more: Vec<usize> = calls.iter().copied().filter(|call| !gone.contains(call) && needs(call)).collect();
        if more.is_empty() {
            return calls.iter().copied().filter(|call| !gone.contains(call)).collect();
        }
        gone.extend(more);
    }
}

enum Found {
    Order,
    Nothing,
    GaveUp,
}

/// An update that may have happened.
struct Perhaps {
    call: usize,
    session: usize,
    /// How far its session has to have come.
    after: u32,
}

struct Search<'r, 'h> {
    record: &'r Record<'h>,
    /// Of each session what happened.
    sessions: Vec<Vec<usize>>,
    perhaps: Vec<Perhaps>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Configuration {
    /// How far each session has come.
    reached: Box<[u32]>,
    /// Which of the others were taken, a bit each.
    taken: Box<[u64]>,
    /// What each register holds.
    holds: Box<[Datum]>,
}

#[derive(Clone, Copy)]
enum Choice {
    Session(usize),
    Perhaps(usize),
}

impl<'r, 'h> Search<'r, 'h> {
    fn new(record: &'r Record<'h>, calls: &[usize]) -> Self {
        let mut numbers: FxHashMap<usize, usize> = FxHashMap::default();
        let mut sessions: Vec<Vec<usize>> = Vec::new();
        let mut perhaps = Vec::new();
        let observed: FxHashSet<(usize, Datum)> =
            calls.iter().filter_map(|&at| Some((record.calls[at].key, record.calls[at].act.observes()?))).collect();
        for &at in calls {
            let call = &record.calls[at];
            let session = *numbers.entry(call.session).or_insert_with(|| {
                sessions.push(Vec::new());
                sessions.len() - 1
            });
            if call.happened {
                sessions[session].push(at);
            } else if call.act.produces().is_some_and(|value| observed.contains(&(call.key, value))) {
                let after = u32::try_from(sessions[session].len()).expect("a history has fewer than 2^32 operations");
                perhaps.push(Perhaps { call: at, session, after });
            }
        }
        Search { record, sessions, perhaps }
    }

    fn run(&self, left: &mut usize) -> Found {
        let mut start = Configuration {
            reached: vec![0; self.sessions.len()].into(),
            taken: vec![0; self.perhaps.len().div_ceil(64)].into(),
            holds: vec![self.record.nothing; self.record.keys.len()].into(),
        };
        self.read_on(&mut start);
        if self.is_done(&start) {
            return Found::Order;
        }
        let mut seen: FxHashSet<Configuration> = FxHashSet::default();
        let mut path = vec![(self.choices(&start), start)];
        while let Some((choices, configuration)) = path.last_mut() {
            let Some(choice) = choices.pop() else {
                path.pop();
                continue;
            };
            let mut next = configuration.clone();
            self.take(&mut next, choice);
            self.read_on(&mut next);
            if self.is_done(&next) {
                return Found::Order;
            }
            if seen.contains(&next) {
                continue;
            }
            if *left == 0 {
                return Found::GaveUp;
            }
            *left -= 1;
            seen.insert(next.clone());
            path.push((self.choices(&next), next));
        }
        Found::Nothing
    }

    fn is_done(&self, configuration: &Configuration) -> bool {
        self.sessions.iter().zip(&configuration.reached).all(|(session, reached)| session.len() == *reached as usize)
    }

    fn next(&self, configuration: &Configuration, session: usize) -> Option<usize> {
        self.sessions[session].get(configuration.reached[session] as usize).copied()
    }

    /// Takes every read that is legal.
    fn read_on(&self, configuration: &mut Configuration) {
        for session in 0..self.sessions.len() {
            while let Some(at) = self.next(configuration, session) {
                let call = &self.record.calls[at];
                match call.act {
                    Act::Read(value) if configuration.holds[call.key] == value => configuration.reached[session] += 1,
                    _ => break,
                }
            }
        }
    }

    fn choices(&self, configuration: &Configuration) -> Vec<Choice> {
        let legal = |at: usize| {
            let call = &self.record.calls[at];
            call.act.observes().is_none_or(|value| configuration.holds[call.key] == value)
        };
        let sessions = (0..self.sessions.len()).filter(|&session| self.next(configuration, session).is_some_and(legal));
        let perhaps = self.perhaps.iter().enumerate().filter(|(number, perhaps)| {
            let taken = configuration.taken[number / 64] & (1 << (number % 64)) != 0;
            !taken && configuration.reached[perhaps.session] >= perhaps.after && legal(perhaps.call)
        });
        let perhaps = perhaps.map(|(number, _)| Choice::Perhaps(number));
        // The last is tried first: what surely happened.
        perhaps.chain(sessions.map(Choice::Session)).collect()
    }

    fn take(&self, configuration: &mut Configuration, choice: Choice) {
        let at = match choice {
            Choice::Session(session) => {
                let at = self.sessions[session][configuration.reached[session] as usize];
                configuration.reached[session] += 1;
                at
            }
            Choice::Perhaps(number) => {
                configuration.taken[number / 64] |= 1 << (number % 64);
                self.perhaps[number].call
            }
        };
        let call = &self.record.calls[at];
        if let Some(value) = call.act.produces() {
            configuration.holds[call.key] = value;
        }
    }
}
