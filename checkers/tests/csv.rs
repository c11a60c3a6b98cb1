//! Histories as files: what is written is read again, and damage is named by its place.

mod common;

use common::arbitrary;
use grudge_checkers::history::csv::{self, Reader, Writer};
use grudge_checkers::history::{History, Process};
use proptest::prelude::*;
use serde_json::{Value, json};

fn read(file: &str) -> (History, Option<String>) {
    let (history, error) = csv::read(file.as_bytes());
    (history, error.map(|error| error.to_string()))
}

fn whole(file: &str) -> History {
    let (history, error) = read(file);
    assert_eq!(error, None, "of {file:?}");
    history
}

fn write(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(history in arbitrary::history()) {
        let file = write(&history);
        let (again, error) = read(&file);
        prop_assert_eq!(error, None);
        prop_assert_eq!(&again, &history);
        prop_assert_eq!(write(&again), file);
    }

    /// A file cut anywhere gives a beginning of the history, and says that it was cut unless it was cut between rows.
    #[test]
    fn a_cut_file_gives_its_beginning(history in arbitrary::history(), at in any::<prop::sample::Index>()) {
        let file = write(&history);
        let cut = at.index(file.len());
        let (part, error) = csv::read(&file.as_bytes()[..cut]);
        prop_assert!(history.events.starts_with(&part.events), "{:?} of {:?}", part, history);
        if error.is_none() {
            prop_assert_eq!(write_like(&part, &history).len(), cut, "a half row was taken for a whole one");
        }
    }

    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut file = b"process,type,f,value,start,end\n".to_vec();
        file.extend(bytes);
        csv::read(&file[..]);
        csv::read(&file[31..]);
    }
}

/// The part written with the columns of the whole.
fn write_like(part: &History, whole: &History) -> Vec<u8> {
    let extra =
        whole.events.first().map_or_else(Vec::new, |event| event.extra.iter().map(|(name, _)| name.clone()).collect());
    let mut writer = Writer::with_extra(Vec::new(), extra).expect("memory takes everything");
    for event in &part.events {
        writer.append(event).expect("memory takes everything");
    }
    writer.finish().expect("memory takes everything")
}

#[test]
fn an_empty_text_is_no_text() {
    let mut history = whole("process,type,f,value,key\n0,invoke,read,,\n");
    history.events[0].key = Some(String::new());
    assert_eq!(whole(&write(&history)).events[0].key, None);
}

#[test]
fn an_empty_value_is_null_and_an_empty_string_is_itself() {
    let history = whole("process,type,f,value\n0,invoke,write,\n0,ok,write,\"\"\"\"\"\"\n1,invoke,write,null\n");
    let values: Vec<&Value> = history.events.iter().map(|event| &event.value).collect();
    assert_eq!(values, [&Value::Null, &json!(""), &Value::Null]);
}

#[test]
fn a_foreign_file_needs_four_columns_and_no_last_line_end() {
    let history = whole("\u{feff}value, f ,type,process,colour\r\n7,write,invoke,3,red\r\nnil,read,ok,nemesis,");
    assert_eq!(history.events.len(), 2);
    let event = &history.events[0];
    assert_eq!((event.index, event.time, event.process), (0, 0, Process::Client(3)));
    assert_eq!(event.extra, [("colour".to_owned(), "red".to_owned())]);
    assert_eq!(history.events[1].value, json!("nil"), "a bare word is a string");
    assert_eq!(whole(&write(&history)), history);
}

#[test]
fn rows_of_whole_operations_become_events() {
    let history = whole(
        "process,type,f,value,start,end\n\
         1,ok,read,1,20,30\n\
         0,ok,write,1,0,20\n\
         2,info,write,2,5,\n\
         0,ok,read,1,20,20\n",
    );
    let events: Vec<String> = history
        .events
        .iter()
        .map(|event| format!("{} {} {} {} {}", event.index, event.time, event.process, event.kind, event.f))
        .collect();
    // At 20 the write returns only because its process calls again; the other read is concurrent with both.
    let expected = [
        "0 0 0 invoke write",
        "1 5 2 invoke write",
        "2 20 1 invoke read",
        "3 20 0 ok write",
        "4 20 0 invoke read",
        "5 20 0 ok read",
        "6 30 1 ok read",
    ];
    assert_eq!(events, expected);
    history.check().expect("the events make a history");
}

#[test]
fn damage_is_named_by_line_and_column() {
    let schema = "index,time,process,type,f,key,value,node,error,version\n";
    let row = "0,0,0,invoke,write,\"a\nb\",1,,,\n";
    let table = [
        ("", 0, "line 1: the file is empty; its first row names the columns"),
        ("process,type,f\n", 0, "line 1: there is no column `value`, only: process, type, f"),
        ("process,type,f,f,value\n", 0, "line 1, column 4 (f): the column is there twice"),
        (
            &format!("{schema}{row}1,1,0,ok,wri"),
            1,
            "line 4, column 5 (f): the row ends after 5 of 10 columns: it is half written",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,,1,,,17"),
            1,
            "line 4, column 10 (version): the row has no line end: it is half written",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,,1,\"n"),
            1,
            "line 4, column 8 (node): the row ends after 8 of 10 columns: it is half written",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,,1,,\n2,2,0,ok,write,,1,,,\n"),
            1,
            "line 4, column 9 (error): the row ends after 9 of 10 columns",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,,1,,,,\n"),
            1,
            "line 4, column 11: the row has 11 columns, the first row 10",
        ),
        (
            &format!("{schema}{row}1,x,0,ok,write,,1,,,\n"),
            1,
            "line 4, column 2 (time): expected a whole number of nanoseconds, found `x`",
        ),
        (
            &format!("{schema}{row}0,1,0,ok,write,,1,,,\n"),
            1,
            "line 4, column 1 (index): expected 1 or more, found 0: rows are in the order of their index",
        ),
        (
            &format!("{schema}{row}1,1,a,ok,write,,1,,,\n"),
            1,
            "line 4, column 3 (process): expected an integer or `nemesis`, found `a`",
        ),
        (
            &format!("{schema}{row}1,1,0,okay,write,,1,,,\n"),
            1,
            "line 4, column 4 (type): expected invoke, ok, fail or info, found `okay`",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,\"a\nb\",\"[1,\",,,\n"),
            1,
            "line 5, column 7 (value): the value is no JSON: EOF while parsing a value at line 1 column 3 of the field",
        ),
        (
            &format!("{schema}{row}1,1,0,ok,write,,1,,,1.5\n"),
            1,
            "line 4, column 10 (version): expected an integer, found `1.5`",
        ),
        (
            "process,type,f,value\r\n0,invoke,read,\r\n\r\n0,okay,read,1\r\n",
            1,
            "line 4, column 2 (type): expected invoke, ok, fail or info, found `okay`",
        ),
        (
            "process,type,f,value,note\n0,ok,read,1,\"open\n",
            0,
            "line 2, column 5 (note): the row has no line end: it is half written",
        ),
        (
            "process,type,f,value,start,end\n0,ok,read,1,0,5\n1,invoke,read,1,0,5\n",
            2,
            "line 3, column 2 (type): expected `ok`, `fail` or `info`: with `start` and `end` a row is a whole operation",
        ),
        (
            "process,type,f,value,start,end\n0,ok,read,1,5,4\n",
            0,
            "line 2, column 6 (end): the operation ends before it starts",
        ),
        (
            "process,type,f,value,start,end\n0,ok,read,1,5,\n",
            0,
            "line 2, column 6 (end): expected a whole number of nanoseconds, found nothing, and the outcome is `ok`",
        ),
    ];
    for (file, before, expected) in table {
        let (history, error) = read(file);
        assert_eq!(error.as_deref(), Some(expected), "of {file:?}");
        assert_eq!(history.events.len(), before, "events before the damage of {file:?}");
    }
}

#[test]
fn a_field_that_is_not_utf8_is_named() {
    let (history, error) = csv::read(&b"process,type,f,value\n0,invoke,read,\n0,ok,re\xffad,1\n"[..]);
    assert_eq!(history.events.len(), 1);
    assert_eq!(error.expect("bad bytes").to_string(), "line 3, column 3 (f): the field is not UTF-8");
}

#[test]
fn a_reader_ends_after_its_error() {
    let mut reader = Reader::new(&b"process,type,f,value\n0,bad,read,\n0,ok,read,1\n"[..]).expect("a header");
    assert!(reader.next().expect("an answer").is_err());
    assert!(reader.next().is_none());
}

/// A sink that shows what a reader would find after each flush.
#[derive(Default)]
struct Flushed {
    pending: Vec<u8>,
    flushed: Vec<u8>,
    writes: usize,
}

impl std::io::Write for &mut Flushed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.pending.extend_from_slice(bytes);
        self.writes += 1;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        self.flushed.append(&mut self.pending);
        Ok(())
    }
}

#[test]
fn what_is_flushed_is_one_write_of_whole_rows() {
    let history = whole("process,type,f,value\n0,invoke,write,1\n0,ok,write,1\n");
    let mut sink = Flushed::default();
    Writer::new(&mut sink).expect("memory takes everything");
    assert_eq!(sink.flushed, format!("{}\n", csv::COLUMNS.join(",")).into_bytes());
    let mut sink = Flushed::default();
    let mut writer = Writer::new(&mut sink).expect("memory takes everything");
    for event in &history.events {
        writer.append(event).expect("memory takes everything");
    }
    writer.flush().expect("memory takes everything");
    // Nobody says goodbye to a writer that is killed.
    std::mem::forget(writer);
    assert_eq!((sink.writes, sink.pending.len()), (2, 0));
    assert_eq!(csv::read(&sink.flushed[..]).0, history);
}

#[test]
fn many_rows_do_not_wait_to_be_flushed_and_are_whole() {
    let mut event = whole("process,type,f,value\n0,invoke,write,1\n").events.remove(0);
    let mut sink = Flushed::default();
    let mut writer = Writer::new(&mut sink).expect("memory takes everything");
    for index in 0..20_000 {
        event.index = index;
        writer.append(&event).expect("memory takes everything");
    }
    std::mem::forget(writer);
    let (read, damage) = csv::read(&sink.flushed[..]);
    assert!(damage.is_none() && (10_000..20_000).contains(&read.events.len()), "{damage:?}, {}", read.events.len());
}

#[test]
fn an_unknown_extra_column_is_refused_by_the_writer() {
    let mut history = whole("process,type,f,value,colour\n0,invoke,read,,red\n");
    let mut writer = Writer::new(Vec::new()).expect("memory takes everything");
    let error = writer.append(&history.events.remove(0)).expect_err("the column is not there");
    assert_eq!(error.to_string(), "event 0 has a column `colour` that the file was not opened with");
}
