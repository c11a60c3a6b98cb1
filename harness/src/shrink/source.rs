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
        let kind = Kind::of(&Results::read(&folder)?.judgements);
        if kind.is_valid() {
            let path = folder.path().display();
            let sentence = format!("{path}: nothing was invalid in this run, so nothing can be shrunk");
            return Err(Failure::BadArguments(sentence));
        }
        Ok(Source { spec: Spec::read(&folder.test())?, schedule: Schedule::read(&folder.schedule())?, kind })
    }
}

/// The tests that do by a script what was done in a run, the most telling first. The last hits the same nodes at the
/// same times, and tries again what was refused, for even that was a moment of the run: in simulation it is the same
/// run again.
#[must_use]
pub fn scripted(spec: &Spec, schedule: &Schedule) -> Vec<Spec> {
    let mut all = schedule.clone();
    all.faults.iter_mut().for_each(|fault| fault.error = None);
    let scripts = [
        schedule.script(Rearm::Landmarks, Whom::Drawn),
        schedule.script(Rearm::Landmarks, Whom::Done),
        schedule.script(Rearm::Time, Whom::Drawn),
        schedule.script(Rearm::Time, Whom::Done),
        all.script(Rearm::Time, Whom::Done),
    ];
    scripts.into_iter().map(|script| Spec { faults: Vec::new(), script, ..spec.clone() }).collect()
}
