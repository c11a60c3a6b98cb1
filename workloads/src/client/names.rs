//! What the names below one directory say: elements, and halves of pairs.

use serde_json::{Value, json};

/// The elements, in order. A name that is no number, which nobody has made, is kept as it is.
pub(super) fn numbers(names: impl IntoIterator<Item = String>) -> Value {
    let (mut numbers, mut others) = (Vec::new(), Vec::new());
    for name in names {
        match name.parse::<u64>() {
            Ok(number) => numbers.push(number),
            Err(_) => others.push(name),
        }
    }
    numbers.sort_unstable();
    numbers.into_iter().map(Value::from).chain(others.into_iter().map(Value::from)).collect()
}

/// The first and the second halves of pairs. A name that is neither counts as a first half.
pub(super) fn halves(names: impl IntoIterator<Item = String>) -> Value {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for name in names {
        match name.strip_suffix("-b") {
            Some(pair) => second.push(pair.to_owned()),
            None => first.push(name.strip_suffix("-a").map_or_else(|| name.clone(), str::to_owned)),
        }
    }
    json!([numbers(first), numbers(second)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_come_in_order_and_strangers_last() {
        assert_eq!(numbers(names(&["10", "x", "9"])), json!([9, 10, "x"]));
        assert_eq!(numbers(names(&[])), json!([]));
    }

    #[test]
    fn halves_are_told_apart() {
        assert_eq!(halves(names(&["10-b", "9-a", "10-a", "9-b"])), json!([[9, 10], [9, 10]]));
        assert_eq!(halves(names(&["7-b", "x"])), json!([["x"], [7]]));
    }
}
