//! Histories as EDN and JSON lines, and as files of any format: what is written is read again, and damage is named by
//! its place.

mod common;

use std::cell::Cell;

use common::arbitrary;
use grudge_checkers::history::{Event, Format, History, Kind, Process, ReadError, Recording, Tape, edn, json};
use proptest::prelude::*;
use serde_json::{Value, json};

const ALL: [Format; 3] = [Format::Csv, Format::Edn, Format::JsonLines];

fn write(history: &History, format: Format) -> Vec<u8> {
    let mut bytes = Vec::new();
    format.write(&mut bytes, history).expect("memory takes everything");
    bytes
}

fn recording<'f>(file: &'f [u8], format: Option<Format>) -> Recording<impl Fn() -> std::io::Result<&'f [u8]>> {
    Recording::new(move || Ok(file), format).expect("it begins well")
}

/// All that a tape gives, and what stopped it.
fn played(tape: &dyn Tape) -> (History, Option<ReadError>) {
    let mut history = History::default();
    let damage = tape.play(&mut |event| history.events.push(event.clone())).err();
    (history, damage)
}

fn whole_edn(file: &str) -> History {
    let (history, damage) = edn::read(file.as_bytes());
    assert!(damage.is_none(), "{}", damage.expect("there is one"));
    history
}

/// The values of a file of EDN: `[VALUE …]` is made one event a value.
fn edn_value(text: &str) -> Value {
    let history = whole_edn(&format!("[{{:process 0, :type :invoke, :f :write, :value {text}}}]"));
    history.events[0].value.clone()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_format_gives_back_what_was_written(history in arbitrary::history()) {
        for format in ALL {
            let file = write(&history, format);
            let (again, damage) = played(&recording(&file, Some(format)));
            prop_assert!(damage.is_none(), "{}: {}", format, damage.expect("there is one"));
            prop_assert_eq!(&again, &history, "{} of {}", format, String::from_utf8_lossy(&file));
            prop_assert_eq!(write(&again, format), file);
        }
    }

    #[test]
    fn one_format_becomes_another(history in arbitrary::history()) {
        for (from, to) in [(Format::Csv, Format::Edn), (Format::Edn, Format::JsonLines), (Format::JsonLines, Format::Csv)] {
            let file = write(&history, from);
            let mut converted = Vec::new();
            to.write(&mut converted, &recording(&file, Some(from))).expect("memory takes everything");
            prop_assert_eq!(&played(&recording(&converted, Some(to))).0, &history);
        }
    }

    #[test]
    fn a_cut_file_gives_its_beginning(history in arbitrary::history(), at in any::<prop::sample::Index>()) {
        for format in [Format::Edn, Format::JsonLines] {
            let file = write(&history, format);
            let cut = at.index(file.len().max(1)).min(file.len());
            let (part, damage) = played(&recording(&file[..cut], Some(format)));
            prop_assert!(history.events.starts_with(&part.events), "{:?} of {:?}", part, history);
            if damage.is_none() {
                let kept = write(&part, format).len();
                prop_assert!(cut == kept || cut + 1 == kept, "{format}: a half event was taken for a whole one");
            }
        }
    }

    #[test]
    fn events_are_picked_by_position(history in arbitrary::history(), chosen in any::<u16>()) {
        let positions: Vec<usize> = (0..12).filter(|at| chosen & (1 << at) != 0).collect();
        let expected = history.pick(&positions).expect("memory can be read");
        for format in ALL {
            let file = write(&history, format);
            prop_assert_eq!(&recording(&file, Some(format)).pick(&positions).expect("it is whole"), &expected);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in r#"[-\[\]{}()#_:"\\a0-9u;\n,]{0,80}"#) {
        for file in [&bytes[..], text.as_bytes()] {
            edn::read(file);
            json::read(file);
            edn::read(&[b"[{:type :ok :value [", file].concat()[..]);
            json::read(&[b"{\"type\":", file].concat()[..]);
        }
    }
}

/// An index that the file leaves out is counted on from the last that it says, also where rows are passed over.
#[test]
fn a_picked_event_has_the_index_that_it_has_when_all_is_read() {
    let file = "index,process,type,f,value\n10,0,invoke,read,\n,0,ok,read,1\n,0,invoke,read,\n20,0,ok,read,2\n,1,invoke,read,\n";
    let tape = recording(file.as_bytes(), None);
    let all = played(&tape).0;
    let indexes: Vec<u64> = all.events.iter().map(|event| event.index).collect();
    assert_eq!(indexes, [10, 11, 12, 20, 21]);
    for chosen in 0..1 << 5 {
        let positions: Vec<usize> = (0..5).filter(|at| chosen & (1 << at) != 0).collect();
        assert_eq!(tape.pick(&positions).expect("whole"), all.pick(&positions).expect("whole"), "{positions:?}");
    }
}

#[test]
fn a_file_of_spans_is_picked_from_like_others() {
    let file = "process,type,f,value,start,end\n1,ok,read,1,20,30\n0,ok,write,1,0,20\n2,info,write,2,5,\n";
    let tape = recording(file.as_bytes(), None);
    let all = played(&tape).0;
    assert_eq!(all.events.len(), 5);
    assert_eq!(tape.pick(&[1, 4, 9]).expect("whole"), all.pick(&[1, 4]).expect("whole"));
}

#[test]
fn values_of_edn_are_those_of_json() {
    for (text, value) in [
        ("nil", Value::Null),
        ("true", json!(true)),
        ("-7", json!(-7)),
        ("+7N", json!(7)),
        ("18446744073709551615", json!(u64::MAX)),
        ("18446744073709551616", json!("18446744073709551616")),
        ("-9223372036854775809N", json!("-9223372036854775809")),
        ("0.5", json!(0.5)),
        ("-1e3", json!(-1000.0)),
        ("2.5M", json!(2.5)),
        ("1/3", json!("1/3")),
        ("##Inf", json!("##Inf")),
        ("##-Inf", json!("##-Inf")),
        (":append", json!("append")),
        (":jepsen.checker/valid?", json!("jepsen.checker/valid?")),
        ("symbol", json!("symbol")),
        ("-", json!("-")),
        (r#""a\n\"b\" \\ \u00e9 \uD83E\uDD80 \101""#, json!("a\n\"b\" \\ é 🦀 A")),
        (r"[\a \newline \u0041 \o101 \space \( \é]", json!(["a", "\n", "A", "A", " ", "(", "é"])),
        ("[1, 2 (3 4) #{5}]", json!([1, 2, [3, 4], [5]])),
        ("[]", json!([])),
        ("{:a 1, \"b\" {c [2]}, 3 4, [5] nil, nil 6}", json!({"a": 1, "b": {"c": [2]}, "3": 4, "[5]": null, "nil": 6})),
        ("#inst \"2024-01-01T00:00:00Z\"", json!("2024-01-01T00:00:00Z")),
        ("#some/tag {:a #other [1]}", json!({"a": [1]})),
        ("[1 #_2 #_ #_ 3 4 5 #_{:a [1]}]", json!([1, 5])),
        ("[1 ; two\n 3]", json!([1, 3])),
        ("[[:append 253 1] [:r 253 nil]]", json!([["append", 253, 1], ["r", 253, null]])),
    ] {
        assert_eq!(edn_value(text), value, "{text}");
    }
}

#[test]
fn a_history_of_jepsen_is_read_in_every_shape() {
    let maps = "#jepsen.history.Op{:index 0, :time 5, :type :invoke, :process 0, :f :read, :value nil, :clock {:a 1}}\n\
                ; said the nemesis\n\
                #_{:type :nonsense}\n\
                {:index 1 :time 6 :type :info :process :nemesis :f :start-partition :value [\"n1\"]}\n\
                {:index 2, :time 7, :type :info, :process 0, :f :read, :value nil, :error [:timeout \"n2\"], :node \"n2\"}\n";
    let expected = whole_edn(maps);
    assert_eq!(expected.events.len(), 3);
    let [read, nemesis, lost] = &expected.events[..] else { panic!("three") };
    assert_eq!((read.time, read.kind, &*read.f), (5, Kind::Invoke, "read"));
    assert_eq!(read.extra, [("clock".to_owned(), "{\"a\":1}".to_owned())]);
    assert_eq!((nemesis.process, nemesis.kind, &nemesis.value), (Process::Nemesis, Kind::Info, &json!(["n1"])));
    assert_eq!((lost.error.as_deref(), lost.node.as_deref()), (Some("[\"timeout\",\"n2\"]"), Some("n2")));
    for shape in [format!("[{maps}]"), format!("({maps})"), format!("\u{feff} [ {maps} ] ; the end")] {
        assert_eq!(whole_edn(&shape), expected, "{shape}");
    }
}

#[test]
fn what_says_neither_who_nor_what_is_a_transaction_as_in_elles_examples() {
    let history = whole_edn("{:type :invoke, :value [[:append 1 2]]}\n{:type :ok, :value [[:append 1 2]]}");
    let [invoke, ok] = &history.events[..] else { panic!("two") };
    assert_eq!((invoke.process, &*invoke.f, ok.index), (Process::Client(0), "txn", 1));
    assert_eq!(history.operations().expect("they pair").len(), 1);
}

fn keys(history: &History) -> Vec<Option<&str>> {
    history.events.iter().map(|event| event.key.as_deref()).collect()
}

#[test]
fn independent_keys_become_keys_where_nothing_else_can_be_meant() {
    let keyed = "{:process 0, :type :invoke, :f :write, :value [3 7]}\n\
                 {:process :nemesis, :type :info, :f :start, :value nil}\n\
                 {:process 1, :type :invoke, :f :read, :value [3 nil]}\n\
                 {:process 1, :type :ok, :f :read, :value [3 7]}\n\
                 {:process 0, :type :ok, :f :write, :value [3 7]}\n";
    let history = whole_edn(keyed);
    assert_eq!(keys(&history), [Some("3"), None, Some("3"), Some("3"), Some("3")]);
    assert_eq!(history.events[3].value, json!(7));
    let tape = recording(keyed.as_bytes(), None);
    assert_eq!(played(&tape).0, history);
    assert_eq!(tape.pick(&[2]).expect("whole"), history.events[2..3]);

    let plain = [
        // The answer is another key's.
        "{:process 0, :type :invoke, :f :read, :value [3 nil]} {:process 0, :type :ok, :f :read, :value [4 7]}",
        // A single value that is no pair.
        "{:process 0, :type :invoke, :f :read, :value [3 nil]} {:process 1, :type :invoke, :f :read, :value nil}",
        // Old and new values.
        "{:process 0, :type :invoke, :f :cas, :value [3 4]} {:process 0, :type :ok, :f :cas, :value [3 4]}",
        "{:process 0, :type :invoke, :f :cas, :value [3 nil]} {:process 0, :type :ok, :f :cas, :value [3 nil]}",
        // Two steps of a transaction.
        "{:process 0, :type :invoke, :f :txn, :value [[:r 1 nil] nil]}",
        // The file has keys.
        "{:process 0, :type :invoke, :f :read, :value [3 nil], :key nil}",
    ];
    for file in plain {
        let history = whole_edn(file);
        assert!(keys(&history).iter().all(Option::is_none), "{file}");
        assert_eq!(played(&recording(file.as_bytes(), None)).0, history, "{file}");
    }
}

#[test]
fn damage_of_edn_is_named_by_line_and_column() {
    let event = "{:process 0, :type :invoke, :f :read, :value \"é\n\"}\n";
    let table = [
        (format!("[{event}"), 1, "line 3, column 1: the file ends before its closing bracket: it is half written"),
        (
            format!("{event}{{:process 0, :ty"),
            1,
            "line 3, column 17: the file ends in the middle of a value: it is half written",
        ),
        (
            format!("{event}{{:process 0, :type :ok, :value \"ab"),
            1,
            "line 3, column 35: the file ends in the middle of a value: it is half written",
        ),
        (
            format!("[{event}] {event}"),
            1,
            "line 3, column 3: expected the end of the file behind the history's closing bracket",
        ),
        (format!("{event}[1]"), 1, "line 3, column 1: expected a map: an event of the history"),
        (
            format!("{event}{{:type :okay}}"),
            1,
            "line 3, column 8: type: expected invoke, ok, fail or info, found `okay`",
        ),
        (
            format!("{event}{{:process :me, :type :ok}}"),
            1,
            "line 3, column 11: process: expected an integer or `nemesis`, found `me`",
        ),
        (
            format!("{event}{{:process -1, :type :ok}}"),
            1,
            "line 3, column 11: process: expected an integer from 0 or `nemesis`, found `-1`",
        ),
        (format!("{event} {{:process 1}}"), 1, "line 3, column 2: the event has no :type"),
        (
            format!("{event}{{:type :ok :index 0}}"),
            1,
            "line 3, column 1: expected an index of 1 or more, found 0: events are in the order of their index",
        ),
        (
            format!("{event}{{:type :ok :time 1.5}}"),
            1,
            "line 3, column 18: time: expected a whole number of nanoseconds, found `1.5`",
        ),
        (format!("{event}{{:type :ok :value [1 2)}}"), 1, "line 3, column 23: `)` closes nothing"),
        (format!("{event}{{:type :ok :value {{:a}}}}"), 1, "line 3, column 22: the map ends before the value of `a`"),
        (format!("{event}{{:type :ok :value}}"), 1, "line 3, column 18: the map ends before the value of `value`"),
        (format!("{event}{{:type :ok :value 12ab}}"), 1, "line 3, column 19: `12ab` is no number"),
        (format!("{event}{{:type :ok :value \"\\x\"}}"), 1, "line 3, column 20: there is no such escape in a text"),
        (
            format!("{event}{{:type :ok :value {}}}", "[".repeat(200)),
            1,
            "line 3, column 148: values are nested more than 128 deep",
        ),
    ];
    for (file, before, expected) in table {
        for (history, damage) in [edn::read(file.as_bytes()), played(&recording(file.as_bytes(), Some(Format::Edn)))] {
            assert_eq!(damage.map(|damage| damage.to_string()).as_deref(), Some(expected), "of {file:?}");
            assert_eq!(history.events.len(), before, "events before the damage of {file:?}");
        }
    }
}

#[test]
fn json_is_read_in_every_shape() {
    let (one, two) = (
        r#"{"process":0,"type":"invoke","f":"cas","value":[1,{"a}":"]\"{"}],"colour":"red","depth":3,"time":5}"#,
        r#"{"process":"nemesis","type":"info","f":"start-pause","key":null,"node":"n1","version":-2}"#,
    );
    let (expected, damage) = json::read(format!("{one}\n{two}\n").as_bytes());
    assert!(damage.is_none());
    let [cas, pause] = &expected.events[..] else { panic!("two") };
    assert_eq!(cas.extra, [("colour", "red"), ("depth", "3")].map(|(name, text)| (name.to_owned(), text.to_owned())));
    assert_eq!((cas.time, &cas.value), (5, &json!([1, {"a}": "]\"{"}])));
    assert_eq!((pause.index, pause.process, pause.version), (1, Process::Nemesis, Some(-2)));
    assert_eq!((pause.node.as_deref(), &pause.value), (Some("n1"), &Value::Null));
    for shape in [format!("{one}{two}"), format!("[{one},\r\n{two}]\n"), format!("\u{feff}\n{one}\n\n{two}")] {
        let (history, damage) = json::read(shape.as_bytes());
        assert!(damage.is_none(), "{shape}");
        assert_eq!(history, expected, "{shape}");
    }
}

#[test]
fn damage_of_json_is_named_by_line_and_column() {
    let event = "{\"process\":0,\"type\":\"invoke\",\n\"f\":\"é\"}\n";
    let table = [
        (format!("[{event}"), "line 3, column 1: the file ends before its closing bracket: it is half written"),
        (
            format!("{event}{{\"process\":0,\n\"ty"),
            "line 4, column 4: the file ends in the middle of an object: it is half written",
        ),
        (format!("{event}7"), "line 3, column 1: expected an object: an event of the history"),
        (format!("{event}{{\"process\":0,\n\"f\":é}}"), "line 4, column 5: expected value"),
        (format!("{event}{{\"process\":0,\"f\":\"read\"}}"), "line 3, column 1: the event has no `type`"),
        (
            format!("{event}{{\"process\":0,\"type\":\"okay\"}}"),
            "line 3, column 27: type: expected invoke, ok, fail or info, found `okay`",
        ),
        (format!("[{event}] 1"), "line 3, column 3: expected the end of the file behind the history's closing bracket"),
    ];
    for (file, expected) in table {
        let (history, damage) = json::read(file.as_bytes());
        assert_eq!(damage.map(|damage| damage.to_string()).as_deref(), Some(expected), "of {file:?}");
        assert_eq!(history.events.len(), 1, "events before the damage of {file:?}");
    }
}

/// A source that gives a beginning and then fails.
struct Failing<'b>(&'b [u8]);

impl std::io::Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match std::io::Read::read(&mut self.0, buffer)? {
            0 => Err(std::io::Error::other("the cable was cut")),
            count => Ok(count),
        }
    }
}

#[test]
fn a_source_that_fails_is_no_end() {
    let history = History { events: vec![event(0), event(1)] };
    for format in ALL {
        let file = write(&history, format);
        let tape = Recording::new(|| Ok(Failing(&file)), Some(format)).expect("it begins well");
        let (read, damage) = played(&tape);
        assert_eq!(read, history, "{format}");
        let damage = damage.expect("it failed");
        assert!(damage.io.is_some() && damage.to_string().ends_with("cannot be read: the cable was cut"), "{damage}");
    }
}

#[test]
fn reading_can_be_broken_off() {
    let history: History = (0..100).map(event).collect();
    let file = write(&history, Format::Csv);
    let seen = Cell::new(0);
    let tape = recording(&file, None);
    tape.play_while(&mut |event| {
        seen.set(seen.get() + 1);
        if event.index == 4 { std::ops::ControlFlow::Break(()) } else { std::ops::ControlFlow::Continue(()) }
    })
    .expect("it is whole");
    assert_eq!(seen.get(), 5);
}

fn event(index: u64) -> Event {
    let (process, f) = (Process::Client(index), "read".to_owned());
    let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
    Event { index, time: index, process, kind: Kind::Invoke, f, key, value: json!(index), node, error, version, extra }
}
