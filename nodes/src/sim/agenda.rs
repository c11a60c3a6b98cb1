//! What will happen, by time; of the same instant in the order in which it was put down.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::replica::Time;

/// How many bits of a key say in which slot it is; those above them tell what comes first at the same instant.
const SLOT_BITS: u32 = 24;

/// The heap moves only small keys; what happens stays where it is in a slab.
#[derive(Debug)]
pub(super) struct Agenda<T> {
    heap: BinaryHeap<Reverse<Key>>,
    slots: Vec<Option<T>>,
    free: Vec<u32>,
    /// How many were ever put down: what tells two of the same instant apart.
    order: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// In nanoseconds.
    at: u64,
    /// The order in which it was put down, then its slot.
    place: u64,
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
                let slot = self.slots.len() - 1;
                assert!(slot < 1 << SLOT_BITS, "more than 16 million events wait");
                slot as u32
            }
        };
        self.order += 1;
        self.heap.push(Reverse(Key { at, place: self.order << SLOT_BITS | u64::from(slot) }));
    }

    /// When the next happens.
    pub(super) fn next(&self) -> Option<Time> {
        self.heap.peek().map(|Reverse(key)| Time::from_nanos(key.at))
    }

    /// Takes the next, with its time.
    pub(super) fn pop(&mut self) -> Option<(Time, T)> {
        let Reverse(key) = self.heap.pop()?;
        let slot = key.place as u32 & ((1 << SLOT_BITS) - 1);
        self.free.push(slot);
        let what = self.slots[slot as usize].take().expect("an entry of the heap has its slot");
        Some((Time::from_nanos(key.at), what))
    }
}
