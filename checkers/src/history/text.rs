//! Fields out of text, into memory that is there already. Nearly all of a long history are small numbers and names that
//! come again and again: these are read from their bytes, and whatever is not so simple goes the long way.

use serde_json::Value;

use super::{Kind, Process};

/// A natural number that is written with up to 19 digits and nothing else.
pub(super) fn natural(text: &str) -> Option<u64> {
    let digits = text.as_bytes();
    if digits.is_empty() || digits.len() > 19 {
        return None;
    }
    digits.iter().try_fold(0, |number, digit| {
        let digit = digit.wrapping_sub(b'0');
        (digit < 10).then(|| number * 10 + u64::from(digit))
    })
}

pub(super) fn process(text: &str) -> Result<Process, String> {
    natural(text).map(Process::Client).map_or_else(|| text.parse(), Ok)
}

pub(super) fn kind(text: &str) -> Result<Kind, String> {
    match text {
        "invoke" => Ok(Kind::Invoke),
        "ok" => Ok(Kind::Ok),
        "fail" => Ok(Kind::Fail),
        "info" => Ok(Kind::Info),
        _ => Err(format!("expected invoke, ok, fail or info, found `{text}`")),
    }
}

pub(super) fn refill(place: &mut String, text: &str) {
    if place != text {
        place.clear();
        place.push_str(text);
    }
}

/// An empty text is no text.
pub(super) fn refill_optional(place: &mut Option<String>, text: &str) {
    match place {
        _ if text.is_empty() => *place = None,
        Some(place) => refill(place, text),
        None => *place = Some(text.to_owned()),
    }
}

/// JSON, or a bare word as other tools write it. What opens like JSON and is none was damaged.
pub(super) fn refill_value(place: &mut Value, text: &str) -> Result<(), String> {
    if let Some(simple) = simple_string(text) {
        match place {
            Value::String(place) => refill(place, simple),
            _ => *place = Value::String(simple.to_owned()),
        }
        return Ok(());
    }
    *place = match simple_value(text) {
        Some(value) => value,
        None => long_value(text)?,
    };
    Ok(())
}

/// `null` and natural numbers. A number that begins with 0 is none in JSON.
fn simple_value(text: &str) -> Option<Value> {
    match text.as_bytes() {
        b"" | b"null" => Some(Value::Null),
        b"0" => Some(Value::from(0)),
        [b'1'..=b'9', ..] => natural(text).map(Value::from),
        _ => None,
    }
}

/// What is between the quotes, if it stands for itself: no escapes in it, no quotes and no control characters.
fn simple_string(text: &str) -> Option<&str> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    let stands_for_itself = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
    inside.bytes().all(stands_for_itself).then_some(inside)
}

fn long_value(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        Err(error) if text.trim_start().starts_with(['[', '{', '"']) => {
            Err(format!("the value is no JSON: {error} of the field"))
        }
        Err(_) => Ok(Value::String(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The short way and the long one say the same, whatever was there before.
    #[test]
    fn simple_values_are_those_of_json() {
        let texts = [
            "0",
            "7",
            "10",
            "007",
            "-0",
            "-7",
            "+7",
            "1.5",
            "1e3",
            "9999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "null",
            "nil",
            "true",
            "\"\"",
            "\"x 9 0 y\"",
            "\"a\\nb\"",
            "\"a\"b\"",
            "\"",
            "[1,2]",
            "[1,",
            "{\"a\":1}",
            " ",
            "",
            " 7",
            "7 ",
            "é",
            "\"é\"",
            "\"a\tb\"",
            "word",
        ];
        for text in texts {
            for mut place in [Value::Null, Value::from("before"), Value::from(3)] {
                let said = refill_value(&mut place, text);
                let expected = long_value(text);
                assert_eq!(said.map(|()| place), expected, "of {text:?}");
            }
        }
    }

    #[test]
    fn only_digits_are_natural() {
        for (text, number) in [("0", Some(0)), ("0042", Some(42)), ("", None), ("-1", None), ("4x", None), ("１", None)]
        {
            assert_eq!(natural(text), number, "{text:?}");
        }
        assert_eq!(natural("9999999999999999999"), Some(9_999_999_999_999_999_999));
        assert_eq!(natural("10000000000000000000"), None, "20 digits go the long way");
    }
}
