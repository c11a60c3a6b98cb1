//! One process whose clocks are turned: its hook put in, its parameters changed, its vDSO as it was again.

use std::ops::Range;

use nix::unistd::Pid;

use super::hook::Hook;
use super::memory::Memory;
use super::slot::{STRIDE, Slot, Times};
use super::surgery::Body;
use super::vdso;

/// A process, and the hook that is made for it.
pub(super) struct Patient<'a> {
    pub pid: Pid,
    hook: &'a Hook,
    memory: Memory,
    vdso: Range<u64>,
}

impl<'a> Patient<'a> {
    pub(super) fn new(pid: Pid, hook: &'a Hook) -> Result<Patient<'a>, String> {
        let vdso = vdso::place(pid)?;
        if vdso.end - vdso.start != hook.pristine.len() as u64 {
            return Err(format!("the vDSO of process {pid} is not of this program's kind (64 bits)"));
        }
        Ok(Patient { pid, hook, memory: Memory::of(pid)?, vdso })
    }

    /// Its vDSO, as it is.
    pub(super) fn bytes(&self) -> Result<Vec<u8>, String> {
        self.memory.read(self.vdso.start, self.hook.pristine.len())
    }

    /// What is needed to hold it.
    pub(super) fn body(&self) -> Body<'_> {
        Body { pid: self.pid, vdso: &self.vdso, memory: &self.memory }
    }

    /// The slot in use; a right one if the hook is not there, whole. An error if there is anything but it or nothing.
    pub(super) fn slot(&self) -> Result<Slot, String> {
        let bytes = self.bytes()?;
        if self.hook.is_foreign(&bytes) {
            return Err(format!("somebody else has changed the vDSO of process {}", self.pid));
        }
        if !self.hook.is_complete(&bytes) {
            return Ok(Slot::default());
        }
        Ok(Slot::decode(&bytes[self.hook.room + self.selected(&bytes) * STRIDE..]))
    }

    /// Changes the clocks of the process while it is held, unless a monotonic one would go backwards.
    pub(super) fn turn(&self, to: &Slot, now: &Times) -> Result<(), String> {
        match to.backwards(&self.slot()?, now) {
            0 => self.put_slot(to),
            by => Err(format!("a monotonic clock of process {} would go backwards by {by} ns", self.pid)),
        }
    }

    /// Takes the hook out while the process is held: afterwards every byte is as it was. The clocks are set right
    /// first, in case this comes to an end in the middle.
    pub(super) fn unhook(&self) -> Result<(), String> {
        if self.bytes()? == self.hook.pristine {
            return Ok(());
        }
        self.put_slot(&Slot::default())?;
        for (at, jump) in &self.hook.jumps {
            self.put(*at, &self.hook.pristine[*at..*at + jump.len()])?;
        }
        let room = self.hook.room;
        self.put(room, &self.hook.pristine[room..room + self.hook.code.len()])?;
        if self.bytes()? == self.hook.pristine {
            Ok(())
        } else {
            Err(format!("the vDSO of process {} is not as it was", self.pid))
        }
    }

    /// Changes the clocks; puts the hook in where it is not there, whole. It lies ready, with right clocks, before the
    /// first jump leads to it.
    fn put_slot(&self, slot: &Slot) -> Result<(), String> {
        let bytes = self.bytes()?;
        let selected = if self.hook.is_complete(&bytes) {
            self.selected(&bytes)
        } else {
            self.put(self.hook.room, &self.hook.code)?;
            for (at, jump) in &self.hook.jumps {
                self.put(*at, jump)?;
            }
            0
        };
        let other = selected ^ 1;
        self.put(self.hook.room + other * STRIDE, &slot.encode())?;
        self.put(self.hook.selector, &[u8::try_from(other).expect("one or nought")])
    }

    /// Which slot is in use.
    fn selected(&self, vdso: &[u8]) -> usize {
        usize::from(vdso[self.hook.selector] & 1)
    }

    fn put(&self, at: usize, bytes: &[u8]) -> Result<(), String> {
        self.memory.write(self.vdso.start + at as u64, bytes)
    }
}
