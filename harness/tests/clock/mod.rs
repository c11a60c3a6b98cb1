//! What the tests of clocks share.

use std::process::exit;

pub mod cluster;
pub mod process;
pub mod target;

/// The process that turns clocks, if the arguments say so: the harness calls its own program for it, which is the
/// test here.
pub fn helper_if_asked() {
    if std::env::args().nth(1).as_deref() == Some(grudge::clock::COMMAND) {
        match grudge::clock::serve(std::io::stdin(), std::io::stdout()) {
            Ok(()) => exit(0),
            Err(error) => {
                anstream::eprintln!("{error}");
                exit(255)
            }
        }
    }
}
