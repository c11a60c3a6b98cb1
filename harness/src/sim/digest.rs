//! A run in one number.

use anyhow::Result;
use crc32fast::Hasher;
use grudge_checkers::history::{Event, History};

use crate::nemesis::Schedule;

/// The digest of everything that the files of a history and a schedule say. Their text would cost more than the run.
pub(super) fn of(history: &History, schedule: &Schedule) -> Result<u32> {
    let mut hasher = Hasher::new();
    let mut text = Vec::new();
    for event in &history.events {
        row(event, &mut text)?;
        hasher.update(&text);
    }
    hasher.update(toml::to_string(schedule)?.as_bytes());
    Ok(hasher.finalize())
}

/// An event as bytes: no two have the same.
fn row(event: &Event, text: &mut Vec<u8>) -> Result<()> {
    text.clear();
    text.extend(event.time.to_be_bytes());
    text.extend(event.process.to_string().as_bytes());
    let words = [Some(event.kind.name()), Some(event.f.as_str())];
    let marks = [event.key.as_deref(), event.node.as_deref(), event.error.as_deref()];
    for word in words.into_iter().chain(marks) {
        // A zero byte is in no word, so absent and empty differ, and so do two words and one.
        text.extend(word.map_or([0, 0], |_| [0, 1]));
        text.extend(word.unwrap_or_default().as_bytes());
    }
    text.push(0);
    text.extend(event.version.map_or([0; 9], |version| {
        let mut bytes = [1; 9];
        bytes[1..].copy_from_slice(&version.to_be_bytes());
        bytes
    }));
    serde_json::to_writer(text, &event.value)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use grudge_checkers::history::{Kind, Process};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn whatever_differs_in_an_event_differs_in_the_digest() {
        let event = Event {
            index: 0,
            time: 7,
            process: Process::Client(3),
            kind: Kind::Ok,
            f: "read".to_owned(),
            key: None,
            value: Value::Null,
            node: Some("n1".to_owned()),
            error: None,
            version: None,
            extra: Vec::new(),
        };
        let events = [
            event.clone(),
            Event { time: 8, ..event.clone() },
            Event { process: Process::Nemesis, ..event.clone() },
            Event { kind: Kind::Fail, ..event.clone() },
            Event { f: "reads".to_owned(), ..event.clone() },
            Event { key: Some(String::new()), ..event.clone() },
            Event { key: Some("n1".to_owned()), node: None, ..event.clone() },
            Event { value: json!(0), ..event.clone() },
            Event { error: Some("timeout".to_owned()), ..event.clone() },
            Event { version: Some(0), ..event },
        ];
        let digests = events
            .map(|event| of(&History { events: vec![event] }, &Schedule::default()).expect("an event is expressible"));
        for (i, digest) in digests.iter().enumerate() {
            assert!(!digests[..i].contains(digest), "event {i} has the digest of another");
        }
    }
}
