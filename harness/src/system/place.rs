//! One node's place in a cluster, and what it puts in the place of placeholders.

use std::net::Ipv4Addr;
use std::path::Path;

use grudge_nodes::bugs::Bug;

/// What the placeholders of one node stand for.
#[derive(Clone, Debug)]
pub struct Place<'a> {
    /// The path of this binary.
    pub grudge: &'a Path,
    /// The node's number, from 1.
    pub id: u64,
    /// The address of every node of the cluster, by number from 1.
    pub addresses: &'a [Ipv4Addr],
    /// The folder that holds its disk and its log.
    pub home: &'a Path,
    /// The folder of its disk.
    pub data: &'a Path,
    /// The file in which the node writes its events down.
    pub events: &'a Path,
    /// The node's seed.
    pub seed: u64,
    /// The planted bugs that are on.
    pub bugs: &'a [Bug],
}

impl Place<'_> {
    /// A text with everything in the place of its placeholders that is said of this node alone.
    pub(super) fn fill(&self, text: &str) -> String {
        let index = usize::try_from(self.id - 1).expect("a cluster has few nodes");
        text.replace("{grudge}", &self.grudge.to_string_lossy())
            .replace("{id}", &self.id.to_string())
            .replace("{ip}", &self.addresses[index].to_string())
            .replace("{first-ip}", &self.addresses[0].to_string())
            .replace("{majority}", &(self.addresses.len() / 2 + 1).to_string())
            .replace("{home}", &self.home.to_string_lossy())
            .replace("{data}", &self.data.to_string_lossy())
            .replace("{events}", &self.events.to_string_lossy())
            .replace("{seed}", &self.seed.to_string())
    }

    /// These texts for every node of the cluster, in their order.
    pub(super) fn peers(&self, each: &[String]) -> Vec<String> {
        let mut texts = Vec::new();
        for (index, ip) in self.addresses.iter().enumerate() {
            let (id, ip) = ((index + 1).to_string(), ip.to_string());
            texts.extend(each.iter().map(|text| self.fill(&text.replace("{peer-id}", &id).replace("{peer-ip}", &ip))));
        }
        texts
    }
}
