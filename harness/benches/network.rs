//! What faults of the network take, measured on a cluster of five stand-ins in a sandbox of its own.
//!
//! `cargo bench -p grudge --bench network` says how long a partition takes from the decision until it is proven, and
//! as long to heal. `BUSY=2` before it keeps so many threads busy beside.

#[path = "../tests/standin/mod.rs"]
mod standin;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grudge::cluster::Cluster;
use grudge::fault::{Fault, Shape};
use grudge::sandbox;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use standin::Manner;

/// How many partitions are measured.
const PARTITIONS: usize = 50;

static DONE: AtomicBool = AtomicBool::new(false);

fn main() {
    standin::replica_if_asked();
    // Cargo tests benches, too, and has no patience for them.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    sandbox::enter().unwrap_or_else(|error| panic!("{error}"));
    let busy = std::env::var("BUSY").ok().and_then(|count| count.parse().ok()).unwrap_or(0);
    for _ in 0..busy {
        std::thread::spawn(|| {
            while !DONE.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        });
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(partitions());
    DONE.store(true, Ordering::Relaxed);
}

async fn partitions() {
    let dir = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::up(standin::spec(Manner::Serve, 5, dir.path())).await.expect("stand-ins come up");
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
