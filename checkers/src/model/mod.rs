//! Models: what one object does when its operations happen one after another, each at once.
//!
//! A model reads the clients' operations of one key, says how those are to be treated whose outcome nobody knows,
//! and steps from state to state. It says besides what an operation *produces* and *observes* (a value, a token):
//! from that come the reads-from edges of the [history graph](crate::graph), the moment after which a lost write no
//! longer matters, and which operations a witness must keep to prove anything.

mod container;
mod datum;
mod fenced;
mod kv;
mod lock;
mod mutex;
mod priority_queue;
mod queue;
mod register;
mod retold;
mod set;
mod stack;

use std::fmt::Debug;
use std::hash::Hash;

pub use container::{Access, Contents, Item, Membership};
pub use datum::{Data, Datum};
pub use fenced::{FencedMutex, FencedOp, FencedState};
pub use kv::{Kv, KvOp, Text};
pub use lock::{Holders, Lock, LockOp, Share};
pub use mutex::{Mutex, MutexOp};
pub use priority_queue::PriorityQueue;
pub use queue::Queue;
pub use register::{CasRegister, FailedCas, NullReads, Register, RegisterOp, RegisterRules};
pub use retold::{Read, Retold};
pub use set::{Elements, Set, SetOp};
pub use stack::Stack;

use crate::history::{History, Operation, Tape};
use crate::judgement::{Checking, Judgement};
use crate::linearizability::{self, Limits};
use crate::verdict::Verdict;
use crate::verify;

/// A sequential object.
///
/// What an object does is [`init`](Model::init), [`read`](Model::read) and [`step`](Model::step); all else has a default and
/// makes a check faster or its words better.
pub trait Model: Sync {
    /// What the object remembers.
    type State: Clone + Eq + Hash + Debug + Send + 'static;
    /// One operation with its result, as far as it is known.
    type Op: Clone + Eq + Hash + Debug + Send + Sync;

    /// Its name on a command line.
    fn name(&self) -> &'static str;

    /// The state before the first operation.
    fn init(&self, data: &mut Data) -> Self::State;

    /// Turns what the history says into an operation of this model.
    ///
    /// # Errors
    /// What was expected instead; the caller adds which event it was.
    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<Self::Op>, String>;

    /// The state after the operation, or nothing if the object cannot do that in this state.
    fn step(&self, state: &Self::State, op: &Self::Op) -> Option<Self::State>;

    /// What kind of object it is, for the deciders that need no search.
    fn family(&self) -> Family {
        Family::Any
    }

    /// What it does to a container, if the object is one.
    fn container(&self, _op: &Self::Op) -> Option<Access> {
        None
    }

    /// Whether the operation leaves every state as it was.
    fn is_pure(&self, _op: &Self::Op) -> bool {
        false
    }

    /// Whether the operation is legal in every state and leaves the same state whatever it was before: nobody can see
    /// whether others of the kind happened right before it.
    fn overwrites(&self, _op: &Self::Op) -> bool {
        false
    }

    /// How many bytes a state holds besides its own size, for the limit on memory.
    fn heap_bytes(&self, _state: &Self::State) -> usize {
        0
    }

    /// What it brings into the world for others to observe.
    fn produces(&self, _op: &Self::Op) -> Option<Datum> {
        None
    }

    /// What it can only have got from an operation that produced it, or from the beginning.
    fn observes(&self, _op: &Self::Op) -> Option<Datum> {
        None
    }

    /// What it can only have found absent: something else had been produced, or was there in the beginning. Only of objects
    /// where a product is the whole state after it.
    fn excludes(&self, _op: &Self::Op) -> Option<Datum> {
        None
    }

    /// What can be observed in this state before anything was produced.
    fn initially(&self, _state: &Self::State) -> Option<Datum> {
        None
    }

    /// The operation with its observation forgotten: legal wherever the operation is, with the same state after it.
    fn weaken(&self, _op: &Self::Op) -> Option<Self::Op> {
        None
    }

    /// Which operations another may need to be legal, beside what it says that it [observes](Model::observes) and
    /// [excludes](Model::excludes) and its [pair](Model::is_paired): of what is needed a witness leaves nothing out.
    fn needs(&self) -> Needs<Self::Op> {
        Needs::AllBefore
    }

    /// Whether a process makes its calls in pairs, so that leaving out one of a pair leaves out the other.
    fn is_paired(&self) -> bool {
        false
    }

    /// Whether two operations of a paired process, with only whole pairs between them, are such a pair.
    fn are_a_pair(&self, one: &Self::Op, next: &Self::Op) -> bool {
        one != next
    }

    /// Which of these operations have to come before which, given what is known of their order so far. Used to
    /// explain; what is left out here makes an explanation poorer and no verdict wrong.
    fn forced(&self, _story: &Story<'_, Self::Op>, _data: &Data) -> Vec<Forced> {
        Vec::new()
    }

    /// What was done, in words that follow the name of a process: `read 7`.
    fn show_op(&self, op: &Self::Op, _data: &Data) -> String {
        format!("{op:?}")
    }

    /// The state in words.
    fn show(&self, state: &Self::State, _data: &Data) -> String {
        format!("the state is {state:?}")
    }
}

/// What kind of object a model is, as far as that decides how it can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// Nothing is known but its steps.
    Any,
    /// What an operation produces is the whole state after it, whatever the state was before, and what it observes was the
    /// whole state.
    Register,
    /// First in, first out: [`Model::container`] says how each operation puts and takes.
    Queue,
    /// Last in, first out: likewise.
    Stack,
    /// The lowest priority out first: likewise.
    PriorityQueue,
    /// Elements that come and go, each without regard to the others: likewise.
    Set,
}

impl Family {
    /// Whether values are put in and taken out, one at a time, and each of them with all that is done with it can be left out
    /// of a legal order.
    pub(crate) fn is_container(self) -> bool {
        matches!(self, Family::Queue | Family::Stack | Family::PriorityQueue)
    }
}

/// Which operations another may need to be legal: if they are taken out of a legal order and it stays, the order may not be
/// legal any more.
#[derive(Clone, Copy, Debug)]
pub enum Needs<Op> {
    /// No others than it says.
    NoOthers,
    /// Any before it that is not pure.
    AllBefore,
    /// Those before it of which this is true: of the one that needs and the one that is needed.
    These(fn(&Op, &Op) -> bool),
}

/// How an operation enters the search for a legal order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning<Op> {
    /// It happened, between its call and its return.
    Must(Op),
    /// It may have happened at any time after its call, or never.
    May(Op),
    /// It did not happen, or whether it did cannot make a difference.
    Never,
}

/// What is known of a few operations that have no legal order.
pub struct Story<'a, Op> {
    /// The operations.
    pub ops: &'a [Op],
    /// Which of them surely happened; nothing follows from the others.
    pub happened: &'a [bool],
    /// `before[a][b]`: a has to come before b.
    pub before: &'a [Vec<bool>],
}

/// A step of an explanation: the operation at `from` comes before the one at `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Place among the operations.
    pub from: usize,
    /// Place among the operations.
    pub to: usize,
    /// Why, as half a sentence.
    pub why: String,
}

/// What the models of this crate cannot know from a history, with what is usual as default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Parameters {
    /// Of registers.
    pub registers: RegisterRules,
    /// How many permits a semaphore has.
    pub permits: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Parameters { registers: RegisterRules::usual(), permits: 1 }
    }
}

/// The models of this crate, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Named {
    /// [`Register`].
    Register,
    /// [`CasRegister`].
    CasRegister,
    /// [`Mutex`].
    Mutex,
    /// [`FencedMutex`].
    FencedMutex,
    /// [`Kv`].
    Kv,
    /// [`Lock::Owned`].
    OwnedMutex,
    /// [`Lock::Reentrant`].
    ReentrantMutex,
    /// [`Lock::ReadWrite`].
    ReadWriteLock,
    /// [`Lock::Semaphore`].
    Semaphore,
    /// [`Queue`].
    Queue,
    /// [`Stack`].
    Stack,
    /// [`PriorityQueue`].
    PriorityQueue,
    /// [`Set`].
    Set,
}

/// Does something with the model of this name.
macro_rules! with_model {
    ($named:expr, $parameters:expr, $model:ident => $do:expr) => {{
        let Parameters { registers, permits } = $parameters;
        match $named {
            Named::Register => with_model!($model = Register { rules: registers.clone() } => $do),
            Named::CasRegister => with_model!($model = CasRegister { rules: registers.clone() } => $do),
            Named::Mutex => with_model!($model = Mutex => $do),
            Named::FencedMutex => with_model!($model = FencedMutex => $do),
            Named::Kv => with_model!($model = Kv => $do),
            Named::OwnedMutex => with_model!($model = Lock::Owned => $do),
            Named::ReentrantMutex => with_model!($model = Lock::Reentrant => $do),
            Named::ReadWriteLock => with_model!($model = Lock::ReadWrite => $do),
            Named::Semaphore => with_model!($model = Lock::Semaphore { permits: *permits } => $do),
            Named::Queue => with_model!($model = Queue => $do),
            Named::Stack => with_model!($model = Stack => $do),
            Named::PriorityQueue => with_model!($model = PriorityQueue => $do),
            Named::Set => with_model!($model = Set => $do),
        }
    }};
    ($model:ident = $is:expr => $do:expr) => {{
        let $model = $is;
        $do
    }};
}

impl Named {
    /// All of them.
    pub const ALL: [Named; 13] = [
        Named::Register,
        Named::CasRegister,
        Named::Mutex,
        Named::FencedMutex,
        Named::Kv,
        Named::OwnedMutex,
        Named::ReentrantMutex,
        Named::ReadWriteLock,
        Named::Semaphore,
        Named::Queue,
        Named::Stack,
        Named::PriorityQueue,
        Named::Set,
    ];

    /// Its name on a command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        with_model!(self, &Parameters::default(), model => model.name())
    }

    /// Whether the history is linearizable by this model, with the usual parameters.
    #[must_use]
    pub fn check(self, history: &History, limits: &Limits) -> Verdict {
        self.check_with(&Parameters::default(), history, limits)
    }

    /// Whether the history is linearizable by this model.
    #[must_use]
    pub fn check_with(self, parameters: &Parameters, history: &History, limits: &Limits) -> Verdict {
        with_model!(self, parameters, model => linearizability::check(history, &model, limits))
    }

    /// Begins a check that is fed event by event, with the usual parameters.
    #[must_use]
    pub fn begin(self, limits: &Limits) -> Box<dyn Checking> {
        self.begin_with(&Parameters::default(), limits)
    }

    /// Begins a check that is fed event by event.
    #[must_use]
    pub fn begin_with(self, parameters: &Parameters, limits: &Limits) -> Box<dyn Checking> {
        with_model!(self, parameters, model => linearizability::begin(model, limits))
    }

    /// Verifies a judgement by a program that knows the object and not this model of it.
    ///
    /// # Errors
    /// What is wrong with the proof.
    pub fn verify(
        self,
        parameters: &Parameters,
        tape: &dyn Tape,
        judgement: &Judgement,
    ) -> Result<verify::Proof, String> {
        with_model!(self, parameters, model => verify::verify(&model, tape, judgement))
    }
}

fn unknown_f(f: &str, known: &str) -> String {
    format!("expected {known}, found `{f}`")
}
