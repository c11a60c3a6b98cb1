//! What became of all elements, and the worst of it in words.

use super::LocalReads;
use super::elements::{Element, Elements, Fate, Phantom};
use crate::history::{History, Operation, by_key};
use crate::verdict::Witness;

/// How many elements there are of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Known and never missed.
    pub ok: usize,
    /// Missed by a read and shown by a later one.
    pub stale: usize,
    /// Missed by a read and never shown after it.
    pub lost: usize,
    /// Acknowledged, and no read began afterwards.
    pub never_read: usize,
    /// Of unknown outcome, and shown by a read.
    pub recovered: usize,
    /// Shown by a read and never added.
    pub phantom: usize,
}

/// What became of the elements of all sets of a history.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How many of each.
    pub counts: Counts,
    /// How many reads succeeded.
    pub reads: usize,
    /// The worst that was found, if anything was.
    pub witness: Option<Witness>,
}

pub(super) fn of(history: &History, local: LocalReads) -> Result<Report, String> {
    let operations = history.operations().map_err(|error| error.to_string())?;
    let mut counts = Counts::default();
    let mut reads = 0;
    let mut worst: Option<Worst<'_>> = None;
    for (key, operations) in by_key(operations) {
        let set = Elements::new(&operations, local)?;
        reads += set.reads;
        counts.add(&set);
        for finding in findings(set) {
            let finding = Worst { key, finding };
            if worst.as_ref().is_none_or(|worst| finding.rank() < worst.rank()) {
                worst = Some(finding);
            }
        }
    }
    let witness = worst.map(|worst| worst.witness(&counts));
    Ok(Report { counts, reads, witness })
}

impl Counts {
    fn add(&mut self, set: &Elements<'_>) {
        for element in &set.elements {
            match element.fate() {
                Fate::Ok => self.ok += 1,
                Fate::Stale => self.stale += 1,
                Fate::Lost => self.lost += 1,
                Fate::NeverRead => self.never_read += 1,
                Fate::Unknown => {}
            }
            self.recovered += usize::from(element.is_recovered());
        }
        self.phantom += set.phantoms.len();
    }

    /// All that is wrong, in words: `3 lost, 1 stale, of 120 known`.
    fn wrong(&self) -> String {
        let kinds = [(self.phantom, "phantom"), (self.lost, "lost"), (self.stale, "stale")];
        let kinds = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
        let known = self.ok + self.stale + self.lost + self.never_read;
        format!("{}, of {known} known", kinds.collect::<Vec<_>>().join(", "))
    }
}

enum Finding<'h> {
    Phantom(Phantom<'h>),
    Missed(Element<'h>, Operation<'h>),
}

struct Worst<'h> {
    key: Option<&'h str>,
    finding: Finding<'h>,
}

fn findings(set: Elements<'_>) -> impl Iterator<Item = Finding<'_>> {
    let missed =
        set.elements.into_iter().filter_map(|element| element.missed.map(|read| Finding::Missed(element, read)));
    set.phantoms.into_iter().map(Finding::Phantom).chain(missed)
}

impl Worst<'_> {
    /// The least is shown: what is lost before what is stale, and the earliest of each.
    fn rank(&self) -> (u8, usize) {
        match &self.finding {
            Finding::Phantom(phantom) => (1, phantom.read.call),
            Finding::Missed(element, _) if element.fate() == Fate::Lost => (0, element.added.call),
            Finding::Missed(element, _) => (2, element.added.call),
        }
    }

    fn witness(self, counts: &Counts) -> Witness {
        let (reason, operations) = match self.finding {
            Finding::Phantom(phantom) => (phantom.reason(), [Some(phantom.read), phantom.added, None, None]),
            Finding::Missed(element, read) => {
                let after = element.shown.filter(|shown| shown.call > read.call);
                let operations = [Some(element.added), element.first_shown, Some(read), after];
                (missed(&element, &read, after.as_ref()), operations)
            }
        };
        let mut operations: Vec<Operation<'_>> = operations.into_iter().flatten().collect();
        operations.sort_by_key(|operation| operation.call);
        operations.dedup_by_key(|operation| operation.call);
        let mut events: Vec<_> =
            operations.iter().flat_map(|operation| [Some(operation.invoke), operation.completion]).flatten().collect();
        events.sort_by_key(|event| event.index);
        Witness {
            key: self.key.map(str::to_owned),
            reason: format!("{reason} (in all: {})", counts.wrong()),
            events: events.into_iter().cloned().collect(),
        }
    }
}

impl Phantom<'_> {
    fn reason(&self) -> String {
        let (value, read) = (self.value, self.read.events());
        match &self.added {
            None => format!("phantom: the read of {read} shows {value}, which was never added"),
            Some(added) if added.call > self.read.call => {
                format!("phantom: the read of {read} shows {value}, whose addition, {}, had not begun", added.events())
            }
            Some(added) => {
                format!("phantom: the read of {read} shows {value}, whose addition, {}, had failed", added.events())
            }
        }
    }
}

fn missed(element: &Element<'_>, read: &Operation<'_>, after: Option<&Operation<'_>>) -> String {
    let value = element.value;
    let how = match &element.first_shown {
        Some(shown) => format!("was shown by the read of {}", shown.events()),
        None => format!("was added and acknowledged ({})", element.added.events()),
    };
    let read = read.events();
    match after {
        None => format!("lost: {value} {how}, and is missing from the read of {read} and from all that followed"),
        Some(after) => format!(
            "stale: {value} {how}, and is missing from the read of {read}, which began later; the read of {} shows it",
            after.events()
        ),
    }
}
