//! How the replicas of a cluster are started, wherever their nodes are.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use grudge_nodes::replica::NodeId;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::{ClusterError, Node, Spec};
use crate::system::Place;

/// Where a node is.
pub(crate) struct Home {
    /// Its address.
    pub address: Ipv4Addr,
    /// The path of this program there.
    pub grudge: PathBuf,
    /// The folder for its log and its data.
    pub folder: PathBuf,
}

/// How a replica is started, wherever that is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Start {
    pub node: Node,
    /// The program and its arguments.
    pub line: Vec<String>,
    /// The same of what runs beside it; empty if nothing does.
    pub beside: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// What it finds at its first start: paths, and what is there.
    pub files: Vec<(PathBuf, String)>,
    pub log: PathBuf,
    /// The folder of its disk.
    pub data: PathBuf,
    /// Where it writes its events down, if it is a replica of ours.
    pub events: PathBuf,
}

impl Start {
    /// Makes the folders that must be there.
    pub(crate) fn make_folders(&self) -> Result<(), ClusterError> {
        folder(&self.data).map(drop)
    }
}

/// How the nodes of a cluster are started that are there, in their order.
pub(crate) fn starts(spec: &Spec, homes: &[Home]) -> Vec<Start> {
    let addresses: Vec<Ipv4Addr> = homes.iter().map(|home| home.address).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(spec.seed);
    let numbered = homes.iter().zip(1..);
    numbered.map(|(home, id)| start(spec, home, NodeId(id), &addresses, rng.random())).collect()
}

fn start(spec: &Spec, home: &Home, id: NodeId, addresses: &[Ipv4Addr], seed: u64) -> Start {
    let Home { address, grudge, folder } = home;
    let (data, events) = (folder.join("data"), folder.join("events"));
    let place =
        Place { grudge, id: id.0, addresses, home: folder, data: &data, events: &events, seed, bugs: &spec.bugs };
    let line = spec.system.command_line(&place);
    let beside = spec.system.beside_line(&place);
    let client_address = SocketAddr::from((*address, spec.system.client_port));
    let node = Node { name: id.to_string(), id, address: IpAddr::V4(*address), client_address };
    let mut env = spec.system.environment(&place);
    env.extend(spec.env.clone());
    let files = spec.system.files(&place);
    Start { node, line, beside, env, files, log: folder.join("log"), data, events }
}

/// A folder of the run, made if it is missing.
pub(crate) fn folder(path: &Path) -> Result<PathBuf, ClusterError> {
    let unusable = |cause| ClusterError::Folder { path: path.to_owned(), cause };
    fs::create_dir_all(path).map_err(unusable)?;
    fs::canonicalize(path).map_err(unusable)
}
