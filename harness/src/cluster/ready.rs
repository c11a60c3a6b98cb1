//! When a cluster serves: every node answers as leader or follower, and exactly one leads, unless nobody knows how to ask
//! who does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use grudge_workloads::client::{Connect, Role, Target};
use tokio::time::{Instant, sleep};

use super::replica::{Crashes, last_lines};
use super::{ClusterError, Crash, Node};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a node has to say its role.
const ANSWER: Duration = Duration::from_millis(500);

/// Waits until these nodes with their logs serve, as long as none of them crashes.
pub(crate) async fn serving(
    nodes: &[(&Node, &Path)],
    crashes: &Crashes,
    connect: &dyn Connect,
    patience: Duration,
) -> Result<(), ClusterError> {
    let deadline = Instant::now() + patience;
    let names: Vec<&Node> = nodes.iter().map(|(node, _)| *node).collect();
    loop {
        if let Some(Crash { node, status, log }) = crashes.lock().expect("no holder panics").first().cloned() {
            return Err(ClusterError::Died { node, status, log });
        }
        let roles = roles(&names, connect).await;
        let leaders = roles.iter().filter(|role| **role == Ok(Role::Leader)).count();
        let laggard = roles.iter().position(|role| !matches!(role, Ok(Role::Leader | Role::Follower | Role::Equal)));
        let equal = roles.iter().all(|role| *role == Ok(Role::Equal));
        if laggard.is_none() && (leaders == 1 || equal) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let (node, log) = nodes[laggard.unwrap_or(0)];
            let said = names.iter().zip(&roles).map(|(node, role)| match role {
                Ok(role) => format!("{} {}", node.name, format!("{role:?}").to_lowercase()),
                Err(error) => format!("{} {error}", node.name),
            });
            return Err(ClusterError::NotServing {
                patience,
                roles: said.collect::<Vec<_>>().join(", "),
                node: node.name.clone(),
                log: last_lines(log),
            });
        }
        sleep(PAUSE).await;
    }
}

/// A node to be asked a question.
pub(crate) fn asked(node: &Node) -> Target {
    Target {
        node: node.name.clone(),
        address: node.client_address,
        cluster: Arc::default(),
        timeout: ANSWER,
        ttl: Duration::from_secs(1),
    }
}

/// What these nodes say they are, asked all at once.
pub(crate) async fn roles(nodes: &[&Node], connect: &dyn Connect) -> Vec<Result<Role, String>> {
    join_all(nodes.iter().map(|node| async move {
        match tokio::time::timeout(ANSWER, connect.role(&asked(node))).await {
            Ok(answer) => answer,
            Err(_) => Err("does not answer".to_owned()),
        }
    }))
    .await
}
