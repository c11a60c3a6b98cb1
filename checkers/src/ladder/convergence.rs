//! Eventual convergence: whether the nodes agree once nobody writes any more.
//!
//! Of a key let the quiet begin when its last update has ended, whatever its outcome. Of the reads called after that, the
//! last at each node counts: what it read before it was perhaps still learning. If two nodes' last reads differ the key
//! has not converged.
//!
//! An update of unknown outcome may take effect during the quiet, and then nodes may rightly differ: a difference counts
//! only if two different values were read of which neither may be such an update's. It costs n log n.

use std::collections::BTreeMap;

use rustc_hash::FxHashSet;

use super::record::{Act, Call, Record};
use crate::history::Process;
use crate::model::Datum;
use crate::verdict::Verdict;

/// Where a read was asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place<'h> {
    Node(&'h str),
    Process(Process),
}

/// One key.
#[derive(Default)]
struct Key<'h> {
    /// Position after which nobody updates it.
    quiet: Option<usize>,
    /// What may yet come.
    pending: FxHashSet<Datum>,
    last: BTreeMap<Place<'h>, usize>,
}

/// Whether all keys converged that were read at several nodes.
pub(super) fn judge(record: &Record<'_>) -> Verdict {
    let mut keys: Vec<Key<'_>> = record.keys.iter().map(|_| Key::default()).collect();
    for call in &record.calls {
        if let Some(value) = call.act.produces() {
            let key = &mut keys[call.key];
            // A call that was never answered never ends, but whoever made it is gone.
            key.quiet = key.quiet.max(Some(call.operation.ret.unwrap_or(call.operation.call)));
            if !call.happened {
                key.pending.insert(value);
            }
        }
    }
    for (at, call) in record.calls.iter().enumerate() {
        let key = &mut keys[call.key];
        if matches!(call.act, Act::Read(_)) && key.quiet.is_some_and(|quiet| call.operation.call > quiet) {
            let last = key.last.entry(place(call)).or_insert(at);
            if record.calls[*last].ret() < call.ret() {
                *last = at;
            }
        }
    }
    let (mut compared, mut excused) = (false, None);
    for key in &keys {
        compared |= key.last.len() > 1;
        let value = |at: &usize| record.calls[*at].act.observes();
        let lasts: Vec<usize> = key.last.values().copied().collect();
        let Some(first) = lasts.first() else { continue };
        if lasts.iter().all(|at| value(at) == value(first)) {
            continue;
        }
        let settled: Vec<usize> =
            lasts.iter().copied().filter(|at| value(at).is_none_or(|value| !key.pending.contains(&value))).collect();
        let other = settled.first().and_then(|first| settled.iter().find(|at| value(at) != value(first)));
        match (settled.first(), other) {
            (Some(&one), Some(&other)) => {
                let (former, latter) = (record.who(one), record.who(other));
                let reason = format!("after the last update the nodes never agreed: last {former}, and {latter}");
                return Verdict::Invalid { witness: record.witness(reason, [one, other]) };
            }
            _ => excused = excused.or(lasts.iter().copied().find(|at| value(at) != value(first))),
        }
    }
    match (excused, compared) {
        (Some(at), _) => Verdict::Unknown {
            reason: format!(
                "{}, and others read another value; that may be an update of unknown outcome, on its way for so long",
                record.who(at)
            ),
        },
        (None, false) => Verdict::Unknown { reason: "after its last update no key was read at two nodes".to_owned() },
        (None, true) => Verdict::Valid,
    }
}

fn place<'h>(call: &Call<'h>) -> Place<'h> {
    let process = Place::Process(call.operation.process());
    call.operation.node().map_or(process, Place::Node)
}
