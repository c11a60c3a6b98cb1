//! The second form of a file, one row for each operation, spread into events.

use std::collections::{BTreeMap, VecDeque};

use crate::history::{Event, Kind, Process};

/// A row: the completion, and when it all began and ended.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) event: Event,
    pub(super) start: u64,
    pub(super) end: Option<u64>,
}

/// Orders begins and ends by time. At one time begins go before ends, since operations that touch may have
/// overlapped; only where a process begins anew must its own end go first.
pub(super) fn spread(mut spans: Vec<Span>) -> Vec<Event> {
    spans.sort_by_key(|span| span.start);
    let mut times: BTreeMap<u64, BTreeMap<Process, VecDeque<Event>>> = BTreeMap::new();
    let mut put = |time: u64, event: Event| {
        times.entry(time).or_default().entry(event.process).or_default().push_back(Event { time, ..event });
    };
    for Span { event, start, end } in spans {
        put(start, invocation(&event));
        if let Some(end) = end {
            put(end, event);
        }
    }
    let mut events = Vec::new();
    for (_, mut queues) in times {
        settle(&mut queues, &mut events);
    }
    for (index, event) in events.iter_mut().enumerate() {
        event.index = index as u64;
    }
    events
}

/// What was asked is not told apart from what was answered in this form: the call carries the same value.
fn invocation(event: &Event) -> Event {
    Event { kind: Kind::Invoke, error: None, version: None, ..event.clone() }
}

/// Empties the queues of one moment: all begins that can go, then one end that holds up a begin, or any.
fn settle(queues: &mut BTreeMap<Process, VecDeque<Event>>, events: &mut Vec<Event>) {
    loop {
        for queue in queues.values_mut() {
            if queue.front().is_some_and(|event| event.kind == Kind::Invoke) {
                events.extend(queue.pop_front());
            }
        }
        queues.retain(|_, queue| !queue.is_empty());
        let holding = queues.values_mut().find(|queue| queue.iter().any(|event| event.kind == Kind::Invoke));
        match holding {
            Some(queue) => events.extend(queue.pop_front()),
            None => break,
        }
    }
    events.extend(std::mem::take(queues).into_values().flatten());
}
