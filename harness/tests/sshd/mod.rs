//! Hosts behind a real sshd: each in network, process, mount and name namespaces of its own, with two networks, the one by
//! which it is managed and the cluster's. Lives within the sandbox, and ends with it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Uid;

/// Long enough for a loaded machine; nothing waits so long if all is well.
const LIMIT: Duration = Duration::from_secs(60);

/// The bridges, and what a host calls its ends of them.
const NETWORKS: [&str; 2] = ["management", "cluster"];

/// What is missing to have such hosts here.
pub fn missing() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("a machine with sshd can be made by root only".to_owned());
    }
    let programs = ["sshd", "ssh", "ssh-keygen", "sudo", "ip", "unshare"];
    let absent =
        programs.into_iter().find(|program| !said(Command::new("sh").arg("-c").arg(format!("command -v {program}"))).0);
    absent.map(|program| format!("{program} is not installed (apt-get install openssh-server sudo iproute2)"))
}

/// Hosts n1, n2, …, all up.
pub struct Hosts {
    pub folder: tempfile::TempDir,
    hosts: Vec<Child>,
}

impl Hosts {
    /// As many as there are scripts; each does what is odd about its host, before its sshd is started.
    pub fn up(odd: &[&str]) -> Hosts {
        let folder = tempfile::tempdir().expect("a folder");
        // Ordinary users have their homes in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let mut hosts = Hosts { folder, hosts: Vec::new() };
        hosts.make_keys();
        for (bridge, address) in [("management", management(254)), ("cluster", cluster(254))] {
            run("ip", &["link", "add", "name", bridge, "type", "bridge"]);
            run("ip", &["addr", "add", &format!("{address}/24"), "dev", bridge]);
            run("ip", &["link", "set", bridge, "up"]);
        }
        for (index, odd) in odd.iter().enumerate() {
            hosts.start(index as u8 + 1, odd);
        }
        // It forwards nothing.
        run("ip", &["route", "add", &format!("{}/32", black_hole()), "via", &management(1).to_string()]);
        for index in 1..=odd.len() {
            wait_for_banner(management(index as u8));
        }
        hosts
    }

    fn make_keys(&self) {
        for key in ["host_key", "key", "wrong_key"] {
            let path = self.path(key);
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]);
        }
        let config = format!(
            "HostKey {}\nAuthorizedKeysFile {}\nUsePAM no\nStrictModes no\nPidFile none\nMaxStartups 100\nMaxSessions 100\n",
            self.path("host_key"),
            self.path("key.pub"),
        );
        fs::write(self.path("sshd_config"), config).expect("the folder can be written");
    }

    fn start(&mut self, number: u8, odd: &str) {
        let name = format!("n{number}");
        let home = self.folder.path().join(&name);
        fs::create_dir(&home).expect("the folder can be written");
        if !odd.is_empty() {
            fs::write(home.join("odd.sh"), odd).expect("the folder can be written");
        }
        let mut unshare = Command::new("unshare");
        unshare.args([
            "--net",
            "--pid",
            "--mount",
            "--uts",
            "--fork",
            "--kill-child",
            "--propagation",
            "private",
            "--",
        ]);
        unshare.args(["sh", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/sshd/host.sh")]).arg(self.folder.path());
        unshare.args([name.clone(), management(number).to_string(), cluster(number).to_string()]);
        let log = fs::File::create(home.join("log")).expect("the folder can be written");
        unshare.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).env_remove("SSH_AUTH_SOCK");
        let mut host = unshare.spawn().expect("unshare is there");
        let mut ready = String::new();
        BufReader::new(host.stdout.take().expect("it is piped")).read_line(&mut ready).expect("it is text");
        assert_eq!(ready, "ready\n", "{}", self.log(number));
        let pid = host.id().to_string();
        for network in NETWORKS {
            let outside = outside(network, number);
            run("ip", &["link", "add", &outside, "type", "veth", "peer", "name", network, "netns", &pid]);
            run("ip", &["link", "set", &outside, "master", network, "up"]);
        }
        host.stdin.take().expect("it is piped").write_all(b"go\n").expect("it waits for it");
        self.hosts.push(host);
    }

    /// The path of a file in the folder that all hosts share.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// What a host's sshd says.
    pub fn log(&self, number: u8) -> String {
        fs::read_to_string(self.folder.path().join(format!("n{number}/log"))).unwrap_or_default()
    }

    /// An ssh_config like Vagrant's with a line for each of these hosts: its name, its address, its user, its key.
    pub fn config(&self, file: &str, hosts: &[Entry]) -> PathBuf {
        let entry = |Entry { name, address, port, user, key }: &Entry| {
            format!(
                "Host {name}\n  HostName {address}\n  User {user}\n  Port {port}\n  UserKnownHostsFile /dev/null\n  \
                 StrictHostKeyChecking no\n  PasswordAuthentication no\n  IdentityFile {}\n  IdentitiesOnly yes\n  \
                 LogLevel FATAL\n\n",
                self.path(key)
            )
        };
        let path = self.folder.path().join(file);
        fs::write(&path, hosts.iter().map(entry).collect::<String>()).expect("the folder can be written");
        path
    }

    /// Pulls a host's plug.
    pub fn cut_power(&mut self, number: u8) {
        let host = &mut self.hosts[usize::from(number) - 1];
        host.kill().expect("it is ours");
        host.wait().expect("it was killed");
    }

    /// What is left there of an agent: processes, files and rules.
    pub fn left(&self, number: u8) -> Vec<String> {
        let namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/net")).ok();
        let host = self.hosts[usize::from(number) - 1].id().to_string();
        let entries = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let numbers = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let there = numbers.filter(|pid| namespace(pid).is_some() && namespace(pid) == namespace(&host));
        let lines = there.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).ok());
        let processes = lines.map(|line| line.replace('\0', " ")).filter(|line| line.contains("/grudge "));
        let files = fs::read_dir(self.folder.path().join(format!("n{number}/tmp"))).expect("it is there").flatten();
        let rules = nsenter(&host, &["iptables", "-S"]);
        let rules = rules.lines().filter(|line| line.starts_with("-A") || line.starts_with("-N")).map(str::to_owned);
        processes.chain(files.map(|file| file.path().display().to_string())).chain(rules).collect()
    }

    /// The home of a user there.
    pub fn home(&self, number: u8, user: &str) -> PathBuf {
        self.folder.path().join(format!("n{number}/{user}"))
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for network in NETWORKS {
            // The kernel takes them with the namespaces, sooner or later.
            for number in 1..=self.hosts.len() {
                drop(
                    Command::new("ip")
                        .args(["link", "del", &outside(network, number as u8)])
                        .env("PATH", path())
                        .output(),
                );
            }
            run("ip", &["link", "del", network]);
        }
        for host in &mut self.hosts {
            drop(host.kill());
            drop(host.wait());
        }
    }
}

/// How a host is reached.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub address: Ipv4Addr,
    pub port: u16,
    pub user: &'static str,
    pub key: &'static str,
}

impl Entry {
    /// As it should be.
    pub fn of(name: &'static str, number: u8, user: &'static str) -> Entry {
        Entry { name, address: management(number), port: 22, user, key: "key" }
    }
}

/// A host's address for `ssh`; 254 is ours.
pub fn management(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, number)
}

/// A host's address for other nodes; 254 is ours.
pub fn cluster(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, 0, number)
}

/// An address whose packets are lost on their way.
pub fn black_hole() -> Ipv4Addr {
    Ipv4Addr::new(10, 79, 0, 1)
}

/// What our end of a host's cable is called.
fn outside(network: &str, number: u8) -> String {
    format!("{}-{number}", &network[..4])
}

fn wait_for_banner(address: Ipv4Addr) {
    let deadline = Instant::now() + LIMIT;
    let greeted = || {
        let stream = TcpStream::connect_timeout(&(address, 22).into(), Duration::from_secs(1)).ok()?;
        let mut banner = String::new();
        BufReader::new(stream).read_line(&mut banner).ok()?;
        banner.starts_with("SSH-2.0").then_some(())
    };
    while greeted().is_none() {
        assert!(Instant::now() < deadline, "no sshd at {address}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// What a program says in the network of a process.
fn nsenter(pid: &str, line: &[&str]) -> String {
    let mut command = Command::new("nsenter");
    command.args(["--target", pid, "--net"]).args(line).env("PATH", path());
    String::from_utf8_lossy(&command.output().expect("nsenter is part of util-linux").stdout).into_owned()
}

fn path() -> String {
    format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default())
}

fn run(program: &str, arguments: &[&str]) {
    let (done, said) = said(Command::new(program).args(arguments));
    assert!(done, "{program} {}: {said}", arguments.join(" "));
}

fn said(command: &mut Command) -> (bool, String) {
    match command.env("PATH", path()).output() {
        Ok(output) => (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) => (false, error.to_string()),
    }
}

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
