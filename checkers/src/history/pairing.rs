//! Pairs calls with their completions while the events come.

use rustc_hash::FxHashMap;

use super::operation::{HistoryError, completes, mismatch, no_call, overlap};
use super::{Event, Kind, Operation, Process};

/// Calls that wait for their completion. It remembers these and nothing else of a history.
#[derive(Debug, Default)]
pub struct Pairing {
    open: FxHashMap<Process, (usize, Event)>,
    position: usize,
}

impl Pairing {
    /// Takes the next event, and hands on the operation that it completes, if it completes one.
    ///
    /// # Errors
    /// The event does not pair: a completion without a call, or a call while another is open.
    pub fn push(&mut self, event: &Event, done: impl FnOnce(&Operation<'_>)) -> Result<(), HistoryError> {
        let position = self.position;
        self.position += 1;
        if event.process == Process::Nemesis {
            return Ok(());
        }
        if event.kind == Kind::Invoke {
            return match self.open.insert(event.process, (position, event.clone())) {
                Some((_, open)) => Err(overlap(event, &open)),
                None => Ok(()),
            };
        }
        let Some((call, invoke)) = self.open.remove(&event.process) else { return Err(no_call(event)) };
        if !completes(&invoke, event) {
            return Err(mismatch(event, &invoke));
        }
        done(&Operation { invoke: &invoke, completion: Some(event), call, ret: Some(position) });
        Ok(())
    }

    /// How many events were taken.
    #[must_use]
    pub fn position(&self) -> usize {
        self.position
    }

    /// Hands on the calls that nobody answered, in the order in which they were made.
    pub fn finish(self, mut done: impl FnMut(&Operation<'_>)) {
        let mut open: Vec<(usize, Event)> = self.open.into_values().collect();
        open.sort_unstable_by_key(|(call, _)| *call);
        for (call, invoke) in &open {
            done(&Operation { invoke, completion: None, call: *call, ret: None });
        }
    }
}
