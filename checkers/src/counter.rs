//! Counters: what was read can have been the sum.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `add` | how much, an integer; 1 if `null` | |
//! | `increment`, `decrement` | how much, likewise | |
//! | `read` | | the sum, an integer |
//!
//! Two things are asked of each read, and both follow from linearizability:
//!
//! * *Bounds*, as in Jepsen's checker of counters: it holds whatever was acknowledged before it was called, and nothing
//!   that was called after it returned or had failed; of the rest, open or of unknown outcome, any part.
//! * *Growth*, if nothing is ever subtracted: it is not less than what was read before it was called, and what was added
//!   wholly in between.
//!
//! A read by itself, with nothing open, is thereby judged exactly. With several open additions, whether the parts that several
//! reads hold fit each other is not asked: a counter that passes may have no legal order (to say that is as hard as
//! subset sum). What is `invalid` has none.
//!
//! It takes n log n.

use std::collections::BTreeMap;

use crate::history::{Event, History, Operation, Outcome, by_key};
use crate::verdict::{Verdict, Witness};

/// Whether each read can have been the sum. A history without reads, or that cannot be read, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    judge(history).unwrap_or_else(|reason| Verdict::Unknown { reason })
}

fn judge(history: &History) -> Result<Verdict, String> {
    let mut reads = 0;
    for (key, operations) in by_key(history.operations().map_err(|error| error.to_string())?) {
        let counter = Counter::new(&operations)?;
        reads += counter.reads.len();
        if let Some((reason, shown)) = counter.first_broken() {
            return Ok(Verdict::Invalid { witness: witness(key, reason, &shown) });
        }
    }
    if reads == 0 {
        return Err("no read succeeded, so nobody knows the sum".to_owned());
    }
    Ok(Verdict::Valid)
}

/// A change, or a read and what it found.
struct Call<'a, 'h> {
    operation: &'a Operation<'h>,
    amount: i128,
    /// Position of the call.
    start: usize,
    /// Position of the return of what happened.
    end: usize,
}

struct Counter<'a, 'h> {
    /// Those that happened or may have, by their calls.
    changes: Vec<Call<'a, 'h>>,
    /// By their calls.
    reads: Vec<Call<'a, 'h>>,
}

impl<'a, 'h> Counter<'a, 'h> {
    fn new(operations: &'a [Operation<'h>]) -> Result<Self, String> {
        let mut counter = Counter { changes: Vec::new(), reads: Vec::new() };
        for operation in operations {
            let outcome = operation.outcome();
            let integer = |event: &Event, missing: Option<i64>| {
                let value = if event.value.is_null() { missing } else { event.value.as_i64() };
                let expected = || format!("{}: expected an integer, found `{}`", operation.events(), event.value);
                value.map(i128::from).ok_or_else(expected)
            };
            let end = operation.ret.filter(|_| outcome == Outcome::Ok).unwrap_or(usize::MAX);
            let call = |amount| Call { operation, amount, start: operation.call, end };
            match (operation.f(), operation.completion) {
                ("read", Some(completion)) if outcome == Outcome::Ok => {
                    counter.reads.push(call(integer(completion, None)?));
                }
                ("read", _) => {}
                ("add" | "increment" | "decrement", _) if outcome == Outcome::Fail => {}
                ("add" | "increment", _) => counter.changes.push(call(integer(operation.invoke, Some(1))?)),
                ("decrement", _) => counter.changes.push(call(-integer(operation.invoke, Some(1))?)),
                (f, _) => {
                    let known = "`add`, `increment`, `decrement` or `read`";
                    return Err(format!("{}: expected {known}, found `{f}`", operation.events()));
                }
            }
        }
        Ok(counter)
    }

    /// The first read that cannot have been the sum: why, and what shows it.
    fn first_broken(&self) -> Option<(String, Vec<&'a Operation<'h>>)> {
        let out_of_bounds = self.out_of_bounds();
        let shrunk = self.changes.iter().all(|change| change.amount >= 0).then(|| self.shrunk()).flatten();
        [out_of_bounds, shrunk]
            .into_iter()
            .flatten()
            .min_by_key(|broken| broken.at)
            .map(|Broken { reason, shown, .. }| (reason, shown))
    }

    fn out_of_bounds(&self) -> Option<Broken<'a, 'h>> {
        let parts = [|amount: i128| amount.min(0), |amount: i128| amount.max(0)];
        let called = parts.map(|part| sums(&self.changes, |change| change.start, part));
        let acknowledged = parts.map(|part| sums(&self.changes, |change| change.end, part));
        let mut broken = self.reads.iter().filter_map(|read| {
            // Of what lowers the sum, all that was called, and of what raises it, what was acknowledged; and the other way round.
            let low = before(&called[0], read.end) + before(&acknowledged[1], read.start);
            let high = before(&called[1], read.end) + before(&acknowledged[0], read.start);
            let found = read.amount;
            let what = if found < low {
                format!("although what was acknowledged before that began comes to at least {low}")
            } else if found > high {
                format!("although all that was called before that returned comes to at most {high}")
            } else {
                return None;
            };
            let reason = format!("{}, {what}", tell(read.operation, found));
            let last = self.changes.iter().filter(|change| change.end < read.start).max_by_key(|change| change.end);
            let shown = last.filter(|_| found < low).map(|change| change.operation).into_iter().chain([read.operation]);
            Some(Broken { at: read.end, reason, shown: shown.collect() })
        });
        broken.next()
    }

    /// A read of less than was read before it and added in between. Walks through the moments; of each earlier read it
    /// remembers what a later one has to find at least. An addition raises that for the reads that had returned when it was
    /// called, as soon as it has returned: a prefix of them, in the order of their returns.
    fn shrunk(&self) -> Option<Broken<'a, 'h>> {
        let mut returned: Vec<&Call<'a, 'h>> = self.reads.iter().collect();
        returned.sort_unstable_by_key(|read| read.end);
        let mut moments: Vec<(usize, Moment)> = Vec::new();
        moments.extend(
            self.changes
                .iter()
                .enumerate()
                .filter(|(_, change)| change.end < usize::MAX)
                .map(|(at, change)| (change.end, Moment::Added(at))),
        );
        moments.extend(returned.iter().enumerate().map(|(at, read)| (read.end, Moment::Returned(at))));
        moments.extend(self.reads.iter().enumerate().map(|(at, read)| (read.start, Moment::Called(at))));
        moments.sort_unstable();
        let mut least = Least::default();
        for (_, moment) in moments {
            match moment {
                Moment::Added(at) => {
                    let Call { start, amount, .. } = self.changes[at];
                    least.raise(returned.partition_point(|read| read.end < start), amount);
                }
                Moment::Returned(at) => least.push(at, returned[at].amount),
                Moment::Called(at) => {
                    let read = &self.reads[at];
                    let Some((low, earlier)) = least.highest().filter(|(low, _)| *low > read.amount) else { continue };
                    let earlier = returned[earlier];
                    let added = low - earlier.amount;
                    let more = if added == 0 {
                        String::new()
                    } else {
                        format!(" and {added} more was added before that began")
                    };
                    let reason = format!(
                        "{}, although {}{more}; nothing was subtracted",
                        tell(read.operation, read.amount),
                        tell(earlier.operation, earlier.amount)
                    );
                    let between =
                        self.changes.iter().filter(|change| change.start > earlier.end && change.end < read.start);
                    let shown = between.map(|change| change.operation).chain([earlier.operation, read.operation]);
                    return Some(Broken { at: read.end, reason, shown: shown.collect() });
                }
            }
        }
        None
    }
}

struct Broken<'a, 'h> {
    at: usize,
    reason: String,
    shown: Vec<&'a Operation<'h>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Added(usize),
    Returned(usize),
    Called(usize),
}

/// What a read to come has to find at least, by each read that has returned.
///
/// These numbers only grow, and an addition that raises one raises all before it. So one that is not above an earlier one
/// never will be, and is forgotten; of the others each is kept as how far it is above the one before.
#[derive(Default)]
struct Least {
    above: BTreeMap<usize, i128>,
    highest: i128,
}

impl Least {
    /// One more read has returned, the last of all so far.
    fn push(&mut self, at: usize, found: i128) {
        if self.above.is_empty() || found > self.highest {
            self.above.insert(at, found - self.highest);
            self.highest = found;
        }
    }

    /// Raises those before this place.
    fn raise(&mut self, before: usize, by: i128) {
        if self.above.range(..before).next().is_none() {
            return;
        }
        let mut rest = by;
        while let Some((&at, above)) = self.above.range_mut(before..).next() {
            if *above > rest {
                *above -= rest;
                return;
            }
            rest -= *above;
            self.above.remove(&at);
        }
        self.highest += rest;
    }

    /// The highest of them, and where it is.
    fn highest(&self) -> Option<(i128, usize)> {
        self.above.last_key_value().map(|(&at, _)| (self.highest, at))
    }
}

/// The sums of the amounts up to each moment.
fn sums(
    calls: &[Call<'_, '_>],
    at: impl Fn(&Call<'_, '_>) -> usize,
    part: impl Fn(i128) -> i128,
) -> Vec<(usize, i128)> {
    let mut sums: Vec<(usize, i128)> = calls.iter().map(|call| (at(call), part(call.amount))).collect();
    sums.sort_unstable();
    let mut sum = 0;
    for (_, amount) in &mut sums {
        sum += *amount;
        *amount = sum;
    }
    sums
}

/// The sum of what was before this moment.
fn before(sums: &[(usize, i128)], moment: usize) -> i128 {
    let count = sums.partition_point(|(at, _)| *at < moment);
    count.checked_sub(1).map_or(0, |last| sums[last].1)
}

fn tell(read: &Operation<'_>, found: i128) -> String {
    let node = read.node().map_or_else(String::new, |node| format!(" at {node}"));
    format!("process {} read {found}{node} ({})", read.process(), read.events())
}

fn witness(key: Option<&str>, reason: String, shown: &[&Operation<'_>]) -> Witness {
    let mut events: Vec<&Event> =
        shown.iter().flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten().collect();
    events.sort_by_key(|event| event.index);
    Witness { key: key.map(str::to_owned), reason, events: events.into_iter().cloned().collect() }
}
