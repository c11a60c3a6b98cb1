//! The thread that owns the replica.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::Stop;
use super::disk::Writes;
use super::halt::Halt;
use super::handle::{Clients, FromClient};
use super::peers::Peers;
use crate::events;
use crate::outbox::{Leaving, Outbox, Pushed};
use crate::replica::{ClientId, Event, Input, NodeId, Output, Replica};
use crate::wal::WalError;

/// While so many outputs wait for the disk, nothing new is taken in.
const MOST_WAITING: usize = 16_384;
/// A replica that wants its tick at once, again and again, gets it this often.
const SHORTEST_TICK: Duration = Duration::from_millis(1);

/// A replica that never wants one gets it this often.
const LONGEST_TICK: Duration = Duration::from_secs(3_600);

/// All that can happen to a replica.
pub(super) struct Inbox<R: Replica> {
    pub(super) messages: mpsc::Receiver<(NodeId, R::Message)>,
    pub(super) clients: Clients<R>,
    pub(super) synced: mpsc::UnboundedReceiver<Result<u64, WalError>>,
    pub(super) asked: oneshot::Receiver<()>,
}

pub(super) struct Core<R: Replica> {
    id: NodeId,
    started: Instant,
    outbox: Outbox<R>,
    writes: Writes<R::Record>,
    peers: Peers<R::Message>,
    clients: BTreeMap<ClientId, mpsc::Sender<R::Reply>>,
    halt: Halt,
    /// Where its events are written down, if anybody wants them.
    events: Option<events::Writer>,
}

enum Wake<R: Replica> {
    Input(Input<R>),
    Client(FromClient<R>),
    Gone(ClientId),
    Synced(Result<u64, WalError>),
    Asked,
}

impl<R: Replica> Core<R> {
    pub(super) fn new(
        id: NodeId,
        writes: Writes<R::Record>,
        peers: Peers<R::Message>,
        halt: Halt,
        events: Option<events::Writer>,
    ) -> Self {
        let (outbox, clients) = (Outbox::new(), BTreeMap::new());
        Core { id, started: Instant::now(), outbox, writes, peers, clients, halt, events }
    }

    /// Runs the replica to its end, and waits until its log is closed.
    pub(super) async fn run(mut self, config: R::Config, records: Vec<R::Record>, inbox: Inbox<R>) -> Stop {
        let stop = match self.steps(config, records, inbox).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        };
        self.writes.close();
        stop
    }

    async fn steps(
        &mut self,
        config: R::Config,
        records: Vec<R::Record>,
        mut inbox: Inbox<R>,
    ) -> Result<std::convert::Infallible, Stop> {
        let now = self.started.elapsed();
        let mut replica = guarded(|| R::recover(config, now, records))?;
        let mut ticked = self.started;
        loop {
            let wanted = self.started.checked_add(replica.wake()).unwrap_or_else(|| ticked + LONGEST_TICK);
            let wake = wanted.max(ticked + SHORTEST_TICK);
            match self.next(&mut inbox, wake).await {
                Wake::Input(input) => {
                    if matches!(input, Input::Tick) {
                        ticked = Instant::now();
                    }
                    self.step(&mut replica, input)?;
                }
                Wake::Client(FromClient::Connect { client, replies }) => {
                    self.clients.insert(client, replies);
                }
                Wake::Client(FromClient::Request { client, request }) => {
                    self.step(&mut replica, Input::Request { client, request })?;
                }
                Wake::Gone(client) => {
                    self.clients.remove(&client);
                }
                Wake::Synced(Ok(upto)) => {
                    self.outbox.persisted(upto);
                    self.release();
                    self.step(&mut replica, Input::Persisted(upto))?;
                }
                Wake::Synced(Err(error)) => return Err(Stop::Disk(error)),
                Wake::Asked => return Err(Stop::Asked),
            }
        }
    }

    /// The order is by urgency: what is done frees others, time does not wait, peers carry the promises.
    async fn next(&self, inbox: &mut Inbox<R>, wake: Instant) -> Wake<R> {
        let room = self.outbox.len() < MOST_WAITING;
        tokio::select! {
            biased;
            _ = &mut inbox.asked => Wake::Asked,
            Some(synced) = inbox.synced.recv() => Wake::Synced(synced),
            () = sleep_until(wake) => Wake::Input(Input::Tick),
            Some(client) = inbox.clients.gone.recv() => Wake::Gone(client),
            Some((from, message)) = inbox.messages.recv(), if room => Wake::Input(Input::Message { from, message }),
            Some(what) = inbox.clients.requests.recv(), if room => Wake::Client(what),
        }
    }

    fn step(&mut self, replica: &mut R, input: Input<R>) -> Result<(), Stop> {
        let now = self.started.elapsed();
        let mut outputs = Vec::new();
        guarded(|| {
            replica.step(now, input, &mut outputs);
            replica.check()
        })?
        .map_err(Stop::Broken)?;
        self.push(outputs);
        self.release();
        Ok(())
    }

    fn push(&mut self, outputs: Vec<Output<R>>) {
        for output in outputs {
            match self.outbox.push(output, |point| self.halt.is_armed(point)) {
                Pushed::Leaves(leaving) => self.leave(leaving),
                Pushed::Write(write) => self.writes.queue(write),
                Pushed::Waits => {}
            }
        }
    }

    fn release(&mut self) {
        while let Some(leaving) = self.outbox.pop() {
            self.leave(leaving);
        }
        self.write_events();
    }

    fn leave(&mut self, leaving: Leaving<R>) {
        match leaving {
            Leaving::Output(Output::Send { to, message }) => self.peers.send(to, message),
            Leaving::Output(Output::Reply { client, reply }) => self.reply(client, reply),
            Leaving::Output(Output::Event(event)) => self.report(&event),
            Leaving::Output(Output::Persist(_) | Output::Rewrite(_)) => {
                unreachable!("an outbox turns writes into barriers")
            }
            Leaving::Halt(point) => {
                self.report(&Event::Reached(point));
                self.write_events();
                self.halt.stop(point, || self.peers.have_left());
                let held = self.outbox.go_on();
                self.push(held);
            }
        }
    }

    fn report(&mut self, event: &Event) {
        log(self.id, event);
        if let Some(events) = &mut self.events {
            events.note(event);
        }
    }

    fn write_events(&mut self) {
        if let Some(Err(error)) = self.events.as_mut().map(events::Writer::flush) {
            tracing::error!(%error, "no more events are written down");
            self.events = None;
        }
    }

    /// A client that does not take its replies is let go: its conversation ends, so that none goes missing inside.
    fn reply(&mut self, client: ClientId, reply: R::Reply) {
        let refused = match self.clients.get(&client) {
            Some(replies) => replies.try_send(reply).is_err(),
            None => false,
        };
        if refused {
            self.clients.remove(&client);
        }
    }
}

/// Runs the replica's own code; a panic of it is an invariant that is broken.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Stop> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .map(String::as_str)
            .or_else(|| panic.downcast_ref::<&str>().copied())
            .unwrap_or("a panic without words");
        Stop::Broken(text.to_owned())
    })
}

fn log(node: NodeId, event: &Event) {
    match event {
        Event::Leading { epoch } => tracing::info!(%node, epoch, "leading"),
        Event::Following { epoch, leader } => tracing::info!(%node, epoch, %leader, "following"),
        Event::Looking => tracing::info!(%node, "looking for a leader"),
        Event::Restored { position } => tracing::info!(%node, position, "restored from a snapshot"),
        Event::Applied { position, digest } => tracing::trace!(%node, position, digest, "applied"),
        Event::Reached(point) => tracing::debug!(%node, ?point, "reached"),
    }
}
