//! A worker: one task bound to one node, which makes the calls it is handed, one after the other.

use std::time::Duration;

use grudge_workloads::client::{Client, Connect, Target};
use grudge_workloads::generator::Worker;
use grudge_workloads::operation::{Invocation, Outcome};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::core::Completion;

/// A client that ignores its own timeout is given up this much later. The call's outcome is then
/// as unknown as any other.
const GRACE: Duration = Duration::from_secs(2);

/// Makes calls until the interpreter hangs up, then says goodbye to the node.
pub(crate) async fn work(
    worker: Worker,
    target: Target,
    connect: Arc<dyn Connect>,
    mut calls: mpsc::Receiver<Invocation>,
    completions: mpsc::UnboundedSender<Completion>,
) {
    let limit = target.timeout + GRACE;
    let mut client: Option<Box<dyn Client>> = None;
    while let Some(invocation) = calls.recv().await {
        let (outcome, reached) = call(&mut client, &target, &*connect, &invocation, limit).await;
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
    limit: Duration,
) -> (Outcome, bool) {
    if client.as_ref().is_some_and(|client| !client.alive()) {
        *client = None;
    }
    let ready = match client {
        Some(ready) => ready,
        None => match timeout(limit, connect.connect(target)).await {
            Ok(Ok(fresh)) => client.insert(fresh),
            // Nothing was sent, so nothing happened.
            Ok(Err(token)) => return (Outcome::Fail { error: token }, false),
            Err(_) => return (Outcome::Fail { error: "connect-timeout".to_owned() }, false),
        },
    };
    match timeout(limit, ready.invoke(invocation)).await {
        Ok(outcome) => {
            let reached = ready.alive() || !matches!(outcome, Outcome::Fail { .. });
            (outcome, reached)
        }
        Err(_) => (Outcome::Info { error: "client-stuck".to_owned() }, true),
    }
}
