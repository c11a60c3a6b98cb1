//! What a holder does that trusts its lock.

use std::time::Duration;

use tokio::time::sleep;

use crate::operation::Outcome;

/// How long it takes: long enough for a fault to meet a holder at work.
const WORK: Duration = Duration::from_millis(100);

/// Works under a lock, and asks nobody whether it is still held: neither before nor afterwards.
pub(crate) async fn work(token: i64) -> Outcome {
    sleep(WORK).await;
    Outcome::ok(token, None)
}
