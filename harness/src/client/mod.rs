//! Clients as processes of their own, which can be cut off, paused and killed as their nodes can.
//!
//! A client is a program that reads one JSON object a line on its standard input and answers each with one line on its
//! standard output. `grudge client PROTOCOL` is such a program and hosts the clients that come with this one; any other
//! that keeps to these lines will do. What it writes on its standard error goes to `clients/<worker>.log`.
//!
//! | it is told | it answers |
//! |---|---|
//! | `{"type":"start","worker":3,"workload":"lock","node":"n1","address":"10.42.0.1:2379","cluster":[{"node":"n1","address":"10.42.0.1:2379"},…],"timeout-ms":2000,"ttl-ms":4000}` | `ok`, once, at its start: it is there. It need not connect yet |
//! | `{"type":"open"}` | `ok`: it has a new connection and session with the node at `address`. `fail`: it has none now |
//! | `{"type":"invoke","f":"acquire","key":"0","value":null}` | `ok`, `fail` or `info`, after `timeout-ms` at the latest |
//! | `{"type":"close"}` | `ok`: it has said goodbye, and its session is gone |
//!
//! | answer | meaning |
//! |---|---|
//! | `{"type":"ok","value":7,"version":7}` | it happened; `value` and `version` are written into the history, and may be absent |
//! | `{"type":"fail","error":"taken"}` | it certainly did not happen, for this reason, a short word |
//! | `{"type":"info","error":"timeout"}` | nobody knows. It has let go of its session without a goodbye |
//!
//! An `ok` or a `fail` with `"over":true` says that it makes no more calls: its connection or session is gone. After
//! that and after an `info` it is told to `open` again before it is told anything else. It makes each call at most
//! once, and ends when its standard input does.
//!
//! `f`, `key` and `value` are those of the history. The operations of each workload are in `workloads/src/`.
//!
//! Whatever a client does instead ends as an outcome of the operation: `client-died`, `client-garbage`, and
//! `client-stuck` if it does not answer two seconds after `timeout-ms`. It is killed then, and another takes its place.

mod host;
mod lines;
pub(crate) mod process;
mod roster;
pub(crate) mod seat;

pub use host::serve;
pub use roster::{Clients, Roster};
pub use seat::Staff;
