//! The checkers of this crate, by name.

use std::str::FromStr;

use crate::history::{Event, History, Tape};
use crate::judgement::{Checking, Judgement};
use crate::ladder::{self, Ladder, Level};
use crate::linearizability::Limits;
use crate::model::{Named, Parameters};
use crate::online::{Reads, Watch};
use crate::set::LocalReads;
use crate::transactions::{self, Promise};
use crate::verdict::{Verdict, Witness};
use crate::verify::Proof;
use crate::{counter, holders, ids, lease, pairs, session, set};

/// What a history can be judged by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Checker {
    /// Whether it is linearizable by a model.
    Linearizable(Named),
    /// Whether a set that only grows lost anything: [`set`].
    Set,
    /// Whether leases live their time: [`lease`].
    Lease,
    /// Whether two believed to hold a lock at once: [`holders`].
    Holders,
    /// Whether each session sees the world go forward: [`session`].
    Session,
    /// Whether transactions of two are seen whole: [`pairs`].
    Pairs,
    /// Whether each read of a counter can have been the sum: [`counter`](mod@counter).
    Counter,
    /// Whether no id is handed out twice: [`ids`].
    Ids,
    /// Which levels of consistency hold of registers: [`ladder`](mod@ladder).
    Ladder,
    /// Whether one of these levels holds.
    Level(Level),
    /// Whether transactions keep an isolation level: [`transactions`].
    Transactions(Promise),
}

impl Checker {
    /// All of them; those with a parameter with its default.
    pub fn all() -> impl Iterator<Item = Checker> {
        let others = [
            Checker::Set,
            Checker::Lease,
            Checker::Holders,
            Checker::Session,
            Checker::Pairs,
            Checker::Counter,
            Checker::Ids,
            Checker::Ladder,
        ];
        let levels = Level::ALL.into_iter().map(Checker::Level);
        let transactions = [Promise::LIST_APPEND, Promise::RW_REGISTER].map(Checker::Transactions);
        Named::ALL.into_iter().map(Checker::Linearizable).chain(others).chain(levels).chain(transactions)
    }

    /// Its name on a command line; for linearizability, that of the model.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Checker::Linearizable(model) => model.name(),
            Checker::Set => "set",
            Checker::Lease => "lease",
            Checker::Holders => "holders",
            Checker::Session => "session",
            Checker::Pairs => "pairs",
            Checker::Counter => "counter",
            Checker::Ids => "ids",
            Checker::Ladder => "ladder",
            Checker::Level(level) => level.name(),
            Checker::Transactions(promise) => promise.name(),
        }
    }

    /// What it asks, as reports call it.
    #[must_use]
    pub fn title(self) -> String {
        match self {
            Checker::Linearizable(model) => format!("linearizable {}", model.name()),
            Checker::Set => "set-full".to_owned(),
            Checker::Lease => "lease".to_owned(),
            Checker::Holders => "holders".to_owned(),
            Checker::Session => "session guarantees".to_owned(),
            Checker::Pairs => "read-atomic pairs".to_owned(),
            Checker::Counter => "counter".to_owned(),
            Checker::Ids => "unique ids".to_owned(),
            Checker::Ladder => "ladder".to_owned(),
            Checker::Level(level) => level.words().to_owned(),
            Checker::Transactions(promise) => format!("{} transactions", promise.level),
        }
    }

    /// What it says of a history. The limits are those of a search for a linearization.
    #[must_use]
    pub fn check(self, history: &History, limits: &Limits) -> Verdict {
        match self.how() {
            How::Whole(check) => check(history, limits).0,
            How::Model(model) => model.check(history, limits),
            How::Transactions(_) => self.judge(history, limits).verdict,
        }
    }

    /// What it says of a history that is read while it is judged. Of a damaged one all before the damage is judged;
    /// what is valid so far is then `unknown`.
    pub fn judge(self, tape: &dyn Tape, limits: &Limits) -> Judgement {
        self.judge_with(&Parameters::default(), tape, limits)
    }

    /// The same with other parameters than the usual ones.
    pub fn judge_with(self, parameters: &Parameters, tape: &dyn Tape, limits: &Limits) -> Judgement {
        let mut checking = self.begin_with(parameters, limits);
        let played = tape.play(&mut |event| drop(checking.push(event)));
        checking.finish(tape).damaged(played)
    }

    /// Verifies its judgement of a history by a separate program, where it has a proof that can be tried.
    ///
    /// # Errors
    /// What is wrong with the proof.
    pub fn verify(self, parameters: &Parameters, tape: &dyn Tape, judgement: &Judgement) -> Result<Proof, String> {
        match self.how() {
            How::Model(model) => model.verify(parameters, tape, judgement),
            How::Whole(_) | How::Transactions(_) => Ok(Proof::Nothing),
        }
    }

    /// Begins a check that is fed event by event.
    #[must_use]
    pub fn begin(self, limits: &Limits) -> Box<dyn Checking> {
        self.begin_with(&Parameters::default(), limits)
    }

    /// The same with other parameters than the usual ones.
    #[must_use]
    pub fn begin_with(self, parameters: &Parameters, limits: &Limits) -> Box<dyn Checking> {
        match self.how() {
            How::Whole(check) => Box::new(Whole { history: History::default(), check, limits: *limits }),
            How::Model(model) => model.begin_with(parameters, limits),
            How::Transactions(promise) => transactions::begin(promise),
        }
    }

    /// Begins a check that watches a system while it runs: it answers at the moment of a violation. None if there is no
    /// such check of this; see [`online`](crate::online).
    #[must_use]
    pub fn watch(self) -> Option<Box<dyn Checking>> {
        Some(Box::new(match self {
            Checker::Linearizable(Named::Register | Named::CasRegister) => Watch::registers(Reads::Judged),
            Checker::Linearizable(Named::FencedMutex) => Watch::fenced_mutexes(),
            Checker::Session => Watch::sessions(),
            _ => return None,
        }))
    }

    fn how(self) -> How {
        let bare =
            |check: fn(&History) -> Verdict| How::Whole(Box::new(move |history, _| (check(history), Vec::new())));
        match self {
            Checker::Linearizable(model) => How::Model(model),
            Checker::Set => bare(|history| set::check(history, LocalReads::MayBeStale)),
            Checker::Lease => bare(lease::check),
            Checker::Holders => bare(holders::check),
            Checker::Session => bare(session::check),
            Checker::Pairs => bare(pairs::check),
            Checker::Counter => bare(counter::check),
            Checker::Ids => bare(ids::check),
            Checker::Ladder => How::Whole(Box::new(|history, limits| {
                let ladder = Ladder::of(history, limits);
                (ladder.overall(), ladder.lines())
            })),
            Checker::Level(level) => {
                How::Whole(Box::new(move |history, limits| (ladder::check(history, level, limits), Vec::new())))
            }
            Checker::Transactions(promise) => How::Transactions(promise),
        }
    }
}

/// Other names that histories of others are known by.
const ALIASES: [(&str, &str); 2] = [("append-kv", "kv"), ("unique-ids", "ids")];

/// How a checker goes about it.
enum How {
    Model(Named),
    Whole(WholeCheck),
    Transactions(Promise),
}

/// A verdict, and the notes to it.
type WholeCheck = Box<dyn Fn(&History, &Limits) -> (Verdict, Vec<String>) + Send>;

/// A check that needs the whole history before it can begin.
struct Whole {
    history: History,
    check: WholeCheck,
    limits: Limits,
}

impl Checking for Whole {
    fn push(&mut self, event: &Event) -> Option<Witness> {
        self.history.events.push(event.clone());
        None
    }

    fn finish(self: Box<Self>, _: &dyn Tape) -> Judgement {
        let operations = self.history.operations().map_or(0, |operations| operations.len());
        let (verdict, notes) = (self.check)(&self.history, &self.limits);
        Judgement { notes, ..Judgement::bare(verdict, operations) }
    }
}

impl FromStr for Checker {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("list-append") || text.starts_with("rw-register") {
            return text.parse().map(Checker::Transactions);
        }
        let name = ALIASES.iter().find(|(alias, _)| *alias == text).map_or(text, |(_, name)| name);
        Checker::all().find(|checker| checker.name() == name).ok_or_else(|| {
            let names = Checker::all().map(Checker::name).collect::<Vec<_>>().join(", ");
            format!("there is no checker `{text}`; there are: {names}")
        })
    }
}
