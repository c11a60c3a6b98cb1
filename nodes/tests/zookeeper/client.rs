//! A client that writes the protocol's bytes by hand, so that nothing of the server's own codec is trusted.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::cluster::PATIENCE;

/// The bytes of a request's fields.
#[derive(Clone, Default)]
pub struct Fields(pub Vec<u8>);

impl Fields {
    pub fn new() -> Fields {
        Fields::default()
    }

    pub fn int(mut self, value: i32) -> Fields {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn long(mut self, value: i64) -> Fields {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub fn bool(mut self, value: bool) -> Fields {
        self.0.push(u8::from(value));
        self
    }

    pub fn bytes(self, value: &[u8]) -> Fields {
        let mut fields = self.int(value.len() as i32);
        fields.0.extend(value);
        fields
    }

    pub fn str(self, value: &str) -> Fields {
        self.bytes(value.as_bytes())
    }

    pub fn strs(self, values: &[&str]) -> Fields {
        values.iter().fold(self.int(values.len() as i32), |fields, value| fields.str(value))
    }

    /// The body of a create: everybody may do everything.
    pub fn create(self, path: &str, data: &[u8], flags: i32) -> Fields {
        self.str(path).bytes(data).int(1).int(31).str("world").str("anyone").int(flags)
    }

    pub fn multi(self, code: i32, body: Fields) -> Fields {
        let mut fields = self.int(code).bool(false).int(-1);
        fields.0.extend(body.0);
        fields
    }

    pub fn end_multi(self) -> Fields {
        self.int(-1).bool(true).int(-1)
    }
}

/// What the server said in answer, or of its own accord.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub xid: i32,
    pub zxid: i64,
    pub err: i32,
    pub body: Vec<u8>,
}

/// A connection.
pub struct Client {
    stream: TcpStream,
    next_xid: i32,
    pub connected: Vec<u8>,
}

pub type Identity = (i64, [u8; 16]);

impl Client {
    /// A connection with a new session, or an old one. Nothing if the server hangs up.
    pub async fn connect(server: SocketAddr, resume: Option<Identity>, last_zxid: i64) -> Option<Client> {
        Client::connect_for(server, resume, last_zxid, 6000, true).await
    }

    pub async fn connect_for(
        server: SocketAddr,
        resume: Option<Identity>,
        last_zxid: i64,
        timeout: i32,
        read_only_field: bool,
    ) -> Option<Client> {
        let mut stream = TcpStream::connect(server).await.expect("the client port is open");
        let (session, password) = resume.unwrap_or_default();
        let mut hello = Fields::new().int(0).long(last_zxid).int(timeout).long(session).bytes(&password);
        if read_only_field {
            hello = hello.bool(false);
        }
        stream.write_all(&frame(&hello.0)).await.expect("the connect is sent");
        let connected = read_frame(&mut stream).await?;
        Some(Client { stream, next_xid: 1, connected })
    }

    pub fn timeout(&self) -> i32 {
        i32::from_be_bytes(self.connected[4..8].try_into().expect("four bytes"))
    }

    pub fn identity(&self) -> Identity {
        let session = i64::from_be_bytes(self.connected[8..16].try_into().expect("eight bytes"));
        (session, self.connected[20..36].try_into().expect("sixteen bytes"))
    }

    pub async fn send(&mut self, code: i32, body: Fields) -> i32 {
        let xid = self.next_xid;
        self.next_xid += 1;
        self.send_as(xid, code, body).await;
        xid
    }

    pub async fn send_as(&mut self, xid: i32, code: i32, body: Fields) {
        let mut request = Fields::new().int(xid).int(code).0;
        request.extend(body.0);
        // A server that hangs up in the middle of a request is heard of when its answer is read.
        let _ = self.stream.write_all(&frame(&request)).await;
    }

    /// What comes next; nothing if the server hangs up.
    pub async fn receive(&mut self) -> Option<Answer> {
        let reply = read_frame(&mut self.stream).await?;
        let int = |at: usize| i32::from_be_bytes(reply[at..at + 4].try_into().expect("four bytes"));
        let zxid = i64::from_be_bytes(reply[4..12].try_into().expect("eight bytes"));
        Some(Answer { xid: int(0), zxid, err: int(12), body: reply[16..].to_vec() })
    }

    pub async fn call(&mut self, code: i32, body: Fields) -> Option<Answer> {
        self.send(code, body).await;
        self.receive().await
    }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut frame = (body.len() as i32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}

async fn read_frame(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let read = async {
        let length = stream.read_i32().await.ok()?;
        let mut body = vec![0; length as usize];
        stream.read_exact(&mut body).await.ok()?;
        Some(body)
    };
    tokio::time::timeout(PATIENCE, read).await.expect("the server answers or hangs up in time")
}
