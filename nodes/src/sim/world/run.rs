//! How time passes: one event after the other.

use std::time::Duration;

use super::super::options::OnViolation;
use super::super::violation::Violation;
use super::{Happening, MOST_VIOLATIONS, Stimulus, World};
use crate::replica::{Replica, Time};

impl<R: Replica> World<R> {
    /// Runs for that long.
    ///
    /// # Errors
    /// The first violation of an invariant, if violations end the run; the world stays broken from then on.
    pub fn run_for(&mut self, duration: Duration) -> Result<(), Violation> {
        self.run_to(self.now + duration, |_| false)
    }

    /// Runs until there is something to take from [`take_arrivals`](World::take_arrivals) or
    /// [`take_notices`](World::take_notices), or until that time.
    ///
    /// # Errors
    /// The first violation of an invariant, if violations end the run; the world stays broken from then on.
    pub fn run_until_news(&mut self, limit: Time) -> Result<(), Violation> {
        self.run_to(limit, |world| !world.arrivals.is_empty() || !world.notices.is_empty())
    }

    /// Runs until the condition holds; it is asked after each event.
    ///
    /// # Errors
    /// A violation of liveness if `limit` passes first; `what` names the condition. A violation of an invariant, if
    /// violations end the run.
    pub fn run_until(
        &mut self,
        limit: Duration,
        what: &str,
        mut condition: impl FnMut(&World<R>) -> bool,
    ) -> Result<(), Violation> {
        let end = self.now + limit;
        let mut holds = false;
        self.run_to(end, |world| {
            holds = condition(world);
            holds
        })?;
        if holds {
            return Ok(());
        }
        let violation = self.violation(format!("liveness: not within {limit:?}: {what}"));
        self.violations.push(violation.clone());
        Err(violation)
    }

    fn run_to(&mut self, end: Time, mut done: impl FnMut(&World<R>) -> bool) -> Result<(), Violation> {
        self.unbroken()?;
        while !done(self) {
            if self.agenda.next().is_none_or(|next| next > end) {
                self.now = self.now.max(end);
                break;
            }
            self.advance();
            self.unbroken()?;
        }
        Ok(())
    }

    fn advance(&mut self) {
        if let Some((at, what)) = self.agenda.pop() {
            self.now = self.now.max(at);
            self.happen(what);
        }
    }

    fn happen(&mut self, what: Happening<R>) {
        match what {
            Happening::Deliver { from, to, message } => {
                if self.network.lets_through(from, to) {
                    self.reach(self.index(to), Stimulus::Message { from, message });
                }
            }
            Happening::Tick { node, life, at } => {
                let place = self.index(node);
                let node = &self.nodes[place];
                // An earlier tick may have taken this one's place.
                let awaited = node.process.as_ref().is_some_and(|process| process.tick == Some(at));
                if node.life == life && awaited {
                    self.reach(place, Stimulus::Tick);
                }
            }
            Happening::Synced { node, life } => {
                if self.node(node).life == life {
                    self.synced(self.index(node));
                }
            }
            Happening::Connect(client) => self.connected(client),
            Happening::Request { client, request } => self.heard(client, request),
            Happening::HangUp(client) => self.clients.remove(client),
            Happening::Arrive(arrival) => self.arrived(arrival),
            Happening::Fault => self.fault(),
            Happening::Undo(undo) => self.undo(undo),
            // A test may have ended the chaos before its time.
            Happening::Calm if self.chaos.is_none() => {}
            Happening::Calm => self.calm(),
        }
    }

    /// The violation that has ended the run.
    fn unbroken(&self) -> Result<(), Violation> {
        match self.violations.first() {
            Some(first) if self.options.on_violation == OnViolation::End => Err(first.clone()),
            _ => Ok(()),
        }
    }

    pub(super) fn is_over(&self) -> bool {
        !self.violations.is_empty() && self.options.on_violation == OnViolation::End
    }

    /// What somebody who watches this world, a client say, found broken just now. It is not kept by the world.
    #[must_use]
    pub fn violation(&self, what: String) -> Violation {
        Violation { seed: self.seed, at: self.now, what, trace: self.trace.text() }
    }

    pub(super) fn breaks(&mut self, what: String) {
        if self.violations.len() < MOST_VIOLATIONS && !self.is_over() {
            let violation = self.violation(what);
            self.violations.push(violation);
        }
    }
}
