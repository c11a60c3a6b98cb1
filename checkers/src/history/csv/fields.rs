//! Where the columns of the schema are in a file.

use std::io::Read;

use super::COLUMNS;
use super::rows::Rows;
use crate::history::ReadError;

/// Places of columns, from 0.
#[derive(Debug)]
pub(super) struct Fields {
    pub(super) process: usize,
    pub(super) kind: usize,
    pub(super) f: usize,
    pub(super) value: usize,
    pub(super) index: Option<usize>,
    pub(super) time: Option<usize>,
    pub(super) key: Option<usize>,
    pub(super) node: Option<usize>,
    pub(super) error: Option<usize>,
    pub(super) version: Option<usize>,
    /// `start` and `end`, if the file has both: then a row is a whole operation.
    pub(super) span: Option<(usize, usize)>,
    /// What the schema does not know, with its names.
    pub(super) extra: Vec<(usize, String)>,
}

impl Fields {
    pub(super) fn find<R: Read>(rows: &Rows<R>) -> Result<Fields, ReadError> {
        let need = |name: &str| {
            rows.place(name).ok_or_else(|| {
                let found = rows.columns().join(", ");
                ReadError::new(1, None, format!("there is no column `{name}`, only: {found}"))
            })
        };
        let span = rows.place("start").zip(rows.place("end"));
        let known = |name: &str| COLUMNS.contains(&name) || (span.is_some() && (name == "start" || name == "end"));
        let columns = rows.columns().iter().enumerate();
        Ok(Fields {
            process: need("process")?,
            kind: need("type")?,
            f: need("f")?,
            value: need("value")?,
            index: rows.place("index"),
            time: rows.place("time"),
            key: rows.place("key"),
            node: rows.place("node"),
            error: rows.place("error"),
            version: rows.place("version"),
            span,
            extra: columns.filter(|(_, name)| !known(name)).map(|(at, name)| (at, name.clone())).collect(),
        })
    }
}
