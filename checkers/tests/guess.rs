//! What a history is judged by is told by its operations, and told anew where a later one does not fit.

use grudge_checkers::checker::Checker;
use grudge_checkers::guess::{self, Guess};
use grudge_checkers::history::{Recording, csv};
use grudge_checkers::verdict::Verdict;

fn guessed(rows: &str) -> Option<Checker> {
    let (history, damage) = csv::read(format!("process,type,f,value\n{rows}").as_bytes());
    assert!(damage.is_none(), "{rows}");
    let mut guess = Guess::default();
    for event in &history.events {
        guess.push(event);
    }
    guess.checker()
}

#[test]
fn names_and_values_tell_the_checker() {
    for (rows, name) in [
        ("0,invoke,write,1\n", "register"),
        ("0,invoke,read,\n0,ok,read,7\nnemesis,info,start-kill,\n", "register"),
        ("0,invoke,read,\n0,invoke,cas,\"[1,2]\"\n", "cas-register"),
        ("0,invoke,acquire,\n0,ok,acquire,\n0,invoke,release,\n", "mutex"),
        ("0,invoke,acquire,\n0,ok,acquire,4\n", "fenced-mutex"),
        ("0,invoke,acquire,\n0,invoke,prove,4\n", "fenced-mutex"),
        ("0,invoke,add,1\n0,invoke,read,\n0,ok,read,[1]\n", "set"),
        ("0,invoke,add,1\n0,invoke,read,\n0,ok,read,1\n", "counter"),
        ("0,invoke,increment,\n0,invoke,read,\n", "counter"),
        ("0,invoke,generate,\n0,ok,generate,7\n", "ids"),
        ("0,invoke,acquire-read,\n0,invoke,release-write,\n", "read-write-lock"),
        ("0,invoke,put,\"\"\"x\"\"\"\n0,invoke,append,y\n0,invoke,get,\n", "kv"),
        ("0,invoke,grant,1\n0,invoke,check,1\n", "lease"),
        ("0,invoke,read,\n0,invoke,hop,\n", "session"),
        ("0,invoke,read,\n0,ok,read,\"[[1],[2]]\"\n", "pairs"),
        ("0,invoke,txn,\"[[\"\"append\"\",1,2]]\"\n", "list-append"),
        ("0,invoke,txn,\"[[\"\"r\"\",1,null]]\"\n0,ok,txn,\"[[\"\"append\"\",1,2]]\"\n", "list-append"),
        ("0,invoke,txn,\"[[\"\"r\"\",1,null],[\"\"append\"\",1,2]]\"\n", "list-append"),
        ("0,invoke,txn,\"[[\"\"w\"\",1,2]]\"\n", "rw-register"),
        ("0,invoke,enqueue,1\n0,ok,enqueue,1\n0,invoke,dequeue,\n", "queue"),
        ("0,invoke,push,1\n0,ok,push,1\n0,invoke,pop,\n", "stack"),
        ("0,invoke,insert,1\n0,ok,insert,1\n0,invoke,poll,\n", "priority-queue"),
        ("0,invoke,add,1\n0,ok,add,1\n0,invoke,contains,1\n", "lin-set"),
    ] {
        let expected: Checker = name.parse().expect("a checker");
        assert_eq!(guessed(rows), Some(expected), "{rows}");
    }
    for rows in ["", "nemesis,info,start-kill,\n", "0,invoke,dance,\n", "0,invoke,read,\n0,invoke,push,1\n"] {
        assert_eq!(guessed(rows), None, "{rows}");
    }
}

fn judged(file: &str) -> Option<(String, Verdict)> {
    let recording = Recording::new(|| Ok(file.as_bytes()), None).expect("it begins well");
    let guessed = guess::judge(&recording, &Default::default(), &Default::default()).expect("it can be read");
    guessed.map(|guessed| (guessed.checker.name().to_owned(), guessed.judgement.verdict))
}

/// Much of the file is judged as a register before the first compare-and-set comes.
#[test]
fn a_later_operation_widens_the_guess() {
    let many = "0,invoke,write,1\n0,ok,write,1\n".repeat(6_000);
    let cas = "0,invoke,cas,\"[1,2]\"\n0,ok,cas,\"[1,2]\"\n";
    let file = format!("process,type,f,value\n{many}{cas}1,invoke,read,\n1,ok,read,2\n");
    assert_eq!(judged(&file), Some(("cas-register".to_owned(), Verdict::Valid)));
    assert_eq!(judged(&format!("{file}0,invoke,dance,\n")), None, "no checker knows both");
    let (_, verdict) = judged(&format!("{file}0,inv")).expect("it is guessed up to the damage");
    assert!(verdict.reason().is_some_and(|reason| reason.contains("line 12006")), "{verdict}");
}

#[test]
fn of_a_file_damaged_at_once_the_damage_is_told() {
    let file = "process,type,f,value\n0,invokes,write,1\n";
    let recording = Recording::new(|| Ok(file.as_bytes()), None).expect("it begins well");
    let damage = guess::judge(&recording, &Default::default(), &Default::default()).expect_err("nothing was read");
    assert_eq!((damage.line, damage.column.map(|column| column.name)), (2, Some("type".to_owned())));
}
