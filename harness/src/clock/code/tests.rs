//! The machine code, run in this process on a function that stands for the clock, against the model.

use std::cell::Cell;
use std::ffi::c_void;

use nix::libc::{c_int, time_t, timespec, timeval};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::course::{Course, Dial};
use super::super::slot::{Path, SIZE, Slot, Times};
use super::*;

thread_local! {
    /// What the original says, in nanoseconds.
    static TRUE_TIME: Cell<i64> = const { Cell::new(0) };
}

extern "C" fn original(clock: c_int, time: *mut timespec) -> c_int {
    if clock == 99 {
        return -22;
    }
    let now = TRUE_TIME.get();
    // SAFETY: the tests hand in a timespec of theirs, as the hook does.
    unsafe { time.write(timespec { tv_sec: now.div_euclid(1_000_000_000), tv_nsec: now.rem_euclid(1_000_000_000) }) };
    0
}

/// The hook in a mapping of its own.
struct Bench {
    code: std::ptr::NonNull<c_void>,
    template: Template,
}

impl Bench {
    fn new() -> Bench {
        let template = template();
        let mut bytes = template.bytes.to_vec();
        // mov rax, original; jmp rax
        bytes.extend([0x48, 0xb8]);
        bytes.extend((original as *const () as u64).to_le_bytes());
        bytes.extend([0xff, 0xe0]);
        let length = bytes.len().try_into().expect("some bytes");
        // SAFETY: a new mapping, filled before anything runs in it.
        let code = unsafe {
            let code = mmap_anonymous(
                None,
                length,
                ProtFlags::PROT_READ | ProtFlags::PROT_WRITE | ProtFlags::PROT_EXEC,
                MapFlags::MAP_PRIVATE,
            );
            let code = code.expect("a page for code");
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), code.as_ptr().cast(), bytes.len());
            code
        };
        Bench { code, template }
    }

    fn at(&self, offset: usize) -> *mut u8 {
        // SAFETY: the template's offsets lie inside.
        unsafe { self.code.as_ptr().cast::<u8>().add(offset) }
    }

    fn put(&self, slot: usize, parameters: &Slot) {
        let bytes = parameters.encode();
        // SAFETY: both slots lie inside, and only this thread reads them.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.at(slot * STRIDE), SIZE);
            *self.at(self.template.selector) = u8::try_from(slot).expect("one or nought");
        }
    }

    fn clock_gettime(&self, clock: c_int) -> (c_int, i64) {
        let mut time = timespec { tv_sec: 7, tv_nsec: 7 };
        // SAFETY: the code is a function of this type.
        let failed = unsafe {
            let call: extern "C" fn(c_int, *mut timespec) -> c_int =
                std::mem::transmute(self.at(self.template.clock_gettime));
            call(clock, &raw mut time)
        };
        assert!((0..1_000_000_000).contains(&time.tv_nsec), "{time:?}");
        (failed, time.tv_sec * 1_000_000_000 + time.tv_nsec)
    }

    fn gettimeofday(&self) -> i64 {
        let mut time = timeval { tv_sec: 7, tv_usec: 7 };
        // SAFETY: as above.
        unsafe {
            let call: extern "C" fn(*mut timeval, *mut c_void) -> c_int =
                std::mem::transmute(self.at(self.template.gettimeofday));
            assert_eq!(call(std::ptr::null_mut(), std::ptr::null_mut()), 0, "nothing was asked for");
            assert_eq!(call(&raw mut time, std::ptr::null_mut()), 0);
            let (mut again, mut zone) = (timeval { tv_sec: 7, tv_usec: 7 }, [0x7777_7777_u32; 2]);
            assert_eq!(call(&raw mut again, (&raw mut zone).cast()), 0);
            assert_ne!(zone, [0x7777_7777; 2], "a zone that is asked for is told");
            assert_eq!((again.tv_sec, again.tv_usec), (time.tv_sec, time.tv_usec));
        }
        time.tv_sec * 1_000_000 + time.tv_usec
    }

    fn time(&self) -> i64 {
        let mut time: time_t = 7;
        // SAFETY: as above.
        unsafe {
            let call: extern "C" fn(*mut time_t) -> time_t = std::mem::transmute(self.at(self.template.time));
            assert_eq!(call(&raw mut time), call(std::ptr::null_mut()));
        }
        time
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // SAFETY: nothing runs there any more.
        unsafe { munmap(self.code, self.template.bytes.len()) }.expect("it was mapped");
    }
}

const WALL: [c_int; 4] = [0, 5, 8, 11];
const MONOTONIC: [c_int; 5] = [1, 4, 6, 7, 9];
const SECOND: i64 = 1_000_000_000;
/// In November 2026.
const NOW: i64 = 1_795_000_000 * SECOND;

#[test]
fn each_clock_follows_its_group() {
    let bench = Bench::new();
    let moments = Times::of_each(i64::from);
    let dial = Dial { wall: Course::ahead(3_600 * SECOND), monotonic: Course::drift(50_000) };
    bench.put(1, &Slot::turned(&dial, moments));
    TRUE_TIME.set(NOW);
    for clock in WALL {
        assert_eq!(bench.clock_gettime(clock), (0, NOW + 3_600 * SECOND), "clock {clock}");
    }
    for clock in MONOTONIC {
        let drifted = NOW + Course::drift(50_000).deviation(NOW - i64::from(clock));
        assert_eq!(bench.clock_gettime(clock), (0, drifted), "clock {clock}");
    }
    for clock in [2, 3, 10, 12, 31, -6] {
        assert_eq!(bench.clock_gettime(clock), (0, NOW), "clock {clock} counts something else");
    }
    assert_eq!(bench.clock_gettime(99), (-22, 7 * SECOND + 7), "an error is handed on");
    assert_eq!(bench.gettimeofday(), (NOW + 3_600 * SECOND) / 1_000);
    assert_eq!(bench.time(), NOW / SECOND + 3_600);
}

#[test]
fn a_new_hook_tells_the_truth() {
    let bench = Bench::new();
    TRUE_TIME.set(NOW + 999_999_999);
    for clock in WALL.into_iter().chain(MONOTONIC) {
        assert_eq!(bench.clock_gettime(clock), (0, NOW + 999_999_999), "clock {clock}");
    }
}

#[test]
fn a_table_of_courses() {
    let bench = Bench::new();
    let at = |course: Course, since: i64| {
        bench.put(0, &Slot::turned(&Dial { wall: course, ..Dial::RIGHT }, Times::of_each(|_| NOW)));
        TRUE_TIME.set(NOW + since);
        bench.clock_gettime(0).1 - NOW - since
    };
    let strobe = Course::strobe(200_000_000, 10_000_000);
    for (course, since, deviation) in [
        (Course::ahead(SECOND), -1, SECOND),
        (Course::ahead(SECOND), 0, SECOND),
        (Course::ahead(-SECOND), 0, -SECOND),
        (Course::ahead(-1), 0, -1),
        (Course::drift(50_000), -60 * SECOND, 0),
        (Course::drift(50_000), 60 * SECOND, 2_999_999_988),
        (Course::drift(-50_000), 60 * SECOND, -3_000_000_003),
        (strobe, -1, 0),
        (strobe, 0, 200_000_000),
        (strobe, 9_999_999, 200_000_000),
        (strobe, 10_000_000, 0),
        (strobe, 20_000_000, 200_000_000),
    ] {
        assert_eq!(at(course, since), deviation, "{course:?} after {since} ns");
    }
}

#[test]
fn the_code_agrees_with_the_model() {
    let bench = Bench::new();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    for case in 0..200_000_u64 {
        let day = 86_400 * SECOND;
        let mut course = || Course {
            ahead: rng.random_range(-day..day),
            slope: rng.random_range(-(1 << 31)..(1 << 31)),
            strobe: rng.random_range(-day..day),
            span: if rng.random() { 0 } else { rng.random_range(1..60_000_000_000) },
        };
        let mut path = || Path { approach: course().slope, course: course() };
        let (wall, monotonic) = (path(), path());
        let moments = Times::of_each(|_| NOW + rng.random_range(-day..day));
        let slot = Slot { moments, wall, monotonic };
        bench.put((case % 2) as usize, &slot);
        let now = NOW + rng.random_range(-2 * day..2 * day);
        TRUE_TIME.set(now);
        for (clocks, path) in [(&WALL[..], wall), (&MONOTONIC[..], monotonic)] {
            let clock = clocks[rng.random_range(0..clocks.len())];
            let since = now - moments.on(clock);
            assert_eq!(
                bench.clock_gettime(clock).1,
                now + path.deviation(since),
                "case {case}, clock {clock}: {slot:?}"
            );
        }
    }
}
