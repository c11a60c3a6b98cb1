//! What travels between peers: a length, then that many bytes of postcard.

use std::io;

use bytes::{BufMut, BytesMut};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::replica::NodeId;

/// The longest frame in bytes.
const LONGEST: usize = 64 << 20;
const MAGIC: [u8; 8] = *b"grudge/1";

/// The first frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) magic: [u8; 8],
    pub(super) cluster: String,
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    /// A number of this life of the sender.
    pub(super) boot: u64,
}

impl Hello {
    pub(super) fn new(cluster: String, from: NodeId, to: NodeId, boot: u64) -> Self {
        Hello { magic: MAGIC, cluster, from, to, boot }
    }

    /// Whether the sender means this replica.
    pub(super) fn check(&self, cluster: &str, id: NodeId) -> Result<(), String> {
        if self.magic != MAGIC {
            return Err("it speaks another version".to_owned());
        }
        if self.cluster != cluster {
            return Err(format!("it is of cluster {:?}, this is {cluster:?}", self.cluster));
        }
        if self.to != id {
            return Err(format!("it wants {}, this is {id}", self.to));
        }
        if self.from == id {
            return Err(format!("it says it is {id} too: two replicas have one number"));
        }
        Ok(())
    }
}

/// Appends a frame.
pub(super) fn put<T: Serialize>(bytes: &mut BytesMut, value: &T) -> Result<(), String> {
    let body = postcard::to_stdvec(value).map_err(|error| error.to_string())?;
    match u32::try_from(body.len()) {
        Ok(length) if body.len() <= LONGEST => {
            bytes.put_u32_le(length);
            bytes.put_slice(&body);
            Ok(())
        }
        _ => Err(format!("{} bytes are more than the {LONGEST} that a frame may have", body.len())),
    }
}

/// Reads a frame; `None` at the end of the stream.
pub(super) async fn get<T: DeserializeOwned>(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<T>> {
    let bad = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let length = match stream.read_u32_le().await {
        Ok(length) => length as usize,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    if length > LONGEST {
        return Err(bad(format!("a frame of {length} bytes; {LONGEST} are allowed")));
    }
    // Memory follows what arrives, not what is announced.
    let mut body = Vec::new();
    stream.take(length as u64).read_to_end(&mut body).await?;
    if body.len() < length {
        return Ok(None);
    }
    postcard::from_bytes(&body).map(Some).map_err(|error| bad(format!("a frame that cannot be read: {error}")))
}
