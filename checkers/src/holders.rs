//! Who believed to hold a lock, and whether two did at once: `acquire`, then `prove` or `work`, then `release`.
//!
//! A holder believes to hold from the return of its acquisition until it begins to release, is refused, or dies of an
//! unknown outcome. Two that believe so at one moment are told apart by what becomes of the one with the lower token, or
//! of the first if there are no tokens, after the other had acquired:
//!
//! | it | is |
//! |---|---|
//! | is refused when it comes back | an expired holder that was *fenced off* |
//! | proves or releases with success | a holder that was *served* beside the other |
//! | works, and asks nobody | a holder *at work* beside the other |
//! | is not heard of again | *silent* |
//!
//! A proof or a release is held against it only if it was called after the other's acquisition had returned. It costs one pass.

use crate::history::{History, Operation, Outcome, by_key};
use crate::verdict::{Verdict, Witness};

/// Whether nobody believed to hold a lock beside another. If somebody did, the witness says what became of it, and how
/// often which of these happened.
///
/// A history that cannot be read, or in which nothing was acquired, is `unknown`.
#[must_use]
pub fn check(history: &History) -> Verdict {
    let operations = match history.operations() {
        Ok(operations) => operations,
        Err(error) => return Verdict::Unknown { reason: error.to_string() },
    };
    let (mut acquired, mut doubles) = (0, Vec::new());
    for (key, operations) in by_key(operations) {
        let tenures = tenures(operations);
        acquired += tenures.len();
        doubles.extend(self::doubles(&tenures).into_iter().map(|double| (key.map(str::to_owned), double)));
    }
    let count = |fate: Fate| doubles.iter().filter(|(_, double)| double.fate == fate).count();
    let counts = Fate::ALL.map(count);
    // Of the worst fate the first.
    match doubles.iter().min_by_key(|(_, double)| double.fate) {
        None if acquired == 0 => Verdict::Unknown { reason: "nothing was acquired".to_owned() },
        None => Verdict::Valid,
        Some((key, worst)) => Verdict::Invalid { witness: worst.witness(key.clone(), acquired, counts) },
    }
}

/// What becomes of an earlier holder beside a later one; the worst comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Served,
    AtWork,
    FencedOff,
    Silent,
}

impl Fate {
    const ALL: [Fate; 4] = [Fate::Served, Fate::AtWork, Fate::FencedOff, Fate::Silent];
}

/// From an acquisition to the end of what its caller believes.
struct Tenure<'h> {
    acquisition: Operation<'h>,
    token: Option<i64>,
    /// Proofs, work and the release, in their order.
    uses: Vec<Operation<'h>>,
}

impl Tenure<'_> {
    /// The position of the event at which its caller does not believe to hold any more.
    fn end(&self) -> usize {
        self.uses.last().map_or(usize::MAX, |last| match (last.f(), last.outcome()) {
            ("release", _) => last.call,
            (_, Outcome::Ok) => usize::MAX,
            (_, Outcome::Fail | Outcome::Info) => last.ret.unwrap_or(usize::MAX),
        })
    }

    fn begin(&self) -> usize {
        self.acquisition.ret.unwrap_or(usize::MAX)
    }

    fn is_over(&self) -> bool {
        self.uses.last().is_some_and(|last| last.f() == "release" || last.outcome() != Outcome::Ok)
    }
}

/// The tenures of one lock, in the order in which they begin.
fn tenures<'h>(operations: Vec<Operation<'h>>) -> Vec<Tenure<'h>> {
    let mut tenures: Vec<Tenure<'h>> = Vec::new();
    for operation in operations {
        if operation.f() == "acquire" {
            if operation.outcome() == Outcome::Ok {
                let token = operation.completion.and_then(|completion| completion.value.as_i64());
                tenures.push(Tenure { acquisition: operation, token, uses: Vec::new() });
            }
            continue;
        }
        let own = |tenure: &&mut Tenure<'_>| tenure.acquisition.process() == operation.process();
        if let Some(tenure) = tenures.iter_mut().rev().find(own).filter(|tenure| !tenure.is_over()) {
            tenure.uses.push(operation);
        }
    }
    tenures.sort_by_key(Tenure::begin);
    tenures
}

/// Two that believed to hold at one moment.
struct Double<'h> {
    earlier: Operation<'h>,
    later: Operation<'h>,
    fate: Fate,
    /// By what the earlier one's fate is known.
    last: Option<Operation<'h>>,
}

/// Each earlier holder with the first that it met.
fn doubles<'h>(tenures: &[Tenure<'h>]) -> Vec<Double<'h>> {
    let mut doubles = Vec::new();
    let mut holding: Vec<&Tenure<'h>> = Vec::new();
    for tenure in tenures {
        let now = tenure.begin();
        holding.retain(|other| other.end() > now);
        for other in &holding {
            let [earlier, later] = if tenure.token < other.token { [tenure, other] } else { [other, tenure] };
            let is_told = |double: &Double<'_>| double.earlier.call == earlier.acquisition.call;
            if !doubles.iter().any(is_told) {
                let (fate, last) = fate(earlier, now);
                doubles.push(Double { earlier: earlier.acquisition, later: later.acquisition, fate, last });
            }
        }
        holding.push(tenure);
    }
    doubles
}

/// What becomes of a tenure after that position, and by what that is known.
fn fate<'h>(tenure: &Tenure<'h>, now: usize) -> (Fate, Option<Operation<'h>>) {
    for operation in &tenure.uses {
        let fate = match (operation.outcome(), operation.f()) {
            (Outcome::Fail, _) if operation.ret.is_some_and(|ret| ret > now) => Fate::FencedOff,
            // Its work went on when the other held already; what became of a proof that was under way is not known.
            (Outcome::Ok, "work") if operation.ret.is_some_and(|ret| ret > now) => Fate::AtWork,
            (Outcome::Ok, _) if operation.call > now => Fate::Served,
            _ => continue,
        };
        return (fate, Some(*operation));
    }
    (Fate::Silent, None)
}

impl Double<'_> {
    fn witness(&self, key: Option<String>, acquired: usize, counts: [usize; 4]) -> Witness {
        let [earlier, later] = [&self.earlier, &self.later].map(words);
        let what = match self.fate {
            Fate::Served | Fate::AtWork => "two holders at once",
            Fate::FencedOff => "an expired holder was fenced off",
            Fate::Silent => "a holder had expired and was not heard of again",
        };
        let last = self.last.as_ref().map_or(String::new(), |last| format!("; after that {}", words(last)));
        let [served, at_work, fenced_off, silent] = counts;
        let held = served + at_work + fenced_off + silent;
        let reason = format!(
            "{what}: {earlier}, and {later}{last}. Of {acquired} holders {held} did not let go before another held: \
             {fenced_off} fenced off when they came back, {served} served, {at_work} at work, {silent} not heard of again"
        );
        let shown = [Some(self.earlier), Some(self.later), self.last];
        let mut events: Vec<_> = shown
            .into_iter()
            .flatten()
            .flat_map(|operation| [Some(operation.invoke), operation.completion])
            .flatten()
            .cloned()
            .collect();
        events.sort_by_key(|event| event.index);
        Witness { key, reason, events }
    }
}

/// An operation in words.
fn words(operation: &Operation<'_>) -> String {
    let node = operation.node().map_or(String::new(), |node| format!(" at {node}"));
    let value = operation.completion.filter(|completion| !completion.value.is_null());
    let token = value.map_or(String::new(), |completion| format!(" with token {}", completion.value));
    let error = operation.completion.and_then(|completion| completion.error.as_deref()).unwrap_or("no reason");
    let did = match (operation.f(), operation.outcome()) {
        ("acquire", _) => "acquired".to_owned(),
        ("prove", Outcome::Ok) => "proved".to_owned(),
        ("work", Outcome::Ok) => "worked".to_owned(),
        ("release", Outcome::Ok) => "released".to_owned(),
        (f, _) => format!("was refused to {f} ({error})"),
    };
    format!("process {} {did}{node}{token} ({})", operation.process(), operation.events())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(rows: &str) -> Verdict {
        let (history, damage) = crate::history::csv::read(format!("process,type,f,key,value,error\n{rows}").as_bytes());
        assert!(damage.is_none(), "{damage:?}");
        check(&history)
    }

    /// Process 0 acquires with token 1 and proves, and process 1 acquires with token 2 meanwhile.
    const BOTH: &str = "0,invoke,acquire,x,,\n0,ok,acquire,x,1,\n0,invoke,prove,x,1,\n1,invoke,acquire,x,,\n\
                        1,ok,acquire,x,2,\n0,ok,prove,x,1,\n";

    fn reason(rows: &str) -> String {
        match judged(&format!("{BOTH}{rows}")) {
            Verdict::Invalid { witness } => {
                assert_eq!(witness.key.as_deref(), Some("x"));
                witness.reason
            }
            other => panic!("{rows}: {other}"),
        }
    }

    #[test]
    fn an_expired_holder_that_is_refused_was_fenced_off() {
        let told = reason("0,invoke,prove,x,1,\n0,fail,prove,x,1,lost\n1,invoke,prove,x,2,\n1,ok,prove,x,2,\n");
        assert_eq!(
            told,
            "an expired holder was fenced off: process 0 acquired with token 1 (events 0 and 1), and process 1 acquired \
             with token 2 (events 3 and 4); after that process 0 was refused to prove (lost) with token 1 (events 6 and \
             7). Of 2 holders 1 did not let go before another held: 1 fenced off when they came back, 0 served, 0 at \
             work, 0 not heard of again"
        );
    }

    #[test]
    fn two_that_are_served_hold_at_once() {
        let served = reason("0,invoke,prove,x,1,\n0,ok,prove,x,1,\n");
        assert!(served.starts_with("two holders at once: process 0 acquired with token 1"), "{served}");
        assert!(served.contains("after that process 0 proved with token 1 (events 6 and 7)"), "{served}");
        assert!(served.contains("0 fenced off when they came back, 1 served"), "{served}");
        let released = reason("0,invoke,release,x,1,\n0,ok,release,x,1,\n");
        assert!(released.starts_with("two holders at once"), "{released}");
        let worked = reason("0,invoke,work,x,1,\n0,ok,work,x,1,\n0,invoke,release,x,1,\n0,fail,release,x,1,lost\n");
        assert!(worked.starts_with("two holders at once") && worked.contains("1 at work"), "{worked}");
    }

    #[test]
    fn who_is_not_heard_of_again_did_no_harm_that_is_known() {
        for rows in ["", "0,invoke,prove,x,1,\n0,info,prove,x,1,timeout\n"] {
            let told = reason(rows);
            assert!(told.starts_with("a holder had expired and was not heard of again"), "{told}");
        }
    }

    #[test]
    fn holders_one_after_the_other_are_valid() {
        let table = [
            // Released, and the other acquires before the release returns.
            "0,invoke,acquire,x,,\n0,ok,acquire,x,1,\n0,invoke,release,x,1,\n1,invoke,acquire,x,,\n1,ok,acquire,x,2,\n\
             0,ok,release,x,1,\n",
            // Refused before the other acquires.
            "0,invoke,acquire,x,,\n0,ok,acquire,x,1,\n0,invoke,prove,x,1,\n0,fail,prove,x,1,lost\n1,invoke,acquire,x,,\n\
             1,ok,acquire,x,2,\n",
            // Two locks.
            "0,invoke,acquire,x,,\n0,ok,acquire,x,1,\n1,invoke,acquire,y,,\n1,ok,acquire,y,2,\n",
            // Nobody knows whether the second holds, and it is dead.
            "0,invoke,acquire,x,,\n0,ok,acquire,x,1,\n1,invoke,acquire,x,,\n1,info,acquire,x,,timeout\n",
        ];
        for rows in table {
            assert_eq!(judged(rows), Verdict::Valid, "{rows}");
        }
        let taken = judged("0,invoke,acquire,x,,\n0,fail,acquire,x,,taken\n");
        assert!(matches!(taken, Verdict::Unknown { .. }), "{taken}");
    }
}
