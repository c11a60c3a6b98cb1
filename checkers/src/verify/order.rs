//! Replays legal orders.

use std::collections::BTreeSet;

use super::{Part, Replay};
use crate::history::History;
use crate::judgement::Linearization;

/// Replays the orders, one a key: each operation that happened is there once and with its key, none is put before one
/// that had returned when it was called, and each is legal where it was put. In n log n.
///
/// # Errors
/// The first operation that is not so, in words.
pub fn verify_orders<R: Replay>(object: &R, history: &History, orders: &[Linearization]) -> Result<(), String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let parts: Vec<Part> = operations.iter().map(|operation| object.part(operation)).collect();
    let mut placed = vec![false; operations.len()];
    let mut keys: BTreeSet<Option<&str>> = BTreeSet::new();
    for Linearization { key, order } in orders {
        if !keys.insert(key.as_deref()) {
            return Err(format!("two orders are given for {}", object_of(key.as_deref())));
        }
        let mut memory = object.start();
        let mut latest_call = 0;
        for &call in order {
            let number = operations
                .binary_search_by_key(&call, |operation| operation.call)
                .map_err(|_| format!("there is no call at position {call}"))?;
            let operation = &operations[number];
            let bad = |what: &str| Err(format!("`{}` ({}) {what}", operation.f(), operation.events()));
            if std::mem::replace(&mut placed[number], true) {
                return bad("is in order twice");
            } else if parts[number] == Part::Never {
                return bad("has no part in an order and is in one");
            } else if operation.key() != key.as_deref() {
                return bad(&format!("is in the order of {}", object_of(key.as_deref())));
            } else if parts[number].returned(operation).is_some_and(|ret| ret < latest_call) {
                return bad("had returned before one was called that is in order before it");
            } else if !object.apply(&mut memory, operation) {
                return bad("is not legal where it is in order");
            }
            latest_call = latest_call.max(call);
        }
    }
    let missing = (0..operations.len()).find(|&number| parts[number] == Part::Must && !placed[number]);
    missing.map_or(Ok(()), |missing| {
        let operation = &operations[missing];
        Err(format!("`{}` ({}) happened and is in no order", operation.f(), operation.events()))
    })
}

fn object_of(key: Option<&str>) -> String {
    key.map_or_else(|| "the operations without a key".to_owned(), |key| format!("the key `{key}`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::csv;
    use crate::model::Register;

    const HISTORY: &str = "process,type,f,key,value\n\
        0,invoke,write,x,1\n\
        0,ok,write,x,1\n\
        1,invoke,read,x,\n\
        2,invoke,write,x,2\n\
        1,ok,read,x,1\n\
        3,invoke,write,x,3\n\
        3,fail,write,x,3\n\
        4,invoke,write,y,4\n";

    fn said(orders: &[(&str, &[usize])]) -> Result<(), String> {
        let (history, damage) = csv::read(HISTORY.as_bytes());
        assert!(damage.is_none());
        let orders =
            orders.iter().map(|(key, order)| Linearization { key: Some((*key).into()), order: order.to_vec() });
        verify_orders(&Register::default(), &history, &orders.collect::<Vec<_>>())
    }

    #[test]
    fn an_order_that_is_none_is_told_from_one() {
        let unknown = "there is no call at position 1";
        let early = "`write` (events 0 and 1) had returned before one was called that is in order before it";
        for (orders, expected) in [
            (&[("x", &[0, 2][..])][..], Ok(())),
            (&[("x", &[0, 2, 3]), ("y", &[7])], Ok(())),
            (&[("x", &[0, 1])], Err(unknown)),
            (&[("x", &[0])], Err("`read` (events 2 and 4) happened and is in no order")),
            (&[("x", &[0, 3, 2])], Err("`read` (events 2 and 4) is not legal where it is in order")),
            (&[("x", &[2, 0])], Err("`read` (events 2 and 4) is not legal where it is in order")),
            (&[("x", &[3, 0, 2])], Err(early)),
            (&[("x", &[0, 2, 0])], Err("`write` (events 0 and 1) is in order twice")),
            (&[("x", &[0, 2, 5])], Err("`write` (events 5 and 6) has no part in an order and is in one")),
            (&[("x", &[0, 2, 7])], Err("`write` (event 7) is in the order of the key `x`")),
            (&[("x", &[0, 2]), ("x", &[3])], Err("two orders are given for the key `x`")),
        ] {
            assert_eq!(said(orders), expected.map_err(str::to_owned), "{orders:?}");
        }
    }
}
