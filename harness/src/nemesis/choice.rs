//! What the nemesis may draw, as a person writes it: `partition` for any partition, `partition:leader` for that one.

use std::fmt;
use std::str::FromStr;

use clap::ValueEnum;
use serde::de::IntoDeserializer;
use serde::de::value::{Error, StrDeserializer};
use serde::{Deserialize, Serialize};

use super::FaultKind;
use crate::fault::{Fault, Shape, Targets};
use crate::spec::kebab;

/// One entry of the nemesis's menu.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Choice {
    /// Any fault of this kind.
    Any(FaultKind),
    /// This fault and no other of its kind.
    Only(Fault),
}

impl Choice {
    /// Any fault of any kind.
    #[must_use]
    pub fn all() -> Vec<Choice> {
        FaultKind::value_variants().iter().copied().map(Choice::Any).collect()
    }

    pub(super) fn kind(&self) -> FaultKind {
        match self {
            Choice::Any(kind) => *kind,
            Choice::Only(Fault::Partition(_)) => FaultKind::Partition,
            Choice::Only(Fault::Pause(_)) => FaultKind::Pause,
            Choice::Only(Fault::Kill(_)) => FaultKind::Kill,
        }
    }
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Choice, String> {
        let (name, target) = match text.split_once(':') {
            Some((name, target)) => (name, Some(target)),
            None => (text, None),
        };
        let kind = FaultKind::from_str(name, false).map_err(|_| {
            let known: Vec<String> = FaultKind::value_variants().iter().map(kebab).collect();
            format!("there is no fault `{name}`; there are {}, and `all` or `none`", known.join(", "))
        })?;
        let Some(target) = target else { return Ok(Choice::Any(kind)) };
        let word: StrDeserializer<'_, Error> = target.into_deserializer();
        let fault = match kind {
            FaultKind::Partition => Shape::deserialize(word).map(Fault::Partition),
            FaultKind::Pause => Targets::deserialize(word).map(Fault::Pause),
            FaultKind::Kill => Targets::deserialize(word).map(Fault::Kill),
        };
        fault.map(Choice::Only).map_err(|error| format!("there is no fault `{text}`: {error}"))
    }
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
            Choice::Any(kind) => f.write_str(&kebab(kind)),
            Choice::Only(Fault::Partition(shape)) => write!(f, "partition:{shape}"),
            Choice::Only(Fault::Pause(targets)) => write!(f, "pause:{targets}"),
            Choice::Only(Fault::Kill(targets)) => write!(f, "kill:{targets}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_written_as_it_is_read() {
        for text in
            ["partition", "pause", "kill", "partition:leader-mute", "partition:one-way", "pause:all", "kill:majority"]
        {
            assert_eq!(text.parse::<Choice>().map(|choice| choice.to_string()), Ok(text.to_owned()));
        }
    }

    #[test]
    fn what_is_not_on_the_menu_is_answered_with_the_menu() {
        let table = [("flood", "partition, pause, kill"), ("kill:boss", "leader"), ("partition:", "halves")];
        for (text, offered) in table {
            let error = text.parse::<Choice>().expect_err(text);
            assert!(error.contains(offered), "{text}: {error}");
        }
        assert!("partition:cuts".parse::<Choice>().is_err(), "cuts need names");
    }
}
