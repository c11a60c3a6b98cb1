//! Histories that are built call by call, without a file.

use serde_json::Value;

use super::{Event, History, Kind, Process};

/// A call that was made and waits for its answer. Dropped, it never gets one.
#[derive(Debug)]
#[must_use = "a call is answered with `ok`, `fail` or `info`; if nobody answers, its outcome stays unknown"]
pub struct Call(usize);

/// The events happen in the order of these calls. Threads that call at the same time share the history behind a lock.
impl History {
    /// A process begins an operation: `history.call(0, "write", 7)`, or with `()` where there is no argument.
    pub fn call(&mut self, process: u64, f: &str, value: impl Into<Value>) -> Call {
        self.begin(process, f, None, value.into())
    }

    /// The same of one object of several.
    pub fn call_of(&mut self, key: &str, process: u64, f: &str, value: impl Into<Value>) -> Call {
        self.begin(process, f, Some(key.to_owned()), value.into())
    }

    /// It succeeded, and this was the answer.
    ///
    /// # Panics
    /// The call is not of this history.
    pub fn ok(&mut self, call: Call, value: impl Into<Value>) {
        self.end(&call, Kind::Ok, value.into());
    }

    /// It certainly did not happen.
    ///
    /// # Panics
    /// The call is not of this history.
    pub fn fail(&mut self, call: Call) {
        self.end(&call, Kind::Fail, Value::Null);
    }

    /// Nobody knows: it may have happened, or may yet. Its process should call no more.
    ///
    /// # Panics
    /// The call is not of this history.
    pub fn info(&mut self, call: Call) {
        self.end(&call, Kind::Info, Value::Null);
    }

    fn begin(&mut self, process: u64, f: &str, key: Option<String>, value: Value) -> Call {
        let position = self.events.len();
        let (index, time) = (position as u64, position as u64);
        let (process, kind, f) = (Process::Client(process), Kind::Invoke, f.to_owned());
        let (node, error, version, extra) = (None, None, None, Vec::new());
        self.events.push(Event { index, time, process, kind, f, key, value, node, error, version, extra });
        Call(position)
    }

    fn end(&mut self, call: &Call, kind: Kind, value: Value) {
        let position = self.events.len() as u64;
        let begun = self.events.get(call.0).expect("a call is answered in the history in which it was made");
        self.events.push(Event { index: position, time: position, kind, value, ..begun.clone() });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Outcome;

    #[test]
    fn calls_pair_with_their_answers() {
        let mut history = History::default();
        let write = history.call(0, "write", 7);
        let read = history.call_of("x", 1, "read", ());
        let lost = history.call(2, "write", 8);
        let failed = history.call(3, "write", 9);
        history.ok(read, 7);
        history.fail(failed);
        history.ok(write, ());
        history.info(lost);
        drop(history.call(0, "read", ()));
        history.check().expect("it keeps its promises");
        let operations = history.operations().expect("it pairs");
        let found: Vec<_> = operations.iter().map(|op| (op.call, op.ret, op.outcome(), op.key())).collect();
        let expected = [
            (0, Some(6), Outcome::Ok, None),
            (1, Some(4), Outcome::Ok, Some("x")),
            (2, Some(7), Outcome::Info, None),
            (3, Some(5), Outcome::Fail, None),
            (8, None, Outcome::Info, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(history.events[4].value, 7);
    }
}
