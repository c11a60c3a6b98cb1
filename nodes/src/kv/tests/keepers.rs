//! Clients who keep leases alive, and what they may rely on.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::cluster::{Work, get, value};
use crate::kv::Replica;
use crate::kv::api::{PutRequest, Request, Response};
use crate::replica::{ClientId, NodeId, Time};
use crate::sim::{Violation, World};

/// The shortest there is.
const TTL: Duration = Duration::from_secs(2);
/// So long after a keep-alive was answered the next one is asked.
const PAUSE: Duration = Duration::from_millis(300);
/// A client whose answer has not come after this long asks again, maybe elsewhere.
const PATIENCE: Duration = Duration::from_millis(500);

/// Each has one lease with one key, keeps it alive, and looks whether the key is there.
#[derive(Debug)]
pub(super) struct Keepers {
    rng: ChaCha8Rng,
    nodes: u64,
    keepers: Vec<Keeper>,
    calls: BTreeMap<ClientId, Call>,
    kept_alive: usize,
    looked: usize,
    broken: Option<String>,
}

#[derive(Debug, Default)]
struct Keeper {
    stage: Stage,
    lease: i64,
    /// The key is certainly there until then.
    safe_until: Time,
    rests_until: Time,
    busy: Option<ClientId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Without,
    Granted,
    Holds,
}

#[derive(Debug)]
struct Call {
    keeper: usize,
    lease: i64,
    began: Time,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Grant,
    Put,
    KeepAlive,
    Look,
}

impl Keepers {
    pub(super) fn new(seed: u64, nodes: u64, keepers: usize) -> Self {
        Keepers {
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x001e_a5e5),
            nodes,
            keepers: (0..keepers).map(|_| Keeper::default()).collect(),
            calls: BTreeMap::new(),
            kept_alive: 0,
            looked: 0,
            broken: None,
        }
    }

    fn call(&mut self, world: &mut World<Replica>, at: usize) {
        let keeper = &mut self.keepers[at];
        let key = key(at);
        let (what, request) = match keeper.stage {
            Stage::Without => (What::Grant, Request::LeaseGrant { id: 0, ttl: 0 }),
            Stage::Granted => {
                (What::Put, Request::Put(PutRequest { lease: keeper.lease, ..PutRequest::new(key, "mine") }))
            }
            Stage::Holds if self.rng.random_bool(0.5) => (What::Look, get(&key)),
            Stage::Holds => (What::KeepAlive, Request::LeaseKeepAlive { id: keeper.lease }),
        };
        let (lease, began) = (keeper.lease, world.now());
        let client = world.request(NodeId(self.rng.random_range(1..=self.nodes)), request);
        self.keepers[at].busy = Some(client);
        self.calls.insert(client, Call { keeper: at, lease, began, what });
    }

    fn take_replies(&mut self, world: &mut World<Replica>) {
        for replied in world.take_replies() {
            let Some(call) = self.calls.remove(&replied.client) else { continue };
            let keeper = &mut self.keepers[call.keeper];
            if keeper.busy != Some(replied.client) {
                continue;
            }
            keeper.busy = None;
            let Ok(answer) = replied.reply else { continue };
            match (call.what, &answer.response) {
                (What::Grant, Response::LeaseGrant { id, .. }) => {
                    (keeper.stage, keeper.lease, keeper.safe_until) = (Stage::Granted, *id, Time::ZERO);
                }
                (What::Put, _) => keeper.stage = Stage::Holds,
                (What::KeepAlive, Response::LeaseKeepAlive { ttl: 0, .. }) => {
                    if replied.at < keeper.safe_until {
                        self.broken.get_or_insert(format!("lease {} has ended before its time", call.lease));
                    }
                    *keeper = Keeper::default();
                }
                (What::KeepAlive, _) => {
                    // It was done at some time after it was asked.
                    keeper.safe_until = keeper.safe_until.max(call.began + TTL);
                    keeper.rests_until = replied.at + PAUSE;
                    self.kept_alive += 1;
                }
                (What::Look, _) if value(&answer).is_some() => self.looked += 1,
                (What::Look, _) => {
                    if replied.at < keeper.safe_until {
                        self.broken.get_or_insert(format!("the key of lease {} is gone before its time", call.lease));
                    }
                    *keeper = Keeper::default();
                }
                (What::Grant, other) => panic!("a grant was answered by {other:?}"),
            }
        }
    }
}

impl Work for Keepers {
    fn run_until(&mut self, world: &mut World<Replica>, end: Time) -> Result<(), Violation> {
        while world.now() < end {
            for at in 0..self.keepers.len() {
                let keeper = &mut self.keepers[at];
                if let Some(client) = keeper.busy
                    && self.calls.get(&client).is_none_or(|call| call.began + PATIENCE < world.now())
                {
                    keeper.busy = None;
                }
                if keeper.busy.is_none() && keeper.rests_until <= world.now() && self.rng.random_bool(0.2) {
                    self.call(world, at);
                }
            }
            world.run_for(Duration::from_millis(5))?;
            self.take_replies(world);
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        self.broken.clone().map_or(Ok(()), Err)
    }

    fn done(&self) -> usize {
        self.kept_alive.min(self.looked)
    }
}

fn key(keeper: usize) -> String {
    format!("kept/{keeper}")
}
