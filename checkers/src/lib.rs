//! Histories, models and verdicts. Pure: bytes in, verdict out.
//!
//! A history says what clients asked, what they were told, and when. A checker decides whether a system that keeps
//! its promise could have answered so.
//!
//! ```
//! use grudge_checkers::{history::csv, linearizability, model::Register, verdict::Verdict};
//!
//! let file = "process,type,f,value\n\
//!             0,invoke,write,1\n\
//!             0,ok,write,1\n\
//!             1,invoke,read,\n\
//!             1,ok,read,null\n";
//! let (history, damage) = csv::read(file.as_bytes());
//! assert!(damage.is_none());
//! let verdict = linearizability::check(&history, &Register::default(), &Default::default());
//! let Verdict::Invalid { witness } = verdict else { panic!("the read missed an acknowledged write") };
//! assert_eq!(witness.events.len(), 4);
//! ```

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
