//! The progress line: on a terminal only, and never a result.

use std::io::IsTerminal;
use std::time::Duration;

use grudge_checkers::history::Kind;
use indicatif::{ProgressBar, ProgressStyle};

use super::interpreter::NemesisRow;
use crate::logging;

/// Counts and shows how far the run has come.
pub(crate) struct Progress {
    bar: ProgressBar,
    ok: u64,
    fail: u64,
    info: u64,
    fault: String,
}

impl Progress {
    /// A line on standard error if that is a terminal, and nothing otherwise.
    pub(crate) fn new(total: Duration) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress::hidden();
        }
        let bar = ProgressBar::new(total.as_secs().max(1));
        let style = ProgressStyle::with_template("{elapsed:>4} {wide_bar:.cyan/dim} {msg}")
            .expect("the template is a constant")
            .progress_chars("━╸─");
        bar.set_style(style);
        logging::set_progress(Some(bar.clone()));
        Progress { bar, ok: 0, fail: 0, info: 0, fault: String::new() }
    }

    /// Shows nothing.
    pub(crate) fn hidden() -> Progress {
        Progress { bar: ProgressBar::hidden(), ok: 0, fail: 0, info: 0, fault: String::new() }
    }

    pub(crate) fn tick(&self, now: Duration) {
        if self.bar.is_hidden() {
            return;
        }
        self.bar.set_position(now.as_secs());
        self.bar.set_message(format!("{} ok {} fail {} info  {}", self.ok, self.fail, self.info, self.fault));
    }

    pub(crate) fn count(&mut self, kind: Kind) {
        match kind {
            Kind::Invoke => {}
            Kind::Ok => self.ok += 1,
            Kind::Fail => self.fail += 1,
            Kind::Info => self.info += 1,
        }
    }

    pub(crate) fn nemesis(&mut self, row: &NemesisRow) {
        match (row.kind, row.f.split_once('-')) {
            (Kind::Ok, Some(("start", fault))) => fault.clone_into(&mut self.fault),
            (Kind::Ok, Some(("stop", _))) => self.fault.clear(),
            _ => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        logging::set_progress(None);
        self.bar.finish_and_clear();
    }
}
