//! Values made small: equal values get equal numbers.

use std::borrow::Cow;

use rustc_hash::FxHashMap;
use serde_json::Value;

/// A value of the history, as a number that is good for comparing and hashing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Datum(u32);

impl Datum {
    /// The number: counted up from 0 as values come.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// The values behind the numbers, for the operations of one key.
///
/// Most values are natural numbers and many of these are counters: a natural number that is not far above the count of those
/// seen is looked up in a table, others are hashed, and what is no natural number is hashed as text.
#[derive(Debug, Default)]
pub struct Data {
    values: Vec<Known>,
    /// By natural number the datum, or [`Data::UNKNOWN`].
    dense: Vec<u32>,
    sparse: FxHashMap<u64, Datum>,
    texts: FxHashMap<Box<str>, Datum>,
}

#[derive(Debug)]
enum Known {
    Natural(u64),
    Other(Box<str>),
}

impl Data {
    const UNKNOWN: u32 = u32::MAX;

    /// The number of this value. Two values are equal if their JSON is, with the members of objects in their order.
    ///
    /// # Panics
    /// After four milliard values.
    pub fn intern(&mut self, value: &Value) -> Datum {
        match value.as_u64() {
            Some(natural) => self.natural(natural),
            None => self.other(value.to_string()),
        }
    }

    /// How many values there are.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "nobody asks")]
    pub fn len(&self) -> usize {
        self.values.len()
    }

    /// The value as JSON.
    #[must_use]
    pub fn text(&self, datum: Datum) -> Cow<'_, str> {
        match &self.values[datum.index()] {
            Known::Natural(natural) => Cow::Owned(natural.to_string()),
            Known::Other(text) => Cow::Borrowed(text),
        }
    }

    fn natural(&mut self, natural: u64) -> Datum {
        let place = usize::try_from(natural).unwrap_or(usize::MAX);
        if let Some(&known) = self.dense.get(place).filter(|known| **known != Data::UNKNOWN) {
            return Datum(known);
        }
        let near = 64 + 4 * self.values.len();
        if place >= near
            && let Some(known) = self.sparse.get(&natural)
        {
            return *known;
        }
        // One that was far when it came and is near now is still where it was put.
        if !self.sparse.is_empty()
            && let Some(known) = self.sparse.get(&natural)
        {
            return *known;
        }
        let next = self.add(Known::Natural(natural));
        if place < near {
            if place >= self.dense.len() {
                self.dense.resize(place + 1, Data::UNKNOWN);
            }
            self.dense[place] = next.0;
        } else {
            self.sparse.insert(natural, next);
        }
        next
    }

    fn other(&mut self, text: String) -> Datum {
        if let Some(datum) = self.texts.get(text.as_str()) {
            return *datum;
        }
        let next = self.add(Known::Other(text.as_str().into()));
        self.texts.insert(text.into(), next);
        next
    }

    fn add(&mut self, value: Known) -> Datum {
        let next = u32::try_from(self.values.len()).ok().filter(|next| *next != Data::UNKNOWN);
        self.values.push(value);
        Datum(next.expect("a history has fewer than 2^32 values"))
    }
}
