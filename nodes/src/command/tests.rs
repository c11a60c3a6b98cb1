//! Arguments that make no sense are refused with a sentence that says what to do.

use clap::Parser;

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    args: NodeArgs,
}

const GOOD: &[&str] = &[
    "node",
    "zab",
    "--id",
    "1",
    "--data",
    "d",
    "--peer",
    "1=127.0.0.1:1",
    "--peer",
    "2=127.0.0.1:2",
    "--client",
    "127.0.0.1:3",
];

fn refused(change: impl FnOnce(&mut Vec<&'static str>)) -> String {
    let mut line = GOOD.to_vec();
    change(&mut line);
    match Line::try_parse_from(line) {
        Err(error) => error.to_string(),
        Ok(line) => line.args.check().expect_err("nonsense").to_string(),
    }
}

#[test]
fn a_good_line_is_understood() {
    let args = Line::try_parse_from(GOOD).expect("a good line").args;
    assert_eq!(args.check().expect("a good line"), NodeId(1));
    assert_eq!(args.addresses().len(), 2);
    let listening = [&GOOD[..6], &GOOD[8..], &["--listen", "127.0.0.1:9"]].concat();
    let args = Line::try_parse_from(listening).expect("a good line").args;
    assert_eq!(args.check().expect("its own address comes from --listen"), NodeId(1));
    assert_eq!(args.addresses()[&NodeId(1)].port(), 9);
}

#[test]
fn nonsense_is_refused_with_what_to_do() {
    let cases: [(&str, String); 8] = [
        ("NUMBER=IP:PORT, for example", refused(|line| line[7] = "127.0.0.1:1")),
        ("NUMBER=IP:PORT, for example", refused(|line| line[7] = "0=127.0.0.1:1")),
        ("NUMBER=IP:PORT, for example", refused(|line| line[7] = "1=nowhere")),
        ("say where its peers reach it with --listen IP:PORT or --peer 7=IP:PORT", refused(|line| line[3] = "7")),
        ("give each --peer another one", refused(|line| line[9] = "1=127.0.0.1:2")),
        ("an address is given twice", refused(|line| line[11] = "127.0.0.1:1")),
        ("is a bug of raft, and this is zab", refused(|line| line.extend(["--bug", "raft-no-fsync"]))),
        ("[possible values:", refused(|line| line.extend(["--bug", "no-such-bug"]))),
    ];
    for (wanted, said) in cases {
        assert!(said.contains(wanted), "{wanted:?} is not in {said:?}");
    }
}

#[test]
fn replicas_with_one_seed_draw_differently() {
    let seeds: BTreeSet<u64> = (1..=5)
        .flat_map(|id| (0..5).map(move |seed| (id, seed)))
        .map(|(id, seed)| NodeArgs { id, seed, ..Line::try_parse_from(GOOD).expect("a good line").args }.own_seed())
        .collect();
    assert_eq!(seeds.len(), 25);
}
