//! The layer's process: mounts, does what it is told line by line, unmounts.

use std::fs;
use std::io::{self, BufRead, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use fuser::{Config, MountOption, Session};
use nix::mount::{MntFlags, umount2};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::layer::{Layer, Shared};
use super::store::Store;
use super::{Answer, CANARY, Flip, Order, PROBE};

/// How many requests can be under way at once, beside fsyncs that are slow.
const THREADS: usize = 4;
/// Between two looks at what has become old.
const LOOK: Duration = Duration::from_secs(1);
/// How often another byte is drawn instead of a zero, of which many files hold more than of anything else.
const DRAWS: usize = 64;

/// Mounts a layer over a folder and serves it until standard input ends. Orders come from there, answers go to standard
/// output. What is in the folder stays in it.
///
/// # Errors
/// It cannot be mounted here.
pub fn serve(folder: &Path) -> anyhow::Result<()> {
    raise_limit();
    let attic = attic(folder)?;
    fs::create_dir_all(&attic).with_context(|| format!("cannot make {}", attic.display()))?;
    let store = Store::open(folder, &attic).with_context(|| format!("cannot use {}", folder.display()))?;
    let shared = Arc::new(Shared::new(store));
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("grudge".to_owned()), MountOption::DefaultPermissions];
    config.n_threads = Some(THREADS);
    let session = Session::new(Layer(Arc::clone(&shared)), folder, &config)
        .with_context(|| format!("cannot mount a layer over {}", folder.display()))?;
    let session = session.spawn().context("cannot serve the layer")?;
    let aging = Arc::clone(&shared);
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(LOOK);
            if let Err(error) = aging.store().write_back(Instant::now()) {
                anstream::eprintln!("what is old cannot be made durable: {error}");
            }
        }
    });
    answer(&Answer::Done)?;
    let obeyed = obey(&shared);
    // At once, and for those who still use it when they let go.
    let unmounted = umount2(folder, MntFlags::MNT_DETACH);
    std::mem::forget(session);
    shared.release();
    let settled = shared.store().settle();
    [PROBE, CANARY].into_iter().for_each(|ours| drop(fs::remove_file(folder.join(ours))));
    drop(fs::remove_dir(&attic));
    unmounted.with_context(|| format!("cannot unmount {}", folder.display()))?;
    settled.context("what was removed cannot be removed for good")?;
    obeyed.context("an order cannot be read or answered")
}

/// Beside the folder: on the same file system, and not in it.
fn attic(folder: &Path) -> anyhow::Result<PathBuf> {
    let name = folder.file_name().with_context(|| format!("{} has no name", folder.display()))?;
    Ok(folder.with_file_name(format!(".{}-removed", name.to_string_lossy())))
}

/// Each file that the kernel knows is an open one here.
fn raise_limit() {
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

fn obey(shared: &Shared) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let done = match serde_json::from_str(&line?) {
            Ok(order) => carry_out(shared, order),
            Err(error) => Answer::Failed(error.to_string()),
        };
        answer(&done)?;
    }
    Ok(())
}

fn answer(answer: &Answer) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, answer)?;
    out.write_all(b"\n")?;
    out.flush()
}

fn carry_out(shared: &Shared, order: Order) -> Answer {
    let done = match order {
        Order::Troubles(troubles) => {
            shared.store().troubles = troubles;
            return Answer::Done;
        }
        Order::Release => {
            shared.release();
            return Answer::Done;
        }
        Order::Lose { seed } => shared.store().lose(seed).map(Answer::Lost).map_err(io::Error::from),
        Order::Flip { seed } => flip(&mut shared.store(), seed).map(Answer::Flipped),
    };
    done.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}

/// Flips a bit of a file that nobody has open, if there is one.
fn flip(store: &mut Store, seed: u64) -> io::Result<Option<Flip>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let closed = store.closed_files()?;
    if closed.is_empty() {
        return Ok(None);
    }
    let (path, ino) = &closed[rng.random_range(0..closed.len())];
    let file = store.settled(path, *ino)?;
    let length = file.metadata()?.len();
    let mut byte = [0];
    let mut offset = 0;
    for _ in 0..DRAWS {
        offset = rng.random_range(0..length);
        file.read_exact_at(&mut byte, offset)?;
        if byte != [0] {
            break;
        }
    }
    let bit = rng.random_range(0..8);
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset)?;
    Ok(Some(Flip { file: path.clone(), offset, bit, before: byte[0] }))
}
