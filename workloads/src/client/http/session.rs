//! One connection, which dies at the first doubt.

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
use tokio::time::{Instant, timeout, timeout_at};

use super::line::Line;
use crate::client::adapter::Conversation;
use crate::client::stop::Stop;
use crate::client::tasks::Tasks;
use crate::client::{Asks, Connect as _, Effect, Role, Target};

/// More than any answer about a register.
const LONGEST: usize = 16 << 20;

/// A connection with a deadline for each operation.
pub(crate) struct Session {
    live: Option<Live>,
    address: SocketAddr,
    timeout: Duration,
    deadline: Instant,
}

struct Live {
    sender: SendRequest<String>,
    _tasks: Tasks,
}

/// An answer that came whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
}

impl Session {
    /// Connects to that address.
    pub(super) async fn connect(address: SocketAddr, patience: Duration) -> Result<Session, String> {
        let tasks = Tasks::default();
        let connected = async {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)
        };
        let (sender, connection) = match timeout(patience, connected).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return Err(error.kind().to_string().replace(' ', "-")),
            Err(_) => return Err("connect-timeout".to_owned()),
        };
        tasks.spawner().spawn(async move {
            // How the connection ended is told to each request that was on it.
            let _ = connection.await;
        });
        let live = Some(Live { sender, _tasks: tasks });
        Ok(Session { live, address, timeout: patience, deadline: Instant::now() + patience })
    }

    /// Who is asked, as a request has it.
    pub(super) fn host(&self) -> String {
        self.address.to_string()
    }

    /// Makes one request and waits for its answer.
    pub(super) async fn step(&mut self, effect: Effect, request: Request<String>) -> Result<Answer, Stop> {
        let Some(live) = &mut self.live else { return Err(Stop::Unsent) };
        let stop = match timeout_at(self.deadline, exchange(&mut live.sender, effect, request)).await {
            Ok(Ok((answer, Lives::On))) => return Ok(answer),
            Ok(Ok((answer, Lives::No))) => {
                self.live = None;
                return Ok(answer);
            }
            Ok(Err(stop)) => stop,
            Err(_) => Stop::Deadline(effect),
        };
        if stop.kills() {
            self.live = None;
        }
        Err(stop)
    }
}

/// Makes a request that changes nothing on a connection of its own; the body of an answer that is a success.
pub(in crate::client) async fn ask(address: SocketAddr, patience: Duration, line: &Line) -> Result<Vec<u8>, String> {
    let mut session = Session::connect(address, patience).await?;
    let mut request = Request::new(String::new());
    *request.method_mut() = line.method.clone();
    *request.uri_mut() = line.path.parse().map_err(|_| "bad-request")?;
    request.headers_mut().insert(HOST, session.host().parse().map_err(|_| "bad-request")?);
    let answer = session.step(Effect::None, request).await.map_err(Stop::token)?;
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

#[async_trait]
impl Conversation for Session {
    type Stop = Stop;

    async fn open(target: &Target) -> Result<Session, String> {
        Session::connect(target.address, target.timeout).await
    }

    fn begin(&mut self) {
        self.deadline = Instant::now() + self.timeout;
    }

    fn alive(&self) -> bool {
        self.live.as_ref().is_some_and(|live| !live.sender.is_closed())
    }

    async fn close(&mut self) {
        self.live = None;
    }

    async fn role(target: &Target) -> Result<Role, String> {
        Asks::default().role(target).await
    }
}
