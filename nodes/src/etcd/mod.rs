//! The etcd v3 API in front of the key-value replica.

/// The API's types, servers and clients, generated from `proto/etcd.proto`.
#[allow(missing_docs, clippy::all, clippy::pedantic, rustdoc::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/etcd.rs"));
}
