//! The agent's side of the line: a cluster of one node, to which is done what control says.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use async_trait::async_trait;
use grudge_workloads::client::{Client, Connect, Role, Target};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncBufRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, spawn_blocking};
use tokio::time::{sleep, timeout};

use super::camp::Camp;
use super::interfaces;
use super::words::{Answer, Beginning, Hello, News, Order, Request, Said, VERSION};
use crate::client::lines;
use crate::cluster::Cluster;
use crate::cluster::tail::Tail;
use crate::doctor;
use crate::fault::{Active, FaultError, FaultKind, Receipt};
use crate::net::{Prober, REPEAT, Spared};
use crate::system::Need;

/// Who has not heard of control for so long is alone.
const ALONE: Duration = Duration::from_secs(60);
/// Between two looks at what the node has written.
const LOOK: Duration = Duration::from_millis(10);
/// For how long a round of datagrams is sent that nobody ends.
const ROUND: Duration = Duration::from_secs(30);

/// Serves until the input ends, or nothing is heard for a minute.
///
/// # Errors
/// What comes in are no orders, or nobody is there any more who reads the answers.
pub async fn serve(
    camp: Camp,
    spared: Option<&str>,
    mut input: impl AsyncBufRead + Unpin,
    output: impl AsyncWrite + Unpin + Send + 'static,
) -> Result<()> {
    let spared = spared.map(str::parse).transpose().map_err(|why: String| anyhow!(why))?;
    let (said, sayings) = mpsc::unbounded_channel();
    let mut saying = tokio::spawn(say(sayings, output));
    said.send(Said::Hello(hello(&camp)?)).ok();
    let post =
        Arc::new(Post { camp, spared, said, node: OnceLock::new(), prober: OnceLock::new(), round: Mutex::default() });
    loop {
        let request: Request = tokio::select! {
            request = timeout(ALONE, lines::next(&mut input)) => match request {
                Ok(Ok(Some(request))) => request,
                Ok(Ok(None)) => return Ok(()),
                Ok(Err(error)) => return Err(error).context("control cannot be understood"),
                Err(_) => bail!("nothing was heard of control for {ALONE:?}"),
            },
            ended = &mut saying => return ended?.context("control cannot be answered"),
        };
        let post = Arc::clone(&post);
        tokio::spawn(async move {
            let answer = post.obey(request.order).await.unwrap_or_else(|error| Answer::Failed(format!("{error:#}")));
            post.say(Said::Answer { id: request.id, answer });
        });
    }
}

async fn say(mut sayings: mpsc::UnboundedReceiver<Said>, mut output: impl AsyncWrite + Unpin) -> io::Result<()> {
    while let Some(said) = sayings.recv().await {
        output.write_all(&lines::written(&said)?).await?;
        output.flush().await?;
    }
    Ok(())
}

fn hello(camp: &Camp) -> Result<Hello> {
    let kernel = nix::sys::utsname::uname().context("the kernel does not say what it is")?;
    Ok(Hello {
        version: VERSION,
        program: std::env::current_exe().context("this program cannot be found")?,
        folder: camp.folder.clone(),
        kernel: kernel.release().to_string_lossy().into_owned(),
        addresses: interfaces::all().context("the addresses of this host cannot be listed")?,
    })
}

/// The agent, for all the orders that it carries out at once.
struct Post {
    camp: Camp,
    spared: Option<Spared>,
    said: mpsc::UnboundedSender<Said>,
    node: OnceLock<Node>,
    prober: OnceLock<Arc<Prober>>,
    /// The round of datagrams that is under way.
    round: Mutex<Option<AbortHandle>>,
}

/// Nobody asks the node anything from here: that is control's to do.
struct Unasked;

#[async_trait]
impl Connect for Unasked {
    async fn connect(&self, _target: &Target) -> Result<Box<dyn Client>, String> {
        Err("an agent has no clients".to_owned())
    }

    async fn role(&self, _target: &Target) -> Result<Role, String> {
        Err("an agent asks nobody for a role".to_owned())
    }
}

/// The node, and what was told of it.
struct Node {
    cluster: Cluster,
    told: Arc<Mutex<Told>>,
}

/// How far the node's files and crashes were told.
struct Told {
    log: Tail,
    events: Tail,
    crashes: usize,
}

impl Post {
    async fn obey(self: &Arc<Post>, order: Order) -> Result<Answer> {
        match order {
            Order::Ping => Ok(Answer::Done),
            Order::Examine { faults, needs } => {
                let gate = self.camp.gate.clone().map(drop);
                let examined = spawn_blocking(move || Answer::Examined {
                    unable: faults
                        .into_iter()
                        .filter_map(|kind| Some((kind, unable(kind, &gate)?)))
                        .collect::<BTreeMap<_, _>>(),
                    missing: needs.into_iter().filter(|need| !need.is_met()).collect::<Vec<Need>>(),
                });
                Ok(examined.await?)
            }
            Order::Start(beginning) => self.start(*beginning).await,
            Order::Runs => Ok(Answer::Runs(self.node()?.cluster.who_runs().await == [true])),
            Order::Fault { fault, seed } => {
                let started = self.node()?.cluster.start(&fault, &mut ChaCha8Rng::seed_from_u64(seed)).await;
                Ok(match started {
                    Ok(Active { id, receipt, .. }) => Answer::InForce { id, receipt },
                    Err(error) => Answer::NoFault(error),
                })
            }
            Order::Stop { id } => {
                let stopped = self.node()?.cluster.stop_number(id).await.context("that fault was stopped already")?;
                Ok(over(stopped.map(|receipt| vec![receipt])))
            }
            Order::HealAll => Ok(over(self.node()?.cluster.heal_all().await)),
            Order::Listen { at } => self.listen(at),
            Order::Shut { deaf_to, mute_to } => {
                let gate = self.camp.gate.clone().map_err(|why| anyhow!(why))?;
                let spared = self.spared;
                spawn_blocking(move || gate.shut(&deaf_to, &mute_to, spared)).await??;
                Ok(Answer::Done)
            }
            Order::Probe { round, to } => self.probe(round, to),
            Order::Down => {
                let node = self.node()?;
                node.cluster.end().await;
                self.tell(node);
                Ok(Answer::Done)
            }
        }
    }

    fn say(&self, said: Said) {
        // Without anybody who listens the agent is at its end.
        drop(self.said.send(said));
    }

    fn node(&self) -> Result<&Node> {
        self.node.get().context("no node was started here")
    }

    async fn start(self: &Arc<Post>, beginning: Beginning) -> Result<Answer> {
        let Beginning { start, faults, patience } = beginning;
        let told = Told {
            log: Tail::from_its_start(start.log.clone()),
            events: Tail::from_its_start(start.events.clone()),
            crashes: 0,
        };
        let cluster = Cluster::alone(start, &faults, Arc::new(Unasked), patience).await?;
        let node = Node { cluster, told: Arc::new(Mutex::new(told)) };
        if self.node.set(node).is_err() {
            bail!("a node was started here already");
        }
        let post = Arc::clone(self);
        tokio::spawn(async move {
            while let Ok(node) = post.node() {
                post.tell(node);
                sleep(LOOK).await;
            }
        });
        Ok(Answer::Done)
    }

    /// Tells what is new of the node. What it wrote before it crashed comes before the crash.
    fn tell(&self, node: &Node) {
        let told = &mut *node.told.lock().unwrap_or_else(PoisonError::into_inner);
        let crashes = node.cluster.crashes();
        for (tail, news) in [(&mut told.log, News::Log as fn(String) -> News), (&mut told.events, News::Events)] {
            loop {
                let lines = tail.new_lines();
                if lines.is_empty() {
                    break;
                }
                self.say(Said::News(news(lines)));
            }
        }
        for crash in &crashes[told.crashes..] {
            self.say(Said::News(News::Crash(crash.clone())));
        }
        told.crashes = crashes.len();
    }

    fn listen(&self, at: Ipv4Addr) -> Result<Answer> {
        let socket = std::net::UdpSocket::bind((at, 0)).with_context(|| format!("no socket can be opened at {at}"))?;
        socket.set_nonblocking(true)?;
        let prober = Prober::new(socket)?;
        let port = prober.port()?;
        if self.prober.set(Arc::new(prober)).is_err() {
            bail!("a socket was opened here already");
        }
        Ok(Answer::Listens(port))
    }

    /// Begins a round; the one before is over.
    fn probe(self: &Arc<Post>, round: u64, to: Vec<((usize, usize), SocketAddr)>) -> Result<Answer> {
        let prober = Arc::clone(self.prober.get().context("no socket was opened here")?);
        let post = Arc::clone(self);
        let task = tokio::spawn(async move {
            let tell = |link| post.say(Said::News(News::Heard { round, link }));
            let send = async {
                loop {
                    for (link, address) in &to {
                        prober.send(round, *link, *address).await;
                    }
                    sleep(REPEAT).await;
                }
            };
            drop(timeout(ROUND, async { tokio::join!(prober.listen(round, tell), send) }).await);
        });
        let before = self.round.lock().unwrap_or_else(PoisonError::into_inner).replace(task.abort_handle());
        if let Some(before) = before {
            before.abort();
        }
        Ok(Answer::Done)
    }
}

fn over(ended: Result<Vec<Receipt>, FaultError>) -> Answer {
    match ended {
        Ok(receipts) => Answer::Over(receipts),
        Err(error) => Answer::NoFault(error),
    }
}

/// Why faults of a kind cannot be made here, if they cannot: each is tried.
fn unable(kind: FaultKind, gate: &Result<(), String>) -> Option<String> {
    match kind {
        FaultKind::Partition => gate.clone().err(),
        kind => doctor::unable(kind),
    }
}
