//! Makes a contradiction as small as it gets.

use std::time::Instant;

/// Pieces of which none can be left out, so that the rest still contradict each other, out of some that do.
///
/// With every piece more, pieces that contradict each other still do. So one after another the last piece that is needed is found by
/// bisection (Junker, "QuickXplain", 2004, in its plainest form): a contradiction of k out of n pieces takes k log n trials.
/// After the deadline nothing is tried any more.
pub(super) fn reduce<T: Clone>(pieces: Vec<T>, deadline: Instant, contradict: impl Fn(&[T]) -> bool) -> Vec<T> {
    let mut needed: Vec<T> = Vec::new();
    let mut left = pieces;
    loop {
        let enough = |count: usize| contradict(&[&left[..count], &needed].concat());
        // Without the first `few` something is missing, with the first `many` nothing is.
        let (mut few, mut many) = (0, left.len());
        if enough(few) {
            return needed;
        }
        while few + 1 < many {
            let middle = few.midpoint(many);
            *(if enough(middle) { &mut many } else { &mut few }) = middle;
        }
        if many == 0 || Instant::now() > deadline {
            needed.append(&mut left);
            return needed;
        }
        needed.extend(left[..many].last().cloned());
        left.truncate(many - 1);
    }
}
