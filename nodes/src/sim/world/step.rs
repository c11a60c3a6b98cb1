//! What happens in a world: one event after the other, one step of one replica at a time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use super::super::chaos::{Crash, Fault, Undo};
use super::super::trace::Line;
use super::super::violation::Violation;
use super::{Happening, Node, Replied, World, live, said, through_bytes};
use crate::replica::{Event, Input, NodeId, Output, Replica};

/// A replica that wants its tick now, or in the past, gets it after this; virtual time must pass.
const SHORTEST_TICK: Duration = Duration::from_micros(10);
/// How many times as long a fsync takes on a slow disk.
const SLOW: u32 = 50;

impl<R: Replica> World<R> {
    pub(super) fn advance(&mut self) -> Result<(), Violation> {
        if let Some(violation) = &self.broken {
            return Err(violation.clone());
        }
        if let Some(next) = self.agenda.pop() {
            self.now = self.now.max(next.at);
            self.happen(next.what);
        }
        self.broken.clone().map_or(Ok(()), Err)
    }

    pub(super) fn happen(&mut self, what: Happening<R>) {
        let (node, life) = match &what {
            Happening::Tick { node, life, .. }
            | Happening::Synced { node, life }
            | Happening::Request { node, life, .. } => (*node, Some(*life)),
            Happening::Deliver { to, .. } => (*to, None),
            Happening::Fault => return self.fault(),
            Happening::Undo(undo) => return self.undo(undo.clone()),
            // A test may have ended the chaos before its time.
            Happening::Calm if self.chaos.is_none() => return,
            Happening::Calm => return self.calm(),
        };
        let reached = match &what {
            Happening::Deliver { from, to, .. } => self.network.lets_through(*from, *to),
            _ => true,
        };
        let current = self.node(node).life;
        let Some(process) = self.node_mut(node).process.as_mut() else { return };
        if !reached || life.is_some_and(|life| life != current) {
            return;
        }
        if let Some(waiting) = process.paused.as_mut() {
            waiting.push_back(what);
            return;
        }
        match what {
            // An earlier tick has taken this one's place.
            Happening::Tick { at, .. } if process.tick != Some(at) => {}
            Happening::Tick { .. } => {
                process.tick = None;
                self.trace.note(self.now, Some(node), Line::Tick);
                self.step(node, Input::Tick);
            }
            Happening::Deliver { from, message, .. } => {
                let message: R::Message = through_bytes(&message);
                self.trace.note(self.now, Some(node), Line::Message { from, message: message.clone() });
                self.step(node, Input::Message { from, message });
            }
            Happening::Request { client, request, .. } => {
                self.trace.note(self.now, Some(node), Line::Request { client, request: request.clone() });
                self.step(node, Input::Request { client, request });
            }
            Happening::Synced { .. } => self.synced(node),
            Happening::Fault | Happening::Undo(_) | Happening::Calm => {}
        }
    }

    fn synced(&mut self, node: NodeId) {
        let at = self.index(node);
        let Node { process: Some(process), disk, .. } = &mut self.nodes[at] else { return };
        disk.end_sync();
        let upto = disk.synced();
        process.outbox.persisted(upto);
        self.trace.note(self.now, Some(node), Line::Persisted(upto));
        self.release(node);
        self.step(node, Input::Persisted(upto));
    }

    pub(super) fn step(&mut self, node: NodeId, input: Input<R>) {
        if self.broken.is_some() {
            return;
        }
        let now = self.now;
        let at = self.index(node);
        let Node { process: Some(process), disk, .. } = &mut self.nodes[at] else { return };
        let mut outputs = Vec::new();
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            process.replica.step(now + process.clock, input, &mut outputs);
            process.replica.check()
        }));
        match stepped {
            Ok(Ok(())) => {}
            Ok(Err(what)) => return self.breaks(format!("{node} breaks an invariant of its own: {what}")),
            Err(panic) => return self.breaks(format!("{node} panics: {}", said(&*panic))),
        }
        for output in outputs {
            if let Some(write) = process.outbox.push(output) {
                disk.write(write);
            }
        }
        self.release(node);
        self.sync(node);
        self.schedule_tick(node);
        self.assert_invariants();
    }

    /// Lets out what no barrier holds back.
    fn release(&mut self, node: NodeId) {
        while let Some(output) = self.node_mut(node).process.as_mut().and_then(|process| process.outbox.pop()) {
            self.leave(node, output);
        }
    }

    fn leave(&mut self, node: NodeId, output: Output<R>) {
        match output {
            Output::Send { to, message } => self.send(node, to, message),
            Output::Reply { client, reply } => {
                self.trace.note(self.now, Some(node), Line::Reply { client, reply: reply.clone() });
                self.replies.push(Replied { at: self.now, client, node, reply });
            }
            Output::Event(event) => self.observe(node, event),
            Output::Persist(_) | Output::Rewrite(_) => {}
        }
    }

    fn send(&mut self, from: NodeId, to: NodeId, message: R::Message) {
        if from == to || to.0 == 0 || to.0 > self.options.nodes {
            return self.breaks(format!("{from} sends to {to}, which is no peer of it: {message:?}"));
        }
        let copies = self.network.copies(&self.options);
        if copies.is_empty() {
            self.trace.note(self.now, Some(from), Line::Lost { to });
        }
        for delay in copies {
            self.at(self.now + delay, Happening::Deliver { from, to, message: message.clone() });
        }
    }

    fn observe(&mut self, node: NodeId, event: Event) {
        match event {
            Event::Leading { .. } => self.leader = Some(node),
            Event::Following { .. } | Event::Looking if self.leader == Some(node) => self.leader = None,
            _ => {}
        }
        let agreed = self.agreement.observe(node, &event);
        self.trace.note(self.now, Some(node), Line::Event(event));
        if let Err(what) = agreed {
            self.breaks(what);
        }
    }

    fn sync(&mut self, node: NodeId) {
        let at = self.index(node);
        let Node { disk, slow, life, .. } = &mut self.nodes[at];
        let life = *life;
        if disk.begin_sync().is_some() {
            let factor = if *slow { SLOW } else { 1 };
            let end = self.now + self.options.fsync.draw(&mut self.timing) * factor;
            self.at(end, Happening::Synced { node, life });
        }
    }

    pub(super) fn schedule_tick(&mut self, node: NodeId) {
        let at = self.index(node);
        let Node { process: Some(process), life, .. } = &mut self.nodes[at] else { return };
        let wanted = process.replica.wake().saturating_sub(process.clock).max(self.now + SHORTEST_TICK);
        if process.tick.is_some_and(|tick| tick <= wanted) {
            return;
        }
        let tick = wanted.saturating_add(self.options.tick_late.draw(&mut self.timing));
        process.tick = Some(tick);
        let life = *life;
        self.at(tick, Happening::Tick { node, life, at: tick });
    }

    fn assert_invariants(&mut self) {
        if self.invariants.is_empty() || self.broken.is_some() {
            return;
        }
        let live = live(&self.nodes);
        let broken =
            self.invariants.iter().find_map(|(name, holds)| holds(&live).err().map(|what| format!("{name}: {what}")));
        if let Some(what) = broken {
            self.breaks(what);
        }
    }

    pub(super) fn breaks(&mut self, what: String) {
        if self.broken.is_none() {
            self.broken = Some(Violation { seed: self.seed, at: self.now, what, trace: self.trace.text() });
        }
    }

    fn fault(&mut self) {
        let Some(chaos) = self.chaos.clone() else { return };
        let ids = self.ids();
        if let Some(fault) = chaos.draw(&mut self.faults, &ids, self.leader) {
            let undo = self.put_in_force(fault);
            let end = self.now + chaos.hold.draw(&mut self.faults);
            self.at(end, Happening::Undo(undo));
        }
        let next = self.now + chaos.gap.draw(&mut self.faults);
        self.at(next, Happening::Fault);
    }

    fn put_in_force(&mut self, fault: Fault) -> Undo {
        match fault {
            Fault::Crash(node, how) => {
                self.crash(node, how);
                Undo::Restart(node)
            }
            Fault::Blackout => {
                for node in self.ids() {
                    self.crash(node, Crash::PowerLoss);
                }
                Undo::RestartAll
            }
            Fault::Partition(cuts) => {
                self.heal();
                self.cut(cuts);
                Undo::Heal { partition: self.partition }
            }
            Fault::Pause(node) => {
                self.pause(node);
                Undo::Resume(node)
            }
            Fault::SlowDisk(node) => {
                self.node_mut(node).slow = true;
                self.trace.note(self.now, Some(node), Line::SlowDisk(true));
                Undo::FastDisk(node)
            }
        }
    }

    pub(super) fn undo(&mut self, undo: Undo) {
        match undo {
            Undo::Restart(node) => self.restart(node),
            Undo::RestartAll => self.ids().into_iter().for_each(|node| self.restart(node)),
            Undo::Heal { partition } if partition == self.partition => self.heal(),
            Undo::Heal { .. } => {}
            Undo::Resume(node) => self.resume(node),
            Undo::FastDisk(node) => {
                if std::mem::take(&mut self.node_mut(node).slow) {
                    self.trace.note(self.now, Some(node), Line::SlowDisk(false));
                }
            }
        }
    }
}
