//! Small random histories of every kind, judged by the checkers and by programs that try every possibility; one file a
//! family of objects. `make fuzz` runs many, `cargo test --test fuzz` some.

#[path = "../common/mod.rs"]
mod common;

mod containers;
mod counter;
mod fenced;
mod kv;
mod lock;
mod mutex;
mod register;
mod transactions;
mod watching;
