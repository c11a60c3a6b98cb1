//! The system of a test.

use std::fmt;
use std::path::Path;

use grudge_nodes::command::Protocol;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use super::{System, SystemError};

/// The system of a test. In a test file it is a name, the path of a file that describes it, or the whole description.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Subject {
    /// One that comes with this program, by its name; where a person writes, also the path of a file.
    Named(String),
    /// Any other. A test holds all of it, and can be run again without the file from which it came.
    Described(Box<System>),
}

impl Subject {
    /// The same, with the description in the place of a path. A relative path begins in `folder`.
    ///
    /// # Errors
    /// There is no such file, or it does not describe a system.
    pub fn described(self, folder: &Path) -> Result<Subject, SystemError> {
        match self {
            Subject::Named(word) if is_path(&word) => {
                Ok(Subject::Described(Box::new(System::read(&folder.join(word))?)))
            }
            subject => Ok(subject),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Subject::Named(name) => name,
            Subject::Described(system) => &system.name,
        }
    }

    /// How it is started.
    ///
    /// # Errors
    /// Nobody knows it.
    pub fn system(&self) -> Result<System, SystemError> {
        match self {
            Subject::Named(name) => System::named(name),
            Subject::Described(system) => Ok(System::clone(system)),
        }
    }

    /// Which replica of ours it is; none if it is not, or if nobody knows it.
    #[must_use]
    pub fn replica(&self) -> Option<Protocol> {
        self.system().ok()?.replica
    }
}

/// Whether this is the path of a file, and no name.
#[must_use]
pub fn is_path(word: &str) -> bool {
    word.contains('/') || word.ends_with(".toml")
}

impl From<&str> for Subject {
    fn from(name: &str) -> Subject {
        Subject::Named(name.to_owned())
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// By hand, since an untagged enum would not say in which line it is wrong.
impl<'de> Deserialize<'de> for Subject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Subject, D::Error> {
        struct Either;

        impl<'de> Visitor<'de> for Either {
            type Value = Subject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a system, the path of a file that describes one, or its description")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Subject, E> {
                Ok(word.into())
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Subject, A::Error> {
                let system = System::deserialize(MapAccessDeserializer::new(map))?;
                system.check_speech().map_err(de::Error::custom)?;
                Ok(Subject::Described(Box::new(system)))
            }
        }

        deserializer.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_told_from_a_name() {
        for (word, path) in [("etcd", false), ("etcd-3.5.1", false), ("x.toml", true), ("./x", true), ("a/b", true)] {
            assert_eq!(is_path(word), path, "{word}");
        }
    }
}
