//! Registers.

use grudge_checkers::model::{CasRegister, FailedCas, NullReads, Register, RegisterRules};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

use crate::common::linearizable::fuzz;
use crate::common::random::{Answer, Knobs, Object};

/// A register, which can be compared and set or not.
#[derive(Default)]
pub struct Cell {
    value: Value,
    has_cas: bool,
    /// How many values were used.
    used: u64,
    /// The version of the value, if answers tell it.
    version: Option<i64>,
}

impl Cell {
    pub fn with_cas() -> Cell {
        Cell { has_cas: true, ..Cell::default() }
    }

    fn fresh(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> Value {
        self.used += 1;
        json!(if knobs.unique { self.used } else { rng.random_range(0..knobs.values) })
    }

    /// A value that may have been written.
    fn some(&self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> Value {
        match rng.random_range(0..if knobs.unique { self.used + 2 } else { knobs.values }) {
            0 => Value::Null,
            value => json!(value),
        }
    }
}

impl Object for Cell {
    fn call(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs) -> (&'static str, Value) {
        match rng.random_range(0..3) {
            0 => ("read", Value::Null),
            1 if self.has_cas && rng.random_ratio(3, 4) => {
                let old = if rng.random_ratio(2, 3) { self.value.clone() } else { self.some(rng, knobs) };
                ("cas", json!([old, self.fresh(rng, knobs)]))
            }
            _ => ("write", self.fresh(rng, knobs)),
        }
    }

    fn apply(&mut self, _: &mut ChaCha8Rng, f: &str, argument: &Value) -> Option<Answer> {
        match f {
            "read" => return Some(Answer { value: self.value.clone(), version: self.version }),
            "cas" if argument[0] != self.value => return None,
            "cas" => self.value = argument[1].clone(),
            _ => self.value = argument.clone(),
        }
        self.version = self.version.map(|version| version + 1);
        Some(Answer { value: argument.clone(), version: self.version })
    }

    fn lie(&mut self, rng: &mut ChaCha8Rng, knobs: &Knobs, f: &str, argument: &Value) -> Answer {
        let value = if f == "read" { self.some(rng, knobs) } else { argument.clone() };
        Answer { value, version: self.version.map(|version| version + rng.random_range(-1..=1)) }
    }
}

#[test]
fn register() {
    fuzz(&Register::default(), |_| Cell::default());
}

#[test]
fn cas_register() {
    fuzz(&CasRegister::default(), |_| Cell { has_cas: true, ..Cell::default() });
}

#[test]
fn cas_register_whose_failures_tell() {
    let rules = RegisterRules { failed_cas: FailedCas::FoundAnother, ..RegisterRules::default() };
    fuzz(&CasRegister { rules }, |_| Cell { has_cas: true, ..Cell::default() });
}

#[test]
fn cas_register_with_another_beginning() {
    let rules = RegisterRules { initial: json!(1), null_reads: NullReads::TellNothing, ..RegisterRules::default() };
    fuzz(&CasRegister { rules }, |_| Cell { has_cas: true, value: json!(1), ..Cell::default() });
}

#[test]
fn cas_register_with_versions() {
    fuzz(&CasRegister::default(), |_| Cell { has_cas: true, version: Some(0), ..Cell::default() });
}
