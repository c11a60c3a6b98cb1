//! A model whose operations are read in another way.

use super::{Access, Data, Datum, Family, Forced, Meaning, Model, Needs, Story};
use crate::history::Operation;

/// How an operation is read: as [`Model::read`].
pub type Read<M> = fn(&M, &Operation<'_>, &mut Data) -> Result<Meaning<<M as Model>::Op>, String>;

/// The same object, told of by other operations: a workload's own names, or only some of its promises.
#[derive(Clone, Copy, Debug)]
pub struct Retold<M: Model> {
    /// Its name in reports.
    pub name: &'static str,
    /// The object.
    pub model: M,
    /// What takes the place of the object's own [`Model::read`], which it may ask.
    pub read: Read<M>,
}

impl<M: Model> Model for Retold<M> {
    type State = M::State;
    type Op = M::Op;

    fn name(&self) -> &'static str {
        self.name
    }

    fn init(&self, data: &mut Data) -> M::State {
        self.model.init(data)
    }

    fn read(&self, operation: &Operation<'_>, data: &mut Data) -> Result<Meaning<M::Op>, String> {
        (self.read)(&self.model, operation, data)
    }

    fn step(&self, state: &M::State, op: &M::Op) -> Option<M::State> {
        self.model.step(state, op)
    }

    fn container(&self, op: &M::Op) -> Option<Access> {
        self.model.container(op)
    }

    fn is_pure(&self, op: &M::Op) -> bool {
        self.model.is_pure(op)
    }

    fn overwrites(&self, op: &M::Op) -> bool {
        self.model.overwrites(op)
    }

    fn heap_bytes(&self, state: &M::State) -> usize {
        self.model.heap_bytes(state)
    }

    fn produces(&self, op: &M::Op) -> Option<Datum> {
        self.model.produces(op)
    }

    fn observes(&self, op: &M::Op) -> Option<Datum> {
        self.model.observes(op)
    }

    fn excludes(&self, op: &M::Op) -> Option<Datum> {
        self.model.excludes(op)
    }

    fn initially(&self, state: &M::State) -> Option<Datum> {
        self.model.initially(state)
    }

    fn family(&self) -> Family {
        self.model.family()
    }

    fn weaken(&self, op: &M::Op) -> Option<M::Op> {
        self.model.weaken(op)
    }

    fn needs(&self) -> Needs<M::Op> {
        self.model.needs()
    }

    fn is_paired(&self) -> bool {
        self.model.is_paired()
    }

    fn are_a_pair(&self, one: &M::Op, next: &M::Op) -> bool {
        self.model.are_a_pair(one, next)
    }

    fn forced(&self, story: &Story<'_, M::Op>, data: &Data) -> Vec<Forced> {
        self.model.forced(story, data)
    }

    fn show_op(&self, op: &M::Op, data: &Data) -> String {
        self.model.show_op(op, data)
    }

    fn show(&self, state: &M::State, data: &Data) -> String {
        self.model.show(state, data)
    }
}
