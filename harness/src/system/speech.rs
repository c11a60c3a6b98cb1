//! How clients talk to a system: in a protocol that is known here, over HTTP as it describes, or by its own clients.

use std::sync::Arc;

use grudge_workloads::client::{Asks, Connect};
use grudge_workloads::registry;
use grudge_workloads::speech::Speech;

use super::System;
use crate::nemesis::Leaders;

impl System {
    /// How clients talk to it.
    #[must_use]
    pub fn speech(&self) -> Speech {
        match self.ours() {
            Some(ours) if self.client.is_empty() => ours,
            ours => {
                let can = ours.filter(|_| self.workloads.is_empty());
                let can = can.map(|ours| ours.workloads().into_iter().map(str::to_owned).collect());
                Speech::Foreign(can.unwrap_or_else(|| self.workloads.clone()), self.asks())
            }
        }
    }

    /// How clients of ours talk to it, if they can.
    fn ours(&self) -> Option<Speech> {
        match (&self.http, self.protocol) {
            (Some(api), _) => Some(Speech::Http(Arc::new(api.clone()), Asks { leader: self.leader.clone() })),
            (None, protocol) => protocol.map(Speech::Protocol),
        }
    }

    /// How its nodes are asked for their roles.
    #[must_use]
    pub fn asks(&self) -> Arc<dyn Connect> {
        match self.protocol {
            Some(protocol) => registry::connect("register", protocol).expect("every protocol has registers"),
            None => Arc::new(Asks { leader: self.leader.clone() }),
        }
    }

    /// Whether it can be asked who leads.
    #[must_use]
    pub fn leaders(&self) -> Leaders {
        match (self.protocol, &self.leader) {
            (None, None) => Leaders::Unknown,
            _ => Leaders::Known,
        }
    }

    /// Whether what it says of its clients makes sense.
    ///
    /// # Errors
    /// One sentence about the first thing that does not.
    pub(super) fn check_speech(&self) -> Result<(), String> {
        let wrong = |sentence: &str| Err(sentence.to_owned());
        let foreign = !self.client.is_empty();
        match (self.protocol, &self.http) {
            (Some(_), Some(_)) => return wrong("it speaks a `protocol` or `http`, not both"),
            (None, None) if !foreign => {
                return wrong("it says nothing of its clients: it needs a `protocol`, a table `http` or a `client`");
            }
            (None, None) if self.workloads.is_empty() => {
                return wrong("a `client` without a `protocol` needs `workloads`: what it can do");
            }
            _ => {}
        }
        if !foreign && !self.workloads.is_empty() {
            return wrong("`workloads` is for a `client`");
        }
        if self.protocol.is_some() && self.leader.is_some() {
            return wrong("`leader` is for a system without a `protocol`, which has words for that");
        }
        let known: Vec<&str> = registry::list().iter().map(|entry| entry.name).collect();
        if let Some(unknown) = self.workloads.iter().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("there is no workload `{unknown}`; there are: {}", known.join(", ")));
        }
        self.http.as_ref().map_or(Ok(()), |api| api.check())?;
        self.leader.as_ref().map_or(Ok(()), |leader| leader.check())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const HTTP: &str = "http.read.request = 'GET /{key}'\nhttp.write.request = 'PUT /{key}?to={value}'\n";

    fn system(lines: &str) -> Result<System, String> {
        let text = format!("name = 'x'\nabout = 'x'\nclient-port = 1\ncommand = ['x']\n{lines}");
        System::parse(Path::new("/my/x.toml"), &text).map_err(|error| error.to_string())
    }

    #[test]
    fn a_system_says_by_whom_it_is_spoken_to_and_what_they_can_do() {
        let all = registry::list().iter().filter(|it| it.protocols.contains(&registry::Protocol::Etcd)).count();
        let table = [
            ("protocol = 'etcd'", true, all),
            (HTTP, false, 1),
            (&format!("{HTTP}leader = {{ request = 'GET /', is = 'yes' }}"), true, 1),
            ("client = ['./c']\nworkloads = ['lock', 'set']", false, 2),
            ("client = ['./c']\nworkloads = ['lock']\nleader = { request = 'GET /', is = 'yes' }", true, 1),
            ("client = ['./c']\nprotocol = 'etcd'", true, all),
            ("client = ['./c']\nprotocol = 'etcd'\nworkloads = ['lock-unfenced']", true, 1),
        ];
        for (lines, leaders, workloads) in table {
            let system = system(lines).unwrap_or_else(|error| panic!("{lines}: {error}"));
            assert_eq!(system.leaders() == Leaders::Known, leaders, "{lines}");
            assert_eq!(system.speech().workloads().len(), workloads, "{lines}");
        }
    }

    #[test]
    fn what_makes_no_sense_is_one_sentence() {
        let table = [
            ("", "it needs a `protocol`, a table `http` or a `client`"),
            (&format!("protocol = 'etcd'\n{HTTP}"), "not both"),
            ("client = ['./c']", "needs `workloads`"),
            ("client = ['./c']\nworkloads = ['queue']", "there is no workload `queue`; there are: register, "),
            ("protocol = 'etcd'\nworkloads = ['lock']", "`workloads` is for a `client`"),
            ("protocol = 'etcd'\nleader = { request = 'GET /', is = 'yes' }", "`leader` is for a system without"),
            ("client = ['c']\nworkloads = ['lock']\nleader.is = 1", "asked by a `request` or by a `command`"),
            ("client = ['c']\nworkloads = ['lock']\nleader = { command = ['c'], port = 1, is = 1 }", "for a `request`"),
            ("http.read.request = 'GET /'\nhttp.write.request = 'PUT /{key}/{value}'", "does not say `{key}`"),
            ("http.read.request = 'GET'\nhttp.write.request = 'PUT /{key}/{value}'", "`GET` is no request"),
        ];
        for (lines, sentence) in table {
            let error = system(lines).expect_err(sentence);
            assert!(error.starts_with("/my/x.toml describes no system: ") && error.contains(sentence), "{error}");
        }
    }

    #[test]
    fn a_client_is_found_beside_the_file_of_its_system() {
        let lines = "client = ['python3', '{here}/client.py']\nworkloads = ['lock']";
        assert_eq!(system(lines).expect("a system").client, ["python3", "/my/client.py"]);
    }
}
