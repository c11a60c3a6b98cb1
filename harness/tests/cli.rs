//! The real binary from the outside: what it refuses, in which words, with which exit code.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn grudge(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_grudge")).args(arguments).output().expect("the binary was built")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn written(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a temporary file");
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

/// Each is refused with 254 before anything is started, by a complaint that contains what would be right.
#[test]
fn bad_arguments_are_refused_with_one_sentence() {
    let table: [(&[&str], &str); 21] = [
        (&["quake"], "unrecognized subcommand"),
        (&["test"], "SYSTEM|FILE.toml"),
        (
            &["test", "paxos"],
            "there is no system `paxos`; the systems known are: raft, zab, etcd, etcd-3.5.1, zookeeper",
        ),
        (&["test", "zab", "--workload", "queue"], "no workload `queue`"),
        (&["test", "zab", "--bug", "gremlin"], "zab-skip-trunc"),
        (&["test", "zab", "--bug", "raft-stale-read"], "cannot be started with bug `raft-stale-read`"),
        (&["test", "zab", "--faults", "quake"], "there are partition, pause, kill"),
        (&["test", "zab", "--time", "soon"], "a duration looks like 30s"),
        (&["test", "zab", "--time", "0s"], "above 0"),
        (&["test", "zab", "--nodes", "0"], "a cluster has 1 to 64"),
        (&["test", "zab", "--concurrency", "0"], "a run has 1 to 10000"),
        (&["test", "zab", "--rate", "-1"], "above 0"),
        (&["test", "zab", "--rate", "many"], "or `max`"),
        (&["test", "zab", "--seed", "-1"], "invalid value '-1' for '--seed"),
        (&["test", "no-such.toml"], "no-such.toml: No such file"),
        (&["test", "no/such"], "no/such: No such file"),
        (&["up", "no-such.toml"], "no-such.toml describes no system: No such file"),
        (&["test", "zab", "--system", "raft"], "`zab` is a system: say `raft` in its place"),
        (&["test", "redis", "--nodes", "3"], "system `redis` has at most 1 node, not 3"),
        (&["up", "paxos"], "there is no system `paxos`"),
        (&["report", "/"], "is not the folder of a run"),
    ];
    for (arguments, sentence) in table {
        let output = grudge(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(code(&output), 254, "{arguments:?}: {complaint}");
        assert!(complaint.contains(sentence), "{arguments:?} said: {complaint}");
        assert!(output.stdout.is_empty(), "{arguments:?}: a complaint is no result");
    }
}

#[test]
fn a_test_file_with_an_unknown_word_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = written(&folder, "test.toml", "system = \"zab\"\nworkloads = \"lock\"\n");
    let output = grudge(&["test", path(&file)]);
    let complaint = text(&output.stderr);
    assert_eq!(code(&output), 254, "{complaint}");
    assert!(complaint.contains("line 2") && complaint.contains("workloads"), "{complaint}");
}

#[test]
fn a_file_that_describes_no_system_is_refused_with_its_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = written(&folder, "mine.toml", "name = \"mine\"\nprotocol = \"telepathy\"\n");
    for command in ["test", "up", "sim"] {
        let output = grudge(&[command, path(&file)]);
        let complaint = text(&output.stderr);
        assert_eq!(code(&output), 254, "{command}: {complaint}");
        assert!(complaint.contains("mine.toml describes no system"), "{command}: {complaint}");
        assert!(complaint.contains("line 2") && complaint.contains("telepathy"), "{command}: {complaint}");
    }
}

#[test]
fn help_and_version_are_answers() {
    for arguments in [["--help"], ["--version"]] {
        let output = grudge(&arguments);
        assert_eq!(code(&output), 0);
        assert!(!output.stdout.is_empty() && output.stderr.is_empty());
    }
}

#[test]
fn a_system_that_is_not_here_is_listed_with_what_installs_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let lines = "like = \"etcd\"\nname = \"mine\"\nabout = \"of my own\"\n\
                 needs = [{ file = \"/no/such\", install = \"make it\" }]";
    let file = written(&folder, "mine.toml", lines);
    let all = text(&grudge(&["list", "systems", path(&file)]).stdout);
    let lines: Vec<Vec<&str>> = all.lines().map(|line| line.split_whitespace().collect()).collect();
    let mine = lines.iter().position(|words| *words == ["mine", "not", "here:", "of", "my", "own"]).expect(&all);
    assert_eq!(lines[mine + 1], ["make", "it"], "{all}");
    let json = grudge(&["list", "systems", path(&file), "--json"]).stdout;
    let json: serde_json::Value = serde_json::from_slice(&json).expect("JSON");
    let named = |name: &str| json.as_array().and_then(|all| all.iter().find(|it| it["name"] == name)).expect(name);
    assert_eq!((&named("zab")["installed"], &named("mine")["installed"]), (&true.into(), &false.into()));
    assert_eq!(named("mine")["install"][0], "make it");
}

#[test]
fn what_is_listed_can_be_asked_for_and_is_not_coloured_in_a_pipe() {
    let all = text(&grudge(&["list"]).stdout);
    for name in ["raft", "zab", "register", "lock", "partition", "pause", "kill", "raft-stale-read"] {
        assert!(all.lines().any(|line| line.split_whitespace().next() == Some(name)), "no {name} in {all}");
    }
    assert!(!all.contains('\u{1b}'), "no colour in a pipe");
    let json: serde_json::Value = serde_json::from_slice(&grudge(&["list", "bugs", "--json"]).stdout).expect("JSON");
    assert!(json.as_array().is_some_and(|bugs| bugs.iter().any(|bug| bug["name"] == "zab-skip-trunc")), "{json}");
}
