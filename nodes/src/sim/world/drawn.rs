//! The schedule of faults that is drawn from the world's seed.

use super::super::chaos::{Chaos, Crash, Fault, Undo};
use super::super::disk::DiskFault;
use super::{Happening, World};
use crate::replica::Replica;

/// How many times as long a fsync takes on a slow disk.
const SLOW: u32 = 50;

impl<R: Replica> World<R> {
    /// Puts a random schedule of faults on the agenda, drawn from the world's seed. It ends with
    /// [`calm`](World::calm).
    pub fn chaos(&mut self, chaos: Chaos) {
        let first = self.now + chaos.gap.draw(&mut self.faults);
        self.at(first, Happening::Fault);
        self.at(chaos.until, Happening::Calm);
        self.chaos = Some(chaos);
    }

    pub(super) fn fault(&mut self) {
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
                self.disk(node, DiskFault::Slow { times: SLOW });
                Undo::MendDisk(node)
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
            Undo::MendDisk(node) => self.disk(node, DiskFault::None),
        }
    }
}
