//! Zones that grow while a system is watched.
//!
//! A *run* is a stretch of a register's life that is contiguous in every legal order: a value with all that observed it,
//! and the values that compare-and-sets made of it one after the other. Its *zone* goes from the earliest return f of
//! its operations to the latest call s. Run 1 has to come before run 2 if f₁ < s₂; two runs *clash* if each has to come
//! before the other. (Gibbons and Korach, "Testing shared memories", 1997, section 4.)
//!
//! Zones with f < s are *forward*, the others *backward*. Two forward zones clash if they overlap; a forward and a
//! backward one if the backward lies inside the forward; two backward ones never (same place, lemma 4.2). So as long as
//! there was no clash the forward zones are disjoint, and those that could clash with a zone are found in log n; of
//! backward zones so many are looked at as there were calls open at one moment.

use std::collections::BTreeMap;

use rustc_hash::FxHashMap;

use super::Shown;

/// Stands for a run.
pub(super) type RunId = u32;

/// An operation at one end of a zone, and the one that made what it saw.
#[derive(Clone, Debug)]
pub(super) struct End {
    pub(super) shown: Shown,
    pub(super) made_by: Option<Shown>,
}

/// A run's zone.
#[derive(Clone, Debug)]
pub(super) struct Zone {
    /// The earliest return; -1 if it was there from the beginning.
    f: i64,
    /// The latest call.
    s: i64,
    pub(super) first: Option<End>,
    pub(super) last: Option<End>,
}

/// All runs that are remembered.
#[derive(Default)]
pub(super) struct Zones {
    zones: FxHashMap<RunId, Zone>,
    /// By f.
    forward: BTreeMap<i64, RunId>,
    /// By s.
    backward: BTreeMap<i64, RunId>,
    next: RunId,
}

impl Zones {
    /// The run of what was there in the beginning.
    pub(super) fn begin(&mut self) -> RunId {
        self.insert(Zone { f: -1, s: -1, first: None, last: None })
    }

    /// A new run, of an operation with this call, when somebody has returned who shows that it happened.
    pub(super) fn add(&mut self, call: usize, ret: usize, first: End, last: End) -> RunId {
        self.insert(Zone { f: position(ret), s: position(call), first: Some(first), last: Some(last) })
    }

    fn insert(&mut self, zone: Zone) -> RunId {
        let id = self.next;
        self.next += 1;
        self.zones.insert(id, zone);
        self.file(id);
        id
    }

    fn file(&mut self, id: RunId) {
        let Zone { f, s, .. } = self.zones[&id];
        if f < s {
            self.forward.insert(f, id)
        } else {
            self.backward.insert(s, id)
        };
    }

    fn unfile(&mut self, id: RunId) {
        let Zone { f, s, .. } = self.zones[&id];
        if f < s {
            self.forward.remove(&f)
        } else {
            self.backward.remove(&s)
        };
    }

    /// One more operation of a run, that has just returned or, if it has no return, is known to have happened.
    /// Answers with the run that it now clashes with.
    pub(super) fn extend(
        &mut self,
        id: RunId,
        call: usize,
        ret: Option<usize>,
        end: impl FnOnce() -> End,
    ) -> Option<RunId> {
        let (call, ret) = (position(call), ret.map(position));
        let zone = &self.zones[&id];
        let (is_first, is_last) = (ret.is_some_and(|ret| ret < zone.f), call > zone.s);
        if is_first || is_last {
            self.unfile(id);
            let end = end();
            let zone = self.zones.get_mut(&id).expect("only what is remembered grows");
            if let Some(ret) = ret.filter(|_| is_first) {
                (zone.f, zone.first) = (ret, Some(end.clone()));
            }
            if is_last {
                (zone.s, zone.last) = (call, Some(end));
            }
            self.file(id);
        }
        self.clash(id)
    }

    /// A run that clashes with this one.
    pub(super) fn clash(&self, id: RunId) -> Option<RunId> {
        let Zone { f, s, .. } = self.zones[&id];
        let other = |(_, other): (&i64, &RunId)| Some(*other).filter(|other| *other != id);
        // Of the forward zones that return before s, the last reaches farthest.
        let forward = self.forward.range(..s).rev().find_map(other).filter(|other| self.zones[other].s > f);
        if forward.is_some() || s < f {
            return forward;
        }
        let mut inside = self.backward.range(f..s).filter_map(other);
        inside.find(|other| self.zones[other].f < s)
    }

    pub(super) fn zone(&self, id: RunId) -> &Zone {
        &self.zones[&id]
    }

    pub(super) fn is_remembered(&self, id: RunId) -> bool {
        self.zones.contains_key(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.zones.len()
    }

    /// Forgets every run X for which there is another run Y with `f_X < s_Y` and `f_Y < open`, if all calls that have
    /// not returned were made at `open` or later.
    ///
    /// - *What observes X from now on is a violation.* Its call c is at `open` or later, so that `f_Y < c`; and X has to
    ///   come before Y. With this observation `s_X >= c > f_Y`: X and Y clash.
    /// - *No clash with X is missed otherwise.* X grows no more, so let Z be another run that comes to clash with X by an
    ///   operation that has not returned yet. What returns from now on returns after `s_X`, so `f_Z < s_X` already,
    ///   and Z comes to clash by its call c, which is at `open` or later. It is enough that Z is forgotten now as well, or is Y
    ///   itself. Suppose Z is another than Y, and not `f_Z < s_Y`. Then `f_X < s_Y <= f_Z < s_X`. If `f_X < open`, Z is
    ///   forgotten because of X. Otherwise `f_Y < open <= f_X < s_X`, and X and Y clash already. If Z is Y, `f_Y < s_X`
    ///   and `f_X < s_Y`: they clash already.
    ///
    /// So this is right if there was no clash so far, and if all such runs are forgotten at once.
    pub(super) fn forget(&mut self, open: usize) {
        let open = position(open);
        let mut farthest: [Option<(i64, RunId)>; 2] = [None, None];
        for (id, zone) in self.zones.iter().filter(|(_, zone)| zone.f < open) {
            let new = Some((zone.s, *id));
            if new > farthest[0] {
                farthest = [new, farthest[0]];
            } else if new > farthest[1] {
                farthest[1] = new;
            }
        }
        let replaced = |id: RunId, zone: &Zone| {
            farthest.into_iter().flatten().find(|(_, other)| *other != id).is_some_and(|(s, _)| zone.f < s)
        };
        let gone: Vec<RunId> = self.zones.iter().filter(|(id, zone)| replaced(**id, zone)).map(|(id, _)| *id).collect();
        for id in gone {
            self.unfile(id);
            self.zones.remove(&id);
        }
    }
}

fn position(position: usize) -> i64 {
    i64::try_from(position).expect("a history has fewer than 2^63 events")
}
