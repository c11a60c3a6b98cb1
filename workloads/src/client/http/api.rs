//! The description of a register over HTTP.

use std::collections::BTreeMap;

use http::Request;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::line::{Fillings, Line, encoded, fill, fill_encoded};
use super::sign::{Sign, check_pointer};

/// How registers are read and written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Api {
    /// Reads the register `{key}`.
    pub read: Call,
    /// Lets the register `{key}` hold `{value}`.
    pub write: Call,
    /// Lets the register `{key}` hold `{new}` if it holds `{old}`, if the system has such a thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cas: Option<Call>,
}

/// A request with placeholders, and how its answer is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Call {
    /// Its method and its path.
    pub request: Line,
    /// Its headers, besides `host` and what a form needs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Its body as the fields of a form.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub form: BTreeMap<String, String>,
    /// Its body as a text.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub body: String,
    /// It was done if the answer has one of these, and is not known to be if it has none; a status 2xx if absent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ok: Vec<Sign>,
    /// It was certainly not done if the answer has one of these; besides them any other status 4xx but 408.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<Sign>,
    /// Nobody knows whether it was done if the answer has one of these; besides them whatever else there is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Sign>,
    /// Of a read: there is no such register if the answer has one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub absent: Vec<Sign>,
    /// Of a read: where the value is in the body, as a JSON pointer; it is all of it if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub value: String,
}

impl Api {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// One sentence about the first thing that does not.
    pub fn check(&self) -> Result<(), String> {
        let calls = [("read", Some(&self.read)), ("write", Some(&self.write)), ("cas", self.cas.as_ref())];
        for (name, call) in calls {
            let Some(call) = call else { continue };
            call.check(name).map_err(|error| format!("http.{name}: {error}"))?;
        }
        Ok(())
    }
}

impl Call {
    fn check(&self, name: &str) -> Result<(), String> {
        let needed: &[&str] = match name {
            "read" => &["{key}"],
            "write" => &["{key}", "{value}"],
            _ => &["{key}", "{old}", "{new}"],
        };
        let texts =
            || [&self.request.path, &self.body].into_iter().chain(self.form.values()).chain(self.headers.values());
        if let Some(missing) = needed.iter().find(|needed| !texts().any(|text| text.contains(**needed))) {
            return Err(format!("the request does not say `{missing}`"));
        }
        if !self.form.is_empty() && !self.body.is_empty() {
            return Err("a request has a `form` or a `body`, not both".to_owned());
        }
        if name != "read" && !(self.absent.is_empty() && self.value.is_empty()) {
            return Err("`absent` and `value` are for `read`".to_owned());
        }
        if let Some(name) = self.headers.keys().find(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
            return Err(format!("`{name}` is no name of a header"));
        }
        check_pointer(&self.value)?;
        [&self.ok, &self.failed, &self.unknown, &self.absent].into_iter().flatten().try_for_each(Sign::check)
    }

    /// The request with everything in the place of its placeholders; nothing if that makes no request.
    pub(super) fn filled(&self, host: &str, fillings: &Fillings<'_>) -> Option<Request<String>> {
        let mut request = Request::new(match self.form.is_empty() {
            true => fill(&self.body, fillings),
            false => form(&self.form, fillings),
        });
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = fill_encoded(&self.request.path, fillings).parse().ok()?;
        let headers = request.headers_mut();
        headers.insert(HOST, HeaderValue::from_str(host).ok()?);
        if !self.form.is_empty() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        }
        for (name, value) in &self.headers {
            let value = HeaderValue::from_str(&fill(value, fillings)).ok()?;
            headers.insert(HeaderName::from_bytes(name.as_bytes()).ok()?, value);
        }
        Some(request)
    }
}

/// The fields of a form as a body.
fn form(fields: &BTreeMap<String, String>, fillings: &Fillings<'_>) -> String {
    let field = |(name, value): (&String, &String)| format!("{}={}", encoded(name), encoded(&fill(value, fillings)));
    fields.iter().map(field).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn api(change: impl FnOnce(&mut serde_json::Value)) -> Result<(), String> {
        let mut described = json!({
            "read": { "request": "GET /kv/{key}", "absent": [{ "status": 404 }] },
            "write": { "request": "PUT /kv/{key}", "body": "{value}" },
            "cas": { "request": "POST /kv/{key}?was={old}", "form": { "to": "{new}" } },
        });
        change(&mut described);
        let api: Api = serde_json::from_value(described).map_err(|error| error.to_string())?;
        api.check()
    }

    #[test]
    fn a_description_that_makes_no_sense_is_one_sentence() {
        assert_eq!(api(|_| {}), Ok(()));
        assert_eq!(api(|api| api["cas"] = json!(null)), Ok(()));
        type Spoil = fn(&mut serde_json::Value);
        let table: [(Spoil, &str); 7] = [
            (|api| api["read"]["request"] = json!("GET /kv"), "http.read: the request does not say `{key}`"),
            (|api| api["write"]["body"] = json!("1"), "http.write: the request does not say `{value}`"),
            (|api| api["write"]["form"] = json!({ "a": "b" }), "http.write: a request has a `form` or a `body`"),
            (|api| api["write"]["value"] = json!("/v"), "http.write: `absent` and `value` are for `read`"),
            (|api| api["write"]["headers"] = json!({ "a b": "c" }), "http.write: `a b` is no name of a header"),
            (|api| api["cas"]["failed"] = json!([{}]), "http.cas: a sign of an answer is"),
            (|api| api["cas"]["request"] = json!("now"), "`now` is no request"),
        ];
        for (spoil, sentence) in table {
            let error = api(spoil).expect_err(sentence);
            assert!(error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_request_is_filled_once_and_encoded_where_it_must_be() {
        let call: Call = serde_json::from_value(json!({
            "request": "POST /kv/{key}",
            "headers": { "x-of": "{key}" },
            "form": { "content": "{value}&{key}", "group": "a b" },
        }))
        .expect("a call");
        let fillings = [("{key}", "k1".to_owned()), ("{value}", "7".to_owned())];
        let request = call.filled("10.42.0.1:80", &fillings).expect("a request");
        assert_eq!((request.method().as_str(), request.uri().to_string().as_str()), ("POST", "/kv/k1"));
        assert_eq!(request.body(), "content=7%26k1&group=a%20b");
        assert_eq!(request.headers()["x-of"], "k1");
        assert_eq!(request.headers()["host"], "10.42.0.1:80");
        assert_eq!(request.headers()["content-type"], "application/x-www-form-urlencoded");
    }
}
