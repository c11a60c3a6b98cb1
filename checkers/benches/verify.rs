//! How long it takes to replay a legal order, and to try a witness, of a long history.

mod measure;

#[path = "../tests/common/simulated.rs"]
mod simulated;

use grudge_checkers::linearizability::{Limits, judge};
use grudge_checkers::model::CasRegister;
use grudge_checkers::verify::{Proof, verify};
use measure::{Answer, Bench, Scenario};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::json;
use simulated::{Shape, registers};

fn main() {
    let mut bench = Bench::new();
    let operations = 1_000_000;
    for (name, spoilt) in [("an order of five registers", false), ("a witness of five registers", true)] {
        if !bench.wants(name) {
            continue;
        }
        let shape = Shape { operations, keys: 5, workers: 10, reads: 40, lost: 1 };
        let mut history = registers(&mut ChaCha8Rng::seed_from_u64(1), shape);
        if spoilt {
            let read = history.events.iter_mut().rfind(|event| event.f == "read" && event.kind.name() == "ok");
            read.expect("there are reads").value = json!(1);
        }
        let model = CasRegister::default();
        let judgement = judge(&history, &model, &Limits::default());
        let scenario = Scenario { name, operations, concurrency: shape.workers, rounds: 3 };
        bench.measure(scenario, || {
            let proof = verify(&model, &history, &judgement).expect("the judgement holds");
            let decider = match proof {
                Proof::Orders { operations } => format!("{operations} in order"),
                Proof::Contradiction { events } => format!("{events} events"),
                Proof::Nothing => "nothing".to_owned(),
            };
            Answer { verdict: judgement.verdict.name().to_owned(), decider }
        });
    }
}
