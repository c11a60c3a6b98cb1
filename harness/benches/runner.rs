//! How fast the runner records, by itself: generators, interpreter and journal against registers in memory, with 1,024
//! workers, into a file. And what it needs for that, which must not grow with the run; and what judging needs, which may.
//!
//! `cargo bench -p grudge --bench runner [-- SECONDS…]`

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use grudge::client::Clients;
use grudge::cluster::Crash;
use grudge::fault::{Active, Fault, FaultError, Receipt};
use grudge::nemesis::{Agenda, Breakable};
use grudge::runner::{Recorded, Run, stop};
use grudge_checkers::verdict::Verdict;
use grudge_workloads::client::{Client, Connect, Role, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use grudge_workloads::registry::{self, Protocol};
use grudge_workloads::workload::Options;
use mimalloc::MiMalloc;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// As in the binary.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

const WORKERS: usize = 1024;
const NODES: usize = 5;
/// Seconds, short and long: what is needed for the one must do for the other.
const LENGTHS: [u64; 2] = [10, 40];

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [word, seconds] = arguments.as_slice()
        && let "record" | "judge" = word.as_str()
    {
        return measure(word == "judge", Duration::from_secs(seconds.parse().expect("a number")));
    }
    let asked = arguments.iter().map(|seconds| seconds.parse().expect("a number of seconds")).collect();
    let lengths = if arguments.is_empty() { LENGTHS.to_vec() } else { asked };
    lengths.iter().for_each(|seconds| run_alone("record", *seconds));
    run_alone("judge", lengths[0]);
}

/// Measures in a process of its own, so that the peak of its memory is that of nothing else.
fn run_alone(what: &str, seconds: u64) {
    let this = std::env::current_exe().expect("this program has a name");
    let status = Command::new(this).args([what, &seconds.to_string()]).status().expect("this program runs");
    assert!(status.success(), "{what} {seconds}: {status}");
}

fn measure(judge: bool, time: Duration) {
    let folder = tempfile::tempdir().expect("a folder");
    let history = folder.path().join("history.csv");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let begun = Instant::now();
    let recorded = runtime.block_on(record(time, &history));
    let took = begun.elapsed();
    // All of it is in the file: a row for each call and one for its end.
    let rows = BufReader::new(File::open(&history).expect("it was written")).lines().count() - 1;
    assert!(rows.is_multiple_of(2), "{rows} rows");
    if !judge {
        return say("recorded", rows / 2, took);
    }
    let begun = Instant::now();
    let ran = runtime.block_on(recorded.judge()).expect("checkers do not fail");
    let took = begun.elapsed();
    let judgement = ran.judgements.iter().find(|judgement| judgement.checker.starts_with("linearizable"));
    assert_eq!(judgement.expect("it is judged").verdict, Verdict::Valid);
    say("judged", rows / 2, took);
}

fn say(what: &str, operations: usize, took: Duration) {
    let (seconds, memory) = (took.as_secs_f64(), peak());
    let rate = operations as f64 / seconds;
    anstream::println!(
        "{operations:>9} operations {what} in {seconds:.1} s: {rate:.0}/s, at most {memory} MB of memory"
    );
}

/// The `register` workload against memory, as fast as it goes.
async fn record(time: Duration, history: &Path) -> Recorded {
    let options = Options { seed: 1, workers: WORKERS, keys: None, rate: None, time };
    let workload = registry::find("register", Protocol::Etcd, &options).expect("there are registers");
    let memory = Memory::default();
    let run = Run {
        workload,
        clients: Clients::Tasks(Arc::new(memory.clone())),
        targets: (1..=NODES).map(target).collect(),
        concurrency: WORKERS,
        agenda: Agenda::default(),
        seed: 1,
        time,
        recovery: Duration::from_secs(600),
        fail_fast: false,
        history: history.to_path_buf(),
        schedule: history.with_file_name("schedule.toml"),
        events: Vec::new(),
    };
    let (_stopper, stop) = stop::pair();
    let cluster: Arc<dyn Breakable> = Arc::new(memory);
    run.record(&cluster, stop).await.expect("nothing fails in memory")
}

fn target(node: usize) -> Target {
    Target {
        node: format!("n{node}"),
        address: ([127, 0, 0, 1], 1).into(),
        cluster: Arc::default(),
        timeout: Duration::from_secs(2),
        ttl: Duration::from_secs(4),
    }
}

/// The most that this process ever had in memory, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the kernel counts it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024 / 1_000_000
}

/// Registers that answer at once, by their numbers, of eight bytes each: it is not their memory that is measured. And a
/// cluster that nobody breaks.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u64>>>);

/// What a register has that nobody has written: no value is drawn as small.
const UNWRITTEN: u64 = 0;

#[async_trait]
impl Client for Memory {
    async fn invoke(&mut self, invocation: &Invocation) -> Outcome {
        let mut registers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let key: usize = invocation.key.as_deref().and_then(|key| key.parse().ok()).expect("registers have numbers");
        if registers.len() <= key {
            registers.resize(key + 1, UNWRITTEN);
        }
        let register = &mut registers[key];
        let number = |value: &Value| value.as_u64().unwrap_or(UNWRITTEN);
        match invocation.f {
            "read" if *register == UNWRITTEN => Outcome::ok(Value::Null, None),
            "read" => Outcome::ok(*register, None),
            "cas" if *register != number(&invocation.value[0]) => Outcome::fail("mismatch"),
            "cas" => {
                *register = number(&invocation.value[1]);
                Outcome::ok(invocation.value.clone(), None)
            }
            _ => {
                *register = number(&invocation.value);
                Outcome::ok(invocation.value.clone(), None)
            }
        }
    }

    fn alive(&self) -> bool {
        true
    }

    async fn close(&mut self) {}
}

#[async_trait]
impl Connect for Memory {
    async fn connect(&self, _: &Target) -> Result<Box<dyn Client>, String> {
        Ok(Box::new(self.clone()))
    }

    async fn role(&self, _: &Target) -> Result<Role, String> {
        Ok(Role::Leader)
    }
}

#[async_trait]
impl Breakable for Memory {
    async fn start(&self, fault: &Fault, _: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        Err(FaultError::Inapplicable(format!("{fault}: nothing is broken here")))
    }

    async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        Ok(active.receipt)
    }

    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        Ok(Vec::new())
    }

    fn crashes(&self) -> Vec<Crash> {
        Vec::new()
    }
}
