//! Scripts on real processes: triggers, traps and what the replicas wrote down, with the real binary. They need what a
//! cluster needs; where `grudge doctor` says that something is missing they say so and pass.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::path::{Path, PathBuf};
use std::process::Output;

use grudge::system::System;
use serde_json::Value;
use tempfile::TempDir;

mod binary;

use binary::{grudge, told, turn};

/// A test file of three nodes with that script.
fn written(store: &TempDir, bugs: &str, time: &str, script: &str) -> String {
    let path = store.path().join("script.toml");
    let file = format!(
        "system = \"zab\"\nworkload = \"register\"\nbugs = [{bugs}]\nnodes = 3\nconcurrency = 6\nrate = 100.0\n\
         seed = 3\ntime = \"{time}\"\ntimeout = \"2s\"\nttl = \"4s\"\nrecovery = \"30s\"\n{script}"
    );
    std::fs::write(&path, file).expect("a temporary file");
    path.to_str().expect("temporary paths are text").to_owned()
}

/// Plays a test file on real processes; answers its output and its run folder.
fn play(store: &TempDir, file: &str) -> (Output, PathBuf) {
    let place = store.path().to_str().expect("temporary paths are text");
    let output = grudge(&["test", file, "--store", place]);
    (output, store.path().join("zab-register/latest"))
}

fn results(folder: &Path) -> Value {
    let text = std::fs::read_to_string(folder.join("results.json")).expect("results.json was written");
    serde_json::from_str(&text).expect("results.json is JSON")
}

fn schedule(folder: &Path) -> Vec<toml::Table> {
    let text = std::fs::read_to_string(folder.join("schedule.toml")).expect("schedule.toml was written");
    let file: toml::Table = text.parse().expect("schedule.toml is TOML");
    let faults = file["fault"].as_array().expect("faults are a list");
    faults.iter().map(|fault| fault.as_table().expect("a fault is a table").clone()).collect()
}

fn judged<'a>(results: &'a Value, checker: &str) -> &'a Value {
    let judgements = results["judgements"].as_array().expect("judgements are a list");
    judgements.iter().find(|judged| judged["checker"] == checker).unwrap_or_else(|| panic!("nobody judged {checker}"))
}

/// The leader is killed; whoever is established next is held at that moment, and paused there; the change of leader
/// that follows brings the next fault.
const TRIGGERS: &str = r#"
[[script]]
when = { acknowledged = 50 }
fault = { kill = "leader" }
hold = "1s"

[[script]]
when = { point = "zab-established" }
within = "20s"
fault = { pause = "here" }
hold = "6s"

[[script]]
when = { leader = 1, then = "100ms" }
within = "20s"
fault = { partition = "one" }
hold = "1s"

[[script]]
when = { leader = 9 }
within = "500ms"
fault = { kill = "all" }
"#;

#[test]
fn a_script_plays_on_real_processes_by_its_triggers_and_can_be_replayed() {
    let Some(_turn) = turn("script") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let file = written(&store, "", "20s", TRIGGERS);
    let (output, folder) = play(&store, &file);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));

    let results = results(&folder);
    assert_eq!(judged(&results, "replicas")["verdict"], "valid", "{}", told(&output));
    let faults = results["faults"].as_array().expect("faults are a list");
    let kinds: Vec<&str> = faults.iter().filter_map(|fault| fault["kind"].as_str()).collect();
    assert_eq!(kinds, ["kill", "pause", "partition", "kill"], "{faults:?}");
    assert!(faults[..3].iter().all(|fault| fault["error"].is_null() && fault["receipt"].is_object()), "{faults:?}");
    let held = &faults[1]["receipt"]["held"];
    assert_eq!(held["point"], "zab-established", "{faults:?}");
    assert!(held["process"]["threads"].as_u64() > Some(1), "every thread was seen stopped: {faults:?}");

    let schedule = schedule(&folder);
    assert!(schedule[0]["since"]["acknowledged"].as_integer() >= Some(50), "{schedule:?}");
    let here = schedule[1]["here"].as_str().expect("the schedule names who was caught");
    assert_eq!(schedule[1]["done"]["pause"]["nodes"][0].as_str(), Some(here));
    assert_eq!(held["process"]["node"].as_str(), Some(here));
    assert_eq!(schedule[2]["since"]["leaders"].as_integer(), Some(1), "{schedule:?}");
    let never = schedule[3]["error"].as_str().expect("nine changes of leader never came");
    assert!(never.starts_with("never came within 500ms"), "{never}");

    let place = store.path().to_str().expect("temporary paths are text");
    let again = grudge(&["replay", folder.to_str().expect("text"), "--store", place, "--json"]);
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
    let replayed: Value = serde_json::from_slice(&again.stdout).expect("only JSON on standard output");
    assert_eq!((&replayed["recorded"], &replayed["came_back"]), (&"valid".into(), &1.into()), "{replayed}");
    let second = self::schedule(Path::new(replayed["tries"][0]["run"].as_str().expect("a folder")));
    let drawn = |schedule: &[toml::Table]| -> Vec<toml::Value> {
        schedule.iter().filter(|fault| !fault.contains_key("error")).map(|fault| fault["drawn"].clone()).collect()
    };
    assert_eq!(drawn(&second), drawn(&schedule[..3]), "the same roles were hit again");
    assert_eq!(second[1]["when"]["point"].as_str(), Some("zab-established"));
}

/// The leader is killed; whoever becomes one is paused, and whoever follows next is cut off.
const ROLES: &str = r#"
[[script]]
when = { acknowledged = 50 }
fault = { kill = "leader" }
hold = "3s"

[[script]]
when = { role = "leader" }
within = "20s"
fault = { pause = "here" }
hold = "1s"

[[script]]
when = { role = "follower" }
within = "20s"
fault = { partition = "here" }
hold = "1s"
"#;

#[test]
fn faults_hit_the_node_that_has_just_become_what_was_waited_for() {
    let Some(_turn) = turn("roles") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let file = written(&store, "", "24s", ROLES);
    let (output, folder) = play(&store, &file);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let results = results(&folder);
    let faults = results["faults"].as_array().expect("faults are a list");
    let kinds: Vec<&str> = faults.iter().filter_map(|fault| fault["kind"].as_str()).collect();
    assert_eq!(kinds, ["kill", "pause", "partition"], "{faults:?}");
    assert!(faults.iter().all(|fault| fault["error"].is_null() && fault["receipt"].is_object()), "{faults:?}");

    let schedule = schedule(&folder);
    let deposed = schedule[0]["done"]["kill"]["nodes"][0].as_str();
    let [leader, follower] = [1, 2].map(|place| schedule[place]["here"].as_str().expect("who was seen is named"));
    assert_ne!(Some(leader), deposed, "a dead node does not lead");
    assert_eq!(schedule[1]["done"]["pause"]["nodes"][0].as_str(), Some(leader));
    assert_eq!(faults[2]["receipt"]["evidence"]["links"]["silent"].as_array().map(Vec::len), Some(4), "{faults:?}");
    let cut = schedule[2]["done"].to_string();
    assert!(cut.contains(follower), "{cut}");
}

/// What the paused lock holder's script comes to, of that system under that workload.
fn paused_holder(store: &TempDir, system: &str, workload: &str) -> (Output, Value) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/paused-holder.toml");
    let [file, place] = [&file, store.path()].map(|path| path.to_str().expect("temporary paths are text"));
    let output = grudge(&["test", file, "--system", system, "--workload", workload, "--store", place]);
    let results = results(&store.path().join(format!("{system}-{workload}/latest")));
    let faults = results["faults"].as_array().expect("faults are a list");
    let paused = faults.iter().filter_map(|fault| fault["receipt"]["evidence"]["stopped"][0]["node"].as_str());
    assert!(paused.clone().count() > 0 && paused.clone().all(|who| who.starts_with("client ")), "{faults:?}");
    (output, results)
}

/// Two hold at once if a holder stands still for longer than its lease lives, and only a proof by a token finds out.
fn holds_with_another(system: &str) {
    let Some(_turn) = turn(system) else { return };
    if let Err(missing) = System::named(system).expect("it is known").installed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let store = tempfile::tempdir().expect("a temporary folder");
    let (output, results) = paused_holder(&store, system, "lock-unfenced");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let broken = judged(&results, "linearizable mutex");
    let witness = broken["witness"]["events"].as_array().expect("a witness has events");
    assert!(witness.len() >= 4 && witness.iter().all(|event| event["f"] == "acquire"), "{broken}");
    let holders =
        |results: &Value| judged(results, "holders")["witness"]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(holders(&results).starts_with("two holders at once: "), "{}", told(&output));
    for harness in ["faults", "processes", "liveness"] {
        assert_eq!(judged(&results, harness)["verdict"], "valid", "{}", told(&output));
    }
    let (output, results) = paused_holder(&store, system, "lock");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert_eq!(judged(&results, "linearizable fenced-mutex")["verdict"], "valid");
    assert!(holders(&results).starts_with("an expired holder was fenced off: "), "{}", told(&output));
}

#[test]
fn a_paused_holder_of_a_lease_and_another_hold_at_once_unless_they_prove() {
    holds_with_another("raft");
}

#[test]
fn a_paused_holder_of_a_key_with_a_time_to_live_and_another_hold_at_once_unless_they_prove() {
    holds_with_another("redis");
}

#[test]
fn a_paused_holder_of_a_session_and_another_hold_at_once_unless_they_prove() {
    holds_with_another("zab");
}

/// A failover of Redis with sentinels loses what the old master acknowledged meanwhile, and the harness finds it.
#[test]
fn a_write_that_a_failover_loses_is_found() {
    let Some(_turn) = turn("redis-sentinel") else { return };
    if let Err(missing) = System::named("redis-sentinel").expect("it is known").installed() {
        eprintln!("skipped: {missing}");
        return;
    }
    let store = tempfile::tempdir().expect("a temporary folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/lost-write.toml");
    let [file, place] = [&script, store.path()].map(|path| path.to_str().expect("temporary paths are text"));
    let output = grudge(&["test", file, "--store", place]);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let results = results(&store.path().join("redis-sentinel-register/latest"));
    assert_eq!(judged(&results, "linearizable cas-register")["verdict"], "invalid", "{}", told(&output));
    for harness in ["faults", "processes"] {
        assert_eq!(judged(&results, harness)["verdict"], "valid", "{}", told(&output));
    }
}

/// A leader of a new epoch dies at the very moment at which it is established, before there is a transaction of that
/// epoch. Its follower restarts meanwhile, and has forgotten that it promised the epoch.
const SAME_EPOCH: &str = r#"
[[script]]
when = { at = "2s" }
fault = { kill = "leader" }
hold = "3s"

[[script]]
when = { point = "zab-established" }
within = "20s"
fault = { kill = "here" }
hold = "12s"

[[script]]
when = { previous = "0s" }
fault = { kill = "all" }
hold = "100ms"
"#;

#[test]
fn two_leaders_of_one_epoch_are_seen_in_what_the_replicas_wrote_down() {
    let Some(_turn) = turn("replicas") else { return };
    let store = tempfile::tempdir().expect("a temporary folder");
    let file = written(&store, "\"zab-forget-accepted\"", "18s", SAME_EPOCH);
    let (output, folder) = play(&store, &file);
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let results = results(&folder);
    let replicas = judged(&results, "replicas");
    assert_eq!(replicas["verdict"], "invalid", "{}", told(&output));
    let reason = replicas["witness"]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("leader uniqueness: "), "{reason}");

    let file = written(&store, "", "18s", SAME_EPOCH);
    let (output, folder) = play(&store, &file);
    assert_eq!(output.status.code(), Some(0), "without the bug: {}", told(&output));
    assert_eq!(judged(&self::results(&folder), "replicas")["verdict"], "valid");
}
