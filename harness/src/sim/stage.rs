//! A run, from the start of the world to its judgement: who acts when.
//!
//! One turn: the nemesis does what is due, free workers are given work, the world runs until something is news to
//! somebody, and who is concerned is told. The run's time begins when the cluster serves, as on real processes.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use grudge_checkers::history::Kind;
use grudge_nodes::command::NodeArgs;
use grudge_nodes::replica::{Event, NodeId, Time};
use grudge_nodes::sim::{Death, Options, World};
use grudge_workloads::generator::Generator;
use grudge_workloads::operation::Invocation;
use grudge_workloads::registry;
use grudge_workloads::workload::Judgement;
use serde_json::Value;

use super::Simulated;
use super::client::{Life, Patience};
use super::contain::contain;
use super::judge::replicas;
use super::ledger::Ledger;
use super::protocol::Protocol;
use super::siege::Siege;
use super::workers::Workers;
use crate::exit::Failure;
use crate::nemesis::{Action, Agenda, Do, Landmarks, Leaders, Toll, Wait};
use crate::runner::core::{Core, Row, Straggler};
use crate::runner::watchdog::Watchdog;
use crate::runner::{Ending, WIND_DOWN, judge};
use crate::spec::{self, Spec};

/// How long a cluster may take until every node serves; then the run begins anyway, and the clients will tell.
const PATIENCE: Duration = Duration::from_secs(30);

/// Plays a test with replicas of that protocol.
///
/// # Errors
/// The test makes no sense in simulation, or the harness failed.
pub(super) fn play<P: Protocol>(spec: &Spec, node: &NodeArgs) -> Result<Simulated, Failure> {
    let workload = registry::find(&spec.workload, P::SPEAKS, &spec.options())
        .map_err(|error| Failure::BadArguments(error.to_string()))?;
    let life = P::hire(workload.name)
        .ok_or_else(|| Failure::BadArguments(format!("the workload `{}` has no simulated client", workload.name)))?;
    let (mut main, mut liveness) = (workload.main, workload.liveness);
    let watchdog = if spec.fail_fast { Watchdog::new((workload.watch)()) } else { Watchdog::default() };
    let mut stage: Stage<P> = Stage::new(spec, node, life, watchdog);
    stage.come_up();
    stage.main(&mut *main, spec::std(spec.time))?;
    let stragglers = stage.liveness(&mut *liveness, spec::std(spec.recovery))?;
    Ok(stage.judge(spec, stragglers, workload.judge))
}

struct Stage<P: Protocol> {
    world: World<P>,
    core: Core<Ledger>,
    workers: Workers<P>,
    agenda: Agenda,
    siege: Siege,
    /// What the agenda waits for.
    wait: Wait,
    /// Whether something has happened for which it does not say that it waits.
    stirred: bool,
    /// Whether it has nothing more to do.
    over: bool,
    landmarks: Landmarks,
    toll: Toll,
    /// When the run began.
    start: Time,
}

impl<P: Protocol> Stage<P> {
    fn new(spec: &Spec, node: &NodeArgs, life: Life<P>, watchdog: Watchdog) -> Self {
        let siege = Siege::new(spec.nodes, spec.seed);
        let args = node.clone();
        let configure = move |id: NodeId, _life: u64| P::config(&args, id);
        let world = contain(|| World::new(spec.seed, configure, Options::fast(spec.nodes as u64)));
        let patience = Patience { timeout: spec::std(spec.timeout), ttl: spec::std(spec.ttl) };
        Stage {
            core: Core::new(Ledger::default(), watchdog, siege.names(), spec.concurrency),
            workers: Workers::new(life, patience, world.ids(), siege.names(), spec.concurrency),
            agenda: spec.agenda(Some(node.protocol), Leaders::Known),
            siege,
            wait: Wait::default(),
            stirred: true,
            over: false,
            landmarks: Landmarks::default(),
            toll: Toll::default(),
            start: Time::ZERO,
            world,
        }
    }

    /// Waits until every node serves, as a real run does; its time begins then.
    fn come_up(&mut self) {
        let mut serving: BTreeMap<NodeId, bool> = self.world.ids().into_iter().map(|id| (id, false)).collect();
        while self.world.now() < PATIENCE && !serving.values().all(|serves| *serves) {
            self.pass(PATIENCE);
            for (_, node, event) in self.world.take_notices() {
                serving.insert(node, matches!(event, Event::Leading { .. } | Event::Following { .. }));
            }
        }
        self.start = self.world.now();
    }

    /// Lets the world run until there is news, no longer than until then. What it finds broken it keeps, and goes on.
    fn pass(&mut self, limit: Time) {
        let _kept = contain(|| self.world.run_until_news(limit));
    }

    fn now(&self) -> Duration {
        self.world.now() - self.start
    }

    /// Clients and faults until the generator has nothing more for anybody and everything is healed.
    fn main(&mut self, generator: &mut dyn Generator<Invocation>, time: Duration) -> Result<()> {
        let end = time + WIND_DOWN;
        let mut ending = false;
        self.core.begin();
        while self.now() < end {
            let caught = self.core.caught().is_some();
            if !ending && (caught || self.now() >= time) {
                self.agenda.end();
                (ending, self.stirred) = (true, true);
            }
            self.rage(generator)?;
            let wake = if caught { end } else { self.dispatch(generator, end)? };
            if ending && self.over && (caught || self.core.finished()) {
                break;
            }
            self.advance(if ending { wake } else { wake.min(time) }, generator)?;
        }
        self.await_calls(end, generator)?;
        contain(|| self.world.calm());
        Ok(())
    }

    /// Everybody must succeed again. Answers who did not; nobody is asked if a replica is dead for good, or the run was cut
    /// short.
    fn liveness(
        &mut self,
        generator: &mut dyn Generator<Invocation>,
        recovery: Duration,
    ) -> Result<Option<Vec<Straggler>>> {
        if self.world.ids().into_iter().any(|node| self.world.death(node) == Some(Death::Broken)) {
            return Ok(None);
        }
        let end = self.now() + recovery;
        self.core.begin();
        while self.now() < end && self.core.caught().is_none() {
            let wake = self.dispatch(generator, end)?;
            if self.core.finished() {
                break;
            }
            self.advance(wake, generator)?;
        }
        let stragglers = self.core.stragglers();
        self.await_calls(end, generator)?;
        Ok(Some(stragglers).filter(|_| self.core.caught().is_none()))
    }

    /// Lets calls that are on their way come to their end.
    fn await_calls(&mut self, end: Duration, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        while self.core.busy() {
            self.advance(end.max(self.now()) + PATIENCE, generator)?;
        }
        Ok(())
    }

    /// Hands out work. Answers when to ask again at the latest.
    fn dispatch(&mut self, generator: &mut dyn Generator<Invocation>, end: Duration) -> Result<Duration> {
        let round = self.core.dispatch(generator, end)?;
        for (worker, invocation) in round.calls {
            self.workers.start(&mut self.world, worker, invocation);
        }
        self.complete(generator)?;
        Ok(round.wake)
    }

    /// Lets time pass until there is news for somebody, no longer than until then.
    fn advance(&mut self, until: Duration, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        let until = self.wait.until.map_or(until, |wait| until.min(wait));
        let limit = (self.start + until).min(self.workers.wake());
        self.pass(limit);
        let now = self.now();
        self.core.journal_mut().set(now);
        for (_, node, event) in self.world.take_notices() {
            self.notice(node, &event);
        }
        for arrival in self.world.take_arrivals() {
            self.workers.arrive(&mut self.world, arrival);
        }
        self.workers.tick(&mut self.world);
        self.complete(generator)
    }

    /// Writes down the calls that have ended.
    fn complete(&mut self, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        for completion in self.workers.take_completions() {
            if self.core.complete(completion, generator)? == Kind::Ok {
                self.landmarks.acknowledged += 1;
            }
        }
        Ok(())
    }

    fn notice(&mut self, node: NodeId, event: &Event) {
        match event {
            Event::Leading { .. } => {
                self.landmarks.leaders += 1;
                self.stirred = true;
            }
            Event::Reached(_) => {
                if let Some(step) = contain(|| self.siege.halted(&mut self.world, node)) {
                    self.agenda.reached(step, &node.to_string());
                    self.stirred = true;
                }
            }
            _ => {}
        }
    }

    /// Lets the nemesis do what is due.
    fn rage(&mut self, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        let now = self.now();
        let due = self.wait.until.is_some_and(|until| until <= now)
            || self.wait.acknowledged.is_some_and(|count| count <= self.landmarks.acknowledged);
        if !due && !self.stirred {
            return Ok(());
        }
        self.stirred = false;
        loop {
            match self.agenda.next(now, &self.landmarks) {
                Do::Act(action) => self.act(action, generator)?,
                Do::Wait(wait) => {
                    (self.wait, self.over) = (wait, false);
                    return Ok(());
                }
                Do::Done => {
                    (self.wait, self.over) = (Wait::default(), true);
                    return Ok(());
                }
            }
        }
    }

    fn act(&mut self, action: Action, generator: &mut dyn Generator<Invocation>) -> Result<()> {
        match action {
            Action::Arm { step, trap } => self.siege.arm(&mut self.world, step, trap),
            // A test that waits for one is refused before.
            Action::Look { sign, .. } => tracing::warn!("nobody sees in simulation: {sign}"),
            Action::Start { step, fault, held } => {
                let f = format!("start-{}", fault.kind());
                self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None, generator)?;
                match contain(|| self.siege.start(&mut self.world, step, &fault, held.as_deref())) {
                    Ok((exact, receipt)) => {
                        self.toll.in_force += 1;
                        let time = self.write(Kind::Ok, &f, serde_json::to_value(&receipt)?, None, generator)?;
                        self.agenda.started(step, time, Ok(&exact));
                    }
                    Err(why) => {
                        let time = self.write(Kind::Fail, &f, Value::Null, Some(why.clone()), generator)?;
                        self.agenda.started(step, time, Err(&why));
                    }
                }
                if held.is_some() {
                    contain(|| self.siege.disarm(&mut self.world));
                }
            }
            Action::Stop { step } => {
                let (fault, receipt) = contain(|| self.siege.stop(&mut self.world, step));
                let f = format!("stop-{}", fault.kind());
                self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None, generator)?;
                let time = self.write(Kind::Ok, &f, serde_json::to_value(&receipt)?, None, generator)?;
                self.agenda.stopped(step, time);
            }
            Action::GiveUp { fault, armed, why } => {
                if armed {
                    contain(|| self.siege.disarm(&mut self.world));
                }
                let f = format!("start-{}", fault.kind());
                self.write(Kind::Invoke, &f, Value::String(fault.to_string()), None, generator)?;
                self.write(Kind::Fail, &f, Value::Null, Some(why), generator)?;
            }
        }
        Ok(())
    }

    fn write(
        &mut self,
        kind: Kind,
        f: &str,
        value: Value,
        error: Option<String>,
        generator: &mut dyn Generator<Invocation>,
    ) -> Result<Duration> {
        self.core.nemesis(Row { kind, f: f.to_owned(), value, error }, Some(generator))
    }

    fn judge(
        self,
        spec: &Spec,
        stragglers: Option<Vec<Straggler>>,
        checkers: fn(&grudge_checkers::history::History) -> Vec<Judgement>,
    ) -> Simulated {
        let wanted = !self.agenda.is_empty();
        let schedule = self.agenda.schedule().clone();
        let simulated = self.world.now();
        let violations = self.world.violations().to_vec();
        let caught = self.core.caught().cloned();
        let history = self.core.into_journal().into_history();
        let ending = Ending { toll: self.toll, crashes: Vec::new(), stragglers, interrupted: false, caught };
        let mut judgements = checkers(&history);
        judgements.push(replicas(&violations));
        judgements.extend(judge::harness(&history, &ending, wanted, spec::std(spec.recovery)));
        Simulated { history, judgements, schedule, violations, simulated, wall: Duration::ZERO }
    }
}
