//! What each answer means for the operation: the one place where definite and unknown are decided.
//!
//! What the description says of an answer comes first: that there is no such register, that nobody knows, that it was
//! certainly not done, that it was done, in this order. Of what it says nothing:
//! - 2xx: it was done, unless the description says by what that is told;
//! - 4xx: it was certainly not done. Such an answer blames the request. 408 blames the time, and is no such answer;
//! - anything else is unknown for a request that changes something. A request that changes nothing has certainly not
//!   changed anything.

use super::api::Call;
use super::session::Answer;
use super::sign::Sign;
use crate::client::Effect;
use crate::client::stop::Stop;

/// What an answer says of an operation that succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// It was done.
    Done,
    /// There is no such register.
    Absent,
}

/// What this answer to that call means.
pub(super) fn meaning(call: &Call, effect: Effect, answer: &Answer) -> Result<Said, Stop> {
    let has = |signs: &[Sign]| signs.iter().any(|sign| sign.is_on(answer));
    let token = || format!("http-{}", answer.status);
    if has(&call.absent) {
        return Ok(Said::Absent);
    }
    if has(&call.unknown) {
        return Err(Stop::Doubt(effect, token()));
    }
    if has(&call.failed) {
        return Err(Stop::Refused(token()));
    }
    if has(&call.ok) {
        return Ok(Said::Done);
    }
    match answer.status {
        200..300 if call.ok.is_empty() => Ok(Said::Done),
        408 => Err(Stop::Doubt(effect, token())),
        400..500 => Err(Stop::Refused(token())),
        _ => Err(Stop::Doubt(effect, token())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::operation::Outcome;

    fn call(signs: &serde_json::Value) -> Call {
        let mut call = json!({ "request": "GET /{key}" });
        call.as_object_mut().expect("an object").extend(signs.as_object().expect("an object").clone());
        serde_json::from_value(call).expect("a call")
    }

    fn outcome(call: &Call, effect: Effect, status: u16, body: &str) -> Outcome {
        let answer = Answer { status, body: body.as_bytes().to_vec() };
        match meaning(call, effect, &answer) {
            Ok(Said::Done) => Outcome::ok("done", None),
            Ok(Said::Absent) => Outcome::ok("absent", None),
            Err(stop) => stop.into(),
        }
    }

    #[test]
    fn a_status_alone_is_done_refused_or_in_doubt() {
        let plain = call(&json!({}));
        for status in [200, 201, 204] {
            assert_eq!(outcome(&plain, Effect::Write, status, ""), Outcome::ok("done", None));
        }
        for status in [400, 404, 409, 429] {
            assert_eq!(outcome(&plain, Effect::Write, status, ""), Outcome::fail(format!("http-{status}")));
        }
        for status in [100, 302, 307, 408, 500, 502, 503, 504] {
            assert_eq!(outcome(&plain, Effect::Write, status, ""), Outcome::info(format!("http-{status}")));
            assert_eq!(outcome(&plain, Effect::None, status, ""), Outcome::fail(format!("http-{status}")));
        }
    }

    #[test]
    fn what_the_description_says_of_an_answer_comes_first() {
        let told = call(&json!({
            "ok": [{ "is": true }, { "status": 304 }],
            "failed": [{ "status": 503 }, { "status": 200, "is": "no leader" }],
            "unknown": [{ "status": 409 }],
            "absent": [{ "status": 404 }],
        }));
        let table = [
            (200, "true", Outcome::ok("done", None)),
            (304, "", Outcome::ok("done", None)),
            (200, "false", Outcome::info("http-200")),
            (200, "no leader", Outcome::fail("http-200")),
            (503, "", Outcome::fail("http-503")),
            (409, "true", Outcome::info("http-409")),
            (404, "", Outcome::ok("absent", None)),
            (400, "", Outcome::fail("http-400")),
            (500, "", Outcome::info("http-500")),
        ];
        for (status, body, expected) in table {
            assert_eq!(outcome(&told, Effect::Write, status, body), expected, "{status} {body}");
        }
    }
}
