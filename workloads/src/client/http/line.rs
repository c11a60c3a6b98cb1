//! The first line of a request, with placeholders.

use std::fmt;
use std::str::FromStr;

use http::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

/// What stays as it is in a path, a query or a form; all else that is put into one is percent-encoded.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A method and a path with its query: `GET /kv/{key}?raw=1`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Line {
    pub(super) method: Method,
    pub(super) path: String,
}

impl FromStr for Line {
    type Err = String;

    fn from_str(text: &str) -> Result<Line, String> {
        let wrong = || format!("`{text}` is no request: one looks like `GET /path/{{key}}`");
        let (method, path) = text.split_once(' ').ok_or_else(wrong)?;
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| wrong())?;
        let plain = path.starts_with('/') && path.chars().all(|c| c.is_ascii_graphic());
        if plain { Ok(Line { method, path: path.to_owned() }) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Line {
    type Error = String;

    fn try_from(text: String) -> Result<Line, String> {
        text.parse()
    }
}

impl From<Line> for String {
    fn from(line: Line) -> String {
        line.to_string()
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// What stands for each placeholder.
pub(super) type Fillings<'a> = [(&'a str, String)];

/// A text with everything in the place of its placeholders, as it is.
pub(super) fn fill(text: &str, fillings: &Fillings<'_>) -> String {
    fillings.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// The same for a path, a query or a form.
pub(super) fn fill_encoded(text: &str, fillings: &Fillings<'_>) -> String {
    fillings.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, &encoded(value)))
}

/// A text as a path, a query or a form has it.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_method_and_a_path() {
        let line: Line = "PUT /kv/{key}?raw=1".parse().expect("a request");
        assert_eq!((line.method.as_str(), line.path.as_str()), ("PUT", "/kv/{key}?raw=1"));
        assert_eq!(line.to_string(), "PUT /kv/{key}?raw=1");
        for wrong in ["", "GET", "GET kv", "/kv", "G ET /kv", "GET /k v", "GET /kv\n"] {
            let error = wrong.parse::<Line>().expect_err(wrong);
            assert!(error.contains("one looks like `GET /path/{key}`"), "{error}");
        }
    }

    #[test]
    fn what_is_put_into_a_path_is_encoded_and_what_is_put_into_a_body_is_not() {
        let fillings = [("{key}", "a/b".to_owned()), ("{value}", "[1, \"ä\"]".to_owned())];
        assert_eq!(fill_encoded("/kv/{key}?v={value}", &fillings), "/kv/a%2Fb?v=%5B1%2C%20%22%C3%A4%22%5D");
        assert_eq!(fill("{\"{key}\": {value}}", &fillings), "{\"a/b\": [1, \"ä\"]}");
    }
}
