//! The TUN device and the thread that empties it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::time::TimeSpec;

use super::core::{Core, Link};
use crate::net::{EXEMPT, party};

/// The device's name.
pub(in crate::net) const DEVICE: &str = "grudge-tun";
/// How many packets are read before those that are due go on.
const BATCH: usize = 64;
/// Longer than any packet of a link of the usual MTU.
const LONGEST_PACKET: usize = 2048;

nix::ioctl_write_ptr_bad!(name_device, libc::TUNSETIFF, libc::ifreq);

/// The device and its thread. Dropped, both are gone.
pub(in crate::net) struct Switch {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    core: Mutex<Core>,
    /// Rung when the thread should look at the core again.
    bell: EventFd,
    done: AtomicBool,
    /// How many nodes there are.
    nodes: usize,
}

impl Switch {
    /// Makes the device in the namespace of the calling thread. It is down and has no route yet.
    pub(in crate::net) fn up(seed: u64, nodes: usize) -> io::Result<Switch> {
        let device = device()?;
        let bell = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        let core = Mutex::new(Core::new(seed));
        let shared = Arc::new(Shared { core, bell, done: AtomicBool::new(false), nodes });
        let ours = Arc::clone(&shared);
        let thread = thread::Builder::new().name("switch".to_owned()).spawn(move || ours.run(device))?;
        Ok(Switch { shared, thread: Some(thread) })
    }

    /// Changes the core, and has the thread look at it at once.
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut Core) -> T) -> io::Result<T> {
        let changed = change(&mut self.shared.core.lock().unwrap_or_else(PoisonError::into_inner));
        self.shared.bell.write(1)?;
        Ok(changed)
    }

    pub(super) fn look<T>(&self, look: impl FnOnce(&Core) -> T) -> T {
        look(&self.shared.core.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.shared.done.store(true, Ordering::SeqCst);
        let rung = self.shared.bell.write(1);
        let joined = self.thread.take().map(JoinHandle::join);
        if rung.is_err() || matches!(joined, Some(Err(_))) {
            tracing::warn!("the switch did not end as it should");
        }
    }
}

fn device() -> io::Result<File> {
    let device = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
        .open("/dev/net/tun")?;
    // SAFETY: all of its fields are integers, for which zero is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(DEVICE.bytes()) {
        *place = byte.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as i16;
    // SAFETY: the descriptor is open and the request is what this ioctl reads.
    unsafe { name_device(device.as_raw_fd(), &raw const request) }?;
    Ok(device)
}

impl Shared {
    fn run(&self, mut device: File) {
        let began = Instant::now();
        let mut buffer = [0; LONGEST_PACKET];
        while !self.done.load(Ordering::SeqCst) {
            let mut core = self.core.lock().unwrap_or_else(PoisonError::into_inner);
            let more = self.read(&mut device, &mut core, &mut buffer, began);
            // Once for a whole batch: what becomes due meanwhile goes on in the next round.
            let now = began.elapsed();
            while let Some(packet) = core.due(now) {
                write(&mut device, &packet);
            }
            let next = core.next_due();
            drop(core);
            if !more && let Err(error) = self.wait(&device, next.map(|due| due.saturating_sub(began.elapsed()))) {
                tracing::error!("the switch stands still: {error}");
                return;
            }
        }
    }

    /// Until there is a packet, a change, or something due.
    fn wait(&self, device: &File, at_most: Option<Duration>) -> nix::Result<()> {
        let ready = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut both = [ready(device.as_fd()), ready(self.bell.as_fd())];
        match ppoll(&mut both, at_most.map(TimeSpec::from_duration), None) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
        match self.bell.read() {
            Ok(_) | Err(nix::errno::Errno::EAGAIN) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Hands a batch of packets to the core; true if there may be more.
    fn read(&self, device: &mut File, core: &mut Core, buffer: &mut [u8], began: Instant) -> bool {
        for _ in 0..BATCH {
            let packet = match device.read(buffer) {
                Ok(length) => &buffer[..length],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                Err(error) => {
                    tracing::warn!("the switch cannot read: {error}");
                    return false;
                }
            };
            match link(packet, self.nodes) {
                Some((_, EXEMPT)) => core.pass(began.elapsed(), packet.to_vec()),
                Some((link, _)) => core.receive(began.elapsed(), link, packet.to_vec()),
                // Neighbour discovery and the like, of IPv6 on the device itself.
                None => {}
            }
        }
        true
    }
}

/// The kernel takes a packet or drops it; it does not make us wait.
fn write(device: &mut File, packet: &[u8]) {
    if let Err(error) = device.write(packet) {
        tracing::debug!("the kernel does not take a packet of {} bytes: {error}", packet.len());
    }
}

/// From whom to whom, and the type of service; none of what is not IPv4 between nodes, or a node and the clients.
fn link(packet: &[u8], nodes: usize) -> Option<(Link, u8)> {
    if packet.len() < 20 || packet[0] >> 4 != 4 {
        return None;
    }
    let address = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    Some(((party(address(12), nodes)?, party(address(16), nodes)?), packet[1]))
}
