//! Which of its addresses each host has in the cluster.
//!
//! The address at which `ssh` reaches a machine is often none at which the machines reach each other: below VirtualBox each
//! has the same one, 10.0.2.15. What a cluster needs is a network in which each has an address of its own; better one that
//! `ssh` does not use, so that what is cut there cannot concern us.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One address of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// What the host calls it: `eth1`.
    pub name: String,
    /// The address.
    pub address: Ipv4Addr,
    /// How many bits of it are the network's.
    pub prefix: u8,
}

/// What is known of a host's addresses.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// How people call the host.
    pub host: String,
    /// The address at which `ssh` has reached it, as the host sees it.
    pub control: Option<Ipv4Addr>,
    /// All that it has, the loopback's left out.
    pub interfaces: Vec<Interface>,
}

/// Why no network can be chosen.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum AddressError {
    /// There is none.
    #[error("the hosts share no network in which each has an IPv4 address of its own, which a cluster needs: {hosts}")]
    None {
        /// Who has what.
        hosts: String,
    },
    /// There are several.
    #[error("the hosts share several networks: say with --network which is the cluster's: {}", candidates.join(", "))]
    Several {
        /// Each with the addresses in it.
        candidates: Vec<String>,
    },
    /// The one that was asked for does not do.
    #[error("--network {network} does not do: {problem}: {hosts}")]
    Unfit {
        /// Which.
        network: Ipv4Net,
        /// What is wrong with it.
        problem: String,
        /// Who has what.
        hosts: String,
    },
}

/// The cluster's address of each host: in the network that was asked for, or else in the only one that does.
///
/// # Errors
/// None or several would do, or that which was asked for does not.
pub fn choose(hosts: &[Candidate], network: Option<Ipv4Net>) -> Result<Vec<Ipv4Addr>, AddressError> {
    if let Some(network) = network {
        let unfit = |problem| AddressError::Unfit { network, problem, hosts: told(hosts) };
        return addresses(hosts, network).map_err(unfit);
    }
    // By addresses: networks that differ in their prefix only are one choice.
    let mut apart = BTreeMap::new();
    let mut with_control = BTreeMap::new();
    for network in networks(hosts) {
        let Ok(addresses) = addresses(hosts, network) else { continue };
        let used = hosts.iter().any(|host| host.control.is_some_and(|control| network.contains(&control)));
        let choices = if used { &mut with_control } else { &mut apart };
        choices.entry(addresses).or_insert(network);
    }
    let mut choices = if apart.is_empty() { with_control } else { apart };
    match choices.pop_first() {
        None => Err(AddressError::None { hosts: told(hosts) }),
        Some((addresses, _)) if choices.is_empty() => Ok(addresses),
        Some(first) => {
            let all = [first].into_iter().chain(choices);
            let candidates = all.map(|(addresses, network)| format!("{network} ({})", joined(&addresses)));
            Err(AddressError::Several { candidates: candidates.collect() })
        }
    }
}

/// All networks in which a host has an address, the narrowest first.
fn networks(hosts: &[Candidate]) -> Vec<Ipv4Net> {
    let all = hosts.iter().flat_map(|host| &host.interfaces).filter_map(network_of);
    let mut networks: Vec<Ipv4Net> = all.collect();
    networks.sort_by_key(|network| (std::cmp::Reverse(network.prefix_len()), *network));
    networks.dedup();
    networks
}

/// The network of an address that others may reach.
fn network_of(interface: &Interface) -> Option<Ipv4Net> {
    let odd = interface.address.is_loopback() || interface.address.is_link_local();
    Ipv4Net::new(interface.address, interface.prefix).ok().filter(|_| !odd).map(|network| network.trunc())
}

/// The address of each host in a network; what is wrong if it does not do.
fn addresses(hosts: &[Candidate], network: Ipv4Net) -> Result<Vec<Ipv4Addr>, String> {
    let mut addresses: Vec<Ipv4Addr> = Vec::new();
    for host in hosts {
        let inside = || host.interfaces.iter().map(|it| it.address).filter(|address| network.contains(address));
        let apart = inside().find(|address| Some(*address) != host.control);
        let address = apart.or(inside().next()).ok_or_else(|| format!("{} has no address in it", host.host))?;
        if let Some(other) = addresses.iter().position(|taken| *taken == address) {
            return Err(format!("{} and {} have the same address in it", hosts[other].host, host.host));
        }
        addresses.push(address);
    }
    Ok(addresses)
}

fn told(hosts: &[Candidate]) -> String {
    let of = |host: &Candidate| {
        let all = host.interfaces.iter().map(|it| format!("{}/{} ({})", it.address, it.prefix, it.name));
        let all = all.collect::<Vec<_>>().join(" ");
        format!("{} has {}", host.host, if all.is_empty() { "none" } else { &all })
    };
    hosts.iter().map(of).collect::<Vec<_>>().join("; ")
}

fn joined(addresses: &[Ipv4Addr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hosts n1, n2, …, each written as its addresses; that of `ssh` bears a star.
    fn hosts(written: &[&str]) -> Vec<Candidate> {
        let address = |text: &str| text.split('/').next().expect("a word").parse().expect("an address");
        let host = |(index, text): (usize, &&str)| Candidate {
            host: format!("n{}", index + 1),
            control: text.split_whitespace().find_map(|word| word.strip_prefix('*')).map(address),
            interfaces: text
                .split_whitespace()
                .map(|word| word.trim_start_matches('*'))
                .enumerate()
                .map(|(index, word)| Interface {
                    name: format!("eth{index}"),
                    address: address(word),
                    prefix: word.split_once('/').expect("a prefix").1.parse().expect("a number"),
                })
                .collect(),
        };
        written.iter().enumerate().map(host).collect()
    }

    #[test]
    fn the_network_in_which_all_differ_is_the_clusters() {
        let table: [(&str, &[&str], Option<&str>, &str); 9] = [
            (
                "VirtualBox: the same address behind each NAT",
                &["*10.0.2.15/24 192.168.56.11/24", "*10.0.2.15/24 192.168.56.12/24"],
                None,
                "192.168.56.11 192.168.56.12",
            ),
            (
                "libvirt: a management network, and a private one",
                &["*192.168.121.7/24 192.168.56.11/24", "*192.168.121.9/24 192.168.56.12/24"],
                None,
                "192.168.56.11 192.168.56.12",
            ),
            ("one network for all", &["*10.1.0.4/16", "*10.1.3.5/16"], None, "10.1.0.4 10.1.3.5"),
            (
                "a bridge of containers is the same everywhere",
                &["*10.1.0.4/16 172.17.0.1/16", "*10.1.0.5/16 172.17.0.1/16"],
                None,
                "10.1.0.4 10.1.0.5",
            ),
            (
                "the loopback and what machines give themselves lead nowhere",
                &["*10.1.0.4/16 127.0.0.2/8 169.254.1.1/16", "*10.1.0.5/16 127.0.0.3/8 169.254.1.2/16"],
                None,
                "10.1.0.4 10.1.0.5",
            ),
            (
                "prefixes that differ are one choice",
                &["*10.0.2.15/24 10.1.0.4/16", "*10.0.2.15/24 10.1.0.5/24"],
                None,
                "10.1.0.4 10.1.0.5",
            ),
            (
                "a second address in the network of ssh",
                &["*10.1.0.4/16 10.1.9.4/16", "*10.1.0.5/16 10.1.9.5/16"],
                None,
                "10.1.9.4 10.1.9.5",
            ),
            (
                "what is asked for, although another is apart from ssh",
                &["*10.1.0.4/16 10.2.0.4/16", "*10.1.0.5/16 10.2.0.5/16"],
                Some("10.1.0.0/16"),
                "10.1.0.4 10.1.0.5",
            ),
            ("one of several", &["10.1.0.4/16 10.2.0.4/16"], Some("10.2.0.0/24"), "10.2.0.4"),
        ];
        for (name, written, network, wanted) in table {
            let network = network.map(|network| network.parse().expect("a network"));
            assert_eq!(joined(&choose(&hosts(written), network).expect(name)), wanted, "{name}");
        }
    }

    #[test]
    fn what_does_not_do_is_said_with_what_would() {
        let table: [(&[&str], Option<&str>, &str); 5] = [
            (
                &["10.1.0.4/16 10.2.0.4/16 *10.0.2.15/24", "10.1.0.5/16 10.2.0.5/16 *10.0.2.15/24"],
                None,
                "the hosts share several networks: say with --network which is the cluster's: 10.1.0.0/16 (10.1.0.4 \
                 10.1.0.5), 10.2.0.0/16 (10.2.0.4 10.2.0.5)",
            ),
            (
                &["*10.0.2.15/24", "*10.0.2.15/24"],
                None,
                "the hosts share no network in which each has an IPv4 address of its own, which a cluster needs: n1 has \
                 10.0.2.15/24 (eth0); n2 has 10.0.2.15/24 (eth0)",
            ),
            (&["10.1.0.4/16", ""], None, "n1 has 10.1.0.4/16 (eth0); n2 has none"),
            (
                &["10.1.0.4/16", "10.1.0.5/16"],
                Some("10.9.0.0/16"),
                "--network 10.9.0.0/16 does not do: n1 has no address in it: n1 has 10.1.0.4/16 (eth0); n2 has \
                 10.1.0.5/16 (eth0)",
            ),
            (&["10.1.0.4/16", "10.1.0.4/16"], Some("10.1.0.0/16"), "n1 and n2 have the same address in it"),
        ];
        for (written, network, wanted) in table {
            let network = network.map(|network| network.parse().expect("a network"));
            let error = choose(&hosts(written), network).expect_err(wanted).to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
