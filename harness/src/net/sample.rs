//! Looking at packets from the inside: what becomes of a numbered burst over a link?
//!
//! Each node has a raw socket in its own namespace, and the clients have one in the hub, for a protocol that nothing
//! else uses (253, for experiments: RFC 3692). No transport drops what is damaged, so a wrong bit is seen as such.
//! Behind a burst follows a sentinel that is not treated: when it has arrived, nothing of the burst is left on the way
//! but what is held up.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{Domain, Protocol, Socket, Type};

use super::link::{Space, failed, inside};
use super::{EXEMPT, HUB, NetError, party};

/// The protocol's number.
const PROTOCOL: i32 = 253;
/// The shortest payload of a packet.
pub(crate) const SHORTEST: usize = 64;
/// The header of an IP packet, without which a payload does not travel.
pub(crate) const HEADER: usize = 20;
/// How much a socket holds until it is read.
const BUFFER: usize = 8 << 20;
/// How many packets are sent before those that have arrived are read.
const BATCH: u32 = 32;
/// How long a sentinel has time to arrive, and how often it is repeated meanwhile.
const DELIVERY: Duration = Duration::from_secs(5);
const REPEAT: Duration = Duration::from_millis(20);
/// How long is listened after what should be the last packet.
const GRACE: Duration = Duration::from_millis(3);
/// Spreads the numbers of rounds, so that a wrong bit does not make one of another.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// A directed link, from sender to receiver.
type Link = (usize, usize);

/// What is sent over a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    /// How many packets.
    pub packets: u32,
    /// How many bytes each has, its header included.
    pub bytes: usize,
    /// How long is waited at most for those that are held up.
    pub held_up: Duration,
}

/// What has become of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Sample {
    /// Packets that were sent.
    pub sent: u32,
    /// Packets of which nothing arrived.
    pub lost: u32,
    /// Packets that arrived more than once.
    pub twice: u32,
    /// Packets that arrived after a later one.
    pub overtaken: u32,
    /// Packets that arrived with a wrong bit.
    pub damaged: u32,
    /// The shortest and the longest time that one was on its way; none if none arrived whole.
    pub took: Option<(Duration, Duration)>,
    /// How long the sending took.
    pub sending: Duration,
    /// The time from the first sending to the last arrival, and how many bytes arrived in it, each packet once.
    pub arriving: (Duration, u64),
}

/// A raw socket in each node's namespace, and after them the clients'.
pub(super) struct Sampler {
    ears: Vec<(UdpSocket, Ipv4Addr)>,
    rounds: u64,
    began: Instant,
}

/// What a packet says.
#[derive(Clone, Copy)]
struct Word {
    round: u64,
    number: u32,
    sentinel: bool,
    sent: Duration,
}

/// What has arrived of one link's burst.
#[derive(Default)]
struct Arrivals {
    /// How often each number arrived.
    whole: Vec<u32>,
    /// How often each damaged packet arrived.
    damaged: BTreeMap<Vec<u8>, u32>,
    sentinel: bool,
    highest: Option<u32>,
    overtaken: u32,
    took: Option<(Duration, Duration)>,
    sent: (Duration, Duration),
    last: Duration,
    bytes: u64,
}

impl Sampler {
    pub(super) fn new(nodes: &[Space]) -> Result<Sampler, NetError> {
        let ear = |node: &Space| {
            let socket = inside(node.namespace.as_fd(), raw_socket);
            socket.map(|socket| (socket, node.address)).map_err(failed(format!("open a raw socket of {}", node.name)))
        };
        let mut ears = nodes.iter().map(ear).collect::<Result<Vec<_>, _>>()?;
        ears.push((raw_socket().map_err(failed("open a raw socket of the hub"))?, HUB));
        Ok(Sampler { ears, rounds: 0, began: Instant::now() })
    }

    /// Sends a burst over each of these links, one after the other, and counts what arrives. Blocks meanwhile.
    pub(super) fn sample(&mut self, bursts: &BTreeMap<Link, Burst>) -> io::Result<BTreeMap<Link, Sample>> {
        self.rounds += 1;
        let round = self.rounds.wrapping_mul(SPREAD);
        let mut all: BTreeMap<Link, Arrivals> = BTreeMap::new();
        for (link, burst) in bursts {
            let empty = Arrivals { whole: vec![0; burst.packets as usize], ..Arrivals::default() };
            all.insert(*link, empty);
        }
        for (link, burst) in bursts {
            let began = self.began.elapsed();
            for number in 0..burst.packets {
                self.send(*link, Word { round, number, sentinel: false, sent: self.began.elapsed() }, burst.bytes)?;
                if number % BATCH == BATCH - 1 {
                    self.listen(round, &mut all)?;
                }
            }
            all.get_mut(link).expect("it was put there").sent = (began, self.began.elapsed());
            // What has arrived does not wait for the bursts over other links.
            self.listen(round, &mut all)?;
        }
        self.await_sentinels(round, &mut all)?;
        self.await_held_up(round, bursts, &mut all)?;
        Ok(all.into_iter().map(|(link, arrivals)| (link, arrivals.counted())).collect())
    }

    fn await_sentinels(&self, round: u64, all: &mut BTreeMap<Link, Arrivals>) -> io::Result<()> {
        let deadline = Instant::now() + DELIVERY;
        loop {
            let missing: Vec<Link> = all.iter().filter(|(_, it)| !it.sentinel).map(|(link, _)| *link).collect();
            let Some((from, to)) = missing.first() else { return Ok(()) };
            if Instant::now() >= deadline {
                let [from, to] = [from, to].map(|party| self.ears[*party].1);
                let lost = format!("no packet at all gets from {from} to {to}, and that is not cut");
                return Err(io::Error::other(lost));
            }
            for link in missing {
                setsockopt(&self.ears[link.0].0, sockopt::Ipv4Tos, &i32::from(EXEMPT))?;
                let word = Word { round, number: 0, sentinel: true, sent: self.began.elapsed() };
                let sent = self.send(link, word, HEADER + SHORTEST);
                setsockopt(&self.ears[link.0].0, sockopt::Ipv4Tos, &0)?;
                sent?;
            }
            let again = Instant::now() + REPEAT;
            while Instant::now() < again && all.values().any(|it| !it.sentinel) {
                self.wait(again.saturating_duration_since(Instant::now()))?;
                self.listen(round, all)?;
            }
        }
    }

    /// Until all has arrived, or what has not arrived by now does not come any more.
    fn await_held_up(
        &self,
        round: u64,
        bursts: &BTreeMap<Link, Burst>,
        all: &mut BTreeMap<Link, Arrivals>,
    ) -> io::Result<()> {
        let held_up = bursts.values().map(|burst| burst.held_up).max().unwrap_or_default();
        let deadline = Instant::now() + held_up.max(GRACE);
        while Instant::now() < deadline && !all.values().all(Arrivals::complete) {
            self.wait(deadline.saturating_duration_since(Instant::now()))?;
            self.listen(round, all)?;
        }
        // The second of two copies is right behind the first.
        std::thread::sleep(GRACE);
        self.listen(round, all)
    }

    fn send(&self, (from, to): Link, word: Word, bytes: usize) -> io::Result<()> {
        let packet = word.written(bytes.max(HEADER + SHORTEST) - HEADER);
        let address = SocketAddr::from((self.ears[to].1, 0));
        match self.ears[from].0.send_to(&packet, address) {
            Ok(_) => Ok(()),
            // The kernel has no room for it at the moment: it is one that does not arrive.
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock) => Ok(()),
            Err(error) if error.raw_os_error() == Some(nix::libc::ENOBUFS) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Until there is something to read, or for so long.
    fn wait(&self, at_most: Duration) -> io::Result<()> {
        let mut ears: Vec<PollFd<'_>> =
            self.ears.iter().map(|(socket, _)| PollFd::new(socket.as_fd(), PollFlags::POLLIN)).collect();
        let milliseconds = u16::try_from(at_most.as_millis() + 1).unwrap_or(u16::MAX);
        match poll(&mut ears, milliseconds) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Reads all that has arrived.
    fn listen(&self, round: u64, all: &mut BTreeMap<Link, Arrivals>) -> io::Result<()> {
        let mut packet = [0; 2048];
        for (to, (socket, _)) in self.ears.iter().enumerate() {
            loop {
                let length = match socket.recv(&mut packet) {
                    Ok(length) => length,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error),
                };
                let now = self.began.elapsed();
                let Some((from, payload)) = opened(&packet[..length]) else { continue };
                let Some(from) = party(from, self.ears.len() - 1) else { continue };
                if let Some(arrivals) = all.get_mut(&(from, to)) {
                    arrivals.note(round, payload, now);
                }
            }
        }
        Ok(())
    }
}

fn raw_socket() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::from(PROTOCOL)))?;
    setsockopt(&socket, sockopt::RcvBufForce, &BUFFER)?;
    socket.set_nonblocking(true)?;
    // The standard library reads and writes any socket that has addresses of the Internet.
    Ok(UdpSocket::from(OwnedFd::from(socket)))
}

/// The sender and the payload of an IP packet.
fn opened(packet: &[u8]) -> Option<(Ipv4Addr, &[u8])> {
    let header = usize::from(packet.first()? & 0xf) * 4;
    let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
    Some((Ipv4Addr::from(from), packet.get(header..)?))
}

impl Word {
    /// A payload of that many bytes, which ends in its checksum.
    fn written(self, bytes: usize) -> Vec<u8> {
        let mut payload = vec![0x5a; bytes];
        payload[..8].copy_from_slice(&self.round.to_be_bytes());
        payload[8..12].copy_from_slice(&self.number.to_be_bytes());
        payload[12] = u8::from(self.sentinel);
        payload[13..21].copy_from_slice(&(self.sent.as_nanos() as u64).to_be_bytes());
        let (text, sum) = payload.split_at_mut(bytes - 4);
        sum.copy_from_slice(&crc32fast::hash(text).to_be_bytes());
        payload
    }

    /// What a payload says if it is whole.
    fn read(payload: &[u8]) -> Option<Word> {
        let (text, sum) = payload.split_last_chunk()?;
        if crc32fast::hash(text) != u32::from_be_bytes(*sum) {
            return None;
        }
        Some(Word {
            round: u64::from_be_bytes(text.get(..8)?.try_into().ok()?),
            number: u32::from_be_bytes(text.get(8..12)?.try_into().ok()?),
            sentinel: text.get(12)? == &1,
            sent: Duration::from_nanos(u64::from_be_bytes(text.get(13..21)?.try_into().ok()?)),
        })
    }
}

impl Arrivals {
    fn note(&mut self, round: u64, payload: &[u8], now: Duration) {
        match Word::read(payload) {
            Some(word) if word.round != round => {}
            Some(Word { sentinel: true, .. }) => self.sentinel = true,
            Some(word) => {
                let Some(times) = self.whole.get_mut(word.number as usize) else { return };
                *times += 1;
                if *times == 1 {
                    self.overtaken += u32::from(self.highest > Some(word.number));
                    self.highest = self.highest.max(Some(word.number));
                    self.arrived(payload.len(), now);
                }
                let took = now.saturating_sub(word.sent);
                let (shortest, longest) = self.took.unwrap_or((took, took));
                self.took = Some((shortest.min(took), longest.max(took)));
            }
            None => {
                // One wrong bit at the most, also in the number of the round; others are of an earlier round.
                let said = payload.first_chunk().map(|round| u64::from_be_bytes(*round));
                if said.is_some_and(|said| (said ^ round).count_ones() <= 1) {
                    let times = self.damaged.entry(payload.to_vec()).or_default();
                    *times += 1;
                    if *times == 1 {
                        self.arrived(payload.len(), now);
                    }
                }
            }
        }
    }

    fn arrived(&mut self, payload: usize, now: Duration) {
        self.bytes += (payload + HEADER) as u64;
        self.last = now;
    }

    fn distinct(&self) -> usize {
        self.whole.iter().filter(|times| **times > 0).count() + self.damaged.len()
    }

    fn complete(&self) -> bool {
        self.distinct() >= self.whole.len()
    }

    fn counted(&self) -> Sample {
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let twice = self.whole.iter().chain(self.damaged.values()).filter(|times| **times > 1).count();
        Sample {
            sent: count(self.whole.len()),
            lost: count(self.whole.len().saturating_sub(self.distinct())),
            twice: count(twice),
            overtaken: self.overtaken,
            damaged: count(self.damaged.len()),
            took: self.took,
            sending: self.sent.1 - self.sent.0,
            arriving: (self.last.saturating_sub(self.sent.0), self.bytes),
        }
    }
}

impl Sample {
    /// Both together, as if they had been one.
    pub(crate) fn and(self, other: &Sample) -> Sample {
        let took = match (self.took, other.took) {
            (Some((a, b)), Some((c, d))) => Some((a.min(c), b.max(d))),
            (one, another) => one.or(another),
        };
        // The rate is a matter of one burst, not of the pause between two.
        let larger = if self.arriving.1 > other.arriving.1 { &self } else { other };
        let (sending, arriving) = (larger.sending, larger.arriving);
        Sample {
            sent: self.sent + other.sent,
            lost: self.lost + other.lost,
            twice: self.twice + other.twice,
            overtaken: self.overtaken + other.overtaken,
            damaged: self.damaged + other.damaged,
            took,
            sending,
            arriving,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrivals(packets: usize) -> Arrivals {
        Arrivals { whole: vec![0; packets], ..Arrivals::default() }
    }

    fn word(number: u32) -> Word {
        Word { round: 7, number, sentinel: false, sent: Duration::from_millis(u64::from(number)) }
    }

    #[test]
    fn what_arrives_is_counted_by_what_became_of_it() {
        let mut seen = arrivals(5);
        for number in [0, 2, 1, 1] {
            seen.note(7, &word(number).written(64), Duration::from_millis(10));
        }
        let mut wrong = word(3).written(64);
        wrong[30] ^= 4;
        seen.note(7, &wrong, Duration::from_millis(12));
        seen.note(7, &Word { round: 6, ..word(4) }.written(64), Duration::from_millis(12));
        assert!(!seen.complete(), "number 4 is of another round");
        let sample = seen.counted();
        assert_eq!((sample.sent, sample.lost, sample.twice), (5, 1, 1));
        assert_eq!((sample.overtaken, sample.damaged), (1, 1));
        assert_eq!(sample.took, Some((Duration::from_millis(8), Duration::from_millis(10))));
        assert_eq!(sample.arriving, (Duration::from_millis(12), 4 * 84));
    }

    #[test]
    fn every_wrong_bit_is_seen() {
        let whole = word(3).written(64);
        for bit in 0..64 * 8 {
            let mut wrong = whole.clone();
            wrong[bit / 8] ^= 1 << (bit % 8);
            let mut seen = arrivals(5);
            seen.note(7, &wrong, Duration::ZERO);
            assert_eq!(seen.counted().damaged, 1, "bit {bit}");
        }
    }
}
