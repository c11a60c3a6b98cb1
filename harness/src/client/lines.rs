//! The lines between the harness and a client, and how one is read.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use grudge_workloads::client::{Peer, Target};
use grudge_workloads::operation::{Invocation, Outcome};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};

/// The longest line: a set with a million elements fits.
const LONGEST: u64 = 16 << 20;

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Request {
    Start(Start),
    Open,
    Invoke { f: String, key: Option<String>, value: Value },
    Close,
}

/// Whom a client works for, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Start {
    pub worker: usize,
    pub workload: String,
    pub node: String,
    pub address: SocketAddr,
    pub cluster: Vec<Peer>,
    pub timeout_ms: u64,
    pub ttl_ms: u64,
}

impl Start {
    pub(super) fn new(worker: usize, workload: &str, target: &Target) -> Start {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Start {
            worker,
            workload: workload.to_owned(),
            node: target.node.clone(),
            address: target.address,
            cluster: target.cluster.to_vec(),
            timeout_ms: milliseconds(target.timeout),
            ttl_ms: milliseconds(target.ttl),
        }
    }

    pub(super) fn target(self) -> Target {
        Target {
            node: self.node,
            address: self.address,
            cluster: Arc::from(self.cluster),
            timeout: Duration::from_millis(self.timeout_ms),
            ttl: Duration::from_millis(self.ttl_ms),
        }
    }
}

/// What a client answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub(super) enum Answer {
    Ok {
        #[serde(default)]
        value: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<i64>,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over: bool,
    },
    Fail {
        error: String,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        over: bool,
    },
    Info {
        error: String,
    },
}

impl Answer {
    /// It is done, and there is nothing to say of it.
    pub(super) const DONE: Answer = Answer::Ok { value: Value::Null, version: None, over: false };

    pub(super) fn new(outcome: Outcome, over: bool) -> Answer {
        match outcome {
            Outcome::Ok { value, version } => Answer::Ok { value, version, over },
            Outcome::Fail { error } => Answer::Fail { error, over },
            Outcome::Info { error } => Answer::Info { error },
        }
    }

    /// The outcome of that call, and whether the client makes no more of them. Who is done and has nothing to say of it
    /// has done what was asked for.
    pub(super) fn outcome_of(self, call: &Invocation) -> (Outcome, bool) {
        match self {
            Answer::Ok { value: Value::Null, version, over } => {
                (Outcome::Ok { value: call.value.clone(), version }, over)
            }
            Answer::Ok { value, version, over } => (Outcome::Ok { value, version }, over),
            Answer::Fail { error, over } => (Outcome::Fail { error }, over),
            Answer::Info { error } => (Outcome::Info { error }, true),
        }
    }
}

/// A line that says so.
pub(crate) fn written(line: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// The next line, if there is one. What is no line of these, or too long, is [`io::ErrorKind::InvalidData`].
pub(crate) async fn next<T: for<'a> Deserialize<'a>>(from: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<T>> {
    let mut line = Vec::new();
    let read = from.take(LONGEST).read_until(b'\n', &mut line).await?;
    let garbage = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line).map(Some).map_err(|error| {
            let start = String::from_utf8_lossy(&line[..line.len().min(200)]).trim_end().to_owned();
            garbage(format!("`{start}` is no line that was agreed on: {error}"))
        }),
        Some(_) if read as u64 == LONGEST => Err(garbage(format!("a line is longer than {} MiB", LONGEST >> 20))),
        Some(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read<T: for<'a> Deserialize<'a>>(line: &Value) -> T {
        serde_json::from_value(line.clone()).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    #[test]
    fn a_call_is_told_as_the_history_has_it() {
        let call = Request::Invoke { f: "cas".to_owned(), key: Some("0".to_owned()), value: json!([1, 2]) };
        let line = json!({ "type": "invoke", "f": "cas", "key": "0", "value": [1, 2] });
        assert_eq!(serde_json::to_value(&call).expect("it can be said"), line);
        assert_eq!(read::<Request>(&line), call);
        assert_eq!(serde_json::to_value(Request::Open).expect("it can be said"), json!({ "type": "open" }));
    }

    #[test]
    fn an_answer_may_leave_out_what_it_has_nothing_to_say_of() {
        assert_eq!(read::<Answer>(&json!({ "type": "ok" })), Answer::DONE);
        let write = Invocation::new("write").with(7);
        let table = [
            (json!({ "type": "fail", "error": "lost", "over": true }), (Outcome::fail("lost"), true)),
            (json!({ "type": "info", "error": "timeout" }), (Outcome::info("timeout"), true)),
            (json!({ "type": "ok" }), (Outcome::ok(7, None), false)),
            (json!({ "type": "ok", "value": 8, "version": 1 }), (Outcome::ok(8, Some(1)), false)),
        ];
        for (line, outcome) in table {
            assert_eq!(read::<Answer>(&line).outcome_of(&write), outcome, "{line}");
        }
    }

    #[tokio::test]
    async fn what_is_no_line_is_an_error_and_half_a_line_is_none() {
        let mut input: &[u8] = b"{\"type\":\"open\"}\nhello\n{\"type\":\"clo";
        assert_eq!(next::<Request>(&mut input).await.expect("a line"), Some(Request::Open));
        let error = next::<Request>(&mut input).await.expect_err("no line that was agreed on");
        assert!(error.to_string().starts_with("`hello` is no line that was agreed on"), "{error}");
        assert_eq!(next::<Request>(&mut input).await.expect("the end"), None);
        let long = vec![b'x'; usize::try_from(LONGEST).expect("it fits") + 1];
        let error = next::<Request>(&mut long.as_slice()).await.expect_err("it has no end");
        assert!(error.to_string().contains("longer than 16 MiB"), "{error}");
    }
}
