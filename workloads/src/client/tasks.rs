//! A library's background tasks, held by a hand that can stop them.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use spawns_core::{Spawn, Task};
use tokio::task::AbortHandle;

/// Tasks that a library spawned, aborted together when this is dropped: what they still had to send is not sent.
#[derive(Default)]
pub(super) struct Tasks(Spawner);

/// What a library is given to spawn its tasks with.
#[derive(Clone, Default)]
pub(super) struct Spawner(Arc<Mutex<Vec<AbortHandle>>>);

impl Tasks {
    /// Spawns into this.
    pub(super) fn spawner(&self) -> Spawner {
        self.0.clone()
    }

    /// Runs `future`; what it spawns through the crate `spawns` on its way is held here.
    pub(super) async fn hold<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        poll_fn(|context| {
            let _scope = spawns_core::enter(&self.0);
            future.as_mut().poll(context)
        })
        .await
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.handles().drain(..).for_each(|task| task.abort());
    }
}

impl Spawner {
    pub(super) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        let task = tokio::spawn(future).abort_handle();
        let mut handles = self.handles();
        handles.retain(|task| !task.is_finished());
        handles.push(task);
    }

    fn handles(&self) -> MutexGuard<'_, Vec<AbortHandle>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Spawn for Spawner {
    fn spawn(&self, task: Task) {
        let Task { future, .. } = task;
        Spawner::spawn(self, Box::into_pin(future));
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Spawner {
    fn execute(&self, future: F) {
        self.spawn(future);
    }
}
