//! Numbers in a row, of which whole stretches are raised at once and the low ones are asked for.

use std::ops::Range;

/// A segment tree. Raising a stretch and finding a low number take log n steps, and no deeper recursion than that.
pub(super) struct Tree {
    /// Of each node the least number below it, but for what `raised` of the nodes above adds to it.
    least: Vec<i32>,
    raised: Vec<i32>,
    leaves: usize,
}

/// So much raised, no number is low any more.
pub(super) const OUT: i32 = i32::MAX / 4;

/// A node, and the stretch of numbers below it.
type Node = (usize, Range<usize>);

impl Tree {
    pub(super) fn new(numbers: impl ExactSizeIterator<Item = i32>) -> Tree {
        let leaves = numbers.len().next_power_of_two();
        let mut least = vec![OUT; 2 * leaves];
        least[leaves..].iter_mut().zip(numbers).for_each(|(leaf, number)| *leaf = number);
        for node in (1..leaves).rev() {
            least[node] = least[2 * node].min(least[2 * node + 1]);
        }
        Tree { least, raised: vec![0; 2 * leaves], leaves }
    }

    /// Adds something to each number of the stretch.
    pub(super) fn raise(&mut self, stretch: Range<usize>, by: i32) {
        if !stretch.is_empty() {
            self.raise_below((1, 0..self.leaves), &stretch, by);
        }
    }

    fn raise_below(&mut self, (node, below): Node, stretch: &Range<usize>, by: i32) {
        if stretch.end <= below.start || below.end <= stretch.start {
            return;
        }
        if stretch.start <= below.start && below.end <= stretch.end {
            self.least[node] += by;
            self.raised[node] += by;
            return;
        }
        let [left, right] = halves((node, below));
        self.raise_below(left, stretch, by);
        self.raise_below(right, stretch, by);
        self.least[node] = self.least[2 * node].min(self.least[2 * node + 1]) + self.raised[node];
    }

    /// The first place of the stretch at which the number is below the bound.
    pub(super) fn first_below(&self, stretch: Range<usize>, bound: i32) -> Option<usize> {
        if stretch.is_empty() {
            return None;
        }
        self.first_of((1, 0..self.leaves), &stretch, bound)
    }

    fn first_of(&self, (node, below): Node, stretch: &Range<usize>, bound: i32) -> Option<usize> {
        if stretch.end <= below.start || below.end <= stretch.start || self.least[node] >= bound {
            return None;
        }
        if below.len() == 1 {
            return Some(below.start);
        }
        let bound = bound - self.raised[node];
        let [left, right] = halves((node, below));
        self.first_of(left, stretch, bound).or_else(|| self.first_of(right, stretch, bound))
    }
}

fn halves((node, below): Node) -> [Node; 2] {
    let middle = below.start.midpoint(below.end);
    [(2 * node, below.start..middle), (2 * node + 1, middle..below.end)]
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn it_answers_as_a_plain_row_does() {
        for seed in 0..200 {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let mut row: Vec<i32> = (0..rng.random_range(1..20)).map(|_| rng.random_range(0..5)).collect();
            let mut tree = Tree::new(row.iter().copied());
            for _ in 0..50 {
                let (one, other) = (rng.random_range(0..=row.len()), rng.random_range(0..=row.len()));
                let stretch = one.min(other)..one.max(other);
                let (by, bound) = (rng.random_range(-2..3), rng.random_range(-3..6));
                tree.raise(stretch.clone(), by);
                row[stretch.clone()].iter_mut().for_each(|number| *number += by);
                let expected = stretch.clone().find(|&at| row[at] < bound);
                assert_eq!(tree.first_below(stretch.clone(), bound), expected, "seed {seed}: {stretch:?} of {row:?}");
                let everywhere = (0..row.len()).find(|&at| row[at] < bound);
                assert_eq!(tree.first_below(0..row.len(), bound), everywhere, "seed {seed}: {row:?}");
            }
        }
    }
}
