//! Every planted bug's shrunk script still brings it out, and nothing without it: the tester is tested.
//!
//! The scripts are made by the shrinker, not by hand: `grudge hunt --shrink 2m` leaves one a bug beside its report,
//! and `grudge sim harness/tests/regressions/BUG.toml` plays one.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::ValueEnum;
use grudge::shrink::{self, Kind};
use grudge::spec::{Spec, kebab};
use grudge_nodes::bugs::Bug;

/// Another line of code makes another run of a seed, so a script is played with some more. The shrinker sees to it
/// that about one in four of them fails.
const SEEDS: u64 = 40;
/// A script that has more faults than this says too little.
const FAULTS: usize = 6;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions")
}

fn script(bug: Bug) -> Spec {
    let file = folder().join(format!("{}.toml", kebab(&bug)));
    Spec::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What is invalid if that is played.
fn played(spec: &Spec) -> Kind {
    Kind::of(&shrink::judged(spec).unwrap_or_else(|error| panic!("{:?}: {error}", spec.bugs)))
}

/// What the file says was invalid when it was made.
fn promised(bug: Bug) -> Kind {
    let file = folder().join(format!("{}.toml", kebab(&bug)));
    shrink::promised(&std::fs::read_to_string(file).expect("the script can be read"))
}

#[test]
fn every_bug_has_a_script_and_every_script_a_bug() {
    let scripts: BTreeSet<String> = std::fs::read_dir(folder())
        .expect("the folder of the scripts")
        .map(|entry| entry.expect("a file").path().file_stem().expect("a name").to_string_lossy().into_owned())
        .collect();
    let bugs: BTreeSet<String> = Bug::value_variants().iter().map(kebab).collect();
    assert_eq!(scripts, bugs);
}

#[test]
fn a_script_is_short_and_plays_its_bug() {
    for bug in Bug::value_variants() {
        let spec = script(*bug);
        assert_eq!(spec.bugs, [*bug]);
        assert!(spec.faults.is_empty(), "{}: a script draws nothing", kebab(bug));
        assert!((1..=FAULTS).contains(&spec.script.len()), "{}: {} faults", kebab(bug), spec.script.len());
    }
}

/// The seeds with which it is played: its own, and others.
fn seeds(spec: &Spec) -> impl Iterator<Item = Spec> {
    std::iter::once(spec.seed).chain(0..SEEDS).map(|seed| Spec { seed, ..spec.clone() })
}

#[test]
fn a_script_with_its_bug_is_invalid_as_it_was() {
    for bug in Bug::value_variants() {
        let (spec, was) = (script(*bug), promised(*bug));
        assert!(!was.is_valid(), "{}: the file does not say what was invalid", kebab(bug));
        let found = seeds(&spec).any(|spec| was.within(&played(&spec)));
        assert!(found, "{}: {was} is valid with all seeds; shrink a new find of the bug", kebab(bug));
    }
}

#[test]
fn a_script_without_its_bug_is_never_invalid() {
    for bug in Bug::value_variants() {
        let correct = Spec { bugs: Vec::new(), ..script(*bug) };
        for spec in seeds(&correct) {
            let kind = played(&spec);
            assert!(kind.is_valid(), "{} without the bug, seed {}: {kind} is invalid", kebab(bug), spec.seed);
        }
    }
}
