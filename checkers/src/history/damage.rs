//! Why a file could not be read on, and where.

use std::{fmt, io};

/// Why a history could not be read on, and where.
#[derive(Debug)]
pub struct ReadError {
    /// The line of the file, from 1.
    pub line: u64,
    /// The column, if one is to blame.
    pub column: Option<Column>,
    /// What is wrong, in words.
    pub problem: String,
    /// The source's own error, if it is to blame.
    pub io: Option<io::Error>,
}

/// A column of a file: one of a table, or a place within a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Its place, from 1.
    pub number: usize,
    /// Its name in the first row of a table; empty if it has none.
    pub name: String,
}

impl ReadError {
    pub(super) fn new(line: u64, column: Option<Column>, problem: impl Into<String>) -> Self {
        ReadError { line, column, problem: problem.into(), io: None }
    }

    /// A character within a line.
    pub(super) fn at(line: u64, character: usize, problem: impl Into<String>) -> Self {
        ReadError::new(line, Some(Column { number: character, name: String::new() }), problem)
    }

    /// The source gave out.
    pub(super) fn source(line: u64, error: io::Error) -> Self {
        ReadError { line, column: None, problem: format!("cannot be read: {error}"), io: Some(error) }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        match &self.column {
            Some(column) if column.name.is_empty() => write!(f, ", column {}", column.number)?,
            Some(column) => write!(f, ", column {} ({})", column.number, column.name)?,
            None => {}
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for ReadError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.io.as_ref().map(|error| error as _)
    }
}
