//! From the description of a system to what starts one of its nodes.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::{Place, System};
use crate::spec::kebab;

impl System {
    /// The command line that starts one node: the program and its arguments.
    #[must_use]
    pub fn command_line(&self, place: &Place<'_>) -> Vec<String> {
        self.line(&self.command, place)
    }

    /// The command line of what runs beside it; empty if nothing does.
    #[must_use]
    pub fn beside_line(&self, place: &Place<'_>) -> Vec<String> {
        self.line(&self.beside, place)
    }

    fn line(&self, command: &[String], place: &Place<'_>) -> Vec<String> {
        let mut line = Vec::new();
        for argument in command {
            match argument.as_str() {
                "{peers}" if self.join_peers.is_none() => line.extend(place.peers(&self.each_peer)),
                "{bugs}" => {
                    for bug in place.bugs {
                        line.extend(self.each_bug.iter().map(|text| text.replace("{bug}", &kebab(bug))));
                    }
                }
                text => line.push(self.fill(text, place)),
            }
        }
        line
    }

    /// What is added to the environment of one node.
    #[must_use]
    pub fn environment(&self, place: &Place<'_>) -> BTreeMap<String, String> {
        self.environment.iter().map(|(name, value)| (name.clone(), self.fill(value, place))).collect()
    }

    /// The files that one node finds at its first start.
    #[must_use]
    pub fn files(&self, place: &Place<'_>) -> Vec<(PathBuf, String)> {
        self.files.iter().map(|(path, text)| (self.fill(path, place).into(), self.fill(text, place))).collect()
    }

    /// A text with everything in the place of its placeholders.
    fn fill(&self, text: &str, place: &Place<'_>) -> String {
        let text = text.replace("{later}", if place.id == 1 { "" } else { &self.later });
        match &self.join_peers {
            Some(between) => place.fill(&text.replace("{peers}", &place.peers(&self.each_peer).join(between))),
            None => place.fill(&text),
        }
    }
}

/// Writes a file that was there before the node, so that no loss of power takes it away.
///
/// # Errors
/// It cannot be written.
pub(crate) fn lay(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    let mut file = File::create(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use grudge_nodes::bugs::Bug;

    use super::*;
    use crate::system::tests::system;

    /// The second of two nodes.
    fn place() -> Place<'static> {
        Place {
            grudge: Path::new("/bin/grudge"),
            id: 2,
            addresses: &const { [Ipv4Addr::new(10, 42, 0, 1), Ipv4Addr::new(10, 42, 0, 2)] },
            home: Path::new("run/n2"),
            data: Path::new("run/n2/data"),
            events: Path::new("run/n2/events"),
            seed: 7,
            bugs: &[Bug::ZabSkipTrunc],
        }
    }

    #[test]
    fn a_command_line_names_the_node_its_peers_and_its_bugs() {
        let line = System::named("zab").expect("built in").command_line(&place());
        assert_eq!(
            line.join(" "),
            "/bin/grudge node zab --id 2 --data run/n2/data --listen 10.42.0.2:2888 --client 10.42.0.2:2181 --seed 7 \
             --events run/n2/events \
             --snapshot-after 500 --peer 1=10.42.0.1:2888 --peer 2=10.42.0.2:2888 --bug zab-skip-trunc"
        );
    }

    #[test]
    fn peers_can_be_one_text_in_an_argument_a_file_or_the_environment() {
        let line = System::named("etcd").expect("built in").command_line(&place());
        let at = line.iter().position(|argument| argument == "--initial-cluster").expect("etcd is told its cluster");
        assert_eq!(line[at + 1], "n1=http://10.42.0.1:2380,n2=http://10.42.0.2:2380");
        assert!(line.contains(&"run/n2/data/etcd".to_owned()), "{line:?}");

        let zookeeper = System::named("zookeeper").expect("built in");
        let files: BTreeMap<PathBuf, String> = zookeeper.files(&place()).into_iter().collect();
        assert_eq!(files[Path::new("run/n2/data/myid")], "2\n");
        let config = &files[Path::new("run/n2/zoo.cfg")];
        assert!(config.contains("\nserver.1=10.42.0.1:2888:3888\nserver.2=10.42.0.2:2888:3888\n"), "{config}");
        assert!(config.contains("\ndataDir=run/n2/data\n"), "{config}");

        let sentinel = System::named("redis-sentinel").expect("built in");
        assert_eq!(sentinel.beside_line(&place()), ["redis-sentinel", "run/n2/data/sentinel.conf"]);
        let config = |id| {
            let files = sentinel.files(&Place { id, ..place() }).into_iter();
            files.map(|(path, text)| (path.to_string_lossy().into_owned(), text)).collect::<BTreeMap<_, _>>()
        };
        assert!(config(2)["run/n2/data/redis.conf"].ends_with("\nreplicaof 10.42.0.1 6379\n"), "{:?}", config(2));
        assert!(!config(1)["run/n2/data/redis.conf"].contains("replicaof"), "{:?}", config(1));
        assert!(config(2)["run/n2/data/sentinel.conf"].contains("monitor grudge 10.42.0.1 6379 2\n"));

        let all = system("each-peer = ['{peer-ip}']\njoin-peers = ' '\nenvironment = { ALL = '{id} of {peers}' }");
        assert_eq!(all.environment(&place())["ALL"], "2 of 10.42.0.1 10.42.0.2");
    }
}
