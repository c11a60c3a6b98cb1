//! The agenda: what a nemesis has to do next, and when to ask again.
//!
//! It does nothing itself and has no clock. A driver, real or simulated, asks [`Agenda::next`] and does what it says
//! until it says to wait, tells what came of each action, and asks again when the time has come, a landmark has moved
//! or a trap has caught a node. What it was told is the run's [`Schedule`].
//!
//! The order is fixed: what is due to end ends before anything begins, newest first; steps begin in their order.
//! One trap is armed at a time.

use std::time::Duration;

use super::schedule::{Schedule, Since};
use super::{Plan, Sign, Step, Trap, Trigger};
use crate::fault::Fault;

/// How far the run has come, counted from its beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Landmarks {
    /// How often a node began to lead.
    pub leaders: u64,
    /// How many operations succeeded for a client.
    pub acknowledged: u64,
}

/// Names a step in the life of an agenda.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StepId(usize);

/// What the driver has to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Do {
    /// This, and ask again.
    Act(Action),
    /// Nothing until then.
    Wait(Wait),
    /// Nothing any more: everything is over and nothing is in force.
    Done,
}

/// When to ask again: whatever comes first, and always after a change of leader or when a trap has caught a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wait {
    /// At this time of the run.
    pub until: Option<Duration>,
    /// When so many operations were acknowledged since its beginning.
    pub acknowledged: Option<u64>,
}

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sets a trap, in which a node is held until it is released. Nothing to report but [`Agenda::reached`], later.
    Arm {
        /// For which step.
        step: StepId,
        /// Where.
        trap: Trap,
    },
    /// Looks for a sign until the run ends. Nothing to report but [`Agenda::reached`], later.
    Look {
        /// For which step.
        step: StepId,
        /// What is looked for.
        sign: Sign,
    },
    /// Puts a fault in force; to be answered by [`Agenda::started`]. Then the node that is held, if any, goes on,
    /// unless the fault has paused or killed it.
    Start {
        /// Of which step.
        step: StepId,
        /// What: `here` is named already.
        fault: Fault,
        /// The node that was caught in a trap. All traps are gone.
        held: Option<String>,
    },
    /// Takes a fault away; to be answered by [`Agenda::stopped`].
    Stop {
        /// Of which step.
        step: StepId,
    },
    /// Takes a trap away and lets whoever was caught go on, and says that the step's fault never came. Nothing to
    /// report.
    GiveUp {
        /// What would have happened.
        fault: Fault,
        /// Whether a trap is set for it.
        armed: bool,
        /// Why it did not happen.
        why: String,
    },
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq)]
enum State {
    /// It waits; its landmark was seen then.
    Waiting { seen: Option<Duration> },
    /// Its trap is set since then.
    Armed { since: Duration },
    /// Its trap has caught this node.
    Caught { node: String },
    /// Its sign is looked for since then.
    Looking { since: Duration },
    /// Its sign was seen at this node.
    Seen { node: String },
    /// The driver works on it.
    Starting,
    /// To be taken away then.
    InForce { until: Option<Duration> },
    /// The driver works on it.
    Stopping,
    /// It is taken away, was refused or given up.
    Over,
}

/// From where the triggers of the next step are counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mark {
    /// When the step came into force, or was refused.
    at: Duration,
    /// The landmarks when that was decided.
    landmarks: Landmarks,
}

#[derive(Debug)]
struct Entry {
    step: Step,
    state: State,
    decided: Landmarks,
    begun: Option<Mark>,
    /// Its place in the schedule.
    record: Option<usize>,
}

/// See the module's text. The default one has nothing to do.
#[derive(Default)]
pub struct Agenda {
    plan: Option<Plan>,
    entries: Vec<Entry>,
    /// The steps that are not over, in ascending order.
    open: Vec<usize>,
    ending: bool,
    /// When the last step was over.
    calm_since: Duration,
    /// The last change of leader: how many there were, and when.
    leader: (u64, Duration),
    /// Where the last fault in force began.
    last_in_force: Option<Mark>,
    schedule: Schedule,
}

impl Agenda {
    /// One that follows a script.
    #[must_use]
    pub fn scripted(script: &[Step]) -> Agenda {
        let mut agenda = Agenda::default();
        script.iter().for_each(|step| agenda.push(step.clone()));
        agenda
    }

    /// One that follows a plan.
    pub(crate) fn planned(plan: Plan) -> Agenda {
        Agenda { plan: Some(plan), ..Agenda::default() }
    }

    /// Whether it will ever do anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.plan.as_ref().is_none_or(Plan::is_empty)
    }

    /// What was done so far.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// From now on nothing begins, and what is in force ends.
    pub fn end(&mut self) {
        self.ending = true;
    }

    /// What to do at this time of the run.
    pub fn next(&mut self, now: Duration, landmarks: &Landmarks) -> Do {
        if landmarks.leaders != self.leader.0 {
            self.leader = (landmarks.leaders, now);
        }
        let over = |state: &State| matches!(state, State::InForce { until: Some(until) } if *until <= now);
        let due = |entry: &Entry| over(&entry.state) || self.ending && matches!(entry.state, State::InForce { .. });
        if let Some(step) = self.open.iter().rev().copied().find(|step| due(&self.entries[*step])) {
            self.entries[step].state = State::Stopping;
            return Do::Act(Action::Stop { step: StepId(step) });
        }
        if self.ending {
            return self.abandon(now, landmarks);
        }
        self.draw();
        let mut wait = Wait::default();
        for step in self.open.clone() {
            if let Some(action) = self.advance(step, now, landmarks, &mut wait) {
                return Do::Act(action);
            }
        }
        if self.open.is_empty() { Do::Done } else { Do::Wait(wait) }
    }

    /// The trap of that step has caught a node, or its sign was seen there.
    pub fn reached(&mut self, step: StepId, node: &str) {
        let (state, node) = (&mut self.entries[step.0].state, node.to_owned());
        match state {
            State::Armed { .. } => *state = State::Caught { node },
            State::Looking { .. } => *state = State::Seen { node },
            // It came too late.
            _ => {}
        }
    }

    /// A fault came into force, as what exactly; or it did not, and why.
    pub fn started(&mut self, step: StepId, now: Duration, outcome: Result<&Fault, &str>) {
        let entry = &mut self.entries[step.0];
        let mark = Mark { at: now, landmarks: entry.decided };
        entry.begun = Some(mark);
        let record = entry.record.expect("what starts was recorded when it was decided");
        match outcome {
            Ok(done) => {
                entry.state = State::InForce { until: entry.step.hold.map(|hold| now + hold) };
                self.last_in_force = Some(mark);
                self.schedule.in_force(record, done);
            }
            Err(why) => {
                self.schedule.refused(record, why);
                self.over(step.0, now);
            }
        }
    }

    /// A fault was taken away, as well as it could be.
    pub fn stopped(&mut self, step: StepId, now: Duration) {
        let record = self.entries[step.0].record.expect("what is in force was recorded");
        self.schedule.stopped(record, now);
        self.over(step.0, now);
    }

    /// Gives up what has not begun, one step after the other. What a plan has drawn and not begun is nobody's loss.
    fn abandon(&mut self, now: Duration, landmarks: &Landmarks) -> Do {
        while let Some(step) = self.open.first().copied() {
            if self.plan.is_some() && matches!(self.entries[step].state, State::Waiting { .. }) {
                self.over(step, now);
            } else {
                let why = format!("never came: the run ended before {}", self.entries[step].step.when);
                return Do::Act(self.give_up(step, now, landmarks, why));
            }
        }
        Do::Done
    }

    /// Draws the next step of a plan when all before it have begun.
    fn draw(&mut self) {
        let begun = |step: &usize| self.entries[*step].begun.is_some();
        if !self.open.iter().all(begun) {
            return;
        }
        if let Some(step) = self.plan.as_mut().and_then(Iterator::next) {
            self.push(step);
        }
    }

    fn push(&mut self, step: Step) {
        self.open.push(self.entries.len());
        let state = State::Waiting { seen: None };
        self.entries.push(Entry { step, state, decided: Landmarks::default(), begun: None, record: None });
    }

    /// What a step does now; if nothing, how long it waits.
    fn advance(&mut self, step: usize, now: Duration, landmarks: &Landmarks, wait: &mut Wait) -> Option<Action> {
        match self.entries[step].state.clone() {
            State::InForce { until } => {
                wait.until = earlier(wait.until, until);
                None
            }
            State::Caught { node } => Some(self.start(step, now, landmarks, Some((node, Stand::Held)))),
            State::Seen { node } => Some(self.start(step, now, landmarks, Some((node, Stand::Free)))),
            State::Armed { since } | State::Looking { since } => {
                let limit = since + self.entries[step].step.patience();
                if now >= limit {
                    return Some(self.lose_patience(step, now, landmarks));
                }
                wait.until = earlier(wait.until, Some(limit));
                None
            }
            State::Waiting { .. } => self.wait(step, now, landmarks, wait),
            State::Starting | State::Stopping | State::Over => None,
        }
    }

    fn wait(&mut self, step: usize, now: Duration, landmarks: &Landmarks, wait: &mut Wait) -> Option<Action> {
        match self.due(step, now, landmarks) {
            Due::Blocked => {}
            Due::At(time) if time <= now => return Some(self.start(step, now, landmarks, None)),
            Due::At(time) => wait.until = earlier(wait.until, Some(time)),
            Due::Unseen { limit, .. } if limit <= now => return Some(self.lose_patience(step, now, landmarks)),
            Due::Unseen { limit, acknowledged } => {
                wait.until = earlier(wait.until, Some(limit));
                wait.acknowledged = earlier(wait.acknowledged, acknowledged);
            }
            Due::Sign(sign) => {
                self.entries[step].state = State::Looking { since: now };
                return Some(Action::Look { step: StepId(step), sign });
            }
            Due::Trap(trap) => {
                self.entries[step].state = State::Armed { since: now };
                return Some(Action::Arm { step: StepId(step), trap });
            }
        }
        None
    }

    fn due(&mut self, step: usize, now: Duration, landmarks: &Landmarks) -> Due {
        let base = match step {
            0 => Some(Mark::default()),
            _ => self.entries[step - 1].begun,
        };
        match (self.entries[step].step.when.clone(), base) {
            (Trigger::At(time), _) => Due::At(time),
            (Trigger::Calm(then), _) if self.open.first() == Some(&step) => Due::At(self.calm_since + then),
            (Trigger::Calm(_), _) | (_, None) => Due::Blocked,
            (Trigger::Previous(then), Some(base)) => Due::At(base.at + then),
            (Trigger::Leader { nth, then }, Some(base)) => {
                let seen = landmarks.leaders >= base.landmarks.leaders + nth;
                self.after_landmark(step, base, seen.then_some(now), then, None)
            }
            (Trigger::Acknowledged { nth, then }, Some(base)) => {
                let target = base.landmarks.acknowledged + nth;
                let seen = landmarks.acknowledged >= target;
                self.after_landmark(step, base, seen.then_some(now), then, Some(target))
            }
            (Trigger::Sign(sign), Some(_)) => Due::Sign(sign),
            (Trigger::Point(trap), Some(_)) => {
                let taken = |other: &usize| matches!(self.entries[*other].state, State::Armed { .. });
                if self.open.iter().any(taken) { Due::Blocked } else { Due::Trap(trap) }
            }
        }
    }

    fn after_landmark(
        &mut self,
        step: usize,
        base: Mark,
        now_seen: Option<Duration>,
        then: Duration,
        acknowledged: Option<u64>,
    ) -> Due {
        let entry = &mut self.entries[step];
        let State::Waiting { seen } = &mut entry.state else { return Due::Blocked };
        *seen = seen.or(now_seen);
        match seen {
            Some(seen) => Due::At(*seen + then),
            None => Due::Unseen { limit: base.at + entry.step.patience(), acknowledged },
        }
    }

    fn start(&mut self, step: usize, now: Duration, landmarks: &Landmarks, here: Option<(String, Stand)>) -> Action {
        let record = self.record(step, now, landmarks, here.as_ref().map(|(node, _)| node.as_str()));
        let entry = &mut self.entries[step];
        entry.state = State::Starting;
        entry.record = Some(record);
        entry.decided = *landmarks;
        let fault = match &here {
            Some((node, _)) => entry.step.fault.located(node),
            None => entry.step.fault.clone(),
        };
        let held = here.filter(|(_, stand)| *stand == Stand::Held).map(|(node, _)| node);
        Action::Start { step: StepId(step), fault, held }
    }

    fn lose_patience(&mut self, step: usize, now: Duration, landmarks: &Landmarks) -> Action {
        let Step { when, .. } = &self.entries[step].step;
        let why = format!("never came within {:?}: {when}", self.entries[step].step.patience());
        self.give_up(step, now, landmarks, why)
    }

    fn give_up(&mut self, step: usize, now: Duration, landmarks: &Landmarks, why: String) -> Action {
        let record = self.record(step, now, landmarks, None);
        self.schedule.refused(record, &why);
        let entry = &mut self.entries[step];
        let armed = matches!(entry.state, State::Armed { .. } | State::Caught { .. });
        let fault = entry.step.fault.clone();
        entry.begun = Some(Mark { at: now, landmarks: *landmarks });
        self.over(step, now);
        Action::GiveUp { fault, armed, why }
    }

    /// Writes down what was decided, and by what it can be armed again.
    fn record(&mut self, step: usize, now: Duration, landmarks: &Landmarks, here: Option<&str>) -> usize {
        let last = self.last_in_force;
        let base = last.unwrap_or_default();
        let leaders = landmarks.leaders - base.landmarks.leaders;
        let since = Since {
            previous: last.map(|mark| now.saturating_sub(mark.at)),
            acknowledged: landmarks.acknowledged - base.landmarks.acknowledged,
            leaders,
            leader: (leaders > 0).then(|| now.saturating_sub(self.leader.1)),
        };
        self.schedule.decided(now, &self.entries[step].step, since, here)
    }

    fn over(&mut self, step: usize, now: Duration) {
        self.entries[step].state = State::Over;
        self.open.retain(|other| *other != step);
        self.calm_since = self.calm_since.max(now);
    }
}

/// What a node does at which a step was triggered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    /// It is held in a trap.
    Held,
    /// It goes on.
    Free,
}

/// When a waiting step is due.
enum Due {
    /// Not before something else has happened.
    Blocked,
    At(Duration),
    /// Its landmark was not seen yet; it is given up then.
    Unseen {
        limit: Duration,
        acknowledged: Option<u64>,
    },
    /// When this trap, which is not set yet, has caught a node.
    Trap(Trap),
    /// When this sign, which is not looked for yet, was seen at a node.
    Sign(Sign),
}

/// The earlier of two times or counts that may never come.
fn earlier<T: Ord>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

#[cfg(test)]
mod tests;
