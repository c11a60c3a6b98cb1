//! Leases: which there are and what hangs on them is replicated; how long they still have is the leader's business.
//!
//! Time is never in the log. A leader counts down on its own monotonic clock, and a new leader starts every lease
//! anew: none ends before its time, at the price of living longer across an election (compare etcd issues 12528
//! and 15247). An end goes through the log as a revocation of the leader's term, so a deposed leader ends nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::replica::Time;

/// A lease as all replicas know it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lease {
    /// Seconds.
    pub(crate) ttl: i64,
    pub(crate) keys: BTreeSet<Bytes>,
}

/// All leases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Leases {
    leases: BTreeMap<i64, Lease>,
}

impl Leases {
    pub(crate) fn get(&self, id: i64) -> Option<&Lease> {
        self.leases.get(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.leases.keys().copied()
    }

    /// Adds a lease; false if there is one of that number.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64) -> bool {
        let free = !self.leases.contains_key(&id);
        if free {
            self.leases.insert(id, Lease { ttl, keys: BTreeSet::new() });
        }
        free
    }

    pub(crate) fn remove(&mut self, id: i64) -> Option<Lease> {
        self.leases.remove(&id)
    }

    /// A key hangs on this lease from now on, 0 for none, and no longer on the former.
    pub(crate) fn attach(&mut self, key: &Bytes, before: i64, now: i64) {
        if before == now {
            return;
        }
        self.detach(key, before);
        if let Some(lease) = self.leases.get_mut(&now) {
            lease.keys.insert(key.clone());
        }
    }

    pub(crate) fn detach(&mut self, key: &Bytes, lease: i64) {
        if let Some(lease) = self.leases.get_mut(&lease) {
            lease.keys.remove(key);
        }
    }
}

/// A leader's countdown.
#[derive(Debug, Default)]
pub(crate) struct Countdown {
    ends: BTreeMap<i64, Time>,
    order: BTreeSet<(Time, i64)>,
}

impl Countdown {
    /// Gives every lease its full time from now.
    pub(crate) fn start(now: Time, leases: &Leases) -> Self {
        let mut countdown = Countdown::default();
        for (&id, lease) in &leases.leases {
            countdown.set(now, id, lease.ttl);
        }
        countdown
    }

    /// Gives a lease its full time from now.
    pub(crate) fn set(&mut self, now: Time, id: i64, ttl: i64) {
        self.remove(id);
        let end = now.saturating_add(Duration::from_secs(u64::try_from(ttl).unwrap_or(0)));
        self.ends.insert(id, end);
        self.order.insert((end, id));
    }

    /// A lease is no more.
    pub(crate) fn remove(&mut self, id: i64) {
        if let Some(end) = self.ends.remove(&id) {
            self.order.remove(&(end, id));
        }
    }

    /// How long a lease still has; none if it is unknown or its end was decided.
    pub(crate) fn left(&self, now: Time, id: i64) -> Option<Duration> {
        self.ends.get(&id).map(|end| end.saturating_sub(now))
    }

    /// A lease whose time is over, taken out: its end is decided, and no keep-alive brings it back.
    pub(crate) fn take_over_due(&mut self, now: Time) -> Option<i64> {
        let &(end, id) = self.order.first()?;
        if end > now {
            return None;
        }
        self.remove(id);
        Some(id)
    }

    /// Forgets all whose time is not over.
    pub(crate) fn forget_running(&mut self, now: Time) {
        self.ends.retain(|_, end| *end <= now);
        self.order.retain(|(end, _)| *end <= now);
    }

    /// When the next one ends.
    pub(crate) fn next(&self) -> Option<Time> {
        self.order.first().map(|(end, _)| *end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(n: u64) -> Time {
        Duration::from_secs(n)
    }

    #[test]
    fn a_lease_ends_once_and_not_before_its_time() {
        let mut leases = Leases::default();
        assert!(leases.grant(7, 5) && leases.grant(8, 9) && !leases.grant(7, 1));
        let mut countdown = Countdown::start(seconds(100), &leases);
        assert_eq!(countdown.next(), Some(seconds(105)));
        assert_eq!(countdown.take_over_due(seconds(104)), None);
        countdown.set(seconds(104), 7, 5);
        assert_eq!(countdown.left(seconds(106), 7), Some(seconds(3)));
        assert_eq!(countdown.take_over_due(seconds(109)), Some(7));
        assert_eq!(countdown.take_over_due(seconds(109)), Some(8));
        assert_eq!(countdown.take_over_due(seconds(200)), None);
        assert_eq!(countdown.left(seconds(109), 7), None, "its end was decided");
    }

    #[test]
    fn a_key_hangs_on_its_last_lease_only() {
        let key = Bytes::from_static(b"k");
        let mut leases = Leases::default();
        assert!(leases.grant(1, 5) && leases.grant(2, 5));
        leases.attach(&key, 0, 1);
        leases.attach(&key, 1, 2);
        assert!(leases.get(1).expect("granted").keys.is_empty());
        assert!(leases.remove(2).expect("granted").keys.contains(&key));
    }
}
