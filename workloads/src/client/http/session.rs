//! One connection, and how a request goes over it.

use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use http::header::{CONNECTION, HOST};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use super::line::Line;
use crate::client::session::{self, Connection};
use crate::client::stop::Stop;
use crate::client::tasks::Tasks;
use crate::client::{Asks, Connect as _, Effect, Role, Target};

/// More than any answer about a register.
const LONGEST: usize = 16 << 20;

/// A session with one server.
pub(crate) type Session = session::Session<Wire>;

/// A connection on which requests follow one another.
pub(crate) struct Wire {
    sender: SendRequest<String>,
    _tasks: Tasks,
}

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

#[async_trait]
impl Connection for Wire {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Wire, String> {
        Wire::to(target.address).await
    }

    fn is_well(&self) -> bool {
        !self.sender.is_closed()
    }

    async fn role(target: &Target) -> Result<Role, String> {
        Asks::default().role(target).await
    }
}

impl Wire {
    async fn to(address: SocketAddr) -> Result<Wire, String> {
        let connected = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)
        };
        let connected = connected.await.map_err(|error: std::io::Error| error.kind().to_string().replace(' ', "-"));
        let (sender, connection) = connected?;
        let tasks = Tasks::default();
        tasks.spawner().spawn(async move {
            // How the connection ended is told to each request that was on it.
            let _ = connection.await;
        });
        Ok(Wire { sender, _tasks: tasks })
    }
}

impl Session {
    /// Makes one request and waits for its answer.
    pub(super) async fn step(&mut self, effect: Effect, request: Request<String>) -> Result<Answer, Stop> {
        let deadline = self.deadline();
        let wire = self.live().ok_or(Stop::Unsent)?;
        let answered = timeout_at(deadline, exchange(&mut wire.sender, effect, request)).await;
        let (answer, lives) = self.settled(answered.unwrap_or(Err(Stop::Deadline(effect))))?;
        if let Lives::No = lives {
            self.end();
        }
        Ok(answer)
    }
}

/// Makes a request that changes nothing on a connection of its own; the body of an answer that is a success.
pub(in crate::client) async fn ask(address: SocketAddr, patience: Duration, line: &Line) -> Result<Vec<u8>, String> {
    let mut request = Request::new(String::new());
    *request.method_mut() = line.method.clone();
    *request.uri_mut() = line.path.parse().map_err(|_| "bad-request")?;
    request.headers_mut().insert(HOST, address.to_string().parse().map_err(|_| "bad-request")?);
    let asked = async {
        let mut wire = Wire::to(address).await?;
        exchange(&mut wire.sender, Effect::None, request).await.map_err(Stop::token)
    };
    let (answer, _) = timeout(patience, asked).await.unwrap_or_else(|_| Err("timeout".to_owned()))?;
    match answer.status {
        200..300 => Ok(answer.body),
        status => Err(format!("http-{status}")),
    }
}

/// Whether a connection can be used again.
enum Lives {
    On,
    No,
}

async fn exchange(
    sender: &mut SendRequest<String>,
    effect: Effect,
    request: Request<String>,
) -> Result<(Answer, Lives), Stop> {
    sender.ready().await.map_err(|_| Stop::Unsent)?;
    let response = sender.try_send_request(request).await.map_err(|mut error| match error.take_message() {
        Some(_) => Stop::Unsent,
        None => Stop::Lost(effect),
    })?;
    let lives = if is_last(&response) { Lives::No } else { Lives::On };
    let status = response.status().as_u16();
    let body = Limited::new(response.into_body(), LONGEST).collect().await.map_err(|_| Stop::Lost(effect))?;
    Ok((Answer { status, body: body.to_bytes().to_vec() }, lives))
}

/// Whether the server closes the connection after this answer.
fn is_last(response: &Response<Incoming>) -> bool {
    let says_so = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"close");
    response.version() == Version::HTTP_10 || response.headers().get_all(CONNECTION).iter().any(says_so)
}
