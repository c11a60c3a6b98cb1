//! Sockets in the network of a node.

use std::fs::File;

use nix::sched::{CloneFlags, setns};

/// Does something in the network namespace of a node's process.
pub fn within<T: Send + 'static>(pid: i32, task: impl FnOnce() -> T + Send + 'static) -> T {
    let entered = move || {
        let namespace = File::open(format!("/proc/{pid}/ns/net")).expect("it lives");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("the sandbox's root may");
        task()
    };
    std::thread::spawn(entered).join().expect("it only opens a socket")
}
