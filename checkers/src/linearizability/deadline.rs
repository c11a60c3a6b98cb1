//! That every phase looks at the clock: a model counts what it is asked, the clock how often it is looked at, and between
//! two looks nothing is asked very often. So no phase of a long history goes on for long after the deadline.

use std::cell::Cell;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

use super::budget::{Allowance, STEPS_PER_LOOK};
use super::*;
use crate::model::{
    Access, CasRegister, Data, Datum, Family, Meaning, Needs, PriorityQueue, Queue, Register, Set, Stack,
};

const OPERATIONS: usize = 60_000;
/// What may be asked between two looks: a step is a few questions.
const QUESTIONS: u64 = 16 * STEPS_PER_LOOK as u64;

thread_local! {
    static START: Instant = Instant::now();
    /// Since the last look.
    static ASKED: Cell<u64> = const { Cell::new(0) };
    /// The most between two looks.
    static MOST: Cell<u64> = const { Cell::new(0) };
    static LOOKS: Cell<u64> = const { Cell::new(0) };
    /// After so many looks it is later than this.
    static JUMP: Cell<(u64, Duration)> = const { Cell::new((u64::MAX, Duration::ZERO)) };
}

fn ask() {
    ASKED.set(ASKED.get() + 1);
}

fn clock() -> Instant {
    MOST.set(MOST.get().max(ASKED.take()));
    LOOKS.set(LOOKS.get() + 1);
    let (after, jump) = JUMP.get();
    START.with(|start| if LOOKS.get() > after { *start + jump } else { *start })
}

/// Counts what is asked of a model.
struct Asked<M>(M);

impl<M: Model> Model for Asked<M> {
    type State = M::State;
    type Op = M::Op;

    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn init(&self, data: &mut Data) -> M::State {
        self.0.init(data)
    }

    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<M::Op>, String> {
        self.0.read(operation, data)
    }

    fn family(&self) -> Family {
        self.0.family()
    }

    fn step(&self, state: &M::State, op: &M::Op) -> Option<M::State> {
        ask();
        self.0.step(state, op)
    }

    fn container(&self, op: &M::Op) -> Option<Access> {
        ask();
        self.0.container(op)
    }

    fn is_pure(&self, op: &M::Op) -> bool {
        ask();
        self.0.is_pure(op)
    }

    fn overwrites(&self, op: &M::Op) -> bool {
        ask();
        self.0.overwrites(op)
    }

    fn heap_bytes(&self, state: &M::State) -> usize {
        ask();
        self.0.heap_bytes(state)
    }

    fn produces(&self, op: &M::Op) -> Option<Datum> {
        ask();
        self.0.produces(op)
    }

    fn observes(&self, op: &M::Op) -> Option<Datum> {
        ask();
        self.0.observes(op)
    }

    fn initially(&self, state: &M::State) -> Option<Datum> {
        self.0.initially(state)
    }

    fn needs(&self) -> Needs<M::Op> {
        self.0.needs()
    }
}

/// Operations of three processes that are called together and answered together, in the order in which they happen; of a
/// hundred, so many lose their answer.
fn history(lost: u32, mut next: impl FnMut(&mut ChaCha8Rng) -> (&'static str, Value, Value)) -> History {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut history, mut process) = (History::default(), 0);
    for _ in 0..OPERATIONS / 3 {
        let open = [0, 1, 2].map(|at| {
            let (f, argument, answer) = next(&mut rng);
            (history.call(process + at, f, argument.clone()), answer)
        });
        for (call, answer) in open {
            if rng.random_ratio(lost, 100) {
                history.info(call);
            } else {
                history.ok(call, answer);
            }
        }
        process += 3;
    }
    history
}

/// Writes and reads of so many values.
fn register(values: u64, lost: u32) -> History {
    let (mut value, mut written) = (Value::Null, 0_u64);
    history(lost, |rng| {
        if rng.random_ratio(1, 2) {
            return ("read", Value::Null, value.clone());
        }
        written += 1;
        value = json!(written % values);
        ("write", value.clone(), value.clone())
    })
}

/// Values that are put in and taken out; some twice, if they are not unique.
fn container(
    put: &'static str,
    take: &'static str,
    is_unique: bool,
    lost: u32,
    due: fn(&mut Vec<u64>) -> u64,
) -> History {
    let (mut there, mut used) = (Vec::new(), 0_u64);
    history(lost, |rng| {
        if there.len() > 5 || (!there.is_empty() && rng.random_ratio(1, 2)) {
            return (take, Value::Null, json!(due(&mut there)));
        }
        used += 1;
        let value = if is_unique { used } else { used % 100 };
        there.push(value);
        (put, json!(value), json!(value))
    })
}

fn first(there: &mut Vec<u64>) -> u64 {
    there.remove(0)
}

fn last(there: &mut Vec<u64>) -> u64 {
    there.pop().unwrap_or_default()
}

fn smallest(there: &mut Vec<u64>) -> u64 {
    there.sort_unstable();
    there.remove(0)
}

fn set() -> History {
    let mut used = 0_u64;
    history(0, |rng| {
        used += 1;
        if rng.random_ratio(1, 2) { ("add", json!(used), json!(true)) } else { ("contains", json!(used), json!(false)) }
    })
}

/// Gives what was written or found its number as a version.
fn versioned(mut history: History) -> History {
    for (number, event) in (0..).zip(&mut history.events) {
        event.version = Some(number);
    }
    history
}

/// Judges the history, and the clock jumps after so many looks. The answer is whether that was too late.
fn judge_until<M: Model>(model: &Asked<M>, history: &History, jump: (u64, Duration)) -> bool {
    let limits = Limits { time: Duration::from_secs(3_600), ..Limits::default() };
    let deadline = START.with(|start| *start + limits.time);
    let allowance = Allowance::new(deadline, limits.memory).by_clock(clock);
    let mut keys = Keys::default();
    history.operations().expect("it pairs").iter().for_each(|operation| keys.push(model, operation));
    let (_, problem) = keys.problems.pop().expect("there is one object");
    JUMP.set((jump.0, limits.time + jump.1));
    [&ASKED, &MOST, &LOOKS].into_iter().for_each(|count| count.set(0));
    let answer = one_key(None, problem, model, &allowance, &limits);
    MOST.set(MOST.get().max(ASKED.take()));
    match answer.found {
        Finding::GaveUp { reason, prefix } => {
            assert!(reason.contains("out of time"), "{reason}");
            assert!(prefix.is_some(), "it says how far it came");
            true
        }
        Finding::Order(_) | Finding::Broken(_) => false,
    }
}

fn looks_often<M: Model>(model: M, what: &str, history: &History, expected: Option<Decider>) {
    let model = Asked(model);
    if let Some(decider) = expected {
        let judgement = judge(history, &model.0, &Limits::default());
        assert_eq!(judgement.deciders.keys().copied().collect::<Vec<_>>(), [decider], "{what}");
    }
    assert!(!judge_until(&model, history, (u64::MAX, Duration::ZERO)), "{what}: there was time enough");
    let (most, looks) = (MOST.get(), LOOKS.get());
    assert!(most <= QUESTIONS, "{what}: {most} questions between two looks");
    assert!(looks > 20, "{what}: {looks} looks");
    for after in [0, looks / 4, looks / 2, 3 * looks / 4] {
        // The second time is past any grace.
        for late in [1, 3_600_000] {
            let gave_up = judge_until(&model, history, (after, Duration::from_millis(late)));
            let most = MOST.get();
            assert!(most <= QUESTIONS, "{what}, late after {after} of {looks} looks: {most} questions after it");
            assert!(gave_up || after > 0, "{what}: late from the beginning");
        }
    }
}

#[test]
fn registers_look_at_the_clock() {
    looks_often(Register::default(), "unique values", &register(u64::MAX, 0), Some(Decider::UniqueValues));
    looks_often(
        CasRegister::default(),
        "unique values, some lost",
        &register(u64::MAX, 2),
        Some(Decider::UniqueValues),
    );
    looks_often(Register::default(), "versions", &versioned(register(7, 0)), Some(Decider::Versions));
    looks_often(Register::default(), "few values", &register(7, 0), Some(Decider::Search));
}

#[test]
fn containers_look_at_the_clock() {
    for is_unique in [true, false] {
        let by = |decider| Some(if is_unique { decider } else { Decider::Search });
        let queue = container("enqueue", "dequeue", is_unique, 0, first);
        looks_often(Queue, "queue", &queue, by(Decider::Queue));
        let stack = container("push", "pop", is_unique, 0, last);
        looks_often(Stack, "stack", &stack, by(Decider::Stack));
        let sorted = container("insert", "poll", is_unique, 0, smallest);
        looks_often(PriorityQueue, "priority queue", &sorted, by(Decider::PriorityQueue));
    }
    looks_often(Set, "set", &set(), Some(Decider::Set));
}
