//! The rungs of small random histories, against their definitions tried out, and against each other.

mod brute;
mod random;

use brute::Brute;
use grudge_checkers::history::{History, csv};
use grudge_checkers::ladder::{self, Ladder, Level};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::verdict::Verdict;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

const CASES: u64 = 10_000;

fn text(history: &History) -> String {
    let mut bytes = Vec::new();
    csv::write(&mut bytes, history).expect("memory takes everything");
    String::from_utf8(bytes).expect("a history is UTF-8")
}

/// How often a level was found to hold, to be broken, and neither.
type Tally = [[u64; 3]; 8];

fn place(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Valid => 0,
        Verdict::Invalid { .. } => 1,
        Verdict::Unknown { .. } => 2,
    }
}

fn judge(seed: u64, tally: &mut Tally) {
    let random::Case { history, complete } = random::case(&mut ChaCha8Rng::seed_from_u64(seed));
    let rerun = || {
        let history = text(&history);
        format!("seed {seed}; again with: GRUDGE_SEED={seed} cargo test -p grudge-checkers --test ladder\n{history}")
    };
    let ladder = Ladder::of(&history, &Limits::default());
    let said = |level| ladder.verdict(level);
    let holds = |level| *said(level) == Verdict::Valid;
    let broken = |level| matches!(said(level), Verdict::Invalid { .. });
    let brute = Brute::new(&history);
    for (rung, level) in ladder.rungs.iter().zip(Level::ALL) {
        assert_eq!(rung.level, level);
        tally[level as usize][place(&rung.verdict)] += 1;
        let alone = ladder::check(&history, level, &Limits::default());
        assert_eq!(alone.name(), rung.verdict.name(), "{} alone; {}", level.name(), rerun());
        let expected = brute.holds(level);
        match &rung.verdict {
            Verdict::Valid => assert_ne!(expected, Some(false), "{} is said to hold; {}", level.name(), rerun()),
            Verdict::Invalid { witness } => {
                assert_ne!(expected, Some(true), "{} is said to be broken: {witness}; {}", level.name(), rerun());
                let part = History { events: witness.events.clone() };
                assert!(!part.events.is_empty() && part.operations().is_ok(), "{witness}; {}", rerun());
                if level == Level::Sequential || level == Level::Convergent {
                    // A reader of what is not shown would make any part contradict itself.
                    let part = Brute::new(&part);
                    assert_ne!(part.holds(level), Some(true), "the witness proves nothing: {witness}; {}", rerun());
                }
            }
            Verdict::Unknown { reason } => {
                assert!(expected.is_none() || !complete, "{}: {expected:?}, but {reason}; {}", level.name(), rerun());
            }
        }
    }
    let sessions = [Level::ReadYourWrites, Level::MonotonicReads, Level::MonotonicWrites, Level::WritesFollowReads];
    if holds(Level::Linearizable) {
        assert!(Level::ALL.into_iter().all(holds), "linearizable, so everything; {}", rerun());
    }
    if holds(Level::Sequential) {
        assert!(sessions.into_iter().all(holds), "sequential, so all session guarantees; {}", rerun());
    }
    if sessions.into_iter().any(broken) {
        assert!(broken(Level::Sequential) && broken(Level::Linearizable), "no session guarantee; {}", rerun());
    }
    if broken(Level::Sequential) {
        assert!(broken(Level::Linearizable), "not sequential, so not linearizable; {}", rerun());
    }
    if holds(Level::MonotonicPerUser) {
        assert!(!broken(Level::MonotonicReads), "a user's processes are monotonic if the user is; {}", rerun());
    }
    let strongest = Level::ALL.into_iter().find(|level| holds(*level));
    assert_eq!(ladder.strongest(), strongest);
    assert_eq!(ladder.lines().len(), 9);
}

#[test]
fn each_rung_is_as_its_definition_says_and_follows_from_those_above() {
    let first: Option<u64> = std::env::var("GRUDGE_SEED").ok().map(|seed| seed.parse().expect("a number"));
    let cases: u64 = std::env::var("GRUDGE_CASES").map_or(CASES, |cases| cases.parse().expect("a number"));
    let mut tally = Tally::default();
    match first {
        Some(seed) => return judge(seed, &mut tally),
        None => (1..=cases).for_each(|seed| judge(seed, &mut tally)),
    }
    for (level, [holds, broken, _]) in Level::ALL.into_iter().zip(tally) {
        assert!(
            holds > cases / 10 && broken > cases / 1000,
            "one-sided histories prove little: {}: {tally:?}",
            level.name()
        );
    }
}

fn ladder(csv: &str) -> Ladder {
    let head = "process,type,f,key,value,version,node,user\n";
    let (history, damage) = csv::read(format!("{head}{csv}").as_bytes());
    assert!(damage.is_none(), "{damage:?}");
    Ladder::of(&history, &Limits::default())
}

/// A write of 1 and then of 2, both acknowledged, and who read what afterwards.
fn after_two_writes(reads: &str) -> Ladder {
    ladder(&format!(
        "0,invoke,write,x,1,,n1,\n0,ok,write,x,1,,n1,\n0,invoke,write,x,2,,n1,\n0,ok,write,x,2,,n1,\n{reads}"
    ))
}

#[test]
fn the_strongest_level_that_holds_is_named() {
    let behind = "1,invoke,read,x,,,n2,\n1,ok,read,x,1,,n2,\n";
    let up_to_date = "1,invoke,read,x,,,n2,\n1,ok,read,x,2,,n2,\n";
    let first_node = "2,invoke,read,x,,,n1,\n2,ok,read,x,2,,n1,\n";
    let own = "0,invoke,read,x,,,n2,\n0,ok,read,x,1,,n2,\n";
    let one_user = "1,invoke,read,x,,,n1,u\n1,ok,read,x,2,,n1,u\n2,invoke,read,x,,,n2,u\n2,ok,read,x,1,,n2,u\n";
    let table = [
        (up_to_date.to_owned(), Some(Level::Linearizable), None),
        (behind.to_owned(), Some(Level::Sequential), Some(Level::Linearizable)),
        // Another order of the writes still fits all that sessions saw.
        (format!("{up_to_date}{behind}"), Some(Level::ReadYourWrites), Some(Level::MonotonicWrites)),
        (own.to_owned(), Some(Level::ReadYourWrites), Some(Level::MonotonicWrites)),
        (one_user.to_owned(), Some(Level::Sequential), Some(Level::MonotonicPerUser)),
        (format!("{first_node}{behind}"), Some(Level::Sequential), Some(Level::Convergent)),
        (format!("{first_node}{behind}{up_to_date}"), Some(Level::Sequential), Some(Level::Linearizable)),
    ];
    for (reads, strongest, broken) in table {
        let ladder = after_two_writes(&reads);
        assert_eq!(ladder.strongest(), strongest, "{reads}{ladder}");
        if let Some(level) = broken {
            assert!(matches!(ladder.verdict(level), Verdict::Invalid { .. }), "{reads}{ladder}");
        }
    }
}

#[test]
fn a_ladder_is_told_in_words() {
    insta::assert_snapshot!(after_two_writes(
        "1,invoke,read,x,,,n2,\n1,ok,read,x,2,,n2,\n1,invoke,read,x,,,n3,\n1,ok,read,x,1,,n3,\n"
    ));
    insta::assert_snapshot!(ladder(
        "0,invoke,write,x,1,,n1,\n0,ok,write,x,1,10,n1,\n0,invoke,write,x,2,,n1,\n0,ok,write,x,2,11,n1,\n\
         1,invoke,read,x,,,n2,\n1,ok,read,x,2,11,n2,\n1,invoke,read,x,,,n3,\n1,ok,read,x,1,10,n3,\n"
    ));
}
