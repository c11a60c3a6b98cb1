//! What the names below one directory say: elements, and halves of pairs.

use serde_json::{Value, json};

/// The elements of a set, in order. A name that is no number, which nobody has made, is kept as it is.
pub fn numbers(names: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    let (mut numbers, mut others) = (Vec::new(), Vec::new());
    for name in names {
        match name.as_ref().parse::<u64>() {
            Ok(number) => numbers.push(number),
            Err(_) => others.push(Value::from(name.as_ref())),
        }
    }
    numbers.sort_unstable();
    numbers.into_iter().map(Value::from).chain(others).collect()
}

/// The first and the second halves of pairs, `<value>-a` and `<value>-b`. A name that is neither counts as a first half.
pub fn halves(names: impl IntoIterator<Item = impl AsRef<str>>) -> Value {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    let names: Vec<_> = names.into_iter().collect();
    for name in names.iter().map(AsRef::as_ref) {
        match name.strip_suffix("-b") {
            Some(pair) => second.push(pair),
            None => first.push(name.strip_suffix("-a").unwrap_or(name)),
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
