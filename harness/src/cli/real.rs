//! What `grudge test` and `grudge replay` share: one run of a test on real processes.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use grudge_workloads::client::{Peer, Target};
use grudge_workloads::workload::Workload;
use jiff::Timestamp;

use super::ground::Ground;
use super::session;
use crate::client::{Clients, Roster, Staff};
use crate::cluster::{self, Node};
use crate::exit::Failure;
use crate::fault::FaultKind;
use crate::logging;
use crate::report::Results;
use crate::runner::stop::Stop;
use crate::runner::{Ran, Run};
use crate::spec::{self, Spec};
use crate::store::{self, RunFolder};
use crate::system::System;

/// A run that makes sense and has a folder, and only needs a cluster.
pub(super) struct Prepared {
    spec: Spec,
    system: System,
    workload: Workload,
    ground: Ground,
    started: Timestamp,
    /// Where everything goes.
    pub(super) folder: RunFolder,
}

impl Prepared {
    /// Looks whether the test can be run here, and makes the folder of its run.
    pub(super) fn new(spec: Spec, store: &Path, ground: Ground) -> Result<Prepared, Failure> {
        let (system, workload) = spec.resolve(ground.arena())?;
        if matches!(ground, Ground::Namespaces) {
            system.installed()?;
        }
        let started = Timestamp::now();
        let folder = RunFolder::create(store, &spec.name(), started)?;
        folder.write_toml(&folder.test(), &spec)?;
        Ok(Prepared { spec, system, workload, ground, started, folder })
    }

    /// Brings a cluster up, runs the test, takes the cluster down, and leaves the results in the folder. Within a
    /// sandbox.
    pub(super) async fn run(self, stop: Stop) -> Result<Results, Failure> {
        let log = self.folder.log();
        let log = File::create(&log).with_context(|| format!("cannot write {}: {}", log.display(), store::ADVICE))?;
        logging::set_run_log(Some(log));
        let results = self.perform(stop).await;
        logging::set_run_log(None);
        results
    }

    async fn perform(self, mut stop: Stop) -> Result<Results, Failure> {
        let Prepared { spec, system, workload, ground, started, folder } = self;
        tracing::info!(seed = spec.seed, "running {}", spec.name());
        let connect = Arc::clone(&workload.connect);
        let agenda = spec.agenda(system.replica, system.leaders());
        let wanted = cluster::Spec {
            patience: system.patience,
            system: system.clone(),
            nodes: spec.nodes,
            dir: folder.path().to_path_buf(),
            bugs: spec.bugs.clone(),
            seed: spec.seed,
            env: BTreeMap::new(),
            connect,
            faults: spec.kinds(),
        };
        let cluster = session::up(ground.up(wanted), &mut stop).await?;
        let clients = clients(&spec, &system, &workload, &folder)?;
        let targets = targets(&spec, cluster.known().nodes());
        if let Clients::Processes(roster) = &clients {
            let filled = roster.fill(&targets).await;
            filled
                .map_err(|error| anyhow!("the clients do not start: {error}; look into {}", folder.log().display()))?;
            cluster.employ(roster.clone()).await;
        }
        let run = Run {
            workload,
            clients,
            targets,
            concurrency: spec.concurrency,
            agenda,
            seed: spec.seed,
            time: spec::std(spec.time),
            recovery: spec::std(spec.recovery),
            fail_fast: spec.fail_fast,
            history: folder.history(),
            schedule: folder.schedule(),
            events: cluster.known().events(),
        };
        let ran = run.execute(cluster.breakable(), stop).await;
        cluster.down().await;
        let Ran { history, judgements } = ran?;
        let results = Results::new(spec, started, &history, judgements)?;
        results.write(&folder, &history)?;
        Ok(results)
    }
}

/// Processes, if they are the system's own or faults are to hit them, or else tasks of this one, which cost less.
fn clients(spec: &Spec, system: &System, workload: &Workload, folder: &RunFolder) -> Result<Clients, Failure> {
    let asks = Arc::clone(&workload.connect);
    if system.client.is_empty() && !spec.kinds().contains(&FaultKind::Client) {
        return Ok(Clients::Tasks(asks));
    }
    let logs = folder.path().join("clients");
    let staff = Staff { command: command(system, folder)?, workload: spec.workload.clone(), logs: logs.clone(), asks };
    let roster = Roster::new(staff, spec.concurrency);
    Ok(Clients::Processes(roster.with_context(|| format!("cannot write {}: {}", logs.display(), store::ADVICE))?))
}

/// What starts a client: the system's own, or one of ours for this test.
fn command(system: &System, folder: &RunFolder) -> Result<Vec<String>, Failure> {
    if !system.client.is_empty() {
        return Ok(system.client.clone());
    }
    let grudge = std::env::current_exe().context("this program cannot be found")?;
    Ok(vec![grudge.display().to_string(), "client".to_owned(), folder.test().display().to_string()])
}

fn targets(spec: &Spec, nodes: &[Node]) -> Vec<Target> {
    let peer = |node: &Node| Peer { node: node.name.clone(), address: node.client_address };
    let peers: Arc<[Peer]> = nodes.iter().map(peer).collect();
    let target = |node: &Node| Target {
        node: node.name.clone(),
        address: node.client_address,
        cluster: Arc::clone(&peers),
        timeout: spec::std(spec.timeout),
        ttl: spec::std(spec.ttl),
    };
    nodes.iter().map(target).collect()
}
