//! What a test or a nemesis does to a world.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::super::chaos::Crash;
use super::super::clock::Jump;
use super::super::disk::DiskFault;
use super::super::network::{Cut, between};
use super::super::options::{Carried, Packets};
use super::super::trace::Line;
use super::{Death, Process, Stimulus, World, said, through_bytes};
use crate::outbox::Outbox;
use crate::replica::{ClientId, NodeId, Replica};

impl<R: Replica> World<R> {
    /// A node dies. Without effect on one that is down.
    pub fn crash(&mut self, node: NodeId, how: Crash) {
        let at = self.index(node);
        if self.nodes[at].process.is_some() {
            self.die(at, Death::Crash(how));
        }
    }

    /// A dead node starts a new life from its disk. Without effect on one that runs, or that is dead for good. If its
    /// log cannot be read it stays down, see [`death`](World::death).
    pub fn restart(&mut self, node: NodeId) {
        let at = self.index(node);
        if self.nodes[at].process.is_some() || self.nodes[at].death == Some(Death::Broken) {
            return;
        }
        if self.nodes[at].disk.fault() == DiskFault::ReadError {
            self.nodes[at].death = Some(Death::DiskUnreadable);
            return self.trace.note(self.now, Some(node), || Line::Died(Death::DiskUnreadable));
        }
        let place = &mut self.nodes[at];
        place.life += 1;
        place.death = None;
        let shows = Duration::from_micros(place.timing.random_range(0..3_600_000_000));
        place.clock.restart(self.now, shows);
        self.agreement.reborn(node);
        let records: Vec<R::Record> = match self.options.carried {
            Carried::AsBytes => place.disk.records().iter().map(through_bytes).collect(),
            Carried::AsValues => place.disk.records().to_vec(),
        };
        let (life, count) = (place.life, records.len());
        self.trace.note(self.now, Some(node), || Line::Started { life, records: count });
        let config = (self.configure)(node, life);
        match catch_unwind(AssertUnwindSafe(|| R::recover(config, shows, records))) {
            Ok(replica) => {
                self.nodes[at].process =
                    Some(Process { replica, outbox: Outbox::new(), tick: None, stopped: None, halting: None });
                self.schedule_tick(at);
            }
            Err(panic) => {
                self.breaks(format!("{node} panics in recovery: {}", said(&*panic)));
                self.nodes[at].death = Some(Death::Broken);
            }
        }
    }

    /// The end of a life.
    pub(super) fn die(&mut self, at: usize, death: Death) {
        let id = self.nodes[at].id;
        self.trace.note(self.now, Some(id), || Line::Died(death));
        if self.leader == Some(id) {
            self.leader = None;
        }
        let node = &mut self.nodes[at];
        node.death = Some(death);
        let how = match death {
            Death::Crash(how) => how,
            Death::DiskFull | Death::DiskUnreadable | Death::Broken => Crash::Kill,
        };
        node.disk.crash(how, &mut node.crashes);
        let process = node.process.take();
        self.rearm(process.and_then(|process| process.halting));
        self.close_connections(id);
    }

    /// A process stops; what arrives waits for it.
    pub fn pause(&mut self, node: NodeId) {
        let at = self.index(node);
        if let Some(process) = &mut self.nodes[at].process
            && process.stopped.is_none()
        {
            process.stopped = Some(VecDeque::new());
            self.trace.note(self.now, Some(node), || Line::Paused);
        }
    }

    /// A paused process goes on, also one that was halted at a point. What waited for it keeps its order on each
    /// connection, but between them any order may come: a process looks at its sockets one by one.
    pub fn resume(&mut self, node: NodeId) {
        let at = self.index(node);
        let Some(process) = &mut self.nodes[at].process else { return };
        let Some(waiting) = process.stopped.take() else { return };
        let waiting = in_some_order(waiting, &mut self.nodes[at].resumes);
        let Some(process) = &mut self.nodes[at].process else { return };
        let held = process.outbox.go_on();
        self.trace.note(self.now, Some(node), || Line::Resumed);
        self.push(at, held);
        self.release(at);
        self.sync(at);
        self.schedule_tick(at);
        for stimulus in waiting {
            self.reach(at, stimulus);
        }
    }

    /// Cuts links, beside those that are cut already.
    pub fn cut(&mut self, cuts: impl IntoIterator<Item = Cut>) {
        let cuts: Vec<Cut> = cuts.into_iter().collect();
        self.network.cut(&cuts);
        self.trace.note(self.now, None, || Line::Cut(cuts));
    }

    /// Cuts all links between a node and the others, in both directions.
    pub fn isolate(&mut self, node: NodeId) {
        let others: Vec<NodeId> = self.ids().into_iter().filter(|&other| other != node).collect();
        self.cut(between(&[node], &others));
    }

    /// Mends all links.
    pub fn heal(&mut self) {
        self.partition += 1;
        self.network.heal();
        self.trace.note(self.now, None, || Line::Healed);
    }

    /// Treats the messages between all nodes otherwise; `None` for as usual.
    pub fn packets(&mut self, packets: Option<Packets>) {
        let ids = self.ids();
        let links = ids.iter().flat_map(|&from| ids.iter().map(move |&to| Cut { from, to }));
        self.packets_on(links, packets);
    }

    /// Treats the messages in these directions of links otherwise; `None` for as usual.
    pub fn packets_on(&mut self, links: impl IntoIterator<Item = Cut>, packets: Option<Packets>) {
        let links: Vec<Cut> = links.into_iter().filter(|link| link.from != link.to).collect();
        for link in &links {
            self.network.treat(link.from, link.to, packets);
        }
        self.trace.note(self.now, None, || Line::Packets(links, packets));
    }

    /// A node's clock runs this many millionths faster than virtual time, or slower; 0 for as fast. It stays so over
    /// restarts.
    ///
    /// # Panics
    /// At -1,000,000 or less: a clock does not run backwards.
    pub fn set_clock_rate(&mut self, node: NodeId, ppm: i64) {
        let at = self.index(node);
        self.nodes[at].clock.set_rate(self.now, ppm);
        self.trace.note(self.now, Some(node), || Line::ClockRate(ppm));
        self.schedule_tick(at);
    }

    /// A node's clock jumps.
    pub fn jump_clock(&mut self, node: NodeId, by: Jump) {
        let at = self.index(node);
        self.nodes[at].clock.jump(by);
        self.trace.note(self.now, Some(node), || Line::ClockJump(by));
        self.schedule_tick(at);
    }

    /// Something is wrong with a node's disk from now on; it takes the place of what was wrong before.
    pub fn disk(&mut self, node: NodeId, fault: DiskFault) {
        let at = self.index(node);
        self.nodes[at].disk.set(fault);
        self.trace.note(self.now, Some(node), || Line::Disk(fault));
    }

    /// Ends all faults: links are mended and packets as usual, points disarmed, disks and clock rates right, paused
    /// nodes resumed, dead ones restarted.
    pub fn calm(&mut self) {
        self.chaos = None;
        self.disarm_if(|_| true);
        self.heal();
        self.packets(None);
        for node in self.ids() {
            self.disk(node, DiskFault::None);
            self.set_clock_rate(node, 0);
            self.resume(node);
            self.restart(node);
        }
    }
}

/// Where something that waits for a stopped process comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Timer,
    Disk,
    Peer(NodeId),
    Client(ClientId),
}

fn in_some_order<R: Replica>(waiting: VecDeque<Stimulus<R>>, rng: &mut ChaCha8Rng) -> Vec<Stimulus<R>> {
    let count = waiting.len();
    let mut sources: BTreeMap<Source, VecDeque<Stimulus<R>>> = BTreeMap::new();
    for stimulus in waiting {
        let source = match &stimulus {
            Stimulus::Tick => Source::Timer,
            Stimulus::Persisted(_) | Stimulus::DiskFull => Source::Disk,
            Stimulus::Message { from, .. } => Source::Peer(*from),
            Stimulus::Request { client, .. } => Source::Client(*client),
        };
        sources.entry(source).or_default().push_back(stimulus);
    }
    let mut sources: Vec<VecDeque<Stimulus<R>>> = sources.into_values().collect();
    let mut order = Vec::with_capacity(count);
    while !sources.is_empty() {
        let next = rng.random_range(0..sources.len());
        order.extend(sources[next].pop_front());
        if sources[next].is_empty() {
            sources.swap_remove(next);
        }
    }
    order
}
