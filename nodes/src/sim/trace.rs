//! The last lines of a run, kept as values and written out only when somebody wants to read them.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::chaos::Crash;
use super::network::Cut;
use crate::replica::{ClientId, Event, NodeId, Replica, Time};

/// A message longer than this is cut in the trace, in characters.
const LONGEST: usize = 240;

pub(super) enum Line<R: Replica> {
    Tick,
    Message { from: NodeId, message: R::Message },
    Lost { to: NodeId },
    Request { client: ClientId, request: R::Request },
    Reply { client: ClientId, reply: R::Reply },
    Persisted(u64),
    Event(Event),
    Crashed(Crash),
    Started { life: u64, records: usize },
    Paused,
    Resumed,
    Cut(Vec<Cut>),
    Healed,
    SlowDisk(bool),
}

pub(super) struct Trace<R: Replica> {
    lines: VecDeque<(Time, Option<NodeId>, Line<R>)>,
    capacity: usize,
}

impl<R: Replica> Trace<R> {
    pub(super) fn new(capacity: usize) -> Self {
        Trace { lines: VecDeque::new(), capacity }
    }

    /// Notes what happened to a node, or to the network.
    pub(super) fn note(&mut self, now: Time, node: Option<NodeId>, line: Line<R>) {
        if self.lines.len() >= self.capacity {
            self.lines.pop_front();
        }
        self.lines.push_back((now, node, line));
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for (at, node, line) in &self.lines {
            let who = node.map_or_else(|| "net".to_owned(), |node| node.to_string());
            let mut said = line.text();
            if let Some((cut, _)) = said.char_indices().nth(LONGEST) {
                said.truncate(cut);
                said.push('…');
            }
            writeln!(text, "{:>12.6}s {who:<4} {said}", at.as_secs_f64()).expect("a String takes all text");
        }
        text
    }
}

impl<R: Replica> Line<R> {
    fn text(&self) -> String {
        match self {
            Line::Tick => "tick".to_owned(),
            Line::Message { from, message } => format!("<- {from} {message:?}"),
            Line::Lost { to } => format!("-> {to} lost"),
            Line::Request { client, request } => format!("asked by c{}: {request:?}", client.0),
            Line::Reply { client, reply } => format!("answers c{}: {reply:?}", client.0),
            Line::Persisted(upto) => format!("persisted up to {upto}"),
            Line::Event(event) => format!("** {event:?}"),
            Line::Crashed(how) => format!("** crashed: {how:?}"),
            Line::Started { life, records } => format!("** life {life} starts with {records} records"),
            Line::Paused => "** paused".to_owned(),
            Line::Resumed => "** resumed".to_owned(),
            Line::Cut(cuts) => {
                let cuts: Vec<String> = cuts.iter().map(|cut| format!("{}->{}", cut.from, cut.to)).collect();
                format!("** cut {}", cuts.join(" "))
            }
            Line::Healed => "** healed".to_owned(),
            Line::SlowDisk(true) => "** disk slow".to_owned(),
            Line::SlowDisk(false) => "** disk fast again".to_owned(),
        }
    }
}
