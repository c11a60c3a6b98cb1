//! Histories that can be gone through more than once.

use super::{Event, History, ReadError};

/// A history that can be gone through again and again: in memory, or read anew from where it lies.
pub trait Tape {
    /// Hands out the events in their order.
    ///
    /// # Errors
    /// What stopped the reading, after every event before the damage was handed out.
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError>;

    /// The events at these positions, which are in increasing order; fewer if the tape ends before.
    ///
    /// # Errors
    /// What stopped the reading before the last of them.
    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError>;
}

impl Tape for History {
    fn play(&self, each: &mut dyn FnMut(&Event)) -> Result<(), ReadError> {
        self.events.iter().for_each(each);
        Ok(())
    }

    fn pick(&self, positions: &[usize]) -> Result<Vec<Event>, ReadError> {
        Ok(positions.iter().filter_map(|&position| self.events.get(position)).cloned().collect())
    }
}
