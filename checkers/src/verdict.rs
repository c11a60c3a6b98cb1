//! What a checker says.

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

    fn rank(&self) -> u8 {
        match self {
            Verdict::Valid => 0,
            Verdict::Unknown { .. } => 1,
            Verdict::Invalid { .. } => 2,
        }
    }
}
