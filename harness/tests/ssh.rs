//! Hosts behind a real sshd, from being named to running our program. Skipped where there is no sshd.

mod sshd;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Output, Stdio};
use std::time::{Duration, Instant};

use grudge::host::inventory::Inventory;
use grudge::host::program::Program;
use grudge::host::ssh::{Remote, reach};
use grudge::sandbox::{self, Network};
use libtest_mimic::{Arguments, Failed, Trial};
use sshd::{Entry, Hosts, black_hole, cluster, files, management, missing};

fn main() -> ExitCode {
    // This is the program that is put on hosts, and it is tried there.
    if std::env::args().nth(1).as_deref() == Some("--version") {
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // All fixtures use the same addresses, so there is one at a time.
    arguments.test_threads = Some(1);
    if !arguments.list {
        if let Some(missing) = missing() {
            anstream::eprintln!("skipped: {missing}");
            return ExitCode::SUCCESS;
        }
        sandbox::enter(Network::Own).unwrap_or_else(|error| panic!("{error}"));
    }
    let trials = vec![
        Trial::test("the_program_is_put_on_each_host_once", put_once),
        Trial::test("an_interrupted_upload_leaves_nothing", interrupted),
        Trial::test("a_program_that_cannot_run_there_is_said", cannot_run),
        Trial::test("each_host_that_cannot_be_used_is_named_with_the_reason", unreachable),
        Trial::test("the_doctor_examines_hosts", doctor),
        Trial::test("a_run_by_ssh_is_judged_and_leaves_nothing", judged),
        Trial::test("a_harness_that_is_killed_leaves_nothing_on_the_hosts", killed),
        Trial::test("a_host_that_loses_power_in_a_run_is_named", lost_host),
        Trial::test("hosts_that_make_no_cluster_are_a_bad_argument", no_cluster),
        Trial::test("a_configuration_that_makes_no_sense_is_a_bad_argument", bad_configuration),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().expect("a runtime")
}

async fn reached(config: &Path) -> Vec<Remote> {
    let inventory = Inventory::of_config(config, None).expect("it makes sense");
    reach(&inventory).await.unwrap_or_else(|error| panic!("{error}"))
}

fn put_once() -> Result<(), Failed> {
    let hosts = Hosts::up(&["", ""]);
    let config = hosts.config("config", &[Entry::of("root", 1, "root"), Entry::of("ordinary", 2, "admin")]);
    let program = Program::this()?;
    runtime().block_on(async {
        for (remote, (number, user)) in reached(&config).await.iter().zip([(1, "root"), (2, "admin")]) {
            let file = program.put(remote).await.expect("it can be put there");
            assert!(Path::new(&file).starts_with(hosts.home(number, user)), "{file}");
            let first = fs::metadata(&file).expect("it is there");
            assert_eq!(fs::read(&file).expect("it is there"), fs::read("/proc/self/exe").expect("it is us"));
            assert_eq!(program.put(remote).await.expect("it is there"), file);
            assert_eq!(fs::metadata(&file).expect("it is there").ino(), first.ino(), "it was put there twice");
            fs::write(&file, "#!/bin/sh\n").expect("it can be damaged");
            assert_eq!(program.put(remote).await.expect("it can be put there"), file);
            assert_eq!(fs::metadata(&file).expect("it is there").len(), first.len(), "it stayed damaged");
            let user = remote.root_command("id").arg("-un").output().await.expect("it runs").stdout;
            assert_eq!(String::from_utf8_lossy(&user), "root\n");
            let (ours, theirs) = (management(254).to_string(), management(number).to_string());
            let ends: Vec<&str> = remote.connection.split(' ').collect();
            assert!(matches!(ends.as_slice(), [c, _, s, "22"] if *c == ours && *s == theirs), "{ends:?}");
        }
    });
    Ok(())
}

fn interrupted() -> Result<(), Failed> {
    let hosts = Hosts::up(&[""]);
    let config = hosts.config("config", &[Entry::of("n1", 1, "admin")]);
    let program = Program::this()?;
    let home = hosts.home(1, "admin");
    let half_way = || files(&home).iter().any(|file| file.metadata().is_ok_and(|meta| meta.len() > 0));
    runtime().block_on(async {
        let remotes = reached(&config).await;
        tokio::select! {
            put = program.put(&remotes[0]) => panic!("it was not interrupted: {put:?}"),
            () = until(half_way) => {}
        }
        until(|| files(&home).is_empty()).await;
        program.put(&remotes[0]).await.expect("it can be put there");
        assert_eq!(files(&home).len(), 1);
    });
    Ok(())
}

/// Waits for a condition, if need be for ever: whoever runs the test has a limit.
async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn cannot_run() -> Result<(), Failed> {
    let hosts = Hosts::up(&[
        "printf '#!/bin/sh\\necho riscv64\\n' >\"$home/uname\"; chmod 755 \"$home/uname\"; mount --bind \"$home/uname\" \
         \"$(command -v uname)\"",
        "mount -t tmpfs -o noexec tmpfs \"$home/root\"",
        "mount -t tmpfs -o size=1m tmpfs \"$home/root\"",
    ]);
    let entries = ["n1", "n2", "n3"].into_iter().zip(1..).map(|(name, number)| Entry::of(name, number, "root"));
    let config = hosts.config("config", &entries.collect::<Vec<_>>());
    let program = Program::this()?;
    runtime().block_on(async {
        let wanted = [
            "n1 is a riscv64 machine, and this grudge was built for",
            "n2: this program does not run there: ",
            "n3: this program cannot be put there: ",
        ];
        for (remote, wanted) in reached(&config).await.iter().zip(wanted) {
            let said = program.put(remote).await.expect_err(wanted).to_string();
            assert!(said.starts_with(wanted), "{said}");
        }
    });
    Ok(())
}

fn unreachable() -> Result<(), Failed> {
    let hosts = Hosts::up(&[
        "",
        "echo 'echo Welcome' >>\"$home/root/.bashrc\"; sed -i '/^root:/s|/bin/sh|/bin/bash|' \"$home/etc/passwd\"",
    ]);
    // It takes connections, and nobody ever answers.
    let mute = TcpListener::bind((management(254), 0))?;
    let entry = |name, number| Entry::of(name, number, "root");
    let good = entry("good", 1);
    let config = hosts.config(
        "config",
        &[
            good,
            Entry { port: 1, ..entry("refused", 1) },
            Entry { address: black_hole(), ..entry("black-hole", 1) },
            entry("nobody", 77),
            Entry { port: mute.local_addr()?.port(), ..entry("mute", 254) },
            Entry { key: "wrong_key", ..entry("wrong-key", 1) },
            Entry { user: "guest", ..entry("guest", 1) },
            entry("chatty", 2),
        ],
    );
    let inventory = Inventory::of_config(&config, None)?;
    let error = runtime().block_on(reach(&inventory)).expect_err("seven hosts cannot be used").to_string();
    let lines: Vec<&str> = error.lines().map(str::trim).collect();
    let wanted = [
        ("7 hosts cannot be used:", ""),
        ("refused (root@10.77.0.1 port 1): ", "Connection refused; is sshd running there"),
        ("black-hole (root@10.79.0.1 port 22): ", "timed out; is the machine up"),
        ("nobody (root@10.77.0.77 port 22): ", "; is the machine up"),
        ("mute (root@10.77.0.254 port ", "timed out; is the machine up"),
        ("wrong-key (root@10.77.0.1 port 22): ", "Permission denied (publickey"),
        ("guest (guest@10.77.0.1 port 22): ", "guest may not become root there without a password (sudo -n: "),
        ("chatty (root@10.77.0.2 port 22): ", "begins with something of its own (\"Welcome\")"),
    ];
    assert_eq!(lines.len(), wanted.len(), "{error}");
    for (line, (start, part)) in lines.iter().zip(wanted) {
        assert!(line.starts_with(start) && line.contains(part), "{line}");
    }
    // One bad host of several is enough to end a test before it begins.
    let config = hosts.config("one", &[good, entry("nobody", 77)]);
    let store = tempfile::tempdir()?;
    let begin = Instant::now();
    let (code, _, said) = ended(test(&config, store.path(), &[]).output()?);
    assert_eq!(code, 255, "{said}");
    assert!(said.contains("nobody (root@10.77.0.77 port 22): ") && !said.contains("good"), "{said}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    Ok(())
}

fn doctor() -> Result<(), Failed> {
    let hosts = Hosts::up(&["", ""]);
    let config = hosts.config("config", &[Entry::of("a", 1, "root"), Entry::of("b", 2, "admin")]);
    let config = config.display().to_string();
    let (code, said, errors) = grudge(&["doctor", "--ssh-config", &config]);
    assert_eq!(code, 0, "{said}{errors}");
    let headings: Vec<&str> = said.lines().filter(|line| ["a", "b"].contains(line)).collect();
    assert_eq!(headings, ["a", "b"], "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("ok        partitions: ")).count(), 2, "{said}");
    let (code, said, errors) = grudge(&["doctor", "--json", "--ssh-config", &config, "--hosts", "b"]);
    assert_eq!(code, 0, "{said}{errors}");
    let examined: serde_json::Value = serde_json::from_str(&said)?;
    assert!(examined["b"].is_array() && examined["a"].is_null(), "{said}");
    Ok(())
}

/// Three hosts, the first's user root.
fn three() -> (Hosts, PathBuf) {
    let hosts = Hosts::up(&["", "", ""]);
    let entries = [Entry::of("one", 1, "root"), Entry::of("two", 2, "admin"), Entry::of("three", 3, "admin")];
    let config = hosts.config("config", &entries);
    (hosts, config)
}

/// `grudge test raft` on these hosts, with these options. What it needs for a while it puts into the store, too.
fn test(config: &Path, store: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grudge"));
    command.args(["test", "raft", "--seed", "3"]).args(options).env("TMPDIR", store);
    command.arg("--ssh-config").arg(config).arg("--store").arg(store.join("store"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn judged() -> Result<(), Failed> {
    let (hosts, config) = three();
    let store = tempfile::tempdir()?;
    let (code, said, errors) =
        ended(test(&config, store.path(), &["--faults", "partition,pause,kill", "--time", "15s"]).output()?);
    assert_eq!(code, 0, "{said}{errors}");
    let run = store.path().join("store/raft-register/latest");
    let results: serde_json::Value = serde_json::from_str(&fs::read_to_string(run.join("results.json"))?)?;
    let faults = results["faults"].as_array().expect("a list");
    assert!(!faults.is_empty() && faults.iter().all(|fault| fault["receipt"].is_object()), "{faults:?}");
    for number in 1..=3 {
        let log = fs::read_to_string(run.join(format!("nodes/n{number}/log")))?;
        assert!(log.contains(&cluster(number).to_string()), "{log}");
        assert_eq!(hosts.left(number), [""; 0]);
    }
    assert_eq!(listed(store.path()), ["store"]);
    Ok(())
}

/// The names in a folder.
fn listed(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("it is there").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Starts a run and waits until clients are at work.
fn begun(config: &Path, store: &Path) -> Child {
    let mut run = test(config, store, &["--time", "1h"]).spawn().expect("the binary was built");
    let history = store.join("store/raft-register/latest/history.csv");
    let rows = || fs::read_to_string(&history).map_or(0, |text| text.lines().count());
    while rows() < 200 {
        assert!(
            run.try_wait().expect("it is ours").is_none(),
            "{:?}",
            ended(run.wait_with_output().expect("it ended"))
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    run
}

fn killed() -> Result<(), Failed> {
    let (hosts, config) = three();
    let store = tempfile::tempdir()?;
    let mut run = begun(&config, store.path());
    assert!((1..=3).all(|number| !hosts.left(number).is_empty()));
    run.kill().expect("it is ours");
    run.wait().expect("it was killed");
    runtime().block_on(until(|| (1..=3).all(|number| hosts.left(number).is_empty())));
    assert_eq!(listed(store.path()), ["store"]);
    Ok(())
}

fn lost_host() -> Result<(), Failed> {
    let (mut hosts, config) = three();
    let store = tempfile::tempdir()?;
    let run = begun(&config, store.path());
    hosts.cut_power(2);
    let (code, _, said) = ended(run.wait_with_output()?);
    assert_eq!(code, 255, "{said}");
    assert!(said.contains("host two is lost") && said.contains("history.csv"), "{said}");
    for number in [1, 3] {
        assert_eq!(hosts.left(number), [""; 0]);
    }
    Ok(())
}

fn no_cluster() -> Result<(), Failed> {
    let (_hosts, config) = three();
    let store = tempfile::tempdir()?;
    for (options, wanted) in [
        (&["--nodes", "5"][..], "5 nodes want 5 hosts, and 3 are named"),
        (&["--network", "10.99.0.0/16"], "--network 10.99.0.0/16 does not do: one has no address in it"),
        (&["--faults", "packets"], "fault `packets` is done where all nodes are on this machine only"),
    ] {
        let (code, _, said) = ended(test(&config, store.path(), options).output()?);
        assert_eq!(code, 254, "{said}");
        assert!(said.contains(wanted), "{said}");
    }
    Ok(())
}

fn bad_configuration() -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("config");
    let name = file.display().to_string();
    for (text, wanted) in [
        ("Host n1\n  HostNaem x\n", format!("{name}: line 2: Bad configuration option: hostnaem")),
        ("Host *\n", format!("{name} names no host")),
        ("Host n1\nHost\n", format!("{name}: line 2: `Host` without a name")),
    ] {
        fs::write(&file, text)?;
        let (code, _, said) = grudge(&["doctor", "--ssh-config", &name]);
        assert_eq!(code, 254, "{said}");
        assert!(said.contains(&wanted), "{said}");
    }
    Ok(())
}

/// The binary, run to its end: its exit code and all that it said.
fn grudge(arguments: &[&str]) -> (i32, String, String) {
    ended(Command::new(env!("CARGO_BIN_EXE_grudge")).args(arguments).output().expect("the binary was built"))
}

fn ended(output: Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it ended by itself"), text(&output.stdout), text(&output.stderr))
}
