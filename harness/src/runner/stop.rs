//! A request to stop the run early, from Ctrl-C or from the harness itself.

use tokio::sync::watch;

/// Asks every [`Stop`] made from it to stop; once.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Sees the request.
#[derive(Clone, Debug)]
pub struct Stop(watch::Receiver<bool>);

/// A fresh pair. Whoever loses the stopper asks for nothing.
#[must_use]
pub fn pair() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Asks.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether somebody has asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.0.borrow()
    }

    /// Hands the request on to another stopper when it comes.
    pub fn forward(&self, to: Stopper) {
        let mut stop = self.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = stop.wait() => to.stop(),
                () = to.0.closed() => {}
            }
        });
    }

    /// Waits until somebody asks, forever if nobody can any more.
    pub async fn wait(&mut self) {
        if self.0.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Turns Ctrl-C (and a polite SIGTERM) into a request to stop.
///
/// # Errors
/// The signals cannot be caught.
pub fn on_signals(stopper: Stopper) -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
        tracing::warn!("stopping: the faults are undone, the cluster is taken down, the history is kept");
        stopper.stop();
    });
    Ok(())
}
