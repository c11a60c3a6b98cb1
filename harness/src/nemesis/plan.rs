//! What the nemesis intends: a sequence of steps drawn from a seed, and from nothing else.
//!
//! Most steps begin in a calm: a healthy system is broken, sometimes twice, and healed. A fault at a point of the
//! protocol is drawn together with another that makes the protocol come there: a leader is hit, and whoever reaches
//! the point in the election or the recovery that follows is hit, too.

use std::collections::VecDeque;
use std::time::Duration;

use grudge_nodes::command::Protocol;
use grudge_nodes::point::Point;
use jiff::SignedDuration;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::choice::points;
use super::{Choice, Step, Trap, Trigger};
use crate::fault::{
    ClientTrouble, ClockChange, Clocks, DiskTrouble, Fault, FaultKind, PacketTrouble, Restarts, Shape, Targets, Workers,
};

/// The pause between two steps, in milliseconds: long enough for clients to see a healthy system again.
const GAP: std::ops::Range<u64> = 1_000..3_000;
/// How long a step's fault stays in force, in milliseconds: from about one election to several.
const HOLD: std::ops::Range<u64> = 2_000..5_000;
/// How long after the first fault of a step a second one begins, in milliseconds.
const DELAY: std::ops::Range<u64> = 200..2_000;
/// In this share of the steps a second fault of another kind comes on top of the first.
const DOUBLE: f64 = 0.3;
/// How long after the fault that should bring it a point is waited for, in milliseconds.
const LURK: std::ops::Range<u64> = 4_000..8_000;
/// In this share of the cases a node is hit when it comes to a point for the second time.
const SECOND_TIME: f64 = 0.2;
/// How far a clock jumps, in milliseconds.
const JUMP: std::ops::Range<i64> = 100..5_000;
/// How wrong a clock goes, in parts per million.
const DRIFT: std::ops::RangeInclusive<i64> = 1_000..=50_000;
/// By how much an fsync is slower, in milliseconds.
const SLOW: std::ops::Range<u64> = 10..500;
/// How many of a hundred packets something happens to.
const PERCENT: std::ops::Range<u8> = 1..30;
/// How often a storm restarts a process.
const STORM: std::ops::RangeInclusive<u8> = 2..=5;
/// How much of a processor a squeezed process gets, in hundredths.
const PROCESSOR: std::ops::Range<u8> = 1..30;
/// How much memory a squeezed process may still take, in MiB.
const HEADROOM: std::ops::Range<u32> = 1..16;
/// By how much a packet is held up at most, in milliseconds.
const HELD_UP: std::ops::Range<u64> = 5..200;

/// Whether a system can be asked who leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaders {
    /// It can.
    Known,
    /// Nobody knows how.
    Unknown,
}

/// An endless sequence of steps.
pub(crate) struct Plan {
    menu: Vec<Choice>,
    leaders: Leaders,
    points: Vec<Point>,
    /// What is left of this round: each comes up once before one comes up again.
    round: Vec<Choice>,
    /// Steps that were drawn together with one that was answered.
    drawn: VecDeque<Step>,
    rng: ChaCha8Rng,
}

impl Plan {
    /// A plan over these faults against replicas of that protocol (none: they are not ours and know no points). The
    /// same seed and menu give the same steps.
    pub(crate) fn new(seed: u64, menu: &[Choice], protocol: Option<Protocol>, leaders: Leaders) -> Plan {
        let points = protocol.map(points).unwrap_or_default();
        let possible = |choice: &&Choice| !points.is_empty() || !matches!(choice, Choice::AtPoint(..));
        let menu = menu.iter().filter(possible).cloned().collect();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(super::PLAN_STREAM);
        Plan { menu, leaders, points, round: Vec::new(), drawn: VecDeque::new(), rng }
    }

    /// Whether there is nothing to draw from.
    pub(crate) fn is_empty(&self) -> bool {
        self.menu.is_empty()
    }

    /// Draws the next steps that belong together.
    fn draw(&mut self) {
        let gap = self.milliseconds(GAP);
        if self.round.is_empty() {
            self.round.clone_from(&self.menu);
        }
        let choice = self.round.swap_remove(self.rng.random_range(0..self.round.len()));
        match choice {
            Choice::AtPoint(kind, point) => self.draw_at_point(gap, kind, point),
            Choice::Any(_) | Choice::On(..) | Choice::OnClients(_) | Choice::Only(_) => self.draw_in_calm(gap, &choice),
        }
    }

    fn draw_in_calm(&mut self, gap: Duration, choice: &Choice) {
        let first = self.fault(choice);
        let others = self.menu.iter().filter(|other| other.kind() != choice.kind());
        let others: Vec<Choice> = others.filter(|other| !matches!(other, Choice::AtPoint(..))).cloned().collect();
        let second = if !others.is_empty() && self.rng.random_bool(DOUBLE) {
            let other = &others[self.rng.random_range(0..others.len())];
            Some((self.milliseconds(DELAY), self.fault(other)))
        } else {
            None
        };
        let hold = self.milliseconds(HOLD);
        // Both faults of a step end together.
        let whole = second.as_ref().map_or(hold, |(delay, _)| *delay + hold);
        self.push(Trigger::Calm(gap), None, first, whole);
        if let Some((delay, second)) = second {
            self.push(Trigger::Previous(delay), None, second, hold);
        }
    }

    fn draw_at_point(&mut self, gap: Duration, kind: FaultKind, point: Option<Point>) {
        let mut kinds: Vec<FaultKind> = self.menu.iter().map(Choice::kind).filter(|kind| kind.hits_points()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        let provoking = kinds[self.rng.random_range(0..kinds.len())];
        let provoking = self.fault(&Choice::Any(provoking));
        let hold = self.milliseconds(HOLD);
        self.push(Trigger::Calm(gap), None, provoking, hold);
        let point = point.unwrap_or_else(|| self.points[self.rng.random_range(0..self.points.len())]);
        let nth = if self.rng.random_bool(SECOND_TIME) { 2 } else { 1 };
        let within = self.milliseconds(LURK);
        let fault = match kind {
            FaultKind::Partition => Fault::Partition(Shape::Here),
            FaultKind::Pause => Fault::Pause(Targets::Here),
            FaultKind::Power => Fault::Power(Targets::Here),
            _ => Fault::Kill(Targets::Here),
        };
        let hold = self.milliseconds(HOLD);
        self.push(Trigger::Point(Trap { point, node: None, nth }), Some(within), fault, hold);
    }

    fn push(&mut self, when: Trigger, within: Option<Duration>, fault: Fault, hold: Duration) {
        self.drawn.push_back(Step { when, within, fault, hold: Some(hold) });
    }

    fn milliseconds(&mut self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(self.rng.random_range(range))
    }

    fn fault(&mut self, choice: &Choice) -> Fault {
        match choice {
            Choice::Only(fault) => fault.clone(),
            Choice::Any(FaultKind::Partition)
            | Choice::On(FaultKind::Partition, _)
            | Choice::AtPoint(FaultKind::Partition, _) => {
                let shapes = [
                    (4, Shape::Leader),
                    (2, Shape::Halves),
                    (1, Shape::OneWay),
                    (1, Shape::LeaderMute),
                    (1, Shape::One),
                    (1, Shape::Minority),
                    (1, Shape::MajoritiesRing),
                    (1, Shape::Bridge),
                ];
                Fault::Partition(self.known(&shapes, Shape::needs_leader))
            }
            Choice::Any(FaultKind::Client) | Choice::AtPoint(FaultKind::Client, _) => {
                let targets = self.weighted(&[(2, Workers::Holder), (2, Workers::One), (1, Workers::All)]);
                self.client_fault(targets)
            }
            Choice::OnClients(targets) => self.client_fault(targets.clone()),
            Choice::On(kind, targets) => self.fault_on(*kind, targets.clone()),
            Choice::Any(kind) | Choice::AtPoint(kind, _) => {
                let targets = self.targets(*kind);
                self.fault_on(*kind, targets)
            }
        }
    }

    fn targets(&mut self, kind: FaultKind) -> Targets {
        if kind == FaultKind::Member {
            return self.known(&[(1, Targets::Leader), (1, Targets::One)], Targets::needs_leader);
        }
        let (minority, majority, all) = match kind {
            FaultKind::Kill | FaultKind::Power => (2, 2, 2),
            FaultKind::Packets => (2, 1, 4),
            _ => (2, 1, 1),
        };
        let targets = [
            (4, Targets::Leader),
            (2, Targets::One),
            (minority, Targets::Minority),
            (majority, Targets::Majority),
            (all, Targets::All),
        ];
        self.known(&targets, Targets::needs_leader)
    }

    fn fault_on(&mut self, kind: FaultKind, targets: Targets) -> Fault {
        match kind {
            FaultKind::Partition | FaultKind::Client => unreachable!("it has no nodes for targets"),
            FaultKind::Pause => Fault::Pause(targets),
            FaultKind::Kill => Fault::Kill(targets),
            FaultKind::Power => Fault::Power(targets),
            FaultKind::Thread => Fault::Thread(targets),
            FaultKind::Restart => Fault::Restart { targets, manner: self.restarts() },
            FaultKind::Reset => Fault::Reset(targets),
            FaultKind::Member => Fault::Member(targets),
            FaultKind::Cpu => Fault::Cpu { targets, percent: self.rng.random_range(PROCESSOR) },
            FaultKind::Memory => Fault::Memory { targets, headroom: self.rng.random_range(HEADROOM) },
            FaultKind::Clock => Fault::Clock { targets, change: self.clock_change(), of: Clocks::Usual },
            FaultKind::Disk => Fault::Disk { targets, trouble: self.disk_trouble() },
            FaultKind::Packets => Fault::Packets(self.packet_trouble(targets)),
        }
    }

    fn client_fault(&mut self, targets: Workers) -> Fault {
        let trouble = self.weighted(&[(2, ClientTrouble::Pause), (1, ClientTrouble::Die), (1, ClientTrouble::Cut)]);
        Fault::Client { targets, trouble }
    }

    fn restarts(&mut self) -> Restarts {
        if self.rng.random() { Restarts::Rolling } else { Restarts::Storm(self.rng.random_range(STORM)) }
    }

    fn clock_change(&mut self) -> ClockChange {
        let sign = if self.rng.random() { 1 } else { -1 };
        if self.rng.random() {
            ClockChange::Jump(SignedDuration::from_millis(sign * self.rng.random_range(JUMP)))
        } else {
            ClockChange::Drift(sign * self.rng.random_range(DRIFT))
        }
    }

    fn disk_trouble(&mut self) -> DiskTrouble {
        let by = self.milliseconds(SLOW);
        self.weighted(&[(3, DiskTrouble::Slow(by)), (1, DiskTrouble::Full), (1, DiskTrouble::ReadError)])
    }

    /// One to all four troubles.
    fn packet_trouble(&mut self, targets: Targets) -> PacketTrouble {
        let which = self.rng.random_range(1_u8..16);
        let mut percent = |bit: u8| if which & bit == 0 { 0 } else { self.rng.random_range(PERCENT) };
        let (loss, duplicate, late) = (percent(1), percent(2), percent(4));
        let jitter = if which & 8 == 0 { Duration::ZERO } else { self.milliseconds(HELD_UP) };
        PacketTrouble { loss, duplicate, late, jitter, ..PacketTrouble::none(targets) }
    }

    /// One of these of which it is known whom it means.
    fn known<T: Clone>(&mut self, choices: &[(u32, T)], needs_leader: fn(&T) -> bool) -> T {
        let blind = self.leaders == Leaders::Unknown;
        let known: Vec<_> = choices.iter().filter(|(_, choice)| !(blind && needs_leader(choice))).cloned().collect();
        self.weighted(&known)
    }

    fn weighted<T: Clone>(&mut self, choices: &[(u32, T)]) -> T {
        let total: u32 = choices.iter().map(|(weight, _)| weight).sum();
        let mut ticket = self.rng.random_range(0..total);
        for (weight, choice) in choices {
            if ticket < *weight {
                return choice.clone();
            }
            ticket -= weight;
        }
        unreachable!("a ticket is below the sum of all weights")
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.drawn.is_empty() && !self.menu.is_empty() {
            self.draw();
        }
        self.drawn.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::fault::Arena;

    fn plan(seed: u64, menu: &[Choice]) -> Plan {
        Plan::new(seed, menu, Some(Protocol::Zab), Leaders::Known)
    }

    #[test]
    fn one_seed_gives_one_plan_and_another_seed_another() {
        let all = Choice::all(Arena::Simulation, Some(Protocol::Zab));
        let steps = |seed| plan(seed, &all).take(40).collect::<Vec<Step>>();
        assert_eq!(steps(1), steps(1));
        assert_ne!(steps(1), steps(2));
    }

    #[test]
    fn a_plan_draws_from_the_wanted_kinds_only_and_never_doubles_one() {
        let steps: Vec<Step> = plan(3, &[FaultKind::Pause, FaultKind::Kill].map(Choice::Any)).take(200).collect();
        for pair in steps.windows(2) {
            assert!(["pause", "kill"].contains(&pair[0].fault.kind()), "{}", pair[0]);
            if matches!(pair[1].when, Trigger::Previous(_)) {
                assert_ne!(pair[0].fault.kind(), pair[1].fault.kind());
            }
        }
        assert_eq!(plan(3, &[]).next(), None);
    }

    #[test]
    fn every_kind_comes_up_once_a_round_and_the_leader_soon() {
        for seed in 0..20 {
            let menu: Vec<Choice> = FaultKind::all(Arena::Simulation).map(Choice::Any).collect();
            let steps: Vec<Step> = plan(seed, &menu).take(100).collect();
            let first: Vec<&Step> = steps.iter().filter(|step| matches!(step.when, Trigger::Calm(_))).collect();
            for round in first.chunks_exact(menu.len()) {
                let kinds: BTreeSet<&str> = round.iter().map(|step| step.fault.kind()).collect();
                assert_eq!(kinds.len(), menu.len(), "seed {seed}: {kinds:?}");
            }
            let leader = Fault::Partition(Shape::Leader);
            assert!(steps.iter().any(|step| step.fault == leader), "seed {seed}: the leader was never cut off");
        }
    }

    #[test]
    fn all_that_is_drawn_makes_sense() {
        let nodes = ["n1".to_owned()];
        for (seed, arena) in (0..50).zip([Arena::Simulation, Arena::Processes].into_iter().cycle()) {
            for step in plan(seed, &Choice::all(arena, Some(Protocol::Zab))).take(200) {
                assert_eq!(step.check(arena, Some(Protocol::Zab), &nodes), Ok(()), "seed {seed}");
            }
        }
    }

    #[test]
    fn where_nobody_knows_who_leads_nothing_is_drawn_that_means_the_leader() {
        let menu = Choice::all(Arena::Processes, None);
        let steps: Vec<Step> = Plan::new(2, &menu, None, Leaders::Unknown).take(300).collect();
        assert!(steps.iter().all(|step| !step.needs_leader()), "{steps:?}");
        let kinds: BTreeSet<&str> = steps.iter().map(|step| step.fault.kind()).collect();
        assert_eq!(kinds.len(), menu.len(), "{kinds:?}");
    }

    #[test]
    fn a_fault_at_a_point_follows_one_that_brings_it() {
        let menu = ["kill@point", "partition", "disk"].map(|text| text.parse::<Choice>().expect(text));
        let steps: Vec<Step> = plan(7, &menu).take(100).collect();
        let at_points = |pair: &&[Step]| matches!(pair[1].when, Trigger::Point(_));
        let pairs: Vec<&[Step]> = steps.windows(2).filter(at_points).collect();
        assert!(pairs.len() > 10, "{} of 100 steps", pairs.len());
        for pair in pairs {
            assert!(["kill", "partition"].contains(&pair[0].fault.kind()), "{}: then {}", pair[0], pair[1]);
            assert!(matches!(pair[0].when, Trigger::Calm(_)) && pair[1].fault.is_here());
        }
        let foreign = Plan::new(7, &menu, None, Leaders::Known).take(100).collect::<Vec<Step>>();
        assert!(foreign.iter().all(|step| !step.fault.is_here()), "what is not ours knows no points");
    }

    #[test]
    fn clients_are_paused_killed_and_cut_off_and_the_holder_is_one_of_them() {
        let drawn: Vec<Fault> = plan(1, &[Choice::Any(FaultKind::Client)]).take(100).map(|step| step.fault).collect();
        for trouble in [ClientTrouble::Pause, ClientTrouble::Die, ClientTrouble::Cut] {
            for targets in [Workers::Holder, Workers::One, Workers::All] {
                assert!(drawn.contains(&Fault::Client { targets, trouble }), "{drawn:?}");
            }
        }
        let holders = plan(1, &[Choice::OnClients(Workers::Holder)]).take(20);
        assert!(holders.into_iter().all(|step| step.to_string().contains("client holder")));
    }

    #[test]
    fn a_fault_that_is_named_is_the_only_one_of_its_kind() {
        let leader = Fault::Partition(Shape::Leader);
        for step in plan(5, &[Choice::Only(leader.clone()), Choice::Any(FaultKind::Pause)]).take(200) {
            assert!(step.fault == leader || step.fault.kind() == "pause", "{step}");
        }
    }
}
