//! The memory of another process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;

use nix::unistd::Pid;

/// Its memory as a file. It can be written to whatever its pages allow the process itself.
pub(super) struct Memory {
    pid: Pid,
    file: File,
}

impl Memory {
    pub(super) fn of(pid: Pid) -> Result<Memory, String> {
        let path = format!("/proc/{pid}/mem");
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(|error| format!("{path} cannot be opened: {error}; grudge doctor may know why"))?;
        Ok(Memory { pid, file })
    }

    pub(super) fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; length];
        self.file.read_exact_at(&mut bytes, at).map_err(|error| self.failed("read", &error))?;
        Ok(bytes)
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) -> Result<(), String> {
        self.file.write_all_at(bytes, at).map_err(|error| self.failed("written", &error))
    }

    /// The words from there on, as many as there are, up to so many bytes.
    pub(super) fn upwards(&self, at: u64, most: usize) -> Vec<u64> {
        let mut bytes = vec![0; most];
        let mut read = 0;
        // A read that ends in a hole fails as a whole or is short; pages that were read before it count.
        while let Ok(more @ 1..) = self.file.read_at(&mut bytes[read..(read + 4096).min(most)], at + read as u64) {
            read += more;
            if read == most {
                break;
            }
        }
        bytes[..read].chunks_exact(8).map(|word| u64::from_le_bytes(word.try_into().expect("eight bytes"))).collect()
    }

    fn failed(&self, what: &str, error: &io::Error) -> String {
        // A process that has ended has a memory of no bytes.
        let ended = error.raw_os_error().is_none();
        let why = if ended { "it has ended".to_owned() } else { error.to_string() };
        format!("the memory of process {} cannot be {what}: {why}", self.pid)
    }
}
