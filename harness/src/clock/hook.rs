//! The hook made for this kernel: which bytes go where in a vDSO.

use super::code::{self, jump};
use super::prologue::{self, JUMP};
use super::slot::STRIDE;
use super::vdso::Image;

/// The hook, for a vDSO like the one of this process.
pub(super) struct Hook {
    /// The vDSO as the kernel maps it.
    pub pristine: Vec<u8>,
    /// Where the code goes.
    pub room: usize,
    /// The slots, with right clocks, and the code behind them.
    pub code: Vec<u8>,
    /// Where the byte is that says which slot is in use.
    pub selector: usize,
    /// Where the jumps to the code go.
    pub jumps: [(usize, [u8; JUMP]); 3],
    /// How the original clock is read.
    pub way: Way,
}

/// How the hook reads the original clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the vDSO's function, whose first instructions were moved.
    BehindThePrologue,
    /// By a system call.
    SystemCall,
}

impl Way {
    pub(super) fn words(self) -> &'static str {
        match self {
            Way::BehindThePrologue => "a hook in the vDSO of a process, which reads the clock as fast as ever",
            Way::SystemCall => "a hook in the vDSO of a process, which reads the clock by a system call",
        }
    }
}

impl Hook {
    /// The hook for this kernel.
    pub(super) fn for_this_kernel() -> Result<Hook, String> {
        let image = Image::own()?;
        let least = JUMP as u64;
        let original = image.function("__vdso_clock_gettime", least)?;
        let others = [image.function("__vdso_gettimeofday", least)?, image.function("__vdso_time", least)?];
        let template = code::template();
        // The original's beginning is a few instructions; it is moved for a second time when its place is known.
        let tail = |room: usize| prologue::moved(&image.bytes, original, room + template.bytes.len());
        let (way, length) = match tail(0) {
            Some(bytes) => (Way::BehindThePrologue, bytes.len()),
            None => (Way::SystemCall, code::system_call().len()),
        };
        let room = image.room(template.bytes.len() + length)?;
        let mut bytes = template.bytes.to_vec();
        bytes.extend(match way {
            Way::BehindThePrologue => tail(room).expect("it could be moved elsewhere"),
            Way::SystemCall => code::system_call(),
        });
        let to = |from: usize, entry: usize| (from, jump(from, room + entry));
        let jumps =
            [to(original, template.clock_gettime), to(others[0], template.gettimeofday), to(others[1], template.time)];
        Ok(Hook { pristine: image.bytes, room, code: bytes, selector: room + template.selector, jumps, way })
    }

    /// Whether something is neither the kernel's nor ours.
    pub(super) fn is_foreign(&self, vdso: &[u8]) -> bool {
        let room = self.room..self.room + self.code.len();
        let ours = |at: usize| {
            room.contains(&at) || self.jumps.iter().any(|(jump, bytes)| (*jump..*jump + bytes.len()).contains(&at))
        };
        let jumps = |(at, jump): &(usize, [u8; JUMP])| {
            let there = &vdso[*at..*at + JUMP];
            there == jump || there == &self.pristine[*at..*at + JUMP]
        };
        let changed = vdso.iter().zip(&self.pristine).enumerate().any(|(at, (is, was))| is != was && !ours(at));
        changed || !self.jumps.iter().all(jumps)
    }

    /// Whether all of it is there.
    pub(super) fn is_complete(&self, vdso: &[u8]) -> bool {
        let code = &vdso[self.room + 2 * STRIDE..self.room + self.code.len()];
        let ours = &self.code[2 * STRIDE..];
        // The first byte behind the slots says which of them is in use.
        code[1..] == ours[1..] && self.jumps.iter().all(|(at, jump)| vdso[*at..*at + JUMP] == *jump)
    }
}
