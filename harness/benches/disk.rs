//! What the layer under a node's data costs while nothing is wrong: the same work on a plain folder and through a layer,
//! one after the other in one run. `cargo bench -p grudge --bench disk`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grudge::sandbox::{self, Network};

/// How often either is measured; in turn, so that other load hits both.
const ROUNDS: usize = 5;
const BLOCK: [u8; 4096] = [7; 4096];
const SYNCS: usize = 400;
const BLOCKS: usize = 16_384;

fn main() {
    let dir = tempfile::tempdir().expect("a folder");
    if let Err(error) = sandbox::enter(Network::Own) {
        anstream::eprintln!("skipped: {error}");
        return;
    }
    files(dir.path());
    for layer in [false, true, false, true] {
        let rate = cluster(dir.path(), layer);
        anstream::println!("raft, 3 nodes, {}: {rate:.0} operations/s", if layer { "layer" } else { "plain" });
    }
}

// ---- files

type Work = fn(&Path) -> f64;

fn files(dir: &Path) {
    let [plain, layer] = ["plain", "layer"].map(|name| dir.join(name));
    fs::create_dir(&plain).and_then(|()| fs::create_dir(&layer)).expect("two folders");
    let mut served = serve(&layer);
    let works: [(&str, &str, Work); 3] =
        [("append 4 KiB and fdatasync", "µs", append), ("write 64 MiB", "MB/s", write), ("read 64 MiB", "MB/s", read)];
    for (what, unit, work) in works {
        let mut measured = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            measured[0].push(work(&plain));
            measured[1].push(work(&layer));
        }
        let [plain, layer] = measured.map(median);
        anstream::println!("{what}: plain {plain:.0} {unit}, layer {layer:.0} {unit}, ratio {:.2}", layer / plain);
    }
    drop(served.stdin.take());
    served.wait().expect("it ends");
}

/// A layer over a folder, once it is there.
fn serve(folder: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grudge"));
    command.arg("disk").arg(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("grudge runs");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe")).read_line(&mut line).expect("text");
    assert_eq!(line.trim(), "\"done\"", "a layer can be mounted here");
    child
}

fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn append(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("log")).expect("a file");
    let begun = Instant::now();
    for _ in 0..SYNCS {
        file.write_all(&BLOCK).and_then(|()| file.sync_data()).expect("it is written");
    }
    begun.elapsed().as_secs_f64() * 1e6 / SYNCS as f64
}

fn write(folder: &Path) -> f64 {
    let mut file = File::create(folder.join("large")).expect("a file");
    let begun = Instant::now();
    (0..BLOCKS / 16).for_each(|_| file.write_all(&BLOCK.repeat(16)).expect("it is written"));
    file.sync_data().expect("it is fsynced");
    rate(begun.elapsed())
}

fn read(folder: &Path) -> f64 {
    let mut bytes = Vec::with_capacity(BLOCKS * BLOCK.len());
    let begun = Instant::now();
    File::open(folder.join("large")).expect("it was written").read_to_end(&mut bytes).expect("it is read");
    assert_eq!(bytes.len(), BLOCKS * BLOCK.len());
    rate(begun.elapsed())
}

fn rate(took: Duration) -> f64 {
    (BLOCKS * BLOCK.len()) as f64 / 1e6 / took.as_secs_f64()
}

// ---- a cluster

/// Operations a second of a cluster with a layer under each node's data, or without: a fault that is far away asks for
/// the layer.
fn cluster(dir: &Path, layer: bool) -> f64 {
    let fault = if layer { "power = 'one'" } else { "kill = 'one'" };
    let test = format!(
        "system = 'raft'\nworkload = 'register'\nnodes = 3\nconcurrency = 16\nseed = 1\ntime = '8s'\ntimeout = '2s'\n\
         ttl = '4s'\nrecovery = '30s'\n[[script]]\nwhen = {{ at = '1h' }}\nhold = '1s'\nfault = {{ {fault} }}\n"
    );
    let file = dir.join("test.toml");
    fs::write(&file, test).expect("a small file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_grudge"));
    command.arg("test").arg(&file).args(["--json", "--store"]).arg(dir.join("store"));
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("grudge runs");
    let results: serde_json::Value = serde_json::from_slice(&output.stdout).expect("results");
    let operations = results["operations"].as_object().expect("a table");
    let done: u64 = operations.values().filter_map(|kind| kind["ok"].as_u64()).sum();
    done as f64 / 8.0
}
