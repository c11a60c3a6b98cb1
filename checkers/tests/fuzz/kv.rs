//! Strings that are put, appended to and got.

use grudge_checkers::model::Kv;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::common::linearizable::fuzz;
use crate::common::random::{Answer, Knobs, Object};

#[derive(Default)]
struct Text {
    text: String,
    /// Pieces that were used.
    used: u64,
}

impl Object for Text {
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value) {
        self.used += 1;
        let piece = if knobs.unique { self.used } else { rng.random_range(0..knobs.values) };
        match rng.random_range(0..5) {
            0..2 => ("get", Value::Null),
            2 => ("put", json!(piece.to_string())),
            _ => ("append", json!(piece.to_string())),
        }
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        let piece = argument.as_str().unwrap_or_default();
        match f {
            "get" if self.text.is_empty() => return Some(Value::Null.into()),
            "get" => return Some(json!(self.text).into()),
            "put" => piece.clone_into(&mut self.text),
            _ => self.text.push_str(piece),
        }
        Some(argument.clone().into())
    }

    /// A get that misses an end or a beginning, or found what is not there yet.
    fn lie(&mut self, rng: &mut ChaCha8Rng, _: &Knobs, f: &str, argument: &Value) -> Answer {
        let end = self.text.len();
        match (f, rng.random_range(0..3)) {
            ("get", 0) => json!(self.text[..end.saturating_sub(1)]).into(),
            ("get", 1) => json!(self.text[end.min(1)..]).into(),
            ("get", _) => json!(format!("{}{}", self.text, self.used)).into(),
            _ => argument.clone().into(),
        }
    }
}

#[test]
fn kv() {
    fuzz(&Kv, |_| Text::default());
}
