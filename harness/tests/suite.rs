//! Whole suites with the real binary.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};

mod binary;

use binary::{grudge, text, told, turn};

fn small() -> String {
    format!("{}/suites/small.toml", env!("CARGO_MANIFEST_DIR"))
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

#[test]
fn a_suite_keeps_promises_finds_a_planted_bug_and_says_so_everywhere() {
    let Some(_turn) = turn("suite") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (store, summary) = (folder.path().join("store"), folder.path().join("summary.md"));
    fs::write(&summary, "what was there\n").expect("a temporary file");
    let output = grudge(&["suite", &small(), "--store", path(&store), "--summary", path(&summary), "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("only JSON on standard output");
    let rows: Vec<(&str, &str)> = report["tests"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|row| (row["name"].as_str().unwrap_or_default(), row["outcome"].as_str().unwrap_or_default()))
        .collect();
    assert_eq!(rows, [("zab-lock-3", "valid"), ("raft-stale-read-3", "invalid")], "{report}");
    assert!(text(&output.stderr).contains("[2/2] raft-stale-read-3: invalid, as it should"), "{}", told(&output));

    let page = fs::read_to_string(&summary).expect("the summary was written");
    assert!(page.starts_with("what was there\n## small"), "it is appended: {page}");
    let kept = fs::read_dir(store.join("suite-small")).expect("a folder").flatten().next().expect("the suite's");
    let junit = fs::read_to_string(kept.path().join("junit.xml")).expect("junit.xml was written");
    assert!(junit.contains("tests=\"2\" skipped=\"0\" failures=\"0\" errors=\"0\""), "{junit}");
    let run = kept.path().join("raft-stale-read-3/raft-register/latest");
    for file in ["history.csv", "results.json", "report.html"] {
        assert!(run.join(file).is_file(), "{file} of each run is kept");
    }
}

#[test]
fn a_bug_that_is_not_found_and_a_system_that_is_missing_are_told_apart() {
    let Some(_turn) = turn("suite") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("quiet.toml");
    let quiet = "system = 'raft'\nfaults = 'none'\nexpect = 'invalid'\nset = { time = '2s', nodes = 1 }";
    fs::write(&file, format!("seeds = [1]\n[[test]]\nsystem = 'etcd'\n[[test]]\n{quiet}\n")).expect("a file");
    let suite = |only: &str| {
        let mut grudge = Command::new(env!("CARGO_BIN_EXE_grudge"));
        // Where nothing is installed that comes from others.
        grudge.args(["suite", path(&file), "--only", only, "--store", path(folder.path())]);
        grudge.env("PATH", "/usr/sbin:/sbin").output().expect("the binary was built")
    };
    let missing = suite("etcd");
    assert_eq!(missing.status.code(), Some(255), "{}", told(&missing));
    assert!(text(&missing.stdout).contains("sudo apt-get install etcd-server"), "{}", told(&missing));
    let missed = suite("raft");
    assert_eq!(missed.status.code(), Some(1), "{}", told(&missed));
    assert!(text(&missed.stdout).contains("valid, but should be invalid"), "{}", told(&missed));
    let both = suite("register-1");
    assert_eq!(both.status.code(), Some(1), "no failure of the harness hides it: {}", told(&both));
}

#[test]
fn after_ctrl_c_what_ran_is_reported_and_the_rest_is_named() {
    let Some(_turn) = turn("suite") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("long.toml");
    fs::write(&file, "seeds = [1, 2]\nset = { time = '10m' }\n[[test]]\nsystem = 'zab'\n").expect("a file");
    let mut running = Command::new(env!("CARGO_BIN_EXE_grudge"))
        .args(["suite", path(&file), "--store", path(folder.path())])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut said = BufReader::new(running.stderr.take().expect("it is piped"));
    said.read_line(&mut String::new()).expect("it says what it begins");
    let run = || fs::read_dir(folder.path().join("suite-long")).ok()?.flatten().next();
    let history = || run().map(|run| run.path().join("zab-register-1/zab-register/latest/history.csv"));
    // The first operations are written.
    while !history().is_some_and(|history| fs::metadata(history).is_ok_and(|file| file.len() > 1_000)) {
        assert_eq!(running.try_wait().expect("it is our child"), None, "it ended before");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let interrupted = Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill exists");
    assert!(interrupted.success());
    let mut rest = String::new();
    said.read_to_string(&mut rest).expect("text");
    let output = running.wait_with_output().expect("it can be waited for");
    assert_eq!(output.status.code(), Some(2), "{}\n{rest}", text(&output.stdout));
    let table = text(&output.stdout);
    assert!(table.contains("the run was interrupted") && table.contains("the suite was interrupted"), "{table}");
    let place = path(folder.path());
    let left = fs::read_dir("/proc").expect("/proc is there").flatten();
    let left =
        left.filter(|entry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| text(&line).contains(place)));
    assert_eq!(left.count(), 0, "no test outlives the suite");
}

#[test]
fn a_bad_suite_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("bad.toml");
    fs::write(&file, "seeds = 1\n[[test]]\nsystem = 'paxos'\n").expect("a file");
    let output = grudge(&["suite", path(&file)]);
    assert_eq!(output.status.code(), Some(254), "{}", told(&output));
    assert!(text(&output.stderr).contains("line 2: paxos-register: there is no system `paxos`"), "{}", told(&output));
    let shard = grudge(&["suite", &small(), "--shard", "3/2"]);
    assert_eq!(shard.status.code(), Some(254), "{}", told(&shard));
}
