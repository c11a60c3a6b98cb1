//! Leases: each worker keeps a few alive, looks whether they are, and lets go of them in different ways.
//!
//! Each lease has a key of its own in the whole run. `grant` of s grants a lease of s seconds and puts the key with it;
//! its result is `{"lease": the number, "ttl": the seconds it has}`, and so is that of `renew`, whose value is the number.
//! `check` reads linearizably whether the key is there. `revoke` ends the lease that is its value. Judged: the key is
//! there until the lease's time is over, counted from the invocation of the last grant or renewal that was acknowledged,
//! unless somebody may have revoked it. That it goes afterwards is asked of every worker in the liveness phase, and of
//! the main phase as a finding.
//!
//! A lease is renewed well before its end, for longer than the longest time to live, so that a node which remembers only
//! the grant, or has slept over renewals, ends it early. Then it is revoked, abandoned, or looked at until it has gone,
//! for the first time shortly before its end.

use std::collections::BTreeMap;
use std::time::Duration;

use grudge_checkers::history::{Event, Kind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::generator::{Boxed, Build, Generator, Next, PerWorker, Worker};
use crate::operation::Invocation;

/// The shortest and the longest time to live that is asked for, in seconds.
const TTL: (u64, u64) = (2, 5);

/// How many operations a lease gets before it is let go.
const MOST_ROUNDS: u32 = 24;

/// The pause between two operations on a lease that is kept, as a share of its time to live.
const PAUSE: (f64, f64) = (0.05, 0.3);

/// A lease is renewed at the latest when this share of its time to live is over.
const RENEW_BY: f64 = 0.5;

/// When a lease that is left to end is looked at, as a share of its time to live: first, and then again and again.
const LAST_LOOK: f64 = 0.9;
const LOOK_AGAIN: f64 = 0.25;

/// The longest rest after an operation that did not succeed.
const LONGEST_REST: Duration = Duration::from_millis(200);

/// The main phase, for ever, with so many leases a worker.
pub(crate) fn holders(seed: u64, leases: usize) -> Boxed<Invocation> {
    PerWorker::new(move |worker: Worker| {
        // Each worker draws from a stream of its own, so that one worker's luck does not change another's.
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(worker.0 as u64);
        let mut holder = Holder { worker, rng, granted: 0, leases: Vec::new(), busy: None };
        for _ in 0..leases {
            let begin = Duration::from_secs(1).mul_f64(holder.rng.random_range(0.0..1.0));
            let lease = holder.fresh(begin);
            holder.leases.push(lease);
        }
        holder.boxed()
    })
    .boxed()
}

struct Holder {
    worker: Worker,
    rng: ChaCha8Rng,
    granted: u64,
    leases: Vec<Lease>,
    /// Which lease the present operation is about.
    busy: Option<usize>,
}

struct Lease {
    key: String,
    /// Seconds that are asked for.
    seconds: u64,
    stage: Stage,
    /// When it is to be seen to.
    due: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Not granted yet.
    New,
    /// Looked after for so many rounds more.
    Kept { lease: i64, ttl: Duration, renewed: Duration, rounds: u32 },
    /// Left to end by itself, and looked at.
    Ending { ttl: Duration },
    /// Revoked, and looked at once.
    Revoked,
}

impl Holder {
    fn fresh(&mut self, due: Duration) -> Lease {
        self.granted += 1;
        let key = format!("{}.{}", self.worker.0, self.granted);
        Lease { key, seconds: self.rng.random_range(TTL.0..=TTL.1), stage: Stage::New, due }
    }

    fn share(&mut self, ttl: Duration) -> Duration {
        ttl.mul_f64(self.rng.random_range(PAUSE.0..PAUSE.1))
    }

    fn operation(&mut self, now: Duration, at: usize) -> Invocation {
        let stage = self.leases[at].stage;
        let (f, value) = match stage {
            Stage::New => ("grant", Some(self.leases[at].seconds as i64)),
            Stage::Kept { lease, rounds: 0, .. } => ("revoke", Some(lease)),
            Stage::Kept { lease, ttl, renewed, .. } => {
                let late = now >= renewed + ttl.mul_f64(RENEW_BY);
                if late || self.rng.random_ratio(1, 2) { ("renew", Some(lease)) } else { ("check", None) }
            }
            Stage::Ending { .. } | Stage::Revoked => ("check", None),
        };
        let invocation = Invocation::new(f).on(self.leases[at].key.as_str());
        match value {
            Some(value) => invocation.with(value),
            None => invocation,
        }
    }

    /// How a lease goes on that was kept for a round more.
    fn keep(&mut self, now: Duration, stage: Stage) -> (Stage, Duration) {
        let Stage::Kept { lease, ttl, renewed, rounds } = stage else { return (stage, now) };
        if rounds > 1 {
            return (Stage::Kept { lease, ttl, renewed, rounds: rounds - 1 }, now + self.share(ttl));
        }
        match self.rng.random_range(0..4) {
            0 => (Stage::Kept { lease, ttl, renewed, rounds: 0 }, now + self.share(ttl)),
            1 => (Stage::New, now),
            _ => (Stage::Ending { ttl }, now.max(renewed + ttl.mul_f64(LAST_LOOK))),
        }
    }

    /// What follows from the end of an operation on this lease.
    fn after(&mut self, now: Duration, stage: Stage, event: &Event) -> (Stage, Duration) {
        let rest = now + LONGEST_REST.mul_f64(self.rng.random_range(0.0..1.0));
        match (stage, event.kind, event.f.as_str()) {
            (Stage::New, Kind::Ok, _) => {
                let number = |name: &str| event.value.get(name).and_then(serde_json::Value::as_i64);
                let (Some(lease), Some(seconds)) = (number("lease"), number("ttl")) else { return (Stage::New, rest) };
                let ttl = Duration::from_secs(u64::try_from(seconds).unwrap_or(TTL.0));
                let rounds = self.rng.random_range(1..=MOST_ROUNDS);
                (Stage::Kept { lease, ttl, renewed: now, rounds }, now + self.share(ttl))
            }
            // The key of a grant that did not succeed is not used again.
            (Stage::New, ..) => (Stage::New, rest),
            (_, Kind::Ok, "check") if event.value == false => (Stage::New, rest),
            (Stage::Kept { lease, ttl, rounds, .. }, Kind::Ok, "renew") => {
                self.keep(now, Stage::Kept { lease, ttl, renewed: now, rounds })
            }
            (Stage::Kept { .. }, Kind::Ok | Kind::Info, "revoke") => (Stage::Revoked, now),
            (Stage::Kept { .. }, Kind::Ok, _) => self.keep(now, stage),
            (Stage::Ending { ttl }, Kind::Ok, _) => (stage, now + ttl.mul_f64(LOOK_AGAIN)),
            (Stage::Revoked, Kind::Ok, _) => (Stage::New, rest),
            _ => (stage, rest),
        }
    }
}

impl Generator<Invocation> for Holder {
    fn next(&mut self, now: Duration, _: Worker) -> Next<Invocation> {
        let first = self.leases.iter().enumerate().min_by_key(|(_, lease)| lease.due);
        let Some((at, due)) = first.map(|(at, lease)| (at, lease.due)) else { return Next::Done };
        if now < due {
            return Next::At(due);
        }
        self.busy = Some(at);
        Next::Op(self.operation(now, at))
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        if worker != Some(self.worker) || event.kind == Kind::Invoke {
            return;
        }
        let Some(at) = self.busy.take() else { return };
        let (stage, due) = self.after(now, self.leases[at].stage, event);
        if stage == Stage::New {
            self.leases[at] = self.fresh(due);
        } else {
            self.leases[at].stage = stage;
            self.leases[at].due = due;
        }
    }
}

/// The liveness phase: each worker is granted a short lease, finds its key, and looks at it until it has gone.
#[derive(Default)]
pub(crate) struct Recovered {
    open: BTreeMap<Worker, Last>,
}

struct Last {
    attempts: u64,
    granted: bool,
    gone: bool,
    due: Duration,
}

impl Last {
    fn key(&self, worker: Worker) -> String {
        format!("{}.last.{}", worker.0, self.attempts)
    }
}

impl Generator<Invocation> for Recovered {
    fn next(&mut self, now: Duration, worker: Worker) -> Next<Invocation> {
        let last = self.open.entry(worker).or_insert(Last { attempts: 0, granted: false, gone: false, due: now });
        if last.gone {
            return Next::Done;
        }
        if now < last.due {
            return Next::At(last.due);
        }
        if last.granted {
            return Next::Op(Invocation::new("check").on(last.key(worker)));
        }
        last.attempts += 1;
        Next::Op(Invocation::new("grant").on(last.key(worker)).with(TTL.0))
    }

    fn update(&mut self, now: Duration, worker: Option<Worker>, event: &Event) {
        let Some(last) = worker.and_then(|worker| self.open.get_mut(&worker)) else { return };
        match (event.kind, event.f.as_str()) {
            (Kind::Invoke, _) => return,
            (Kind::Ok, "grant") => last.granted = true,
            (Kind::Ok, "check") => last.gone = event.value == false,
            _ => {}
        }
        last.due = now + LONGEST_REST;
    }
}

#[cfg(test)]
mod tests {
    use grudge_checkers::history::History;
    use grudge_checkers::verdict::Verdict;
    use serde_json::json;

    use super::*;
    use crate::generator::simulate::{Answer, simulate};
    use crate::judge;
    use crate::operation::Outcome;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Defect {
        None,
        /// Renewals are answered and forgotten.
        ForgetsRenewals,
        /// Leases end half a second early.
        Hasty,
        /// Revocations are answered and forgotten.
        ForgetsRevocations,
        /// Leases never end by themselves.
        Immortal,
    }

    /// Leases in memory: of each its key, its time to live and its end. The outcome of every 20th call is lost.
    struct Memory {
        leases: BTreeMap<i64, (String, u64, Duration)>,
        calls: i64,
        defect: Defect,
    }

    impl Memory {
        fn answer(&mut self, now: Duration, invocation: &Invocation) -> Answer {
            self.calls += 1;
            if self.defect != Defect::Immortal {
                let haste = Duration::from_millis(if self.defect == Defect::Hasty { 500 } else { 0 });
                self.leases.retain(|_, (_, _, end)| now + haste < *end);
            }
            let key = invocation.key.clone().unwrap_or_default();
            let number = invocation.value.as_i64().unwrap_or_default();
            let outcome = match invocation.f {
                "grant" => {
                    let ttl = u64::try_from(number).expect("a time to live is positive");
                    self.leases.insert(self.calls, (key, ttl, now + Duration::from_secs(ttl)));
                    Outcome::ok(json!({ "lease": self.calls, "ttl": ttl }), None)
                }
                "renew" => match self.leases.get_mut(&number) {
                    Some((_, ttl, end)) => {
                        if self.defect != Defect::ForgetsRenewals {
                            *end = now + Duration::from_secs(*ttl);
                        }
                        Outcome::ok(json!({ "lease": number, "ttl": *ttl }), None)
                    }
                    None => Outcome::fail("requested-lease-not-found"),
                },
                "revoke" => {
                    if self.defect != Defect::ForgetsRevocations {
                        self.leases.remove(&number);
                    }
                    Outcome::ok(number, None)
                }
                _ => Outcome::ok(self.leases.values().any(|(held, ..)| *held == key), None),
            };
            let outcome = if self.calls % 20 == 0 { Outcome::info("timeout") } else { outcome };
            (Duration::from_millis(1 + self.calls.unsigned_abs() % 3), outcome)
        }
    }

    fn run(seed: u64, defect: Defect) -> History {
        let mut memory = Memory { leases: BTreeMap::new(), calls: 0, defect };
        let mut main = holders(seed, 3).time_limit(Duration::from_secs(60));
        simulate(&mut main, 4, |now, _, invocation| memory.answer(now, invocation))
    }

    #[test]
    fn leases_that_live_their_time_are_valid() {
        for seed in 0..20 {
            for judgement in judge::leases(&run(seed, Defect::None)) {
                assert_eq!(judgement.verdict, Verdict::Valid, "seed {seed}, {}", judgement.checker);
            }
        }
    }

    #[test]
    fn each_defect_is_found() {
        let cases = [
            (Defect::ForgetsRenewals, 0, "early expiry: the renew"),
            (Defect::Hasty, 0, "early expiry"),
            (Defect::ForgetsRevocations, 0, "was revoked"),
            (Defect::Immortal, 1, "late expiry"),
        ];
        for (defect, judgement, words) in cases {
            for seed in 0..10 {
                let verdict = judge::leases(&run(seed, defect)).remove(judgement).verdict;
                let Verdict::Invalid { witness } = verdict else { panic!("{defect:?}, seed {seed}: {verdict}") };
                assert!(witness.reason.contains(words), "{defect:?}, seed {seed}: {witness}");
                assert!(witness.events.len() <= 6, "{defect:?}, seed {seed}: {witness}");
            }
        }
    }

    #[test]
    fn leases_are_kept_for_longer_than_they_live_and_let_go_in_each_way() {
        let history = run(7, Defect::None);
        let mut renewals: BTreeMap<&str, usize> = BTreeMap::new();
        let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for event in history.events.iter().filter(|event| event.kind == Kind::Ok) {
            let gone = if event.value == false { "gone" } else { "" };
            *counts.entry((&event.f, gone)).or_default() += 1;
            if event.f == "renew" {
                *renewals.entry(event.key.as_deref().unwrap_or("")).or_default() += 1;
            }
        }
        for f in [("grant", ""), ("renew", ""), ("check", ""), ("check", "gone"), ("revoke", "")] {
            assert!(counts.get(&f).is_some_and(|count| *count >= 5), "{f:?}: {counts:?}");
        }
        assert!(renewals.values().any(|renewals| *renewals >= 10), "{renewals:?}");
    }

    #[test]
    fn the_liveness_phase_ends_when_each_lease_has_gone() {
        let mut memory = Memory { leases: BTreeMap::new(), calls: 0, defect: Defect::None };
        let mut last = Recovered::default();
        let history = simulate(&mut last, 3, |now, _, invocation| memory.answer(now, invocation));
        let gone = history.events.iter().filter(|event| event.kind == Kind::Ok && event.value == false).count();
        assert_eq!(gone, 3);
    }
}
