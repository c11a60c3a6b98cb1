//! A worker: one task bound to one node, which makes the calls it is handed, one after the other.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use grudge_workloads::client::{Client, Connect, Target};
use grudge_workloads::generator::Worker;
use grudge_workloads::operation::{Invocation, Outcome};
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, timeout};

use super::core::Completion;
use crate::client::seat::Fate;

/// A client that ignores its own timeout is given up this much later. The call's outcome is then
/// as unknown as any other.
const GRACE: Duration = Duration::from_secs(2);

/// Makes calls until the interpreter hangs up, then says goodbye to the node.
pub(crate) async fn work(
    worker: Worker,
    target: Target,
    (connect, mut fate): (Arc<dyn Connect>, watch::Receiver<Fate>),
    mut calls: mpsc::Receiver<Invocation>,
    completions: mpsc::UnboundedSender<Completion>,
) {
    let limit = target.timeout + GRACE;
    let mut client: Option<Box<dyn Client>> = None;
    while let Some(invocation) = calls.recv().await {
        let patience = Patience { limit, fate: &mut fate };
        let (outcome, reached) = call(&mut client, &target, &*connect, &invocation, patience).await;
        // After an unknown outcome the process is dead: the next call is another's, with a client of its own.
        if matches!(outcome, Outcome::Info { .. }) || client.as_ref().is_some_and(|client| !client.alive()) {
            client = None;
        }
        if completions.send(Completion { worker, outcome, reached }).is_err() {
            break;
        }
    }
    if let Some(mut client) = client
        && timeout(limit, client.close()).await.is_err()
    {
        tracing::debug!(worker = worker.0, node = target.node, "the client did not close in time");
    }
}

async fn call(
    client: &mut Option<Box<dyn Client>>,
    target: &Target,
    connect: &dyn Connect,
    invocation: &Invocation,
    mut patience: Patience<'_>,
) -> (Outcome, bool) {
    if client.as_ref().is_some_and(|client| !client.alive()) {
        *client = None;
    }
    let ready = match client {
        Some(ready) => ready,
        None => match patience.wait(connect.connect(target)).await {
            Some(Ok(fresh)) => client.insert(fresh),
            // Nothing was sent, so nothing happened.
            Some(Err(token)) => return (Outcome::Fail { error: token }, false),
            None => return (Outcome::Fail { error: "connect-timeout".to_owned() }, false),
        },
    };
    match patience.wait(ready.invoke(invocation)).await {
        Some(outcome) => {
            let reached = ready.alive() || !matches!(outcome, Outcome::Fail { .. });
            (outcome, reached)
        }
        None => (Outcome::Info { error: "client-stuck".to_owned() }, true),
    }
}

/// How long a client is waited for. While a fault makes it stand still no time passes for it, and none here.
struct Patience<'a> {
    limit: Duration,
    fate: &'a mut watch::Receiver<Fate>,
}

impl Patience<'_> {
    async fn wait<T>(&mut self, answer: impl Future<Output = T>) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            let paused = *self.fate.borrow_and_update() == Fate::Paused;
            tokio::select! {
                biased;
                answer = &mut answer => return Some(answer),
                Ok(()) = self.fate.changed() => {}
                () = sleep(self.limit), if !paused => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn no_time_passes_for_a_client_that_is_made_to_stand_still() {
        let (fault, mut fate) = watch::channel(Fate::Paused);
        let mut patience = Patience { limit: SHORT, fate: &mut fate };
        assert!(timeout(10 * SHORT, patience.wait(pending::<()>())).await.is_err(), "it is waited for");
        fault.send_replace(Fate::Free);
        assert_eq!(patience.wait(pending::<()>()).await, None, "not for ever");
        assert_eq!(patience.wait(async { 7 }).await, Some(7));
    }
}
