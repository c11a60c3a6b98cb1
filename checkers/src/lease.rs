//! Leases: a key that lives as long as its lease is renewed.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `grant` | the seconds to live that are asked for | `{"lease": its number, "ttl": the seconds it has}` |
//! | `renew` | the lease's number | the same |
//! | `check` | | whether the key is there, read linearizably |
//! | `revoke` | the lease's number | |
//!
//! Each key has one lease in its life: it is put once, with the grant.
//!
//! # What is promised
//!
//! A lease does not end before its time, counted from the *invocation* of the last grant or renewal that was
//! acknowledged, unless somebody may have revoked it: a `check` that returns before that and finds the key gone is an
//! *early expiry*. A `check` that begins after an acknowledged `revoke` does not find the key. Times are the history's,
//! so they only err on the system's side.
//!
//! [`outlived`] asks for more: that a lease is gone some time after its last renewal. A system may extend leases when
//! its leader changes, so this is no promise by itself.
//!
//! # Clocks
//!
//! A lease during whose life the nemesis had a fault `clock` in force, from the invocation of `start-clock` to the `ok`
//! of `stop-clock`, is not judged. It costs n log n.

use std::time::Duration;

use serde_json::Value;

use crate::history::{Event, History, Kind, Operation, Outcome, Process, by_key};
use crate::verdict::{Verdict, Witness};

/// Whether no lease ended before its time.
///
/// A history that cannot be read, or in which no lease could be judged, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    each(history, "no lease was looked at while the clocks were left alone", |lease, look| match look.present {
        false => lease.ended_early(look),
        true => lease.is_left_over(look),
    })
}

/// Whether each lease was gone when its time, the same time once more, and `grace` had passed since the end of its last
/// renewal (acknowledged or not). A finding: see the module's text.
#[must_use]
pub fn outlived(history: &History, grace: Duration) -> Verdict {
    each(history, "no lease was left to end by itself and looked at", |lease, look| {
        lease.ends_by(grace).filter(|_| look.present).and_then(|end| lease.outlives(look, end))
    })
}

fn each<'h>(
    history: &'h History,
    nothing: &str,
    judge: impl Fn(&Lease<'h>, &Look<'h>) -> Option<Contradiction<'h>>,
) -> Verdict {
    let operations = match history.operations() {
        Ok(operations) => operations,
        Err(error) => return Verdict::Unknown { reason: error.to_string() },
    };
    let clocks = clock_faults(&history.events);
    let mut judged = 0;
    for (key, operations) in by_key(operations) {
        let lease = match Lease::of(&operations) {
            Ok(Some(lease)) => lease,
            Ok(None) => continue,
            Err(reason) => return Verdict::Unknown { reason },
        };
        for look in &lease.looks {
            if clocks.iter().any(|(from, to)| *from <= look.to && *to >= lease.grant.invoke.time) {
                continue;
            }
            judged += 1;
            if let Some(contradiction) = judge(&lease, look) {
                return Verdict::Invalid { witness: contradiction.witness(key) };
            }
        }
    }
    if judged == 0 {
        return Verdict::Unknown { reason: nothing.to_owned() };
    }
    Verdict::Valid
}

/// From when to when the nemesis had a hand in a clock, in nanoseconds.
fn clock_faults(events: &[Event]) -> Vec<(u64, u64)> {
    let mut faults = Vec::new();
    let mut open = 0;
    let mut since = 0;
    for event in events.iter().filter(|event| event.process == Process::Nemesis) {
        match (event.f.as_str(), event.kind) {
            ("start-clock", Kind::Invoke) => {
                since = if open == 0 { event.time } else { since };
                open += 1;
            }
            ("start-clock", Kind::Fail) | ("stop-clock", Kind::Ok) if open > 0 => {
                open -= 1;
                if open == 0 {
                    faults.push((since, event.time));
                }
            }
            _ => {}
        }
    }
    if open > 0 {
        faults.push((since, u64::MAX));
    }
    faults
}

/// One key's lease.
struct Lease<'h> {
    grant: Operation<'h>,
    /// Acknowledged grants and renewals, by the position of their return, each with the latest end promised until then.
    promises: Vec<Promise<'h>>,
    /// The first revocation that may have happened.
    revoked: Option<Operation<'h>>,
    /// The first that was acknowledged.
    surely_revoked: Option<Operation<'h>>,
    /// Renewals that may have happened.
    last_renewal: u64,
    seconds: u64,
    looks: Vec<Look<'h>>,
}

/// That the lease will live until then.
#[derive(Clone, Copy)]
struct Promise<'h> {
    ret: usize,
    until: u64,
    operation: Operation<'h>,
}

/// A successful check.
struct Look<'h> {
    operation: Operation<'h>,
    present: bool,
    /// When it returned, in nanoseconds.
    to: u64,
}

/// What was seen, what contradicts it, and why.
struct Contradiction<'h> {
    reason: String,
    operations: Vec<Operation<'h>>,
}

impl<'h> Lease<'h> {
    /// Reads one key's operations; none if no grant was acknowledged.
    fn of(operations: &[Operation<'h>]) -> Result<Option<Self>, String> {
        let granted = |operation: &&Operation<'_>| operation.f() == "grant" && operation.outcome() == Outcome::Ok;
        let Some(grant) = operations.iter().find(granted) else { return Ok(None) };
        let mut lease = Lease {
            grant: *grant,
            promises: Vec::new(),
            revoked: None,
            surely_revoked: None,
            last_renewal: 0,
            seconds: 0,
            looks: Vec::new(),
        };
        for operation in operations {
            lease.add(operation)?;
        }
        lease.promises.sort_by_key(|promise| promise.ret);
        let mut best: Option<Promise<'h>> = None;
        for promise in &mut lease.promises {
            match best {
                Some(best) if best.until > promise.until => *promise = Promise { ret: promise.ret, ..best },
                _ => best = Some(*promise),
            }
        }
        Ok(Some(lease))
    }

    fn add(&mut self, operation: &Operation<'h>) -> Result<(), String> {
        let outcome = operation.outcome();
        match (operation.f(), operation.completion, operation.ret) {
            _ if outcome == Outcome::Fail => {}
            ("grant" | "renew", Some(completion), Some(ret)) => {
                self.last_renewal = self.last_renewal.max(completion.time);
                if outcome == Outcome::Ok {
                    let seconds = seconds(&completion.value).ok_or_else(|| {
                        let (events, f, value) = (operation.events(), operation.f(), &completion.value);
                        format!("{events}: a {f} expected an object with `ttl` in seconds, found `{value}`")
                    })?;
                    self.seconds = self.seconds.max(seconds);
                    let until = operation.invoke.time.saturating_add(seconds.saturating_mul(1_000_000_000));
                    self.promises.push(Promise { ret, until, operation: *operation });
                }
            }
            // It may still come.
            ("grant" | "renew", ..) => self.last_renewal = u64::MAX,
            ("check", Some(completion), _) if outcome == Outcome::Ok => {
                let present = completion.value.as_bool().ok_or_else(|| {
                    format!("{}: a check expected true or false, found `{}`", operation.events(), completion.value)
                })?;
                self.looks.push(Look { operation: *operation, present, to: completion.time });
            }
            ("check", ..) => {}
            ("revoke", ..) => {
                let first = |old: Option<Operation<'h>>| old.or(Some(*operation));
                self.revoked = first(self.revoked);
                if outcome == Outcome::Ok {
                    self.surely_revoked = first(self.surely_revoked);
                }
            }
            (f, ..) => {
                let events = operation.events();
                return Err(format!("{events}: expected `grant`, `renew`, `check` or `revoke`, found `{f}`"));
            }
        }
        Ok(())
    }

    /// What had been promised when a call was made.
    fn promise_before(&self, call: usize) -> Option<&Promise<'h>> {
        let before = self.promises.partition_point(|promise| promise.ret < call);
        self.promises[..before].last()
    }

    fn ended_early(&self, look: &Look<'h>) -> Option<Contradiction<'h>> {
        let may_be_revoked =
            self.revoked.is_some_and(|revoked| look.operation.ret.is_none_or(|ret| revoked.call < ret));
        let granted = self.grant.ret.is_some_and(|ret| ret < look.operation.call);
        let promise = self.promise_before(look.operation.call).filter(|_| granted && !may_be_revoked)?;
        let left = promise.until.checked_sub(look.to).filter(|left| *left > 0)?;
        let reason = format!(
            "early expiry: the {} of {} gave the lease its full time, and the check of {} found the key gone {} s \
             before that was over",
            promise.operation.f(),
            promise.operation.events(),
            look.operation.events(),
            in_seconds(left)
        );
        Some(Contradiction { reason, operations: vec![self.grant, promise.operation, look.operation] })
    }

    fn is_left_over(&self, look: &Look<'h>) -> Option<Contradiction<'h>> {
        let revoked = self.surely_revoked.filter(|revoked| revoked.ret.is_some_and(|ret| ret < look.operation.call))?;
        let reason = format!(
            "the lease was revoked ({}), and the check of {}, which began later, found its key",
            revoked.events(),
            look.operation.events()
        );
        Some(Contradiction { reason, operations: vec![self.grant, revoked, look.operation] })
    }

    /// When it should be gone; never while a renewal is on its way.
    fn ends_by(&self, grace: Duration) -> Option<u64> {
        let time = Duration::from_secs(self.seconds.saturating_mul(2)).saturating_add(grace);
        self.last_renewal.checked_add(u64::try_from(time.as_nanos()).ok()?)
    }

    fn outlives(&self, look: &Look<'h>, end: u64) -> Option<Contradiction<'h>> {
        let late = look.operation.invoke.time.checked_sub(end)?;
        let reason = format!(
            "late expiry: the check of {} found the key {} s after it should have gone (its time, the same again and \
             the grace are over)",
            look.operation.events(),
            in_seconds(late)
        );
        let last = self.promises.last().map(|promise| promise.operation);
        Some(Contradiction {
            reason,
            operations: [Some(self.grant), last, Some(look.operation)].into_iter().flatten().collect(),
        })
    }
}

impl Contradiction<'_> {
    fn witness(mut self, key: Option<&str>) -> Witness {
        self.operations.sort_by_key(|operation| operation.call);
        self.operations.dedup_by_key(|operation| operation.call);
        let events = self.operations.iter().flat_map(|operation| [Some(operation.invoke), operation.completion]);
        let mut events: Vec<Event> = events.flatten().cloned().collect();
        events.sort_by_key(|event| event.index);
        Witness { key: key.map(str::to_owned), reason: self.reason, events }
    }
}

fn seconds(value: &Value) -> Option<u64> {
    value.get("ttl")?.as_u64()
}

fn in_seconds(nanoseconds: u64) -> String {
    let milliseconds = nanoseconds.div_ceil(1_000_000);
    format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
}
