//! Members that are removed and come back, on etcd itself.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grudge::cluster::{Cluster, Node, Spec};
use grudge::fault::{Active, Evidence, Fault, FaultError, Targets};
use grudge::system::System;
use grudge_workloads::client::{Membership, Target};
use grudge_workloads::registry;
use grudge_workloads::workload::Options;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(30);

/// Three nodes of etcd, if it is installed.
async fn three(dir: &Path) -> Option<Cluster> {
    let system = System::named("etcd").expect("it is known");
    if let Err(missing) = system.installed() {
        anstream::eprintln!("skipped: {missing}");
        return None;
    }
    let options = Options { seed: 1, workers: 1, keys: None, rate: None, time: Duration::from_secs(1) };
    let workload = registry::find("register", system.speech(), &options).expect("etcd has registers");
    let spec = Spec {
        patience: system.patience,
        system,
        nodes: 3,
        dir: dir.to_owned(),
        bugs: Vec::new(),
        seed: 1,
        env: BTreeMap::new(),
        connect: workload.connect,
        faults: BTreeSet::new(),
    };
    Some(Cluster::up(spec).await.expect("etcd comes up"))
}

fn calls() -> Arc<dyn Membership> {
    registry::membership(registry::Protocol::Etcd).expect("etcd has words for it")
}

fn asked(node: &Node) -> Target {
    let second = Duration::from_secs(1);
    let (node, address) = (node.name.clone(), node.client_address);
    Target { node, address, cluster: Arc::default(), timeout: second, ttl: second }
}

async fn remove(cluster: &Cluster, name: &str) -> Active {
    let fault = Fault::Member(Targets::Nodes(vec![name.to_owned()]));
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    cluster.start(&fault, rng).await.unwrap_or_else(|error| panic!("{fault}: {error}"))
}

fn members(evidence: &Evidence) -> &[String] {
    match evidence {
        Evidence::Members(members) => members,
        other => panic!("a change of members is proven by them, not by {other:?}"),
    }
}

pub async fn removed_and_back() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let Some(cluster) = three(dir.path()).await else { return };
    let before = calls().members(&asked(&cluster.nodes()[0])).await.expect("n1 answers");
    let old =
        before.iter().find(|member| member.peer.ip() == cluster.nodes()[2].address).expect("n3 is one of them").id;

    let active = remove(&cluster, "n3").await;
    assert_eq!(members(&active.receipt.evidence).len(), 2, "{:?}", active.receipt);
    let again = cluster.start(&Fault::Member(Targets::One), &mut ChaCha8Rng::seed_from_u64(1)).await;
    assert!(matches!(again, Err(FaultError::Inapplicable(_))), "one at a time: {again:?}");

    let receipt = cluster.stop(active).await.expect("it comes back");
    let now = members(&receipt.evidence);
    assert_eq!(now.len(), 3, "{receipt:?}");
    assert!(now.iter().all(|member| !member.starts_with(&format!("{old:x} "))), "it is a new member: {receipt:?}");
    assert!(cluster.crashes().is_empty(), "{:?}", cluster.crashes());
    cluster.down().await;
}

pub async fn added_by_another() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let Some(cluster) = three(dir.path()).await else { return };
    let active = remove(&cluster, "n2").await;
    let peer = SocketAddr::new(cluster.nodes()[1].address, 2380);
    let (calls, other) = (calls(), asked(&cluster.nodes()[0]));
    let deadline = Instant::now() + LIMIT;
    while !calls.members(&other).await.is_ok_and(|members| members.iter().any(|member| member.peer == peer)) {
        assert!(Instant::now() < deadline, "two of two agree");
        // They may have lost their leader, and then it takes a while.
        let _ = calls.add(&other, peer).await;
    }
    let error = cluster.stop(active).await.expect_err("it had not lasted");
    assert!(matches!(error, FaultError::NoReceipt { .. }), "{error}");
    assert!(error.to_string().contains("counted it in again"), "{error}");
    cluster.down().await;
}
