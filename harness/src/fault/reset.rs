//! Resets: destroy the connections between nodes, and look whether any of them is left.

use std::time::Instant;

use super::{Evidence, FaultError, Receipt};
use crate::cluster::Inner;

/// Resets the connections that these nodes have with other nodes.
pub(super) async fn reset(inner: &Inner, nodes: &[usize], decided: Instant) -> Result<Receipt, FaultError> {
    let called = inner.called(nodes);
    let fault = format!("reset of {called}");
    let resets = inner.net()?.reset(nodes).await.map_err(|error| FaultError::failed(&fault, error))?;
    if resets.destroyed.is_empty() {
        return Err(FaultError::Inapplicable(format!("{called} has no connection with another node")));
    }
    if !resets.left.is_empty() {
        return Err(FaultError::no_receipt(&fault, format!("still there: {}", resets.left.join(", "))));
    }
    Ok(Receipt::new(inner.names_of(nodes), Evidence::Reset(resets.destroyed), decided))
}

/// There is nothing to take away.
pub(super) fn over(inner: &Inner, nodes: &[usize], decided: Instant) -> Receipt {
    Receipt::new(inner.names_of(nodes), Evidence::Reset(Vec::new()), decided)
}
