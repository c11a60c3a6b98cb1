//! The thread that owns the log: group fsync.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc::UnboundedSender;

use crate::outbox::Write;
use crate::wal::{Wal, WalError};

/// The way to the disk.
pub(super) struct Writes<T> {
    queue: Option<Sender<Write<T>>>,
    thread: Option<JoinHandle<()>>,
}

impl<T> Writes<T> {
    /// Hands a write over. One that comes after a failure goes nowhere, and is never reported durable.
    pub(super) fn queue(&self, write: Write<T>) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(write);
        }
    }

    /// Waits until all that was handed over is done and the log is closed.
    pub(super) fn close(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the disk thread panicked");
        }
    }
}

/// Starts the thread; it reports the number of the last durable write, or the failure that ended it.
pub(super) fn start<T: Serialize + DeserializeOwned + Send + 'static>(
    wal: Wal<T>,
    synced: UnboundedSender<Result<u64, WalError>>,
) -> io::Result<Writes<T>> {
    let (queue, writes) = channel();
    let thread = std::thread::Builder::new().name("disk".to_owned()).spawn(move || run(wal, &writes, &synced))?;
    Ok(Writes { queue: Some(queue), thread: Some(thread) })
}

fn run<T: Serialize + DeserializeOwned>(
    mut wal: Wal<T>,
    writes: &Receiver<Write<T>>,
    synced: &UnboundedSender<Result<u64, WalError>>,
) {
    let mut done = 0;
    while let Ok(first) = writes.recv() {
        let group: Vec<Write<T>> = std::iter::once(first).chain(writes.try_iter()).collect();
        done += group.len() as u64;
        let result = write(&mut wal, group).map(|()| done);
        let failed = result.is_err();
        if synced.send(result).is_err() || failed {
            return;
        }
    }
}

fn write<T: Serialize + DeserializeOwned>(wal: &mut Wal<T>, group: Vec<Write<T>>) -> Result<(), WalError> {
    let mut appended = Vec::new();
    for write in group {
        match write {
            Write::Append(records) => appended.extend(records),
            Write::Rewrite(records) => {
                // It replaces all that came before it.
                appended.clear();
                wal.rewrite(&records)?;
            }
        }
    }
    if appended.is_empty() {
        return Ok(());
    }
    wal.append(&appended)?;
    wal.sync()
}
