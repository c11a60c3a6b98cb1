//! A gate in the network of a host that is not ours: a chain of iptables that drops what is told, beside whatever rules
//! the host has already, and goes away without a trace.
//!
//! Nothing here needs a runtime: whoever clears up after an agent that was killed has none.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

use super::filter::CHAIN;
use super::{NetError, program};

/// Where our chain is hooked in, before everything else.
const HOOKS: [&str; 2] = ["INPUT", "OUTPUT"];
/// How many seconds are waited for whoever else changes rules on the host.
const TURN: &str = "10";

/// A connection that nothing is dropped of: the one by which the host is told what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spared {
    /// From the first to the second, which is on the host.
    Connection(SocketAddrV4, u16),
    /// One by which no rule of ours comes: it is not IPv4.
    OutOfReach,
}

impl FromStr for Spared {
    type Err = String;

    /// As sshd writes it in `SSH_CONNECTION`: address and port of the client, and of the server.
    fn from_str(text: &str) -> Result<Spared, String> {
        let wrong = || format!("`{text}` is no connection: `CLIENT-ADDRESS CLIENT-PORT SERVER-ADDRESS SERVER-PORT`");
        let words: Vec<&str> = text.split_whitespace().collect();
        let [from, from_port, _, port] = words.as_slice() else { return Err(wrong()) };
        if from.contains(':') {
            return Ok(Spared::OutOfReach);
        }
        let from = SocketAddrV4::new(from.parse().map_err(|_| wrong())?, from_port.parse().map_err(|_| wrong())?);
        Ok(Spared::Connection(from, port.parse().map_err(|_| wrong())?))
    }
}

/// See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    iptables: PathBuf,
    restore: PathBuf,
}

impl Gate {
    /// What it takes, if it is there.
    pub(crate) fn find() -> Result<Gate, NetError> {
        let found = |name| program::find(name).ok_or(NetError::NoIptables);
        Ok(Gate { iptables: found("iptables")?, restore: found("iptables-restore")? })
    }

    /// Drops from now on what comes from these, what goes to those, and nothing else.
    pub(crate) fn shut(
        &self,
        deaf_to: &[Ipv4Addr],
        mute_to: &[Ipv4Addr],
        spared: Option<Spared>,
    ) -> Result<(), NetError> {
        if !self.is_there() {
            self.restore(&hooked())?;
        }
        self.restore(&rules(deaf_to, mute_to, spared))
    }

    /// Takes the chain away, if it is there.
    pub(crate) fn remove(&self) -> Result<(), NetError> {
        if !self.is_there() {
            return Ok(());
        }
        for hook in HOOKS {
            while self.run(&["-C", hook, "-j", CHAIN]).is_ok() {
                self.run(&["-D", hook, "-j", CHAIN])?;
            }
        }
        self.run(&["-F", CHAIN])?;
        self.run(&["-X", CHAIN])
    }

    fn is_there(&self) -> bool {
        self.run(&["-S", CHAIN]).is_ok()
    }

    fn run(&self, arguments: &[&str]) -> Result<(), NetError> {
        fed(&self.iptables, &[&["-w", TURN], arguments].concat(), "")
    }

    fn restore(&self, text: &str) -> Result<(), NetError> {
        fed(&self.restore, &["-w", TURN, "--noflush"], text)
    }
}

/// An empty chain that packets are led through, in one step.
fn hooked() -> String {
    let mut text = format!("*filter\n:{CHAIN} - [0:0]\n");
    for hook in HOOKS {
        writeln!(text, "-I {hook} 1 -j {CHAIN}").expect("a string takes all");
    }
    text + "COMMIT\n"
}

/// What replaces all that is in the chain, in one step.
fn rules(deaf_to: &[Ipv4Addr], mute_to: &[Ipv4Addr], spared: Option<Spared>) -> String {
    let mut text = format!("*filter\n:{CHAIN} - [0:0]\n");
    if let Some(Spared::Connection(from, port)) = spared {
        let (address, from) = (from.ip(), from.port());
        // Back to the host's own rules, which have let it in.
        for ends in [
            format!("-s {address} -p tcp --sport {from} --dport {port}"),
            format!("-d {address} -p tcp --dport {from} --sport {port}"),
        ] {
            writeln!(text, "-A {CHAIN} {ends} -j RETURN").expect("a string takes all");
        }
    }
    let drops = deaf_to.iter().map(|from| format!("-s {from}")).chain(mute_to.iter().map(|to| format!("-d {to}")));
    for packets in drops {
        writeln!(text, "-A {CHAIN} {packets} -j DROP").expect("a string takes all");
    }
    text + "COMMIT\n"
}

fn fed(program: &Path, arguments: &[&str], input: &str) -> Result<(), NetError> {
    let failed = |cause: String| NetError::Iptables { place: "this host".to_owned(), cause };
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    // A program that ends without reading says why on its standard error.
    drop(child.stdin.take().expect("its input is a pipe").write_all(input.as_bytes()));
    let output = child.wait_with_output().map_err(|error| failed(error.to_string()))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(failed(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_connection_by_which_the_host_is_told_is_spared_before_anything_is_dropped() {
        let spared = "192.168.121.1 51234 192.168.121.7 22".parse().expect("as sshd writes it");
        let (peer, control) = (Ipv4Addr::new(192, 168, 60, 12), Ipv4Addr::new(192, 168, 121, 1));
        assert_eq!(
            rules(&[peer, control], &[control], Some(spared)),
            "*filter\n:GRUDGE - [0:0]\n\
             -A GRUDGE -s 192.168.121.1 -p tcp --sport 51234 --dport 22 -j RETURN\n\
             -A GRUDGE -d 192.168.121.1 -p tcp --dport 51234 --sport 22 -j RETURN\n\
             -A GRUDGE -s 192.168.60.12 -j DROP\n\
             -A GRUDGE -s 192.168.121.1 -j DROP\n\
             -A GRUDGE -d 192.168.121.1 -j DROP\nCOMMIT\n"
        );
    }

    #[test]
    fn a_chain_is_hooked_in_beside_the_rules_that_are_there() {
        assert_eq!(hooked(), "*filter\n:GRUDGE - [0:0]\n-I INPUT 1 -j GRUDGE\n-I OUTPUT 1 -j GRUDGE\nCOMMIT\n");
        assert_eq!(rules(&[], &[], None), "*filter\n:GRUDGE - [0:0]\nCOMMIT\n");
    }

    #[test]
    fn a_connection_is_read_as_sshd_writes_it() {
        assert_eq!("fe80::1%eth0 51234 fe80::2%eth0 22".parse(), Ok(Spared::OutOfReach));
        for wrong in ["", "10.0.0.1 1 10.0.0.2", "10.0.0.1 x 10.0.0.2 22", "me 1 you 22", "10.0.0.1 1 10.0.0.2 70000"] {
            let error = wrong.parse::<Spared>().expect_err(wrong);
            assert!(error.contains("is no connection"), "{error}");
        }
    }
}
