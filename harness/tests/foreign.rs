//! Systems and clients of others: a file describes the one, a program that keeps to the lines is the other. They need
//! python3, and say so where it is missing.

#![expect(clippy::print_stderr, reason = "a test that is skipped says why")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::MutexGuard;

use serde_json::Value;
use tempfile::TempDir;

mod binary;

use binary::{grudge, text, told};

/// Registers in the memory of one process; what is said of its clients follows.
const KV: &str = r#"
name = "kv"
about = "registers in memory"
client-port = 8000
command = ["python3", "{here}/kv.py", "{ip}", "8000"]
needs = [{ file = "python3", install = "sudo apt-get install python3" }]
"#;

/// As clients of ours are told to use it.
const OVER_HTTP: &str = r#"
[http]
read = { request = "GET /{key}", absent = [{ status = 404 }] }
write = { request = "PUT /{key}", body = "{value}" }
"#;

/// A client that leaves whoever listens to it in the lurch, each in its own way.
const UNRULY: &str = r#"
import json, sys, time

for line in sys.stdin:
    told, said = json.loads(line), json.dumps({"type": "ok"})
    if told["type"] == "start":
        worker = told["worker"]
    elif told["type"] == "invoke" and worker == 0:
        said = "hello"
    elif told["type"] == "invoke" and worker == 1:
        sys.exit("enough")
    elif told["type"] == "invoke" and worker == 2:
        time.sleep(1000)
    elif told["type"] == "invoke":
        said = json.dumps({"type": "fail", "error": "taken"})
    print(said, flush=True)
"#;

/// Waits for its turn; nothing if this machine cannot run such a test.
fn turn(test: &str) -> Option<MutexGuard<'static, ()>> {
    if Command::new("python3").arg("--version").output().is_err() {
        eprintln!("skipped: {test}: python3 is not installed");
        return None;
    }
    binary::turn(test)
}

/// The file of the small system, with these lines, in a folder of its own.
fn described(lines: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("kv.toml"), KV.to_owned() + lines).expect("a temporary file");
    fs::write(folder.path().join("kv.py"), include_str!("foreign/kv.py")).expect("a temporary file");
    folder
}

/// Runs a test of that system.
fn test(folder: &TempDir, arguments: &[&str]) -> Output {
    let path = |name: &str| folder.path().join(name).to_str().expect("temporary paths are text").to_owned();
    let (file, store) = (path("kv.toml"), path("store"));
    grudge(&[&["test", &file, "--store", &store, "--seed", "3"], arguments].concat())
}

fn results(folder: &TempDir, workload: &str) -> Value {
    let file = folder.path().join(format!("store/kv-{workload}/latest/results.json"));
    serde_json::from_str(&fs::read_to_string(file).expect("results.json was written")).expect("results.json is JSON")
}

/// Runs a script until it shows what it is there to show, of a system that is installed; what it says then.
fn shows(script: &str, needs: &[&str], options: &[&str]) -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |program: &&str| std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if let Some(missing) = needs.iter().find(|program| !there(program)) {
        eprintln!("skipped: {script}: {missing} is not installed");
        return None;
    }
    let _turn = turn(script)?;
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts");
    let file = scripts.join(script);
    let store = tempfile::tempdir().expect("a temporary folder");
    let text_of = |path: &Path| path.to_str().expect("these paths are text").to_owned();
    let (file, store) = (text_of(&file), text_of(store.path()));
    let mut last = String::new();
    // Whom a fault meets, and doing what, is not in the seed's hand.
    for seed in ["1", "2", "3"] {
        let output = grudge(&[&["test", &file, "--store", &store, "--seed", seed], options].concat());
        last = told(&output);
        match output.status.code() {
            Some(1) => return Some(text(&output.stdout)),
            Some(0 | 2) => {}
            _ => panic!("{last}"),
        }
    }
    panic!("it was not shown in three runs: {last}");
}

#[test]
fn a_lock_of_etcdctl_has_two_holders_once_one_was_paused() {
    let client = concat!("python3 ", env!("CARGO_MANIFEST_DIR"), "/scripts/etcdctl.py");
    let Some(said) = shows("etcdctl-lock.toml", &["etcd", "etcdctl"], &["--client", client]) else { return };
    assert!(said.contains("linearizable mutex: invalid") && said.contains("acquired at"), "{said}");
}

#[test]
fn a_leader_of_rnacos_that_is_cut_off_acknowledges_writes_alone() {
    let Some(said) = shows("rnacos-isolated-leader.toml", &["rnacos", "curl"], &[]) else { return };
    assert!(said.contains("linearizable cas-register: invalid") && said.contains("at n1"), "{said}");
}

/// The example of the page about clients.
fn example() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../workloads/CLIENTS.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let (_, code) = page.split_once("```python\n").expect("the page has an example");
    code.split_once("```").expect("the example has an end").0.to_owned()
}

/// One node keeps every promise while it lives, and nothing of what it was told beyond that.
fn keeps_its_promise_until_it_dies(folder: &TempDir) {
    let once = ["--nodes", "1", "--time", "6s", "--timeout", "1s"];
    let output = test(folder, &[&once[..], &["--faults", "pause"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let results = results(folder, "register");
    assert!(results["faults"].as_array().is_some_and(|faults| !faults.is_empty()), "{results}");
    assert!(results["operations"].to_string().contains("write"), "{results}");

    let output = test(folder, &[&once[..], &["--faults", "kill"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(text(&output.stdout).contains("linearizable cas-register: invalid"), "{}", told(&output));
}

#[test]
fn a_system_that_speaks_http_needs_a_file_and_nothing_else() {
    let Some(_turn) = turn("http") else { return };
    keeps_its_promise_until_it_dies(&described(OVER_HTTP));
}

#[test]
fn the_example_of_a_client_does_what_it_says() {
    let Some(_turn) = turn("example") else { return };
    let folder = described("client = ['python3', '{here}/client.py']\nworkloads = ['register']");
    fs::write(folder.path().join("client.py"), example()).expect("a temporary file");
    keeps_its_promise_until_it_dies(&folder);
}

#[test]
fn clients_of_what_is_described_are_hit_by_faults_as_any() {
    let Some(_turn) = turn("http clients") else { return };
    let folder = described(OVER_HTTP);
    let output = test(&folder, &["--nodes", "1", "--time", "8s", "--faults", "client:one"]);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(text(&output.stdout).contains("client one"), "{}", told(&output));
}

#[test]
fn a_client_that_does_not_keep_to_the_lines_ends_as_an_outcome() {
    let Some(_turn) = turn("unruly") else { return };
    let folder = described("client = ['python3', '{here}/client.py']\nworkloads = ['lock-unfenced']");
    fs::write(folder.path().join("client.py"), UNRULY).expect("a temporary file");
    let quiet = ["--nodes", "1", "--concurrency", "4", "--faults", "none", "--time", "3s", "--timeout", "200ms"];
    let output =
        test(&folder, &[&quiet[..], &["--recovery", "1s", "--workload", "lock-unfenced", "--rate", "50"]].concat());
    // Nobody has ever acquired anything, and so nobody has come back.
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    for token in ["client-garbage", "client-died", "client-stuck", "taken"] {
        assert!(text(&output.stdout).contains(token), "{token}: {}", told(&output));
    }
    let log = folder.path().join("store/kv-lock-unfenced/latest/clients/1.log");
    assert!(fs::read_to_string(log).is_ok_and(|said| said.contains("enough")), "what it complains of is kept");
}

#[test]
fn what_such_a_system_cannot_be_asked_is_refused_before_anything_is_started() {
    let folder = described(OVER_HTTP);
    let table = [
        (["--faults", "kill:leader"], "`kill:leader`: nobody knows how to ask `kv` who leads"),
        (["--workload", "lock"], "The workload `lock` cannot be run over HTTP. There can be run: register."),
    ];
    for (arguments, sentence) in table {
        let output = test(&folder, &arguments);
        assert_eq!(output.status.code(), Some(254), "{}", told(&output));
        assert!(text(&output.stderr).contains(sentence), "{}", told(&output));
    }
    assert!(!folder.path().join("store").exists(), "no run has begun");
}
