//! A library that reads a peer's bytes, held so that a panic over them stays inside: it ends the call, not the run.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::task::Poll;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// The library panicked over what a peer had sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Panicked;

/// Whether a panic on this thread would be a library's over a peer's bytes, and ends as a call's outcome. A panic hook
/// asks this, to tell it from a defect.
pub fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Runs `future`, which must not be the harness's own code.
pub(super) async fn contain<F: Future>(future: F) -> Result<F::Output, Panicked> {
    let mut future = pin!(future);
    poll_fn(|context| {
        let outer = CONTAINED.replace(true);
        // A future that has panicked is not polled again.
        let polled = catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context)));
        CONTAINED.set(outer);
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(_) => Poll::Ready(Err(Panicked)),
        }
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_ends_the_future_and_nothing_else() {
        let doomed = async {
            tokio::task::yield_now().await;
            assert!(!panic_is_contained(), "so that the hook knows");
        };
        assert_eq!(contain(doomed).await, Err(Panicked));
        assert!(!panic_is_contained());
        assert_eq!(contain(async { panic_is_contained() }).await, Ok(true));
        assert!(!panic_is_contained());
    }
}
