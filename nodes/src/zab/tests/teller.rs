//! The smallest state machine on top of the core: it remembers numbers in the order of their delivery.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::replica::{ClientId, Event, Input, NodeId, Output, Replica, Time};
use crate::zab::{self, Effect, Link, Message, Record, Status, Zab, Zxid};

#[derive(Clone, Debug)]
pub(super) struct Config {
    pub(super) zab: zab::Config,
    /// Which life this is; the world counts.
    pub(super) life: u64,
    /// It compacts when its log is longer.
    pub(super) compact_above: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Broadcast a number.
    Add(u64),
    /// Answer with all that was committed before.
    Sync,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// It is delivered here, at this zxid.
    Added { value: u64, zxid: Zxid },
    /// What is delivered here, after a barrier.
    Synced(Zxid),
    /// There is no leader to ask.
    Refused,
}

/// Who wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Origin {
    node: NodeId,
    life: u64,
    client: ClientId,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Number {
    origin: Origin,
    value: u64,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum App {
    Add(Number),
    Sync(ClientId),
    Synced(ClientId),
}

#[derive(Debug)]
enum Asker {
    Own(ClientId),
    Follower(Link, ClientId),
}

#[derive(Debug)]
pub(super) struct Teller {
    config: Config,
    zab: Zab,
    pub(super) values: Vec<u64>,
    tokens: u64,
    asking: BTreeMap<u64, Asker>,
}

impl Teller {
    pub(super) fn delivered(&self) -> Zxid {
        self.zab.delivered()
    }

    /// It is that leader, or in step with it.
    pub(super) fn follows(&self, whom: NodeId) -> bool {
        match self.zab.status() {
            Status::Looking => false,
            Status::Following { leader, .. } => leader == whom,
            Status::Leading { .. } => self.config.zab.id == whom,
        }
    }

    fn request(&mut self, now: Time, client: ClientId, request: Request, effects: &mut Vec<Effect>) -> bool {
        let leading = matches!(self.zab.status(), Status::Leading { .. });
        let origin = Origin { node: self.config.zab.id, life: self.config.life, client };
        match request {
            Request::Add(value) if leading => self.zab.propose(now, bytes(&Number { origin, value }), effects).is_ok(),
            Request::Add(value) => {
                self.zab.tell_leader(now, bytes(&App::Add(Number { origin, value })), effects).is_ok()
            }
            Request::Sync if leading => self.barrier(Asker::Own(client), effects),
            Request::Sync => self.zab.tell_leader(now, bytes(&App::Sync(client)), effects).is_ok(),
        }
    }

    fn barrier(&mut self, asker: Asker, effects: &mut Vec<Effect>) -> bool {
        self.tokens += 1;
        self.asking.insert(self.tokens, asker);
        self.zab.barrier(self.tokens, effects).is_ok()
    }

    fn obey(&mut self, now: Time, effect: Effect, more: &mut Vec<Effect>, out: &mut Vec<Output<Self>>) {
        match effect {
            Effect::Send { to, message } => out.push(Output::Send { to, message }),
            Effect::Persist(records) => out.push(Output::Persist(records)),
            Effect::Rewrite(records) => out.push(Output::Rewrite(records)),
            Effect::Status(status) => out.push(Output::Event(status.into())),
            Effect::Reached(point) => out.push(Output::Event(Event::Reached(point))),
            Effect::Deliver { zxid, payload, .. } => {
                let digest = crc32fast::hash(&payload).into();
                out.push(Output::Event(Event::Applied { position: zxid.0, digest }));
                let Number { origin, value } = postcard::from_bytes(&payload).expect("only numbers are proposed");
                self.values.push(value);
                if (origin.node, origin.life) == (self.config.zab.id, self.config.life) {
                    out.push(Output::Reply { client: origin.client, reply: Reply::Added { value, zxid } });
                }
            }
            Effect::Restore { zxid, state } => {
                self.values = postcard::from_bytes(&state).expect("states are lists of numbers");
                out.push(Output::Event(Event::Restored { position: zxid.0 }));
            }
            Effect::FromFollower { link, app } => match postcard::from_bytes(&app).expect("an own message") {
                // A leader that has just lost its office refuses; the origin hears nothing, as in a real timeout.
                App::Add(number) => {
                    let _ = self.zab.propose(now, bytes(&number), more);
                }
                App::Sync(client) => {
                    self.barrier(Asker::Follower(link, client), more);
                }
                App::Synced(_) => panic!("a follower answers a leader's question that nobody asks"),
            },
            Effect::FromLeader { app } => match postcard::from_bytes(&app).expect("an own message") {
                App::Synced(client) => {
                    out.push(Output::Reply { client, reply: Reply::Synced(self.zab.delivered()) });
                }
                App::Add(_) | App::Sync(_) => panic!("a leader asks a follower"),
            },
            Effect::Confirmed { token } => match self.asking.remove(&token).expect("a token is confirmed once") {
                Asker::Own(client) => out.push(Output::Reply { client, reply: Reply::Synced(self.zab.delivered()) }),
                Asker::Follower(link, client) => {
                    let _ = self.zab.tell_follower(now, link, bytes(&App::Synced(client)), more);
                }
            },
        }
    }
}

fn bytes(value: &impl Serialize) -> Bytes {
    postcard::to_stdvec(value).expect("plain values have a form in bytes").into()
}

impl Replica for Teller {
    type Config = Config;
    type Record = Record;
    type Message = Message;
    type Request = Request;
    type Reply = Reply;

    fn recover(config: Config, now: Time, records: Vec<Record>) -> Self {
        let zab = Zab::recover(config.zab.clone(), now, records);
        Teller { config, zab, values: Vec::new(), tokens: 0, asking: BTreeMap::new() }
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output<Self>>) {
        let mut effects = Vec::new();
        match input {
            Input::Tick => self.zab.step(now, zab::Input::Tick, &mut effects),
            Input::Persisted(n) => self.zab.step(now, zab::Input::Persisted(n), &mut effects),
            Input::Message { from, message } => {
                self.zab.step(now, zab::Input::Message { from, message }, &mut effects);
            }
            Input::Request { client, request } => {
                if !self.request(now, client, request, &mut effects) {
                    out.push(Output::Reply { client, reply: Reply::Refused });
                }
            }
        }
        while !effects.is_empty() {
            let mut more = Vec::new();
            for effect in effects {
                self.obey(now, effect, &mut more, out);
            }
            effects = more;
        }
        if self.zab.log_len() > self.config.compact_above {
            self.zab.compact(bytes(&self.values), &mut effects);
            for effect in effects {
                self.obey(now, effect, &mut Vec::new(), out);
            }
        }
    }

    fn wake(&self) -> Time {
        self.zab.wake()
    }

    fn check(&self) -> Result<(), String> {
        self.zab.check()
    }
}
