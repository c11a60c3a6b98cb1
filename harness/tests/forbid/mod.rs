//! System calls that fail, as on a kernel that does not know them or keeps them to itself.

use std::io;

use nix::libc;

/// Where a filter finds the number of the call, and its third argument.
const NUMBER: u32 = 0;
const THIRD: u32 = 32;

/// Makes a system call fail with that error from here on, in this thread and in whatever it starts; only with that
/// third argument, if there is one. Makes system calls only, so it may stand between fork and exec.
pub fn forbid(call: libc::c_long, third: Option<u32>, error: i32) -> io::Result<()> {
    let rule = |code: u32, jt: u8, jf: u8, k: u32| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |at: u32| rule(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let unless = |value: u32, skip: u8| rule(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let answer = |what: u32| rule(libc::BPF_RET | libc::BPF_K, 0, 0, what);
    let mut rules = [
        load(NUMBER),
        unless(call as u32, 3),
        load(THIRD),
        third.map_or(rule(libc::BPF_JMP | libc::BPF_JA, 0, 0, 0), |third| unless(third, 1)),
        answer(libc::SECCOMP_RET_ERRNO | error as u32),
        answer(libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: rules.len() as u16, filter: rules.as_mut_ptr() };
    // SAFETY: plain system calls; the program and its rules outlive them.
    let done = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &program) == 0
    };
    if done { Ok(()) } else { Err(io::Error::last_os_error()) }
}
