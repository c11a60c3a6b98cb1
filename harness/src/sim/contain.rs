//! A replica that panics in a simulated world is a finding, not a defect of the harness.

use std::cell::Cell;

thread_local! {
    static CONTAINED: Cell<bool> = const { Cell::new(false) };
}

/// Whether a panic on this thread would be a replica's, which the world catches and reports. A panic hook asks this.
pub(crate) fn panic_is_contained() -> bool {
    CONTAINED.get()
}

/// Lets replicas act.
pub(super) fn contain<T>(act: impl FnOnce() -> T) -> T {
    let outer = CONTAINED.replace(true);
    let done = act();
    CONTAINED.set(outer);
    done
}
