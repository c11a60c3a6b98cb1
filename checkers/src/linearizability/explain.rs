//! Says in words why a few operations have no legal order.

use super::problem::{Call, Problem};
use crate::history::Operation;
use crate::model::Model;

/// One sentence or two for a person.
pub(super) fn explain<M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: &[Call<M::Op>],
    operations: &[Operation<'_>],
) -> String {
    let last = calls.iter().filter(|call| call.must).max_by_key(|call| call.end);
    let Some(last) = last else { return "no order of these operations is legal".to_owned() };
    let start = model.show(&problem.init, &problem.data);
    format!(
        "no order of these {} operations is legal ({start} at first): event {} is the first return that none reaches",
        calls.len(),
        operations[last.operation].completion.map_or(0, |event| event.index)
    )
}
