//! Messages, records and members as one dense line each.

use bytes::Bytes;

use crate::raft::{Body, Effect, Entry, Message, Outcome, Position, Raft, Record};
use crate::replica::Event;

pub(super) fn effect(effect: &Effect) -> Option<String> {
    Some(match effect {
        Effect::Event(Event::Leading { epoch }) => format!("leads term {epoch}"),
        Effect::Event(Event::Following { epoch, leader }) => format!("follows {leader} in term {epoch}"),
        Effect::Event(Event::Looking) => "knows no leader".to_owned(),
        Effect::Event(event) => format!("reports {event:?}"),
        Effect::Apply(entry) => format!("applies {}", self::entry(entry)),
        Effect::Restore(snapshot) => format!("restores {}", position(snapshot.last)),
        Effect::ReadReady { id, index } => format!("may serve read {} once {index} is applied", id.seq),
        Effect::Persist(records) => format!("writes {}", list(records, record)),
        Effect::Rewrite(records) => format!("rewrites {}", list(records, record)),
        Effect::Send { .. } | Effect::LeaderChanged => return None,
    })
}

pub(super) fn message(message: &Message) -> String {
    let body = match &message.body {
        Body::PreVote { last } => format!("pre-vote, log ends {}", position(*last)),
        Body::PreVoteReply { granted } => format!("pre-vote {}", yes(*granted)),
        Body::Vote { last } => format!("vote, log ends {}", position(*last)),
        Body::VoteReply { granted } => format!("vote {}", yes(*granted)),
        Body::Append { prev, entries, commit, round } => {
            format!("append after {} {} commit {commit} round {round}", position(*prev), list(entries, entry))
        }
        Body::Install { snapshot, round } => format!("install {} round {round}", position(snapshot.last)),
        Body::AppendReply { outcome: Outcome::Accepted { matched }, round } => {
            format!("accepted {matched} round {round}")
        }
        Body::AppendReply { outcome: Outcome::Rejected { at, hint }, round } => {
            format!("rejected {at}, try {} round {round}", position(*hint))
        }
        Body::Propose { data } => format!("propose {}", text(data)),
        Body::ReadIndex { id } => format!("read {}", id.seq),
        Body::ReadIndexReply { id, index } => format!("read {} at {index}", id.seq),
    };
    format!("t{} {body}", message.term)
}

/// A member's state: role, term, vote, leader, and its log with the committed part in front of the bar.
pub(super) fn member(raft: &Raft) -> String {
    let entries = |from: u64, to: u64| -> String {
        (from..=to).filter_map(|index| raft.log().entry(index)).map(|e| format!(" {}", entry(e))).collect()
    };
    let (base, last) = (raft.log().base().index, raft.log().last().index);
    format!(
        "{} {} t{} vote {} leader {} log{}{} |{}",
        raft.id(),
        raft.role(),
        raft.term(),
        raft.vote.map_or_else(|| "-".to_owned(), |vote| vote.to_string()),
        raft.leader().map_or_else(|| "-".to_owned(), |leader| leader.to_string()),
        if base > 0 { format!(" [..{base}]") } else { String::new() },
        entries(base + 1, raft.commit()),
        entries(raft.commit() + 1, last),
    )
}

fn record(record: &Record) -> String {
    match record {
        Record::Life(life) => format!("life {life}"),
        Record::HardState { term, vote: None } => format!("t{term}"),
        Record::HardState { term, vote: Some(vote) } => format!("t{term} vote {vote}"),
        Record::Entry(entry) => self::entry(entry),
        Record::Snapshot(snapshot) => format!("snapshot {}", position(snapshot.last)),
    }
}

fn entry(entry: &Entry) -> String {
    if entry.data.is_empty() { position(entry.at) } else { format!("{}:{}", position(entry.at), text(&entry.data)) }
}

fn position(at: Position) -> String {
    format!("{}@{}", at.index, at.term)
}

fn text(data: &Bytes) -> String {
    String::from_utf8_lossy(data).into_owned()
}

fn list<T>(items: &[T], show: impl Fn(&T) -> String) -> String {
    format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", "))
}

fn yes(granted: bool) -> &'static str {
    if granted { "yes" } else { "no" }
}
