//! Who holds a lock, as far as the clients of a run were told: what a fault has to know that looks for a holder.

use crate::generator::Worker;
use crate::operation::{Invocation, Outcome};

/// The workers that have acquired a lock and have not begun to release it.
#[derive(Debug, Default)]
pub struct Holders {
    /// Who acquired last comes last.
    held: Vec<Held>,
}

#[derive(Debug)]
struct Held {
    worker: Worker,
    lock: Option<String>,
    /// Whether its holder has begun to do something with it.
    used: bool,
}

impl Holders {
    /// A call begins.
    pub fn called(&mut self, worker: Worker, invocation: &Invocation) {
        if invocation.f == "release" {
            return self.forget(worker, invocation);
        }
        let own = |held: &&mut Held| held.worker == worker && held.lock == invocation.key;
        if let Some(held) = self.held.iter_mut().find(own) {
            held.used = true;
        }
    }

    /// A call has ended.
    pub fn ended(&mut self, worker: Worker, invocation: &Invocation, outcome: &Outcome) {
        match (invocation.f, outcome) {
            ("acquire", Outcome::Ok { .. }) => {
                self.held.push(Held { worker, lock: invocation.key.clone(), used: false });
            }
            ("acquire", _) | (_, Outcome::Ok { .. }) => {}
            // It was told that it holds no more, or knows nothing of it.
            (_, Outcome::Fail { .. } | Outcome::Info { .. }) => self.forget(worker, invocation),
        }
    }

    /// Its client is gone, and what it held is nobody's or will be.
    pub fn gone(&mut self, worker: Worker) {
        self.held.retain(|held| held.worker != worker);
    }

    /// Who acquired last of those that hold.
    #[must_use]
    pub fn last(&self) -> Option<Worker> {
        self.held.last().map(|held| held.worker)
    }

    /// Who acquired last of those that have done nothing with their lock yet: they will, before they release.
    #[must_use]
    pub fn fresh(&self) -> Option<Worker> {
        self.held.iter().rfind(|held| !held.used).map(|held| held.worker)
    }

    fn forget(&mut self, worker: Worker, invocation: &Invocation) {
        self.held.retain(|held| held.worker != worker || held.lock != invocation.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_that_acquired_holds_until_it_releases_or_is_gone() {
        let mut holders = Holders::default();
        let acquire = |key: &str| Invocation::new("acquire").on(key);
        for (worker, key, outcome) in
            [(0, "a", Outcome::ok(1, None)), (1, "b", Outcome::ok(2, None)), (2, "b", Outcome::fail("taken"))]
        {
            holders.ended(Worker(worker), &acquire(key), &outcome);
        }
        assert_eq!((holders.last(), holders.fresh()), (Some(Worker(1)), Some(Worker(1))));
        holders.called(Worker(1), &Invocation::new("prove").on("b"));
        assert_eq!(holders.fresh(), Some(Worker(0)), "the other has begun to use its lock");
        holders.ended(Worker(1), &Invocation::new("prove").on("b"), &Outcome::ok(2, None));
        assert_eq!(holders.last(), Some(Worker(1)));
        holders.called(Worker(1), &Invocation::new("release").on("b"));
        assert_eq!(holders.last(), Some(Worker(0)), "it has begun to release");
        holders.ended(Worker(2), &acquire("b"), &Outcome::ok(3, None));
        holders.ended(Worker(2), &Invocation::new("prove").on("b"), &Outcome::info("timeout"));
        assert_eq!(holders.last(), Some(Worker(0)), "nobody knows of the other");
        holders.gone(Worker(0));
        assert_eq!(holders.last(), None);
    }
}
