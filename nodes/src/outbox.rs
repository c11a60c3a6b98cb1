//! The ordered output queue of a replica, which every driver keeps: what was pushed after a write waits for it, and
//! what was pushed after an armed point is held until the replica was halted there and goes on.

use std::collections::VecDeque;

use crate::point::Point;
use crate::replica::{Event, Output, Replica};

/// A write for the disk. Writes are handed over at once and in order; the n-th has the number n.
#[derive(Debug)]
pub(crate) enum Write<T> {
    Append(Vec<T>),
    Rewrite(Vec<T>),
}

/// What is next to leave.
#[derive(Debug)]
pub(crate) enum Leaving<R: Replica> {
    Output(Output<R>),
    /// The replica came to an armed point. Nothing else leaves until [`Outbox::go_on`].
    Halt(Point),
}

/// What becomes of an output that is pushed.
#[derive(Debug)]
pub(crate) enum Pushed<R: Replica> {
    /// Nothing is before it: it leaves.
    Leaves(Leaving<R>),
    /// The disk has to do this.
    Write(Write<R::Record>),
    /// It waits for its turn.
    Waits,
}

#[derive(Debug)]
pub(crate) struct Outbox<R: Replica> {
    queue: VecDeque<Entry<R>>,
    written: u64,
    durable: u64,
    hold: Hold<R>,
}

#[derive(Debug)]
enum Entry<R: Replica> {
    Output(Output<R>),
    Barrier(u64),
    Halt(Point),
}

/// How far the halt at an armed point is.
#[derive(Debug)]
enum Hold<R: Replica> {
    None,
    /// The point is in the queue; this came after it.
    Ahead(Vec<Output<R>>),
    /// The point has left.
    Halted(Vec<Output<R>>),
}

impl<R: Replica> Outbox<R> {
    pub(crate) fn new() -> Self {
        Outbox { queue: VecDeque::new(), written: 0, durable: 0, hold: Hold::None }
    }

    /// Takes an output. `armed` is asked of a point that is pushed.
    pub(crate) fn push(&mut self, output: Output<R>, armed: impl FnOnce(Point) -> bool) -> Pushed<R> {
        if let Hold::Ahead(held) | Hold::Halted(held) = &mut self.hold {
            held.push(output);
            return Pushed::Waits;
        }
        let write = match output {
            Output::Persist(records) => Write::Append(records),
            Output::Rewrite(records) => Write::Rewrite(records),
            Output::Event(Event::Reached(point)) if armed(point) => return self.push_halt(point),
            other if self.queue.is_empty() => return Pushed::Leaves(Leaving::Output(other)),
            other => {
                self.queue.push_back(Entry::Output(other));
                return Pushed::Waits;
            }
        };
        self.written += 1;
        self.queue.push_back(Entry::Barrier(self.written));
        Pushed::Write(write)
    }

    fn push_halt(&mut self, point: Point) -> Pushed<R> {
        if self.queue.is_empty() {
            self.hold = Hold::Halted(Vec::new());
            return Pushed::Leaves(Leaving::Halt(point));
        }
        self.hold = Hold::Ahead(Vec::new());
        self.queue.push_back(Entry::Halt(point));
        Pushed::Waits
    }

    /// All writes up to and including this one are durable.
    pub(crate) fn persisted(&mut self, upto: u64) {
        self.durable = self.durable.max(upto);
    }

    /// The next that no barrier holds back.
    pub(crate) fn pop(&mut self) -> Option<Leaving<R>> {
        while let Some(Entry::Barrier(write)) = self.queue.front() {
            if *write > self.durable {
                return None;
            }
            self.queue.pop_front();
        }
        match self.queue.pop_front() {
            Some(Entry::Output(output)) => Some(Leaving::Output(output)),
            Some(Entry::Halt(point)) => {
                self.hold = match std::mem::replace(&mut self.hold, Hold::None) {
                    Hold::Ahead(held) => Hold::Halted(held),
                    Hold::None | Hold::Halted(_) => unreachable!("one point at a time is on its way"),
                };
                Some(Leaving::Halt(point))
            }
            Some(Entry::Barrier(_)) | None => None,
        }
    }

    /// The halt is over: what was held, in its order, to be pushed again. Nothing if no point has left.
    pub(crate) fn go_on(&mut self) -> Vec<Output<R>> {
        match std::mem::replace(&mut self.hold, Hold::None) {
            Hold::Halted(held) => held,
            other => {
                self.hold = other;
                Vec::new()
            }
        }
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        let held = match &self.hold {
            Hold::None => 0,
            Hold::Ahead(held) | Hold::Halted(held) => held.len(),
        };
        self.queue.len() + held
    }
}
