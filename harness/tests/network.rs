//! Faults of the network beside partitions, on real processes, in a sandbox of the test's own. Without permission for
//! one, the tests are skipped and say so.

mod fixture;
mod forbid;
mod namespace;
mod standin;
mod trials;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fixture::{Fixture, nodes, trial};
use forbid::forbid;
use grudge::cluster::Node;
use grudge::fault::{Direction, Evidence, Fault, FaultError, FaultKind, PacketTrouble, PacketsSeen, Shape, Targets};
use grudge::net::FilterPlace;
use namespace::within;
use nix::libc;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::socket::{setsockopt, sockopt};
use nix::unistd::Pid;
use standin::Manner;

fn main() -> ExitCode {
    standin::replica_if_asked();
    let trials = vec![
        trial("who_is_ready_for_trouble_sends_as_much_at_once_as_ever", as_much_as_ever),
        trial("every_trouble_of_packets_has_a_receipt", every_trouble),
        trial("every_trouble_between_clients_and_nodes_has_a_receipt", every_trouble_of_clients),
        trial("a_client_sees_the_delay_on_a_connection_that_it_has", a_client_sees_it),
        trial("what_is_sent_at_once_fares_as_single_packets", single_packets),
        trial("clients_packets_past_the_switch_have_no_receipt", clients_past_the_switch),
        trial("clients_can_be_cut_off_from_a_node_in_trouble", clients_cut_in_trouble),
        trial("trouble_hits_the_links_that_were_asked_for_and_no_others", asked_links_only),
        trial("a_wrong_bit_is_seen_by_the_kernel_of_the_receiver", wrong_bits),
        trial("packets_past_the_switch_have_no_receipt", past_the_switch),
        trial("trouble_that_ends_behind_the_back_has_no_receipt", ended_early),
        trial("trouble_that_the_kernel_makes_is_proven_to_last", netem_lets_go),
        trial("a_cut_link_stays_cut_in_trouble", cut_in_trouble),
        trial("the_newest_of_two_troubles_counts", two_troubles),
        trial("the_leader_can_be_cut_off_from_clients_only", from_clients),
        trial("a_node_without_clients_is_started_again_all_the_same", restarted_without_clients),
        trial("no_packet_ever_sees_a_part_of_a_partition", at_one_instant),
        trial("connections_between_nodes_are_reset_at_both_ends", reset),
        trial("connections_that_the_kernel_does_not_reset_are_no_fault", reset_refused),
    ];
    fixture::run(Ok(()), trials)
}

/// A cluster whose packets can be troubled.
async fn ready_for_packets(nodes: usize) -> Fixture {
    Fixture::ready_for(&[FaultKind::Packets], Manner::Serve, nodes).await
}

impl Fixture {
    fn node(&self, name: &str) -> &Node {
        self.cluster.nodes().iter().find(|node| node.name == name).expect("a node of the cluster")
    }
}

fn all() -> PacketTrouble {
    PacketTrouble::none(Targets::All)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn seen(evidence: &Evidence) -> (&[PacketsSeen], usize) {
    match evidence {
        Evidence::Packets { troubled, calm, .. } => (troubled, *calm),
        other => panic!("packets are proven by packets, not {other:?}"),
    }
}

fn ip(arguments: &str) {
    iproute2("ip", arguments);
}

fn iproute2(program: &str, arguments: &str) {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let status = Command::new(program).args(arguments.split(' ')).env("PATH", path).status();
    assert!(status.expect("iproute2 is installed").success(), "{program} {arguments}");
}

/// A device that hands over single packets makes a network many times slower.
async fn as_much_as_ever() {
    let mut largest = Vec::new();
    for faults in [&[][..], &[FaultKind::Packets]] {
        let mut fixture = Fixture::ready_for(faults, Manner::Serve, 2).await;
        let one = pid(&mut fixture, "n1").await;
        largest.push(within(one, || {
            let told = Command::new("ip").args(["-d", "-o", "link"]).output().expect("iproute2 is installed").stdout;
            let told = String::from_utf8_lossy(&told).into_owned();
            let words: Vec<&str> = told.split_whitespace().collect();
            let limits = words.windows(2).filter(|pair| pair[0].starts_with("gso_max"));
            limits.map(|pair| pair.join(" ")).collect::<Vec<String>>()
        }));
        fixture.cluster.down().await;
    }
    assert!(!largest[0].is_empty() && largest[0] == largest[1], "{largest:?}");
}

async fn every_trouble() {
    each_has_a_receipt(&[]).await;
}

async fn every_trouble_of_clients() {
    each_has_a_receipt(&["clients"]).await;
}

async fn each_has_a_receipt(peers: &[&str]) {
    let mut fixture = ready_for_packets(3).await;
    let all = || PacketTrouble { peers: peers.iter().map(|name| (*name).to_owned()).collect(), ..all() };
    for trouble in [
        PacketTrouble { loss: 20, ..all() },
        PacketTrouble { loss: 100, ..all() },
        PacketTrouble { duplicate: 10, ..all() },
        PacketTrouble { late: 20, ..all() },
        PacketTrouble { corrupt: 15, ..all() },
        PacketTrouble { delay: ms(30), ..all() },
        PacketTrouble { jitter: ms(40), ..all() },
        PacketTrouble { rate: Some(2_000), ..all() },
        PacketTrouble { loss: 5, duplicate: 5, late: 5, corrupt: 5, delay: ms(5), jitter: ms(10), ..all() },
    ] {
        let active = fixture.start(Fault::Packets(trouble)).await;
        let (links, calm) = seen(&active.receipt.evidence);
        assert_eq!((links.len(), calm), (6, 6), "{}", active.fault);
        let evidence = fixture.stop(active).await.evidence;
        assert_eq!((seen(&evidence).0.len(), seen(&evidence).1), (6, 12), "it had lasted, and all is calm");
    }
}

async fn asked_links_only() {
    let mut fixture = ready_for_packets(3).await;
    let trouble = PacketTrouble { peers: vec!["n2".into()], loss: 30, ..PacketTrouble::none(nodes(&["n1"])) };
    for (direction, links) in [(Direction::Out, vec!["n1→n2"]), (Direction::Both, vec!["n1→n2", "n2→n1"])] {
        let active = fixture.start(Fault::Packets(PacketTrouble { direction, ..trouble.clone() })).await;
        let (troubled, calm) = seen(&active.receipt.evidence);
        let hit: Vec<&str> = troubled.iter().map(|seen| seen.link.as_str()).collect();
        assert_eq!((hit, calm), (links.clone(), 12 - links.len()));
        assert!(troubled.iter().all(|seen| seen.lost > 0), "{troubled:?}");
        fixture.stop(active).await;
    }
}

/// The datagrams that a kernel has dropped for their checksum.
fn wrong_sums(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/net/snmp")).expect("it lives");
    let lines: Vec<Vec<&str>> =
        text.lines().filter(|line| line.starts_with("Udp:")).map(|line| line.split(' ').collect()).collect();
    let column = lines[0].iter().position(|name| *name == "InCsumErrors").expect("the kernel counts them");
    lines[1][column].parse().expect("a number")
}

async fn pid(fixture: &mut Fixture, node: &str) -> i32 {
    let active = fixture.start(Fault::Pause(nodes(&[node]))).await;
    let Evidence::Stopped(processes) = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    let pid = processes[0].pid;
    fixture.stop(active).await;
    pid
}

async fn wrong_bits() {
    const SENT: u64 = 400;
    let mut fixture = ready_for_packets(2).await;
    let (one, two) = (pid(&mut fixture, "n1").await, pid(&mut fixture, "n2").await);
    let at = |node: &Node| SocketAddr::new(node.address, 9_999);
    let (from, to) = (at(fixture.node("n1")), at(fixture.node("n2")));
    let sender = within(one, move || UdpSocket::bind(from).expect("a port of the node's own"));
    let receiver = within(two, move || UdpSocket::bind(to).expect("a port of the node's own"));
    receiver.set_read_timeout(Some(ms(50))).expect("a time is a time");
    // It is read only when all was sent.
    setsockopt(&receiver, sockopt::RcvBufForce, &(8 << 20)).expect("the sandbox's root may");
    let active = fixture.start(Fault::Packets(PacketTrouble { corrupt: 25, ..all() })).await;
    let before = wrong_sums(two);
    let mut arrived = 0;
    for number in 0..SENT {
        sender.send_to(&number.to_be_bytes(), to).expect("the socket is open");
    }
    let mut buffer = [0; 64];
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut dropped = 0;
    while arrived + dropped < SENT && Instant::now() < deadline {
        if let Ok(length) = receiver.recv(&mut buffer) {
            let number = u64::from_be_bytes(buffer[..length].try_into().expect("eight bytes"));
            assert!(number < SENT, "a wrong bit came through: {number}");
            arrived += 1;
        }
        dropped = wrong_sums(two) - before;
    }
    assert_eq!(arrived + dropped, SENT, "what did not arrive, the receiver's kernel has found to be damaged");
    assert!((40..200).contains(&dropped), "{dropped} of {SENT} with 25 %");
    fixture.stop(active).await;
}

/// The hub forwards packets itself, and the switch sees none.
async fn past_the_switch() {
    let mut fixture = ready_for_packets(3).await;
    ip("rule del iif grudge0");
    let fault = Fault::Packets(PacketTrouble { corrupt: 50, ..all() });
    let error = fixture.try_start(fault).await.expect_err("nothing is damaged");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("packets were damaged, and 50 % should be"), "{error}");
}

fn with_clients(node: &str) -> PacketTrouble {
    PacketTrouble { peers: vec!["clients".into()], ..PacketTrouble::none(nodes(&[node])) }
}

/// A client of a port of n1's own that has every byte answered.
async fn echoed(fixture: &mut Fixture) -> TcpStream {
    let pid = pid(fixture, "n1").await;
    let address = SocketAddr::new(fixture.node("n1").address, 9_999);
    let listener = within(pid, move || TcpListener::bind(address).expect("a port of the node's own"));
    std::thread::spawn(move || {
        let (mut called, _) = listener.accept().expect("somebody calls");
        called.set_nodelay(true).expect("TCP can");
        let mut byte = [0];
        while called.read_exact(&mut byte).is_ok() && called.write_all(&byte).is_ok() {}
    });
    let client = TcpStream::connect(address).expect("somebody listens");
    client.set_nodelay(true).expect("TCP can");
    client
}

/// The shortest of a few round trips.
fn round_trip(client: &mut TcpStream) -> Duration {
    let mut trip = || {
        let began = Instant::now();
        client.write_all(&[1]).expect("it is connected");
        client.read_exact(&mut [0]).expect("it is answered");
        began.elapsed()
    };
    (0..10).map(|_| trip()).min().expect("ten of them")
}

async fn a_client_sees_it() {
    let mut fixture = ready_for_packets(2).await;
    let mut client = echoed(&mut fixture).await;
    assert!(round_trip(&mut client) < ms(40));
    for (direction, times) in [(Direction::In, 1), (Direction::Out, 1), (Direction::Both, 2)] {
        let trouble = PacketTrouble { direction, delay: ms(40), ..with_clients("n1") };
        let active = fixture.start(Fault::Packets(trouble)).await;
        let took = round_trip(&mut client);
        assert!(took >= ms(40) * times, "{took:?} with {}", active.fault);
        assert!(reachable(fixture.node("n1")).await, "a new connection can be made");
        fixture.stop(active).await;
        let took = round_trip(&mut client);
        assert!(took < ms(40), "{took:?} after {direction:?}");
    }
}

/// How many bytes, and how many packets as its kernel counts them, a node has received.
fn received(pid: i32) -> (u64, u64) {
    let text = fs::read_to_string(format!("/proc/{pid}/net/dev")).expect("it lives");
    let line = text.lines().find_map(|line| line.trim().strip_prefix("eth0:")).expect("its device");
    let mut numbers = line.split_whitespace().map(|word| word.parse().expect("a number"));
    (numbers.next().expect("bytes"), numbers.next().expect("packets"))
}

async fn single_packets() {
    let mut fixture = ready_for_packets(2).await;
    let (one, two) = (pid(&mut fixture, "n1").await, pid(&mut fixture, "n2").await);
    let address = SocketAddr::new(fixture.node("n2").address, 9_999);
    let listener = within(two, move || TcpListener::bind(address).expect("a port of the node's own"));
    let caller = within(one, move || TcpStream::connect(address).expect("somebody listens"));
    let client = TcpStream::connect(address).expect("somebody listens");
    let trouble = PacketTrouble { delay: ms(20), direction: Direction::In, ..PacketTrouble::none(nodes(&["n2"])) };
    let trouble = PacketTrouble { peers: vec!["n1".into(), "clients".into()], ..trouble };
    let active = fixture.start(Fault::Packets(trouble)).await;
    for mut sender in [caller, client] {
        let (mut called, _) = listener.accept().expect("somebody has called");
        let before = received(two);
        let sending = std::thread::spawn(move || sender.write_all(&vec![7; 1 << 20]));
        called.read_exact(&mut vec![0; 1 << 20]).expect("all of it arrives");
        sending.join().expect("it only sends").expect("somebody reads");
        let after = received(two);
        let mean = (after.0 - before.0) / (after.1 - before.1);
        assert!(mean <= 1_514, "a packet has {mean} bytes");
    }
    fixture.stop(active).await;
}

async fn clients_past_the_switch() {
    let mut fixture = ready_for_packets(3).await;
    for direction in [Direction::In, Direction::Out] {
        let fault = Fault::Packets(PacketTrouble { direction, corrupt: 50, ..with_clients("n1") });
        let active = fixture.start(fault.clone()).await;
        ip("route del default table 42");
        let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
        assert!(error.to_string().contains("packets were damaged, and 50 % should be"), "{error}");
        let error = fixture.try_start(fault).await.expect_err("nothing is damaged");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        ip("route add default dev grudge-tun src 10.42.0.254 table 42");
    }
}

async fn clients_cut_in_trouble() {
    let mut fixture = ready_for_packets(3).await;
    let delayed = PacketTrouble { delay: ms(20), targets: Targets::All, ..with_clients("n1") };
    let delayed = fixture.start(Fault::Packets(delayed)).await;
    let cut = fixture.start(Fault::Partition(Shape::LeaderFromClients)).await;
    let Evidence::Links { silent, passing } = &cut.receipt.evidence else { panic!("{:?}", cut.receipt) };
    assert_eq!((silent.len(), *passing), (2, 10));
    assert!(!reachable(fixture.node("n1")).await && reachable(fixture.node("n2")).await);
    let Evidence::Packets { troubled, unmeasured, calm, .. } = fixture.stop(delayed).await.evidence else {
        panic!("packets are proven by packets")
    };
    assert_eq!((troubled.len(), unmeasured.len(), calm), (4, 2, 10));
    fixture.stop(cut).await;
    assert!(reachable(fixture.node("n1")).await);
}

async fn ended_early() {
    let mut fixture = ready_for_packets(3).await;
    for trouble in [PacketTrouble { duplicate: 20, ..all() }, PacketTrouble { corrupt: 20, delay: ms(20), ..all() }] {
        let active = fixture.start(Fault::Packets(trouble)).await;
        ip("rule del iif grudge0");
        let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
        assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
        ip("rule add iif grudge0 lookup 42");
    }
}

async fn netem_lets_go() {
    let mut fixture = ready_for_packets(3).await;
    let loss = Fault::Packets(PacketTrouble { loss: 50, ..all() });
    let active = fixture.start(loss.clone()).await;
    let Evidence::Packets { switch, .. } = active.receipt.evidence else { panic!("packets are proven by packets") };
    if switch.seen > 0 {
        anstream::eprintln!("skipped: no netem here, so the switch does all");
        return;
    }
    iproute2("tc", "qdisc replace dev n1 parent 1:2 handle 12: netem limit 100");
    let error = fixture.cluster.stop(active).await.expect_err("it had not lasted");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("packets were lost, and 50 % should be"), "{error}");
    let again = fixture.start(loss).await;
    fixture.stop(again).await;
}

async fn cut_in_trouble() {
    let mut fixture = ready_for_packets(3).await;
    let delayed = fixture.start(Fault::Packets(PacketTrouble { delay: ms(20), loss: 40, ..all() })).await;
    let alone = fixture.start(Fault::Partition(Shape::Node("n1".into()))).await;
    let Evidence::Links { silent, passing } = &alone.receipt.evidence else { panic!("{:?}", alone.receipt) };
    assert_eq!((silent.len(), *passing), (4, 8), "a cut is told from a loss");
    let its_own = Fault::Packets(PacketTrouble { loss: 10, ..PacketTrouble::none(nodes(&["n1"])) });
    let error = fixture.try_start(its_own).await.expect_err("all of its links are cut");
    assert!(matches!(error, FaultError::Inapplicable(_)), "{error}");
    let Evidence::Packets { troubled, unmeasured, calm, .. } = fixture.stop(delayed).await.evidence else {
        panic!("packets are proven by packets")
    };
    assert_eq!((troubled.len(), unmeasured.len(), calm), (2, 4, 8));
    fixture.stop(alone).await;
}

async fn two_troubles() {
    let mut fixture = ready_for_packets(3).await;
    let first = fixture.start(Fault::Packets(PacketTrouble { loss: 30, ..all() })).await;
    let second = PacketTrouble { peers: vec!["n2".into()], duplicate: 30, ..PacketTrouble::none(nodes(&["n1"])) };
    let second = fixture.start(Fault::Packets(second)).await;
    assert_eq!(seen(&second.receipt.evidence).1, 6, "all other links between nodes are in trouble, too");
    fixture.stop(second).await;
    assert_eq!(seen(&fixture.stop(first).await.evidence).1, 12);
}

async fn reset() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let error = fixture.try_start(Fault::Reset(Targets::All)).await.expect_err("stand-ins do not talk to each other");
    assert!(matches!(error, FaultError::Inapplicable(_)), "{error}");
    let (listener, mut caller, mut called) = connected(&mut fixture).await;
    let (from, to) = (fixture.node("n1").address, fixture.node("n2").address);
    let peer = called.peer_addr().expect("it is connected");
    let mut client = TcpStream::connect((to, 9_999)).expect("somebody listens");
    let (mut served, _) = listener.accept().expect("somebody calls");

    let elsewhere = fixture.try_start(Fault::Reset(nodes(&["n3"]))).await.expect_err("it has no connection");
    assert!(matches!(elsewhere, FaultError::Inapplicable(_)), "{elsewhere}");
    let active = fixture.start(Fault::Reset(nodes(&["n2"]))).await;
    assert_eq!(peer.ip(), from);
    let expected = format!("n1:{}→n2:9999", peer.port());
    assert_eq!(active.receipt.evidence, Evidence::Reset(vec![expected]));
    for end in [&mut caller, &mut called] {
        let error = end.read(&mut [0]).expect_err("it was reset");
        let reset = [ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted];
        assert!(reset.contains(&error.kind()), "{error}");
    }
    client.write_all(b"x").expect("a client's connection is left alone");
    served.read_exact(&mut [0]).expect("and carries what it should");
    assert_eq!(fixture.stop(active).await.evidence, Evidence::Reset(vec![]));
}

/// A connection from n1 to n2, and what listens there.
async fn connected(fixture: &mut Fixture) -> (TcpListener, TcpStream, TcpStream) {
    let (one, two) = (pid(fixture, "n1").await, pid(fixture, "n2").await);
    let to = fixture.node("n2").address;
    let listener = within(two, move || TcpListener::bind((to, 9_999)).expect("a port of the node's own"));
    let caller = within(one, move || TcpStream::connect((to, 9_999)).expect("somebody listens"));
    let (called, _) = listener.accept().expect("somebody calls");
    (listener, caller, called)
}

/// As on a kernel that shows nobody its sockets. In a thread of its own, from which all others here have it.
async fn reset_refused() {
    let refused = std::thread::spawn(|| {
        let sockets = u32::try_from(libc::NETLINK_SOCK_DIAG).expect("a small number");
        forbid(libc::SYS_socket, Some(sockets), libc::EPROTONOSUPPORT).expect("anybody may have less");
        tokio::runtime::Runtime::new().expect("a runtime").block_on(not_reset());
    });
    refused.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}

async fn not_reset() {
    let mut fixture = Fixture::up(Manner::Serve, 2).await;
    let (_listener, mut caller, mut called) = connected(&mut fixture).await;
    let error = fixture.try_start(Fault::Reset(nodes(&["n2"]))).await.expect_err("nothing is reset");
    assert!(matches!(error, FaultError::Failed { .. }), "{error}");
    assert_eq!(
        error.to_string(),
        "reset of n2 could not be done: the cluster's network cannot be used: Protocol not supported (os error 93)"
    );
    caller.write_all(b"x").and_then(|()| called.read_exact(&mut [0])).expect("the connection is as it was");
}

async fn reachable(node: &Node) -> bool {
    let connect = tokio::net::TcpStream::connect(node.client_address);
    matches!(tokio::time::timeout(ms(300), connect).await, Ok(Ok(_)))
}

async fn from_clients() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let active = fixture.start(Fault::Partition(Shape::LeaderFromClients)).await;
    assert_eq!(active.fault.to_string(), "partition n1→clients, clients→n1");
    let Evidence::Links { silent, passing } = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
    assert_eq!((silent.as_slice(), *passing), (["n1→clients".to_owned(), "clients→n1".to_owned()].as_slice(), 10));
    assert!(!reachable(fixture.node("n1")).await, "clients do not reach the leader");
    assert!(reachable(fixture.node("n2")).await, "and all others");
    assert_eq!(fixture.cluster.leader().await, None, "and nor does the harness learn who leads");
    let again = fixture.try_start(Fault::Partition(Shape::Leader)).await.expect_err("nobody says that it leads");
    assert!(matches!(again, FaultError::Inapplicable(_)), "{again}");
    let Evidence::Links { silent, passing: 12 } = fixture.stop(active).await.evidence else {
        panic!("all is whole again")
    };
    assert!(silent.is_empty() && reachable(fixture.node("n1")).await);
}

async fn restarted_without_clients() {
    let mut fixture = Fixture::up(Manner::Serve, 3).await;
    let cuts = [("n1".to_owned(), ["clients".to_owned()].into())];
    let cut = fixture.start(Fault::Partition(Shape::Cuts(cuts.into()))).await;
    let killed = fixture.start(Fault::Kill(nodes(&["n1"]))).await;
    assert!(matches!(fixture.stop(killed).await.evidence, Evidence::Restarted(_)));
    assert!(!reachable(fixture.node("n1")).await);
    fixture.stop(cut).await;
    assert!(reachable(fixture.node("n1")).await);
}

/// Sends numbered datagrams over all links in turn, one after the other by one thread on one processor, so that what is
/// sent later is looked at by the rules later. Answers over which link each went, and whether it arrived.
fn flood(sockets: &[UdpSocket], sent: &AtomicUsize, done: &AtomicBool) -> Vec<((usize, usize), bool)> {
    // Any one of those that this process may use.
    let allowed = sched_getaffinity(Pid::from_raw(0)).expect("every thread may ask");
    let mut one = CpuSet::new();
    let first = (0..CpuSet::count()).find(|cpu| allowed.is_set(*cpu).unwrap_or(false)).expect("it runs somewhere");
    one.set(first).expect("it is one of them");
    sched_setaffinity(Pid::from_raw(0), &one).expect("fewer are always allowed");
    let addresses: Vec<SocketAddr> = sockets.iter().map(|socket| socket.local_addr().expect("it is bound")).collect();
    let mut all = Vec::new();
    let drain = |all: &mut Vec<((usize, usize), bool)>| {
        for socket in sockets {
            let mut number = [0; 8];
            while socket.recv(&mut number).is_ok() {
                all[u64::from_be_bytes(number) as usize].1 = true;
            }
        }
    };
    while !done.load(Ordering::SeqCst) {
        for (from, socket) in sockets.iter().enumerate() {
            for (to, address) in addresses.iter().enumerate().filter(|(to, _)| *to != from) {
                socket.send_to(&(all.len() as u64).to_be_bytes(), address).expect("a datagram can be sent");
                all.push(((from, to), false));
            }
        }
        drain(&mut all);
        sent.store(all.len(), Ordering::SeqCst);
    }
    std::thread::sleep(ms(100));
    drain(&mut all);
    all
}

/// Waits until some more datagrams were sent.
async fn some_more(sent: &AtomicUsize) {
    let before = sent.load(Ordering::SeqCst);
    while sent.load(Ordering::SeqCst) < before + 200 {
        tokio::time::sleep(ms(1)).await;
    }
}

async fn at_one_instant() {
    let mut fixture = Fixture::up(Manner::Serve, 5).await;
    if fixture.cluster.filter_place().await != Some(FilterPlace::Hub) {
        anstream::eprintln!("skipped: no br_netfilter here, so each node has rules of its own");
        return;
    }
    let mut sockets = Vec::new();
    for name in ["n1", "n2", "n3", "n4", "n5"] {
        let (pid, address) = (pid(&mut fixture, name).await, SocketAddr::new(fixture.node(name).address, 9_999));
        sockets.push(within(pid, move || UdpSocket::bind(address).expect("a port of the node's own")));
        sockets.last().expect("just made").set_nonblocking(true).expect("any socket can be");
    }
    let (sent, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let flooding = {
        let (sent, done) = (Arc::clone(&sent), Arc::clone(&done));
        std::thread::spawn(move || flood(&sockets, &sent, &done))
    };
    let mut cuts = Vec::new();
    for shape in [Shape::Halves, Shape::MajoritiesRing, Shape::Bridge, Shape::OneWay, Shape::Minority, Shape::Halves] {
        let from = sent.load(Ordering::SeqCst);
        some_more(&sent).await;
        let active = fixture.start(Fault::Partition(shape)).await;
        let Evidence::Links { silent, .. } = &active.receipt.evidence else { panic!("{:?}", active.receipt) };
        let index = |name: &str| name[1..].parse::<usize>().expect("a node's name") - 1;
        let links = silent.iter().map(|link| link.split_once('\u{2192}').expect("an arrow"));
        let links: BTreeSet<(usize, usize)> = links.map(|(from, to)| (index(from), index(to))).collect();
        some_more(&sent).await;
        fixture.stop(active).await;
        let until = sent.load(Ordering::SeqCst);
        cuts.push((from, until, links));
        some_more(&sent).await;
    }
    done.store(true, Ordering::SeqCst);
    let all = flooding.join().expect("it only sends");
    for (from, until, links) in cuts {
        let meanwhile = &all[from..until + 100];
        let (cut, open): (Vec<_>, Vec<_>) = meanwhile.iter().copied().partition(|(link, _)| links.contains(link));
        assert!(open.iter().all(|(_, arrived)| *arrived), "a link that was not cut has lost something: {links:?}");
        let cut: Vec<bool> = cut.into_iter().map(|(_, arrived)| arrived).collect();
        let changes = cut.windows(2).filter(|pair| pair[0] != pair[1]).count();
        assert_eq!((changes, cut[0], cut[cut.len() - 1]), (2, true, true), "passed, were cut, passed again: {links:?}");
    }
}
