//! What a history promises, and how a broken promise is named.

use grudge_checkers::history::{History, Outcome, Process, csv};

fn read(rows: &str) -> History {
    let (history, damage) = csv::read(format!("process,type,f,key,value\n{rows}").as_bytes());
    assert!(damage.is_none(), "{damage:?}");
    history
}

#[test]
fn calls_are_paired_and_what_never_returned_is_unknown() {
    let history = read(
        "0,invoke,read,x,\n1,invoke,write,x,1\nnemesis,invoke,start-kill,,\n0,ok,read,x,1\nnemesis,ok,start-kill,,\n\
         0,invoke,read,y,\n0,fail,read,y,\n2,invoke,read,,\n2,info,read,y,\n",
    );
    history.check().expect("it keeps its promises");
    let operations = history.operations().expect("it pairs");
    let found: Vec<_> = operations.iter().map(|op| (op.process(), op.outcome(), op.key(), op.call, op.ret)).collect();
    let client = Process::Client;
    let expected = [
        (client(0), Outcome::Ok, Some("x"), 0, Some(3)),
        (client(1), Outcome::Info, Some("x"), 1, None),
        (client(0), Outcome::Fail, Some("y"), 5, Some(6)),
        (client(2), Outcome::Info, Some("y"), 7, Some(8)),
    ];
    assert_eq!(found, expected);
}

#[test]
fn a_broken_promise_is_named() {
    for (rows, expected) in [
        (
            "0,invoke,read,,\n0,invoke,write,,1\n",
            "event 1: process 0 begins `write` while its call of event 0 is still open",
        ),
        ("3,ok,read,,1\n", "event 0: process 3 ends `read` (ok) and has no open call"),
        ("0,invoke,read,,\n0,ok,write,,1\n", "event 1: process 0 ends `write`, but its open call of event 0 is `read`"),
        (
            "0,invoke,read,x,\n0,ok,read,y,1\n",
            "event 1: process 0 ends `read` of `y`, but its open call of event 0 is `read` of `x`",
        ),
    ] {
        assert_eq!(read(rows).check().expect_err("it is broken").to_string(), expected);
    }
    let mut history = read("0,invoke,read,,\n0,ok,read,,1\n");
    history.events[0].time = 7;
    let time = "event 1 is at 0 ns, after an event at 7 ns: time never goes back";
    assert_eq!(history.check().expect_err("time goes back").to_string(), time);
    history.events[0].index = 4;
    let index = "event 0 has the index 4: indexes count up from 0 without a gap";
    assert_eq!(history.check().expect_err("a gap").to_string(), index);
    history.operations().expect("a part of a history pairs all the same");
}
