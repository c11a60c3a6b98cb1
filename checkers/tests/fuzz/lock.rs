//! Locks that know who holds them.

use grudge_checkers::model::Lock;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::common::linearizable::fuzz;
use crate::common::random::{Answer, Knobs, Object};

/// Holds by process and by name.
struct Held {
    lock: Lock,
    caller: u64,
    holds: Vec<(u64, &'static str)>,
}

impl Held {
    fn new(lock: Lock) -> Held {
        Held { lock, caller: 0, holds: Vec::new() }
    }

    fn own(&self) -> Option<usize> {
        self.holds.iter().rposition(|(who, _)| *who == self.caller)
    }
}

impl Object for Held {
    fn caller(&mut self, process: u64) {
        self.caller = process;
    }

    fn call(&mut self, rng: &mut ChaCha8Rng, _: &Knobs) -> (&'static str, Value) {
        let last = self.own().filter(|_| rng.random_ratio(2, 3)).map(|own| self.holds[own].1);
        let reads = rng.random_ratio(1, 2);
        let f = match (self.lock, last) {
            (Lock::ReadWrite, Some("acquire-read")) => "release-read",
            (Lock::ReadWrite, Some(_)) => "release-write",
            (Lock::ReadWrite, None) if reads => "acquire-read",
            (Lock::ReadWrite, None) => "acquire-write",
            (_, Some(_)) => "release",
            (_, None) if rng.random_ratio(1, 12) => "release",
            (_, None) => "acquire",
        };
        (f, Value::Null)
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, f: &str, _: &Value) -> Option<Answer> {
        let acquire = ["acquire", "acquire-read", "acquire-write"].into_iter().find(|name| *name == f);
        let fits = match (acquire, self.lock) {
            (None, _) => {
                let at = self.own()?;
                self.holds.remove(at);
                return Some(Value::Null.into());
            }
            (_, Lock::Reentrant) => self.holds.iter().all(|(who, _)| *who == self.caller),
            (Some("acquire-read"), _) => self.holds.iter().all(|(_, name)| *name == "acquire-read"),
            (_, Lock::Semaphore { permits }) => self.holds.len() < permits as usize,
            (_, Lock::Owned | Lock::ReadWrite) => self.holds.is_empty(),
        };
        self.holds.extend(acquire.filter(|_| fits).map(|name| (self.caller, name)));
        fits.then(|| Value::Null.into())
    }

    fn lie(&mut self, _: &mut ChaCha8Rng, _: &Knobs, _: &str, _: &Value) -> Answer {
        Value::Null.into()
    }
}

#[test]
fn owned_mutex() {
    fuzz(&Lock::Owned, |_| Held::new(Lock::Owned));
}

#[test]
fn reentrant_mutex() {
    fuzz(&Lock::Reentrant, |_| Held::new(Lock::Reentrant));
}

#[test]
fn read_write_lock() {
    fuzz(&Lock::ReadWrite, |_| Held::new(Lock::ReadWrite));
}

#[test]
fn semaphore() {
    let lock = Lock::Semaphore { permits: 2 };
    fuzz(&lock, |_| Held::new(lock));
}
