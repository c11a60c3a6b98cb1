//! How configurations were reached, in twelve bytes for each call that was used.

use super::super::budget::{Budget, Spent};

/// In place of a node: the beginning.
pub(super) const BEGINNING: u32 = u32::MAX;

/// A call was used to change the state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Use {
    /// What was used before; nodes are younger than those before them.
    before: u32,
    /// The rank of the return that was next.
    pub(super) rank: u32,
    /// Of which kind the call was; which one it was follows.
    pub(super) kind: u32,
}

#[derive(Default)]
pub(super) struct Paths {
    nodes: Vec<Use>,
    /// From so many nodes on it is worth looking for those that lead nowhere.
    many: usize,
}

impl Paths {
    pub(super) fn push(&mut self, before: u32, rank: usize, kind: u32, budget: &mut Budget<'_>) -> Result<u32, Spent> {
        budget.push(&mut self.nodes, Use { before, rank: rank as u32, kind })?;
        Ok(self.nodes.len() as u32 - 1)
    }

    /// What was used on the way to this node.
    pub(super) fn to(&self, mut node: u32) -> Vec<Use> {
        let mut uses = Vec::new();
        while node != BEGINNING {
            let one = self.nodes[node as usize];
            uses.push(one);
            node = one.before;
        }
        uses.reverse();
        uses
    }

    pub(super) fn is_long(&self) -> bool {
        const LONG: usize = 1 << 14;
        self.nodes.len() > self.many.max(LONG)
    }

    /// Forgets the nodes that lead to none of these ends, which get other numbers.
    pub(super) fn collect<'e>(
        &mut self,
        ends: impl Iterator<Item = &'e mut u32>,
        budget: &mut Budget<'_>,
    ) -> Result<(), Spent> {
        let bytes = self.nodes.len() * size_of::<u32>();
        budget.take(bytes)?;
        let ends: Vec<&mut u32> = ends.filter(|end| **end != BEGINNING).collect();
        const UNSEEN: u32 = 0;
        let mut numbers = vec![UNSEEN; self.nodes.len()];
        ends.iter().for_each(|end| numbers[**end as usize] = 1);
        for at in (0..self.nodes.len()).rev() {
            let before = self.nodes[at].before;
            if numbers[at] != UNSEEN && before != BEGINNING {
                numbers[before as usize] = 1;
            }
        }
        let mut kept = 0;
        for at in 0..self.nodes.len() {
            if numbers[at] == UNSEEN {
                continue;
            }
            let mut node = self.nodes[at];
            if node.before != BEGINNING {
                node.before = numbers[node.before as usize];
            }
            self.nodes[kept] = node;
            numbers[at] = kept as u32;
            kept += 1;
        }
        self.nodes.truncate(kept);
        self.many = 2 * kept;
        ends.into_iter().for_each(|end| *end = numbers[*end as usize]);
        drop(numbers);
        budget.give(bytes);
        Ok(())
    }
}
