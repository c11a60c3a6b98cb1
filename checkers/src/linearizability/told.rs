//! The few operations that an explanation speaks of, with their events.

use super::problem::{Call, NEVER};
use crate::history::{Event, Operation, ReadError, Tape};

/// Events that were picked from the history again.
pub(super) struct Told {
    /// By position.
    events: Vec<(usize, Event)>,
}

impl Told {
    /// Picks the events at these positions; [`NEVER`] stands for none.
    pub(super) fn pick(tape: &dyn Tape, positions: impl Iterator<Item = u32>) -> Result<Told, ReadError> {
        let mut positions: Vec<usize> =
            positions.filter(|&position| position != NEVER).map(|position| position as usize).collect();
        positions.sort_unstable();
        positions.dedup();
        let events = tape.pick(&positions)?;
        Ok(Told { events: positions.into_iter().zip(events).collect() })
    }

    /// The operation behind a call, if it was picked.
    pub(super) fn operation<Op>(&self, call: &Call<Op>) -> Option<Operation<'_>> {
        self.at(call.start, call.ret)
    }

    /// The operation that began and ended at these positions, if it was picked.
    pub(super) fn at(&self, start: u32, ret: u32) -> Option<Operation<'_>> {
        let event = |position: u32| {
            let at = self.events.binary_search_by_key(&(position as usize), |(position, _)| *position).ok()?;
            Some(&self.events[at].1)
        };
        let ret = (ret != NEVER).then_some(ret);
        let completion = ret.and_then(event);
        Some(Operation { invoke: event(start)?, completion, call: start as usize, ret: ret.map(|ret| ret as usize) })
    }
}
