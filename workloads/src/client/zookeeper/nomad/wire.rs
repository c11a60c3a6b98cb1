//! The little of ZooKeeper's client protocol that a [`super::Nomad`] speaks (jute, big-endian, frames with a length of four
//! bytes). A server's bytes are checked, never trusted.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// No answer of this size is expected: the largest is a znode of 1 MiB.
const LONGEST_FRAME: usize = 2 << 20;
/// The length of a password.
const PASSWORD: usize = 16;
/// A znode's stat: eleven numbers.
const STAT: usize = 68;
/// All that a znode's owner may do.
const ALL: i32 = 31;

/// What a request asks for.
pub(super) mod op {
    pub(in super::super) const CREATE: i32 = 1;
    pub(in super::super) const GET_DATA: i32 = 4;
    pub(in super::super) const SET_DATA: i32 = 5;
    pub(in super::super) const CLOSE: i32 = -11;
}

/// The bytes make no sense.
#[derive(Debug)]
pub(super) struct Malformed;

/// A session as its client knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pass {
    pub(super) session: i64,
    pub(super) password: Bytes,
}

/// What comes before the body of every answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) error: i32,
}

/// Sends one frame.
pub(super) async fn send(stream: &mut TcpStream, body: &[u8]) -> std::io::Result<()> {
    let mut frame = BytesMut::with_capacity(body.len() + 4);
    text(&mut frame, body);
    stream.write_all(&frame).await
}

/// Awaits one frame. One that is too long is an error of the connection.
pub(super) async fn receive(stream: &mut TcpStream) -> std::io::Result<Bytes> {
    let length = usize::try_from(stream.read_i32().await?).unwrap_or(usize::MAX);
    if length > LONGEST_FRAME {
        return Err(std::io::ErrorKind::InvalidData.into());
    }
    let mut body = BytesMut::zeroed(length);
    stream.read_exact(&mut body).await?;
    Ok(body.freeze())
}

/// The first words of a connection: what was seen, and the session to go on with.
pub(super) fn connect(last_zxid_seen: i64, timeout_ms: i32, pass: Option<&Pass>) -> BytesMut {
    let mut body = BytesMut::new();
    body.put_i32(0);
    body.put_i64(last_zxid_seen);
    body.put_i32(timeout_ms);
    body.put_i64(pass.map_or(0, |pass| pass.session));
    text(&mut body, pass.map_or(&[0; PASSWORD][..], |pass| &pass.password));
    body.put_u8(0);
    body
}

/// The answer to them; none if the session is over.
pub(super) fn connected(mut body: Bytes) -> Result<Option<Pass>, Malformed> {
    let _version = body.try_get_i32().map_err(|_| Malformed)?;
    let timeout = body.try_get_i32().map_err(|_| Malformed)?;
    let session = body.try_get_i64().map_err(|_| Malformed)?;
    let password = take(&mut body)?;
    Ok((timeout > 0 && session != 0).then_some(Pass { session, password }))
}

/// A request with its header.
pub(super) fn request(xid: i32, op: i32, body: &[u8]) -> BytesMut {
    let mut request = BytesMut::with_capacity(body.len() + 8);
    request.put_i32(xid);
    request.put_i32(op);
    request.put_slice(body);
    request
}

/// Splits an answer's header off.
pub(super) fn head(body: &mut Bytes) -> Result<Head, Malformed> {
    let xid = body.try_get_i32().map_err(|_| Malformed)?;
    let zxid = body.try_get_i64().map_err(|_| Malformed)?;
    let error = body.try_get_i32().map_err(|_| Malformed)?;
    Ok(Head { xid, zxid, error })
}

/// `create` of an empty persistent znode that anybody may use.
pub(super) fn create(path: &str) -> BytesMut {
    let mut body = BytesMut::new();
    text(&mut body, path.as_bytes());
    text(&mut body, b"");
    body.put_i32(1);
    body.put_i32(ALL);
    text(&mut body, b"world");
    text(&mut body, b"anyone");
    body.put_i32(0);
    body
}

/// `getData` without a watch.
pub(super) fn get_data(path: &str) -> BytesMut {
    let mut body = BytesMut::new();
    text(&mut body, path.as_bytes());
    body.put_u8(0);
    body
}

/// `setData` at any version.
pub(super) fn set_data(path: &str, data: &[u8]) -> BytesMut {
    let mut body = BytesMut::new();
    text(&mut body, path.as_bytes());
    text(&mut body, data);
    body.put_i32(-1);
    body
}

/// The answer to `getData`: the data and the zxid that put them there.
pub(super) fn data(mut body: Bytes) -> Result<(Bytes, i64), Malformed> {
    let data = take(&mut body)?;
    Ok((data, modified(body)?))
}

/// A stat's mzxid.
pub(super) fn modified(mut stat: Bytes) -> Result<i64, Malformed> {
    if stat.len() < STAT {
        return Err(Malformed);
    }
    let _created = stat.get_i64();
    Ok(stat.get_i64())
}

fn text(into: &mut BytesMut, bytes: &[u8]) {
    into.put_i32(i32::try_from(bytes.len()).expect("what a workload writes is short"));
    into.put_slice(bytes);
}

/// A buffer with its length; one that is not there is empty.
fn take(from: &mut Bytes) -> Result<Bytes, Malformed> {
    let length = usize::try_from(from.try_get_i32().map_err(|_| Malformed)?.max(0)).map_err(|_| Malformed)?;
    if length > from.len() {
        return Err(Malformed);
    }
    Ok(from.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_is_cut_short_is_malformed() {
        let mut welcome = BytesMut::new();
        welcome.put_i32(0);
        welcome.put_i32(4000);
        welcome.put_i64(7);
        text(&mut welcome, &[1; PASSWORD]);
        let welcome = welcome.freeze();
        let pass = connected(welcome.clone()).expect("it is whole").expect("there is a session");
        assert_eq!(pass, Pass { session: 7, password: Bytes::from_static(&[1; PASSWORD]) });
        let mut answer = BytesMut::new();
        text(&mut answer, b"17");
        answer.put_bytes(0, 15);
        answer.put_u8(9);
        answer.put_bytes(0, STAT - 16);
        let answer = answer.freeze();
        let (value, zxid) = data(answer.clone()).expect("it is whole");
        assert_eq!((&value[..], zxid), (&b"17"[..], 9));
        for length in 0..welcome.len() {
            assert!(connected(welcome.slice(..length)).is_err(), "{length}");
        }
        for length in 0..answer.len() {
            assert!(data(answer.slice(..length)).is_err(), "{length}");
        }
        for length in 0..16 {
            assert!(head(&mut Bytes::from(vec![0; length])).is_err(), "{length}");
        }
    }

    #[test]
    fn a_session_that_is_over_has_no_pass() {
        let mut over = BytesMut::new();
        over.put_i32(0);
        over.put_i32(0);
        over.put_i64(0);
        text(&mut over, &[0; PASSWORD]);
        assert_eq!(connected(over.freeze()).expect("it is whole"), None);
    }
}
