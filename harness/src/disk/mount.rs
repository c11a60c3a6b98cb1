//! A disk as the harness has it: the layer's process, the orders it gets, and the folder in which faults are proven.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use nix::mount::{MntFlags, umount2};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::probe::Probe;
use super::{Answer, Flip, Loss, Order, Troubles};

/// How long a layer has for an answer, and for its end.
const ANSWER: Duration = Duration::from_secs(30);

/// Why a disk does not do what it is told.
#[derive(Debug, Error)]
pub enum DiskError {
    /// It cannot be mounted.
    #[error("no layer can be mounted over {folder} ({said})", folder = folder.display())]
    Mount {
        /// Over which folder.
        folder: PathBuf,
        /// What the layer said.
        said: String,
    },
    /// Its process is gone, or does not answer.
    #[error("the layer over {folder} does not answer: {cause}", folder = folder.display())]
    Silent {
        /// Over which folder.
        folder: PathBuf,
        /// Why not.
        cause: String,
    },
    /// It cannot do it.
    #[error("the layer over {folder} says: {said}", folder = folder.display())]
    Failed {
        /// Over which folder.
        folder: PathBuf,
        /// What it said.
        said: String,
    },
}

/// A folder with a layer over it. Dropped, the layer is taken away.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
    /// Until it is unmounted.
    line: Option<Arc<Mutex<Line>>>,
    child: Child,
}

impl Drop for Disk {
    /// Its process ends when the line does; whoever still has a file open keeps it.
    fn drop(&mut self) {
        if self.line.take().is_some()
            && let Err(error) = umount2(&self.folder, MntFlags::MNT_DETACH)
        {
            tracing::debug!("{}: {error}", self.folder.display());
        }
    }
}

/// The way to the layer's process and back.
#[derive(Debug)]
struct Line {
    orders: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Disk {
    /// Mounts a layer over a folder; `grudge` is this binary, and what the layer complains of goes to `log`.
    pub(crate) async fn mount(grudge: &Path, folder: &Path, log: PathBuf) -> Result<Disk, DiskError> {
        let failed = |said: String| DiskError::Mount { folder: folder.to_owned(), said };
        let start = || -> io::Result<(Child, Line)> {
            let mut command = Command::new(grudge);
            command.arg("disk").arg(folder).process_group(0);
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
            let mut child = command.spawn()?;
            let (orders, answers) = (child.stdin.take(), child.stdout.take());
            let (orders, answers) = orders.zip(answers).expect("both are pipes");
            Ok((child, Line { orders, answers: BufReader::new(answers).lines() }))
        };
        let (child, mut line) = start().map_err(|error| failed(error.to_string()))?;
        match timeout(ANSWER, line.answer()).await {
            Ok(Ok(Answer::Done)) => {}
            Ok(_) => return Err(failed(std::fs::read_to_string(log).unwrap_or_default().trim().to_owned())),
            Err(_) => return Err(failed(format!("it is not there after {ANSWER:?}"))),
        }
        let disk = Disk { folder: folder.to_owned(), line: Some(Arc::new(Mutex::new(line))), child };
        disk.probe().begin().await.map_err(failed)?;
        Ok(disk)
    }

    /// What looks at the disk as the node does.
    pub(crate) fn probe(&self) -> Probe {
        Probe::new(&self.folder)
    }

    /// Gives it these troubles and no others.
    pub(crate) async fn trouble(&self, troubles: Troubles) -> Result<(), DiskError> {
        self.order(Order::Troubles(troubles)).await.map(drop)
    }

    /// Lets fsyncs that wait fail at once: whoever waits for them is being killed.
    pub(crate) async fn release(&self) -> Result<(), DiskError> {
        self.order(Order::Release).await.map(drop)
    }

    /// Takes what is not durable. Nobody lives who uses the disk.
    pub(crate) async fn lose(&self, seed: u64) -> Result<Loss, DiskError> {
        match self.order(Order::Lose { seed }).await? {
            Answer::Lost(loss) => Ok(loss),
            other => Err(self.nonsense(&other)),
        }
    }

    /// Flips a bit of a file that nobody has open, if there is one.
    pub(crate) async fn flip(&self, seed: u64) -> Result<Option<Flip>, DiskError> {
        match self.order(Order::Flip { seed }).await? {
            Answer::Flipped(flip) => Ok(flip),
            other => Err(self.nonsense(&other)),
        }
    }

    /// Takes the layer away; the folder holds what its node has written.
    pub(crate) async fn unmount(mut self) {
        self.line = None;
        if !matches!(timeout(ANSWER, self.child.wait()).await, Ok(Ok(_))) {
            tracing::warn!("the layer over {} does not end, and is killed", self.folder.display());
            drop(self.child.kill().await);
        }
    }

    async fn order(&self, order: Order) -> Result<Answer, DiskError> {
        let line = Arc::clone(self.line.as_ref().expect("only its end takes it"));
        // In a task of its own: an order whose answer nobody waits for any more is answered nevertheless.
        let carried_out = tokio::spawn(async move { line.lock().await.carry_out(&order).await });
        let silent = |cause: String| DiskError::Silent { folder: self.folder.clone(), cause };
        match timeout(ANSWER, carried_out).await {
            Ok(Ok(Ok(Answer::Failed(said)))) => Err(DiskError::Failed { folder: self.folder.clone(), said }),
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(error))) => Err(silent(error.to_string())),
            Ok(Err(error)) => Err(silent(error.to_string())),
            Err(_) => Err(silent(format!("nothing was heard for {ANSWER:?}"))),
        }
    }

    fn nonsense(&self, answer: &Answer) -> DiskError {
        DiskError::Failed { folder: self.folder.clone(), said: format!("{answer:?}, which was not asked") }
    }
}

impl Line {
    async fn carry_out(&mut self, order: &Order) -> io::Result<Answer> {
        let mut text = serde_json::to_vec(order)?;
        text.push(b'\n');
        self.orders.write_all(&text).await?;
        self.orders.flush().await?;
        self.answer().await
    }

    async fn answer(&mut self) -> io::Result<Answer> {
        let line = self.answers.next_line().await?;
        let line = line.ok_or_else(|| io::Error::new(io::ErrorKind::UnexpectedEof, "its process has ended"))?;
        Ok(serde_json::from_str(&line)?)
    }
}
