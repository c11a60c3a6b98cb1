//! What is shrunk: the folder of a run, or a test file with a script.

use std::path::Path;

use crate::exit::Failure;
use crate::nemesis::Schedule;
use crate::nemesis::schedule::{Rearm, Whom};
use crate::report::Results;
use crate::shrink::Kind;
use crate::spec::Spec;
use crate::store::RunFolder;

/// A test that failed, and how.
#[derive(Debug)]
pub struct Source {
    /// The test.
    pub spec: Spec,
    /// What its nemesis did.
    pub schedule: Schedule,
    /// What was invalid.
    pub kind: Kind,
}

impl Source {
    /// A run's.
    ///
    /// # Errors
    /// There is no run in that folder, it was cut short, or nothing was invalid.
    pub fn read(folder: &Path) -> Result<Source, Failure> {
        let folder = RunFolder::open(folder).map_err(|error| Failure::BadArguments(format!("{error:#}")))?;
        let results = Results::read(&folder)?;
        let kind = Kind::of(&results.judgements);
        if kind.is_valid() {
            let path = folder.path().display();
            return Err(Failure::BadArguments(format!(
                "{path}: nothing was invalid in this run, so nothing can be shrunk"
            )));
        }
        Ok(Source { spec: Spec::read(&folder.test())?, schedule: Schedule::read(&folder.schedule())?, kind })
    }
}

/// The tests that do by a script what was done in a run, the most telling first. The last hits the same nodes at the
/// same times, which in simulation is the same run again.
#[must_use]
pub fn scripted(spec: &Spec, schedule: &Schedule) -> Vec<Spec> {
    let ways = [
        (Rearm::Landmarks, Whom::Drawn),
        (Rearm::Landmarks, Whom::Done),
        (Rearm::Time, Whom::Drawn),
        (Rearm::Time, Whom::Done),
    ];
    let by = |(rearm, whom)| Spec { faults: Vec::new(), script: schedule.script(rearm, whom), ..spec.clone() };
    ways.into_iter().map(by).collect()
}
