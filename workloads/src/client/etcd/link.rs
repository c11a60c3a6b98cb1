//! One HTTP/2 connection as a gRPC transport that knows what it did not send.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::body::Body;
use tower_service::Service;

use crate::client::tasks::Spawner;

/// A connection. Its copies share it.
#[derive(Clone)]
pub(super) struct Link(SendRequest<Body>);

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LinkError {
    /// The connection did not take the request: nothing was sent.
    #[error("not sent: {0}")]
    Unsent(String),
    /// The connection broke after it had taken the request.
    #[error("connection lost: {0}")]
    Lost(String),
}

impl Link {
    /// Connects; the connection's tasks are spawned with `spawner`.
    pub(super) async fn open(address: SocketAddr, spawner: &Spawner) -> std::io::Result<Link> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            handshake(spawner.clone(), TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
        spawner.spawn(async move {
            // How the connection ended is told to each request that was on it.
            let _ = connection.await;
        });
        Ok(Link(sender))
    }

    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

impl Service<http::Request<Body>> for Link {
    type Response = http::Response<Incoming>;
    type Error = LinkError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        self.0.poll_ready(context).map_err(|error| LinkError::Unsent(error.to_string()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answer = self.0.try_send_request(request);
        Box::pin(async move {
            answer.await.map_err(|mut error| match error.take_message() {
                Some(_) => LinkError::Unsent(error.into_error().to_string()),
                None => LinkError::Lost(error.into_error().to_string()),
            })
        })
    }
}
