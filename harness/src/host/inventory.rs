//! Which hosts a cluster lives on: those that an `ssh_config` names, or those on a list.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// The hosts of a cluster, in order, each as `ssh` knows it.
#[derive(Debug)]
pub struct Inventory {
    /// `n1` or `user@n1`: what `ssh` is told.
    pub hosts: Vec<String>,
    /// Where `ssh` is to read about them instead of `~/.ssh/config`.
    pub config: Option<Config>,
}

/// Why it cannot be said which hosts. What was given makes no sense.
#[derive(Debug, Error)]
pub enum InventoryError {
    /// The file cannot be read.
    #[error("{file}: {cause}", file = file.display())]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// Why not.
        cause: io::Error,
    },
    /// A line of a file, or one entry of a list, is no host.
    #[error("{place}: {problem}")]
    Line {
        /// The file and the line, or the option.
        place: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The file names no host.
    #[error(
        "{file} names no host: it wants lines such as `Host n1`, as `vagrant ssh-config` prints them of machines that \
         are up (names with * or ? stand for no host)",
        file = file.display()
    )]
    Empty {
        /// Which.
        file: PathBuf,
    },
}

/// An `ssh_config`, read once: it may have come through a pipe.
#[derive(Debug)]
pub struct Config {
    /// What it was called.
    pub origin: PathBuf,
    text: String,
}

impl Config {
    /// Puts it where `ssh` can read it.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn lay_out(&self, folder: &Path) -> io::Result<LaidOut> {
        let [kept, entry] = ["hosts", "config"].map(|name| folder.join(name));
        fs::write(&kept, &self.text)?;
        fs::write(&entry, format!("LogLevel ERROR\nInclude \"{}\"\n", kept.display()))?;
        Ok(LaidOut { origin: self.origin.clone(), kept, entry })
    }
}

/// An `ssh_config` in a folder of ours.
#[derive(Debug)]
pub struct LaidOut {
    origin: PathBuf,
    kept: PathBuf,
    /// What `ssh` is to read: it includes the other, and lets `ssh` say why it fails, which Vagrant forbids.
    pub entry: PathBuf,
}

impl LaidOut {
    /// What `ssh` says of the file, with its name as it was given.
    #[must_use]
    pub fn renamed(&self, said: &str) -> String {
        said.replace(&self.kept.display().to_string(), &self.origin.display().to_string())
    }
}

impl Inventory {
    /// The hosts that an `ssh_config` names, in its order; or, of those that it describes, these.
    ///
    /// # Errors
    /// It cannot be read, a line makes no sense, or it names no host.
    pub fn of_config(file: &Path, these: Option<Vec<String>>) -> Result<Inventory, InventoryError> {
        let unreadable = |cause| InventoryError::Unreadable { file: file.to_path_buf(), cause };
        let text = fs::read_to_string(file).map_err(unreadable)?;
        let named = hosts_of_config(file, &text)?;
        let hosts = these.unwrap_or(named);
        if hosts.is_empty() {
            return Err(InventoryError::Empty { file: file.to_path_buf() });
        }
        Ok(Inventory { hosts, config: Some(Config { origin: file.to_path_buf(), text }) })
    }

    /// Hosts that the user's own `ssh` knows.
    #[must_use]
    pub fn of_list(hosts: Vec<String>) -> Inventory {
        Inventory { hosts, config: None }
    }
}

/// Hosts as the command line lists them: `n1,user@n2`, or `@FILE` with one a line.
///
/// # Errors
/// One of them is no host or is there twice, or the file cannot be read.
pub fn listed(list: &str) -> Result<Vec<String>, InventoryError> {
    let Some(file) = list.strip_prefix('@') else {
        return distinct(list.split(',').map(|host| ("--hosts".to_owned(), host.trim().to_owned())).collect());
    };
    let file = Path::new(file);
    let text =
        fs::read_to_string(file).map_err(|cause| InventoryError::Unreadable { file: file.to_path_buf(), cause })?;
    let lines = text.lines().enumerate().map(|(index, line)| (place(file, index), line.trim().to_owned()));
    let hosts: Vec<_> = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).collect();
    if hosts.is_empty() {
        return Err(InventoryError::Line { place: file.display().to_string(), problem: "it names no host".to_owned() });
    }
    distinct(hosts)
}

fn distinct(hosts: Vec<(String, String)>) -> Result<Vec<String>, InventoryError> {
    let mut distinct: Vec<String> = Vec::new();
    for (place, host) in hosts {
        check(&host).map_err(|problem| InventoryError::Line { place: place.clone(), problem })?;
        if distinct.contains(&host) {
            return Err(InventoryError::Line { place, problem: format!("`{host}` is there twice") });
        }
        distinct.push(host);
    }
    Ok(distinct)
}

/// The names of the `Host` lines, each once. All else is for `ssh` to read.
fn hosts_of_config(file: &Path, text: &str) -> Result<Vec<String>, InventoryError> {
    let mut hosts: Vec<String> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let at = |problem: String| InventoryError::Line { place: place(file, index), problem };
        let Some(patterns) = patterns(line) else { continue };
        let patterns = words(patterns).map_err(at)?;
        if patterns.is_empty() {
            return Err(at("`Host` without a name".to_owned()));
        }
        for name in patterns.into_iter().filter(|pattern| !pattern.contains(['*', '?', '!'])) {
            check(&name).map_err(at)?;
            if !hosts.contains(&name) {
                hosts.push(name);
            }
        }
    }
    Ok(hosts)
}

/// What a `Host` line says after the keyword; none if it is another line.
fn patterns(line: &str) -> Option<&str> {
    let line = line.trim();
    let end = line.find(|letter: char| letter.is_whitespace() || letter == '=').unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    keyword.eq_ignore_ascii_case("host").then(|| rest.strip_prefix('=').unwrap_or(rest))
}

/// Words between blanks; one in double quotes may have blanks.
fn words(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() && !rest.starts_with('#') {
        let word;
        (word, rest) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').ok_or("a quotation mark is not closed")?,
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word.to_owned());
        rest = rest.trim_start();
    }
    Ok(words)
}

/// A name that `ssh` takes for a host, and for nothing else.
fn check(host: &str) -> Result<(), String> {
    let odd = host.contains(|letter: char| letter.is_whitespace() || letter.is_control() || "*?!,".contains(letter));
    if host.is_empty() || host.starts_with('-') || odd {
        return Err(format!("`{host}` is no host: write it as n1 or user@n1"));
    }
    Ok(())
}

fn place(file: &Path, index: usize) -> String {
    format!("{}: line {}", file.display(), index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAGRANT: &str = "Host n1\n  HostName 127.0.0.1\n  User vagrant\n  Port 2222\n  UserKnownHostsFile /dev/null\n  \
                           StrictHostKeyChecking no\n  IdentityFile \"/home/me/key of n1\"\n\nHost n2\n  HostName \
                           127.0.0.1\n  Port 2200\n";

    #[test]
    fn the_hosts_of_a_config_are_its_names_in_order() {
        let table: [(&str, &[&str]); 8] = [
            (VAGRANT, &["n1", "n2"]),
            ("", &[]),
            ("Host *\n  User me\nHost n? !n3\n", &[]),
            ("host b a\nHOST=c\nHost = d\n", &["b", "a", "c", "d"]),
            ("Host \"n1\" n2 # not n3\n", &["n1", "n2"]),
            ("Host n1\nHost n1 n2\n", &["n1", "n2"]),
            ("# Host n1\n  Host n2\n  HostName h\n  HostKeyAlias k\nMatch host n3\n", &["n2"]),
            ("\tHost\tn1\r\n", &["n1"]),
        ];
        for (text, wanted) in table {
            assert_eq!(hosts_of_config(Path::new("f"), text).expect("it makes sense"), wanted, "{text:?}");
        }
    }

    #[test]
    fn a_config_that_makes_no_sense_is_refused_with_its_line() {
        let table = [
            ("Host n1\nHost\n", "f: line 2: `Host` without a name"),
            ("Host \"n1\n", "f: line 1: a quotation mark is not closed"),
            ("\n\nHost -oProxyCommand=reboot\n", "f: line 3: `-oProxyCommand=reboot` is no host"),
            ("Host \"a b\"\n", "f: line 1: `a b` is no host"),
        ];
        for (text, wanted) in table {
            let error = hosts_of_config(Path::new("f"), text).expect_err(text).to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_list_is_hosts_with_commas_or_a_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("hosts");
        fs::write(&file, "# mine\nn1\n\n  me@n2  \n").expect("a file");
        let name = format!("@{}", file.display());
        assert_eq!(listed("n1, me@n2").expect("a list"), ["n1", "me@n2"]);
        assert_eq!(listed(&name).expect("a file"), ["n1", "me@n2"]);
        fs::write(&file, "n1\nn1\n").expect("a file");
        let table = [
            ("n1,,n2".to_owned(), "--hosts: `` is no host"),
            ("n1,n2,n1".to_owned(), "--hosts: `n1` is there twice"),
            ("n*".to_owned(), "--hosts: `n*` is no host"),
            (name, ": line 2: `n1` is there twice"),
            ("@/nowhere".to_owned(), "/nowhere: No such file"),
        ];
        for (list, wanted) in table {
            let error = listed(&list).expect_err(&list).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[test]
    fn a_config_is_read_once_and_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("mine");
        fs::write(&file, VAGRANT).expect("a file");
        let inventory = Inventory::of_config(&file, None).expect("it makes sense");
        fs::remove_file(&file).expect("it is there");
        let config = inventory.config.expect("it is kept").lay_out(folder.path()).expect("there is room");
        let entry = fs::read_to_string(&config.entry).expect("it was written");
        assert_eq!(entry, format!("LogLevel ERROR\nInclude \"{}\"\n", config.kept.display()));
        assert_eq!(fs::read_to_string(&config.kept).expect("it was written"), VAGRANT);
        assert_eq!(
            config.renamed(&format!("{}: line 2", config.kept.display())),
            format!("{}: line 2", file.display())
        );
        fs::write(&file, "Host *\n").expect("a file");
        let error = Inventory::of_config(&file, None).expect_err("no host").to_string();
        assert!(error.contains("names no host") && error.contains("vagrant ssh-config"), "{error}");
    }
}
