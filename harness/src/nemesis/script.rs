//! A script: the steps of a nemesis, each with the trigger that it waits for.
//!
//! A script is read from top to bottom. Unless it is for an absolute time, a trigger counts from the beginning of the
//! step before it (for the first step, from the beginning of the run): `leader = 2` is the second change of leader
//! since then. So a step means the same however long it took to come there.

use std::fmt;
use std::time::Duration;

use grudge_nodes::command::Protocol;
use grudge_nodes::point::Point;
use jiff::fmt::serde::unsigned_duration::friendly::compact;
use serde::{Deserialize, Serialize};

use super::choice::check_point;
use super::sign::{Role, Seen, Sign};
use crate::fault::{Arena, Fault};
use crate::spec::kebab;

/// How long a step waits for a landmark or a point that does not come, unless it says otherwise.
const WITHIN: Duration = Duration::from_secs(10);

/// One step: wait, break, heal.
///
/// In a file: `when = { leader = 1, then = "200ms" }`, `fault = { pause = "leader" }`, `hold = "3s"`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Step {
    /// What it waits for.
    pub when: Trigger,
    /// How long it waits for a leader, an operation or a point until it is given up; 10 s if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub within: Option<Duration>,
    /// What happens then.
    pub fault: Fault,
    /// How long it stays in force; to the end of the run if absent.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "compact::optional")]
    pub hold: Option<Duration>,
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub enum Trigger {
    /// A time of the run, whatever became of the steps before: `at = "3s"`.
    At(Duration),
    /// So long after the step before it came into force: `previous = "200ms"`.
    Previous(Duration),
    /// So long after all steps before it were over: `calm = "2s"`.
    Calm(Duration),
    /// The n-th change of leader, and some time: `leader = 1, then = "50ms"`.
    Leader {
        /// Which change, from 1.
        nth: u64,
        /// How long after it.
        then: Duration,
    },
    /// The n-th operation that succeeded for a client, and some time: `acknowledged = 100`.
    Acknowledged {
        /// Which operation, from 1.
        nth: u64,
        /// How long after it.
        then: Duration,
    },
    /// A node comes to a point of its protocol, and is held there until the fault is in force:
    /// `point = "zab-established", node = "n2", nth = 3`.
    Point(Trap),
    /// Something is seen of a node from outside: `log = "compacted", node = "n2", nth = 3`, `role = "leader"`. There,
    /// `here` is that node.
    Sign(Sign),
}

/// Where a node is wanted to halt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trap {
    /// The point.
    pub point: Point,
    /// Which node; any of them if absent.
    pub node: Option<String>,
    /// The how-manieth time, from 1, that a node comes there; counted over all of them if it is for any.
    pub nth: u64,
}

/// A trigger as a file has it: exactly one of its kinds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none", with = "compact::optional")]
    at: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", with = "compact::optional")]
    previous: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none", with = "compact::optional")]
    calm: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    leader: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    acknowledged: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    point: Option<Point>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nth: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", with = "compact::optional")]
    then: Option<Duration>,
}

impl TryFrom<Written> for Trigger {
    type Error = String;

    fn try_from(written: Written) -> Result<Trigger, String> {
        let Written { at, previous, calm, leader, acknowledged, point, log, role, node, nth, then } = written;
        let after = then.unwrap_or_default();
        let sign = |what: Seen| Trigger::Sign(Sign { what, node: node.clone(), nth: nth.unwrap_or(1) });
        let kinds = [
            at.map(Trigger::At),
            previous.map(Trigger::Previous),
            calm.map(Trigger::Calm),
            leader.map(|nth| Trigger::Leader { nth, then: after }),
            acknowledged.map(|nth| Trigger::Acknowledged { nth, then: after }),
            point.map(|point| Trigger::Point(Trap { point, node: node.clone(), nth: nth.unwrap_or(1) })),
            log.map(|text| sign(Seen::Log(text))),
            role.map(|role| sign(Seen::Role(role))),
        ];
        let mut kinds = kinds.into_iter().flatten();
        let (Some(trigger), None) = (kinds.next(), kinds.next()) else {
            return Err("a trigger is one of at, previous, calm, leader, acknowledged, point, log and role".to_owned());
        };
        let landmark = matches!(trigger, Trigger::Leader { .. } | Trigger::Acknowledged { .. });
        let of_point = node.is_some() || nth.is_some();
        match &trigger {
            Trigger::Leader { nth: 0, .. } | Trigger::Acknowledged { nth: 0, .. } => {
                Err("what a trigger counts begins with 1".to_owned())
            }
            Trigger::Point(Trap { nth: 0, .. }) | Trigger::Sign(Sign { nth: 0, .. }) => {
                Err("what a trigger counts begins with 1".to_owned())
            }
            _ if then.is_some() && !landmark => Err("`then` is for `leader` and `acknowledged`".to_owned()),
            Trigger::Sign(Sign { what: Seen::Log(text), .. }) if text.is_empty() => {
                Err("every line has the text \"\": give `log` some words of the line that is waited for".to_owned())
            }
            Trigger::Point(_) | Trigger::Sign(_) => Ok(trigger),
            _ if of_point => Err("`node` and `nth` are for `point`, `log` and `role`".to_owned()),
            _ => Ok(trigger),
        }
    }
}

impl From<Trigger> for Written {
    fn from(trigger: Trigger) -> Written {
        let some = |time: Duration| (!time.is_zero()).then_some(time);
        let none = Written::default();
        match trigger {
            Trigger::At(time) => Written { at: Some(time), ..none },
            Trigger::Previous(time) => Written { previous: Some(time), ..none },
            Trigger::Calm(time) => Written { calm: Some(time), ..none },
            Trigger::Leader { nth, then } => Written { leader: Some(nth), then: some(then), ..none },
            Trigger::Acknowledged { nth, then } => Written { acknowledged: Some(nth), then: some(then), ..none },
            Trigger::Point(Trap { point, node, nth }) => {
                Written { point: Some(point), node, nth: (nth != 1).then_some(nth), ..none }
            }
            Trigger::Sign(Sign { what, node, nth }) => {
                let (log, role) = match what {
                    Seen::Log(text) => (Some(text), None),
                    Seen::Role(role) => (None, Some(role)),
                };
                Written { log, role, node, nth: (nth != 1).then_some(nth), ..none }
            }
        }
    }
}

impl Step {
    /// How long it waits for what may never come.
    #[must_use]
    pub fn patience(&self) -> Duration {
        self.within.unwrap_or(WITHIN)
    }

    /// Whether it takes a leader to say when it begins or whom it means.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        let awaits = matches!(self.when, Trigger::Leader { .. } | Trigger::Sign(Sign { what: Seen::Role(_), .. }));
        awaits || self.fault.needs_leader()
    }

    /// Whether it makes sense there, for these nodes, which are replicas of that protocol (none: they are not ours).
    ///
    /// # Errors
    /// One sentence that names the step.
    pub fn check(&self, arena: Arena, protocol: Option<Protocol>, nodes: &[String]) -> Result<(), String> {
        self.fault.check()?;
        let trapped = match &self.when {
            Trigger::Point(Trap { node, .. }) | Trigger::Sign(Sign { node, .. }) => node.as_deref(),
            _ => None,
        };
        if let Some(name) = self.fault.names().into_iter().chain(trapped).find(|name| !nodes.iter().any(|n| n == name))
        {
            return Err(format!("`{self}`: there is no node `{name}`; the nodes are: {}", nodes.join(", ")));
        }
        self.fault.exists(arena).map_err(|why| format!("`{self}`: {why}"))?;
        match &self.when {
            Trigger::Point(trap) => check_point(&self.to_string(), Some(trap.point), arena, protocol),
            Trigger::Sign(_) if arena == Arena::Simulation => {
                Err(format!("`{self}`: a log is written, and a role is asked for, on real processes only"))
            }
            Trigger::Sign(_) => Ok(()),
            _ if self.fault.is_here() => Err(format!("`{self}`: only a point, a log or a role says where `here` is")),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.fault)
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let and = |f: &mut fmt::Formatter<'_>, then: &Duration| {
            if then.is_zero() { Ok(()) } else { write!(f, " and {then:?}") }
        };
        match self {
            Trigger::At(time) => write!(f, "at {time:?}"),
            Trigger::Previous(time) => write!(f, "{time:?} after the previous fault"),
            Trigger::Calm(time) => write!(f, "after {time:?} of calm"),
            Trigger::Leader { nth, then } => {
                write!(f, "after {nth} change{} of leader", if *nth == 1 { "" } else { "s" })?;
                and(f, then)
            }
            Trigger::Acknowledged { nth, then } => {
                write!(f, "after {nth} acknowledged operation{}", if *nth == 1 { "" } else { "s" })?;
                and(f, then)
            }
            Trigger::Sign(sign) => write!(f, "{sign}"),
            Trigger::Point(Trap { point, node, nth }) => {
                let node = node.as_deref().unwrap_or("any node");
                write!(f, "when {node} comes to {}", kebab(point))?;
                if *nth == 1 { Ok(()) } else { write!(f, " for time {nth}") }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(text: &str) -> Step {
        toml::from_str(&format!("{text}\nfault = {{ pause = 'here' }}"))
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_sign_is_written_as_it_is_read_and_said_in_words() {
        let table = [
            ("when = { log = 'compacted' }", "when any node logs `compacted`: pause here"),
            ("when = { log = 'x', node = 'n2', nth = 3 }", "when n2 logs `x` for time 3: pause here"),
            ("when = { role = 'leader' }", "when any node becomes leader: pause here"),
            ("when = { role = 'looking', node = 'n1' }", "when n1 becomes looking: pause here"),
        ];
        for (text, words) in table {
            let step = step(text);
            assert_eq!(step.to_string(), words);
            let again = toml::to_string(&step).expect("a step is expressible");
            assert_eq!(toml::from_str::<Step>(&again).expect("what was written can be read"), step, "{again}");
        }
    }

    #[test]
    fn a_sign_is_refused_where_nobody_sees_it() {
        let nodes = ["n1".to_owned(), "n2".to_owned()];
        let here = step("when = { log = 'x' }");
        assert_eq!(here.check(Arena::Processes, None, &nodes), Ok(()), "also of systems that are not ours");
        let simulated = here.check(Arena::Simulation, Some(Protocol::Raft), &nodes).expect_err("no log");
        assert!(simulated.contains("on real processes only"), "{simulated}");
        let stranger = step("when = { role = 'leader', node = 'n3' }").check(Arena::Processes, None, &nodes);
        assert!(stranger.expect_err("two nodes").contains("there is no node `n3`"));
        for text in ["when = { log = '' }", "when = { log = 'x', nth = 0 }", "when = { log = 'x', role = 'leader' }"] {
            let wrong = toml::from_str::<Step>(&format!("{text}\nfault = {{ pause = 'all' }}"));
            assert!(wrong.is_err(), "{text}");
        }
    }
}
