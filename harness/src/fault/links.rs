//! Partitions: cut links, and look from the inside whether exactly those are silent.

use std::time::Instant;

use super::{Evidence, FaultError, InForce, Receipt};
use crate::cluster::Inner;
use crate::fault::resolve;
use crate::net::Links;

/// How many links a sentence lists.
const SHOWN: usize = 6;

/// Cuts these links beside those already cut, and measures.
pub(super) async fn cut(inner: &Inner, links: &Links, decided: Instant) -> Result<Receipt, FaultError> {
    let names = inner.names();
    let wanted: Links = cut_now(inner).union(links).copied().collect();
    let fault = format!("partition {}", resolve::exact_shape(links, &names));
    inner.net.cut(&wanted).await.map_err(|error| FaultError::failed(&fault, error))?;
    match measure(inner, &wanted, &fault).await {
        Ok(evidence) => Ok(Receipt::new(touched(links, &names), evidence, decided)),
        Err(error) => {
            if let Err(again) = inner.net.cut(&cut_now(inner)).await {
                tracing::error!("a partition without a receipt could not be undone: {again}");
            }
            Err(error)
        }
    }
}

/// Checks that these links were silent to the end, heals them (unless another partition cuts them too), and
/// measures. They no longer count as in force.
pub(super) async fn heal(inner: &Inner, links: &Links, decided: Instant) -> Result<Receipt, FaultError> {
    let names = inner.names();
    let fault = format!("partition {}", resolve::exact_shape(links, &names));
    let remaining = cut_now(inner);
    let until_now: Links = remaining.union(links).copied().collect();
    let lasted = measure(inner, &until_now, &fault).await;
    let healing = format!("healing of {fault}");
    inner.net.cut(&remaining).await.map_err(|error| FaultError::failed(&healing, error))?;
    let evidence = measure(inner, &remaining, &healing).await?;
    lasted?;
    Ok(Receipt::new(touched(links, &names), evidence, decided))
}

/// All links that partitions in force cut.
pub(super) fn cut_now(inner: &Inner) -> Links {
    let partitions = inner.in_force.values().filter_map(|fault| match fault {
        InForce::Partition(links) => Some(links),
        _ => None,
    });
    partitions.flatten().copied().collect()
}

/// Which links are silent; an error unless they are exactly these.
async fn measure(inner: &Inner, expected: &Links, fault: &str) -> Result<Evidence, FaultError> {
    let silent = inner.net.silent(expected).await;
    let names = inner.names();
    let parties = names.len() + 1;
    if silent == *expected {
        let passing = parties * (parties - 1) - silent.len();
        return Ok(Evidence::Links { silent: silent.iter().map(|link| arrow(link, &names)).collect(), passing });
    }
    let mut seen = Vec::new();
    let open: Vec<String> = expected.difference(&silent).map(|link| arrow(link, &names)).collect();
    if !open.is_empty() {
        seen.push(format!("cut and yet passing: {}", shown(&open)));
    }
    let closed: Vec<String> = silent.difference(expected).map(|link| arrow(link, &names)).collect();
    if !closed.is_empty() {
        seen.push(format!("not cut and yet silent: {}", shown(&closed)));
    }
    Err(FaultError::no_receipt(fault, seen.join("; ")))
}

fn shown(links: &[String]) -> String {
    let rest = links.len().saturating_sub(SHOWN);
    let list = links[..links.len() - rest].join(", ");
    if rest == 0 { list } else { format!("{list} and {rest} more") }
}

pub(super) fn arrow((from, to): &(usize, usize), names: &[String]) -> String {
    format!("{}→{}", resolve::party(*from, names), resolve::party(*to, names))
}

/// The nodes at either end of these links.
pub(super) fn touched(links: &Links, names: &[String]) -> Vec<String> {
    let touches = |node: usize| links.iter().any(|(from, to)| *from == node || *to == node);
    (0..names.len()).filter(|node| touches(*node)).map(|node| names[node].clone()).collect()
}
