//! `grudge check` from the outside: every format, what is guessed, several files at once, what is refused.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

fn check(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the binary was built")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grudge"));
    command.arg("check").args(arguments);
    command
}

/// With this on standard input.
fn check_piped(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary was built");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().expect("it ended by itself")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn written(folder: &TempDir, name: &str, content: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, content).expect("a temporary file");
    path
}

fn path(path: &Path) -> &str {
    path.to_str().expect("temporary paths are text")
}

fn judgements(output: &Output) -> serde_json::Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

const VALID: &str = "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n1,invoke,read,\n1,ok,read,1\n";
const STALE: &str = "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n1,invoke,read,\n1,ok,read,null\n";

#[test]
fn a_history_is_judged_and_the_worst_of_several_counts() {
    let folder = folder();
    let (valid, stale) = (written(&folder, "valid.csv", VALID), written(&folder, "stale.csv", STALE));
    assert_eq!(code(&check(&[path(&valid)])), 0);
    let output = check(&[path(&valid), path(&stale)]);
    let result = text(&output.stdout);
    assert_eq!(code(&output), 1, "{result}");
    assert!(result.contains("linearizable register: invalid") && result.contains("read"), "{result}");
}

#[test]
fn a_model_can_be_named_and_must_exist() {
    let folder = folder();
    let valid = written(&folder, "valid.csv", VALID);
    let output = check(&[path(&valid), "--model", "cas-register", "--json"]);
    assert_eq!(code(&output), 0);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(json[0]["verdict"], "valid");
    assert_eq!(json[0]["checker"], "linearizable cas-register");
    let output = check(&[path(&valid), "--model", "teapot"]);
    assert_eq!(code(&output), 254);
    assert!(text(&output.stderr).contains("fenced-mutex"), "the models there are");
}

#[test]
fn a_damaged_history_is_judged_up_to_the_damage_and_never_valid() {
    let folder = folder();
    let torn = written(&folder, "torn.csv", &format!("{VALID}0,invo"));
    let output = check(&[path(&torn)]);
    let result = text(&output.stdout);
    assert_eq!(code(&output), 2, "{result}");
    assert!(result.contains("line 6"), "{result}");
    let both = written(&folder, "both.csv", &format!("{STALE}0,invo"));
    assert_eq!(code(&check(&[path(&both)])), 1, "what comes before the damage contradicts itself");
}

#[test]
fn a_history_of_unknown_operations_asks_for_a_model() {
    let folder = folder();
    let odd = written(&folder, "odd.csv", "process,type,f,value\n0,invoke,dance,1\n0,ok,dance,1\n");
    let output = check(&[path(&odd)]);
    assert_eq!(code(&output), 254);
    assert!(text(&output.stderr).contains("--model"), "{}", text(&output.stderr));
    assert_eq!(code(&check(&["/no/such/history.csv"])), 254);
}

/// A register that Jepsen tells of: it begins with 0, and a read of nil tells nothing.
const KNOSSOS: &str = "[{:process 0, :type :invoke, :f :read, :value nil}
 {:process 0, :type :ok, :f :read, :value 0} ; at first
 {:process 1, :type :invoke, :f :cas, :value [0 3]}
 {:process 1, :type :ok, :f :cas, :value [0 3]}
 {:process 0, :type :invoke, :f :read, :value nil}
 {:process 0, :type :ok, :f :read, :value nil}]";

#[test]
fn registers_of_jepsen_begin_with_0_unless_told_otherwise() {
    let folder = folder();
    let edn = written(&folder, "history.edn", KNOSSOS);
    let output = check(&[path(&edn), "--json"]);
    assert_eq!(code(&output), 0, "{}", text(&output.stdout));
    assert_eq!(judgements(&output)[0]["checker"], "linearizable cas-register");
    assert_eq!(judgements(&output)[0]["operations"], 3);
    assert_eq!(code(&check(&[path(&edn), "--initial", "7"])), 1, "nobody wrote 0");
    let csv = written(&folder, "zero.csv", "process,type,f,value\n0,invoke,read,\n0,ok,read,0\n");
    assert_eq!(code(&check(&[path(&csv)])), 1, "other registers begin with nothing");
    assert_eq!(code(&check(&[path(&csv), "--initial", "0"])), 0);
}

#[test]
fn a_failed_compare_and_set_can_be_an_observation() {
    let folder = folder();
    let file = written(
        &folder,
        "cas.csv",
        "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n0,invoke,cas,\"[1,2]\"\n0,fail,cas,\"[1,2]\"\n",
    );
    assert_eq!(code(&check(&[path(&file)])), 0);
    assert_eq!(code(&check(&[path(&file), "--failed-cas", "drop"])), 0);
    assert_eq!(code(&check(&[path(&file), "--failed-cas", "observe"])), 1, "1 was there");
}

#[test]
fn a_history_is_converted_and_compressed_and_keeps_its_verdict() {
    let folder = folder();
    let first = written(&folder, "stale.csv", STALE);
    let mut from = first.clone();
    for name in ["a.edn", "b.jsonl.gz", "c.edn.zst", "d.csv.gz", "e.csv"] {
        let to = folder.path().join(name);
        let output = check(&[path(&from), "--to", path(&to)]);
        assert_eq!(code(&output), 0, "{name}: {}", text(&output.stderr));
        let output = check(&[path(&to), "--json"]);
        assert_eq!(code(&output), 1, "{name}: {}", text(&output.stderr));
        assert_eq!(judgements(&output)[0]["witness"]["events"].as_array().map(Vec::len), Some(4), "{name}");
        from = to;
    }
    let again = check(&[path(&first), "--to", path(&from)]);
    assert_eq!(code(&again), 254, "nothing is overwritten");
    let odd = folder.path().join("history.docx");
    let output = check(&[path(&first), "--to", path(&odd)]);
    assert_eq!(code(&output), 254);
    assert!(text(&output.stderr).contains(".edn") && !odd.exists(), "{}", text(&output.stderr));
}

#[test]
fn of_a_damaged_history_what_comes_before_is_converted() {
    let folder = folder();
    let torn = written(&folder, "torn.csv", &format!("{VALID}0,invo"));
    let to = folder.path().join("whole.jsonl.gz");
    let output = check(&[path(&torn), "--to", path(&to)]);
    assert_eq!(code(&output), 254);
    assert!(text(&output.stderr).contains("line 6"), "{}", text(&output.stderr));
    assert_eq!(code(&check(&[path(&to)])), 0, "the part is whole");
}

#[test]
fn a_judgement_is_verified_on_demand() {
    let folder = folder();
    for (name, content, expected, proof) in [
        ("valid.csv", VALID, 0, "the order of 2 operations was replayed"),
        ("stale.csv", STALE, 1, "every order of these 4 events was tried"),
        ("knossos.edn", KNOSSOS, 0, "was replayed"),
    ] {
        let file = written(&folder, name, content);
        let output = check(&[path(&file), "--verify"]);
        let told = text(&output.stdout);
        assert_eq!(code(&output), expected, "{told}");
        assert!(told.contains("  proof: ") && told.contains(proof), "{told}");
    }
}

#[test]
fn a_contradiction_is_drawn_on_demand() {
    let folder = folder();
    let skew = "process,type,f,value\n\
        0,invoke,txn,\"[[\"\"r\"\",\"\"x\"\",null],[\"\"append\"\",\"\"y\"\",1]]\"\n\
        1,invoke,txn,\"[[\"\"r\"\",\"\"y\"\",null],[\"\"append\"\",\"\"x\"\",1]]\"\n\
        0,ok,txn,\"[[\"\"r\"\",\"\"x\"\",[]],[\"\"append\"\",\"\"y\"\",1]]\"\n\
        1,ok,txn,\"[[\"\"r\"\",\"\"y\"\",[]],[\"\"append\"\",\"\"x\"\",1]]\"\n";
    let stale = "process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n1,invoke,read,\n1,ok,read,\n";
    let (skew, stale) = (written(&folder, "skew.csv", skew), written(&folder, "stale.csv", stale));
    let drawings = folder.path().join("drawings");
    let output = check(&[path(&skew), path(&stale), "--draw", path(&drawings)]);
    assert_eq!(code(&output), 1, "{}", text(&output.stderr));
    for (name, part) in [
        ("skew.csv.G2-item.svg", "<svg"),
        ("skew.csv.G2-item.dot", "T2 -> T1 [label=\"rw\""),
        ("stale.csv.dot", "0 -> 1 [label=\"real time\"]"),
    ] {
        let drawing = std::fs::read_to_string(drawings.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(drawing.contains(part), "{name}: {drawing}");
    }
}

#[test]
fn standard_input_is_a_history() {
    for (input, expected) in [(STALE, 1), (KNOSSOS, 0)] {
        let output = check_piped(&["-"], input.as_bytes());
        assert_eq!(code(&output), expected, "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains("standard input"), "{}", text(&output.stdout));
    }
    assert_eq!(code(&check(&["-", "-"])), 254);
}

#[test]
fn the_format_is_that_of_the_name_or_else_of_the_content() {
    let folder = folder();
    let json = r#"{"process":0,"type":"invoke","f":"read"}{"process":0,"type":"ok","f":"read","value":1}"#;
    for (name, content, expected) in
        [("history", KNOSSOS, 0), ("log.txt", STALE, 1), ("lines", json, 1), ("history.csv", KNOSSOS, 254)]
    {
        let file = written(&folder, name, content);
        let output = check(&[path(&file)]);
        assert_eq!(code(&output), expected, "{name}: {}", text(&output.stderr));
    }
}

#[test]
fn several_files_are_told_in_the_order_of_the_arguments() {
    let folder = folder();
    let files: Vec<PathBuf> = (0..12)
        .map(|number| written(&folder, &format!("{number}.csv"), if number == 5 { STALE } else { VALID }))
        .collect();
    let arguments: Vec<&str> = files.iter().map(|file| path(file)).collect();
    let output = check(&[&arguments[..], &["--json"]].concat());
    assert_eq!(code(&output), 1);
    for (number, judged) in judgements(&output).as_array().expect("a list").iter().enumerate() {
        assert_eq!(judged["file"], path(&files[number]));
        assert_eq!(judged["verdict"], if number == 5 { "invalid" } else { "valid" });
        assert!(judged["seconds"].is_f64() && judged["peak_memory_bytes"].as_u64() > Some(0), "{judged}");
    }
    let told = text(&check(&arguments).stdout);
    assert!(told.ends_with("12 histories: 11 valid, 1 invalid\n"), "{told}");
    let output = check(&[arguments[0], "/no/such/history.csv", arguments[5]]);
    assert_eq!(code(&output), 254, "what was asked could not be done");
    let told = text(&output.stdout);
    assert!(told.contains("0.csv") && told.contains("5.csv"), "the others are judged all the same: {told}");
}

#[test]
fn a_guess_is_widened_by_what_comes_late() {
    let folder = folder();
    let mut file = String::from("process,type,f,value\n");
    for _ in 0..8_000 {
        file += "0,invoke,write,1\n0,ok,write,1\n";
    }
    file += "0,invoke,cas,\"[1,2]\"\n0,ok,cas,\"[1,2]\"\n1,invoke,read,\n1,ok,read,2\n";
    let late = written(&folder, "late.csv", &file);
    let output = check(&[path(&late), "--json"]);
    assert_eq!(judgements(&output)[0]["checker"], "linearizable cas-register");
    assert_eq!((code(&output), &judgements(&output)[0]["operations"]), (0, &8_002.into()));
    let odd = written(&folder, "odd.csv", &(file + "0,invoke,dance,1\n0,ok,dance,1\n"));
    let output = check(&[path(&odd)]);
    assert_eq!(code(&output), 254, "no guess fits: {}", text(&output.stdout));
}

#[test]
fn bad_arguments_are_refused_with_one_sentence() {
    let folder = folder();
    let valid = written(&folder, "valid.csv", VALID);
    let cut = written(&folder, "cut.csv.gz", "\u{1f}");
    for (arguments, sentence) in [
        (&[path(&valid), "--memory", "much"][..], "a size looks like 500MB or 2GiB"),
        (&[path(&valid), "--limit", "soon"], "a duration looks like 30s"),
        (&[path(&valid), "--failed-cas", "perhaps"], "observe"),
        (&[path(folder.path())], "is a folder"),
        (&[path(&cut)], "line 1"),
        (&[path(&valid), path(&valid), "--to", "x.csv"], "--to writes one history"),
    ] {
        let output = check(arguments);
        assert_eq!(code(&output), 254, "{arguments:?}: {}", text(&output.stdout));
        assert!(text(&output.stderr).contains(sentence), "{arguments:?} said: {}", text(&output.stderr));
    }
}
