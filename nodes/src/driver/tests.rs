//! A toy replica on real sockets, real files and the real clock.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::frame::Hello;
use super::*;
use crate::point::Point;
use crate::replica::{ClientId, Event, Input, Output, Time};

/// Generous: a loaded machine must not fail a test.
const LONG: Duration = Duration::from_secs(30);

/// Remembers numbers and tells them to its peers, again and again.
#[derive(Debug)]
struct Toy {
    config: Config,
    durable: Vec<u64>,
    heard: Vec<u64>,
    waiting: Vec<(ClientId, u64)>,
    wake: Time,
}

#[derive(Clone, Debug)]
struct Config {
    peers: Vec<NodeId>,
}

#[derive(Clone, Debug)]
enum Ask {
    Add(u64),
    List,
    /// Answer when this number has come from a peer.
    Hear(u64),
    Panic,
    /// Break what `check` looks at.
    Break,
    Rewrite,
    /// Answer so many times.
    Flood(usize),
    /// Write this number, come to a point, write the next one, answer.
    Point(u64),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Say(u64);

impl Replica for Toy {
    type Config = Config;
    type Record = u64;
    type Message = Say;
    type Request = Ask;
    type Reply = Vec<u64>;

    fn recover(config: Config, now: Time, records: Vec<u64>) -> Self {
        Toy { config, durable: records, heard: Vec::new(), waiting: Vec::new(), wake: now }
    }

    fn step(&mut self, now: Time, input: Input<Self>, out: &mut Vec<Output<Self>>) {
        match input {
            Input::Tick => {
                self.wake = now + Duration::from_millis(10);
                for &to in &self.config.peers {
                    out.extend(self.durable.iter().map(|&number| Output::Send { to, message: Say(number) }));
                }
            }
            Input::Message { message: Say(number), .. } => {
                self.heard.push(number);
                let (ready, waiting) = self.waiting.drain(..).partition(|&(_, wanted)| wanted == number);
                self.waiting = waiting;
                out.extend(ready.into_iter().map(|(client, number)| Output::Reply { client, reply: vec![number] }));
            }
            Input::Request { client, request } => match request {
                Ask::Add(number) => {
                    out.push(Output::Persist(vec![number]));
                    self.durable.push(number);
                    out.push(Output::Reply { client, reply: self.durable.clone() });
                }
                Ask::List => out.push(Output::Reply { client, reply: self.durable.clone() }),
                Ask::Hear(number) => self.waiting.push((client, number)),
                Ask::Panic => panic!("an invariant of the toy"),
                Ask::Break => self.durable.push(0),
                Ask::Rewrite => {
                    out.push(Output::Rewrite(self.durable.clone()));
                    out.push(Output::Reply { client, reply: Vec::new() });
                }
                Ask::Point(number) => {
                    self.durable.extend([number, number + 1]);
                    out.push(Output::Persist(vec![number]));
                    out.push(Output::Event(Event::Reached(Point::RaftElected)));
                    out.push(Output::Persist(vec![number + 1]));
                    out.push(Output::Event(Event::Looking));
                    out.push(Output::Reply { client, reply: self.durable.clone() });
                }
                Ask::Flood(count) => out.extend((0..count).map(|_| Output::Reply { client, reply: Vec::new() })),
            },
            Input::Persisted(_) => {}
        }
    }

    fn wake(&self) -> Time {
        self.wake
    }

    fn check(&self) -> Result<(), String> {
        if self.durable.contains(&0) { Err("a zero among the numbers".to_owned()) } else { Ok(()) }
    }
}

async fn socket() -> (TcpListener, SocketAddr) {
    let listener = listen("peers", ([127, 0, 0, 1], 0).into()).await.expect("the system has a port");
    let address = listener.local_addr().expect("a socket has an address");
    (listener, address)
}

fn toy(id: u64, data: &Path, listener: TcpListener, peers: &[(u64, SocketAddr)]) -> Result<Driver<Toy>, StartError> {
    let peers: BTreeMap<NodeId, SocketAddr> = peers.iter().map(|&(id, address)| (NodeId(id), address)).collect();
    let config = Config { peers: peers.keys().copied().filter(|peer| peer.0 != id).collect() };
    let events = Some(data.join(format!("{id}.events")));
    let data = data.join(id.to_string());
    start(Options { cluster: "toys".to_owned(), id: NodeId(id), data, listener, peers, events }, config)
}

async fn alone(data: &Path) -> Driver<Toy> {
    toy(1, data, socket().await.0, &[]).expect("a toy starts")
}

async fn ask(driver: &Driver<Toy>, what: Ask) -> Vec<u64> {
    timeout(LONG, driver.handle().ask(what)).await.expect("a toy answers").expect("a toy lives")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_is_there_in_the_next_life() {
    let dir = tempfile::tempdir().expect("a directory");
    for life in 1..4 {
        let driver = alone(dir.path()).await;
        assert_eq!(ask(&driver, Ask::Add(life)).await, (1..=life).collect::<Vec<_>>());
        assert!(matches!(driver.stop().await, Stop::Asked));
    }
    let driver = alone(dir.path()).await;
    ask(&driver, Ask::Rewrite).await;
    driver.stop().await;
    assert_eq!(ask(&alone(dir.path()).await, Ask::List).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_clients_share_fsyncs_and_each_gets_its_own_answer() {
    let dir = tempfile::tempdir().expect("a directory");
    let driver = alone(dir.path()).await;
    let handle = driver.handle();
    let clients: Vec<_> = (1..=500)
        .map(|number| {
            let handle = handle.clone();
            tokio::spawn(async move {
                handle.ask(Ask::Add(number)).await.expect("a toy lives").last().copied() == Some(number)
            })
        })
        .collect();
    for client in clients {
        assert!(timeout(LONG, client).await.expect("in time").expect("no panic"), "an answer for somebody else");
    }
    driver.stop().await;
    let mut numbers = ask(&alone(dir.path()).await, Ask::List).await;
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=500).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn peers_find_each_other_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((one, first), (two, second)) = (socket().await, socket().await);
    let peers = [(1, first), (2, second)];
    let speaker = toy(1, dir.path(), one, &peers).expect("a toy starts");
    ask(&speaker, Ask::Add(7)).await;
    let hearer = toy(2, dir.path(), two, &peers).expect("a toy starts");
    assert_eq!(ask(&hearer, Ask::Hear(7)).await, [7]);
    hearer.stop().await;
    let again = listen("peers", second).await.expect("the port is free again");
    let hearer = toy(2, dir.path(), again, &peers).expect("a toy starts");
    assert_eq!(ask(&hearer, Ask::Hear(7)).await, [7], "the speaker did not come back");
    speaker.stop().await;
    let again = listen("peers", first).await.expect("the port is free again");
    let speaker = toy(1, dir.path(), again, &peers).expect("a toy starts");
    ask(&speaker, Ask::Add(8)).await;
    assert_eq!(ask(&hearer, Ask::Hear(8)).await, [8], "a new life of the speaker is not heard");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_strangers_do_no_harm() {
    let dir = tempfile::tempdir().expect("a directory");
    let ((one, first), (two, second)) = (socket().await, socket().await);
    let peers = [(1, first), (2, second)];
    let hearer = toy(2, dir.path(), two, &peers).expect("a toy starts");
    let frame = |hello: Hello, then: &[u8]| {
        let mut bytes = bytes::BytesMut::new();
        frame::put(&mut bytes, &hello).expect("a short frame");
        bytes.extend_from_slice(then);
        bytes.to_vec()
    };
    let hello = |cluster: &str, from, to| Hello::new(cluster.to_owned(), NodeId(from), NodeId(to), 1);
    let say = [1, 0, 0, 0, 66];
    let strange = [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0xff; 64],
        vec![0; 64],
        frame(hello("others", 1, 2), &say),
        frame(hello("toys", 9, 2), &say),
        frame(hello("toys", 1, 3), &say),
        frame(hello("toys", 2, 2), &say),
        frame(hello("toys", 1, 2), &[0xff; 32]),
        frame(hello("toys", 1, 2), &[1, 0, 0, 0, 0xff]),
    ];
    for bytes in strange {
        let mut stream = TcpStream::connect(second).await.expect("it listens");
        // It may hang up before it has read all.
        let _ = stream.write_all(&bytes).await;
        let _ = stream.shutdown().await;
        let closed = timeout(LONG, tokio::io::copy(&mut stream, &mut tokio::io::sink())).await;
        assert!(closed.is_ok(), "a stranger's connection stays open: {bytes:?}");
    }
    let speaker = toy(1, dir.path(), one, &peers).expect("a toy starts");
    ask(&speaker, Ask::Add(7)).await;
    assert_eq!(ask(&hearer, Ask::Hear(7)).await, [7]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_invariant_and_a_panic_end_the_driver_with_their_message() {
    let dir = tempfile::tempdir().expect("a directory");
    for (how, what) in [(Ask::Panic, "an invariant of the toy"), (Ask::Break, "a zero among the numbers")] {
        let mut driver = alone(dir.path()).await;
        let answer = timeout(LONG, driver.handle().ask(how)).await.expect("it ends");
        assert_eq!(answer, Err(Stopped));
        let stop = timeout(LONG, driver.stopped()).await.expect("it ends");
        assert!(matches!(&stop, Stop::Broken(text) if text == what), "{stop}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_fails_ends_the_driver_and_answers_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut driver = alone(dir.path()).await;
    std::fs::remove_dir_all(dir.path()).expect("the directory can go");
    let answer = timeout(LONG, driver.handle().ask(Ask::Rewrite)).await.expect("it ends");
    assert_eq!(answer, Err(Stopped), "answered although nothing is durable");
    let stop = timeout(LONG, driver.stopped()).await.expect("it ends");
    assert!(stop.to_string().contains("No such file or directory"), "{stop}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_replies_is_let_go() {
    let dir = tempfile::tempdir().expect("a directory");
    let driver = alone(dir.path()).await;
    let mut slow = driver.handle().connect().await.expect("a toy lives");
    slow.requests.send(Ask::Flood(100_000)).await.expect("a toy lives");
    ask(&driver, Ask::List).await;
    let mut replies = 0;
    while timeout(LONG, slow.replies.next()).await.expect("it ends").is_some() {
        replies += 1;
    }
    assert!(replies < 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_at_the_start_say_what_to_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_listener, address) = socket().await;
    let taken = listen("clients", address).await.expect_err("the port is taken").to_string();
    assert!(taken.contains(&format!("cannot listen for clients on {address}")), "{taken}");
    assert!(taken.contains("choose another port"), "{taken}");
    let absent = listen("peers", ([192, 0, 2, 1], 0).into()).await.expect_err("not ours").to_string();
    assert!(absent.contains("no interface has this address"), "{absent}");
    let _first = alone(dir.path()).await;
    let second = toy(1, dir.path(), socket().await.0, &[]).expect_err("the directory is taken").to_string();
    assert!(second.contains("is in use by process"), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_life_adds_its_events_to_the_file() {
    let dir = tempfile::tempdir().expect("a directory");
    for life in 1..=2 {
        let driver = alone(dir.path()).await;
        ask(&driver, Ask::Point(life * 10)).await;
        driver.stop().await;
    }
    let reported = |life| [(life, Event::Reached(Point::RaftElected)), (life, Event::Looking)];
    let events = events::read(&dir.path().join("1.events")).expect("the events of two lives");
    assert_eq!(events, [reported(1), reported(2)].concat());
}

/// Tells the test's own process, when it is started again as a replica, where its data is.
const HALTS_IN: &str = "GRUDGE_TEST_HALTS_IN";

#[tokio::test(flavor = "multi_thread")]
async fn a_halt_file_stops_the_process_exactly_at_its_point() {
    if let Some(data) = std::env::var_os(HALTS_IN) {
        let driver = alone(Path::new(&data)).await;
        ask(&driver, Ask::Point(1)).await;
        ask(&driver, Ask::Point(3)).await;
        driver.stop().await;
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("1");
    std::fs::create_dir(&data).expect("it is empty");
    std::fs::write(data.join("halt"), "raft-elected 2\n").expect("it can be written");
    let mut replica = Stoppable::start(dir.path());
    replica.wait_for("it stops", |replica| replica.state() == Some('T'));
    assert!(!data.join("halt").exists(), "the file is used up");
    assert_eq!(written(&data), [1, 2, 3], "4 was pushed after the point");
    let events = dir.path().join("1.events");
    let last = events::read(&events).expect("whole lines").pop();
    assert_eq!(last, Some((1, Event::Reached(Point::RaftElected))), "Looking was pushed after the point");
    nix::sys::signal::kill(replica.pid(), nix::sys::signal::Signal::SIGCONT).expect("it is there");
    replica.wait_for("it ends", |replica| replica.process.try_wait().expect("it is our child").is_some());
    assert!(replica.process.wait().expect("it has ended").success(), "it went on in order");
    assert_eq!(written(&data), [1, 2, 3, 4]);
    assert_eq!(events::read(&events).expect("whole lines").last(), Some(&(1, Event::Looking)));
}

/// What the log of a process that is stopped holds.
fn written(data: &Path) -> Vec<u64> {
    let copy = tempfile::tempdir().expect("a directory");
    std::fs::copy(data.join("wal"), copy.path().join("wal")).expect("the log can be copied");
    Wal::<u64>::open(copy.path()).expect("a log").1.records
}

/// This test once more, in a process that may be stopped; it is ended with its owner.
struct Stoppable {
    process: std::process::Child,
}

impl Stoppable {
    fn start(data: &Path) -> Self {
        let test = "driver::tests::a_halt_file_stops_the_process_exactly_at_its_point";
        let process = std::process::Command::new(std::env::current_exe().expect("this test has a file"))
            .args(["--exact", test])
            .env(HALTS_IN, data)
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("this test starts again");
        Stoppable { process }
    }

    fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(i32::try_from(self.process.id()).expect("a process id"))
    }

    /// The letter in `/proc`.
    fn state(&self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.id())).ok()?;
        stat.rsplit(") ").next()?.chars().next()
    }

    fn wait_for(&mut self, what: &str, mut holds: impl FnMut(&mut Self) -> bool) {
        let began = std::time::Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < LONG, "not within {LONG:?}: {what}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Stoppable {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
