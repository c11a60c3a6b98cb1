//! By what an answer is told from another.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::session::Answer;

/// Something that an answer can have: all that is said here.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sign {
    /// The status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Where the body is looked at, as a JSON pointer; all of it if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// What is there: a value of JSON, or the same as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
}

impl Sign {
    /// Whether that answer has it.
    pub(super) fn is_on(&self, answer: &Answer) -> bool {
        let status = self.status.is_none_or(|status| answer.status == status);
        status && self.is.as_ref().is_none_or(|is| found(&answer.body, &self.pointer).is_some_and(|it| same(&it, is)))
    }

    /// Whether it makes sense.
    pub(super) fn check(&self) -> Result<(), String> {
        if self.status.is_none() && self.is.is_none() {
            return Err("a sign of an answer is a `status`, what its body `is`, or both".to_owned());
        }
        check_pointer(&self.pointer)
    }
}

/// Whether a text can point to something.
pub(in crate::client) fn check_pointer(pointer: &str) -> Result<(), String> {
    match pointer.is_empty() || pointer.starts_with('/') {
        true => Ok(()),
        false => Err(format!("`{pointer}` is no JSON pointer: one looks like `/data/value`, and the whole is ``")),
    }
}

/// What a body has there, if it has anything there. All of it may be a text that is no JSON.
pub(in crate::client) fn found(body: &[u8], pointer: &str) -> Option<Value> {
    let parsed: Option<Value> = serde_json::from_slice(body).ok();
    match (pointer, parsed) {
        ("", None) => Some(Value::String(String::from_utf8_lossy(body).into_owned())),
        ("", Some(value)) => Some(value),
        (pointer, parsed) => parsed?.pointer(pointer).cloned(),
    }
}

/// Whether two values are the same, or the texts of both.
pub(in crate::client) fn same(one: &Value, other: &Value) -> bool {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    one == other || text(one) == text(other)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_is_told_by_its_status_and_by_what_is_somewhere_in_its_body() {
        let sign = |status, pointer: &str, is| Sign { status, pointer: pointer.to_owned(), is };
        let table = [
            (sign(Some(404), "", None), 404, "", true),
            (sign(Some(404), "", None), 200, "", false),
            (sign(None, "", Some(json!("true"))), 200, "true", true),
            (sign(None, "", Some(json!(true))), 200, "true", true),
            (sign(None, "", Some(json!("not here"))), 500, "not here", true),
            (sign(Some(500), "", Some(json!("not here"))), 503, "not here", false),
            (sign(None, "/a/0", Some(json!(7))), 200, r#"{"a":[7]}"#, true),
            (sign(None, "/a/0", Some(json!("7"))), 200, r#"{"a":[7]}"#, true),
            (sign(None, "/a/1", Some(json!(7))), 200, r#"{"a":[7]}"#, false),
            (sign(None, "/a", Some(json!(7))), 200, "no JSON", false),
        ];
        for (sign, status, body, expected) in table {
            let answer = Answer { status, body: body.as_bytes().to_vec() };
            assert_eq!(sign.is_on(&answer), expected, "{sign:?} on {status} {body}");
        }
    }

    #[test]
    fn what_tells_nothing_is_no_sign() {
        assert!(Sign::default().check().is_err());
        let lost = Sign { pointer: "state".to_owned(), is: Some(json!(1)), ..Sign::default() };
        assert!(lost.check().is_err_and(|error| error.contains("`state` is no JSON pointer")));
    }
}
