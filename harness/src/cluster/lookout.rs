//! The lookout: how often a node has begun to lead, as it happens.
//!
//! Replicas of ours write it down in their files of events; of others it is asked who leads.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use grudge_workloads::client::{Connect, Role};
use tokio::sync::watch;
use tokio::time::sleep;

use super::tail::Tail;
use super::{Node, ready};

/// Between two looks at the files.
pub(super) const LOOK: Duration = Duration::from_millis(20);
/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(250);
/// How a replica's line begins that says that it leads.
const LEADS: &str = "leading ";

/// Counts until nobody is interested any more.
pub(crate) fn begin(nodes: &[Node], events: Vec<PathBuf>, connect: Arc<dyn Connect>) -> watch::Receiver<u64> {
    let (count, receiver) = watch::channel(0);
    if events.is_empty() {
        tokio::spawn(ask(nodes.to_vec(), connect, count));
    } else {
        let tails = events.into_iter().map(Tail::at_its_end).collect();
        tokio::spawn(read(tails, count));
    }
    receiver
}

async fn read(mut tails: Vec<Tail>, count: watch::Sender<u64>) {
    loop {
        let led = |tail: &mut Tail| tail.new_lines().lines().filter(|line| line.starts_with(LEADS)).count() as u64;
        let led: u64 = tails.iter_mut().map(led).sum();
        if led > 0 {
            count.send_modify(|count| *count += led);
        }
        tokio::select! {
            () = sleep(LOOK) => {}
            () = count.closed() => return,
        }
    }
}

async fn ask(nodes: Vec<Node>, connect: Arc<dyn Connect>, count: watch::Sender<u64>) {
    let nodes: Vec<&Node> = nodes.iter().collect();
    let mut last: Option<BTreeSet<usize>> = None;
    loop {
        let roles = ready::roles(&nodes, connect.as_ref()).await;
        let leaders: BTreeSet<usize> =
            roles.iter().enumerate().filter(|(_, role)| **role == Ok(Role::Leader)).map(|(index, _)| index).collect();
        // Between two leaders nobody leads; who leads again afterwards is no new one as far as can be seen.
        if !leaders.is_empty() {
            let new = last.as_ref().map_or(0, |last| leaders.difference(last).count() as u64);
            if new > 0 {
                count.send_modify(|count| *count += new);
            }
            last = Some(leaders);
        }
        tokio::select! {
            () = sleep(ASK) => {}
            () = count.closed() => return,
        }
    }
}
