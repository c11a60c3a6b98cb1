//! What faults of the network take, measured on a cluster of five stand-ins in a sandbox of its own.
//!
//! `cargo bench -p grudge --bench network` says how long the cluster takes until it serves and until it is gone; how
//! long a partition takes from the decision until it is proven, and how long to heal; and what being ready for trouble
//! with packets costs, and the way by the switch, as ratios to a cluster that is not ready for any. `BUSY=2` before it
//! keeps so many threads busy beside.

#[path = "../tests/standin/mod.rs"]
mod standin;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use grudge::cluster::{Cluster, Spec};
use grudge::fault::{Evidence, Fault, FaultKind, PacketTrouble, Shape, Targets};
use grudge::sandbox::{self, Network};
use nix::sched::{CloneFlags, setns};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use standin::Manner;

/// How many partitions are measured.
const PARTITIONS: usize = 50;
/// How many clusters come up and go down.
const CLUSTERS: usize = 10;
/// How many answers are waited for, and how many bytes are carried, to measure a way; and how often in turn.
const ROUND_TRIPS: u32 = 5_000;
const CARRIED: usize = 200 << 20;
const TURNS: usize = 5;

static DONE: AtomicBool = AtomicBool::new(false);

fn main() {
    standin::replica_if_asked();
    // Cargo tests benches, too, and has no patience for them.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    sandbox::enter(Network::Own).unwrap_or_else(|error| panic!("{error}"));
    let busy = std::env::var("BUSY").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    for _ in 0..busy {
        std::thread::spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        clusters().await;
        partitions().await;
        ways().await;
    });
    DONE.store(true, Ordering::Relaxed);
}

async fn five(dir: &Path) -> Cluster {
    Cluster::up(standin::spec(Manner::Serve, 5, dir)).await.expect("stand-ins come up")
}

async fn clusters() {
    let (mut up, mut down) = (Vec::new(), Vec::new());
    for _ in 0..CLUSTERS {
        let dir = tempfile::tempdir().expect("a folder");
        let begun = Instant::now();
        let cluster = five(dir.path()).await;
        up.push(begun.elapsed());
        let begun = Instant::now();
        cluster.down().await;
        down.push(begun.elapsed());
    }
    tell("five nodes serve", &mut up);
    tell("five nodes are gone", &mut down);
}

async fn partitions() {
    let dir = tempfile::tempdir().expect("a folder");
    let cluster = five(dir.path()).await;
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut cut, mut healed) = (Vec::new(), Vec::new());
    for _ in 0..PARTITIONS {
        let shapes = [Shape::Halves, Shape::One, Shape::Minority, Shape::MajoritiesRing, Shape::Bridge, Shape::OneWay];
        let shape = shapes[rng.random_range(0..shapes.len())].clone();
        let active = cluster.start(&Fault::Partition(shape), &mut rng).await.expect("it is cut");
        cut.push(active.receipt.took);
        healed.push(cluster.stop(active).await.expect("it heals").took);
    }
    tell("partition of five nodes in force, proven", &mut cut);
    tell("the same shown to have lasted, and healed, proven", &mut healed);
    cluster.down().await;
}

fn tell(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: usize| times[(times.len() - 1) * share / 100];
    anstream::println!("{what}: median {:.1?}, p90 {:.1?}, slowest {:.1?} of {}", at(50), at(90), at(100), times.len());
}

/// Each way in turn, so that the machine's other load hits all alike.
async fn ways() {
    let mut seen = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..TURNS {
        seen[0].push(way(&[], None).await);
        seen[1].push(way(&[FaultKind::Packets], None).await);
        // The least that the switch can be asked to do to every packet.
        let least = PacketTrouble { delay: Duration::from_nanos(1), ..PacketTrouble::none(Targets::All) };
        seen[2].push(way(&[FaultKind::Packets], Some(least)).await);
    }
    let median = |of: &[(f64, f64)], which: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = of.iter().map(which).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let plain = (median(&seen[0], |it| it.0), median(&seen[0], |it| it.1));
    for (name, of) in ["not ready for trouble", "ready, and none in force", "all by the switch"].iter().zip(&seen) {
        let (trip, rate) = (median(of, |it| it.0), median(of, |it| it.1));
        anstream::println!(
            "{name}: round trip {trip:.1} \u{b5}s ({:.2} times), {rate:.0} MB/s ({:.2} times)",
            trip / plain.0,
            rate / plain.1
        );
    }
}

/// The round trip in microseconds and the megabytes a second over one connection from n1 to n2.
async fn way(faults: &[FaultKind], trouble: Option<PacketTrouble>) -> (f64, f64) {
    let dir = tempfile::tempdir().expect("a folder");
    let spec = Spec { faults: faults.iter().copied().collect(), ..standin::spec(Manner::Serve, 2, dir.path()) };
    let cluster = Cluster::up(spec).await.expect("stand-ins come up");
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let paused = cluster.start(&Fault::Pause(Targets::All), &mut rng).await.expect("they can be paused");
    let Evidence::Stopped(processes) = &paused.receipt.evidence else { panic!("{:?}", paused.receipt) };
    let pids: Vec<i32> = processes.iter().map(|process| process.pid).collect();
    cluster.stop(paused).await.expect("they go on");
    if let Some(trouble) = trouble {
        cluster.start(&Fault::Packets(trouble), &mut rng).await.expect("the switch is there");
    }
    let address = SocketAddr::new(cluster.nodes()[1].address, 9_999);
    let listener = within(pids[1], move || TcpListener::bind(address).expect("a port of the node's own"));
    let caller = within(pids[0], move || TcpStream::connect(address).expect("somebody listens"));
    let (called, _) = listener.accept().expect("somebody calls");
    let measured = tokio::task::spawn_blocking(move || measured(caller, called)).await.expect("it only measures");
    cluster.down().await;
    measured
}

fn measured(mut caller: TcpStream, mut called: TcpStream) -> (f64, f64) {
    let answering = std::thread::spawn(move || {
        called.set_nodelay(true).expect("TCP can");
        let mut byte = [0];
        for _ in 0..ROUND_TRIPS {
            called.read_exact(&mut byte).expect("a question");
            called.write_all(&byte).expect("an answer");
        }
        let mut buffer = vec![0; 1 << 16];
        let mut left = CARRIED;
        while left > 0 {
            left -= called.read(&mut buffer).expect("more of it").min(left);
        }
        called.write_all(&byte).expect("it has arrived");
    });
    caller.set_nodelay(true).expect("TCP can");
    let mut byte = [1];
    let began = Instant::now();
    for _ in 0..ROUND_TRIPS {
        caller.write_all(&byte).expect("a question");
        caller.read_exact(&mut byte).expect("an answer");
    }
    let trip = began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUND_TRIPS);
    let chunk = vec![7; 1 << 16];
    let began = Instant::now();
    for _ in 0..CARRIED / chunk.len() {
        caller.write_all(&chunk).expect("somebody reads");
    }
    caller.read_exact(&mut byte).expect("all has arrived");
    let rate = CARRIED as f64 / 1e6 / began.elapsed().as_secs_f64();
    answering.join().expect("it only answers");
    (trip, rate)
}

/// Does something in the network namespace of a process.
fn within<T: Send + 'static>(pid: i32, task: impl FnOnce() -> T + Send + 'static) -> T {
    let entered = move || {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("it lives");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("the sandbox's root may");
        task()
    };
    std::thread::spawn(entered).join().expect("it only opens a socket")
}
