//! Sights: waits until a sign is seen of a node, which its log or its own word gives.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use grudge_workloads::client::{Connect, Role as Said};
use tokio::time::sleep;

use super::tail::Tail;
use super::{Node, ready};
use crate::nemesis::sign::{Role, Seen, Sign};

/// Between two looks at the logs.
const LOOK: Duration = Duration::from_millis(20);
/// Between two rounds of questions.
const ASK: Duration = Duration::from_millis(100);

/// Looks from now on until the sign is seen at one of these nodes with their logs; answers at which.
pub(crate) fn sight(
    sign: Sign,
    nodes: impl Iterator<Item = (Node, PathBuf)>,
    connect: Arc<dyn Connect>,
) -> BoxFuture<'static, String> {
    let Sign { what, node: asked, nth } = sign;
    let nodes = nodes.filter(|(node, _)| asked.as_ref().is_none_or(|name| *name == node.name));
    match what {
        Seen::Log(text) => {
            let logs = nodes.map(|(node, path)| (node.name, Tail::at_its_end(path))).collect();
            Box::pin(logged(text, nth, logs))
        }
        Seen::Role(role) => Box::pin(became(role, nth, nodes.map(|(node, _)| node).collect(), connect)),
    }
}

async fn logged(text: String, nth: u64, mut logs: Vec<(String, Tail)>) -> String {
    let mut left = nth;
    loop {
        for (name, log) in &mut logs {
            let seen = log.new_lines().lines().filter(|line| line.contains(&text)).count() as u64;
            if seen >= left {
                return name.clone();
            }
            left -= seen;
        }
        sleep(LOOK).await;
    }
}

async fn became(role: Role, nth: u64, nodes: Vec<Node>, connect: Arc<dyn Connect>) -> String {
    let wanted = match role {
        Role::Leader => Said::Leader,
        Role::Follower => Said::Follower,
        Role::Looking => Said::Looking,
    };
    let nodes: Vec<&Node> = nodes.iter().collect();
    // What a node is when it is first waited for is nothing that it becomes. Who does not answer is what it was.
    let mut was: Vec<Option<Said>> = vec![None; nodes.len()];
    let mut left = nth;
    loop {
        let says = ready::roles(&nodes, connect.as_ref()).await;
        for ((node, was), says) in nodes.iter().zip(&mut was).zip(says) {
            let Ok(says) = says else { continue };
            if was.is_some_and(|was| was != says) && says == wanted {
                left -= 1;
                if left == 0 {
                    return node.name.clone();
                }
            }
            *was = Some(says);
        }
        sleep(ASK).await;
    }
}
