//! Whole clusters under faults, seen by clients that keep count: servers with the same zxid have the same state, each
//! session sees a history that never goes back, a sync is never in the past, watches fire in time, and what was
//! answered stays.

use std::collections::{BTreeMap, BTreeSet};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::bugs::Bug;
use crate::sim::{Chaos, Options, Violation, World, expect_violation, for_each_seed};
use crate::znode::{Config, Replica};

const STEP: Duration = Duration::from_millis(10);
const CHAOS: Duration = Duration::from_secs(12);
/// A client that hears nothing for so long tries another server.
const PATIENCE: Duration = Duration::from_millis(1500);
const TIMEOUT_MS: u32 = 2000;
const REGISTER: &str = "/register";

fn world(seed: u64, nodes: u64, bugs: &[Bug]) -> World<Replica> {
    let peers: Vec<NodeId> = (1..=nodes).map(NodeId).collect();
    let bugs = bugs.to_vec();
    let configure = move |id: NodeId, life| {
        let zab = zab::Config { bugs: bugs.clone(), retain: 20, ..zab::Config::new(id, peers.clone()) };
        let snap_count = if seed.is_multiple_of(2) { 40 } else { 100_000 };
        Config { snap_count, ..Config::new(zab, 1_700_000_000_000, seed ^ (id.0 << 32) ^ life) }
    };
    World::new(seed, configure, Options::nodes(nodes))
}

/// The first two servers that have applied the same log and differ.
fn difference(world: &World<Replica>) -> Option<(NodeId, NodeId)> {
    let mut digests: BTreeMap<i64, (NodeId, u64)> = BTreeMap::new();
    world.live().into_iter().find_map(|(id, replica)| {
        let digest = replica.digest();
        let (first, known) = *digests.entry(replica.zxid()).or_insert((id, digest));
        (known != digest).then_some((first, id))
    })
}

/// A request that waits for its answer.
#[derive(Debug)]
enum Asked {
    Set,
    Create,
    /// Everything that anybody was told before must be seen behind it.
    Sync {
        floor: i64,
    },
    /// The floor of the sync before it, if there is one.
    Get {
        floor: i64,
        watch: bool,
    },
    Other,
}

#[derive(Default)]
struct Session {
    conversation: Option<ClientId>,
    connected: bool,
    identity: Option<(SessionId, Password)>,
    last_zxid: i64,
    asked: VecDeque<(i32, Asked)>,
    next_xid: i32,
    heard: Time,
    /// When the last write was sent that was answered: the leader has heard of the session later than that.
    written: Option<Time>,
    sent: BTreeMap<i32, Time>,
    /// The client has asked for the session's end, whether it was heard or not.
    closing: bool,
    /// The version of the register, as a zxid, that a watch waits to see replaced.
    watching: Option<i64>,
}

struct Clients {
    rng: ChaCha8Rng,
    sessions: Vec<Session>,
    /// The highest zxid of a set of the register that was answered.
    set: i64,
    created: BTreeSet<String>,
    answers: usize,
}

impl Clients {
    fn new(seed: u64) -> Clients {
        let sessions = (0..6).map(|_| Session::default()).collect();
        let rng = ChaCha8Rng::seed_from_u64(seed);
        Clients { rng, sessions, set: 0, created: BTreeSet::new(), answers: 0 }
    }

    fn act(&mut self, world: &mut World<Replica>) {
        for at in 0..self.sessions.len() {
            let session = &mut self.sessions[at];
            match session.conversation {
                None => self.connect(at, world),
                Some(client) if world.now() > session.heard + PATIENCE => {
                    world.request_as(client, Request::Disconnected);
                    session.hung_up();
                }
                Some(client) if session.connected && session.asked.len() < 4 && self.rng.random_bool(0.3) => {
                    self.ask(at, client, world);
                }
                Some(_) => {}
            }
        }
    }

    fn connect(&mut self, at: usize, world: &mut World<Replica>) {
        let ids = world.ids();
        let node = ids[self.rng.random_range(0..ids.len())];
        let session = &mut self.sessions[at];
        let resume = session.identity;
        let connect = Connect { last_zxid_seen: session.last_zxid, timeout_ms: TIMEOUT_MS as i32, resume };
        session.heard = world.now();
        session.conversation = Some(world.request(node, Request::Connect(connect)));
    }

    fn ask(&mut self, at: usize, client: ClientId, world: &mut World<Replica>) {
        let floor = self.set;
        let requests = match self.rng.random_range(0..10) {
            0..3 => vec![(Asked::Set, set(REGISTER, "v"))],
            3 => vec![(Asked::Create, create("/p-", CreateMode::PersistentSequential))],
            4 => vec![(Asked::Create, create("/e-", CreateMode::EphemeralSequential))],
            5..7 => vec![
                (Asked::Sync { floor }, Op::Sync { path: REGISTER.into() }),
                (Asked::Get { floor, watch: false }, get(REGISTER, false)),
            ],
            7 => vec![(Asked::Get { floor: 0, watch: true }, get(REGISTER, true))],
            8 => vec![(Asked::Get { floor: 0, watch: false }, get(REGISTER, false)), (Asked::Other, ping())],
            _ if self.rng.random_bool(0.1) => vec![(Asked::Other, Op::Write(Write::CloseSession))],
            _ => vec![(Asked::Other, create(REGISTER, CreateMode::Persistent))],
        };
        for (asked, op) in requests {
            self.sessions[at].ask(world, client, asked, op);
        }
    }

    fn listen(&mut self, world: &mut World<Replica>) {
        for replied in world.take_replies() {
            let Some(at) = self.sessions.iter().position(|session| session.conversation == Some(replied.client)) else {
                continue;
            };
            let session = &mut self.sessions[at];
            session.heard = world.now();
            match replied.reply {
                Reply::Connected { session: id, password, .. } => {
                    if let Some(identity) = session.identity {
                        assert_eq!(identity, (id, password), "another session than the one that was asked for");
                    }
                    session.identity = Some((id, password));
                    session.connected = true;
                    if session.watching.is_some() {
                        let data = vec![REGISTER.to_owned()];
                        let watches = SetWatches { relative_zxid: session.last_zxid, data, ..SetWatches::default() };
                        session.ask(world, replied.client, Asked::Other, Op::Local(Local::SetWatches(watches)));
                    }
                }
                Reply::Expired => {
                    let alive = session
                        .written
                        .filter(|_| !session.closing)
                        .map(|sent| sent + Duration::from_millis(TIMEOUT_MS.into()));
                    assert!(alive <= Some(world.now()), "expired early: alive until {alive:?}, now {:?}", world.now());
                    *session = Session::default();
                }
                Reply::Close => session.hung_up(),
                Reply::Event { kind: EventKind::DataChanged, path } if path == REGISTER => {
                    assert!(session.watching.take().is_some(), "an event that no watch waits for");
                }
                Reply::Answer { xid, zxid, result } => {
                    self.answers += 1;
                    self.answered(at, xid, zxid, result);
                }
                other => panic!("{other:?} is no answer to anything"),
            }
        }
    }

    fn answered(&mut self, at: usize, xid: i32, zxid: i64, result: Result<Answer, ErrorCode>) {
        let session = &mut self.sessions[at];
        let (expected, asked) = session.asked.pop_front().expect("an answer without a question");
        assert_eq!(xid, expected, "answers come in order");
        assert!(zxid >= session.last_zxid, "{zxid:#x} is answered after {:#x}", session.last_zxid);
        session.last_zxid = zxid;
        let sent = session.sent.remove(&xid);
        match (asked, result) {
            (Asked::Set, Ok(Answer::Stat(stat))) => {
                assert_eq!(stat.mzxid, zxid);
                self.set = self.set.max(zxid);
                session.written = sent;
            }
            (Asked::Create, Ok(Answer::Path(path))) => {
                if path.starts_with("/p-") {
                    self.created.insert(path);
                }
                session.written = sent;
            }
            (Asked::Sync { floor }, Ok(Answer::Path(_))) => assert!(zxid >= floor, "a sync in the past"),
            (Asked::Get { floor, watch }, Ok(Answer::Data(_, stat))) => {
                assert!(stat.mzxid >= floor, "read {:#x} behind a sync, but {floor:#x} was answered", stat.mzxid);
                if let Some(seen) = session.watching {
                    assert_eq!(stat.mzxid, seen, "a change was read before its event arrived");
                }
                if watch {
                    session.watching = Some(stat.mzxid);
                }
            }
            (Asked::Get { floor, .. }, Err(ErrorCode::NoNode)) => assert_eq!(floor, 0, "the register is gone"),
            (Asked::Set, Err(ErrorCode::NoNode)) | (Asked::Other, _) => {}
            (_, Err(ErrorCode::SessionExpired)) => {}
            (asked, result) => panic!("{asked:?} is answered by {result:?}"),
        }
    }
}

impl Session {
    fn ask(&mut self, world: &mut World<Replica>, client: ClientId, asked: Asked, op: Op) {
        self.next_xid += 1;
        if self.asked.is_empty() {
            self.heard = world.now();
        }
        self.asked.push_back((self.next_xid, asked));
        self.sent.insert(self.next_xid, world.now());
        self.closing |= op == Op::Write(Write::CloseSession);
        world.request_as(client, Request::Op { xid: self.next_xid, op });
    }

    fn hung_up(&mut self) {
        self.conversation = None;
        self.connected = false;
        self.asked.clear();
        self.sent.clear();
    }
}

/// Chaos, then calm: what was answered is on every server, and all servers are alike.
fn scenario(seed: u64, nodes: u64, bugs: &[Bug]) -> Result<usize, Violation> {
    let mut world = world(seed, nodes, bugs);
    let mut clients = Clients::new(seed);
    let mut rounds = 0;
    world.chaos(Chaos::until(CHAOS));
    while world.now() < CHAOS {
        clients.act(&mut world);
        world.run_for(STEP)?;
        clients.listen(&mut world);
        rounds += 1;
        // A digest of everything costs more than a step: now and then is often enough, since what differs stays so.
        if rounds % 20 == 0
            && let Some((one, other)) = difference(&world)
        {
            return broken(world, &format!("{one} and {other} have applied the same and differ"));
        }
    }
    world.calm();
    let end = world.now() + Duration::from_secs(20);
    let set = clients.set;
    while clients.set == set && world.now() < end {
        clients.act(&mut world);
        world.run_for(STEP)?;
        clients.listen(&mut world);
    }
    if clients.set == set {
        return broken(world, "liveness: no set was answered in the calm");
    }
    // The clients fall silent: their sessions end, and their ephemeral nodes with them.
    world.run_for(Duration::from_secs(20))?;
    if let Some((one, other)) = difference(&world) {
        return broken(world, &format!("{one} and {other} differ in the end"));
    }
    for (id, replica) in world.live() {
        let tree = &replica.service().state().tree;
        if tree.ephemeral_count() > 0 || !replica.service().state().sessions.is_empty() {
            return broken(world, &format!("{id} keeps sessions of clients that fell silent"));
        }
        if let Some(lost) = clients.created.iter().find(|path| tree.stat(path).is_none()) {
            let lost = format!("{id} lost {lost}");
            return broken(world, &lost);
        }
    }
    Ok(clients.answers)
}

fn broken(mut world: World<Replica>, what: &str) -> Result<usize, Violation> {
    world.run_until(Duration::ZERO, what, |_| false).map(|()| 0)
}

#[test]
fn three_servers_keep_their_promises_under_all_faults() {
    for_each_seed(0..60, |seed| scenario(seed, 3, &[]).map(drop));
}

#[test]
fn five_servers_keep_their_promises_under_all_faults() {
    for_each_seed(1_000..1_030, |seed| scenario(seed, 5, &[]).map(drop));
}

#[test]
fn chaos_leaves_enough_time_for_work() {
    let answers = scenario(1, 3, &[]).expect("seed 1 is one of the seeds above");
    assert!(answers > 300, "only {answers} answers");
}

#[test]
fn ephemerals_kept_by_a_replayed_close_are_found() {
    let violation = expect_violation(0..60, |seed| scenario(seed, 3, &[Bug::ZabEphemeralReplay]).map(drop));
    assert!(violation.what.contains("differ") || violation.what.contains("keeps"), "{violation}");
}
