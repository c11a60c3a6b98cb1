//! ZooKeeper servers as clients see them: real replicas on real sockets and disks.

mod client;
mod cluster;
mod failover;
mod golden;
mod kazoo;
