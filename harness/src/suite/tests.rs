//! Suites' files, and tests of a suite that end as they are told.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::outcome::Outcome;
use super::run::Conduct;
use super::*;
use crate::exit::Failure;
use crate::runner::stop;

fn suites() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("suites")
}

fn read(text: &str) -> Result<Suite, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    read_in(&folder, text, 1).map_err(|error| error.to_string())
}

fn read_in(folder: &TempDir, text: &str, seed: u64) -> Result<Suite, Failure> {
    let path = folder.path().join("nightly.toml");
    std::fs::write(&path, text).expect("a temporary file");
    Suite::read(&path, seed)
}

/// The path of a test file with a script.
fn script() -> String {
    suites().join("../scripts/paused-holder.toml").display().to_string()
}

fn names(suite: &Suite) -> Vec<&str> {
    suite.tests.iter().map(|test| test.name.as_str()).collect()
}

#[test]
fn every_suite_that_comes_with_it_makes_sense() {
    let mut count = 0;
    for entry in std::fs::read_dir(suites()).expect("a folder").flatten() {
        Suite::read(&entry.path(), 1).unwrap_or_else(|error| panic!("{error}"));
        count += 1;
    }
    assert!(count >= 3, "{count} suites");
}

#[test]
fn a_matrix_is_each_with_each_in_the_files_order() {
    let suite = read(
        "seeds = '4..6'\nset = { time = '9s', nodes = 3 }\n[[matrix]]\nsystems = ['zab', 'raft']\n\
         workloads = ['lock', 'lease']\nset = { time = '7s', rate = 'max' }\n\
         exclude = [{ system = 'zab', workload = 'lease', because = 'zab has no leases' }]",
    )
    .expect("it makes sense");
    assert_eq!(
        names(&suite),
        ["zab-lock-4", "zab-lock-5", "raft-lock-4", "raft-lock-5", "raft-lease-4", "raft-lease-5"]
    );
    let Spec { time, nodes, concurrency, rate, seed, .. } = &suite.tests[1].spec;
    assert_eq!((time.as_secs(), *nodes, *concurrency, *rate, *seed), (7, 3, 6, None, 5));
    let left_out = LeftOut { what: "zab × lease × usual".to_owned(), because: "zab has no leases".to_owned() };
    assert_eq!(suite.left_out, [left_out]);
}

#[test]
fn several_menus_are_parts_of_the_names() {
    let suite =
        read("[[matrix]]\nsystems = ['zab']\nworkloads = ['set']\nfaults = ['kill:leader', 'none']\nseeds = [1]");
    assert_eq!(names(&suite.expect("it makes sense")), ["zab-set-kill-leader-1", "zab-set-none-1"]);
}

#[test]
fn seeds_are_new_every_night_and_the_same_for_all_shards() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "seeds = 2\n[[test]]\nsystem = 'zab'\n[[test]]\nsystem = 'raft'";
    let seeds = |base| -> Vec<u64> {
        let suite = read_in(&folder, text, base).unwrap_or_else(|error| panic!("{error}"));
        suite.tests.iter().map(|test| test.spec.seed).collect()
    };
    assert_eq!(seeds(1), seeds(1));
    assert!(seeds(1).iter().all(|seed| !seeds(2).contains(seed)));
}

#[test]
fn a_script_of_a_file_is_changed_by_its_own_entry_only() {
    let script = script();
    let text = format!(
        "seeds = [1]\nset = {{ nodes = 5 }}\n[[test]]\nfile = '{script}'\nexpect = 'invalid'\n\
         [[test]]\nname = 'fenced'\nfile = '{script}'\nworkload = 'lock'\nset = {{ time = '20s' }}"
    );
    let suite = read(&text).expect("it makes sense");
    assert_eq!(names(&suite), ["paused-holder-1", "fenced-1"]);
    let specs: Vec<(usize, usize, &str)> =
        suite.tests.iter().map(|test| (test.spec.nodes, test.spec.script.len(), test.spec.workload.as_str())).collect();
    assert_eq!(specs, [(3, 2, "lock-unfenced"), (3, 2, "lock")]);
    assert_eq!((suite.tests[0].expect, suite.tests[1].expect), (Expect::Invalid, Expect::Valid));
}

#[test]
fn a_script_is_played_on_other_systems_than_its_file_says() {
    let script = script();
    let text = format!(
        "seeds = [1]\n[[matrix]]\nfile = '{script}'\nsystems = ['zab', 'redis']\nworkloads = ['lock-unfenced', 'lock']\n\
         exclude = [{{ system = 'zab', workload = 'lock', because = 'it takes long' }}]\n\
         [[test]]\nfile = '{script}'\nsystem = 'etcd'"
    );
    let suite = read(&text).expect("it makes sense");
    let specs: Vec<(&str, &str, usize, usize)> = (suite.tests.iter())
        .map(|test| (test.name.as_str(), test.spec.system.name(), test.spec.nodes, test.spec.script.len()))
        .collect();
    let expected = [
        ("zab-lock-unfenced-paused-holder-1", "zab", 3, 2),
        // It is one server alone.
        ("redis-lock-unfenced-paused-holder-1", "redis", 1, 2),
        ("redis-lock-paused-holder-1", "redis", 1, 2),
        ("paused-holder-1", "etcd", 3, 2),
    ];
    assert_eq!(specs, expected);
    assert_eq!(suite.left_out[0].what, "zab × lock × paused-holder");
    let again = format!("grudge test {script} --system redis --workload lock --nodes 1 ");
    assert!(suite.tests[2].again.starts_with(&again), "{}", suite.tests[2].again);
}

#[test]
fn what_makes_no_sense_is_named_with_its_line() {
    let zab = "[[matrix]]\nsystems = ['zab']\nworkloads = ['lock']\n";
    let table = [
        ("seeds = 3\nbudgets = '2h'", "line 2"),
        ("budget = 'soon'", "line 1"),
        ("budget = '0s'", "budget: a duration is above 0"),
        ("seeds = true", "a list as"),
        ("when-missing = 'cry'", "`fail` or `skip`"),
        ("seeds = 1", "there is no test"),
        (&format!("{zab}node = 3"), "line 4"),
        (&format!("{zab}set = {{ nodes = 0 }}"), "line 1: zab-lock: 0 nodes: a cluster has 1 to 64"),
        (&format!("{zab}set = {{ rate = 'fast' }}"), "or \"max\""),
        (&format!("{zab}faults = ['quake']"), "there are partition, pause, kill"),
        (&format!("{zab}seeds = []"), "at least one seed"),
        (
            &format!("\n\n{zab}exclude = [{{ system = 'raft', because = 'no' }}]"),
            "line 3: exclusion 1 leaves nothing out",
        ),
        (&format!("{zab}exclude = [{{ system = 'zab' }}]"), "because"),
        (&format!("{zab}seeds = [1, 1]"), "two tests `zab-lock-1`"),
        ("[[matrix]]\nsystems = ['paxos']\nworkloads = ['lock']", "there is no system `paxos`"),
        ("[[matrix]]\nsystems = ['no.toml']\nworkloads = ['lock']", "no.toml"),
        ("[[matrix]]\nsystems = ['zab']\nworkloads = ['lease']", "`lease` cannot be run over the zookeeper protocol"),
        ("[[test]]\nsystem = 'zab'\nset = { bugs = ['raft-stale-read'] }", "cannot be started with bug"),
        ("[[test]]\nsystem = 'etcd'\nfaults = 'kill@point'", "only replicas of our own"),
        ("\n[[test]]\nworkload = 'lock'", "line 2: a test has a `system`, or a `file`, or both"),
        (&format!("{zab}file = 'x.toml'\nfaults = ['kill']"), "line 1: a test of a file has the file's faults"),
        ("[[test]]\nfile = 'x.toml'\nfaults = 'kill'", "a test of a file has the file's faults"),
        ("[[test]]\nfile = 'no-such.toml'", "no-such.toml: No such file"),
    ];
    for (text, sentence) in table {
        let error = read(text).expect_err(text);
        assert!(error.contains(sentence) && error.contains("nightly.toml"), "{text}: {error}");
    }
}

/// Tests of so many seconds each.
fn tests_of(seconds: &[u64]) -> Vec<Test> {
    let entry =
        |(seed, seconds)| format!("[[test]]\nsystem = 'zab'\nseeds = [{seed}]\nset = {{ time = '{seconds}s' }}\n");
    let text: String = seconds.iter().enumerate().map(entry).collect();
    read(&text).expect("it makes sense").tests
}

fn outcomes(rows: &[report::Row]) -> Vec<&str> {
    rows.iter().map(|row| row.outcome.name()).collect()
}

#[tokio::test]
async fn what_does_not_fit_into_the_budget_is_not_run_and_lets_shorter_ones_pass() {
    let tests = tests_of(&[3_000, 10, 9_000, 20]);
    let (_stopper, stop) = stop::pair();
    let conduct = Conduct { jobs: 1, budget: Some(Duration::from_secs(4_000)) };
    let rows = conduct.run(&tests, stop, async |_| Outcome::Valid, |_| {}).await;
    assert_eq!(outcomes(&rows), ["valid", "valid", "not run", "valid"]);
    assert!(rows[2].outcome.reason().contains("budget of 1h 6m 40s"), "{}", rows[2].outcome.reason());
    assert!(rows[0].seconds.is_some() && rows[2].seconds.is_none());
}

#[tokio::test]
async fn so_many_run_at_a_time_and_rows_keep_the_order_of_the_file() {
    let tests = tests_of(&[5, 4, 3, 2, 1]);
    let (_stopper, stop) = stop::pair();
    let (running, most) = (Cell::new(0), Cell::new(0));
    let perform = async |test: Test| {
        running.set(running.get() + 1);
        most.set(most.get().max(running.get()));
        // Who was begun first ends last.
        for _ in 0..10 * (5 - test.spec.seed) {
            tokio::task::yield_now().await;
        }
        running.set(running.get() - 1);
        Outcome::Unknown { reason: test.spec.seed.to_string() }
    };
    let mut said = Vec::new();
    let conduct = Conduct { jobs: 2, budget: None };
    let rows = conduct.run(&tests, stop, perform, |row| said.push(row.seed)).await;
    assert_eq!(rows.iter().map(|row| row.outcome.reason()).collect::<Vec<_>>(), ["0", "1", "2", "3", "4"]);
    assert_eq!(most.get(), 2);
    said.sort_unstable();
    assert_eq!(said, [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn who_is_asked_to_stop_waits_for_what_runs_and_begins_nothing() {
    let tests = tests_of(&[5, 4, 3]);
    let (stopper, stop) = stop::pair();
    let heard = stop.clone();
    let perform = async |_| {
        stopper.stop();
        heard.clone().wait().await;
        Outcome::Unknown { reason: "interrupted".to_owned() }
    };
    let rows = Conduct { jobs: 1, budget: None }.run(&tests, stop, perform, |_| {}).await;
    assert_eq!(outcomes(&rows), ["unknown", "not run", "not run"]);
    assert_eq!(rows[2].outcome.reason(), "the suite was interrupted");
}
