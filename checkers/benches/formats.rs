//! How fast histories are read: `cargo bench -p grudge-checkers --bench formats -- WORD…`.
//!
//! The files lie in memory. `pick` is what a witness costs: a few events from the end, all before passed over.

mod measure;

use grudge_checkers::history::{Event, Format, History, Kind, Process, Recording, Tape};
use measure::{Answer, Bench, Scenario, say};
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
