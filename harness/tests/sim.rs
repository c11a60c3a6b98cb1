//! Runs in simulated time: exactly repeatable, and able to tell a broken replica from a correct one.

use grudge::nemesis::schedule::{Rearm, Whom};
use grudge::sim::{self, Simulated};
use grudge::spec::Spec;
use grudge_checkers::history::{Event, Process};
use grudge_checkers::verdict::Verdict;
use rayon::prelude::*;

/// A test as a file has it: ten seconds with every fault, unless it says otherwise.
fn spec(text: &str, seed: u64) -> Spec {
    let usual = r#"
        faults = ["partition", "pause", "kill", "power", "clock", "disk", "packets"]
        nodes = 5
        concurrency = 10
        rate = 100.0
        time = "10s"
        timeout = "2s"
        ttl = "4s"
        recovery = "30s"
    "#;
    let mut table: toml::Table = toml::from_str(usual).expect("the usual test parses");
    table.extend(toml::from_str::<toml::Table>(text).unwrap_or_else(|error| panic!("{text}: {error}")));
    table.insert("seed".to_owned(), i64::try_from(seed).expect("a seed is small").into());
    table.try_into().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn run(spec: &Spec) -> Simulated {
    sim::run(spec).unwrap_or_else(|error| panic!("{} seed {}: {error}", spec.name(), spec.seed))
}

/// What repeats a seed by hand.
fn again(spec: &Spec) -> String {
    let bugs: String = spec.bugs.iter().map(|bug| format!(" --bug {}", grudge::spec::kebab(bug))).collect();
    format!("grudge sim {} --workload {} --time 10s --seed {}{bugs}", spec.system, spec.workload, spec.seed)
}

const ALL: [&str; 12] = [
    "system = 'raft'\nworkload = 'register'",
    "system = 'raft'\nworkload = 'register-local'",
    "system = 'raft'\nworkload = 'lock'",
    "system = 'raft'\nworkload = 'set'",
    "system = 'raft'\nworkload = 'multi'",
    "system = 'raft'\nworkload = 'lease'",
    "system = 'zab'\nworkload = 'register'",
    "system = 'zab'\nworkload = 'register-local'",
    "system = 'zab'\nworkload = 'lock'",
    "system = 'zab'\nworkload = 'set'",
    "system = 'zab'\nworkload = 'multi'",
    "system = 'zab'\nworkload = 'session'",
];

#[test]
fn one_seed_is_one_run_byte_for_byte() {
    for text in ALL {
        let spec = spec(text, 11);
        let (first, second) = (run(&spec), run(&spec));
        let csv = |run: &Simulated| String::from_utf8(run.csv().expect("a history is expressible")).expect("text");
        assert!(csv(&first) == csv(&second), "two histories of one seed: {}", again(&spec));
        assert_eq!(first.schedule, second.schedule, "{}", again(&spec));
        assert_eq!(first.simulated, second.simulated, "{}", again(&spec));
        assert!(first.operations() > 300, "{} operations: {}", first.operations(), again(&spec));
    }
}

#[test]
fn two_seeds_are_two_runs() {
    let digest = |seed| run(&spec(ALL[0], seed)).digest().expect("a history is expressible");
    assert_ne!(digest(1), digest(2));
}

/// The same on every machine. Whoever changes what replicas, clients or nemesis do accepts the new ones:
/// `INSTA_UPDATE=always cargo test -p grudge --test sim`.
#[test]
fn the_histories_of_one_seed_are_known() {
    let line = |text: &&str| {
        let run = run(&spec(text, 7));
        let digest = run.digest().expect("a history is expressible");
        format!("{}: {} rows, digest {digest:08x}", text.replace('\n', ", "), run.history.events.len())
    };
    insta::assert_snapshot!(ALL.iter().map(line).collect::<Vec<_>>().join("\n"));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let digests = |threads: usize| -> Vec<u32> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        let specs: Vec<Spec> = ALL.iter().flat_map(|text| (0..2).map(|seed| spec(text, seed))).collect();
        pool.install(|| specs.par_iter().map(|spec| run(spec).digest().expect("a history")).collect())
    };
    assert_eq!(digests(1), digests(4));
}

#[test]
fn correct_replicas_are_valid() {
    for text in ALL {
        let wrong: Vec<String> = (0..15)
            .into_par_iter()
            .map(|seed| spec(text, seed))
            .filter_map(|spec| match run(&spec).verdict() {
                Verdict::Valid => None,
                verdict => Some(format!("{}: {verdict:?}", again(&spec))),
            })
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn planted_bugs_are_found() {
    let bugs = [
        "system = 'raft'\nworkload = 'register'\nbugs = ['raft-stale-read']",
        "system = 'zab'\nworkload = 'register'\nbugs = ['zab-skip-trunc']",
        "system = 'raft'\nworkload = 'set'\nbugs = ['kv-index-early']",
        "system = 'raft'\nworkload = 'lease'\nbugs = ['lease-old-leader']",
        "system = 'raft'\nworkload = 'lease'\nbugs = ['lease-no-extend']",
        "system = 'zab'\nworkload = 'multi'\nbugs = ['zab-multi-zxid']",
        "system = 'zab'\nworkload = 'session'\nbugs = ['zab-stale-connect']",
    ];
    bugs.iter().for_each(|text| some_seed_finds(text));
}

#[test]
fn plain_reads_of_correct_replicas_are_not_linearizable() {
    for system in ["raft", "zab"] {
        some_seed_finds(&format!("system = '{system}'\nworkload = 'register-unsynced'"));
    }
}

fn some_seed_finds(text: &str) {
    let found = (0..200).into_par_iter().find_any(|&seed| {
        let simulated = run(&spec(text, seed));
        matches!(simulated.verdict(), Verdict::Invalid { .. })
    });
    assert!(found.is_some(), "none of 200 seeds finds it: {text}");
}

/// What clients did, and when; rows of the nemesis lie between in one way or another.
fn clients(run: &Simulated) -> Vec<Event> {
    let events = run.history.events.iter().filter(|event| event.process != Process::Nemesis);
    events.map(|event| Event { index: 0, ..event.clone() }).collect()
}

#[test]
fn a_recorded_schedule_played_as_a_script_gives_the_same_history() {
    for text in [ALL[0], ALL[5]] {
        for seed in 0..5 {
            let spec = spec(text, seed);
            let first = run(&spec);
            let script = first.schedule.script(Rearm::Time, Whom::Done);
            assert!(!script.is_empty(), "{}", again(&spec));
            let played = run(&Spec { script, faults: Vec::new(), ..spec.clone() });
            let (recorded, replayed) = (clients(&first), clients(&played));
            let differ = recorded.iter().zip(&replayed).find(|(a, b)| a != b);
            assert!(differ.is_none(), "{}: {differ:?}", again(&spec));
            assert_eq!(recorded.len(), replayed.len(), "{}", again(&spec));
        }
    }
}
