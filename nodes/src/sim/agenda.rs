//! What will happen, by time; of the same instant in the order in which it was put down.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::replica::Time;

/// The heap moves only small keys; what happens stays where it is in a slab.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    /// How many were ever put down: what tells two of the same instant apart.
    order: u64,
}

impl<T> Agenda<T> {
    pub(super) fn new() -> Self {
        Agenda { heap: BinaryHeap::new(), slots: Vec::new(), free: Vec::new(), order: 0 }
    }

    /// Puts something down. A time beyond five centuries never comes.
    pub(super) fn push(&mut self, at: Time, what: T) {
        let Ok(at) = u64::try_from(at.as_nanos()) else { return };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = Some(what);
                slot
            }
            None => {
                self.slots.push(Some(what));
                u32::try_from(self.slots.len() - 1).expect("fewer than 2^32 events wait")
            }
        };
        self.order += 1;
        self.heap.push(Reverse((at, self.order, slot)));
    }

    /// When the next happens.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse((at, _, _))| Time::from_nanos(*at))
    }

    /// Takes the next, with its time.
    pub(super) fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let what = self.slots[slot as usize].take().expect("an entry of the heap has its slot");
        Some((Time::from_nanos(at), what))
    }
}
