//! What a nemesis needs of a cluster.

use std::future::pending;

use async_trait::async_trait;
use futures::future::BoxFuture;
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use super::{Sign, Trap};
use crate::cluster::{Cluster, Crash};
use crate::fault::{Active, Fault, FaultError, Process, Receipt};

/// What can be broken: a cluster, or its like in a test.
#[async_trait]
pub trait Breakable: Send + Sync {
    /// Puts a fault in force and measures it.
    ///
    /// # Errors
    /// It could not be put in force, or not be measured.
    async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError>;

    /// Takes a fault away and measures that it is gone.
    ///
    /// # Errors
    /// It could not be shown to be gone.
    async fn stop(&self, active: Active) -> Result<Receipt, FaultError>;

    /// Stops whatever is still in force.
    ///
    /// # Errors
    /// Something could not be shown to be gone.
    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError>;

    /// The replicas that died of themselves so far.
    fn crashes(&self) -> Vec<Crash>;

    /// Waits until a machine of it is lost to the harness, and says which and why: nothing can be said of the system
    /// then. One that lives and dies with the harness waits for ever.
    async fn lost(&self) -> String {
        pending().await
    }

    /// How often a node has begun to lead, counted from now. One that cannot tell never moves.
    fn leaders(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    /// Waits until a sign is seen, and answers at which node. One that sees none waits for ever.
    fn sight(&self, sign: &Sign) -> BoxFuture<'static, String> {
        tracing::warn!("nobody looks here: {sign}");
        Box::pin(pending())
    }

    /// Sets a trap: the next node to come to the point halts there.
    ///
    /// # Errors
    /// It cannot be set, here or now.
    async fn arm(&self, trap: &Trap) -> Result<(), FaultError> {
        Err(FaultError::Inapplicable(format!("nobody stops at {} here", crate::spec::kebab(&trap.point))))
    }

    /// Waits until a node was caught in the trap: all its threads are stopped. Nobody may stay halted meanwhile for whom
    /// no trap is set any more, so it is always waited for.
    async fn caught(&self) -> Process {
        pending().await
    }

    /// Takes the trap away and lets whoever was caught go on, unless a fault has paused or killed it meanwhile.
    ///
    /// # Errors
    /// Somebody may still be halted.
    async fn disarm(&self) -> Result<(), FaultError> {
        Ok(())
    }
}

#[async_trait]
impl Breakable for Cluster {
    async fn start(&self, fault: &Fault, rng: &mut ChaCha8Rng) -> Result<Active, FaultError> {
        Cluster::start(self, fault, rng).await
    }

    async fn stop(&self, active: Active) -> Result<Receipt, FaultError> {
        Cluster::stop(self, active).await
    }

    async fn heal_all(&self) -> Result<Vec<Receipt>, FaultError> {
        Cluster::heal_all(self).await
    }

    fn crashes(&self) -> Vec<Crash> {
        Cluster::crashes(self)
    }

    fn leaders(&self) -> watch::Receiver<u64> {
        self.known().leaders()
    }

    fn sight(&self, sign: &Sign) -> BoxFuture<'static, String> {
        self.known().sight(sign)
    }

    async fn arm(&self, trap: &Trap) -> Result<(), FaultError> {
        Cluster::arm(self, trap).await
    }

    async fn caught(&self) -> Process {
        Cluster::caught(self).await
    }

    async fn disarm(&self) -> Result<(), FaultError> {
        Cluster::disarm(self).await
    }
}
