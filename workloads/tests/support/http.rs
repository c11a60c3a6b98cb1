//! The server's side of HTTP/1.1, as far as tests need it.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request.
pub struct Request {
    /// `GET /path`.
    pub line: String,
    pub body: String,
}

/// A connection that asks.
pub struct Connection(BufReader<TcpStream>);

impl Connection {
    pub fn new(stream: TcpStream) -> Connection {
        Connection(BufReader::new(stream))
    }

    /// The next request; nothing at the end of the connection.
    pub async fn request(&mut self) -> io::Result<Option<Request>> {
        let (mut line, mut length) = (String::new(), 0);
        if self.0.read_line(&mut line).await? == 0 {
            return Ok(None);
        }
        let line = line.trim_end().strip_suffix(" HTTP/1.1").ok_or(io::ErrorKind::InvalidData)?.to_owned();
        loop {
            let mut header = String::new();
            self.0.read_line(&mut header).await?;
            match header.trim_end().split_once(": ") {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.parse().map_err(io::Error::other)?;
                }
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await?;
        Ok(Some(Request { line, body: String::from_utf8(body).map_err(io::Error::other)? }))
    }

    pub async fn answer(&mut self, status: u16, body: &str) -> io::Result<()> {
        let answer = format!("HTTP/1.1 {status} So\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        self.0.write_all(answer.as_bytes()).await
    }
}
