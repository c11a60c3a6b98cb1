//! One step of one replica, and what leaves it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::super::disk::NoSpace;
use super::super::options::Carried;
use super::super::trace::Line;
use super::points::reached;
use super::{Death, Happening, Node, Stimulus, World, live, said, through_bytes};
use crate::outbox::{Leaving, Pushed};
use crate::replica::{Event, Input, NodeId, Output, Replica};

/// A replica that wants its tick now, or in the past, gets it after this; virtual time must pass.
const SHORTEST_TICK: Duration = Duration::from_micros(10);

impl<R: Replica> World<R> {
    /// Something happens to a process; it waits while the process is stopped.
    pub(super) fn reach(&mut self, at: usize, what: Stimulus<R>) {
        let node = &mut self.nodes[at];
        let Some(process) = &mut node.process else { return };
        if let Some(waiting) = &mut process.stopped {
            return waiting.push_back(what);
        }
        let input = match what {
            Stimulus::Tick => {
                process.tick = None;
                // It may have put off its wish since.
                if node.clock.read(self.now) < process.replica.wake() {
                    return self.schedule_tick(at);
                }
                self.trace.note(self.now, Some(node.id), || Line::Tick);
                Input::Tick
            }
            Stimulus::Message { from, message } => {
                let message = match self.options.carried {
                    Carried::AsBytes => through_bytes(&message),
                    Carried::AsValues => message,
                };
                self.trace.note(self.now, Some(node.id), || Line::Message { from, message: message.clone() });
                Input::Message { from, message }
            }
            Stimulus::Request { client, request } => {
                self.trace.note(self.now, Some(node.id), || Line::Request { client, request: request.clone() });
                Input::Request { client, request }
            }
            Stimulus::Persisted(upto) => {
                process.outbox.persisted(upto);
                self.trace.note(self.now, Some(node.id), || Line::Persisted(upto));
                self.release(at);
                if self.is_stopped(at) {
                    // The point behind the write has halted it.
                    return self.reach(at, Stimulus::Persisted(upto));
                }
                Input::Persisted(upto)
            }
            Stimulus::DiskFull => return self.die(at, Death::DiskFull),
        };
        self.step(at, input);
    }

    fn is_stopped(&self, at: usize) -> bool {
        self.nodes[at].process.as_ref().is_some_and(|process| process.stopped.is_some())
    }

    fn step(&mut self, at: usize, input: Input<R>) {
        if self.is_over() {
            return;
        }
        let Node { process: Some(process), clock, id, .. } = &mut self.nodes[at] else { return };
        let (now, id) = (clock.read(self.now), *id);
        let mut outputs = std::mem::take(&mut self.outputs);
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            process.replica.step(now, input, &mut outputs);
            process.replica.check()
        }));
        let broken = match stepped {
            Ok(Ok(())) => None,
            Ok(Err(what)) => Some(format!("{id} breaks an invariant of its own: {what}")),
            Err(panic) => Some(format!("{id} panics: {}", said(&*panic))),
        };
        if let Some(what) = broken {
            self.breaks(what);
            return self.die(at, Death::Broken);
        }
        self.push(at, outputs.drain(..));
        self.outputs = outputs;
        self.sync(at);
        self.schedule_tick(at);
        self.assert_invariants();
    }

    /// Takes what a replica wants done: writes go to the disk, and what nothing holds back leaves.
    pub(super) fn push(&mut self, at: usize, outputs: impl IntoIterator<Item = Output<R>>) {
        for output in outputs {
            let Node { process: Some(process), disk, id, .. } = &mut self.nodes[at] else { return };
            let (armed, halting) = (&mut self.armed, &mut process.halting);
            let hit = |point| {
                *halting = reached(armed, *id, point);
                halting.is_some()
            };
            match process.outbox.push(output, hit) {
                Pushed::Leaves(leaving) => self.leave(at, leaving),
                Pushed::Write(write) => disk.write(write),
                Pushed::Waits => {}
            }
        }
    }

    /// Lets out what no barrier holds back, up to an armed point.
    pub(super) fn release(&mut self, at: usize) {
        while let Some(leaving) = self.nodes[at].process.as_mut().and_then(|process| process.outbox.pop()) {
            self.leave(at, leaving);
        }
    }

    fn leave(&mut self, at: usize, leaving: Leaving<R>) {
        let id = self.nodes[at].id;
        match leaving {
            Leaving::Output(Output::Send { to, message }) => self.send(id, to, message),
            Leaving::Output(Output::Reply { client, reply }) => self.answer(id, client, reply),
            Leaving::Output(Output::Event(event)) => self.observe(id, event),
            Leaving::Output(Output::Persist(_) | Output::Rewrite(_)) => {}
            Leaving::Halt(point) => self.halt(at, point),
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: R::Message) {
        if from == to || to.0 == 0 || to.0 > self.options.nodes {
            return self.breaks(format!("{from} sends to {to}, which is no peer of it: {message:?}"));
        }
        let copies = self.network.copies(from, to);
        if let Some(delay) = copies.second {
            self.at(self.now + delay, Happening::Deliver { from, to, message: message.clone() });
        }
        match copies.first {
            Some(delay) => self.at(self.now + delay, Happening::Deliver { from, to, message }),
            None => self.trace.note(self.now, Some(from), || Line::Lost { to }),
        }
    }

    fn observe(&mut self, node: NodeId, event: Event) {
        match event {
            Event::Leading { .. } => self.leader = Some(node),
            Event::Following { .. } | Event::Looking if self.leader == Some(node) => self.leader = None,
            _ => {}
        }
        if matches!(event, Event::Leading { .. } | Event::Following { .. } | Event::Looking) {
            self.notices.push((self.now, node, event.clone()));
        }
        let agreed = self.agreement.observe(node, &event);
        self.trace.note(self.now, Some(node), || Line::Event(event));
        if let Err(what) = agreed {
            self.breaks(what);
        }
    }

    pub(super) fn sync(&mut self, at: usize) {
        let Node { disk, life, id, fsyncs, process: Some(_), .. } = &mut self.nodes[at] else { return };
        if disk.begin_sync() {
            let end = self.now + self.options.fsync.draw(fsyncs) * disk.slowness();
            let what = Happening::Synced { node: *id, life: *life };
            self.at(end, what);
        }
    }

    /// A fsync ends, whether the process is stopped or not; only the news wait for it.
    pub(super) fn synced(&mut self, at: usize) {
        let what = match self.nodes[at].disk.end_sync() {
            Ok(upto) => Stimulus::Persisted(upto),
            Err(NoSpace) => Stimulus::DiskFull,
        };
        self.reach(at, what);
    }

    pub(super) fn schedule_tick(&mut self, at: usize) {
        let Node { process: Some(process), clock, timing, life, id, .. } = &mut self.nodes[at] else { return };
        if process.stopped.is_some() {
            return;
        }
        let wanted = clock.when(process.replica.wake()).max(self.now + SHORTEST_TICK);
        if process.tick.is_some_and(|tick| tick <= wanted) {
            return;
        }
        let tick = wanted.saturating_add(self.options.tick_late.draw(timing));
        process.tick = Some(tick);
        let what = Happening::Tick { node: *id, life: *life, at: tick };
        self.at(tick, what);
    }

    fn assert_invariants(&mut self) {
        if self.invariants.is_empty() || self.is_over() {
            return;
        }
        let live = live(&self.nodes);
        let broken =
            self.invariants.iter().find_map(|(name, holds)| holds(&live).err().map(|what| format!("{name}: {what}")));
        if let Some(what) = broken {
            self.breaks(what);
        }
    }
}
