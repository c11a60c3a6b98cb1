//! Resets: destroy the connections between nodes, and look whether any of them is left.

use std::time::Instant;

use super::links::names;
use super::{Evidence, FaultError, Receipt};
use crate::cluster::Inner;

/// Resets the connections that these nodes have with other nodes.
pub(super) async fn reset(inner: &Inner, nodes: &[usize], decided: Instant) -> Result<Receipt, FaultError> {
    let names = names(inner);
    let fault = || format!("reset of {}", called(nodes, &names));
    let resets = inner
        .net
        .reset(nodes)
        .await
        .map_err(|error| FaultError::Failed { fault: fault(), cause: error.to_string() })?;
    if resets.destroyed.is_empty() {
        return Err(FaultError::Inapplicable(format!("{} has no connection with another node", called(nodes, &names))));
    }
    if !resets.left.is_empty() {
        return Err(FaultError::NoReceipt { fault: fault(), seen: format!("still there: {}", resets.left.join(", ")) });
    }
    Ok(receipt(nodes, &names, resets.destroyed, decided))
}

/// There is nothing to take away.
pub(super) fn over(inner: &Inner, nodes: &[usize], decided: Instant) -> Receipt {
    receipt(nodes, &names(inner), Vec::new(), decided)
}

fn receipt(nodes: &[usize], names: &[String], connections: Vec<String>, decided: Instant) -> Receipt {
    let nodes = nodes.iter().map(|node| names[*node].clone()).collect();
    Receipt { nodes, evidence: Evidence::Reset(connections), took: decided.elapsed() }
}

fn called(nodes: &[usize], names: &[String]) -> String {
    nodes.iter().map(|node| names[*node].as_str()).collect::<Vec<_>>().join("+")
}
