//! `grudge test`: a cluster, broken under load, judged.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use grudge_workloads::client::Target;
use grudge_workloads::registry;
use grudge_workloads::workload::Workload;
use jiff::Timestamp;

use super::session;
use super::spec_args::SpecArgs;
use crate::exit::{Exit, Failure};
use crate::fault::Arena;
use crate::logging;
use crate::nemesis::{Agenda, Plan};
use crate::report::{Results, terminal};
use crate::runner::Run;
use crate::runner::stop::Stop;
use crate::spec::{self, Spec};
use crate::store::{self, RunFolder};
use crate::system::System;

/// Operations a second over all workers, unless another rate is asked for.
const USUAL_RATE: f64 = 200.0;

#[derive(Debug, Args)]
pub(super) struct TestArgs {
    #[command(flatten)]
    spec: SpecArgs,
    /// Where runs are kept
    #[arg(long, value_name = "DIR", default_value = "store")]
    store: PathBuf,
    /// Print results.json instead of the summary
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TestArgs) -> Result<Exit, Failure> {
    let spec = args.spec.resolve(USUAL_RATE, Arena::Processes)?;
    let system = session::system(&spec.system, &spec.bugs)?;
    let workload = workload(&spec, &system)?;
    let started = Timestamp::now();
    let folder = RunFolder::create(&args.store, &spec.name(), started)?;
    folder.write_toml(&folder.test(), &spec)?;
    let results = session::in_sandbox(|stop| async {
        let log = folder.log();
        let log = File::create(&log).with_context(|| format!("cannot write {}: {}", log.display(), store::ADVICE))?;
        logging::set_run_log(Some(log));
        let results = perform(&spec, system, workload, &folder, started, stop).await;
        logging::set_run_log(None);
        results
    })?;
    terminal::print(&if args.json { results.to_json()? } else { terminal::summary(&results, Some(folder.path())) });
    Ok(Exit::from(&results.verdict))
}

/// The workload that the test names, for what the system's clients speak.
fn workload(spec: &Spec, system: &System) -> Result<Workload, Failure> {
    registry::find(&spec.workload, session::speaks(system), &spec.options())
        .map_err(|error| Failure::BadArguments(error.to_string()))
}

async fn perform(
    spec: &Spec,
    system: System,
    workload: Workload,
    folder: &RunFolder,
    started: Timestamp,
    mut stop: Stop,
) -> Result<Results, Failure> {
    tracing::info!(seed = spec.seed, "running {}", spec.name());
    let connect = Arc::clone(&workload.connect);
    let cluster = session::up(system, spec.nodes, &spec.bugs, spec.seed, folder.path(), connect, &mut stop).await?;
    let cluster = Arc::new(cluster);
    let targets = cluster
        .nodes()
        .iter()
        .map(|node| Target {
            node: node.name.clone(),
            address: node.client_address,
            timeout: spec::std(spec.timeout),
            ttl: spec::std(spec.ttl),
        })
        .collect();
    let run = Run {
        workload,
        targets,
        concurrency: spec.concurrency,
        agenda: Agenda::planned(Plan::new(spec.seed, &spec.faults, None)),
        seed: spec.seed,
        time: spec::std(spec.time),
        recovery: spec::std(spec.recovery),
        history: folder.history(),
        schedule: folder.schedule(),
    };
    let ran = run.execute(Arc::clone(&cluster) as _, stop).await;
    match Arc::into_inner(cluster) {
        Some(cluster) => cluster.down().await,
        // The sandbox takes it down.
        None => tracing::error!("somebody still holds the cluster, which is a defect of the harness"),
    }
    let ran = ran?;
    let results = Results::new(spec.clone(), started, &ran.history, ran.judgements)?;
    results.write(folder, &ran.history)?;
    Ok(results)
}
