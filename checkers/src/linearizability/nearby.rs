//! Where a long history breaks: the last few calls before the moment at which it shows, if these have no legal order
//! by themselves.
//!
//! That holds for registers. Take the calls from some moment on, and with them all that may have happened before. Who observes
//! a value in this part could have it from a call outside only until that call was surely replaced: until a call of
//! the part that puts a value there has been called, after everything outside had returned, and has returned. Whoever
//! is called after that has what it observes from the part, or from the beginning, and in any legal order of the whole
//! these stay the same if all else is left out. Of those called earlier, an observation is forgotten
//! ([`Model::weaken`]), or the call, if it is nothing but an observation. So the part has a legal order if the whole has
//! one.
//!
//! The part is made four times as long until it has none, so that it costs as much as a few searches of the last.

use super::budget::Allowance;
use super::problem::{Call, Problem};
use super::search::Found;
use super::shrink::{search_part, until};
use crate::model::{Family, Model};

/// So many calls are shrunk as they are.
const FEW: usize = 64;

/// A part without a legal order, of calls that have none and are sorted by their start; all of them, if need be.
pub(super) fn nearby<M: Model>(
    model: &M,
    problem: &Problem<M>,
    calls: Vec<Call<M::Op>>,
    allowance: &Allowance,
) -> Vec<Call<M::Op>> {
    let mut size = FEW;
    while model.family() == Family::Register && size < calls.len() {
        if let Some(mut part) = closed(model, &calls, calls.len() - size) {
            match search_part(model, &problem.init, &mut part, allowance) {
                Ok(Found::Stuck { blocker }) => return until(model, &part, part[blocker].end),
                Ok(Found::Order(_)) => {}
                Ok(Found::GaveUp { .. }) | Err(_) => return calls,
            }
        }
        size *= 4;
    }
    calls
}

/// The calls from this one on, with what may have happened before, such that nothing is observed from outside.
fn closed<M: Model>(model: &M, calls: &[Call<M::Op>], from: usize) -> Option<Vec<Call<M::Op>>> {
    let (outside, part) = calls.split_at(from);
    let returned = outside.iter().filter(|call| call.must).map(|call| call.end).max().unwrap_or(0);
    let replaces = |call: &&Call<M::Op>| call.must && call.start > returned && model.produces(&call.op).is_some();
    let replaced = part.iter().filter(replaces).map(|call| call.end).min()?;
    let mut closed = Vec::with_capacity(part.len());
    for call in outside.iter().filter(|call| !call.must).chain(part) {
        if call.start > replaced || model.observes(&call.op).is_none() {
            closed.push(call.clone());
        } else if model.produces(&call.op).is_some() {
            closed.push(Call { op: model.weaken(&call.op)?, ..call.clone() });
        }
    }
    Some(closed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;
    use serde_json::json;

    use super::super::problem::NEVER;
    use super::*;
    use crate::model::{CasRegister, Data, Datum, RegisterOp};

    /// Calls with a legal order: each takes effect when it is made, when it returns, or, if that may never have happened, at
    /// some time or never.
    fn legal(rng: &mut ChaCha8Rng, data: &mut Data, init: Datum) -> Vec<Call<RegisterOp>> {
        let mut value = init;
        let mut calls: Vec<Call<RegisterOp>> = Vec::new();
        let mut pending: Vec<usize> = Vec::new();
        for now in 0..160 {
            if rng.random_ratio(1, 2) && pending.len() < 6 {
                let some = data.intern(&json!(rng.random_range(0..3)));
                let op = match rng.random_range(0..3) {
                    0 => RegisterOp::Read(value),
                    1 => RegisterOp::Write(some),
                    _ => RegisterOp::Cas(value, some),
                };
                let (is_late, must) = (rng.random_ratio(1, 3), rng.random_ratio(9, 10));
                calls.push(Call { op, start: now, end: NEVER, ret: NEVER, who: 0, must });
                if is_late || !must {
                    pending.push(calls.len() - 1);
                    continue;
                }
                value = CasRegister::default().step(&value, &op).expect("it fits what is there");
                pending.push(calls.len() - 1);
                calls[pending[pending.len() - 1]].who = 1;
            } else if !pending.is_empty() {
                let number = pending.swap_remove(rng.random_range(0..pending.len()));
                let call = &mut calls[number];
                let is_done = std::mem::take(&mut call.who) == 1;
                if !is_done && (call.must || rng.random_ratio(1, 2)) {
                    // Its effect comes only now: it observes what there is.
                    call.op = match call.op {
                        RegisterOp::Read(_) => RegisterOp::Read(value),
                        RegisterOp::Cas(_, new) => RegisterOp::Cas(value, new),
                        op => op,
                    };
                    value = CasRegister::default().step(&value, &call.op).expect("it fits what is there");
                }
                call.end = if call.must { now } else { NEVER };
            }
        }
        pending.iter().for_each(|&number| calls[number].must = false);
        calls.retain(|call| call.must || !matches!(call.op, RegisterOp::Read(_)));
        calls
    }

    #[test]
    fn a_part_of_what_has_a_legal_order_has_one() {
        let model = CasRegister::default();
        let mut parts = 0;
        for seed in 0..400 {
            let rng = &mut ChaCha8Rng::seed_from_u64(seed);
            let mut data = Data::default();
            let init = model.init(&mut data);
            let calls = legal(rng, &mut data, init);
            for from in (0..calls.len()).step_by(5) {
                let Some(mut part) = closed(&model, &calls, from) else { continue };
                let allowance = Allowance::new(std::time::Instant::now() + Duration::from_secs(60), 1 << 30);
                let found = search_part(&model, &init, &mut part, &allowance).expect("a minute is enough");
                assert!(matches!(found, Found::Order(_)), "seed {seed}, from {from}: {found:?}\n{part:?}");
                parts += 1;
            }
        }
        assert!(parts > 2_000, "{parts} parts");
    }
}
