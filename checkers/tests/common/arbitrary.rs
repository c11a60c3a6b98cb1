//! Arbitrary histories: every field anything that a reader can give.

use grudge_checkers::history::{Event, History, Kind, Process};
use proptest::prelude::*;
use serde_json::{Value, json};

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => r#"[a-z,"'\r\n;\t \\é日🦀]{1,8}"#,
        1 => Just("null".to_owned()),
        1 => Just("\"".to_owned()),
        1 => "\\PC{1,6}",
    ]
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        Just(json!("")),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((text(), inner), 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn event() -> impl Strategy<Value = Event> {
    let process = prop_oneof![any::<u64>().prop_map(Process::Client), Just(Process::Nemesis)];
    let kind = prop_oneof![Just(Kind::Invoke), Just(Kind::Ok), Just(Kind::Fail), Just(Kind::Info)];
    let optional = || proptest::option::of(text());
    let strings = (text(), optional(), json_value(), optional(), optional());
    let extra = proptest::option::of((Just("note".to_owned()), prop_oneof![text(), Just(String::new())]));
    (any::<u64>(), process, kind, strings, any::<Option<i64>>(), extra).prop_map(
        |(time, process, kind, (f, key, value, node, error), version, extra)| {
            let extra = extra.into_iter().collect();
            Event { index: 0, time, process, kind, f, key, value, node, error, version, extra }
        },
    )
}

/// Histories as they come out of a reader: dense, and every event with the columns of the file.
pub fn history() -> impl Strategy<Value = History> {
    proptest::collection::vec(event(), 0..12).prop_map(|mut events| {
        let noted = events.iter().any(|event| !event.extra.is_empty());
        for (index, event) in events.iter_mut().enumerate() {
            event.index = index as u64;
            if noted && event.extra.is_empty() {
                event.extra.push(("note".to_owned(), String::new()));
            }
        }
        History { events }
    })
}
