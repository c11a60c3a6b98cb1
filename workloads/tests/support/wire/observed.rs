//! What a scripted server saw on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;

/// Counts, which tests can wait for.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Connections that were opened.
    pub opened: usize,
    /// Connections that ended.
    pub ended: usize,
    /// Requests by name.
    pub requests: BTreeMap<String, usize>,
}

/// The counts of one server.
#[derive(Clone, Debug)]
pub struct Observed(watch::Sender<Seen>);

impl Observed {
    /// Nothing seen yet.
    pub fn new() -> Self {
        Observed(watch::Sender::new(Seen::default()))
    }

    /// Counts.
    pub fn note(&self, change: impl FnOnce(&mut Seen)) {
        self.0.send_modify(change);
    }

    /// Counts a request.
    pub fn request(&self, name: &str) {
        self.note(|seen| *seen.requests.entry(name.to_owned()).or_insert(0) += 1);
    }

    /// How often this was requested, on all connections together.
    pub fn requests(&self, name: &str) -> usize {
        self.0.borrow().requests.get(name).copied().unwrap_or(0)
    }

    /// Waits until this is true of the counts.
    pub async fn until(&self, what: &str, condition: impl FnMut(&Seen) -> bool) {
        let mut receiver = self.0.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(30), receiver.wait_for(condition)).await;
        assert!(waited.is_ok(), "never came: {what}; seen: {:?}", self.0.borrow());
    }
}
