//! The fenced mutex.

use grudge_checkers::model::FencedMutex;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::common::linearizable::fuzz;
use crate::common::random::{Answer, Knobs, Object};

/// A lock that may be taken from its holder.
#[derive(Default)]
pub struct Lease {
    /// The last token that was given.
    token: i64,
    /// Who holds.
    current: Option<i64>,
}

impl Object for Lease {
    fn call(&mut self, rng: &mut ChaCha8Rng, _: &Knobs) -> (&'static str, Value) {
        let token = json!((self.token - rng.random_range(0..2)).max(1));
        match rng.random_range(0..3) {
            0 => ("acquire", Value::Null),
            1 => ("prove", token),
            _ => ("release", token),
        }
    }

    fn apply(&mut self, rng: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        match f {
            "acquire" if self.current.is_none() || rng.random_ratio(1, 3) => {
                self.token += 1;
                self.current = Some(self.token);
                return Some(json!(self.token).into());
            }
            "prove" if self.current == argument.as_i64() => {}
            "release" if self.current == argument.as_i64() => self.current = None,
            _ => return None,
        }
        Some(argument.clone().into())
    }

    fn lie(&mut self, rng: &mut ChaCha8Rng, _: &Knobs, f: &str, argument: &Value) -> Answer {
        if f == "acquire" { json!(self.token + rng.random_range(0..2)).into() } else { argument.clone().into() }
    }
}

#[test]
fn fenced_mutex() {
    fuzz(&FencedMutex, |_| Lease::default());
}
