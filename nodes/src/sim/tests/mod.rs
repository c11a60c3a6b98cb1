//! A toy: the node with the lowest number sequences values for all, durably or not, wrongly or not.

mod clients;
mod faults;
mod points;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::*;
use crate::agreement::Agreement;
use crate::point::Point;
use crate::replica::{ClientId, Event, Input, NodeId, Output, Replica, Time};

/// Asked for this value, the toy writes it, comes to a point, writes the next one and answers.
const POINTED: u64 = 9_000_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    /// Followers apply whatever comes, holes or not.
    Holes,
    /// The answer is pushed before the write.
    AnswersBeforeWrite,
    /// Everybody leads.
    AllLead,
    /// Panics at the third value.
    Panics,
}

#[derive(Clone, Debug)]
struct Config {
    id: NodeId,
    peers: Vec<NodeId>,
    flaw: Flaw,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Message {
    Value { position: u64, value: u64 },
    Want { from: u64 },
}

/// Node 1 appends; the others ask again and again for what they miss.
#[derive(Debug)]
struct Toy {
    config: Config,
    log: Vec<u64>,
    reported: usize,
    wake: Time,
    early: BTreeMap<u64, u64>,
}

impl Toy {
    fn leads(&self) -> bool {
        self.config.id == NodeId(1)
    }

    fn apply_at_once(&mut self, position: u64, digest: u64, out: &mut Vec<Output<Self>>) {
        if position > self.reported as u64 {
            self.reported = position as usize;
            out.push(Output::Event(Event::Applied { position, digest }));
        }
    }

    fn apply(&mut self, out: &mut Vec<Output<Self>>) {
        while self.reported < self.log.len() {
            let digest = self.log[self.reported];
            self.reported += 1;
            out.push(Output::Event(Event::Applied { position: self.reported as u64, digest }));
        }
    }
}

impl Replica for Toy {
    type Config = Config;
    type Record = u64;
    type Message = Message;
    type Request = u64;
    type Reply = u64;

    fn recover(config: Config, now: Time, records: Vec<u64>) -> Self {
        Toy { config, log: records, reported: 0, wake: now, early: BTreeMap::new() }
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output<Self>>) {
        self.apply(out);
        match input {
            Input::Tick if now >= self.wake => {
                self.wake = now + Duration::from_millis(20);
                if self.leads() || self.config.flaw == Flaw::AllLead {
                    out.push(Output::Event(Event::Leading { epoch: 1 }));
                } else {
                    let from = self.log.len() as u64;
                    out.push(Output::Send { to: NodeId(1), message: Message::Want { from } });
                }
            }
            Input::Request { client, request: POINTED } if self.leads() => {
                self.log.extend([POINTED, POINTED + 1]);
                out.push(Output::Persist(vec![POINTED]));
                out.push(Output::Event(Event::Reached(Point::RaftElected)));
                out.push(Output::Persist(vec![POINTED + 1]));
                out.push(Output::Reply { client, reply: self.log.len() as u64 });
            }
            Input::Request { client, request } if self.leads() => {
                assert!(self.config.flaw != Flaw::Panics || self.log.len() < 2, "the third value is one too many");
                self.log.push(request);
                let position = self.log.len() as u64;
                if self.config.flaw == Flaw::AnswersBeforeWrite {
                    out.push(Output::Reply { client, reply: position });
                    self.apply(out);
                }
                out.push(Output::Persist(vec![request]));
                out.push(Output::Reply { client, reply: position });
                self.apply(out);
                for &to in &self.config.peers {
                    out.push(Output::Send { to, message: Message::Value { position, value: request } });
                }
            }
            Input::Message { from, message: Message::Want { from: position } } => {
                for (value, position) in self.log.iter().skip(position as usize).zip(position + 1..) {
                    out.push(Output::Send { to: from, message: Message::Value { position, value: *value } });
                }
            }
            Input::Message { message: Message::Value { position, value }, .. } if self.config.flaw == Flaw::Holes => {
                self.apply_at_once(position, value, out);
            }
            Input::Message { message: Message::Value { position, value }, .. } => {
                self.early.insert(position, value);
                while let Some(value) = self.early.remove(&(self.log.len() as u64 + 1)) {
                    self.log.push(value);
                    out.push(Output::Persist(vec![value]));
                    self.apply(out);
                }
            }
            _ => {}
        }
    }

    fn wake(&self) -> Time {
        self.wake
    }
}

fn world(seed: u64, flaw: Flaw, options: Options) -> World<Toy> {
    let nodes = options.nodes;
    let configure =
        move |id, _life| Config { id, peers: (1..=nodes).map(NodeId).filter(|&peer| peer != id).collect(), flaw };
    World::new(seed, configure, options)
}

/// Values under chaos, then calm; all must converge.
fn scenario(seed: u64, flaw: Flaw) -> Result<World<Toy>, Violation> {
    let mut world = world(seed, flaw, Options { trace_lines: 100_000, ..Options::nodes(3) });
    world.chaos(Chaos::until(Duration::from_secs(8)));
    for value in 1..=200 {
        world.request(NodeId(1), value * 1_000 + seed);
        world.run_for(Duration::from_millis(40))?;
    }
    world.calm();
    world.run_until(Duration::from_secs(5), "all nodes have the first node's log", |world| {
        let longest = world.agreement().highest();
        world.ids().into_iter().all(|node| world.agreement().position(node) == longest)
    })?;
    Ok(world)
}

#[test]
fn a_replica_without_flaw_survives_all_faults() {
    for_each_seed(0..20, |seed| scenario(seed, Flaw::None).map(drop));
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let first = scenario(7, Flaw::None).expect("the toy is right").trace();
    let again = scenario(7, Flaw::None).expect("the toy is right").trace();
    assert!(first == again, "two runs of one seed differ");
    let other = scenario(8, Flaw::None).expect("the toy is right").trace();
    assert!(first != other, "two seeds give one run");
}

#[test]
fn chaos_draws_every_kind_of_fault() {
    let traces: Vec<String> =
        (0..10).map(|seed| scenario(seed, Flaw::None).expect("the toy is right").trace()).collect();
    for fault in ["PowerLoss", "Kill", "cut", "healed", "paused", "resumed", "lost", "disk: Slow", "disk: None"] {
        assert!(traces.iter().any(|trace| trace.contains(fault)), "no {fault} in ten runs");
    }
}

#[test]
fn a_position_left_out_is_seen() {
    let violation = expect_violation(0..20, |seed| scenario(seed, Flaw::Holes).map(drop));
    assert!(violation.what.starts_with("prefix:"), "{violation}");
    assert!(violation.to_string().contains(&format!("GRUDGE_SEED={} cargo test", violation.seed)), "{violation}");
    let test = std::thread::current().name().filter(|name| *name != "main").map(str::to_owned).unwrap_or_default();
    assert!(violation.to_string().contains(&test), "{violation}");
}

#[test]
fn an_answer_before_its_write_is_seen_when_the_power_fails() {
    let violation = expect_violation(0..20, |seed| scenario(seed, Flaw::AnswersBeforeWrite).map(drop));
    assert!(violation.what.starts_with("agreement:"), "{violation}");
}

#[test]
fn two_leaders_of_one_epoch_are_seen() {
    let violation = expect_violation(0..1, |seed| scenario(seed, Flaw::AllLead).map(drop));
    assert!(violation.what.starts_with("leader uniqueness:"), "{violation}");
}

#[test]
fn a_panic_is_a_violation_with_its_message() {
    let violation = expect_violation(0..1, |seed| scenario(seed, Flaw::Panics).map(drop));
    assert!(violation.what.contains("the third value is one too many"), "{violation}");
}

#[test]
fn a_barrier_holds_the_answer_until_the_write_is_durable() {
    let mut world = world(1, Flaw::None, Options { fsync: Span::millis(30, 30), ..Options::calm(2) });
    let client = world.request(NodeId(1), 5);
    world.run_for(Duration::from_millis(29)).expect("the toy is right");
    assert!(world.replies().is_empty());
    assert!(world.durable(NodeId(1)).is_empty());
    world.run_for(Duration::from_millis(2)).expect("the toy is right");
    let replies = world.take_replies();
    assert_eq!((replies.len(), replies[0].client, replies[0].at), (1, client, Duration::from_millis(30)));
    assert_eq!(world.durable(NodeId(1)), [5]);
}

#[test]
fn one_fsync_covers_what_was_queued_before_it() {
    let mut world = world(1, Flaw::None, Options { fsync: Span::millis(30, 30), ..Options::calm(1) });
    for value in 1..=10 {
        world.request(NodeId(1), value);
    }
    world.run_for(Duration::from_millis(61)).expect("the toy is right");
    let times: Vec<u128> = world.take_replies().iter().map(|reply| reply.at.as_millis()).collect();
    assert_eq!(times, [30, 60, 60, 60, 60, 60, 60, 60, 60, 60], "the first alone, the other nine together");
}

#[test]
fn a_power_loss_takes_the_volatile_tail_and_its_answers() {
    for_each_seed(0..50, |seed| {
        let mut world = world(seed, Flaw::None, Options { fsync: Span::millis(30, 30), ..Options::calm(1) });
        world.request(NodeId(1), 1);
        world.run_for(Duration::from_millis(31))?;
        world.take_replies();
        world.request(NodeId(1), 2);
        world.request(NodeId(1), 3);
        world.crash(NodeId(1), Crash::PowerLoss);
        world.run_for(Duration::from_secs(1))?;
        assert!(world.replies().is_empty(), "an answer left a dead node");
        let left = world.durable(NodeId(1));
        assert!([1, 2, 3].starts_with(left) && !left.is_empty(), "not a prefix with all that was fsynced: {left:?}");
        Ok(())
    });
}

#[test]
fn a_kill_keeps_what_was_handed_to_the_system() {
    for_each_seed(0..50, |seed| {
        let mut world = world(seed, Flaw::None, Options { fsync: Span::millis(30, 30), ..Options::calm(1) });
        world.request(NodeId(1), 1);
        world.request(NodeId(1), 2);
        world.crash(NodeId(1), Crash::Kill);
        let left = world.durable(NodeId(1));
        assert!(left == [1] || left == [1, 2], "the running fsync's write is lost: {left:?}");
        Ok(())
    });
}

#[test]
fn a_cut_is_one_way_and_a_pause_delays() {
    let mut world = world(3, Flaw::None, Options::calm(2));
    world.cut([Cut { from: NodeId(1), to: NodeId(2) }]);
    world.request(NodeId(1), 9);
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    assert_eq!(world.agreement().position(NodeId(2)), 0, "a message came through a cut");
    world.heal();
    world.pause(NodeId(2));
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    assert_eq!(world.agreement().position(NodeId(2)), 0, "a paused process works");
    world.resume(NodeId(2));
    let arrived = |world: &World<Toy>| world.agreement().position(NodeId(2)) == 1;
    world.run_until(Duration::from_secs(1), "the value arrives", arrived).expect("it arrives after the pause");
    let stuck = world.run_until(Duration::from_millis(100), "a value nobody wrote", |_| false).unwrap_err();
    assert!(stuck.what.contains("liveness: not within 100ms: a value nobody wrote"), "{stuck}");
}

#[test]
fn a_paused_process_answers_when_it_goes_on() {
    let mut world = world(3, Flaw::None, Options::calm(1));
    world.pause(NodeId(1));
    world.request(NodeId(1), 1);
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    assert!(world.replies().is_empty());
    world.resume(NodeId(1));
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    assert!(world.take_replies().iter().all(|reply| reply.at > Duration::from_secs(1)));
    assert_eq!(world.durable(NodeId(1)), [1]);
}

#[test]
fn a_conversation_ends_with_its_node() {
    let mut world = world(3, Flaw::None, Options::calm(1));
    let client = world.request(NodeId(1), 1);
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    world.request_as(client, 2);
    world.crash(NodeId(1), Crash::Kill);
    world.restart(NodeId(1));
    world.request_as(client, 3);
    world.run_for(Duration::from_secs(1)).expect("the toy is right");
    assert_eq!(world.take_replies().len(), 1);
    assert_eq!(world.replica(NodeId(1)).map(|toy| toy.log.contains(&3)), Some(false), "a dead node's client was heard");
}

#[test]
fn a_life_may_begin_at_its_snapshot_but_nobody_may_leave_out_what_another_applied() {
    let applied = |position| Event::Applied { position, digest: position };
    let (first, second, third) = (NodeId(1), NodeId(2), NodeId(3));
    let mut agreement = Agreement::default();
    for position in 1..=4 {
        agreement.observe(first, &applied(position)).expect("in order");
    }
    agreement.observe(second, &Event::Restored { position: 4 }).expect("a snapshot");
    agreement.observe(second, &applied(5)).expect("after its snapshot");
    agreement.observe(first, &applied(6)).expect_err("leaves out 5");
    agreement.observe(second, &applied(8)).expect("zxids have gaps");
    let inserted =
        agreement.observe(third, &Event::Restored { position: 5 }).and_then(|()| agreement.observe(third, &applied(7)));
    assert!(inserted.expect_err("7 was left out by n2").contains("left out"));
    agreement.reborn(second);
    agreement.observe(second, &applied(1)).expect("a new life begins again");
    agreement.observe(second, &applied(1)).expect_err("not twice");
    agreement.observe(third, &Event::Applied { position: 6, digest: 0 }).expect_err("left out by n2");
}

#[test]
fn an_invariant_of_the_caller_is_asserted_after_each_step() {
    let mut world = world(1, Flaw::None, Options::calm(1));
    world.invariant("short log", |live| match live.iter().find(|(_, toy)| toy.log.len() > 3) {
        Some((node, toy)) => Err(format!("{node} has {} values", toy.log.len())),
        None => Ok(()),
    });
    for value in 0..3 {
        world.request(NodeId(1), value);
    }
    world.run_for(Duration::from_secs(1)).expect("three are allowed");
    world.request(NodeId(1), 3);
    let violation = world.run_for(Duration::ZERO).expect_err("four are not");
    assert_eq!(violation.what, "short log: n1 has 4 values");
    assert_eq!(world.request(NodeId(1), 4), ClientId(5));
    assert_eq!(world.run_for(Duration::from_secs(1)).expect_err("it stays broken"), violation);
}
