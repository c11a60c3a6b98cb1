//! Shrinking against a trial that knows what it takes to fail, so that every simplification must be found.

use std::time::Duration;

use jiff::SignedDuration;

use super::{Kind, Trial, passes, scripted, shrink};
use crate::exit::Failure;
use crate::fault::{Fault, Shape, Targets};
use crate::nemesis::{Schedule, Step, Trap, Trigger};
use crate::report::Judged;
use crate::spec::Spec;
use crate::spec::tests::example;

/// Fails if this holds, for so many questions.
struct Fake {
    fails: fn(&Spec) -> bool,
    asked: usize,
    limit: usize,
}

impl Fake {
    fn new(fails: fn(&Spec) -> bool) -> Fake {
        Fake { fails, asked: 0, limit: usize::MAX }
    }
}

impl Trial for Fake {
    fn first(&mut self, candidates: &[Spec]) -> Result<Option<Spec>, Failure> {
        for spec in candidates {
            spec.check()?;
            if self.over() {
                return Ok(None);
            }
            self.asked += 1;
            if (self.fails)(spec) {
                return Ok(Some(spec.clone()));
            }
        }
        Ok(None)
    }

    fn over(&self) -> bool {
        self.asked >= self.limit
    }
}

fn step(text: &str) -> Step {
    toml::from_str(text).expect(text)
}

/// A long test: two faults that matter among many that do not.
fn long() -> Spec {
    let noise = "when = { calm = '1300ms' }\nfault = { pause = { nodes = ['n4', 'n5'] } }\nhold = '3100ms'";
    let mut script: Vec<Step> = (0..12).map(|_| step(noise)).collect();
    script[5] =
        step("when = { leader = 3, then = '777ms' }\nfault = { kill = { nodes = ['n5', 'n2'] } }\nhold = '4321ms'");
    script[9] = step(
        "when = { point = 'zab-established', node = 'n5', nth = 2 }\nwithin = '7s'\nfault = { partition = { cuts = { n1 = ['n2', 'n5'] } } }\nhold = '2s'",
    );
    Spec { faults: Vec::new(), script, nodes: 5, concurrency: 10, keys: None, rate: Some(100.0), ..example() }
}

fn kills(spec: &Spec) -> usize {
    spec.script.iter().filter(|step| matches!(step.fault, Fault::Kill(_))).count()
}

fn cuts(spec: &Spec) -> usize {
    spec.script.iter().filter(|step| matches!(step.fault, Fault::Partition(_))).count()
}

#[test]
fn what_matters_is_kept_and_everything_else_is_gone() {
    let fails = |spec: &Spec| kills(spec) == 1 && cuts(spec) == 1 && spec.concurrency >= 3 && spec.time.as_secs() >= 11;
    let small = shrink(long(), &mut Fake::new(fails)).expect("a trial that answers");
    assert_eq!(
        small.script,
        [
            step("when = { leader = 1 }\nfault = { kill = 'leader' }\nhold = '0s'"),
            step("when = { point = 'zab-established' }\nfault = { partition = 'leader' }\nhold = '0s'"),
        ]
    );
    assert_eq!((small.nodes, small.concurrency, small.keys, small.rate), (3, 3, Some(1), Some(1.0)));
    assert_eq!(small.time, SignedDuration::from_secs(11));
}

#[test]
fn times_are_as_round_as_they_can_be() {
    let fails = |spec: &Spec| {
        spec.script.iter().any(|step| {
            step.hold.is_some_and(|hold| hold >= Duration::from_millis(2_950))
                && matches!(step.when, Trigger::Calm(wait) if wait >= Duration::from_millis(1_234))
        })
    };
    let small = shrink(long(), &mut Fake::new(fails)).expect("a trial that answers");
    let [only] = small.script.as_slice() else { panic!("one step is enough: {:?}", small.script) };
    assert_eq!(only.hold, Some(Duration::from_secs(3)));
    assert_eq!(only.when, Trigger::Calm(Duration::from_millis(1_300)));
}

#[test]
fn steps_at_absolute_times_keep_their_distance() {
    let script = vec![
        step("when = { at = '8100ms' }\nfault = { kill = 'one' }\nhold = '1s'"),
        step("when = { at = '9s' }\nfault = { pause = 'one' }\nhold = '1s'"),
    ];
    let spec = Spec { script, ..long() };
    let gap = |spec: &Spec| match spec.script.iter().map(|step| &step.when).collect::<Vec<_>>()[..] {
        [Trigger::At(one), Trigger::At(other)] => other.checked_sub(*one),
        _ => None,
    };
    assert_eq!(gap(&spec), Some(Duration::from_millis(900)));
    // The first moves together with the second until only the gap is left.
    let fails = |spec: &Spec| match spec.script.as_slice() {
        [Step { when: Trigger::At(one), .. }, Step { when: Trigger::At(other), .. }] => {
            *other >= *one + Duration::from_millis(900)
        }
        _ => false,
    };
    let small = shrink(spec, &mut Fake::new(fails)).expect("a trial that answers");
    assert_eq!(gap(&small), Some(Duration::from_millis(900)));
    assert_eq!(small.script[0].when, Trigger::At(Duration::ZERO));
}

#[test]
fn a_test_that_needs_all_of_it_stays_as_it_is() {
    let spec = Spec { concurrency: 1, keys: Some(1), rate: Some(1.0), nodes: 3, ..long() };
    let mut trial = Fake::new(|_| false);
    assert_eq!(shrink(spec.clone(), &mut trial).expect("a trial that answers"), spec);
    assert!(trial.asked > 50, "only {} candidates were tried", trial.asked);
}

#[test]
fn when_the_time_is_over_the_smallest_so_far_is_the_answer() {
    let mut trial = Fake { limit: 3, ..Fake::new(|spec| kills(spec) == 1) };
    let small = shrink(long(), &mut trial).expect("a trial that answers");
    assert_eq!(trial.asked, 3);
    assert!(kills(&small) == 1 && small.script.len() < long().script.len());
}

#[test]
fn every_candidate_is_a_test_that_can_be_read_again() {
    for pass in passes::ALL {
        for candidate in pass(&long()) {
            let text = toml::to_string_pretty(&candidate).expect("a spec is expressible");
            assert_eq!(toml::from_str::<Spec>(&text).expect("what was written can be read"), candidate, "{text}");
            assert_ne!(candidate, long());
        }
    }
}

#[test]
fn nodes_of_a_larger_cluster_become_nodes_of_the_smaller() {
    let smaller = passes::ALL.into_iter().flat_map(|pass| pass(&long())).find(|spec| spec.nodes == 3);
    let script = smaller.expect("fewer nodes are tried").script;
    assert_eq!(script[0].fault, Fault::Pause(Targets::Nodes(vec!["n1".to_owned(), "n2".to_owned()])));
    assert_eq!(script[5].fault, Fault::Kill(Targets::Nodes(vec!["n2".to_owned()])));
    assert!(matches!(&script[9].when, Trigger::Point(Trap { node: Some(node), .. }) if node == "n2"));
    let Fault::Partition(Shape::Cuts(cuts)) = &script[9].fault else { panic!("{}", script[9]) };
    assert_eq!(cuts["n1"].iter().collect::<Vec<_>>(), ["n2"]);
}

#[test]
fn what_was_done_in_a_run_can_be_done_by_a_script() {
    let text = r#"
        [[fault]]
        start = 2.5
        stop = 4.0
        hold = "1500ms"
        when = { calm = "2s" }
        since = { acknowledged = 120 }
        drawn = { kill = "leader" }
        done = { kill = { nodes = ["n2"] } }

        [[fault]]
        start = 5.0
        error = "nobody leads"
        when = { calm = "1s" }
        drawn = { kill = "leader" }
    "#;
    let schedule: Schedule = toml::from_str(text).expect("a schedule");
    let specs = scripted(&example(), &schedule);
    let steps: Vec<String> = specs.iter().flat_map(|spec| &spec.script).map(ToString::to_string).collect();
    assert_eq!(
        steps,
        [
            "after 120 acknowledged operations: kill leader",
            "after 120 acknowledged operations: kill n2",
            "at 2.5s: kill leader",
            "at 2.5s: kill n2",
            "at 2.5s: kill n2",
            "at 5s: kill leader",
        ]
    );
    assert!(specs.iter().all(|spec| spec.faults.is_empty() && spec.check().is_ok()));
}

#[test]
fn the_same_kind_of_failure_has_the_same_judgements_and_maybe_more() {
    let judged = |checker: &str, verdict: &str, finding: bool| -> Judged {
        let mut json = serde_json::json!({"checker": checker, "verdict": verdict, "finding": finding});
        json["witness"] = serde_json::json!({"key": null, "reason": "because", "events": []});
        json["reason"] = "because".into();
        serde_json::from_value(json).expect("a judgement")
    };
    let one = [
        judged("linearizable", "invalid", false),
        judged("lag", "invalid", true),
        judged("liveness", "unknown", false),
    ];
    let more = [judged("linearizable", "invalid", false), judged("replicas", "invalid", false)];
    assert_eq!(Kind::of(&one), Kind::from_iter(["linearizable"]));
    assert!(Kind::of(&one).within(&Kind::of(&more)) && !Kind::of(&more).within(&Kind::of(&one)));
    assert!(Kind::of(&one[1..]).is_valid());
}
