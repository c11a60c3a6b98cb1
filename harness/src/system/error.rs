//! What is wrong with a wish for a system.

use std::path::PathBuf;

use thiserror::Error;

use crate::exit::Failure;

/// A system that is not known or badly described, or a wish that it cannot fulfil.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum SystemError {
    /// Nobody knows this system.
    #[error(
        "there is no system `{name}`; the systems known are: {known}; a file that describes another is named by its path"
    )]
    Unknown {
        /// The name asked for.
        name: String,
        /// All names, with commas.
        known: String,
    },
    /// The file does not describe a system.
    #[error("{file} describes no system: {cause}", file = file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// What is wrong with it, and in which line.
        cause: String,
    },
    /// The bug belongs to another system.
    #[error("system `{system}` cannot be started with bug `{bug}`; the bugs it knows are: {known}")]
    Bug {
        /// The system.
        system: String,
        /// The bug asked for.
        bug: String,
        /// All of its bugs, with commas.
        known: String,
    },
    /// It cannot have so many nodes.
    #[error("system `{system}` has at most {most} node{s}, not {nodes}", s = if *most == 1 { "" } else { "s" })]
    Nodes {
        /// The system.
        system: String,
        /// How many it can have.
        most: usize,
        /// How many were asked for.
        nodes: usize,
    },
    /// Something is not on this machine.
    #[error("system `{system}` needs {file}, which is not on this machine: {install}", file = file.display())]
    Missing {
        /// The system.
        system: String,
        /// What is missing.
        file: PathBuf,
        /// The command that installs it.
        install: String,
    },
}

impl From<SystemError> for Failure {
    /// A machine that lacks something is no fault of the arguments.
    fn from(error: SystemError) -> Failure {
        match error {
            SystemError::Missing { .. } => Failure::Harness(error.into()),
            _ => Failure::BadArguments(error.to_string()),
        }
    }
}
