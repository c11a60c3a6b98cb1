//! What each error means for the operation: the one place where definite and unknown are decided.
//!
//! `fail` is claimed only where it is certain that the operation did not happen and will not:
//! - the connection had ended before the request;
//! - the server answered with a refusal that it makes before it changes anything: what it says of itself (a replica, still
//!   loading, without the replicas or the disk that it wants for a write), of the client's rights, or of the arguments. A
//!   script is refused at its first write.
//!
//! Everything else is unknown for a request that changes something. A request that changes nothing has certainly not
//! changed anything.

use redis::{ErrorKind, RedisError};

use crate::client::Effect;
pub(super) use crate::client::stop::Stop;

/// How the refusals begin that come before any change.
const REFUSALS: [&str; 11] = [
    "BUSY",
    "LOADING",
    "MASTERDOWN",
    "MISCONF",
    "NOAUTH",
    "NOPERM",
    "NOREPLICAS",
    "OOM",
    "READONLY",
    "WRONGTYPE",
    "NOSCRIPT",
];
/// What a replica says to a write: there is another master by now.
pub(super) const READ_ONLY: &str = "readonly";

/// What an error of the library means.
pub(super) fn meaning(effect: Effect, error: &RedisError) -> Stop {
    match (error.kind(), error.code()) {
        (_, Some(code)) if REFUSALS.contains(&code) => Stop::Refused(code.to_lowercase()),
        (_, Some(code)) => Stop::Doubt(effect, token(code)),
        (ErrorKind::Io, None) => Stop::Lost(effect),
        // Not what was asked for.
        (_, None) => Stop::Doubt(effect, "bad-reply".to_owned()),
    }
}

/// A code of the server's as a short token.
fn token(code: &str) -> String {
    let word: String = code.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
    if word.is_empty() { "error".to_owned() } else { word.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use redis::{Value, from_redis_value};

    use super::*;
    use crate::operation::Outcome;

    /// The error that a server's line is for the library.
    fn server(line: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{line}\r\n").as_bytes()).expect("an error is an answer");
        value.extract_error().expect_err(line)
    }

    #[test]
    fn a_refusal_is_definite_for_reads_and_writes() {
        let refusals = [
            ("READONLY You can't write against a read only replica.", "readonly"),
            ("LOADING Redis is loading the dataset in memory", "loading"),
            ("MASTERDOWN Link with MASTER is down", "masterdown"),
            ("MISCONF Errors writing to the AOF file: No space left on device", "misconf"),
            ("NOREPLICAS Not enough good replicas to write.", "noreplicas"),
            ("OOM command not allowed when used memory > 'maxmemory'.", "oom"),
            ("BUSY Redis is busy running a script.", "busy"),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", "wrongtype"),
        ];
        for (line, token) in refusals {
            for effect in [Effect::None, Effect::Write] {
                assert_eq!(Outcome::from(meaning(effect, &server(line))), Outcome::fail(token), "{line}");
            }
        }
    }

    #[test]
    fn doubt_is_unknown_for_writes_and_definite_for_reads() {
        let lost = RedisError::from(std::io::Error::from(std::io::ErrorKind::ConnectionReset));
        let strange = RedisError::from(from_redis_value::<i64>(Value::Okay).expect_err("it is no number"));
        let doubts = [
            (server("ERR Error running script"), "err"),
            (server("UNBLOCKED force unblock"), "unblocked"),
            (server("WHAT? is this"), "what"),
            (lost, "connection-lost"),
            (strange, "bad-reply"),
        ];
        for (error, token) in doubts {
            assert_eq!(Outcome::from(meaning(Effect::Write, &error)), Outcome::info(token), "{error}");
            assert_eq!(Outcome::from(meaning(Effect::None, &error)), Outcome::fail(token), "{error}");
        }
    }
}
