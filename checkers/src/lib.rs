#![doc = include_str!("../README.md")]

pub mod checker;
pub mod graph;
pub mod guess;
pub mod history;
pub mod judgement;
pub mod ladder;
pub mod lease;
pub mod linearizability;
pub mod model;
pub mod online;
pub mod pairs;
pub mod session;
pub mod set;
pub mod transactions;
pub mod verdict;
pub mod verify;
