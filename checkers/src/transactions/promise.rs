//! What a system promised, and how a command line says it.

use std::fmt;
use std::str::FromStr;

use super::{Inference, Isolation, Kind};

/// What transactions are judged by.
///
/// Its name is that of the kind, `list-append` or `rw-register`, with `:` and a level if that is not
/// strict-serializable; for registers `+sequential-keys` or `+linearizable-keys` may follow.
///
/// ```
/// use grudge_checkers::transactions::{Isolation, Promise};
///
/// let promise: Promise = "list-append:snapshot-isolation".parse().unwrap();
/// assert_eq!(promise.level, Isolation::SnapshotIsolation);
/// assert_eq!(promise.name(), "list-append:snapshot-isolation");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Promise {
    /// What the objects are.
    pub kind: Kind,
    /// Which anomalies break it.
    pub level: Isolation,
    /// What is assumed of registers; of lists nothing has to be.
    pub inference: Inference,
}

/// The names of a kind by level, the weakest first.
macro_rules! names {
    ($kind:literal, $more:literal) => {
        [
            concat!($kind, ":read-uncommitted", $more),
            concat!($kind, ":read-committed", $more),
            concat!($kind, ":repeatable-read", $more),
            concat!($kind, ":snapshot-isolation", $more),
            concat!($kind, ":serializable", $more),
            concat!($kind, ":strong-session-serializable", $more),
            concat!($kind, $more),
        ]
    };
}

const LISTS: [&str; 7] = names!("list-append", "");
const REGISTERS: [&str; 7] = names!("rw-register", "");
const SEQUENTIAL: [&str; 7] = names!("rw-register", "+sequential-keys");
const LINEARIZABLE: [&str; 7] = names!("rw-register", "+linearizable-keys");

impl Promise {
    /// Strict serializability of lists.
    pub const LIST_APPEND: Promise = Promise::of(Kind::ListAppend, Isolation::StrictSerializable);
    /// Strict serializability of registers.
    pub const RW_REGISTER: Promise = Promise::of(Kind::RwRegister, Isolation::StrictSerializable);

    /// A level, with no assumption about registers.
    #[must_use]
    pub const fn of(kind: Kind, level: Isolation) -> Promise {
        Promise { kind, level, inference: Inference::Certain }
    }

    /// All of them.
    pub fn all() -> impl Iterator<Item = Promise> {
        [
            (Kind::ListAppend, Inference::Certain),
            (Kind::RwRegister, Inference::Certain),
            (Kind::RwRegister, Inference::Sequential),
            (Kind::RwRegister, Inference::Linearizable),
        ]
        .into_iter()
        .flat_map(|(kind, inference)| Isolation::ALL.map(|level| Promise { kind, level, inference }))
    }

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        let names = match (self.kind, self.inference) {
            (Kind::ListAppend, _) => LISTS,
            (Kind::RwRegister, Inference::Certain) => REGISTERS,
            (Kind::RwRegister, Inference::Sequential) => SEQUENTIAL,
            (Kind::RwRegister, Inference::Linearizable) => LINEARIZABLE,
        };
        names[self.level as usize]
    }
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Promise {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (rest, inference) = match text.split_once('+') {
            None => (text, Inference::Certain),
            Some((rest, "sequential-keys")) => (rest, Inference::Sequential),
            Some((rest, "linearizable-keys")) => (rest, Inference::Linearizable),
            Some((_, other)) => return Err(format!("expected sequential-keys or linearizable-keys, found `{other}`")),
        };
        let (kind, level) = rest.split_once(':').map_or((rest, None), |(kind, level)| (kind, Some(level)));
        let kind = match kind {
            "list-append" if inference != Inference::Certain => {
                return Err(format!("`{text}`: of lists nothing has to be assumed"));
            }
            "list-append" => Kind::ListAppend,
            "rw-register" => Kind::RwRegister,
            other => return Err(format!("expected list-append or rw-register, found `{other}`")),
        };
        let level = level.map_or(Ok(Isolation::default()), str::parse)?;
        Ok(Promise { kind, level, inference })
    }
}
