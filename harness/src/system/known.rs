//! Which systems there are: those that come with this program, and those that a file describes.

use std::fs;
use std::path::{self, Path};

use serde::Deserialize as _;
use serde::de::Error as _;
use toml::Spanned;
use toml::de::{DeTable, Deserializer, Error};

use super::{System, SystemError};

/// What is known without any file on the machine.
const BUILT_IN: [&str; 8] = [
    include_str!("../../../nodes/systems/raft.toml"),
    include_str!("../../../nodes/systems/zab.toml"),
    include_str!("../../../nodes/systems/etcd.toml"),
    include_str!("../../../nodes/systems/etcd-3.5.1.toml"),
    include_str!("../../../nodes/systems/zookeeper.toml"),
    include_str!("../../../nodes/systems/redis.toml"),
    include_str!("../../../nodes/systems/redis-sentinel.toml"),
    include_str!("../../../nodes/systems/rnacos.toml"),
];

impl System {
    /// All systems that come with this program.
    #[must_use]
    pub fn all() -> Vec<System> {
        BUILT_IN
            .iter()
            .map(|text| system(text).expect("nodes/systems/*.toml are read by a test, so they parse"))
            .collect()
    }

    /// The system of that name.
    ///
    /// # Errors
    /// There is none; the error lists those there are.
    pub fn named(name: &str) -> Result<System, SystemError> {
        let all = System::all();
        let known = all.iter().map(|system| system.name.as_str()).collect::<Vec<_>>().join(", ");
        all.into_iter()
            .find(|system| system.name == name)
            .ok_or_else(|| SystemError::Unknown { name: name.to_owned(), known })
    }

    /// The system that a file describes.
    ///
    /// # Errors
    /// It cannot be read or makes no sense; the error names the line.
    pub fn read(file: &Path) -> Result<System, SystemError> {
        let text = fs::read_to_string(file).map_err(|error| wrong(file, &error))?;
        System::parse(file, &text)
    }

    /// The same, of what is in the file.
    ///
    /// # Errors
    /// It makes no sense; the error names the line.
    pub fn parse(file: &Path, text: &str) -> Result<System, SystemError> {
        let mut system = system(text).map_err(|error| wrong(file, &error))?;
        system.check_speech().map_err(|error| wrong(file, &error))?;
        let here = file.parent().unwrap_or(Path::new(""));
        let here = path::absolute(here.join(".")).map_err(|error| wrong(file, &error))?;
        for word in system.command.iter_mut().chain(&mut system.client) {
            *word = word.replace("{here}", &here.display().to_string());
        }
        Ok(system)
    }
}

/// What a file describes. What it does not say is as in the system that it is `like`.
fn system(text: &str) -> Result<System, Error> {
    let described = || {
        let mut table = DeTable::parse(text)?;
        if let Some(like) = table.get_mut().remove("like") {
            for (key, value) in alike(like.get_ref().as_str().unwrap_or_default())? {
                table.get_mut().entry(key).or_insert(value);
            }
        }
        System::deserialize(Deserializer::from(table))
    };
    described().map_err(|mut error: Error| {
        error.set_input(Some(text));
        error
    })
}

/// What the file says of the built-in system of that name.
fn alike(name: &str) -> Result<DeTable<'static>, Error> {
    let mut tables = BUILT_IN.iter().filter_map(|text| DeTable::parse(text).ok()).map(Spanned::into_inner);
    let is_it = |table: &DeTable<'_>| table.get("name").is_some_and(|it| it.get_ref().as_str() == Some(name));
    let table = tables.find(|table| is_it(table) && !table.contains_key("like"));
    table.ok_or_else(|| Error::custom(format!("`like = \"{name}\"`: there is no such system with a whole description")))
}

fn wrong(file: &Path, cause: &dyn std::fmt::Display) -> SystemError {
    SystemError::File { file: file.to_owned(), cause: cause.to_string() }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;
    use grudge_nodes::bugs::Bug;

    use super::*;
    use crate::spec::kebab;

    #[test]
    fn every_built_in_system_is_known_by_its_name() {
        for system in System::all() {
            assert_eq!(System::named(&system.name).as_ref(), Ok(&system));
            assert_eq!(system.check_speech(), Ok(()), "{}", system.name);
        }
    }

    #[test]
    fn every_planted_bug_has_a_system_that_bears_it() {
        for bug in Bug::value_variants() {
            let system = System::named(bug.protocol()).expect("a protocol of ours is a system");
            assert_eq!(system.accept(&[*bug]), Ok(()), "{}", kebab(bug));
        }
    }

    #[test]
    fn an_unknown_system_is_answered_with_those_known() {
        let error = System::named("paxos").expect_err("nobody knows it").to_string();
        let wanted = "there is no system `paxos`; the systems known are: raft, zab, etcd, etcd-3.5.1, zookeeper, redis, redis-sentinel, rnacos; ";
        assert!(error.starts_with(wanted), "{error}");
    }

    #[test]
    fn a_system_like_another_differs_in_what_its_file_says() {
        let [old, new] = ["etcd", "etcd-3.5.1"].map(|name| System::named(name).expect("built in"));
        assert_eq!(
            System { name: old.name, about: old.about, needs: old.needs, environment: old.environment, ..new.clone() },
            System::named("etcd").expect("built in")
        );
        let path = Path::new("x.toml");
        let mine = System::parse(path, "like = 'etcd'\nname = 'x'\nclient-port = 7\n").expect("the rest is etcd's");
        assert_eq!((mine.client_port, mine.command), (7, new.command));
        let error = System::parse(path, "like = 'etcd'\nname = 'x'\nclient-port = 'x'\n").expect_err("no port");
        assert!(error.to_string().contains("line 3, column 15"), "{error}");
        let error = System::parse(path, "like = 'paxos'\nname = 'x'").expect_err("nobody knows it");
        assert!(error.to_string().contains("`like = \"paxos\"`: there is no such system"), "{error}");
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let good = "name = 'x'\nabout = 'x'\nprotocol = 'etcd'\nclient-port = 1\n";
        let table = [
            ("command = ['x'", "line 5, column 15"),
            ("command = ['x']\nports = 7", "line 6"),
            ("command = []", "line 5, column 11\n  |\n5 | command = []"),
            ("command = ['x']\nneeds = ['x']", "line 6"),
            ("", "missing field `command`"),
        ];
        for (lines, sentence) in table {
            let error = System::parse(Path::new("my/x.toml"), &format!("{good}{lines}")).expect_err(lines).to_string();
            assert!(error.starts_with("my/x.toml describes no system: "), "{error}");
            assert!(error.contains(sentence), "{lines}: {error}");
        }
        let name = System::parse(Path::new("x.toml"), &format!("command = ['x']\n{}", good.replace("'x'", "'a/b'")));
        let error = name.expect_err("it would be a folder's").to_string();
        assert!(error.contains("line 2") && error.contains("letters, digits"), "{error}");
        let error = System::read(Path::new("/no/such.toml")).expect_err("it is not there").to_string();
        assert!(error.contains("/no/such.toml") && error.contains("No such file"), "{error}");
    }
}
