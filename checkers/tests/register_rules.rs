//! What a history does not say of its registers: where they begin, what a read of `null` tells, and what a failed
//! compare-and-set tells.

use grudge_checkers::checker::Checker;
use grudge_checkers::history::csv;
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::{FailedCas, NullReads, Parameters, RegisterRules};
use serde_json::json;

/// `(process, type, f, value)` each; a value with a comma stands in quotes.
fn verdict(rules: &RegisterRules, rows: &str) -> &'static str {
    let text: String = rows.split("; ").fold("process,type,f,value\n".to_owned(), |text, row| text + row + "\n");
    let (history, damage) = csv::read(text.as_bytes());
    assert!(damage.is_none(), "{damage:?}");
    let parameters = Parameters { registers: rules.clone(), ..Parameters::default() };
    let checker: Checker = "cas-register".parse().expect("a checker");
    checker.judge_with(&parameters, &history, &Limits::default()).verdict.name()
}

#[test]
fn a_register_begins_where_it_is_told() {
    let zero = RegisterRules { initial: json!(0), ..RegisterRules::default() };
    for (rows, empty, at_zero) in [
        ("0,invoke,read,; 0,ok,read,0", "invalid", "valid"),
        ("0,invoke,read,; 0,ok,read,null", "valid", "invalid"),
        ("0,invoke,cas,\"[0,1]\"; 0,ok,cas,\"[0,1]\"", "invalid", "valid"),
        ("0,invoke,write,1; 0,ok,write,1; 0,invoke,read,; 0,ok,read,0", "invalid", "invalid"),
        (
            "0,invoke,write,1; 0,ok,write,1; 0,invoke,write,0; 0,ok,write,0; 0,invoke,read,; 0,ok,read,0",
            "valid",
            "valid",
        ),
    ] {
        assert_eq!(verdict(&RegisterRules::default(), rows), empty, "{rows}");
        assert_eq!(verdict(&zero, rows), at_zero, "{rows}");
    }
}

#[test]
fn a_read_of_null_may_tell_nothing() {
    let mute = RegisterRules { null_reads: NullReads::TellNothing, ..RegisterRules::default() };
    for (rows, usual, muted) in [
        ("0,invoke,write,1; 0,ok,write,1; 0,invoke,read,; 0,ok,read,null", "invalid", "valid"),
        ("0,invoke,write,1; 0,ok,write,1; 0,invoke,read,; 0,ok,read,2", "invalid", "invalid"),
    ] {
        assert_eq!(verdict(&RegisterRules::default(), rows), usual, "{rows}");
        assert_eq!(verdict(&mute, rows), muted, "{rows}");
    }
}

#[test]
fn a_failed_compare_and_set_may_have_found_another_value() {
    let strict = RegisterRules { failed_cas: FailedCas::FoundAnother, ..RegisterRules::default() };
    for (rows, usual, found) in [
        ("0,invoke,cas,\"[null,1]\"; 0,fail,cas,\"[null,1]\"", "valid", "invalid"),
        ("0,invoke,cas,\"[1,2]\"; 0,fail,cas,\"[1,2]\"", "valid", "valid"),
        ("0,invoke,write,1; 0,ok,write,1; 0,invoke,cas,\"[1,2]\"; 0,fail,cas,\"[1,2]\"", "valid", "invalid"),
        (
            "1,invoke,write,2; 0,invoke,write,1; 0,ok,write,1; 0,invoke,cas,\"[1,3]\"; 0,fail,cas,\"[1,3]\"",
            "valid",
            "valid",
        ),
        (
            "1,invoke,write,2; 0,invoke,write,1; 0,ok,write,1; 1,ok,write,2; 0,invoke,cas,\"[1,3]\"; 0,fail,cas,\"[1,3]\"; \
          0,invoke,read,; 0,ok,read,1",
            "valid",
            "invalid",
        ),
    ] {
        assert_eq!(verdict(&RegisterRules::default(), rows), usual, "{rows}");
        assert_eq!(verdict(&strict, rows), found, "{rows}");
    }
}
