//! Says in words why the operations on a container have no legal order.

use super::super::explain::{self, Explanation};
use super::super::problem::{Call, Problem};
use super::super::told::Told;
use super::contents::{Content, Contents};
use super::{Contradiction, Why};
use crate::model::{Family, Model};

/// Explains a contradiction. The events of its calls were picked.
pub(in super::super) fn explain<'t, M: Model>(
    model: &M,
    problem: &Problem<M>,
    contradiction: &Contradiction,
    told: &'t Told,
) -> Explanation<'t> {
    let calls: Vec<Call<M::Op>> = contradiction.calls().into_iter().map(|call| problem.calls[call].clone()).collect();
    let teller = Teller { model, problem, told };
    let reason = match &contradiction.0 {
        Why::Value(of_value) => match of_value[..] {
            [put, one, other, ..] => teller.taken_twice(put, one, other),
            _ => return explain::explain(model, problem, &calls, told),
        },
        Why::Element(of_element) => teller.element(of_element),
        Why::Contents(contents) => teller.contents(contents),
    };
    Explanation { reason, mentioned: None }
}

struct Teller<'a, 't, M: Model> {
    model: &'a M,
    problem: &'a Problem<M>,
    told: &'t Told,
}

impl<M: Model> Teller<'_, '_, M> {
    fn taken_twice(&self, put: usize, one: usize, other: usize) -> String {
        format!("{}, although {}; {} once only", self.who_did(other), self.who_did(one), self.who_did(put))
    }

    fn element(&self, calls: &[usize]) -> String {
        let end = |call: &usize| Some(&self.problem.calls[*call]).filter(|call| call.must).map(|call| call.end);
        let Some(last) = calls.iter().copied().max_by_key(end) else { return String::new() };
        let rest: Vec<String> = calls.iter().filter(|&&call| call != last).map(|&call| self.who_did(call)).collect();
        match &rest[..] {
            [] => format!("{}, but nothing that was called before it returned can have added it", self.who_did(last)),
            rest => format!("{}, which fits nowhere among these: {}", self.who_did(last), rest.join("; ")),
        }
    }

    fn contents(&self, contents: &Contents) -> String {
        match (self.model.family(), &contents.values[..], &contents.voids[..]) {
            (_, values, [void, ..]) => {
                let there: Vec<String> = values.iter().map(|value| self.stay(value)).collect();
                let all_the_time = "although at each moment of that something was there";
                format!("{}, {all_the_time}: {}", self.who_did(void.call), there.join("; "))
            }
            (Family::Queue, [one, other], _) => self.overtaken(one, other),
            (Family::Stack, values, _) => self.no_bottom(values),
            (_, values, _) => self.not_the_smallest(values),
        }
    }

    /// From when to when a value was there for sure.
    fn stay(&self, value: &Content) -> String {
        let put = self.who_did(value.put_by);
        match value.taken_by {
            Some(taken_by) => format!("{put} before, and {} only after", self.who_did(taken_by)),
            None => format!("{put}, and nobody took it"),
        }
    }

    fn overtaken(&self, one: &Content, other: &Content) -> String {
        let (before, after) = if one.put.end <= other.put.start { (one, other) } else { (other, one) };
        let overtaking = after.taken_by.map_or_else(String::new, |call| self.who_did(call));
        let (text, overtaken) = (self.text(before), self.text(after));
        let left = match before.taken_by {
            Some(taken_by) => format!("{} only after that", self.who_did(taken_by)),
            None => format!("nobody took {text}"),
        };
        let (first, then) = (self.who_did(before.put_by), self.events(after.put_by));
        format!(
            "{overtaking} before {text}, although {first} before the call for {overtaken} was made ({then}); {left}"
        )
    }

    fn no_bottom(&self, values: &[Content]) -> String {
        let begin = values.iter().min_by_key(|value| value.put.end);
        let end = values.iter().max_by_key(|value| value.taken.start);
        let (Some(begin), Some(end)) = (begin, end) else { return String::new() };
        if let [one, other] = values {
            let below = if one.put_by == begin.put_by { one } else { other };
            let above = if one.put_by == begin.put_by { other } else { one };
            if let Some(taken_by) = below.taken_by {
                let text = self.text(above);
                let left = above.taken_by.map_or_else(
                    || format!("nobody took {text}"),
                    |call| format!("{} only after that", self.who_did(call)),
                );
                let (pop, push) = (self.who_did(taken_by), self.who_did(above.put_by));
                return format!(
                    "{pop}, although {text} lay on top of it: {push} after {} was there, and {left}",
                    self.text(below)
                );
            }
        }
        let why = |value: &Content| {
            let text = self.text(value);
            if value.put.start >= begin.put.end {
                format!("{text} was put in only after {}", self.text(begin))
            } else {
                format!("{text} was taken before {}", self.text(end))
            }
        };
        let why: Vec<String> = values.iter().map(why).collect();
        let whole: Vec<String> = values.iter().map(|value| self.stay(value)).collect();
        format!(
            "from {} to {} something was there at each moment, so one value was at the bottom all the time, but none can have been: {}. For {}",
            self.events(begin.put_by),
            end.taken_by.map_or_else(|| "the end".to_owned(), |call| self.events(call)),
            why.join("; "),
            whole.join("; ")
        )
    }

    fn not_the_smallest(&self, values: &[Content]) -> String {
        let Some(greatest) = values.iter().max_by_key(|value| value.item) else { return String::new() };
        let smaller = values.iter().filter(|value| value.item != greatest.item);
        let smaller: Vec<String> = smaller.map(|value| self.stay(value)).collect();
        let what = greatest.taken_by.map_or_else(String::new, |call| self.who_did(call));
        format!("{what}, although at each moment of that something smaller was there: {}", smaller.join("; "))
    }

    fn text(&self, value: &Content) -> String {
        self.problem.data.text(value.item.value).into_owned()
    }

    fn who_did(&self, call: usize) -> String {
        let call = &self.problem.calls[call];
        let did = self.model.show_op(&call.op, &self.problem.data);
        self.told.operation(call).map_or_else(|| did.clone(), |operation| explain::who_did(&operation, &did))
    }

    fn events(&self, call: usize) -> String {
        self.told.operation(&self.problem.calls[call]).map_or_else(String::new, |operation| operation.events())
    }
}
