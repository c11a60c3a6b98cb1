//! The agenda in virtual time: a driver that does everything at once and writes down what it did.

use std::fmt::Write as _;

use super::*;
use crate::fault::Arena;
use crate::nemesis::schedule::{Rearm, Whom};
use crate::nemesis::{Choice, Leaders, Schedule};
use grudge_nodes::command::Protocol;

/// What happens to a system, at which millisecond.
#[derive(Clone, Copy)]
enum News {
    /// A node begins to lead.
    Leader,
    /// So many operations succeed.
    Acknowledged(u64),
    /// This node comes to the point for which a trap is armed, if one is.
    Reached(&'static str),
}

/// Plays it for that many milliseconds; faults come into force at once and those of `refused` kinds not at all.
fn play(mut agenda: Agenda, news: &[(u64, News)], end: u64, refused: &[&str]) -> (String, Schedule) {
    let (mut marks, mut log, mut armed, mut stopping) = (Landmarks::default(), String::new(), None, false);
    let mut now = 0;
    let mut waiting_for = Wait { until: Some(Duration::ZERO), acknowledged: None };
    loop {
        let mut moved = false;
        for (_, what) in news.iter().filter(|(time, _)| *time == now) {
            match what {
                News::Leader => marks.leaders += 1,
                News::Acknowledged(count) => marks.acknowledged += count,
                News::Reached(node) => {
                    if let Some(step) = armed.take() {
                        agenda.reached(step, node);
                        moved = true;
                    }
                }
            }
            moved |= matches!(what, News::Leader);
        }
        if now == end {
            agenda.end();
            stopping = true;
        }
        let time = Duration::from_millis(now);
        let due = waiting_for.until.is_some_and(|until| until <= time)
            || waiting_for.acknowledged.is_some_and(|count| count <= marks.acknowledged);
        let mut asking = due || moved || stopping;
        while asking {
            let say = |log: &mut String, text: String| writeln!(log, "{now:>6} {text}").expect("a string grows");
            match agenda.next(time, &marks) {
                Do::Act(Action::Arm { step, trap }) => {
                    say(&mut log, format!("arm {:?} {:?} {}", trap.point, trap.node, trap.nth));
                    armed = Some(step);
                }
                Do::Act(Action::Look { step, sign }) => {
                    say(&mut log, format!("look {sign}"));
                    armed = Some(step);
                }
                Do::Act(Action::Start { step, fault, held }) => {
                    let ok = !refused.contains(&fault.kind());
                    let held = held.map(|node| format!(" holding {node}")).unwrap_or_default();
                    say(&mut log, format!("{} {fault}{held}", if ok { "start" } else { "refuse" }));
                    agenda.started(step, time, if ok { Ok(&fault) } else { Err("nobody is there") });
                }
                Do::Act(Action::Stop { step }) => {
                    say(&mut log, format!("stop {}", agenda.entries[step.0].step.fault));
                    agenda.stopped(step, time);
                }
                Do::Act(Action::GiveUp { fault, armed: trap, why }) => {
                    armed = armed.filter(|_| !trap);
                    say(&mut log, format!("give up {fault}: {why}"));
                }
                Do::Wait(wait) => {
                    waiting_for = wait;
                    assert!(wait.until.is_none_or(|until| until > time), "it would spin at {now}");
                    asking = false;
                }
                Do::Done if stopping => return (log, agenda.schedule().clone()),
                Do::Done => {
                    waiting_for = Wait::default();
                    asking = false;
                }
            }
        }
        now += 1;
    }
}

fn script(text: &str) -> Vec<Step> {
    #[derive(serde::Deserialize)]
    struct File {
        step: Vec<Step>,
    }
    toml::from_str::<File>(text).unwrap_or_else(|error| panic!("{error}")).step
}

fn played(text: &str, news: &[(u64, News)], end: u64) -> String {
    play(Agenda::scripted(&script(text)), news, end, &[]).0
}

#[test]
fn a_sign_says_where_here_is_and_is_waited_for_only_so_long() {
    let text = r#"
        step = [
            { when = { log = "elected" }, fault = { pause = "here" }, hold = "1s" },
            { when = { role = "leader", node = "n1" }, within = "2s", fault = { kill = "here" } },
        ]"#;
    assert_eq!(
        played(text, &[(1_500, News::Reached("n2"))], 5_000),
        "     0 look when any node logs `elected`\n  1500 start pause n2\n  1500 look when n1 becomes leader\n\
         \x20 2500 stop pause here\n  3500 give up kill here: never came within 2s: when n1 becomes leader\n"
    );
    let (_, schedule) = play(Agenda::scripted(&script(text)), &[(1_500, News::Reached("n2"))], 5_000, &[]);
    let again = schedule.script(Rearm::Landmarks, Whom::Done);
    assert_eq!(again.iter().map(ToString::to_string).collect::<Vec<_>>(), ["when any node logs `elected`: pause here"]);
}

#[test]
fn steps_wait_for_times_and_for_each_other() {
    let text = r#"
        step = [
            { when = { at = "1s" }, fault = { kill = "leader" }, hold = "2s" },
            { when = { previous = "500ms" }, fault = { pause = "one" }, hold = "1s" },
            { when = { calm = "300ms" }, fault = { partition = "halves" } },
        ]"#;
    assert_eq!(
        played(text, &[], 5_000),
        "  1000 start kill leader\n  1500 start pause one\n  2500 stop pause one\n  3000 stop kill leader\n\
         \x20 3300 start partition halves\n  5000 stop partition halves\n"
    );
}

#[test]
fn landmarks_are_counted_from_the_step_before() {
    let text = r#"
        step = [
            { when = { acknowledged = 100 }, fault = { kill = "leader" }, hold = "1s" },
            { when = { leader = 2, then = "50ms" }, fault = { pause = "leader" }, hold = "1s" },
        ]"#;
    let news = [
        (10, News::Leader),
        (20, News::Acknowledged(60)),
        (200, News::Acknowledged(60)),
        (300, News::Leader),
        (700, News::Leader),
    ];
    assert_eq!(
        played(text, &news, 3_000),
        "   200 start kill leader\n   750 start pause leader\n  1200 stop kill leader\n  1750 stop pause leader\n"
    );
}

#[test]
fn a_point_is_armed_after_the_step_before_and_hits_who_comes_there() {
    let text = r#"
        step = [
            { when = { at = "100ms" }, fault = { kill = "leader" }, hold = "1s" },
            { when = { point = "zab-established", nth = 2 }, fault = { kill = "here" }, hold = "200ms" },
        ]"#;
    assert_eq!(
        played(text, &[(50, News::Reached("n1")), (400, News::Reached("n2"))], 2_000),
        "   100 start kill leader\n   100 arm ZabEstablished None 2\n   400 start kill n2 holding n2\n\
         \x20  600 stop kill here\n  1100 stop kill leader\n"
    );
}

#[test]
fn what_never_comes_is_given_up_and_does_not_block_the_rest() {
    let text = r#"
        step = [
            { when = { leader = 1 }, within = "1s", fault = { kill = "leader" } },
            { when = { point = "zab-established" }, within = "500ms", fault = { pause = "here" } },
            { when = { at = "1200ms" }, fault = { pause = "one" }, hold = "50ms" },
            { when = { acknowledged = 5 }, fault = { pause = "all" } },
        ]"#;
    assert_eq!(
        played(text, &[], 2_000),
        "  1000 give up kill leader: never came within 1s: after 1 change of leader\n\
         \x20 1000 arm ZabEstablished None 1\n\
         \x20 1200 start pause one\n\
         \x20 1250 stop pause one\n\
         \x20 1500 give up pause here: never came within 500ms: when any node comes to zab-established\n\
         \x20 2000 give up pause all: never came: the run ended before after 5 acknowledged operations\n"
    );
}

#[test]
fn one_trap_is_armed_at_a_time_and_the_end_takes_it_away() {
    let text = r#"
        step = [
            { when = { point = "zab-established" }, within = "10s", fault = { kill = "here" } },
            { when = { at = "100ms" }, fault = { pause = "one" }, hold = "10ms" },
            { when = { point = "zab-established" }, fault = { pause = "here" } },
        ]"#;
    let log = played(text, &[], 500);
    assert_eq!(log.matches("arm").count(), 1, "{log}");
    assert_eq!(log.matches("the run ended").count(), 2, "{log}");
}

#[test]
fn a_fault_that_is_refused_is_over_at_once() {
    let text = r#"
        step = [
            { when = { at = "100ms" }, fault = { kill = "leader" }, hold = "1s" },
            { when = { previous = "20ms" }, fault = { pause = "one" }, hold = "10ms" },
            { when = { calm = "20ms" }, fault = { pause = "one" }, hold = "10ms" },
        ]"#;
    let (log, schedule) = play(Agenda::scripted(&script(text)), &[], 500, &["kill"]);
    assert_eq!(
        log,
        "   100 refuse kill leader\n   120 start pause one\n   130 stop pause one\n   150 start pause one\n\
         \x20  160 stop pause one\n"
    );
    assert_eq!(schedule.faults[0].error.as_deref(), Some("nobody is there"));
    assert_eq!(schedule.script(Rearm::Time, Whom::Drawn).len(), 2, "what was not in force is not played again");
}

#[test]
fn a_plan_goes_on_and_on_and_is_whole_again_at_the_end() {
    for seed in 0..20 {
        let plan =
            Plan::new(seed, &Choice::all(Arena::Simulation, Some(Protocol::Zab)), Some(Protocol::Zab), Leaders::Known);
        let news: Vec<(u64, News)> = (0..200).map(|i| (i * 333, News::Reached("n2"))).collect();
        let (log, schedule) = play(Agenda::planned(plan), &news, 60_000, &["disk"]);
        let count = |word: &str| log.lines().filter(|line| line[7..].starts_with(word)).count();
        assert!(count("start") > 8, "seed {seed}:\n{log}");
        assert_eq!(count("start"), count("stop"), "seed {seed}:\n{log}");
        assert_eq!(schedule.faults.len(), count("start") + count("refuse") + count("give up"), "seed {seed}:\n{log}");
        let written = toml::to_string_pretty(&schedule).expect("a schedule is expressible");
        assert_eq!(toml::from_str::<Schedule>(&written).expect("it can be read"), schedule, "seed {seed}");
    }
}

/// The same faults at the same times, whatever they are armed by, if the same happens.
#[test]
fn a_schedule_played_again_does_the_same() {
    for seed in 0..20 {
        let plan =
            Plan::new(seed, &Choice::all(Arena::Simulation, Some(Protocol::Zab)), Some(Protocol::Zab), Leaders::Known);
        let mut news: Vec<(u64, News)> = (1..200).map(|i| (i * 333, News::Reached("n2"))).collect();
        news.extend((1..300).map(|i| (i * 200, News::Acknowledged(7))));
        news.extend((1..10).map(|i| (i * 6_007, News::Leader)));
        let (_, schedule) = play(Agenda::planned(plan), &news, 60_000, &[]);
        let in_force = |schedule: &Schedule| -> Vec<(f64, Fault)> {
            let faults = schedule.faults.iter().filter(|entry| entry.error.is_none());
            faults.map(|entry| (entry.start, entry.drawn.clone())).collect()
        };
        let (_, again) = play(Agenda::scripted(&schedule.script(Rearm::Time, Whom::Drawn)), &news, 60_000, &[]);
        assert_eq!(in_force(&again), in_force(&schedule), "seed {seed}, by time");
        let (_, again) = play(Agenda::scripted(&schedule.script(Rearm::Landmarks, Whom::Drawn)), &news, 60_000, &[]);
        for (again, first) in in_force(&again).iter().zip(&in_force(&schedule)) {
            assert_eq!(again.1, first.1, "seed {seed}, by landmarks");
            assert!((again.0 - first.0).abs() < 0.5, "seed {seed}, by landmarks: {again:?} for {first:?}");
        }
    }
}

#[test]
fn a_trigger_is_exactly_one_thing() {
    let table = [
        (r"{ at = '1s', calm = '1s' }", "is one of"),
        (r"{ }", "is one of"),
        (r"{ at = '1s', then = '1s' }", "`then` is for"),
        (r"{ leader = 1, node = 'n1' }", "are for `point`"),
        (r"{ leader = 0 }", "begins with 1"),
        (r"{ leader = 1, within = '1s' }", "unknown field `within`"),
    ];
    for (text, sentence) in table {
        let error = toml::from_str::<std::collections::BTreeMap<String, Trigger>>(&format!("when = {text}"));
        let error = error.expect_err(text).to_string();
        assert!(error.contains(sentence), "{text}: {error}");
    }
}
