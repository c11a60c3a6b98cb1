//! The strict mutex.

use grudge_checkers::model::Mutex;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

use crate::common::linearizable::fuzz;
use crate::common::random::{Answer, Knobs, Object};

#[derive(Default)]
struct Lock {
    held: bool,
}

impl Object for Lock {
    fn call(&mut self, rng: &mut ChaCha8Rng, _: &Knobs) -> (&'static str, Value) {
        (if self.held != rng.random_ratio(1, 4) { "release" } else { "acquire" }, Value::Null)
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, f: &str, _: &Value) -> Option<Answer> {
        let fits = (f == "release") == self.held;
        self.held = f == "acquire";
        fits.then(|| Value::Null.into())
    }

    fn lie(&mut self, _: &mut ChaCha8Rng, _: &Knobs, _: &str, _: &Value) -> Answer {
        Value::Null.into()
    }
}

#[test]
fn mutex() {
    fuzz(&Mutex, |_| Lock::default());
}
