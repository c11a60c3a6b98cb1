//! Machines for hosts: network namespaces on a bridge, each with an agent that is a plain child process.

use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command as StdCommand, Stdio};
use std::{fs, io};

use grudge::host::{Agent, Host, HostError};
use nix::libc;
use tokio::process::{Child, Command};

/// Every process of an agent carries it in its environment, with the machine's address as value.
const MARK: &str = "GRUDGE_TEST_MACHINE";

/// Some machines, each with a network of its own. Dropped, they are gone with their bridge.
pub struct Machines {
    machines: Vec<Machine>,
}

pub struct Machine {
    pub address: Ipv4Addr,
    /// Keeps its network.
    keeper: std::process::Child,
}

fn program(name: &str, arguments: &[&str]) -> StdCommand {
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut command = StdCommand::new(name);
    command.args(arguments).env("PATH", path);
    command
}

fn run(name: &str, arguments: &[&str]) {
    let status = program(name, arguments).status();
    assert!(status.unwrap_or_else(|error| panic!("{name}: {error}")).success(), "{name} {arguments:?}");
}

impl Machines {
    /// So many machines; this process is on their bridge, too.
    pub fn up(count: u8) -> Machines {
        run("ip", &["link", "set", "lo", "up"]);
        run("ip", &["link", "add", "name", "lab", "type", "bridge"]);
        run("ip", &["addr", "add", "10.43.0.254/24", "dev", "lab"]);
        run("ip", &["link", "set", "lab", "up"]);
        Machines { machines: (1..=count).map(Machine::up).collect() }
    }

    /// Starts an agent on each.
    pub async fn hosts(&self) -> Vec<Host> {
        let mut hosts = Vec::new();
        for machine in &self.machines {
            hosts.push(machine.host().await.unwrap_or_else(|error| panic!("{error}")));
        }
        hosts
    }

    pub fn all(&self) -> &[Machine] {
        &self.machines
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.machines.clear();
        drop(program("ip", &["link", "del", "lab"]).status());
    }
}

impl Machine {
    fn up(number: u8) -> Machine {
        let mut command = StdCommand::new("unshare");
        command.args(["--net", "sh", "-c", "echo there; exec sleep 1000000"]).stdout(Stdio::piped());
        let mut keeper = command.spawn().expect("unshare is part of util-linux");
        // Its first word comes from within its network.
        let mut word = [0; 6];
        io::Read::read_exact(keeper.stdout.as_mut().expect("a pipe"), &mut word).expect("it says that it is there");
        let (pid, link) = (keeper.id().to_string(), format!("m{number}"));
        let machine = Machine { address: Ipv4Addr::new(10, 43, 0, number), keeper };
        run("ip", &["link", "add", "name", &link, "type", "veth", "peer", "name", "eth0", "netns", &pid]);
        run("ip", &["link", "set", &link, "master", "lab", "up"]);
        let address = format!("{}/24", machine.address);
        machine.inside(&["ip", "link", "set", "lo", "up"]);
        machine.inside(&["ip", "addr", "add", &address, "dev", "eth0"]);
        machine.inside(&["ip", "link", "set", "eth0", "up"]);
        machine
    }

    fn inside(&self, line: &[&str]) {
        let pid = self.keeper.id().to_string();
        run("nsenter", &[&["--target", &pid, "--net"], line].concat());
    }

    /// What it is called.
    pub fn name(&self) -> String {
        format!("machine-{}", self.address.octets()[3])
    }

    /// Starts an agent, and lets it be taken.
    pub async fn host(&self) -> Result<Host, HostError> {
        let mut child = self.agent();
        let (orders, answers) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        // Reaped in the background; an agent ends when its orders do.
        tokio::spawn(async move { child.wait().await });
        let (agent, hello) = Agent::over(&self.name(), orders, answers).await?;
        Ok(Host { address: self.address, agent, hello })
    }

    fn agent(&self) -> Child {
        let namespace = fs::File::open(format!("/proc/{}/ns/net", self.keeper.id())).expect("it lives");
        let mut command = Command::new(env!("CARGO_BIN_EXE_grudge"));
        command.arg("agent").args(["--ssh-connection", &format!("10.43.0.254 40000 {} 22", self.address)]);
        command.env(MARK, self.address.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // SAFETY: between fork and exec only setns is called, a plain system call.
        unsafe {
            command.pre_exec(move || match libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            });
        }
        command.spawn().expect("this binary runs")
    }

    /// The processes of its agent and of all that it has started, in the order of their numbers.
    pub fn processes(&self) -> Vec<i32> {
        let needle = format!("{MARK}={}", self.address);
        let carries = |pid: &i32| {
            fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|environ| environ.split(|byte| *byte == 0).any(|entry| entry == needle.as_bytes()))
        };
        let numbers = fs::read_dir("/proc").expect("/proc is mounted").flatten();
        let mut pids: Vec<i32> =
            numbers.filter_map(|it| it.file_name().to_str()?.parse().ok()).filter(carries).collect();
        pids.sort_unstable();
        pids
    }

    /// The rules in its network.
    pub fn rules(&self) -> String {
        let pid = self.keeper.id().to_string();
        let mut command = program("nsenter", &["--target", &pid, "--net", "iptables", "-S"]);
        String::from_utf8(command.output().expect("nsenter is part of util-linux").stdout).expect("rules are text")
    }

    /// Adds a rule of the host's own.
    pub fn add_rule(&self, rule: &[&str]) {
        self.inside(&[&["iptables"], rule].concat());
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // An agent that lives on a moment longer keeps the network, but not the link.
        drop(program("ip", &["link", "del", &format!("m{}", self.address.octets()[3])]).status());
        drop(self.keeper.kill());
        drop(self.keeper.wait());
    }
}

/// Whether nothing of an agent is left but what it had not made.
pub fn is_gone(machine: &Machine, folder: &Path) -> bool {
    machine.processes().is_empty() && !folder.exists() && !machine.rules().contains("GRUDGE")
}
