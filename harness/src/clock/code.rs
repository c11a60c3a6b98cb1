//! The hook: what runs in the target in place of the vDSO's clock functions.
//!
//! It is called as they are, by the System V convention: it may use what a called function may use and leaves the rest
//! as it was. It calls the function that it replaces by way of the first instructions of that, which were moved behind
//! it ([`super::prologue`]), so the clock is read as fast as ever; where they cannot be moved it makes the system call.
//! It takes 32 bytes of stack more than the original, needs no other memory than its slots ([`super::slot`]), which
//! nobody changes while it runs, does no arithmetic but on integers, and is the same wherever it lies.

use super::slot::{self, MOMENTS, MONOTONIC, STRIDE, WALL};

const WALL_CLOCKS: u32 = bits(&slot::WALL_CLOCKS);
const MONOTONIC_CLOCKS: u32 = bits(&slot::MONOTONIC_CLOCKS);

const fn bits(clocks: &[i32]) -> u32 {
    let (mut set, mut index) = (0, 0);
    while index < clocks.len() {
        set |= 1 << clocks[index];
        index += 1;
    }
    set
}

// Five numbers, then what is copied into the target: the two slots, the byte that says which is in use, the code.
// The first original function follows behind the end.
std::arch::global_asm!(
    ".pushsection .rodata.grudge_clock, \"a\", @progbits",
    ".balign 64",
    ".globl grudge_clock_hook",
    ".hidden grudge_clock_hook",
    "grudge_clock_hook:",
    ".long .Lclock_end - .Lclock_slots",
    ".long .Lclock_selector - .Lclock_slots",
    ".long .Lclock_gettime - .Lclock_slots",
    ".long .Lclock_gettimeofday - .Lclock_slots",
    ".long .Lclock_time - .Lclock_slots",
    ".balign 64",
    ".Lclock_slots:",
    ".skip 2 * {STRIDE}",
    ".Lclock_selector:",
    ".byte 0",
    ".balign 16, 0xcc",
    // int clock_gettime(clockid_t edi, struct timespec *rsi)
    ".Lclock_gettime:",
    "push rdi",
    "push rsi",
    "sub rsp, 8",
    "call .Lclock_end",
    "mov rsi, [rsp + 8]",
    "mov edi, [rsp + 16]",
    "test eax, eax",
    "jnz 9f",
    "cmp edi, 11",
    "ja 9f",
    // r8: where the path of its group is in a slot
    "mov r8d, {WALL}",
    "mov ecx, {WALL_CLOCKS}",
    "bt ecx, edi",
    "jc 2f",
    "mov r8d, {MONOTONIC}",
    "mov ecx, {MONOTONIC_CLOCKS}",
    "bt ecx, edi",
    "jnc 9f",
    // r11: the true time in nanoseconds
    "2:",
    "imul r11, [rsi], 1000000000",
    "add r11, [rsi + 8]",
    // r9: the slot in use; rcx: the time since its moment
    "movzx r9d, byte ptr [rip + .Lclock_selector]",
    "imul r9d, r9d, {STRIDE}",
    "lea rcx, [rip + .Lclock_slots]",
    "add r9, rcx",
    "mov rcx, r11",
    "sub rcx, [r9 + rdi * 8 + {MOMENTS}]",
    // rax: the deviation, by the one slope or, before the moment, by the other
    "mov rax, [r9 + r8 + 16]",
    "cmovs rax, [r9 + r8]",
    "imul rcx",
    "shrd rax, rdx, 32",
    "add rax, [r9 + r8 + 8]",
    // which strobes from the moment on
    "test rcx, rcx",
    "js 3f",
    "mov rsi, [r9 + r8 + 32]",
    "test rsi, rsi",
    "jz 3f",
    "xchg rax, rcx",
    "xor edx, edx",
    "div rsi",
    "test al, 1",
    "mov rax, rcx",
    "jnz 3f",
    "add rax, [r9 + r8 + 24]",
    "3:",
    "test rax, rax",
    "jz 9f",
    "add rax, r11",
    "xor edx, edx",
    "mov ecx, 1000000000",
    "div rcx",
    "mov rsi, [rsp + 8]",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor eax, eax",
    "9:",
    "add rsp, 24",
    "ret",
    ".balign 16, 0xcc",
    // int gettimeofday(struct timeval *rdi, struct timezone *rsi): the zone, if it is asked for, by the system call
    ".Lclock_gettimeofday:",
    "test rsi, rsi",
    "jz 2f",
    "push rdi",
    "xor edi, edi",
    "mov eax, {SYS_GETTIMEOFDAY}",
    "syscall",
    "pop rdi",
    "test eax, eax",
    "jnz 4f",
    "2:",
    "test rdi, rdi",
    "jz 3f",
    "push rdi",
    "sub rsp, 16",
    "mov rsi, rsp",
    "xor edi, edi",
    "call .Lclock_gettime",
    "mov rdi, [rsp + 16]",
    "mov rcx, [rsp]",
    "mov rax, [rsp + 8]",
    "add rsp, 24",
    "mov [rdi], rcx",
    "xor edx, edx",
    "mov ecx, 1000",
    "div rcx",
    "mov [rdi + 8], rax",
    "3:",
    "xor eax, eax",
    "4:",
    "ret",
    ".balign 16, 0xcc",
    // time_t time(time_t *rdi)
    ".Lclock_time:",
    "push rdi",
    "sub rsp, 16",
    "mov rsi, rsp",
    "mov edi, {CLOCK_REALTIME_COARSE}",
    "call .Lclock_gettime",
    "mov rax, [rsp]",
    "mov rdi, [rsp + 16]",
    "add rsp, 24",
    "test rdi, rdi",
    "jz 2f",
    "mov [rdi], rax",
    "2:",
    "ret",
    ".balign 16, 0xcc",
    ".Lclock_end:",
    ".popsection",
    STRIDE = const STRIDE,
    WALL = const WALL,
    MONOTONIC = const MONOTONIC,
    MOMENTS = const MOMENTS,
    WALL_CLOCKS = const WALL_CLOCKS,
    MONOTONIC_CLOCKS = const MONOTONIC_CLOCKS,
    SYS_GETTIMEOFDAY = const nix::libc::SYS_gettimeofday,
    CLOCK_REALTIME_COARSE = const nix::libc::CLOCK_REALTIME_COARSE,
);

/// The address of the slots is a multiple of this: a slot begins a line of the cache.
pub(super) const ALIGNMENT: usize = 64;

/// A hook without the function that it calls, and where in it what is.
pub(super) struct Template {
    pub bytes: &'static [u8],
    pub selector: usize,
    pub clock_gettime: usize,
    pub gettimeofday: usize,
    pub time: usize,
}

pub(super) fn template() -> Template {
    unsafe extern "C" {
        #[link_name = "grudge_clock_hook"]
        static HEAD: [u32; 5];
    }
    // SAFETY: the assembly above lays five numbers out there, and as many bytes as the first says from the next
    // multiple of the alignment on; nothing writes to them.
    unsafe {
        let head = &raw const HEAD;
        let [length, selector, clock_gettime, gettimeofday, time] = (*head).map(|number| number as usize);
        let bytes = std::slice::from_raw_parts(head.cast::<u8>().add(ALIGNMENT), length);
        Template { bytes, selector, clock_gettime, gettimeofday, time }
    }
}

/// `clock_gettime` as a system call: what the hook calls where the original's first instructions cannot be moved.
pub(super) fn system_call() -> Vec<u8> {
    let number = u32::try_from(nix::libc::SYS_clock_gettime).expect("system calls have small numbers");
    let mut bytes = vec![0xb8];
    bytes.extend(number.to_le_bytes());
    bytes.extend([0x0f, 0x05, 0xc3]);
    bytes
}

/// A jump from one place to another, within two gigabytes.
pub(super) fn jump(from: usize, to: usize) -> [u8; 5] {
    let distance = i32::try_from(to.cast_signed() - (from + 5).cast_signed()).expect("both lie in one small mapping");
    let [a, b, c, d] = distance.to_le_bytes();
    [0xe9, a, b, c, d]
}

#[cfg(test)]
mod tests;
