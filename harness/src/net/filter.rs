//! Cutting links with iptables: the whole cluster in one step.
//!
//! One `iptables-restore` replaces a chain of our own atomically. Where the kernel shows bridged packets to iptables
//! (br_netfilter), that chain sits in the hub and one call cuts everything at one instant. Elsewhere every node's
//! namespace has such a chain on its way in, and as many calls run side by side. Which of the two holds is found by
//! cutting a link and looking. Packets are dropped, as by a cut cable: established connections hang.

use std::fmt::Write as _;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use futures::future::try_join_all;

use super::link::Space;
use super::probe::Probes;
use super::{HUB, Links, NetError, address_of, program};

/// Our chain, in whichever namespace.
pub(super) const CHAIN: &str = "GRUDGE";

/// Where the rules sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterPlace {
    /// In the hub, for the whole cluster at one instant.
    Hub,
    /// In each node's namespace, for what arrives there, and for what it sends to clients.
    EachNode,
}

pub(super) struct Filter {
    restore: PathBuf,
    place: FilterPlace,
}

/// Finds `iptables-restore`.
pub(crate) fn find_restore() -> Result<PathBuf, NetError> {
    program::find("iptables-restore").ok_or(NetError::NoIptables)
}

impl Filter {
    /// Finds out where rules take effect, and leaves that place prepared with nothing cut.
    pub(super) async fn choose(
        restore: &Path,
        places: &[FilterPlace],
        nodes: &[Space],
        probes: &Probes,
    ) -> Result<Filter, NetError> {
        let mut seen = String::new();
        for place in places.iter().copied() {
            let filter = Filter { restore: restore.to_owned(), place };
            match filter.works(nodes, probes).await {
                Ok(None) => return Ok(filter),
                Ok(Some(symptom)) => write!(seen, "{place:?}: {symptom}; ").expect("a string takes all"),
                Err(NetError::Iptables { place, cause }) => {
                    write!(seen, "{place}: {cause}; ").expect("a string takes all");
                }
                Err(other) => return Err(other),
            }
        }
        Err(NetError::Broken(format!("iptables rules have no effect here: {seen}grudge doctor says more")))
    }

    pub(super) fn place(&self) -> FilterPlace {
        self.place
    }

    /// Prepares the chain with one link cut, looks, and empties it. The answer is what is wrong, if anything.
    async fn works(&self, nodes: &[Space], probes: &Probes) -> Result<Option<String>, NetError> {
        let test = if nodes.len() > 1 { Links::from([(0, 1)]) } else { Links::new() };
        self.restore_all(&test, nodes, Chain::New).await?;
        let silent = probes.silent(&test).await;
        self.restore_all(&Links::new(), nodes, Chain::Known).await?;
        Ok((silent != test).then(|| format!("{} links were cut and {} are silent", test.len(), silent.len())))
    }

    /// Cuts exactly these links.
    pub(super) async fn apply(&self, links: &Links, nodes: &[Space]) -> Result<(), NetError> {
        self.restore_all(links, nodes, Chain::Known).await
    }

    async fn restore_all(&self, links: &Links, nodes: &[Space], chain: Chain) -> Result<(), NetError> {
        let address = |party: &usize| address_of(*party, nodes.len());
        match self.place {
            FilterPlace::Hub => {
                let pair = |(from, to): &(usize, usize)| format!("-s {} -d {}", address(from), address(to));
                let rules = ruleset(&["FORWARD", "INPUT", "OUTPUT"], chain, links.iter().map(pair));
                restore(&self.restore, &rules, None, "the hub").await
            }
            FilterPlace::EachNode => {
                let each = nodes.iter().enumerate().map(|(node, space)| async move {
                    let matches = links.iter().filter_map(|&(from, to)| match (from, to) {
                        (from, to) if to == node => Some(format!("-s {}", address(&from))),
                        (from, to) if from == node && to == nodes.len() => Some(format!("-d {HUB}")),
                        _ => None,
                    });
                    let rules = ruleset(&["INPUT", "OUTPUT"], chain, matches);
                    let namespace = space.namespace.as_fd();
                    restore(&self.restore, &rules, Some(namespace), &space.name).await
                });
                try_join_all(each).await.map(drop)
            }
        }
    }
}

/// Whether packets are led through our chain already.
#[derive(Clone, Copy)]
enum Chain {
    New,
    Known,
}

/// What `iptables-restore --noflush` reads: declaring the chain empties it, and all happens at COMMIT.
fn ruleset(hooks: &[&str], chain: Chain, matches: impl Iterator<Item = String>) -> String {
    let mut text = format!("*filter\n:{CHAIN} - [0:0]\n");
    if let Chain::New = chain {
        // The namespace is ours alone, so what is there was left by an earlier cluster.
        for hook in hooks {
            writeln!(text, "-F {hook}\n-A {hook} -j {CHAIN}").expect("a string takes all");
        }
    }
    for packets in matches {
        writeln!(text, "-A {CHAIN} {packets} -j DROP").expect("a string takes all");
    }
    text.push_str("COMMIT\n");
    text
}

/// Runs `iptables-restore` in a namespace (the hub if none).
async fn restore(restore: &Path, rules: &str, namespace: Option<BorrowedFd<'_>>, place: &str) -> Result<(), NetError> {
    let fed = program::feed(restore, &["--noflush"], rules, namespace).await;
    fed.map_err(|cause| NetError::Iptables { place: place.to_owned(), cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ruleset_replaces_the_whole_chain() {
        let rules = ruleset(&["FORWARD"], Chain::Known, ["-s 10.42.0.1 -d 10.42.0.2".to_owned()].into_iter());
        assert_eq!(rules, "*filter\n:GRUDGE - [0:0]\n-A GRUDGE -s 10.42.0.1 -d 10.42.0.2 -j DROP\nCOMMIT\n");
    }

    #[test]
    fn a_new_chain_is_hooked_in_the_same_step() {
        let rules = ruleset(&["INPUT", "OUTPUT"], Chain::New, std::iter::empty());
        assert_eq!(
            rules,
            "*filter\n:GRUDGE - [0:0]\n-F INPUT\n-A INPUT -j GRUDGE\n-F OUTPUT\n-A OUTPUT -j GRUDGE\nCOMMIT\n"
        );
    }
}
