//! Armed points: where a replica is halted.

use std::collections::VecDeque;

use super::super::trace::Line;
use super::World;
use crate::point::Point;
use crate::replica::{Event, NodeId, Replica};

/// A point that halts whoever comes to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Arming {
    point: Point,
    /// Whom; none for anybody.
    node: Option<NodeId>,
    /// At the how manieth time from now, from 1.
    nth: u32,
}

/// A node comes to a point. All armings that wait for it count; the first that has counted enough is used up.
pub(super) fn reached(armed: &mut Vec<Arming>, node: NodeId, point: Point) -> Option<Arming> {
    let waits = |arming: &Arming| arming.point == point && arming.node.is_none_or(|wanted| wanted == node);
    for arming in armed.iter_mut().filter(|arming| waits(arming)) {
        arming.nth = arming.nth.saturating_sub(1);
    }
    let hit = armed.iter().position(|arming| waits(arming) && arming.nth == 0)?;
    Some(armed.remove(hit))
}

impl<R: Replica> World<R> {
    /// Arms a point: a node, or any, is halted when it comes there for the `nth` time from now (counted over all nodes
    /// if it is for any). What it pushed before the point has left, what it pushed after it waits, writes too. Then
    /// there is a notice, and the node is paused: [`resume`](World::resume) lets it go on exactly there, a crash loses
    /// what waited. Each arming halts once; one whose node dies on the way to the point stays armed.
    pub fn arm(&mut self, point: Point, node: Option<NodeId>, nth: u32) {
        self.armed.push(Arming { point, node, nth: nth.max(1) });
    }

    /// Takes back all that was armed with this point and node.
    pub fn disarm(&mut self, point: Point, node: Option<NodeId>) {
        self.disarm_if(|arming| arming.point == point && arming.node == node);
    }

    /// Takes back all of these, also where the point waits in an outbox already, behind a write.
    pub(super) fn disarm_if(&mut self, these: impl Fn(&Arming) -> bool) {
        self.armed.retain(|arming| !these(arming));
        for process in self.nodes.iter_mut().filter_map(|node| node.process.as_mut()) {
            process.halting = process.halting.filter(|arming| !these(arming));
        }
    }

    /// A point that was armed when it was pushed has left its node.
    pub(super) fn halt(&mut self, at: usize, point: Point) {
        let id = self.nodes[at].id;
        let Some(process) = &mut self.nodes[at].process else { return };
        if process.halting.take().is_none() {
            let held = process.outbox.go_on();
            return self.push(at, held);
        }
        process.stopped = Some(VecDeque::new());
        self.trace.note(self.now, Some(id), || Line::Halted(point));
        self.notices.push((self.now, id, Event::Reached(point)));
    }

    /// A node died: a point that it had not come to yet is armed again.
    pub(super) fn rearm(&mut self, arming: Option<Arming>) {
        self.armed.extend(arming.map(|arming| Arming { nth: 1, ..arming }));
    }
}
