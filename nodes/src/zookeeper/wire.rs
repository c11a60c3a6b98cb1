//! The client protocol's messages: bytes to typed requests, typed replies to bytes.
//!
//! Whatever a client sends is either a request, a request to be refused (which is answered with an error), or
//! malformed (which ends the connection). Nothing of it panics.

use super::jute::{Malformed, Reader, Writer};
use crate::znode::{
    Acl, Answer, ChildrenAnswer, Connect, Create, CreateAnswer, CreateMode, ErrorCode, EventKind, Local, NodeOp, Op,
    Password, Read, Reply, SessionId, SetWatches, Stat, WatchKind, Write,
};

/// Operation codes.
pub(super) mod code {
    pub(crate) const CREATE: i32 = 1;
    pub(crate) const DELETE: i32 = 2;
    pub(crate) const EXISTS: i32 = 3;
    pub(crate) const GET_DATA: i32 = 4;
    pub(crate) const SET_DATA: i32 = 5;
    pub(crate) const GET_ACL: i32 = 6;
    pub(crate) const SET_ACL: i32 = 7;
    pub(crate) const GET_CHILDREN: i32 = 8;
    pub(crate) const SYNC: i32 = 9;
    pub(crate) const PING: i32 = 11;
    pub(crate) const GET_CHILDREN2: i32 = 12;
    pub(crate) const CHECK: i32 = 13;
    pub(crate) const MULTI: i32 = 14;
    pub(crate) const CREATE2: i32 = 15;
    pub(crate) const CHECK_WATCHES: i32 = 17;
    pub(crate) const REMOVE_WATCHES: i32 = 18;
    pub(crate) const AUTH: i32 = 100;
    pub(crate) const SET_WATCHES: i32 = 101;
    pub(crate) const GET_EPHEMERALS: i32 = 103;
    pub(crate) const GET_ALL_CHILDREN_NUMBER: i32 = 104;
    pub(crate) const SET_WATCHES2: i32 = 105;
    pub(crate) const CLOSE_SESSION: i32 = -11;
    /// In a multi's headers: an error, or the end.
    pub(crate) const ERROR: i32 = -1;
}

/// The number of replies that answer nothing: watch events.
const EVENT_XID: i32 = -1;
/// What an event says of the connection: it stands.
const SYNC_CONNECTED: i32 = 3;

/// Whether the client knows read-only servers: one that does sends, and expects, one more byte in the first exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnlyField {
    /// It does.
    Present,
    /// It does not (clients before 3.4).
    Absent,
}

/// Reads the first message of a connection.
///
/// # Errors
/// It is none.
pub fn decode_connect(frame: &[u8]) -> Result<(Connect, ReadOnlyField), Malformed> {
    let mut reader = Reader::new(frame);
    let _protocol = reader.int()?;
    let last_zxid_seen = reader.long()?;
    let timeout_ms = reader.int()?;
    let session = reader.long()?;
    let password = reader.buffer()?.unwrap_or_default();
    let field = if reader.is_empty() { ReadOnlyField::Absent } else { ReadOnlyField::Present };
    let resume = match session {
        0 => None,
        _ => {
            let length = password.len();
            let password: Password = password.try_into().map_err(|_| Malformed::PasswordLength(length))?;
            Some((SessionId(session), password))
        }
    };
    Ok((Connect { last_zxid_seen, timeout_ms, resume }, field))
}

/// Reads a later message: the client's number for it, and what it asks.
///
/// # Errors
/// It is none.
pub fn decode_request(frame: &[u8]) -> Result<(i32, Op), Malformed> {
    let mut reader = Reader::new(frame);
    let xid = reader.int()?;
    let code = reader.int()?;
    Ok((xid, decode_op(&mut reader, code)?))
}

fn decode_op(reader: &mut Reader, code: i32) -> Result<Op, Malformed> {
    let op = match code {
        code::CREATE | code::CREATE2 | code::DELETE | code::SET_DATA | code::SET_ACL => {
            return Ok(match decode_node_op(reader, code)? {
                Ok(op) => Op::Write(Write::Node(op)),
                Err(error) => Op::Local(Local::Refused(error)),
            });
        }
        code::MULTI => return decode_multi(reader),
        code::CLOSE_SESSION => Op::Write(Write::CloseSession),
        code::EXISTS => Op::Local(Local::Read(Read::Exists { path: reader.string()?, watch: reader.bool()? })),
        code::GET_DATA => Op::Local(Local::Read(Read::GetData { path: reader.string()?, watch: reader.bool()? })),
        code::GET_ACL => Op::Local(Local::Read(Read::GetAcl { path: reader.string()? })),
        code::GET_CHILDREN | code::GET_CHILDREN2 => Op::Local(Local::Read(Read::GetChildren {
            path: reader.string()?,
            watch: reader.bool()?,
            answer: match code {
                code::GET_CHILDREN => ChildrenAnswer::Names,
                _ => ChildrenAnswer::NamesAndStat,
            },
        })),
        code::GET_EPHEMERALS => Op::Local(Local::Read(Read::GetEphemerals { prefix: reader.string()? })),
        code::GET_ALL_CHILDREN_NUMBER => Op::Local(Local::Read(Read::CountDescendants { path: reader.string()? })),
        code::SYNC => Op::Sync { path: reader.string()? },
        code::PING => Op::Local(Local::Ping),
        code::AUTH => Op::Local(Local::Auth),
        code::SET_WATCHES => Op::Local(Local::SetWatches(decode_set_watches(reader)?)),
        code::CHECK_WATCHES | code::REMOVE_WATCHES => {
            let path = reader.string()?;
            let kind = match reader.int()? {
                1 => WatchKind::Children,
                2 => WatchKind::Data,
                3 => WatchKind::Any,
                _ => return Ok(Op::Local(Local::Refused(ErrorCode::BadArguments))),
            };
            Op::Local(match code {
                code::CHECK_WATCHES => Local::CheckWatches { path, kind },
                _ => Local::RemoveWatches { path, kind },
            })
        }
        code::SET_WATCHES2 => {
            let watches = decode_set_watches(reader)?;
            let persistent = reader.vector(Reader::string)?;
            let recursive = reader.vector(Reader::string)?;
            if persistent.is_empty() && recursive.is_empty() {
                Op::Local(Local::SetWatches(watches))
            } else {
                Op::Local(Local::Refused(ErrorCode::Unimplemented))
            }
        }
        _ => Op::Local(Local::Refused(ErrorCode::Unimplemented)),
    };
    Ok(op)
}

fn decode_set_watches(reader: &mut Reader) -> Result<SetWatches, Malformed> {
    Ok(SetWatches {
        relative_zxid: reader.long()?,
        data: reader.vector(Reader::string)?,
        exist: reader.vector(Reader::string)?,
        child: reader.vector(Reader::string)?,
    })
}

/// A change of one node; refused if it is well-formed but asks for something that is not served.
fn decode_node_op(reader: &mut Reader, code: i32) -> Result<Result<NodeOp, ErrorCode>, Malformed> {
    let path = reader.string()?;
    Ok(Ok(match code {
        code::CREATE | code::CREATE2 => {
            let data = reader.buffer()?;
            let acl = decode_acl(reader)?;
            let mode = match reader.int()? {
                0 => CreateMode::Persistent,
                1 => CreateMode::Ephemeral,
                2 => CreateMode::PersistentSequential,
                3 => CreateMode::EphemeralSequential,
                4..=6 => return Ok(Err(ErrorCode::Unimplemented)),
                _ => return Ok(Err(ErrorCode::BadArguments)),
            };
            let answer = if code == code::CREATE { CreateAnswer::Path } else { CreateAnswer::PathAndStat };
            NodeOp::Create(Create { path, data, acl, mode, answer })
        }
        code::DELETE => NodeOp::Delete { path, version: reader.int()? },
        code::SET_DATA => NodeOp::SetData { path, data: reader.buffer()?, version: reader.int()? },
        code::SET_ACL => NodeOp::SetAcl { path, acl: decode_acl(reader)?, version: reader.int()? },
        code::CHECK => NodeOp::Check { path, version: reader.int()? },
        other => return Err(Malformed::NotInMulti(other)),
    }))
}

fn decode_acl(reader: &mut Reader) -> Result<Vec<Acl>, Malformed> {
    reader.vector(|reader| Ok(Acl { perms: reader.int()?, scheme: reader.string()?, id: reader.string()? }))
}

fn decode_multi(reader: &mut Reader) -> Result<Op, Malformed> {
    let mut ops = Vec::new();
    loop {
        let (code, done, _error) = (reader.int()?, reader.bool()?, reader.int()?);
        if done {
            return Ok(Op::Write(Write::Multi(ops)));
        }
        if code == code::SET_ACL {
            return Err(Malformed::NotInMulti(code));
        }
        match decode_node_op(reader, code)? {
            Ok(op) => ops.push(op),
            Err(error) => return Ok(Op::Local(Local::Refused(error))),
        }
    }
}

/// A reply as a frame; nothing for those that are not bytes: a close, and what the server says of itself.
#[must_use]
pub fn encode_reply(reply: &Reply, field: ReadOnlyField) -> Option<Vec<u8>> {
    let mut writer = Writer::new();
    match reply {
        Reply::Connected { session, password, timeout_ms } => {
            let timeout_ms = i32::try_from(*timeout_ms).unwrap_or(i32::MAX);
            encode_connected(&mut writer, timeout_ms, *session, password, field);
        }
        Reply::Expired => encode_connected(&mut writer, 0, SessionId(0), &[0; 16], field),
        Reply::Answer { xid, zxid, result } => {
            let error = result.as_ref().err().map_or(0, |error| error.code());
            writer.int(*xid).long(*zxid).int(error);
            if let Ok(answer) = result {
                encode_answer(&mut writer, answer);
            }
        }
        Reply::Event { kind, path } => {
            let kind = match kind {
                EventKind::Created => 1,
                EventKind::Deleted => 2,
                EventKind::DataChanged => 3,
                EventKind::ChildrenChanged => 4,
            };
            writer.int(EVENT_XID).long(-1).int(0).int(kind).int(SYNC_CONNECTED).string(path);
        }
        Reply::Status(_) | Reply::Close => return None,
    }
    Some(writer.frame())
}

fn encode_connected(writer: &mut Writer, timeout: i32, session: SessionId, password: &Password, field: ReadOnlyField) {
    writer.int(0).int(timeout).long(session.0).buffer(Some(password));
    if field == ReadOnlyField::Present {
        writer.bool(false);
    }
}

fn encode_answer(writer: &mut Writer, answer: &Answer) {
    match answer {
        Answer::Done | Answer::Deleted | Answer::Checked => {}
        Answer::Path(path) => {
            writer.string(path);
        }
        Answer::PathAndStat(path, stat) => encode_stat(writer.string(path), stat),
        Answer::Stat(stat) => encode_stat(writer, stat),
        Answer::Data(data, stat) => encode_stat(writer.buffer(data.as_deref()), stat),
        Answer::Names(names) => encode_names(writer, names),
        Answer::NamesAndStat(names, stat) => {
            encode_names(writer, names);
            encode_stat(writer, stat);
        }
        Answer::Acl(acl, stat) => {
            writer.vector(acl, |writer, acl| {
                writer.int(acl.perms).string(&acl.scheme).string(&acl.id);
            });
            encode_stat(writer, stat);
        }
        Answer::Count(count) => {
            writer.int(*count);
        }
        Answer::Multi(answers) => {
            for answer in answers {
                writer.int(multi_code(answer)).bool(false).int(0);
                encode_answer(writer, answer);
            }
            encode_multi_end(writer);
        }
        Answer::MultiFailed(errors) => {
            for error in errors {
                let error = error.map_or(0, ErrorCode::code);
                writer.int(code::ERROR).bool(false).int(error).int(error);
            }
            encode_multi_end(writer);
        }
    }
}

/// The code of the operation that an answer inside a multi belongs to.
fn multi_code(answer: &Answer) -> i32 {
    match answer {
        Answer::Path(_) => code::CREATE,
        Answer::PathAndStat(..) => code::CREATE2,
        Answer::Deleted => code::DELETE,
        Answer::Checked => code::CHECK,
        _ => code::SET_DATA,
    }
}

fn encode_multi_end(writer: &mut Writer) {
    writer.int(code::ERROR).bool(true).int(-1);
}

fn encode_names(writer: &mut Writer, names: &[String]) {
    writer.vector(names, |writer, name| {
        writer.string(name);
    });
}

fn encode_stat(writer: &mut Writer, stat: &Stat) {
    writer.long(stat.czxid).long(stat.mzxid).long(stat.ctime).long(stat.mtime);
    writer.int(stat.version).int(stat.cversion).int(stat.aversion).long(stat.ephemeral_owner);
    writer.int(stat.data_length).int(stat.num_children).long(stat.pzxid);
}
