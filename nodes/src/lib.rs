//! The replicas: each protocol a state machine without I/O, one driver for real sockets and disks, one for memory.

pub mod agreement;
pub mod bugs;
pub mod command;
pub mod driver;
pub mod etcd;
pub mod events;
pub mod kv;
mod outbox;
pub mod point;
pub mod raft;
pub mod replica;
pub mod sim;
pub mod wal;
pub mod zab;
pub mod znode;
pub mod zookeeper;
