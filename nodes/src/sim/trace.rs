//! The last lines of a run, kept as values and written out only when somebody wants to read them.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::clock::Jump;
use super::disk::DiskFault;
use super::network::Cut;
use super::options::Packets;
use super::world::Death;
use crate::point::Point;
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
    Halted(Point),
    Died(Death),
    Started { life: u64, records: usize },
    Paused,
    Resumed,
    Cut(Vec<Cut>),
    Healed,
    Packets(Vec<Cut>, Option<Packets>),
    ClockRate(i64),
    ClockJump(Jump),
    Disk(DiskFault),
}

pub(super) struct Trace<R: Replica> {
    lines: VecDeque<(Time, Option<NodeId>, Line<R>)>,
    capacity: usize,
}

impl<R: Replica> Trace<R> {
    pub(super) fn new(capacity: usize) -> Self {
        Trace { lines: VecDeque::new(), capacity }
    }

    /// Notes what happened to a node, or to the network. The line is made only if lines are kept.
    pub(super) fn note(&mut self, now: Time, node: Option<NodeId>, line: impl FnOnce() -> Line<R>) {
        if self.capacity == 0 {
            return;
        }
        if self.lines.len() >= self.capacity {
            self.lines.pop_front();
        }
        self.lines.push_back((now, node, line()));
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
            Line::Halted(point) => format!("** halted at {point:?}"),
            Line::Died(death) => format!("** dead: {death:?}"),
            Line::Started { life, records } => format!("** life {life} starts with {records} records"),
            Line::Paused => "** paused".to_owned(),
            Line::Resumed => "** resumed".to_owned(),
            Line::Cut(cuts) => format!("** cut {}", links(cuts)),
            Line::Healed => "** healed".to_owned(),
            Line::Packets(cuts, Some(packets)) => format!("** {packets:?} on {}", links(cuts)),
            Line::Packets(cuts, None) => format!("** packets as usual on {}", links(cuts)),
            Line::ClockRate(ppm) => format!("** clock runs {ppm:+} ppm"),
            Line::ClockJump(by) => format!("** clock jumps: {by:?}"),
            Line::Disk(fault) => format!("** disk: {fault:?}"),
        }
    }
}

fn links(links: &[Cut]) -> String {
    let links: Vec<String> = links.iter().map(|link| format!("{}->{}", link.from, link.to)).collect();
    links.join(" ")
}
