//! Partitions: cut links, and look from the inside whether exactly those are silent.

use std::collections::BTreeMap;
use std::time::Instant;

use async_trait::async_trait;

use super::{Evidence, FaultError, InForce, Receipt};
use crate::cluster::Inner;
use crate::fault::resolve;
use crate::net::{Links, Net};

/// How many links a sentence lists.
const SHOWN: usize = 6;

/// What can cut the links of a cluster, and look at them.
#[async_trait]
pub(crate) trait Wires: Send + Sync {
    /// Cuts exactly these links and no others.
    async fn cut(&self, links: &Links) -> Result<(), String>;

    /// The links over which nothing arrives. Those expected to be silent are waited for but shortly; all others get time
    /// to deliver.
    async fn silent(&self, expected: &Links) -> Result<Links, String>;
}

#[async_trait]
impl Wires for Net {
    async fn cut(&self, links: &Links) -> Result<(), String> {
        Net::cut(self, links).await.map_err(|error| error.to_string())
    }

    async fn silent(&self, expected: &Links) -> Result<Links, String> {
        Ok(Net::silent(self, expected).await)
    }
}

/// The wires of a cluster whose partitions come and go.
pub(crate) struct Wiring<'a> {
    pub wires: &'a dyn Wires,
    /// What the nodes are called.
    pub names: Vec<String>,
    /// The links that the other partitions in force cut.
    pub cut: Links,
}

impl Inner {
    pub(super) fn wiring(&self) -> Result<Wiring<'_>, FaultError> {
        Ok(Wiring { wires: self.net()?, names: self.names(), cut: cut_now(&self.in_force) })
    }
}

impl Wiring<'_> {
    /// Cuts these links beside those already cut, and measures.
    pub(crate) async fn cut(&self, links: &Links, decided: Instant) -> Result<Receipt, FaultError> {
        let wanted: Links = self.cut.union(links).copied().collect();
        let fault = self.called(links);
        self.wires.cut(&wanted).await.map_err(|error| FaultError::failed(&fault, error))?;
        match self.measure(&wanted, &fault).await {
            Ok(evidence) => Ok(Receipt::new(touched(links, &self.names), evidence, decided)),
            Err(error) => {
                if let Err(again) = self.wires.cut(&self.cut).await {
                    tracing::error!("a partition without a receipt could not be undone: {again}");
                }
                Err(error)
            }
        }
    }

    /// Checks that these links were silent to the end, heals them (unless another partition cuts them too), and
    /// measures. They no longer count as in force.
    pub(crate) async fn heal(&self, links: &Links, decided: Instant) -> Result<Receipt, FaultError> {
        let fault = self.called(links);
        let until_now: Links = self.cut.union(links).copied().collect();
        let lasted = self.measure(&until_now, &fault).await;
        let healing = format!("healing of {fault}");
        self.wires.cut(&self.cut).await.map_err(|error| FaultError::failed(&healing, error))?;
        let evidence = self.measure(&self.cut, &healing).await?;
        lasted?;
        Ok(Receipt::new(touched(links, &self.names), evidence, decided))
    }

    fn called(&self, links: &Links) -> String {
        format!("partition {}", resolve::exact_shape(links, &self.names))
    }

    /// Which links are silent; an error unless they are exactly these.
    async fn measure(&self, expected: &Links, fault: &str) -> Result<Evidence, FaultError> {
        let names = &self.names;
        let silent = self.wires.silent(expected).await.map_err(|error| FaultError::failed(fault, error))?;
        let parties = names.len() + 1;
        if silent == *expected {
            let passing = parties * (parties - 1) - silent.len();
            return Ok(Evidence::Links { silent: silent.iter().map(|link| arrow(link, names)).collect(), passing });
        }
        let mut seen = Vec::new();
        let open: Vec<String> = expected.difference(&silent).map(|link| arrow(link, names)).collect();
        if !open.is_empty() {
            seen.push(format!("cut and yet passing: {}", shown(&open)));
        }
        let closed: Vec<String> = silent.difference(expected).map(|link| arrow(link, names)).collect();
        if !closed.is_empty() {
            seen.push(format!("not cut and yet silent: {}", shown(&closed)));
        }
        Err(FaultError::no_receipt(fault, seen.join("; ")))
    }
}

/// All links that partitions in force cut.
pub(super) fn cut_now(in_force: &BTreeMap<u64, InForce>) -> Links {
    let partitions = in_force.values().filter_map(|fault| match fault {
        InForce::Partition(links) => Some(links),
        _ => None,
    });
    partitions.flatten().copied().collect()
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
