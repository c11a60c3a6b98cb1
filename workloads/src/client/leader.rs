//! A node's role, where no protocol has a word for it: it serves if its client port accepts, and whether it leads is
//! asked by the request or by the command that the description has, if it has one.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::timeout;

use super::http::{self, Line, check_pointer, found, same};
use super::{Client, Connect, Role, Target};

/// How it is found out whether a node leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Leader {
    /// The request that it answers over HTTP, if that is how it is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<Line>,
    /// The port that answers the request; the client port if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// The program and its arguments that ask it otherwise and print the answer; in them `{ip}` is its address.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// Where the answer is looked at, as a JSON pointer; all of it if absent.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub pointer: String,
    /// What is there if the node leads: a value of JSON, or the same as a text, in which `{ip}` is the node's address.
    pub is: Value,
    /// What is there if the node follows a leader, and whatever else means that it does not serve; if absent, every
    /// other node that answers follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<Value>,
}

impl Leader {
    /// Whether it makes sense.
    ///
    /// # Errors
    /// One sentence about what does not.
    pub fn check(&self) -> Result<(), String> {
        if self.request.is_some() != self.command.is_empty() {
            return Err("`leader` is asked by a `request` or by a `command`".to_owned());
        }
        if self.port.is_some() && self.request.is_none() {
            return Err("the `port` of `leader` is for a `request`".to_owned());
        }
        check_pointer(&self.pointer)
    }

    async fn ask(&self, target: &Target) -> Result<Role, String> {
        let ip = target.address.ip().to_string();
        let answer = match &self.request {
            Some(line) => {
                let port = self.port.unwrap_or(target.address.port());
                http::ask(SocketAddr::new(target.address.ip(), port), target.timeout, line).await?
            }
            None => printed(self.command.iter().map(|word| word.replace("{ip}", &ip)), target.timeout).await?,
        };
        Ok(self.role(&answer, &ip))
    }

    fn role(&self, answer: &[u8], ip: &str) -> Role {
        let there = found(answer, &self.pointer);
        let is = |value: &Value| match value {
            Value::String(text) => there.as_ref().is_some_and(|there| same(there, &text.replace("{ip}", ip).into())),
            value => there.as_ref().is_some_and(|there| same(there, value)),
        };
        match &self.follows {
            _ if is(&self.is) => Role::Leader,
            Some(follows) if !is(follows) => Role::Looking,
            _ => Role::Follower,
        }
    }
}

/// What a command prints, without the white space around it.
async fn printed(mut command: impl Iterator<Item = String>, patience: Duration) -> Result<Vec<u8>, String> {
    let program = command.next().ok_or("no-command")?;
    let output = Command::new(program).args(command).stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(patience, output).await {
        Ok(Ok(output)) if output.status.success() => Ok(output.stdout.trim_ascii().to_vec()),
        Ok(Ok(_)) => Err("command-failed".to_owned()),
        Ok(Err(error)) => Err(error.kind().to_string().replace(' ', "-")),
        Err(_) => Err("timeout".to_owned()),
    }
}

/// Asks nodes for their roles, and makes no clients: those are programs of their own.
#[derive(Clone, Debug, Default)]
pub struct Asks {
    /// How a node is asked whether it leads, if it can be.
    pub leader: Option<Leader>,
}

#[async_trait]
impl Connect for Asks {
    async fn connect(&self, _target: &Target) -> Result<Box<dyn Client>, String> {
        Err("no-client-of-ours".to_owned())
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        match &self.leader {
            Some(leader) => leader.ask(target).await,
            None => accepts(target.address, target.timeout).await.map(|()| Role::Equal),
        }
    }
}

async fn accepts(address: SocketAddr, patience: Duration) -> Result<(), String> {
    match timeout(patience, TcpStream::connect(address)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(error.kind().to_string().replace(' ', "-")),
        Err(_) => Err("connect-timeout".to_owned()),
    }
}
