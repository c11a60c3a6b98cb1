//! Values made small: equal values get equal numbers.

use rustc_hash::FxHashMap;
use serde_json::Value;

/// A value of the history, as a number that is good for comparing and hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datum(u32);

/// The values behind the numbers, for the operations of one key.
#[derive(Debug, Default)]
pub struct Data {
    texts: Vec<String>,
    /// Natural numbers by themselves: most values are, and they need no text to be looked up.
    naturals: FxHashMap<u64, Datum>,
    others: FxHashMap<String, Datum>,
}

impl Data {
    /// The number of this value. Two values are equal if their JSON is, with the members of objects in their order.
    ///
    /// # Panics
    /// After four milliard values.
    pub fn intern(&mut self, value: &Value) -> Datum {
        let next = Datum(u32::try_from(self.texts.len()).expect("a history has fewer than 2^32 values"));
        if let Some(natural) = value.as_u64() {
            return *self.naturals.entry(natural).or_insert_with(|| {
                self.texts.push(natural.to_string());
                next
            });
        }
        let text = value.to_string();
        if let Some(datum) = self.others.get(&text) {
            return *datum;
        }
        self.texts.push(text.clone());
        self.others.insert(text, next);
        next
    }

    /// The value as JSON.
    #[must_use]
    pub fn text(&self, datum: Datum) -> &str {
        &self.texts[datum.0 as usize]
    }
}
