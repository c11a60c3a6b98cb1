//! The core in the simulator: golden scenarios, and chaos from seeds.

mod chaos;
mod ensemble;
mod golden;
pub(crate) mod halts;
mod hostile;
mod links;
mod planted;
mod teller;
