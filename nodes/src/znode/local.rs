//! The requests that a server answers alone: reads from its own tree, and watches.

use super::error::ErrorCode;
use super::op::{Answer, ChildrenAnswer, EventKind, Local, Read, Reply, SetWatches, WatchKind};
use super::service::{Effect, Service};
use super::session::SessionId;
use super::watch::Watched;
use crate::replica::ClientId;

impl Service {
    /// Answers from what is known here.
    pub(super) fn answer(
        &mut self,
        client: ClientId,
        session: SessionId,
        xid: i32,
        op: Local,
        out: &mut Vec<Effect>,
    ) -> Reply {
        let zxid = self.state.zxid;
        let (zxid, result) = match op {
            Local::Read(read) => (zxid, self.read(client, session, &read)),
            Local::SetWatches(watches) => {
                self.set_watches(client, &watches, out);
                (zxid, Ok(Answer::Done))
            }
            Local::CheckWatches { path, kind } => (zxid, self.find_watches(client, &path, kind)),
            Local::RemoveWatches { path, kind } => {
                let found = self.find_watches(client, &path, kind);
                self.watches.remove(client, &path, kind);
                (zxid, found)
            }
            Local::Ping => (zxid, Ok(Answer::Done)),
            Local::Auth => (0, Ok(Answer::Done)),
            // An operation that no server knows reached no processor that could have put a zxid on the answer.
            Local::Refused(ErrorCode::Unimplemented) => (-1, Err(ErrorCode::Unimplemented)),
            Local::Refused(error) => (zxid, Err(error)),
        };
        Reply::Answer { xid, zxid, result }
    }

    fn find_watches(&self, client: ClientId, path: &str, kind: WatchKind) -> Result<Answer, ErrorCode> {
        if self.watches.is_armed(client, path, kind) { Ok(Answer::Done) } else { Err(ErrorCode::NoWatcher) }
    }

    fn read(&mut self, client: ClientId, session: SessionId, read: &Read) -> Result<Answer, ErrorCode> {
        let tree = &self.state.tree;
        match read {
            Read::Exists { path, watch } => {
                // The only watch that is armed on a node that is not there: it waits for its creation.
                if *watch {
                    self.watches.arm(client, path, Watched::Data);
                }
                tree.stat(path).map(Answer::Stat).ok_or(ErrorCode::NoNode)
            }
            Read::GetData { path, watch } => {
                let (data, stat) = tree.data(path).ok_or(ErrorCode::NoNode)?;
                if *watch {
                    self.watches.arm(client, path, Watched::Data);
                }
                Ok(Answer::Data(data.map(<[u8]>::to_vec), stat))
            }
            Read::GetChildren { path, watch, answer } => {
                let (names, stat) = tree.children(path).ok_or(ErrorCode::NoNode)?;
                if *watch {
                    self.watches.arm(client, path, Watched::Children);
                }
                Ok(match answer {
                    ChildrenAnswer::Names => Answer::Names(names),
                    ChildrenAnswer::NamesAndStat => Answer::NamesAndStat(names, stat),
                })
            }
            Read::GetAcl { path } => {
                let (acl, stat) = tree.acl(path).ok_or(ErrorCode::NoNode)?;
                Ok(Answer::Acl(acl.to_vec(), stat))
            }
            Read::GetEphemerals { prefix } => {
                let paths = tree.ephemerals(session).filter(|path| path.starts_with(prefix.as_str()));
                Ok(Answer::Names(paths.map(str::to_owned).collect()))
            }
            Read::CountDescendants { path } => {
                let count = tree.descendants(path).ok_or(ErrorCode::NoNode)?;
                Ok(Answer::Count(i32::try_from(count).unwrap_or(i32::MAX)))
            }
        }
    }

    /// Arms watches of a former connection again, and tells at once what they have missed.
    fn set_watches(&mut self, client: ClientId, watches: &SetWatches, out: &mut Vec<Effect>) {
        let mut tell = |kind, path: &str| {
            out.push(Effect::Reply { client, reply: Reply::Event { kind, path: path.to_owned() } });
        };
        let tree = &self.state.tree;
        for path in &watches.data {
            match tree.stat(path) {
                None => tell(EventKind::Deleted, path),
                Some(stat) if stat.mzxid > watches.relative_zxid => tell(EventKind::DataChanged, path),
                Some(_) => self.watches.arm(client, path, Watched::Data),
            }
        }
        for path in &watches.exist {
            match tree.stat(path) {
                None => self.watches.arm(client, path, Watched::Data),
                Some(_) => tell(EventKind::Created, path),
            }
        }
        for path in &watches.child {
            match tree.stat(path) {
                None => tell(EventKind::Deleted, path),
                Some(stat) if stat.pzxid > watches.relative_zxid => tell(EventKind::ChildrenChanged, path),
                Some(_) => self.watches.arm(client, path, Watched::Children),
            }
        }
    }
}
