//! What a checker says.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::Event;

/// A checker's answer, ordered from best to worst: of several, the worst wins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// The promise was kept.
    Valid,
    /// It cannot be said, and why.
    Unknown {
        /// One sentence for a person.
        reason: String,
    },
    /// The promise was broken, and this shows it.
    Invalid {
        /// The proof.
        witness: Witness,
    },
}

/// A small part of a history that contradicts itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Witness {
    /// The object concerned, if the history was split by key.
    pub key: Option<String>,
    /// Why these events contradict each other, in words.
    pub reason: String,
    /// The events, in the history's order: few enough to be read.
    pub events: Vec<Event>,
}

impl Verdict {
    /// The worse of two: invalid beats unknown beats valid; of two equals the first stays.
    #[must_use]
    pub fn worst(self, other: Verdict) -> Verdict {
        if other.rank() > self.rank() { other } else { self }
    }

    /// `valid`, `unknown` or `invalid`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Verdict::Valid => "valid",
            Verdict::Unknown { .. } => "unknown",
            Verdict::Invalid { .. } => "invalid",
        }
    }

    /// Why it is not valid, in words; none if it is.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Verdict::Valid => None,
            Verdict::Unknown { reason } => Some(reason),
            Verdict::Invalid { witness } => Some(&witness.reason),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Unknown { .. } => 1,
            Verdict::Invalid { .. } => 2,
        }
    }
}

/// The verdict's name; the reason and the witness below it.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Valid => f.write_str(self.name()),
            Verdict::Unknown { reason } => write!(f, "{}: {reason}", self.name()),
            Verdict::Invalid { witness } => write!(f, "{}: {witness}", self.name()),
        }
    }
}

/// The reason, and one line for each event.
impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "of key `{key}`, ")?;
        }
        f.write_str(&self.reason)?;
        for event in &self.events {
            let Event { index, process, kind, f: name, value, .. } = event;
            write!(f, "\n{index:>8}  {process:<4} {kind:<6} {name:<8} {value}")?;
            if let Some(node) = &event.node {
                write!(f, "  at {node}")?;
            }
            if let Some(error) = &event.error {
                write!(f, "  ({error})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unknown(reason: &str) -> Verdict {
        Verdict::Unknown { reason: reason.to_owned() }
    }

    fn invalid(reason: &str) -> Verdict {
        Verdict::Invalid { witness: Witness { key: None, reason: reason.to_owned(), events: Vec::new() } }
    }

    #[test]
    fn the_worst_wins_and_of_equals_the_first() {
        for (one, other, worst) in [
            (Verdict::Valid, unknown("a"), unknown("a")),
            (unknown("a"), Verdict::Valid, unknown("a")),
            (invalid("a"), unknown("b"), invalid("a")),
            (unknown("a"), invalid("b"), invalid("b")),
            (unknown("a"), unknown("b"), unknown("a")),
            (invalid("a"), invalid("b"), invalid("a")),
        ] {
            assert_eq!(one.worst(other), worst);
        }
    }

    #[test]
    fn a_verdict_is_the_same_after_json() {
        let file = "process,type,f,value,colour\nnemesis,info,start-pause,\"[1]\",red\n3,invoke,read,,\n";
        let (history, _) = crate::history::csv::read(file.as_bytes());
        let witness = Witness { key: Some("x".to_owned()), reason: "because".to_owned(), events: history.events };
        for verdict in [Verdict::Valid, unknown("a"), Verdict::Invalid { witness }] {
            let json = serde_json::to_string(&verdict).expect("a verdict is JSON");
            assert!(json.contains(&format!("\"verdict\":\"{}\"", verdict.name())), "{json}");
            assert_eq!(serde_json::from_str::<Verdict>(&json).expect("it comes back"), verdict);
        }
    }
}
