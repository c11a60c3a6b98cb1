//! Clock faults on clusters of stand-ins: their receipts, and those that are refused.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grudge::clock::{Clock, Dial, Look, Order, Request, Seen, Since, ask};
use grudge::fault::{ClockChange, ClockRead, Clocks, Evidence, Fault, FaultError, Receipt, Targets};
use jiff::SignedDuration;
use libtest_mimic::Trial;

use crate::fixture::{Fixture, nodes, trial};
use crate::standin::Manner;

const HOUR_AHEAD: ClockChange = ClockChange::Jump(SignedDuration::from_hours(1));
const STROBE: ClockChange =
    ClockChange::Strobe { by: SignedDuration::from_millis(200), every: Duration::from_millis(10) };

pub fn trials() -> Vec<Trial> {
    vec![
        trial("clock_faults_have_receipts_at_both_ends", receipts),
        trial("a_monotonic_clock_that_was_ahead_has_been_caught_up_with_at_the_end", caught_up),
        trial("a_node_that_is_restarted_has_its_wrong_clock_again", restarted),
        trial("a_node_that_is_restarted_drifts_on_with_a_monotonic_clock_of_its_own", restarted_while_drifting),
        trial("a_node_that_is_down_at_the_end_has_no_clock", down_at_the_end),
        trial("a_paused_node_gets_its_right_clock_back", paused),
        trial("a_thread_stays_held_while_a_clock_goes_wrong_and_right_again", thread_held),
        trial("a_clock_that_is_wrong_already_is_left_alone", wrong_already),
        trial("a_monotonic_clock_is_not_asked_to_go_backwards", not_backwards),
        trial("a_hook_that_somebody_takes_out_at_once_has_no_receipt", taken_out_at_once),
        trial("a_hook_that_somebody_took_out_has_no_receipt_at_the_end", taken_out),
        trial("clocks_that_somebody_set_right_have_no_receipt_at_the_end", set_right),
    ]
}

async fn three() -> Fixture {
    Fixture::up(Manner::Serve, 3).await
}

fn clock(targets: Targets, change: ClockChange) -> Fault {
    Fault::Clock { targets, change, of: Clocks::Usual }
}

fn reads(receipt: &Receipt) -> &[ClockRead] {
    match &receipt.evidence {
        Evidence::Clocks(reads) => reads,
        other => panic!("a clock is proven by what it shows, not by {other:?}"),
    }
}

/// How far they are ahead, wall clock and monotonic clock, in whole milliseconds.
fn ahead(receipt: &Receipt) -> Vec<(i64, i64)> {
    let rounded = |nanoseconds: i64| (nanoseconds + 500_000).div_euclid(1_000_000);
    reads(receipt).iter().map(|read| (rounded(read.wall.ahead), rounded(read.monotonic.ahead))).collect()
}

async fn receipts() {
    let mut fixture = three().await;
    for change in [HOUR_AHEAD, ClockChange::Jump(SignedDuration::from_hours(-1))] {
        let active = fixture.start(clock(Targets::All, change)).await;
        let ClockChange::Jump(by) = change else { panic!("a jump") };
        let by = i64::try_from(by.as_millis()).expect("an hour");
        assert_eq!(ahead(&active.receipt), [(by, 0); 3], "{:?}", active.receipt);
        assert_eq!(ahead(&fixture.stop(active).await), [(0, 0); 3]);
    }
    let active = fixture.start(clock(Targets::One, ClockChange::Drift(-50_000))).await;
    let [read] = reads(&active.receipt) else { panic!("{:?}", active.receipt) };
    assert!(read.wall.ahead < -500_000 && read.monotonic.ahead < -500_000, "5 % of 20 ms at least: {read:?}");
    assert_eq!(ahead(&fixture.stop(active).await), [(0, 0)]);
    let active = fixture.start(clock(Targets::Majority, STROBE)).await;
    assert!(reads(&active.receipt).iter().all(|read| read.flips > 0), "{:?}", active.receipt);
    assert_eq!(ahead(&fixture.stop(active).await), [(0, 0); 2]);
    assert_eq!(fixture.cluster.crashes(), []);
}

async fn caught_up() {
    let mut fixture = three().await;
    let leap = Fault::Clock {
        targets: Targets::All,
        change: ClockChange::Jump(SignedDuration::from_millis(300)),
        of: Clocks::Monotonic,
    };
    let active = fixture.start(leap).await;
    assert_eq!(ahead(&active.receipt), [(0, 300); 3]);
    let receipt = fixture.stop(active).await;
    assert_eq!(ahead(&receipt), [(0, 0); 3]);
    assert!(receipt.took >= Duration::from_millis(600), "at half speed that takes twice as long: {receipt:?}");
}

async fn restarted() {
    let mut fixture = three().await;
    let turned = fixture.start(clock(Targets::All, HOUR_AHEAD)).await;
    let killed = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    let Evidence::Restarted(new) = fixture.stop(killed).await.evidence else { panic!("n1 was restarted") };
    let look =
        Request { pids: vec![new[0].pid], order: Order::Read { since: Since::default() }, look: Look::default() };
    let seen = ask(&look).await.expect("clocks can be read").seen.remove(0).expect("n1 lives");
    let wall = seen.readings[0].ahead;
    assert!(wall.0 > 3_599_000_000_000 && wall.1 < 3_601_000_000_000, "{seen:?}");
    assert_eq!(ahead(&fixture.stop(turned).await), [(0, 0); 3]);
}

async fn restarted_while_drifting() {
    let mut fixture = three().await;
    let slow = fixture.start(clock(Targets::All, ClockChange::Drift(-50_000))).await;
    let killed = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    let Evidence::Restarted(new) = fixture.stop(killed).await.evidence else { panic!("n1 was restarted") };
    let pids = vec![new[0].pid, reads(&slow.receipt)[1].pid];
    let look = Request { pids, order: Order::Read { since: Since::default() }, look: Look::default() };
    let seen = ask(&look).await.expect("clocks can be read").seen;
    let lead = |seen: Result<Seen, String>| {
        let readings = seen.expect("both live").readings;
        let ahead = |clock| readings.iter().find(|reading| reading.clock == clock).expect("all are read").ahead.0;
        ahead(Clock::Monotonic) - ahead(Clock::Realtime)
    };
    let leads: Vec<i64> = seen.into_iter().map(lead).collect();
    assert!(leads[0] > 500_000, "n1's monotonic clock was right for 20 ms when its wall clock was slow: {leads:?}");
    assert!(leads[1].abs() < 500_000, "n2's clocks have become slow together: {leads:?}");
    // Until the end the clocks of each node go as they should, or there is no receipt.
    assert_eq!(ahead(&fixture.stop(slow).await), [(0, 0); 3]);
}

async fn down_at_the_end() {
    let mut fixture = three().await;
    let turned = fixture.start(clock(nodes(&["n1", "n2"]), HOUR_AHEAD)).await;
    let killed = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    let receipt = fixture.stop(turned).await;
    assert_eq!((receipt.nodes.as_slice(), ahead(&receipt)), (["n2".to_owned()].as_slice(), vec![(0, 0)]));
    fixture.stop(killed).await;
}

async fn paused() {
    let mut fixture = three().await;
    let turned = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    let paused = fixture.start(Fault::Pause(nodes(&["n2"]))).await;
    assert_eq!(ahead(&fixture.stop(turned).await), [(0, 0)]);
    // The pause has lasted until now, or it would have no receipt.
    fixture.stop(paused).await;
}

async fn thread_held() {
    let mut fixture = three().await;
    let thread = fixture.start(Fault::Thread(nodes(&["n2"]))).await;
    let turned = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    assert_eq!(ahead(&turned.receipt), [(3_600_000, 0)]);
    assert_eq!(ahead(&fixture.stop(turned).await), [(0, 0)]);
    let turned = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    let receipt = fixture.stop(thread).await;
    assert!(matches!(&receipt.evidence, Evidence::Running(processes) if processes.len() == 1), "{receipt:?}");
    assert_eq!(ahead(&fixture.stop(turned).await), [(0, 0)]);
    assert_eq!(fixture.cluster.crashes(), []);
}

async fn wrong_already() {
    let mut fixture = three().await;
    let first = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    let error = fixture.try_start(clock(Targets::All, STROBE)).await.expect_err("n2's clock is wrong");
    assert!(matches!(&error, FaultError::Inapplicable(why) if why.contains("n2")), "{error}");
    fixture.stop(first).await;
    let second = fixture.start(clock(Targets::All, STROBE)).await;
    fixture.stop(second).await;
}

async fn not_backwards() {
    let mut fixture = three().await;
    for change in [ClockChange::Jump(SignedDuration::from_secs(-1)), HOUR_AHEAD, STROBE] {
        for of in [Clocks::Monotonic, Clocks::Both] {
            let error = fixture.try_start(Fault::Clock { targets: Targets::All, change, of }).await;
            assert!(matches!(error, Err(FaultError::Inapplicable(_))), "{change:?} of {of:?}: {error:?}");
        }
    }
}

/// The vDSO of a process: where it is.
fn vdso(pid: i32) -> (u64, usize) {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("it lives");
    let line = maps.lines().find(|line| line.ends_with("[vdso]")).expect("every process has one");
    let (begin, end) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
    let number = |text| u64::from_str_radix(text, 16).expect("an address");
    (number(begin), usize::try_from(number(end) - number(begin)).expect("a few pages"))
}

/// Makes a process's vDSO what the kernel made it.
struct Saboteur {
    memory: fs::File,
    at: u64,
    pristine: Vec<u8>,
}

impl Saboteur {
    fn of(pid: i32) -> Saboteur {
        let (own, length) = vdso(i32::try_from(std::process::id()).expect("process numbers are small"));
        let mut pristine = vec![0; length];
        let myself = fs::File::open("/proc/self/mem").expect("one's own memory can be read");
        myself.read_exact_at(&mut pristine, own).expect("one's own memory can be read");
        let memory = OpenOptions::new().write(true).open(format!("/proc/{pid}/mem")).expect("it is ours");
        Saboteur { memory, at: vdso(pid).0, pristine }
    }

    fn strike(&self) {
        self.memory.write_all_at(&self.pristine, self.at).expect("it is ours");
    }
}

async fn taken_out_at_once() {
    let mut fixture = three().await;
    // Its number is told by the receipt of a fault that went well.
    let first = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    let saboteur = Saboteur::of(reads(&first.receipt)[0].pid);
    fixture.stop(first).await;
    let done = Arc::new(AtomicBool::new(false));
    let at_work = {
        let done = Arc::clone(&done);
        std::thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                saboteur.strike();
            }
        })
    };
    let error = fixture.try_start(clock(nodes(&["n2"]), HOUR_AHEAD)).await.expect_err("nothing stays turned");
    done.store(true, Ordering::SeqCst);
    at_work.join().expect("it only writes");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
}

async fn taken_out() {
    let mut fixture = three().await;
    let active = fixture.start(clock(nodes(&["n2"]), HOUR_AHEAD)).await;
    Saboteur::of(reads(&active.receipt)[0].pid).strike();
    let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(matches!(&error, FaultError::NoReceipt { fault, .. } if fault.contains("at its end")), "{error}");
    let text = error.to_string();
    assert!(text.contains("n2: Realtime is ahead by") && text.contains("should be by 3600000.000 ms"), "{text}");
}

async fn set_right() {
    let mut fixture = three().await;
    for change in [HOUR_AHEAD, ClockChange::Drift(-50_000), STROBE] {
        let active = fixture.start(clock(nodes(&["n2"]), change)).await;
        let pids = reads(&active.receipt).iter().map(|read| read.pid).collect();
        let behind_the_back = Order::Turn { dial: Dial::RIGHT, since: None };
        let look = Look { after: 20_000_000, during: 0 };
        ask(&Request { pids, order: behind_the_back, look }).await.expect("anybody may");
        let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
        assert!(matches!(&error, FaultError::NoReceipt { fault, .. } if fault.contains("at its end")), "{error}");
        // Nothing of it is left, so the next can begin.
    }
}
