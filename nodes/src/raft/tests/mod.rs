//! Golden scripts: each file of `scripts/` is a scenario, and what happens in it, line by line, is a snapshot.

mod cluster;
mod show;

use std::path::Path;

use cluster::Cluster;

#[test]
fn scripts_go_as_written_down() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/raft/tests/scripts");
    let mut scripts: Vec<_> = folder
        .read_dir()
        .expect("the scripts are beside this file")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "script"))
        .collect();
    scripts.sort();
    assert!(!scripts.is_empty(), "no scripts in {}", folder.display());
    for path in scripts {
        let script = std::fs::read_to_string(&path).expect("a script is text");
        let name = path.file_stem().and_then(|stem| stem.to_str()).expect("scripts have plain names");
        insta::assert_snapshot!(name, play(name, &script));
    }
}

/// Plays a script; the transcript repeats each line and tells what came of it.
fn play(name: &str, script: &str) -> String {
    let mut cluster = Cluster::default();
    let mut transcript = String::new();
    for (number, line) in script.lines().enumerate() {
        transcript.push_str(line);
        transcript.push('\n');
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let told = cluster.command(line).unwrap_or_else(|wrong| panic!("{name}, line {}: {wrong}", number + 1));
        for line in told {
            transcript.push_str("    ");
            transcript.push_str(&line);
            transcript.push('\n');
        }
    }
    transcript
}
