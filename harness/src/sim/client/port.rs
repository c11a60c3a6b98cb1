//! A client's view of the simulated world: connections, the time, and the calls it is asked to make.
//!
//! Clients are sequential code, one async function a workload, so that each reads like the real client beside it.
//! Nothing about them is asynchronous but the waiting. There is no runtime: whoever owns a [`Client`] hands it what
//! has arrived and the time, and takes its [`Order`]s. All of a client's tasks are polled then, in a fixed order, so
//! nothing depends on who woke whom.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use grudge_nodes::replica::{Replica, Time};
use grudge_workloads::operation::{Invocation, Outcome};

/// What a client runs: its life, and what it does beside its calls.
pub(crate) type Task = Pin<Box<dyn Future<Output = ()>>>;

/// One of a client's connections, by the number in which it opened them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Line(pub(crate) usize);

/// Where a client is: its own node, and all nodes by name.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) home: usize,
    pub(crate) nodes: Rc<[String]>,
}

/// What comes over a line.
#[derive(Clone, Debug)]
pub(crate) enum Heard<T> {
    /// The node says something.
    Reply(T),
    /// There is nobody: what was sent was not received.
    Refused,
    /// The connection is gone.
    Closed,
    /// Nothing, until the time was up.
    Late,
}

/// What a client wants done.
#[derive(Clone, Debug)]
pub(crate) enum Order<T> {
    /// A connection to that node, by its place among all.
    Open(Line, usize),
    /// No more of this one.
    Close(Line),
    /// This to be sent.
    Send(Line, T),
}

/// A call that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ended {
    /// How.
    pub(crate) outcome: Outcome,
    /// Whether the node was reached at all.
    pub(crate) reached: bool,
}

struct Wire<R: Replica> {
    inbox: VecDeque<R::Reply>,
    /// How it ended, once everything before is read.
    end: Option<Heard<R::Reply>>,
}

struct Desk<R: Replica> {
    place: Place,
    now: Time,
    /// The earliest time for which anybody waits.
    wake: Time,
    wires: Vec<Wire<R>>,
    orders: Vec<Order<R::Request>>,
    call: Option<Invocation>,
    ended: Option<Ended>,
    /// The connection whose end is the client's.
    lifeline: Option<Line>,
    alive: bool,
    spawned: Vec<Task>,
}

/// What the tasks of one client share.
pub(crate) struct Port<R: Replica>(Rc<RefCell<Desk<R>>>);

impl<R: Replica> Clone for Port<R> {
    fn clone(&self) -> Self {
        Port(Rc::clone(&self.0))
    }
}

impl<R: Replica> Port<R> {
    /// Time since the start of the world.
    pub(crate) fn now(&self) -> Time {
        self.0.borrow().now
    }

    /// Where the client is.
    pub(crate) fn place(&self) -> Place {
        self.0.borrow().place.clone()
    }

    /// Opens a connection to the client's own node. Whether there is anybody is heard on it.
    pub(crate) fn open(&self) -> Line {
        let home = self.0.borrow().place.home;
        self.open_to(home)
    }

    /// Opens a connection to a node, by its place among all.
    pub(crate) fn open_to(&self, node: usize) -> Line {
        let mut desk = self.0.borrow_mut();
        let line = Line(desk.wires.len());
        desk.wires.push(Wire { inbox: VecDeque::new(), end: None });
        desk.orders.push(Order::Open(line, node));
        line
    }

    /// Closes a connection.
    pub(crate) fn close(&self, line: Line) {
        let mut desk = self.0.borrow_mut();
        desk.wires[line.0].end = Some(Heard::Closed);
        desk.orders.push(Order::Close(line));
    }

    /// Makes the end of this connection the end of the client.
    pub(crate) fn hang_on(&self, line: Line) {
        self.0.borrow_mut().lifeline = Some(line);
    }

    /// Sends.
    pub(crate) fn send(&self, line: Line, request: R::Request) {
        self.0.borrow_mut().orders.push(Order::Send(line, request));
    }

    /// Whether the connection has not ended, as far as the client has heard.
    pub(crate) fn is_open(&self, line: Line) -> bool {
        self.0.borrow().wires[line.0].end.is_none()
    }

    /// The client will make no further call.
    pub(crate) fn die(&self) {
        self.0.borrow_mut().alive = false;
    }

    /// Whether the client may make another call.
    pub(crate) fn alive(&self) -> bool {
        self.0.borrow().alive
    }

    /// Runs a task beside the calls, until the client is gone.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.0.borrow_mut().spawned.push(Box::pin(task));
    }

    /// The next thing that comes over a line, or [`Heard::Late`] at that time.
    pub(crate) async fn receive(&self, line: Line, deadline: Time) -> Heard<R::Reply> {
        let heard = self.until(deadline, |desk| {
            let wire = &mut desk.wires[line.0];
            wire.inbox.pop_front().map(Heard::Reply).or_else(|| wire.end.clone())
        });
        heard.await.unwrap_or(Heard::Late)
    }

    /// Waits until the condition gives something, which is asked whenever anything happens to this client; nothing
    /// if that time passes first.
    pub(crate) async fn wait<T>(&self, deadline: Time, mut condition: impl FnMut() -> Option<T>) -> Option<T> {
        poll_fn(|_| match condition() {
            Some(value) => Poll::Ready(Some(value)),
            None => self.pause(deadline),
        })
        .await
    }

    /// Waits until that time.
    pub(crate) async fn sleep_until(&self, time: Time) {
        self.wait(time, || None::<()>).await;
    }

    async fn until<T>(&self, deadline: Time, mut condition: impl FnMut(&mut Desk<R>) -> Option<T>) -> Option<T> {
        self.wait(deadline, || condition(&mut self.0.borrow_mut())).await
    }

    fn pause<T>(&self, deadline: Time) -> Poll<Option<T>> {
        let mut desk = self.0.borrow_mut();
        if desk.now >= deadline {
            return Poll::Ready(None);
        }
        desk.wake = desk.wake.min(deadline);
        Poll::Pending
    }

    /// The next call to make.
    pub(super) async fn call(&self) -> Invocation {
        poll_fn(|_| self.0.borrow_mut().call.take().map_or(Poll::Pending, Poll::Ready)).await
    }

    /// The call has ended.
    pub(super) fn complete(&self, outcome: Outcome, reached: bool) {
        self.0.borrow_mut().ended = Some(Ended { outcome, reached });
    }
}

/// A client of one node, from its first call until it is dropped.
pub(crate) struct Client<R: Replica> {
    port: Port<R>,
    /// Its life first.
    tasks: Vec<Task>,
}

impl<R: Replica> Client<R> {
    /// A client that lives so, there.
    pub(crate) fn new(place: Place, life: impl FnOnce(Port<R>) -> Task) -> Client<R> {
        let port = Port(Rc::new(RefCell::new(Desk {
            place,
            now: Time::ZERO,
            wake: Time::MAX,
            wires: Vec::new(),
            orders: Vec::new(),
            call: None,
            ended: None,
            lifeline: None,
            alive: true,
            spawned: Vec::new(),
        })));
        let tasks = vec![life(port.clone())];
        Client { port, tasks }
    }

    /// Begins a call. The client is alive and makes no other.
    pub(crate) fn start(&mut self, now: Time, invocation: Invocation) {
        self.port.0.borrow_mut().call = Some(invocation);
        self.poll(now);
    }

    /// Something came over a line.
    pub(crate) fn hear(&mut self, now: Time, line: Line, heard: Heard<R::Reply>) {
        {
            let mut desk = self.port.0.borrow_mut();
            let wire = &mut desk.wires[line.0];
            match heard {
                Heard::Reply(reply) => wire.inbox.push_back(reply),
                end => wire.end = Some(end),
            }
        }
        self.poll(now);
    }

    /// The time has come that it waited for, or something happened.
    pub(crate) fn poll(&mut self, now: Time) {
        {
            let mut desk = self.port.0.borrow_mut();
            desk.now = now;
            desk.wake = Time::MAX;
        }
        let mut context = Context::from_waker(Waker::noop());
        // The calls last: they see what the others have read.
        for i in (0..self.tasks.len()).rev() {
            if self.tasks[i].as_mut().poll(&mut context).is_ready() {
                self.tasks[i] = Box::pin(std::future::pending());
            }
        }
        loop {
            let spawned = std::mem::take(&mut self.port.0.borrow_mut().spawned);
            if spawned.is_empty() {
                break;
            }
            for mut task in spawned {
                if task.as_mut().poll(&mut context).is_pending() {
                    self.tasks.push(task);
                }
            }
        }
    }

    /// The next time at which it must be polled.
    pub(crate) fn wake(&self) -> Time {
        self.port.0.borrow().wake
    }

    /// What it wants done, in order.
    pub(crate) fn take_orders(&mut self) -> Vec<Order<R::Request>> {
        std::mem::take(&mut self.port.0.borrow_mut().orders)
    }

    /// The end of its call.
    pub(crate) fn take_ended(&mut self) -> Option<Ended> {
        self.port.0.borrow_mut().ended.take()
    }

    /// Whether it may make another call.
    pub(crate) fn alive(&self) -> bool {
        let desk = self.port.0.borrow();
        desk.alive && desk.lifeline.is_none_or(|line| desk.wires[line.0].end.is_none())
    }
}
