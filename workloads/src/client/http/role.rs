//! A node's role, where no protocol has a word for it: it serves if its client port accepts, and whether it leads is
//! asked by the request that the description has, if it has one.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use http::Request;
use http::header::HOST;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::line::Line;
use super::session::{Answer, Session};
use super::sign::{check_pointer, found, same};
use crate::client::adapter::Conversation as _;
use crate::client::{Client, Connect, Effect, Role, Target};

/// How a node is asked whether it leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Leader {
    /// The request.
    pub request: Line,
    /// The port that answers it; the client port if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Where the body is looked at, as a JSON pointer; all of it if absent.
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
        check_pointer(&self.pointer)
    }

    async fn ask(&self, target: &Target) -> Result<Role, String> {
        let address = SocketAddr::new(target.address.ip(), self.port.unwrap_or(target.address.port()));
        let mut session = Session::connect(address, target.timeout).await?;
        session.begin();
        let mut request = Request::new(String::new());
        *request.method_mut() = self.request.method.clone();
        *request.uri_mut() = self.request.path.parse().map_err(|_| "bad-request")?;
        request.headers_mut().insert(HOST, session.host().parse().map_err(|_| "bad-request")?);
        let answer = session.step(Effect::None, request).await.map_err(|stop| stop.token())?;
        if !(200..300).contains(&answer.status) {
            return Err(format!("http-{}", answer.status));
        }
        Ok(self.role(&answer, &target.address.ip().to_string()))
    }

    fn role(&self, answer: &Answer, ip: &str) -> Role {
        let there = found(&answer.body, &self.pointer);
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
