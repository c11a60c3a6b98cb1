//! One process whose clocks are turned: its hook put in, its parameters changed, its vDSO as it was again.

use std::ops::Range;

use nix::libc;
use nix::unistd::Pid;

use super::course::Dial;
use super::hook::Hook;
use super::memory::Memory;
use super::slot::{CLOCKS, SIZE, STRIDE, Slot};
use super::surgery::Held;
use super::{truth, vdso};

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

    /// Whether the hook is there, whole; an error if there is anything but it or nothing.
    fn is_hooked(&self) -> Result<bool, String> {
        let bytes = self.bytes()?;
        if self.hook.is_foreign(&bytes) {
            return Err(format!("somebody else has changed the vDSO of process {}", self.pid));
        }
        Ok(self.hook.is_complete(&bytes))
    }

    /// Puts the hook in, unless it is there. With it the clocks are right.
    ///
    /// The hook lies ready, with right clocks, before the first jump leads to it; each jump is stored while no thread
    /// is where it is stored.
    pub(super) fn hook(&self) -> Result<(), String> {
        if self.is_hooked()? {
            return Ok(());
        }
        let held = Held::outside(self.pid, &self.vdso, &self.memory)?;
        self.put(self.hook.room, &self.hook.code)?;
        for (at, jump) in &self.hook.jumps {
            self.put(*at, jump)?;
        }
        drop(held);
        Ok(())
    }

    /// Takes the hook out: afterwards every byte is as it was. It is set right first, in case this comes to an end in
    /// the middle.
    pub(super) fn unhook(&self) -> Result<(), String> {
        self.is_hooked()?;
        let held = Held::outside(self.pid, &self.vdso, &self.memory)?;
        for (at, jump) in &self.hook.jumps {
            self.put(*at, &self.hook.pristine[*at..*at + jump.len()])?;
        }
        let room = self.hook.room;
        self.put(room, &self.hook.pristine[room..room + self.hook.code.len()])?;
        drop(held);
        if self.bytes()? == self.hook.pristine {
            Ok(())
        } else {
            Err(format!("the vDSO of process {} is not as it was", self.pid))
        }
    }

    fn put(&self, at: usize, bytes: &[u8]) -> Result<(), String> {
        self.memory.write(self.vdso.start + at as u64, bytes)
    }

    /// The slot in use.
    pub(super) fn slot(&self) -> Result<Slot, String> {
        let bytes = self.bytes()?;
        let selected = usize::from(bytes[self.hook.selector] & 1);
        let slot = Slot::decode(&bytes[self.hook.room + selected * STRIDE..]);
        slot.ok_or_else(|| format!("the clocks' parameters in process {} are damaged", self.pid))
    }

    /// Changes the clocks from what `from` says, which was in use until now, at these moments.
    pub(super) fn turn(&self, from: &Slot, to: &Dial, moments: [i64; CLOCKS]) -> Result<(), String> {
        let number = self.slot()?.number + 1;
        let other = usize::from(self.bytes()?[self.hook.selector] & 1) ^ 1;
        let slot = from.followed(moments, to, number).encode();
        let at = self.hook.room + other * STRIDE;
        self.put(at, &slot[..8])?;
        self.put(at + 8, &slot[8..SIZE - 8])?;
        self.put(at + SIZE - 8, &slot[SIZE - 8..])?;
        self.put(self.hook.selector, &[u8::try_from(other).expect("one or nought")])
    }
}

/// A moment of true monotonic time on every clock.
pub(super) fn moments(moment: i64) -> [i64; CLOCKS] {
    let on = |clock| moment + truth::offset(clock);
    let (wall, raw) = (on(libc::CLOCK_REALTIME), on(libc::CLOCK_MONOTONIC_RAW));
    let (boot, atomic) = (on(libc::CLOCK_BOOTTIME), on(libc::CLOCK_TAI));
    let mut moments = [0; CLOCKS];
    for (clock, at) in [
        (libc::CLOCK_REALTIME, wall),
        (libc::CLOCK_REALTIME_COARSE, wall),
        (libc::CLOCK_REALTIME_ALARM, wall),
        (libc::CLOCK_TAI, atomic),
        (libc::CLOCK_MONOTONIC, moment),
        (libc::CLOCK_MONOTONIC_COARSE, moment),
        (libc::CLOCK_MONOTONIC_RAW, raw),
        (libc::CLOCK_BOOTTIME, boot),
        (libc::CLOCK_BOOTTIME_ALARM, boot),
    ] {
        moments[usize::try_from(clock).expect("clocks have small numbers")] = at;
    }
    moments
}
