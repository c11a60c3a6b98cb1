//! Strings that are put, appended to and got: the key-value store of many a lab. A key that was never put is the empty string.
//!
//! | `f` | `value` of the call | `value` when `ok` |
//! |---|---|---|
//! | `get` | | what was found; `null` is the empty string |
//! | `put` | what is there now | |
//! | `append` | what was added at the end | |

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde_json::Value;

use super::{Data, Meaning, Model, Needs, unknown_f};
use crate::history::{Operation, Outcome};

/// A string that is put, appended to and got.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kv;

/// What happens to a string.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum KvOp {
    /// This was found.
    Get(Text),
    /// This is there now.
    Put(Text),
    /// This was added at the end.
    Append(Text),
}

/// A string that is cheap to clone, and to tell from others.
#[derive(Clone, Debug)]
pub struct Text {
    text: Arc<str>,
    /// Of the whole text; grows with what is appended.
    hash: u64,
}

impl Text {
    fn new(text: &str) -> Self {
        Text { text: text.into(), hash: extend(0, text) }
    }

    fn append(&self, more: &Text) -> Text {
        Text { text: [&*self.text, &*more.text].concat().into(), hash: extend(self.hash, &more.text) }
    }
}

/// A polynomial in an odd number: that of a text is made from that of its beginning and the rest.
fn extend(hash: u64, more: &str) -> u64 {
    const ODD: u64 = 0x9E37_79B9_7F4A_7C15;
    more.bytes().fold(hash, |hash, byte| hash.wrapping_mul(ODD).wrapping_add(u64::from(byte) + 1))
}

impl PartialEq for Text {
    fn eq(&self, other: &Text) -> bool {
        self.hash == other.hash && self.text == other.text
    }
}

impl Eq for Text {}

impl Hash for Text {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Model for Kv {
    type State = Text;
    type Op = KvOp;

    fn name(&self) -> &'static str {
        "kv"
    }

    fn init(&self, _: &mut Data) -> Text {
        Text::new("")
    }

    fn read(&self, operation: &Operation<'_>, _: &mut Data) -> Result<Meaning<KvOp>, String> {
        let op: fn(Text) -> KvOp = match operation.f() {
            "get" => KvOp::Get,
            "put" => KvOp::Put,
            "append" => KvOp::Append,
            f => return Err(unknown_f(f, "`get`, `put` or `append`")),
        };
        let is_get = operation.f() == "get";
        Ok(match (operation.outcome(), operation.completion) {
            (Outcome::Fail, _) => Meaning::Never,
            (Outcome::Ok, Some(completion)) if is_get => Meaning::Must(op(text(&completion.value, "get")?)),
            // A get whose answer was lost changed nothing and tells nothing.
            _ if is_get => Meaning::Never,
            (Outcome::Ok, _) => Meaning::Must(op(text(&operation.invoke.value, operation.f())?)),
            (Outcome::Info, _) => Meaning::May(op(text(&operation.invoke.value, operation.f())?)),
        })
    }

    fn step(&self, state: &Text, op: &KvOp) -> Option<Text> {
        match op {
            KvOp::Get(found) => (state == found).then(|| state.clone()),
            KvOp::Put(text) => Some(text.clone()),
            KvOp::Append(more) => Some(state.append(more)),
        }
    }

    fn is_pure(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Get(_))
    }

    fn overwrites(&self, op: &KvOp) -> bool {
        matches!(op, KvOp::Put(_))
    }

    fn heap_bytes(&self, state: &Text) -> usize {
        state.text.len()
    }

    /// Whatever a get found is made of the texts that were put and appended, each as it was. One whose text is no part of
    /// it was not there, and is not missed.
    fn needs(&self) -> Needs<KvOp> {
        Needs::These(|op, on| match (op, on) {
            (KvOp::Get(found), KvOp::Put(text) | KvOp::Append(text)) => found.text.contains(&*text.text),
            _ => false,
        })
    }

    fn show_op(&self, op: &KvOp, _: &Data) -> String {
        match op {
            KvOp::Get(found) => format!("got {:?}", found.text),
            KvOp::Put(text) => format!("put {:?}", text.text),
            KvOp::Append(more) => format!("appended {:?}", more.text),
        }
    }

    fn show(&self, state: &Text, _: &Data) -> String {
        format!("the text is {:?}", state.text)
    }
}

fn text(value: &Value, f: &str) -> Result<Text, String> {
    match value {
        Value::Null => Ok(Text::new("")),
        Value::String(text) => Ok(Text::new(text)),
        other => Err(format!("expected a string as the value of a {f}, found `{other}`")),
    }
}
