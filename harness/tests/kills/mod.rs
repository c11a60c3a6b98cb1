//! Kills: whoever of a harness is killed, and at whatever moment, nothing stays behind.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread::{self, sleep};
use std::time::Duration;

use libtest_mimic::{Failed, Trial};
use nix::sys::signal::{Signal, kill};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

use crate::outside::{
    Host, Part, children, grudge, hold_namespaces, marked, me, namespaces, numbered_processes, part, refused_here,
    wait_until,
};

pub fn trials() -> Vec<Trial> {
    vec![
        Trial::test("nothing_is_left_when_anybody_is_killed_at_any_time", killed_at_random),
        Trial::test("nothing_is_left_of_a_test_that_is_killed_under_faults", killed_under_faults),
        Trial::test("nothing_is_left_of_a_test_that_is_killed_under_disk_faults", killed_under_disk_faults),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Caller,
    Init,
    Harness,
}

const VICTIMS: [Victim; 3] = [Victim::Caller, Victim::Init, Victim::Harness];

fn killed_at_random() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let seed = seed()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for victim in VICTIMS.into_iter().cycle().take(12) {
        let delay = Duration::from_millis(rng.random_range(0..500));
        killed_after(victim, delay, me(), &["hold", "serve", "{dir}"])
            .map_err(|error| format!("{victim:?} killed after {delay:?}: {error}; {}", again(seed)))?;
    }
    Ok(())
}

// ---- under every kind of fault

const KILLS: usize = 50;
/// How many tests run at once.
const AT_ONCE: usize = 2;

/// A fault of each kind that exists on the real processes of every system.
const FAULTS: [&str; 13] = [
    "partition = 'halves'",
    "pause = 'one'",
    "thread = 'one'",
    "kill = 'leader'",
    "restart = { targets = 'one', manner = { storm = 255 } }",
    "power = 'minority'",
    "disk = { targets = 'all', trouble = { slow = '300ms' } }",
    "clock = { targets = 'all', change = { jump = '1h' } }",
    "packets = { targets = 'all', delay = '20ms', loss = 5 }",
    "reset = 'all'",
    "cpu = { targets = 'one', percent = 30 }",
    "memory = { targets = 'one', headroom = 64 }",
    "client = { targets = 'one', trouble = 'pause' }",
];

/// Who is killed of which test, and when.
#[derive(Clone, Debug)]
struct Plan {
    victim: Victim,
    moment: Moment,
    system: &'static str,
    /// The first is in force to the end, the second comes and goes beside it.
    faults: [&'static str; 2],
}

#[derive(Clone, Copy, Debug)]
enum Moment {
    /// So long after the start.
    Start(Duration),
    /// So long after a fault came into force.
    InForce(Duration),
}

/// Each kind comes in turn as the first one, and two of three times its being in force is waited for.
fn drawn(rng: &mut ChaCha8Rng, number: usize) -> Plan {
    let turn = number / FAULTS.len() + number;
    let moment = match turn % 3 {
        0 => Moment::Start(Duration::from_millis(rng.random_range(0..3000))),
        _ => Moment::InForce(Duration::from_millis(rng.random_range(0..700))),
    };
    let mut any = |of: &[&'static str]| *of.choose(rng).expect("there are some");
    let faults = [FAULTS[number % FAULTS.len()], any(&FAULTS)];
    let system = any(&["raft", "zab"]);
    Plan { victim: *VICTIMS.choose(rng).expect("there are some"), moment, system, faults }
}

fn killed_under_faults() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let seed = seed()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let plans: Vec<Plan> = (0..KILLS).map(|number| drawn(&mut rng, number)).collect();
    let left = Mutex::new(plans.into_iter());
    let before = Host::now();
    let hits = thread::scope(|scope| {
        let workers = [(); AT_ONCE].map(|()| scope.spawn(|| kill_all(&left)));
        workers.map(|worker| worker.join().expect("it does not panic"))
    });
    let mut in_force: BTreeMap<String, usize> = BTreeMap::new();
    let mut under_fault = 0;
    for hit in hits {
        for kinds in hit.map_err(|error| format!("{error}; {}", again(seed)))? {
            under_fault += usize::from(!kinds.is_empty());
            kinds.into_iter().for_each(|kind| *in_force.entry(kind).or_default() += 1);
        }
    }
    assert_eq!(Host::now().changed_since(&before), [""; 0], "{}", again(seed));
    anstream::eprintln!("{under_fault} of {KILLS} kills under faults: {in_force:?}; {}", again(seed));
    assert!(
        under_fault >= KILLS / 2,
        "{under_fault} of {KILLS} hit a test under a fault: {in_force:?}; {}",
        again(seed)
    );
    // Some faults may have no receipt on a busy machine.
    assert!(in_force.len() >= FAULTS.len() - 2, "kinds that were in force: {in_force:?}; {}", again(seed));
    Ok(())
}

/// Runs and kills tests until there are none left; answers which faults were in force in each.
fn kill_all(left: &Mutex<impl Iterator<Item = Plan>>) -> Result<Vec<Vec<String>>, String> {
    let next = || left.lock().expect("no holder panics").next();
    let mut hits = Vec::new();
    while let Some(plan) = next() {
        hits.push(killed_by(&plan).map_err(|error| format!("{plan:?}: {error}"))?);
    }
    Ok(hits)
}

fn killed_by(plan: &Plan) -> Result<Vec<String>, String> {
    let folder = TempDir::new().map_err(|error| error.to_string())?;
    let [file, store, temporary] = ["test.toml", "store", "temporary"].map(|name| folder.path().join(name));
    let Plan { victim, moment, system, faults: [first, second] } = plan;
    let test = format!(
        "system = '{system}'\nworkload = 'register'\nnodes = 3\nconcurrency = 3\nseed = 1\ntime = '60s'\n\
         timeout = '1s'\nttl = '4s'\nrecovery = '30s'\n\
         [[script]]\nwhen = {{ at = '0s' }}\nfault = {{ {first} }}\nhold = '1m'\n\
         [[script]]\nwhen = {{ at = '200ms' }}\nfault = {{ {second} }}\nhold = '200ms'\n"
    );
    fs::write(&file, test).and_then(|()| fs::create_dir(&temporary)).map_err(|error| error.to_string())?;
    let mut command = grudge();
    command.env("TMPDIR", &temporary);
    let place = |path: &Path| path.to_string_lossy().into_owned();
    let part = part(command, &["test", &place(&file), "--store", &place(&store)], "killed");
    let history = store.join(format!("{system}-register/latest/history.csv"));
    match moment {
        Moment::Start(delay) => sleep(*delay),
        Moment::InForce(delay) => {
            let came = || in_force(&history).is_some_and(|seen| !seen.kinds.is_empty() || seen.refused == 2);
            if !wait_until(came) {
                return Err("no fault ever came".to_owned());
            }
            sleep(*delay);
        }
    }
    killed(*victim, part)?;
    let left: Vec<PathBuf> = fs::read_dir(&temporary).into_iter().flatten().flatten().map(|it| it.path()).collect();
    if !left.is_empty() {
        return Err(format!("files are left: {left:?}"));
    }
    Ok(in_force(&history).map(|seen| seen.kinds).unwrap_or_default())
}

/// What a history says of its faults.
#[derive(Default)]
struct Seen {
    /// What is in force.
    kinds: Vec<String>,
    /// How many could not be put in force.
    refused: usize,
}

/// Reads a history whose last line may be torn; nothing if there is none yet.
fn in_force(history: &Path) -> Option<Seen> {
    let text = fs::read_to_string(history).ok()?;
    let mut seen = Seen::default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(',').collect();
        let [_, _, "nemesis", kind, what, ..] = words.as_slice() else { continue };
        match (*kind, what.split_once('-')) {
            ("ok", Some(("start", fault))) => seen.kinds.push(fault.to_owned()),
            ("fail", Some(("start", _))) => seen.refused += 1,
            ("invoke", Some(("stop", fault))) => {
                let place = seen.kinds.iter().position(|kind| kind == fault);
                seen.kinds.swap_remove(place.expect("what stops was in force"));
            }
            _ => {}
        }
    }
    Some(seen)
}

/// Whoever is killed, and whenever: nobody waits for ever for a disk whose layer is gone.
fn killed_under_disk_faults() -> Result<(), Failed> {
    if refused_here() {
        return Ok(());
    }
    let seed = seed()?;
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let script = "[[script]]\nwhen = { at = '300ms' }\nhold = '1m'\n\
                  fault = { disk = { targets = 'all', trouble = { slow = '900ms' } } }\n\
                  [[script]]\nwhen = { previous = '1s' }\nhold = '300ms'\nfault = { power = 'all' }\n";
    let head = "system = 'raft'\nworkload = 'register'\nnodes = 3\nconcurrency = 6\nseed = 1\ntime = '60s'\n\
                timeout = '1s'\nttl = '4s'\nrecovery = '30s'\n";
    let file = tempfile::NamedTempFile::with_suffix(".toml")?;
    fs::write(&file, format!("{head}{script}"))?;
    let arguments = ["test", &*file.path().to_string_lossy(), "--store", "{dir}"];
    for victim in VICTIMS.into_iter().cycle().take(9) {
        let delay = Duration::from_millis(rng.random_range(100..4500));
        killed_after(victim, delay, grudge(), &arguments)
            .map_err(|error| format!("{victim:?} killed after {delay:?}: {error}; {}", again(seed)))?;
    }
    Ok(())
}

// ---- one kill

fn seed() -> Result<u64, Failed> {
    match std::env::var("GRUDGE_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(u64::from(std::process::id())),
    }
}

fn again(seed: u64) -> String {
    format!("again: GRUDGE_SEED={seed} cargo test -p grudge --test sandbox -- killed")
}

/// Kills one of a part's processes after a while; the error is what is left.
fn killed_after(victim: Victim, delay: Duration, command: Command, arguments: &[&str]) -> Result<(), String> {
    let before = Host::now();
    let part = part(command, arguments, "killed");
    sleep(delay);
    killed(victim, part)?;
    let changed = Host::now().changed_since(&before);
    if changed.is_empty() { Ok(()) } else { Err(format!("the host has changed: {changed:?}")) }
}

/// Kills one of a part's processes; the error is which of its processes and namespaces are left.
fn killed(victim: Victim, mut part: Part) -> Result<(), String> {
    let caller = part.caller();
    let init = children(caller).first().copied();
    let harness = init.and_then(|init| children(init).first().copied());
    let existing = marked(&part.mark);
    let held = hold_namespaces(&existing);
    let inside = namespaces(&existing);
    let target = match victim {
        Victim::Caller => Some(caller),
        Victim::Init => init,
        Victim::Harness => harness,
    };
    kill(target.unwrap_or(caller), Signal::SIGKILL).map_err(|error| error.to_string())?;
    if !wait_until(|| marked(&part.mark).is_empty()) {
        return Err(format!("processes are left: {:?}", marked(&part.mark)));
    }
    part.child.wait().map_err(|error| error.to_string())?;
    let left = || namespaces(&numbered_processes()).intersection(&inside).cloned().collect::<Vec<_>>();
    if !wait_until(|| left().is_empty()) {
        return Err(format!("namespaces are left: {:?}", left()));
    }
    drop(held);
    Ok(())
}
