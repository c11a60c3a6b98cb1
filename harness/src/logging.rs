//! Where log lines go: standard error, above the progress line, and `grudge.log` once there is a run folder.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use tracing::Level;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

static RUN_LOG: Mutex<Option<File>> = Mutex::new(None);
static PROGRESS: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Sets logging up, once. Standard error gets warnings, or more with `-v`; the run's file gets everything of ours.
pub fn init(verbose: u8) {
    let level = match verbose {
        0 => LevelFilter::WARN,
        1 => LevelFilter::INFO,
        2 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let screen = fmt::layer()
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .without_time()
        .with_writer(|| Screen)
        .with_filter(targets(level, LevelFilter::ERROR.min(level)));
    let file = fmt::layer()
        .with_ansi(false)
        .with_writer(|| RunLog)
        .with_filter(targets(LevelFilter::DEBUG, LevelFilter::from_level(Level::WARN)));
    // A second subscriber in one process happens in tests only, and the first is as good.
    let _ = tracing_subscriber::registry().with(screen).with(file).try_init();
}

fn targets(ours: LevelFilter, others: LevelFilter) -> Targets {
    Targets::new()
        .with_default(others)
        .with_target("grudge", ours)
        .with_target("grudge_nodes", ours)
        .with_target("grudge_workloads", ours)
        .with_target("grudge_checkers", ours)
}

/// From now on log lines are written to this file too; `None` ends that.
pub fn set_run_log(file: Option<File>) {
    *RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner) = file;
}

/// From now on lines on standard error are printed above this progress line; `None` ends that.
pub fn set_progress(bar: Option<ProgressBar>) {
    *PROGRESS.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

struct Screen;

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let bar = PROGRESS.lock().unwrap_or_else(PoisonError::into_inner);
        match bar.as_ref() {
            Some(bar) => bar.suspend(|| io::stderr().write_all(bytes))?,
            None => io::stderr().write_all(bytes)?,
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

struct RunLog;

impl Write for RunLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(file) = RUN_LOG.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            file.write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
