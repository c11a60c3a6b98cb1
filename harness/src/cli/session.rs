//! What `grudge test` and `grudge up` share: from a system to a cluster that serves.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context, anyhow};
use grudge_nodes::bugs::Bug;

use crate::exit::Failure;
use crate::runner::stop::{self, Stop};
use crate::sandbox::{self, Network};
use crate::system::{Subject, System};

/// That system, able to have so many nodes and to bear these bugs.
pub(super) fn system(subject: &Subject, nodes: usize, bugs: &[Bug]) -> Result<System, Failure> {
    let system = subject.system()?;
    system.spans(nodes)?;
    system.accept(bugs)?;
    Ok(system)
}

/// Goes into a sandbox, which must happen before the first thread, and runs `work` on a runtime there. Ctrl-C asks
/// it to stop.
pub(super) fn in_sandbox<T, F: Future<Output = Result<T, Failure>>>(
    network: Network,
    work: impl FnOnce(Stop) -> F,
) -> Result<T, Failure> {
    sandbox::enter(network).map_err(|error| Failure::Harness(error.into()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the async runtime cannot be started: is there a limit on processes (ulimit -u)?")?;
    let outcome = runtime.block_on(async {
        let (stopper, stop) = stop::pair();
        stop::on_signals(stopper).context("signals cannot be caught")?;
        work(stop).await
    });
    // Clients that hang in the kernel must not keep the program from ending.
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

/// Waits for a cluster to come up.
pub(super) async fn up<T>(rising: impl Future<Output = Result<T, Failure>>, stop: &mut Stop) -> Result<T, Failure> {
    tokio::select! {
        standing = rising => standing,
        () = stop.wait() => Err(Failure::Harness(anyhow!("interrupted before the cluster served; nothing was tested"))),
    }
}
