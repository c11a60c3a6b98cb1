//! The rooms and their arrows, as `ARCHITECTURE.md` states them, held against the manifests.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the harness lives in the workspace").to_path_buf()
}

/// The names in one table of a room's manifest.
fn dependencies(room: &str, table: &str) -> BTreeSet<String> {
    let path = root().join(room).join("Cargo.toml");
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let manifest: toml::Table = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    match manifest.get(table).and_then(toml::Value::as_table) {
        Some(names) => names.keys().cloned().collect(),
        None => BTreeSet::new(),
    }
}

#[test]
fn a_room_depends_on_the_rooms_it_may_and_on_no_other() {
    let may: [(&str, &[&str]); 4] = [
        ("checkers", &[]),
        ("nodes", &[]),
        ("workloads", &["grudge-checkers"]),
        ("harness", &["grudge-checkers", "grudge-nodes", "grudge-workloads"]),
    ];
    for (room, allowed) in may {
        for table in ["dependencies", "build-dependencies"] {
            let names = dependencies(room, table);
            let rooms: Vec<&String> = names.iter().filter(|name| name.starts_with("grudge")).collect();
            for name in rooms {
                assert!(allowed.contains(&name.as_str()), "{room}/Cargo.toml: {table} may not name {name}");
            }
        }
    }
}

#[test]
fn checkers_need_no_runtime_no_system_and_no_clock() {
    let names = dependencies("checkers", "dependencies");
    for absent in ["tokio", "nix", "tonic", "procfs", "rand", "rand_chacha", "tracing", "jiff", "clap"] {
        assert!(!names.contains(absent), "checkers/Cargo.toml names {absent}: bytes in, verdict out");
    }
}

#[test]
fn workloads_start_nothing_and_break_nothing() {
    let names = dependencies("workloads", "dependencies");
    for absent in ["nix", "procfs", "rtnetlink", "clap"] {
        assert!(!names.contains(absent), "workloads/Cargo.toml names {absent}: faults and clusters are the harness's");
    }
}

/// The lines of a room's sources which contain a word, without comments.
fn uses(folder: &Path, word: &str, found: &mut Vec<String>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries {
        let path = entry.expect("a folder's entry can be read").path();
        if path.is_dir() {
            uses(&path, word, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let lines = text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"));
            let hits = lines.filter(|(_, line)| line.contains(word));
            found.extend(hits.map(|(i, line)| format!("{}:{}: {}", path.display(), i + 1, line.trim())));
        }
    }
}

#[test]
fn checkers_spawn_no_process_and_open_no_file() {
    for word in ["std::process", "std::fs", "File::open", "std::net", "Command::new"] {
        let mut found = Vec::new();
        uses(&root().join("checkers/src"), word, &mut found);
        assert!(found.is_empty(), "checkers are pure, but use {word}:\n{}", found.join("\n"));
    }
}
