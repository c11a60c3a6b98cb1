//! Golden histories: each file of `tests/histories` is named `CHECKER.SCENARIO.VERDICT.csv`. What the checker says of it is a
//! snapshot; `INSTA_UPDATE=always cargo test -p grudge-checkers --test golden` rewrites them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use grudge_checkers::checker::Checker;
use grudge_checkers::history::{History, csv};
use grudge_checkers::linearizability::Limits;
use grudge_checkers::model::Parameters;
use grudge_checkers::set::LocalReads;
use grudge_checkers::verdict::Verdict;
use grudge_checkers::{lease, set};

fn judge(checker: &str, history: &History) -> Verdict {
    match checker {
        "set-local" => set::check(history, LocalReads::AreJudged),
        "lease-outlived" => lease::outlived(history, Duration::from_secs(1)),
        name => {
            let checker: Checker = name.parse().expect("a checker");
            let judgement = checker.judge(history, &Limits::default());
            let verified = checker.verify(&Parameters::default(), history, &judgement);
            verified.unwrap_or_else(|error| panic!("{error}: {}", judgement.verdict));
            judgement.verdict
        }
    }
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/histories");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "csv"));
    files.sort();
    files
}

#[test]
fn each_history_is_judged_as_its_name_says() {
    let files = files();
    assert!(!files.is_empty());
    for path in files {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let [checker, _, expected] = name.split('.').collect::<Vec<_>>()[..] else {
            panic!("{name}: not CHECKER.SCENARIO.VERDICT")
        };
        let (history, damage) = csv::read(std::fs::File::open(&path).expect("it opens"));
        assert!(damage.is_none(), "{name}: {damage:?}");
        let verdict = judge(checker, &history);
        assert_eq!(verdict.name(), expected, "{name}: {verdict}");
        insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false, snapshot_path => "histories/said" }, {
            insta::assert_snapshot!(name.clone(), verdict.to_string());
        });
    }
}
