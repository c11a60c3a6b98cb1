//! Whole runs with the real binary: processes, namespaces, faults, verdicts. They need what a cluster needs; where
//! `grudge doctor` says that something is missing they say so and pass.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use grudge::system::System;
use tempfile::TempDir;

mod binary;

use binary::{grudge, text, told, turn};

/// Runs a test into a store of its own; answers its output and its run folder.
fn test(store: &TempDir, arguments: &[&str]) -> (Output, PathBuf) {
    let store = store.path().to_str().expect("temporary paths are text");
    let mut all = vec!["test"];
    all.extend(arguments);
    all.extend(["--store", store]);
    let output = grudge(&all);
    let name = format!("{}-{}", arguments[0], arguments[2]);
    (output, Path::new(store).join(name).join("latest"))
}

fn results(folder: &Path) -> serde_json::Value {
    let text = std::fs::read_to_string(folder.join("results.json")).expect("results.json was written");
    serde_json::from_str(&text).expect("results.json is JSON")
}

#[test]
fn zab_keeps_its_promise_under_partitions_pauses_and_kills() {
    let Some(_turn) = turn("zab lock") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let (output, folder) = test(&store, &["zab", "--workload", "lock", "--time", "12s", "--seed", "11"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(text(&output.stdout).contains("verdict: valid"), "{}", told(&output));
    assert!(!text(&output.stdout).contains('\u{1b}'), "no colour in a pipe");

    let results = results(&folder);
    assert_eq!(results["verdict"], "valid");
    let faults = results["faults"].as_array().expect("faults are a list");
    assert!(faults.iter().any(|fault| fault["error"].is_null() && fault["receipt"].is_object()), "{faults:?}");
    for file in ["test.toml", "history.csv", "schedule.toml", "report.html", "junit.xml", "grudge.log", "nodes/n5/log"]
    {
        let length = std::fs::metadata(folder.join(file)).map(|meta| meta.len()).unwrap_or_default();
        assert!(length > 0, "{file} is missing or empty");
    }
    let page = std::fs::read_to_string(folder.join("report.html")).expect("the report is text");
    let fetched = ["src=\"http", "href=\"http", "url(http", "@import"];
    assert!(fetched.iter().all(|link| !page.contains(link)), "the report needs no network");

    let folder = folder.to_str().expect("temporary paths are text");
    let again = grudge(&["report", folder]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    assert!(text(&again.stdout).contains("verdict: valid"), "{}", told(&again));
    let judged = grudge(&["check", &format!("{folder}/history.csv")]);
    assert_eq!(judged.status.code(), Some(0), "{}", told(&judged));
}

#[test]
fn clients_that_are_cut_off_paused_and_killed_cost_no_promise() {
    let Some(_turn) = turn("client") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let faults = ["--faults", "client:one", "--nodes", "3", "--time", "15s", "--seed", "4"];
    let (output, folder) = test(&store, &[&["zab", "--workload", "register"], &faults[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let results = results(&folder);
    let faults = results["faults"].as_array().expect("faults are a list");
    let about_clients = |fault: &serde_json::Value| {
        fault["receipt"]["nodes"][0].as_str().is_some_and(|name| name.starts_with("client "))
    };
    assert!(faults.len() > 1 && faults.iter().all(about_clients), "{faults:?}");
    assert!(folder.join("clients/0.log").exists(), "what a client complains of is kept");
}

#[test]
fn raft_keeps_its_promise_and_its_test_file_runs_again() {
    let Some(_turn) = turn("raft register") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["raft", "--workload", "register", "--time", "8s", "--seed", "12", "--nodes", "3"];
    let (output, folder) = test(&store, &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let first = std::fs::read_to_string(folder.join("test.toml")).expect("test.toml was written");

    let file = store.path().join("again.toml");
    std::fs::write(&file, &first).expect("a temporary file");
    let file = file.to_str().expect("temporary paths are text");
    let store = store.path().to_str().expect("temporary paths are text");
    let output = grudge(&["test", file, "--time", "2s", "--faults", "none", "--store", store, "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).expect("only JSON on standard output");
    assert_eq!(results["spec"]["seed"], 12);
    assert_eq!(results["spec"]["time"], "2s");
}

#[test]
fn a_system_that_only_a_file_describes_is_tested_and_its_run_needs_the_file_no_more() {
    let Some(_turn) = turn("a file") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let place = store.path().to_str().expect("temporary paths are text");
    let zab = Path::new(env!("CARGO_MANIFEST_DIR")).join("../nodes/systems/zab.toml");
    let text = std::fs::read_to_string(zab).expect("it is there").replacen("\"zab\"", "\"mine\"", 1);
    let file = store.path().join("mine.toml");
    std::fs::write(&file, text).expect("a temporary file");
    let arguments = ["--nodes", "3", "--time", "3s", "--faults", "kill:leader", "--store", place];
    let output = grudge(&[&["test", file.to_str().expect("temporary paths are text")], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));

    std::fs::remove_file(&file).expect("it was written");
    let run = store.path().join("mine-register/latest");
    let output = grudge(&["replay", run.to_str().expect("temporary paths are text"), "--store", place]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
}

/// Whether a system of others is there.
fn is_installed(system: &str) -> bool {
    let installed = System::named(system).expect("it is known").installed();
    if let Err(missing) = &installed {
        eprintln!("skipped: {system}: {missing}");
    }
    installed.is_ok()
}

/// A system of others comes up, is broken as any other, and keeps its promise.
fn keeps_its_promise_if_installed(system: &str, workload: &str, nodes: &str) {
    let Some(_turn) = turn(system) else { return };
    if !is_installed(system) {
        return;
    }
    let store = tempfile::tempdir().expect("a temporary folder");
    let faults = ["--nodes", nodes, "--faults", "kill:leader", "--time", "4s", "--seed", "21"];
    let (output, folder) = test(&store, &[&[system, "--workload", workload], &faults[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let results = results(&folder);
    let faults = results["faults"].as_array().expect("faults are a list");
    assert!(faults.iter().any(|fault| fault["receipt"].is_object()), "its leader was found and killed: {faults:?}");
}

#[test]
fn etcd_itself_keeps_its_promise() {
    keeps_its_promise_if_installed("etcd", "lock", "3");
}

#[test]
fn zookeeper_itself_keeps_its_promise() {
    keeps_its_promise_if_installed("zookeeper", "register", "3");
}

#[test]
fn redis_itself_keeps_its_promise() {
    keeps_its_promise_if_installed("redis", "lock", "1");
}

#[test]
fn plain_reads_of_zookeeper_are_not_linearizable_and_synced_ones_are() {
    let Some(_turn) = turn("plain reads") else { return };
    if !is_installed("zookeeper") {
        return;
    }
    let store = tempfile::tempdir().expect("a temporary folder");
    let store = store.path().to_str().expect("temporary paths are text");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/plain-reads.toml");
    let run = |options: &[&str]| grudge(&[&["test", script, "--store", store], options].concat());
    // Who reads what meanwhile is not in the seed's hand.
    let plain = ["1", "2", "3"].map(|seed| ["--fail-fast", "--seed", seed]);
    let found = plain.iter().any(|options| text(&run(options).stdout).contains("linearizable cas-register: invalid"));
    assert!(found, "it was not shown in three runs");
    let synced = run(&["--workload", "register"]);
    assert_eq!(synced.status.code(), Some(0), "{}", told(&synced));
}

#[test]
fn a_system_that_is_not_installed_is_one_sentence_before_anything_is_started() {
    let store = tempfile::tempdir().expect("a temporary folder");
    let path = store.path().to_str().expect("temporary paths are text");
    for command in ["test", "up"] {
        let mut grudge = Command::new(env!("CARGO_BIN_EXE_grudge"));
        let output = grudge.args([command, "etcd", "--store", path]).env("PATH", path).output();
        let output = output.expect("the binary was built");
        assert_eq!(output.status.code(), Some(255), "{}", told(&output));
        let sentence =
            "grudge: system `etcd` needs etcd, which is not on this machine: sudo apt-get install etcd-server\n";
        assert_eq!(text(&output.stderr), sentence);
    }
    assert_eq!(std::fs::read_dir(store.path()).expect("a folder").count(), 0, "no run has begun");
}

#[test]
fn a_planted_stale_read_is_found_with_a_witness() {
    let Some(_turn) = turn("raft-stale-read") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let arguments = ["raft", "--workload", "register", "--bug", "raft-stale-read", "--time", "40s", "--seed", "3"];
    // Nearly every leader that is cut off under so many reads answers one too many.
    let hard = ["--faults", "partition:leader,pause:leader", "--rate", "1000", "--concurrency", "20"];
    let (output, folder) = test(&store, &[&arguments[..], &hard].concat());
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let results = results(&folder);
    let judgements = results["judgements"].as_array().expect("judgements are a list");
    let broken = judgements.iter().find(|judged| judged["verdict"] == "invalid").expect("one is broken");
    assert!(broken["checker"].as_str().is_some_and(|name| name.starts_with("linearizable")), "{broken}");
    let events = broken["witness"]["events"].as_array().expect("a witness has events");
    assert!(!events.is_empty() && events.len() < 40, "{} events: a person can read them", events.len());
}

#[test]
fn a_store_that_cannot_be_written_is_a_failure_of_the_harness() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("file");
    std::fs::write(&file, "").expect("a temporary file");
    let file = file.to_str().expect("temporary paths are text");
    let output = grudge(&["test", "zab", "--time", "1s", "--store", file]);
    assert_eq!(output.status.code(), Some(255), "{}", told(&output));
    assert!(text(&output.stderr).contains("choose another folder with --store DIR"), "{}", told(&output));
}

#[test]
fn a_disk_that_fills_up_is_a_failure_of_the_harness_and_no_verdict() {
    let Some(_turn) = turn("full disk") else { return };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = folder.path().to_str().expect("temporary paths are text");
    // A file system of its own, in mounts of its own: the disk is full and nobody else notices.
    let script = format!(
        "mount -t tmpfs -o size=256k tmpfs {place} && exec {} test zab --nodes 3 --time 20s --rate max --store {place}",
        env!("CARGO_BIN_EXE_grudge")
    );
    let output = Command::new("unshare").args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).output();
    let output = match output {
        Ok(output) if !text(&output.stderr).contains("unshare") => output,
        other => {
            eprintln!("skipped: full disk: no private mounts here: {other:?}");
            return;
        }
    };
    assert_eq!(output.status.code(), Some(255), "{}", told(&output));
    assert!(text(&output.stderr).contains("--store DIR"), "{}", told(&output));
}

#[test]
fn ctrl_c_leaves_a_readable_history_and_nothing_else() {
    let Some(_turn) = turn("Ctrl-C") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let mut running = Command::new(env!("CARGO_BIN_EXE_grudge"))
        .args(["test", "zab", "--time", "10m", "--seed", "5", "-v", "--store"])
        .arg(store.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    let mut log = BufReader::new(running.stderr.take().expect("it is piped"));
    let mut line = String::new();
    while !line.contains("in force") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("the log is text"), 0, "it ended before the first fault");
    }
    let interrupted = Command::new("kill").args(["-INT", &running.id().to_string()]).status().expect("kill exists");
    assert!(interrupted.success());
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut log, &mut rest).expect("the log is text");
    let output = running.wait_with_output().expect("it can be waited for");
    assert_eq!(output.status.code(), Some(2), "{}\n{rest}", text(&output.stdout));
    assert!(text(&output.stdout).contains("the run was interrupted"), "{}", text(&output.stdout));
    let history = store.path().join("zab-register/latest/history.csv");
    let judged = grudge(&["check", history.to_str().expect("temporary paths are text")]);
    assert_eq!(judged.status.code(), Some(0), "{}", told(&judged));
    let place = store.path().to_str().expect("temporary paths are text");
    let left = std::fs::read_dir("/proc")
        .expect("/proc is there")
        .flatten()
        .filter(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| text(&line).contains(place)));
    assert_eq!(left.count(), 0, "no replica outlives the harness");
}
