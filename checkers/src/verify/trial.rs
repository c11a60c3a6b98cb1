//! The definition of linearizability, tried out: every order of every choice of what happened. The cost is exponential,
//! which is why it is for a few operations.

use std::collections::BTreeMap;

use super::{Part, Replay};
use crate::history::{History, HistoryError, Operation};

/// Whether each key of a short history has a legal order; nothing if that many steps were not enough to say so.
///
/// # Errors
/// The first event that does not pair.
pub fn is_linearizable<R: Replay>(object: &R, history: &History, steps: u64) -> Result<Option<bool>, HistoryError> {
    let mut keys: BTreeMap<Option<&str>, Vec<(Operation<'_>, Part)>> = BTreeMap::new();
    for operation in history.operations()? {
        keys.entry(operation.key()).or_default().push((operation, object.part(&operation)));
    }
    let mut all = Some(true);
    for operations in keys.values() {
        match has_legal_order(object, operations, steps) {
            Some(true) => {}
            Some(false) => return Ok(Some(false)),
            None => all = None,
        }
    }
    Ok(all)
}

/// Whether these operations of one object, each with its part, have a legal order; nothing if that many steps were not
/// enough to say so.
pub(super) fn has_legal_order<R: Replay>(object: &R, operations: &[(Operation<'_>, Part)], steps: u64) -> Option<bool> {
    let mut done: Vec<bool> = operations.iter().map(|(_, part)| *part == Part::Never).collect();
    let mut path = vec![Place { memory: object.start(), taken: None, next: 0 }];
    for _ in 0..steps {
        let Some(place) = path.last_mut() else { return Some(false) };
        let waiting = operations.iter().zip(&done).filter(|(_, done)| !**done);
        // Whatever is called after this return has to wait for it.
        let Some(first_return) = waiting.filter_map(|((operation, part), _)| part.returned(operation)).min() else {
            return Some(true);
        };
        let may_come = |at: &usize| !done[*at] && operations[*at].0.call < first_return;
        let Some(at) = (place.next..operations.len()).find(may_come) else {
            place.taken.into_iter().for_each(|taken| done[taken] = false);
            path.pop();
            continue;
        };
        place.next = at + 1;
        let mut memory = place.memory.clone();
        if object.apply(&mut memory, &operations[at].0) {
            done[at] = true;
            path.push(Place { memory, taken: Some(at), next: 0 });
        }
    }
    None
}

/// A place in the tree of all orders.
struct Place<M> {
    memory: M,
    /// The operation that led here.
    taken: Option<usize>,
    /// The operation that is tried next.
    next: usize,
}
