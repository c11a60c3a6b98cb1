//! How fast histories are read: `cargo bench -p grudge-checkers --bench formats -- WORD…`.
//!
//! The files lie in memory. `pick` is what a witness costs: a few events from the end, all before passed over. The last
//! scenarios are whole checks of a file of ten million operations, almost a gigabyte: from the bytes to the verdict.

mod measure;

use std::fs::File;
use std::io::{self, Write};

use grudge_checkers::guess;
use grudge_checkers::history::{Event, Format, History, Kind, Process, Recording, Tape};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Parameters;
use measure::{Answer, Bench, Scenario, say};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::{Value, json};

const OPERATIONS: usize = 1_000_000;
const WORKERS: usize = 50;

/// What the values are.
#[derive(Clone, Copy, Debug)]
enum Of {
    Numbers,
    Text,
    Pairs,
}

impl Of {
    fn value(self, number: u64) -> Value {
        match self {
            Of::Numbers => json!(number),
            Of::Text => json!(format!("x {number} y")),
            Of::Pairs => json!([number, number + 1]),
        }
    }
}

fn main() {
    let mut bench = Bench::new();
    for of in [Of::Numbers, Of::Text, Of::Pairs] {
        for format in [Format::Csv, Format::Edn, Format::JsonLines] {
            let name = format!("{format}, {of:?}").to_lowercase();
            if bench.wants(&name) {
                let mut file = Vec::new();
                format.write(&mut file, &history(of)).expect("memory takes everything");
                read(&mut bench, &name, &file, format);
            }
        }
    }
    for (name, lie) in [("csv file, unique values", None), ("csv file, unique values, a stale read", Some(LONG - 5))] {
        if bench.wants(name) {
            check(&mut bench, name, lie);
        }
    }
}

/// How many operations a file has that is checked as a whole.
const LONG: u64 = 10_000_000;

/// Reads and judges a file of one register whose every value is written once.
fn check(bench: &mut Bench, name: &str, lie: Option<u64>) {
    let path = std::env::temp_dir().join(format!("grudge-formats-{}.csv", std::process::id()));
    let file = File::create(&path).expect("a temporary file");
    write_register(io::BufWriter::new(file), lie).expect("it takes a gigabyte");
    let scenario = Scenario { name, operations: LONG as usize, concurrency: WORKERS, rounds: 2 };
    bench.measure(scenario, || {
        let recording = Recording::new(|| File::open(&path), None).expect("it begins well");
        let guessed = guess::judge(&recording, &Parameters::default(), &Limits::default());
        guessed.expect("it is whole").expect("it is a register").judgement
    });
    std::fs::remove_file(&path).expect("it is there");
}

/// Workers read and write a register without pause; what they do happens as it returns. One read may return what was
/// there long ago.
fn write_register(mut sink: impl Write, lie: Option<u64>) -> io::Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut open, mut value, mut calls, mut index) = (vec![None; WORKERS], 0, 0, 0_u64);
    writeln!(sink, "index,time,process,type,f,key,value,node,error,version")?;
    while calls < LONG || open.iter().any(Option::is_some) {
        let process = rng.random_range(0..WORKERS);
        let (kind, f, value) = match open[process].take() {
            None if calls == LONG => continue,
            None => {
                calls += 1;
                let call = if rng.random() { Call::Write(calls) } else { Call::Read };
                open[process] = Some((calls, call));
                match call {
                    Call::Write(new) => ("invoke", "write", Some(new)),
                    Call::Read => ("invoke", "read", None),
                }
            }
            Some((_, Call::Write(new))) => {
                value = new;
                ("ok", "write", Some(new))
            }
            Some((call, Call::Read)) if lie.is_some_and(|lie| call >= lie) => ("ok", "read", None),
            Some((_, Call::Read)) => ("ok", "read", Some(value).filter(|&value| value > 0)),
        };
        let value = value.map_or_else(|| "null".to_owned(), |value| value.to_string());
        writeln!(sink, "{index},{},{process},{kind},{f},,{value},,,", index * 1733)?;
        index += 1;
    }
    sink.flush()
}

#[derive(Clone, Copy)]
enum Call {
    Read,
    Write(u64),
}

fn read(bench: &mut Bench, name: &str, file: &[u8], format: Format) {
    let tape = Recording::new(|| Ok(file), Some(format)).expect("it begins well");
    let scenario = |name| Scenario { name, operations: OPERATIONS, concurrency: WORKERS, rounds: 3 };
    let measured = bench.measure(scenario(name), || {
        let mut events = 0;
        tape.play(&mut |_| events += 1).expect("it is whole");
        answer(events == 2 * OPERATIONS)
    });
    let (seconds, megabytes) = (measured.best.as_secs_f64(), file.len() as f64 / 1e6);
    let nanoseconds = seconds * 1e9 / (2 * OPERATIONS) as f64;
    say(&format!("    {nanoseconds:.0} ns an event, {:.0} MB/s", megabytes / seconds));
    bench.measure(scenario(&format!("{name}, pick")), || {
        let picked = tape.pick(&[7, 2 * OPERATIONS - 1]).expect("it is whole");
        answer(picked.len() == 2 && picked[1].index == 2 * OPERATIONS as u64 - 1)
    });
}

fn answer(is_right: bool) -> Answer {
    let verdict = if is_right { "read" } else { "wrong" };
    Answer { verdict: verdict.to_owned(), decider: String::new() }
}

fn history(of: Of) -> History {
    let event = |index: u64| {
        let (call, kind) = (index / 2, if index.is_multiple_of(2) { Kind::Invoke } else { Kind::Ok });
        let process = Process::Client(call % WORKERS as u64);
        let f = if call.is_multiple_of(2) { "write" } else { "read" }.to_owned();
        let (key, node, error, version, extra) = (None, None, None, None, Vec::new());
        Event {
            index,
            time: index * 1733,
            process,
            kind,
            f,
            key,
            value: of.value(call / 2),
            node,
            error,
            version,
            extra,
        }
    };
    (0..2 * OPERATIONS as u64).map(event).collect()
}
