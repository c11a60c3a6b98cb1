//! Clocks of processes: turned, read through the processes' own code, and right again.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Instant;

use procfs::process::{ProcState, Process as Entry};

use super::{ClockChange, ClockRead, Clocks, Evidence, FaultError, Hand, InForce, Receipt, processes};
use crate::clock::{Answer, Clock, Course, Dial, Look, Order, Reading, Request, Seen, Since, ask};
use crate::cluster::Inner;
use crate::cluster::replica::Replica;

/// What a reading may be off, in nanoseconds: the rounding, and how exactly two clocks are compared.
const TOLERANCE: i64 = 10_000;
/// By how much a drifting clock should be wrong before it is read, in nanoseconds.
const PLAIN: i64 = 10 * TOLERANCE;
/// The clocks that are only set at every tick have passed a moment that is so long ago, in nanoseconds.
const TICKS: i64 = 20_000_000;
/// How long that is waited for at most, and how long a strobing clock is watched at most, in nanoseconds.
const LONGEST: i64 = 1_000_000_000;
/// How many of its spans a strobing clock is watched for.
const SPANS: i64 = 8;

/// Clocks that go wrong together.
#[derive(Clone, Debug)]
pub(crate) struct Turned {
    pub nodes: Vec<usize>,
    pub dial: Dial,
    /// When the courses of each node have begun. Monotonic clocks of a node that was started again are wrong only since
    /// then.
    since: BTreeMap<usize, Since>,
}

impl Turned {
    /// What is asked for, not yet done.
    pub(super) fn new(nodes: Vec<usize>, change: ClockChange, of: Clocks) -> Turned {
        Turned { nodes, dial: dial(change, of), since: BTreeMap::new() }
    }
}

/// What the clocks should do.
fn dial(change: ClockChange, of: Clocks) -> Dial {
    let nanoseconds = |by: i128| i64::try_from(by).expect("at most a day, which `Fault::check` sees to");
    let (course, usual) = match change {
        ClockChange::Jump(by) => (Course::ahead(nanoseconds(by.as_nanos())), Clocks::Wall),
        ClockChange::Drift(ppm) => (Course::drift(ppm), Clocks::Both),
        ClockChange::Strobe { by, every } => {
            let span = u64::try_from(every.as_nanos()).expect("at most a minute, which `Fault::check` sees to");
            (Course::strobe(nanoseconds(by.as_nanos()), span), Clocks::Wall)
        }
    };
    match if of == Clocks::Usual { usual } else { of } {
        Clocks::Wall => Dial { wall: course, ..Dial::RIGHT },
        Clocks::Monotonic => Dial { monotonic: course, ..Dial::RIGHT },
        Clocks::Usual | Clocks::Both => Dial { wall: course, monotonic: course },
    }
}

/// Turns the clocks of these nodes, all at one moment, and reads them.
pub(super) async fn turn(inner: &Inner, turned: &mut Turned, decided: Instant) -> Result<Receipt, FaultError> {
    let nodes = turned.nodes.clone();
    one_at_a_time(inner, &nodes).map_err(FaultError::Inapplicable)?;
    let fault = format!("clock of {}", inner.called(&nodes));
    match turn_and_read(inner, turned, &nodes, None, &fault).await {
        Ok(reads) if reads.is_empty() => Err(FaultError::no_receipt(&fault, "nobody lives any more")),
        Ok(reads) => Ok(Receipt::new(inner.names_of(&nodes), Evidence::Clocks(reads), decided)),
        Err(error) => {
            let pids = patients(inner, &nodes).into_iter().map(|patient| patient.pid).collect();
            let right = Request { pids, order: Order::Right, look: Look::default() };
            if let Err(again) = ask(&right).await {
                tracing::error!("clocks without a receipt could not be put right: {again}");
            }
            Err(error)
        }
    }
}

/// A clock that is wrong already is not made wrong again: nobody could say what it should show.
fn one_at_a_time(inner: &Inner, nodes: &[usize]) -> Result<(), String> {
    let mut turned = inner.in_force.values().filter_map(InForce::turned).flat_map(|turned| &turned.nodes);
    match turned.find(|node| nodes.contains(node)) {
        Some(node) => Err(format!("the clock of {} is wrong already", inner.replicas[*node].node.name)),
        None => Ok(()),
    }
}

async fn turn_and_read(
    inner: &Inner,
    turned: &mut Turned,
    nodes: &[usize],
    since: Option<i64>,
    fault: &str,
) -> Result<Vec<ClockRead>, FaultError> {
    let patients = patients(inner, nodes);
    let order = Order::Turn { dial: turned.dial, since };
    let answer = order_all(&patients, order, look(&turned.dial), fault).await?;
    turned.since.extend(nodes.iter().map(|node| (*node, answer.since)));
    judged(&patients, answer, &turned.dial, fault)
}

/// Turns the clocks of processes that were started again while their nodes' clocks are wrong.
pub(super) async fn renew(inner: &mut Inner, nodes: &[usize]) -> Result<(), FaultError> {
    let faults = inner.in_force.iter().filter_map(|(id, in_force)| Some((*id, in_force.turned()?.clone())));
    for (id, mut turned) in faults.collect::<Vec<_>>() {
        let again: Vec<usize> = turned.nodes.iter().copied().filter(|node| nodes.contains(node)).collect();
        if let Some(node) = again.first() {
            let fault = format!("clock of {} after a restart", inner.called(&again));
            let wall = turned.since[node].wall;
            turn_and_read(inner, &mut turned, &again, Some(wall), &fault).await?;
            inner.in_force.insert(id, InForce::Clock(turned));
        }
    }
    Ok(())
}

/// Checks that these clocks were wrong to the end, as they should be, puts them right, and reads them. A node that is
/// down has no clock.
pub(super) async fn right(inner: &Inner, turned: &Turned, decided: Instant) -> Result<Receipt, FaultError> {
    let nodes = &turned.nodes;
    let fault = format!("clock of {}", inner.called(nodes));
    let lasted = lasted(inner, turned, &fault).await;
    let patients = patients(inner, nodes);
    let healing = format!("end of {fault}");
    let answer = order_all(&patients, Order::Right, Look::default(), &healing).await?;
    let reads = judged(&patients, answer, &Dial::RIGHT, &healing)?;
    lasted?;
    let awake: Vec<usize> = nodes.iter().copied().filter(|node| inner.replicas[*node].ended().is_none()).collect();
    Ok(Receipt::new(inner.names_of(&awake), Evidence::Clocks(reads), decided))
}

/// Whether the clocks are still as wrong as they should be.
async fn lasted(inner: &Inner, turned: &Turned, fault: &str) -> Result<(), FaultError> {
    let look = Look { after: 0, ..look(&turned.dial) };
    let mut begun: BTreeMap<Since, Vec<usize>> = BTreeMap::new();
    for (node, since) in &turned.since {
        begun.entry(*since).or_default().push(*node);
    }
    for (since, nodes) in begun {
        let patients = patients(inner, &nodes);
        let answer = order_all(&patients, Order::Read { since }, look, fault).await?;
        judged(&patients, answer, &turned.dial, &format!("{fault}, at its end,"))?;
    }
    Ok(())
}

/// A process whose clocks are turned.
struct Patient {
    node: String,
    pid: i32,
}

/// The processes of the nodes that are not down.
fn patients(inner: &Inner, nodes: &[usize]) -> Vec<Patient> {
    let living = nodes.iter().map(|node| &inner.replicas[*node]).filter(|replica| replica.ended().is_none());
    living.flat_map(of_node).collect()
}

fn of_node(replica: &Replica) -> Vec<Patient> {
    let node = &replica.node.name;
    let members = processes::group(replica.pid());
    members.into_iter().flatten().map(|pid| Patient { node: node.clone(), pid }).collect()
}

async fn order_all(patients: &[Patient], order: Order, look: Look, fault: &str) -> Result<Answer, FaultError> {
    let pids = patients.iter().map(|patient| patient.pid).collect();
    ask(&Request { pids, order, look }).await.map_err(|cause| FaultError::failed(fault, cause))
}

/// How to read clocks that should go so.
fn look(dial: &Dial) -> Look {
    let courses = [dial.wall, dial.monotonic];
    let slope = courses.iter().map(|course| course.slope.unsigned_abs()).max().unwrap_or(0);
    let wait = |slope| (i128::from(PLAIN) << 32) / i128::from(slope);
    let plain = if slope == 0 { 0 } else { i64::try_from(wait(slope)).unwrap_or(LONGEST) };
    let during = watched(dial).map_or(0, |span| (span * SPANS).min(LONGEST));
    Look { after: plain.clamp(TICKS, LONGEST), during }
}

/// The span of a wall clock that strobes so fast that it can be watched.
fn watched(dial: &Dial) -> Option<i64> {
    i64::try_from(dial.wall.span).ok().filter(|span| *span > 0 && 2 * span <= LONGEST)
}

/// What was read of each process, if all of it is as it should be. One that has ended meanwhile is left out: that is a
/// crash, or another fault's doing.
fn judged(patients: &[Patient], answer: Answer, dial: &Dial, fault: &str) -> Result<Vec<ClockRead>, FaultError> {
    let mut reads = Vec::new();
    for (patient, seen) in patients.iter().zip(answer.seen) {
        match seen {
            Ok(seen) => reads.push(judge(patient, &seen, dial).map_err(|seen| no_receipt(fault, patient, &seen))?),
            Err(_) if has_ended(patient.pid) => {}
            Err(why) => return Err(no_receipt(fault, patient, &why)),
        }
    }
    Ok(reads)
}

fn no_receipt(fault: &str, patient: &Patient, seen: &str) -> FaultError {
    FaultError::no_receipt(fault, format!("{}: {seen}", patient.node))
}

fn has_ended(pid: i32) -> bool {
    let state = Entry::new(pid).and_then(|entry| entry.stat()).and_then(|stat| stat.state());
    state.map_or(true, |state| matches!(state, ProcState::Zombie | ProcState::Dead))
}

/// What one process's clocks show, if all of them show what they should.
fn judge(patient: &Patient, seen: &Seen, dial: &Dial) -> Result<ClockRead, String> {
    for reading in &seen.readings {
        let expected = expected(reading, dial);
        let (least, most) = reading.ahead;
        let slack = TOLERANCE + if reading.clock == Clock::MonotonicRaw { expected.end().abs() / 1_000 } else { 0 };
        if most + slack < *expected.start() || least - slack > *expected.end() {
            let ahead = if expected.contains(&least) { most } else { least };
            return Err(format!(
                "{:?} is ahead by {} and should be by {}",
                reading.clock,
                milliseconds(ahead),
                milliseconds(*expected.end())
            ));
        }
    }
    let wall = hand(seen, Clock::Realtime, dial)?;
    let monotonic = hand(seen, Clock::Monotonic, dial)?;
    if watched(dial).is_some() && seen.flips == 0 {
        return Err("the wall clock does not strobe".to_owned());
    }
    Ok(ClockRead { node: patient.node.clone(), pid: patient.pid, wall, monotonic, flips: seen.flips })
}

/// By how much a clock may be ahead when it was looked at.
fn expected(reading: &Reading, dial: &Dial) -> RangeInclusive<i64> {
    let course = course(reading.clock, dial);
    let (first, last) = (course.deviation(reading.since.0), course.deviation(reading.since.1));
    first.min(last)..=first.max(last)
}

fn course(clock: Clock, dial: &Dial) -> &Course {
    if clock.is_wall() { &dial.wall } else { &dial.monotonic }
}

/// What a clock shows, if that can be told from the truth where it should be wrong at the moment.
fn hand(seen: &Seen, clock: Clock, dial: &Dial) -> Result<Hand, String> {
    let reading = seen.readings.iter().find(|reading| reading.clock == clock);
    let reading = reading.ok_or_else(|| format!("{clock:?} was not read"))?;
    let (least, most) = reading.ahead;
    let expected = expected(reading, dial);
    let course = course(clock, dial);
    if course.span == 0 && *course != Course::RIGHT && least <= 0 && most >= 0 {
        return Err(format!("{clock:?} cannot be told from the truth"));
    }
    let middle = |from: i64, to: i64| from + (to - from) / 2;
    Ok(Hand { ahead: middle(least, most), expected: middle(*expected.start(), *expected.end()) })
}

fn milliseconds(nanoseconds: i64) -> String {
    // Whole microseconds: so little behind is not "-0.000".
    format!("{:.3} ms", (nanoseconds / 1_000) as f64 / 1e3)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::SignedDuration;

    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn patient() -> Patient {
        Patient { node: "n1".to_owned(), pid: 7 }
    }

    /// Every clock as it should be by a dial, so many nanoseconds after the moment.
    fn seen(dial: &Dial, since: i64) -> Seen {
        let reading = |clock| {
            let ahead = course(clock, dial).deviation(since);
            Reading { clock, since: (since, since + 1_000), ahead: (ahead - 1_000, ahead) }
        };
        Seen { readings: Clock::ALL.into_iter().map(reading).collect(), flips: 8 }
    }

    fn changes() -> [ClockChange; 4] {
        let strobe = ClockChange::Strobe { by: SignedDuration::from_millis(200), every: Duration::from_millis(10) };
        let hour = SignedDuration::from_hours(1);
        [ClockChange::Jump(hour), ClockChange::Jump(-hour), ClockChange::Drift(-50_000), strobe]
    }

    #[test]
    fn clocks_that_go_as_asked_are_proven_and_right_ones_are_not() {
        for change in changes() {
            let dial = dial(change, Clocks::Usual);
            judge(&patient(), &seen(&dial, SECOND), &dial).unwrap_or_else(|error| panic!("{change:?}: {error}"));
            let right = Seen { flips: 0, ..seen(&Dial::RIGHT, SECOND) };
            assert!(judge(&patient(), &right, &dial).is_err(), "{change:?}: nothing happened");
            assert!(
                judge(&patient(), &seen(&dial, SECOND), &Dial::RIGHT).is_err() || dial.wall.span != 0,
                "{change:?}"
            );
        }
    }

    #[test]
    fn the_usual_clocks_of_a_change() {
        let [jump, _, drift, strobe] = changes().map(|change| dial(change, Clocks::Usual));
        assert_eq!((jump.wall, jump.monotonic), (Course::ahead(3_600 * SECOND), Course::RIGHT));
        assert_eq!((drift.wall, drift.monotonic), (Course::drift(-50_000), Course::drift(-50_000)));
        assert_eq!((strobe.wall, strobe.monotonic), (Course::strobe(SECOND / 5, 10_000_000), Course::RIGHT));
        let monotonic = dial(ClockChange::Drift(9), Clocks::Monotonic);
        assert_eq!((monotonic.wall, monotonic.monotonic), (Course::RIGHT, Course::drift(9)));
    }

    #[test]
    fn one_clock_of_many_that_is_wrong_otherwise_is_named() {
        let dial = dial(ClockChange::Jump(SignedDuration::from_secs(1)), Clocks::Usual);
        let mut seen = seen(&dial, SECOND);
        let tai = seen.readings.iter_mut().find(|reading| reading.clock == Clock::Tai).expect("it is read");
        tai.ahead = (0, 1_000);
        let error = judge(&patient(), &seen, &dial).expect_err("it did not jump");
        assert_eq!(error, "Tai is ahead by 0.000 ms and should be by 1000.000 ms");
    }
}
