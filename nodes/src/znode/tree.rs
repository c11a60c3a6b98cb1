//! The tree of znodes.
//!
//! A pure value: the same changes with the same zxids and times give the same tree, bit by bit, on every server.
//! Whatever is asked of it is either done or refused with an [`ErrorCode`]; a refused change leaves no trace.
//! Access control lists are kept and told, but not enforced.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::error::ErrorCode;
use super::op::Create;
use super::path;
use super::session::SessionId;

/// What is known of a node beside its data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stat {
    /// The zxid that created it.
    pub czxid: i64,
    /// The zxid that last set its data.
    pub mzxid: i64,
    /// When it was created, milliseconds since 1970.
    pub ctime: i64,
    /// When its data was last set, milliseconds since 1970.
    pub mtime: i64,
    /// How often its data was set.
    pub version: i32,
    /// How often a child came or went.
    pub cversion: i32,
    /// How often its access control list was set.
    pub aversion: i32,
    /// The session it dies with; 0 for a persistent node.
    pub ephemeral_owner: i64,
    /// Bytes of data.
    pub data_length: i32,
    /// How many children it has.
    pub num_children: i32,
    /// The zxid at which a child last came or went.
    pub pzxid: i64,
}

/// An entry of an access control list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Bits: read 1, write 2, create 4, delete 8, admin 16.
    pub perms: i32,
    /// How the identity is proved: `world`, `digest`, …
    pub scheme: String,
    /// Who.
    pub id: String,
}

impl Acl {
    /// Everybody may do everything.
    #[must_use]
    pub fn open() -> Vec<Acl> {
        vec![Acl { perms: 31, scheme: "world".into(), id: "anyone".into() }]
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Node {
    data: Option<Vec<u8>>,
    acl: Vec<Acl>,
    czxid: i64,
    mzxid: i64,
    pzxid: i64,
    ctime: i64,
    mtime: i64,
    version: i32,
    aversion: i32,
    owner: Option<SessionId>,
    /// How many children were ever created: the next sequential child's number.
    creates: i32,
    children: BTreeSet<String>,
}

impl Node {
    fn new(zxid: i64, time: i64, data: Option<Vec<u8>>, acl: Vec<Acl>, owner: Option<SessionId>) -> Node {
        Node {
            data,
            acl,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            owner,
            creates: 0,
            children: BTreeSet::new(),
        }
    }

    fn stat(&self) -> Stat {
        let children = count(self.children.len());
        Stat {
            czxid: self.czxid,
            mzxid: self.mzxid,
            ctime: self.ctime,
            mtime: self.mtime,
            version: self.version,
            cversion: self.creates.wrapping_mul(2).wrapping_sub(children),
            aversion: self.aversion,
            ephemeral_owner: self.owner.map_or(0, |SessionId(id)| id),
            data_length: count(self.data.as_ref().map_or(0, Vec::len)),
            num_children: children,
            pzxid: self.pzxid,
        }
    }
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn check_version(expected: i32, actual: i32) -> Result<(), ErrorCode> {
    if expected == -1 || expected == actual { Ok(()) } else { Err(ErrorCode::BadVersion) }
}

/// All znodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
    /// Which ephemeral nodes each session owns; derived from `nodes`.
    ephemerals: BTreeMap<SessionId, BTreeSet<String>>,
    /// What the nodes touched by a multi in progress were before, newest last.
    #[serde(skip)]
    undo: Option<Vec<(String, Option<Node>)>>,
}

impl Default for Tree {
    fn default() -> Tree {
        Tree::new()
    }
}

impl Tree {
    /// The tree of a new cluster: the root and the nodes that ZooKeeper keeps for itself.
    #[must_use]
    pub fn new() -> Tree {
        let mut tree = Tree { nodes: BTreeMap::new(), ephemerals: BTreeMap::new(), undo: None };
        for path in ["/", "/zookeeper", "/zookeeper/config", "/zookeeper/quota"] {
            tree.nodes.insert(path.to_owned(), Node::new(0, 0, None, Acl::open(), None));
            if let Some((parent, name)) = path::split(path) {
                let parent = tree.nodes.get_mut(parent).expect("parents come first in the list above");
                parent.children.insert(name.to_owned());
            }
        }
        tree
    }

    /// Creates a node and tells its path. An ephemeral node belongs to `session`.
    ///
    /// # Errors
    /// The path is bad or taken, the parent is missing or ephemeral, the access control list is empty.
    pub fn create(
        &mut self,
        zxid: i64,
        time: i64,
        session: SessionId,
        create: &Create,
    ) -> Result<(String, Stat), ErrorCode> {
        let sequential = create.mode.is_sequential();
        // A sequential node's number completes its name, so `/a/` is a fine path to ask for.
        let probe = if sequential { format!("{}0", create.path) } else { create.path.clone() };
        path::validate(&probe)?;
        if create.acl.is_empty() {
            return Err(ErrorCode::InvalidAcl);
        }
        let Some((parent_path, _)) = path::split(&probe) else {
            return Err(ErrorCode::NodeExists);
        };
        let parent = self.nodes.get(parent_path).ok_or(ErrorCode::NoNode)?;
        let full = if sequential { format!("{}{:010}", create.path, parent.creates) } else { create.path.clone() };
        if self.nodes.contains_key(&full) {
            return Err(ErrorCode::NodeExists);
        }
        if parent.owner.is_some() {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        let (_, name) = path::split(&full).expect("a path under a parent has a name");
        self.change(parent_path, |parent| {
            parent.creates = parent.creates.wrapping_add(1);
            parent.pzxid = zxid;
            parent.children.insert(name.to_owned());
        });
        let owner = create.mode.is_ephemeral().then_some(session);
        let node = Node::new(zxid, time, create.data.clone(), create.acl.clone(), owner);
        let stat = node.stat();
        self.put(&full, Some(node));
        Ok((full, stat))
    }

    /// Deletes a node.
    ///
    /// # Errors
    /// It is missing, has another version or children, or is the root.
    pub fn delete(&mut self, zxid: i64, path: &str, version: i32) -> Result<(), ErrorCode> {
        path::validate(path)?;
        let (parent, name) = path::split(path).ok_or(ErrorCode::BadArguments)?;
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        check_version(version, node.version)?;
        if !node.children.is_empty() {
            return Err(ErrorCode::NotEmpty);
        }
        self.change(parent, |parent| {
            parent.pzxid = zxid;
            parent.children.remove(name);
        });
        self.put(path, None);
        Ok(())
    }

    /// Replaces a node's data.
    ///
    /// # Errors
    /// It is missing or has another version.
    pub fn set_data(
        &mut self,
        zxid: i64,
        time: i64,
        path: &str,
        data: Option<Vec<u8>>,
        version: i32,
    ) -> Result<Stat, ErrorCode> {
        path::validate(path)?;
        self.check(path, version)?;
        Ok(self.change(path, |node| {
            node.data = data;
            node.version = node.version.wrapping_add(1);
            node.mzxid = zxid;
            node.mtime = time;
            node.stat()
        }))
    }

    /// Replaces a node's access control list.
    ///
    /// # Errors
    /// It is missing, has another ACL version, or the new list is empty.
    pub fn set_acl(&mut self, path: &str, acl: Vec<Acl>, version: i32) -> Result<Stat, ErrorCode> {
        path::validate(path)?;
        if acl.is_empty() {
            return Err(ErrorCode::InvalidAcl);
        }
        let node = self.nodes.get(path).ok_or(ErrorCode::NoNode)?;
        check_version(version, node.aversion)?;
        Ok(self.change(path, |node| {
            node.acl = acl;
            node.aversion = node.aversion.wrapping_add(1);
            node.stat()
        }))
    }

    /// Does the node have this data version?
    ///
    /// # Errors
    /// It is missing or has another.
    pub fn check(&self, path: &str, version: i32) -> Result<(), ErrorCode> {
        check_version(version, self.nodes.get(path).ok_or(ErrorCode::NoNode)?.version)
    }

    /// Deletes the ephemeral nodes of a session that has ended, and tells their paths.
    pub fn end_session(&mut self, zxid: i64, session: SessionId) -> Vec<String> {
        let paths: Vec<String> = self.ephemerals.get(&session).into_iter().flatten().cloned().collect();
        for path in &paths {
            self.delete(zxid, path, -1).expect("an ephemeral node is there and has no children");
        }
        paths
    }

    /// Runs several changes; if the last word is an error, none of them has happened.
    ///
    /// # Errors
    /// Those of `changes`.
    pub fn atomically<T, E>(&mut self, changes: impl FnOnce(&mut Tree) -> Result<T, E>) -> Result<T, E> {
        self.undo = Some(Vec::new());
        let result = changes(self);
        let undo = self.undo.take().unwrap_or_default();
        if result.is_err() {
            for (path, before) in undo.into_iter().rev() {
                self.put(&path, before);
            }
        }
        result
    }

    /// A node's stat.
    #[must_use]
    pub fn stat(&self, path: &str) -> Option<Stat> {
        self.nodes.get(path).map(Node::stat)
    }

    /// A node's data and stat.
    #[must_use]
    pub fn data(&self, path: &str) -> Option<(Option<&[u8]>, Stat)> {
        self.nodes.get(path).map(|node| (node.data.as_deref(), node.stat()))
    }

    /// A node's children by name, sorted, and its stat.
    #[must_use]
    pub fn children(&self, path: &str) -> Option<(Vec<String>, Stat)> {
        self.nodes.get(path).map(|node| (node.children.iter().cloned().collect(), node.stat()))
    }

    /// A node's access control list and stat.
    #[must_use]
    pub fn acl(&self, path: &str) -> Option<(&[Acl], Stat)> {
        self.nodes.get(path).map(|node| (node.acl.as_slice(), node.stat()))
    }

    /// The paths of a session's ephemeral nodes, sorted.
    pub fn ephemerals(&self, session: SessionId) -> impl Iterator<Item = &str> {
        self.ephemerals.get(&session).into_iter().flatten().map(String::as_str)
    }

    /// How many ephemeral nodes there are.
    #[must_use]
    pub fn ephemeral_count(&self) -> usize {
        self.ephemerals.values().map(BTreeSet::len).sum()
    }

    /// The sessions that own ephemeral nodes.
    pub fn owners(&self) -> impl Iterator<Item = SessionId> {
        self.ephemerals.keys().copied()
    }

    /// How many nodes there are below a node.
    #[must_use]
    pub fn descendants(&self, path: &str) -> Option<usize> {
        self.nodes.get(path)?;
        let prefix = path::join(path, "");
        let below = self.nodes.range(prefix.clone()..).take_while(|(other, _)| other.starts_with(&prefix));
        Some(below.filter(|(other, _)| *other != path).count())
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Never: there is always a root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Changes a node that is there.
    fn change<T>(&mut self, path: &str, change: impl FnOnce(&mut Node) -> T) -> T {
        let node = self.nodes.get_mut(path).expect("the caller has seen that the node is there");
        if let Some(undo) = &mut self.undo {
            undo.push((path.to_owned(), Some(node.clone())));
        }
        change(node)
    }

    /// Puts a node at a path, or nothing, and keeps the index of ephemeral nodes true.
    fn put(&mut self, path: &str, node: Option<Node>) {
        let owner = node.as_ref().and_then(|node| node.owner);
        let before = match node {
            Some(node) => self.nodes.insert(path.to_owned(), node),
            None => self.nodes.remove(path),
        };
        if let Some(session) = before.as_ref().and_then(|node| node.owner)
            && let Some(owned) = self.ephemerals.get_mut(&session)
        {
            owned.remove(path);
            if owned.is_empty() {
                self.ephemerals.remove(&session);
            }
        }
        if let Some(session) = owner {
            self.ephemerals.entry(session).or_default().insert(path.to_owned());
        }
        if let Some(undo) = &mut self.undo {
            undo.push((path.to_owned(), before));
        }
    }
}
