//! When a cluster serves: every node answers as leader or follower, and exactly one leads, unless nobody knows how to ask
//! who does.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use grudge_workloads::client::{Connect, Role, Target};
use tokio::time::{Instant, sleep};

use super::replica::last_lines;
use super::{ClusterError, Crash, Known, Node};

/// Between two rounds of questions.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a node has to say its role.
const ANSWER: Duration = Duration::from_millis(500);

/// Waits until all of these nodes serve, as long as none of them crashes.
pub(crate) async fn serving(known: &Known, patience: Duration) -> Result<(), ClusterError> {
    let deadline = Instant::now() + patience;
    let nodes: Vec<&Node> = known.nodes().iter().collect();
    loop {
        if let Some(Crash { node, status, log }) = known.crashes().into_iter().next() {
            return Err(ClusterError::Died { node, status, log });
        }
        let roles = roles(&nodes, known.connect.as_ref()).await;
        let leaders = roles.iter().filter(|role| **role == Ok(Role::Leader)).count();
        let laggard = roles.iter().position(|role| !matches!(role, Ok(Role::Leader | Role::Follower | Role::Equal)));
        let equal = roles.iter().all(|role| *role == Ok(Role::Equal));
        if laggard.is_none() && (leaders == 1 || equal) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let first = laggard.unwrap_or(0);
            let said = nodes.iter().zip(&roles).map(|(node, role)| match role {
                Ok(role) => format!("{} {}", node.name, format!("{role:?}").to_lowercase()),
                Err(error) => format!("{} {error}", node.name),
            });
            return Err(ClusterError::NotServing {
                patience,
                roles: said.collect::<Vec<_>>().join(", "),
                node: nodes[first].name.clone(),
                log: last_lines(&known.logs[first]),
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
