//! What the nemesis may draw, as a person writes it: `partition` for any partition, `partition:leader` for that one,
//! `kill@zab-established` for the death of a node that comes to that point.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use grudge_nodes::command::Protocol;
use grudge_nodes::point::Point;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};

use crate::fault::{Arena, Fault, FaultKind, Shape, Targets, Workers};
use crate::spec::kebab;

/// The point's name in `kill@point`: any point of the protocol.
const ANY_POINT: &str = "point";

/// One entry of the nemesis's menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Choice {
    /// Any fault of this kind.
    Any(FaultKind),
    /// A fault of this kind on these targets; what else there is to say of it is drawn.
    On(FaultKind, Targets),
    /// A fault of these clients; what happens to them is drawn.
    OnClients(Workers),
    /// This fault and no other of its kind.
    Only(Fault),
    /// A fault of this kind on the node that comes to this point, or to any point, of its protocol.
    AtPoint(FaultKind, Option<Point>),
}

impl Choice {
    /// Everything that can be done there to any system, and at any point to replicas of that protocol (none: they are not
    /// ours, and stop at no points). What depends on the system is asked for by name.
    #[must_use]
    pub fn all(arena: Arena, protocol: Option<Protocol>) -> Vec<Choice> {
        let kinds = || FaultKind::all(arena).filter(|kind| *kind != FaultKind::Member);
        let at_points = kinds().filter(|kind| arena != Arena::Hosts && protocol.is_some() && kind.hits_points());
        let at_points = at_points.map(|kind| Choice::AtPoint(kind, None));
        kinds().map(Choice::Any).chain(at_points).collect()
    }

    /// The kind of fault that it is.
    #[must_use]
    pub fn kind(&self) -> FaultKind {
        match self {
            Choice::Any(kind) | Choice::On(kind, _) | Choice::AtPoint(kind, _) => *kind,
            Choice::OnClients(_) => FaultKind::Client,
            Choice::Only(fault) => fault.sort(),
        }
    }

    /// Whether it takes a leader to say whom it means.
    #[must_use]
    pub fn needs_leader(&self) -> bool {
        match self {
            Choice::Only(fault) => fault.needs_leader(),
            Choice::On(_, targets) => targets.needs_leader(),
            Choice::Any(_) | Choice::OnClients(_) | Choice::AtPoint(..) => false,
        }
    }

    /// Whether it can be done there, to replicas of that protocol (none: they are not ours).
    ///
    /// # Errors
    /// One sentence that names the entry.
    pub fn check(&self, arena: Arena, protocol: Option<Protocol>) -> Result<(), String> {
        if !self.kind().exists(arena) {
            return Err(format!("fault `{self}` {}", arena.elsewhere()));
        }
        let Choice::AtPoint(_, point) = self else { return Ok(()) };
        check_point(&self.to_string(), *point, arena, protocol)
    }
}

/// Whether replicas of that protocol can be stopped there at this point, or at any.
pub(super) fn check_point(
    entry: &str,
    point: Option<Point>,
    arena: Arena,
    protocol: Option<Protocol>,
) -> Result<(), String> {
    if arena == Arena::Hosts {
        return Err(format!("`{entry}`: to stop at a point of the protocol {}", arena.elsewhere()));
    }
    match (protocol, point) {
        (None, _) => Err(format!("`{entry}`: only replicas of our own stop at points of their protocol")),
        (Some(protocol), Some(point)) if point.protocol() != protocol => Err(format!(
            "`{entry}`: {} is a point of {}; those of {} are: {}",
            kebab(&point),
            kebab(&point.protocol()),
            kebab(&protocol),
            points(protocol).iter().map(kebab).collect::<Vec<_>>().join(", ")
        )),
        _ => Ok(()),
    }
}

/// The points of a protocol.
pub(super) fn points(protocol: Protocol) -> Vec<Point> {
    Point::value_variants().iter().copied().filter(|point| point.protocol() == protocol).collect()
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        if let Some((name, point)) = text.split_once('@') {
            return at_point(text, kind(name)?, point);
        }
        let (name, target) = match text.split_once(':') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        let kind = kind(name)?;
        let Some(target) = target else { return Ok(Choice::Any(kind)) };
        let wrong = |error: Error| format!("there is no fault `{text}`: {error}");
        let word: StrDeserializer<'_, Error> = target.into_deserializer();
        let choice = if kind == FaultKind::Partition {
            Choice::Only(Fault::Partition(Shape::deserialize(word).map_err(wrong)?))
        } else if kind == FaultKind::Client {
            Choice::OnClients(Workers::deserialize(word).map_err(wrong)?)
        } else {
            let targets = Targets::deserialize(word).map_err(wrong)?;
            match kind {
                FaultKind::Pause => Choice::Only(Fault::Pause(targets)),
                FaultKind::Kill => Choice::Only(Fault::Kill(targets)),
                FaultKind::Power => Choice::Only(Fault::Power(targets)),
                FaultKind::Thread => Choice::Only(Fault::Thread(targets)),
                FaultKind::Reset => Choice::Only(Fault::Reset(targets)),
                FaultKind::Member => Choice::Only(Fault::Member(targets)),
                _ => Choice::On(kind, targets),
            }
        };
        if target == "here" {
            return Err(format!("`{text}`: who is here depends on a point, write `{kind}@{ANY_POINT}`"));
        }
        Ok(choice)
    }
}

fn kind(name: &str) -> Result<FaultKind, String> {
    FaultKind::from_str(name, false).map_err(|_| {
        let known: Vec<String> = FaultKind::value_variants().iter().map(kebab).collect();
        format!("there is no fault `{name}`; there are {}, and `usual`, `all` or `none`", known.join(", "))
    })
}

fn at_point(text: &str, kind: FaultKind, point: &str) -> Result<Choice, String> {
    if !kind.hits_points() {
        return Err(format!("`{text}`: a point is for a partition, a pause, a kill or a loss of power"));
    }
    if point == ANY_POINT {
        return Ok(Choice::AtPoint(kind, None));
    }
    let known = || Point::value_variants().iter().map(kebab).collect::<Vec<_>>().join(", ");
    let point = Point::from_str(point, false)
        .map_err(|_| format!("`{text}`: there is no such point; there are `{ANY_POINT}` for any, {}", known()))?;
    Ok(Choice::AtPoint(kind, Some(point)))
}

impl TryFrom<String> for Choice {
    type Error = String;

    fn try_from(text: String) -> Result<Choice, String> {
        text.parse()
    }
}

impl From<Choice> for String {
    fn from(choice: Choice) -> String {
        choice.to_string()
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Any(kind) => write!(f, "{kind}"),
            Choice::On(kind, targets) => write!(f, "{kind}:{targets}"),
            Choice::OnClients(workers) => write!(f, "{}:{workers}", FaultKind::Client),
            Choice::Only(Fault::Partition(shape)) => write!(f, "partition:{shape}"),
            Choice::Only(fault) => match fault.targets() {
                Some(targets) => write!(f, "{}:{targets}", fault.kind()),
                None => write!(f, "{}", fault.kind()),
            },
            Choice::AtPoint(kind, None) => write!(f, "{kind}@{ANY_POINT}"),
            Choice::AtPoint(kind, Some(point)) => write!(f, "{kind}@{}", kebab(point)),
        }
    }
}

/// A menu as the command line writes it: entries with commas, `usual`, `all` or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Menu {
    /// What any machine can do that runs clusters at all, and what costs nothing while it is not done: of real
    /// processes partitions, pauses and kills. In simulation everything.
    Usual,
    /// Everything that can be done where the test runs.
    All,
    /// These.
    These(Vec<Choice>),
}

impl Menu {
    /// What is on it, where the test runs, for replicas of that protocol (none: they are not ours).
    #[must_use]
    pub fn choices(&self, arena: Arena, protocol: Option<Protocol>) -> Vec<Choice> {
        let all = Choice::all(arena, protocol);
        match self {
            Menu::Usual => all.into_iter().filter(|choice| choice.kind().is_usual(arena)).collect(),
            Menu::All => all,
            Menu::These(choices) => choices.clone(),
        }
    }
}

impl FromStr for Menu {
    type Err = String;

    fn from_str(text: &str) -> Result<Menu, String> {
        Ok(match text {
            "usual" => Menu::Usual,
            "all" => Menu::All,
            "none" => Menu::These(Vec::new()),
            list => Menu::These(list.split(',').map(|name| name.trim().parse()).collect::<Result<_, String>>()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        let table = [
            "partition",
            "pause",
            "kill",
            "power",
            "clock",
            "disk",
            "packets",
            "partition:leader-mute",
            "partition:leader-from-clients",
            "partition:one-way",
            "pause:all",
            "kill:majority",
            "power:all",
            "clock:one",
            "disk:leader",
            "packets:followers",
            "client",
            "client:holder",
            "kill@point",
            "power@zab-established",
            "partition@raft-elected",
        ];
        for text in table {
            assert_eq!(text.parse::<Choice>().map(|choice| choice.to_string()), Ok(text.to_owned()));
        }
        for choice in Choice::all(Arena::Simulation, Some(Protocol::Raft)) {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }

    #[test]
    fn what_is_not_on_the_menu_is_answered_with_the_menu() {
        let table = [
            ("flood", "partition, pause, kill"),
            ("kill:boss", "leader"),
            ("partition:", "halves"),
            ("kill:here", "kill@point"),
            ("disk@point", "a partition, a pause, a kill"),
            ("kill@nowhere", "zab-established"),
        ];
        for (text, offered) in table {
            let error = text.parse::<Choice>().expect_err(text);
            assert!(error.contains(offered), "{text}: {error}");
        }
        assert!("partition:cuts".parse::<Choice>().is_err(), "cuts need names");
    }

    #[test]
    fn what_does_not_exist_there_is_refused() {
        let refused = |text: &str, arena, protocol| {
            let choice: Choice = text.parse().expect(text);
            choice.check(arena, protocol).err().unwrap_or_default()
        };
        let zab = Some(Protocol::Zab);
        let sentence = "fault `thread:leader` exists on real processes only";
        assert_eq!(refused("thread:leader", Arena::Simulation, zab), sentence);
        assert_eq!(refused("power:leader", Arena::Simulation, zab), "");
        assert_eq!(refused("power:leader", Arena::Processes, zab), "");
        assert!(refused("kill@point", Arena::Processes, None).contains("replicas of our own"));
        assert!(refused("kill@raft-elected", Arena::Processes, zab).contains("zab-established"));
        for arena in [Arena::Processes, Arena::Simulation] {
            for protocol in [zab, None] {
                let all = Choice::all(arena, protocol);
                assert!(all.iter().all(|choice| choice.check(arena, protocol) == Ok(())), "{all:?}");
            }
        }
    }
}
