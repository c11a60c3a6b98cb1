//! Sessions: what every server knows of them, and the leader's watch over their time.
//!
//! A session is opened and closed by transactions, so all servers agree on which sessions there are. When a
//! session *expires* is for the leader alone to say: [`Tracker`] puts each session into the bucket
//! `((now + timeout) / tick + 1) · tick` of the monotonic clock whenever the session is heard of. A bucket's
//! sessions expire together once its time has come: never before their timeout has passed, and at most one tick
//! after. A new leader gives every session its full timeout again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::replica::Time;

/// A session's number. Its top byte is the number of the server that opened it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SessionId(pub i64);

impl std::fmt::Display for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// What proves that a client owns a session.
pub type Password = [u8; 16];

/// What every server knows of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// What its client must show to go on with it over another connection.
    pub password: Password,
    /// The negotiated timeout, milliseconds.
    pub timeout_ms: u32,
}

impl Session {
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(u64::from(self.timeout_ms))
    }
}

/// The timeout a client gets who asks for this one: 2 to 20 ticks.
#[must_use]
pub fn negotiate(asked_ms: i32, tick: Duration) -> u32 {
    let tick = u32::try_from(tick.as_millis()).unwrap_or(u32::MAX).max(1);
    let asked = u32::try_from(asked_ms).unwrap_or(0);
    asked.clamp(tick.saturating_mul(2), tick.saturating_mul(20))
}

/// The leader's watch over the time of all sessions.
#[derive(Debug)]
pub struct Tracker {
    tick: Duration,
    deadlines: BTreeMap<SessionId, (Time, Duration)>,
    buckets: BTreeMap<Time, BTreeSet<SessionId>>,
}

impl Tracker {
    /// Nobody is watched yet.
    #[must_use]
    pub fn new(tick: Duration) -> Tracker {
        Tracker { tick: tick.max(Duration::from_millis(1)), deadlines: BTreeMap::new(), buckets: BTreeMap::new() }
    }

    /// Begins to watch a session; it has its full timeout from now on.
    pub fn track(&mut self, now: Time, session: SessionId, timeout: Duration) {
        self.remove(session);
        let deadline = self.bucket(now + timeout);
        self.deadlines.insert(session, (deadline, timeout));
        self.buckets.entry(deadline).or_default().insert(session);
    }

    /// The session was heard of. Sessions that are not watched are ignored.
    pub fn touch(&mut self, now: Time, session: SessionId) {
        if let Some(&(deadline, timeout)) = self.deadlines.get(&session)
            && deadline < self.bucket(now + timeout)
        {
            self.track(now, session, timeout);
        }
    }

    /// The session has ended: it is watched no more.
    pub fn remove(&mut self, session: SessionId) {
        let Some((deadline, _)) = self.deadlines.remove(&session) else { return };
        if let Some(bucket) = self.buckets.get_mut(&deadline) {
            bucket.remove(&session);
            if bucket.is_empty() {
                self.buckets.remove(&deadline);
            }
        }
    }

    /// The sessions whose bucket's time has come, which are watched no more.
    pub fn expire(&mut self, now: Time) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some(bucket) = self.buckets.first_entry()
            && *bucket.key() <= now
        {
            expired.extend(bucket.remove());
        }
        for session in &expired {
            self.deadlines.remove(session);
        }
        expired
    }

    /// When the next bucket's time comes.
    #[must_use]
    pub fn next(&self) -> Option<Time> {
        self.buckets.keys().next().copied()
    }

    /// The first tick after `due`.
    fn bucket(&self, due: Time) -> Time {
        let ticks = due.as_nanos() / self.tick.as_nanos() + 1;
        self.tick.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_timeout_is_negotiated_between_two_and_twenty_ticks() {
        let tick = Duration::from_millis(2000);
        for (asked, given) in [(1, 4000), (-5, 4000), (6000, 6000), (999_999, 40_000), (i32::MAX, 40_000)] {
            assert_eq!(negotiate(asked, tick), given, "asked {asked}");
        }
    }

    proptest! {
        #[test]
        fn a_session_expires_never_early_and_at_most_one_tick_late(
            tick_ms in 1u64..3000,
            timeout_ms in 1u64..40_000,
            gaps in prop::collection::vec(0u64..20_000, 1..20),
        ) {
            let (tick, timeout) = (Duration::from_millis(tick_ms), Duration::from_millis(timeout_ms));
            let (session, mut tracker) = (SessionId(7), Tracker::new(tick));
            let mut now = Duration::from_millis(gaps[0]);
            tracker.track(now, session, timeout);
            for gap in &gaps[1..] {
                let due = tracker.next().expect("one session is watched");
                prop_assert!(due > now + timeout, "early: due {due:?}, touched {now:?}");
                prop_assert!(due <= now + timeout + tick, "late: due {due:?}, touched {now:?}");
                prop_assert_eq!(tracker.expire(due - Duration::from_nanos(1)), vec![]);
                let later = now + Duration::from_millis(*gap);
                if later >= due {
                    prop_assert_eq!(tracker.expire(later), vec![session]);
                    prop_assert_eq!(tracker.next(), None);
                    return Ok(());
                }
                now = later;
                tracker.touch(now, session);
            }
        }
    }
}
