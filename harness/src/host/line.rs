//! Control's side of the line to an agent.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::Hello;
use super::words::{Answer, News, Order, Request, Said, VERSION};
use crate::client::lines;

/// How long an agent has for its hello: it settles first, and clears up what another has left.
const HELLO: Duration = Duration::from_secs(20);
/// Between two questions whether it is there.
const BEAT: Duration = Duration::from_secs(1);
/// An agent of which nothing was heard for so long is lost. A host may be very busy.
const SILENCE: Duration = Duration::from_secs(15);
/// How long an agent has to clear up after its line has ended.
const FAREWELL: Duration = Duration::from_secs(20);

/// Why a host does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum HostError {
    /// Its agent is not there, or not there any more.
    #[error("host {host} is lost: {why}")]
    Lost {
        /// What it is called.
        host: String,
        /// What was seen.
        why: String,
    },
    /// It says that it cannot do it.
    #[error("host {host}: {said}")]
    Failed {
        /// What it is called.
        host: String,
        /// What it said.
        said: String,
    },
}

/// One agent. It ends when the last of its handles is dropped, or with [`Agent::dismiss`].
#[derive(Clone, Debug)]
pub struct Agent {
    /// Until it is dismissed.
    orders: Arc<Mutex<Option<mpsc::UnboundedSender<Request>>>>,
    ear: Arc<Ear>,
}

/// What is heard of an agent.
#[derive(Debug)]
struct Ear {
    host: String,
    next: AtomicU64,
    waiting: Mutex<BTreeMap<u64, oneshot::Sender<Answer>>>,
    /// Until it is listened to.
    news: Mutex<Option<mpsc::UnboundedReceiver<News>>>,
    heard: Mutex<Instant>,
    /// Why it is lost, once it is.
    lost: watch::Sender<Option<String>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Agent {
    /// Takes an agent that was started, by its standard input and output; `host` is how people call where it is.
    ///
    /// # Errors
    /// It does not say hello, or not as this program does.
    pub async fn over(
        host: &str,
        orders: impl AsyncWrite + Send + Unpin + 'static,
        answers: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<(Agent, Hello), HostError> {
        let mut answers = BufReader::new(answers);
        let hello = hello(host, &mut answers).await?;
        let (tell, told) = mpsc::unbounded_channel();
        let (report, news) = mpsc::unbounded_channel();
        let ear = Arc::new(Ear {
            host: host.to_owned(),
            next: AtomicU64::new(0),
            waiting: Mutex::default(),
            news: Mutex::new(Some(news)),
            heard: Mutex::new(Instant::now()),
            lost: watch::Sender::new(None),
        });
        tokio::spawn(speak(told, orders, Arc::clone(&ear)));
        tokio::spawn(listen(answers, report, Arc::clone(&ear)));
        let agent = Agent { orders: Arc::new(Mutex::new(Some(tell))), ear };
        tokio::spawn(beat(Arc::downgrade(&agent.orders), Arc::clone(&agent.ear)));
        Ok((agent, hello))
    }

    /// What people call its host.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.ear.host
    }

    /// Waits until it is lost, and says why.
    pub(super) async fn lost(&self) -> HostError {
        let mut lost = self.ear.lost.subscribe();
        let why = lost.wait_for(Option::is_some).await.map(|why| why.clone());
        self.ear.error(why.ok().flatten())
    }

    /// What it tells unasked. Only one can listen.
    pub(super) fn news(&self) -> mpsc::UnboundedReceiver<News> {
        locked(&self.ear.news).take().expect("one listens to an agent")
    }

    /// Has it do something, and waits for its answer.
    pub(super) async fn ask(&self, order: Order) -> Result<Answer, HostError> {
        let id = self.ear.next.fetch_add(1, Ordering::Relaxed);
        let (answer, answered) = oneshot::channel();
        locked(&self.ear.waiting).insert(id, answer);
        if let Some(orders) = locked(&self.orders).as_ref() {
            drop(orders.send(Request { id, order }));
        }
        // Whoever was lost in between has left nobody waiting but this one.
        if self.ear.lost.borrow().is_some() {
            locked(&self.ear.waiting).remove(&id);
        }
        match answered.await {
            Ok(Answer::Failed(said)) => Err(self.failed(said)),
            Ok(answer) => Ok(answer),
            Err(_) => Err(self.ear.error(self.ear.lost.borrow().clone())),
        }
    }

    /// The same, of what has nothing to answer.
    pub(super) async fn tell(&self, order: Order) -> Result<(), HostError> {
        match self.ask(order).await? {
            Answer::Done => Ok(()),
            other => Err(self.nonsense(&other)),
        }
    }

    pub(super) fn nonsense(&self, answer: &Answer) -> HostError {
        self.failed(format!("{answer:?}, which was not asked"))
    }

    fn failed(&self, said: String) -> HostError {
        HostError::Failed { host: self.host().to_owned(), said }
    }

    /// Lets it go, and waits until it has cleared up.
    pub(super) async fn dismiss(&self) {
        locked(&self.orders).take();
        if timeout(FAREWELL, self.lost()).await.is_err() {
            tracing::warn!("host {}: the agent does not end {FAREWELL:?} after its line", self.host());
        }
    }
}

impl Ear {
    fn error(&self, why: Option<String>) -> HostError {
        let why = why.unwrap_or_else(|| "its line has ended".to_owned());
        HostError::Lost { host: self.host.clone(), why }
    }

    /// From now on it is lost, for this reason unless there was one already.
    fn lose(&self, why: String) {
        self.lost.send_if_modified(|lost| lost.is_none() && lost.replace(why).is_none());
        locked(&self.waiting).clear();
    }
}

async fn hello(host: &str, answers: &mut BufReader<impl AsyncRead + Unpin>) -> Result<Hello, HostError> {
    let lost = |why: String| HostError::Lost { host: host.to_owned(), why };
    match timeout(HELLO, lines::next(answers)).await {
        Ok(Ok(Some(Said::Hello(hello)))) if hello.version == VERSION => Ok(hello),
        Ok(Ok(Some(Said::Hello(hello)))) => {
            Err(lost(format!("its agent speaks version {} and this program {VERSION}", hello.version)))
        }
        Ok(Ok(Some(_))) => Err(lost("its agent does not begin with a hello".to_owned())),
        Ok(Ok(None)) => Err(lost("its agent ended before it said hello".to_owned())),
        Ok(Err(error)) => Err(lost(error.to_string())),
        Err(_) => Err(lost(format!("its agent is silent for {HELLO:?}"))),
    }
}

async fn speak(mut orders: mpsc::UnboundedReceiver<Request>, mut line: impl AsyncWrite + Unpin, ear: Arc<Ear>) {
    while let Some(request) = orders.recv().await {
        let written = async {
            line.write_all(&lines::written(&request)?).await?;
            line.flush().await
        };
        let written: io::Result<()> = written.await;
        if let Err(error) = written {
            return ear.lose(format!("nothing can be told to its agent: {error}"));
        }
    }
    // Its end is the sign to end.
    drop(line.shutdown().await);
}

async fn listen(mut line: impl AsyncBufReadExt + Unpin, news: mpsc::UnboundedSender<News>, ear: Arc<Ear>) {
    loop {
        let said = lines::next(&mut line).await;
        *locked(&ear.heard) = Instant::now();
        match said {
            Ok(Some(Said::Answer { id, answer })) => {
                if let Some(waiting) = locked(&ear.waiting).remove(&id) {
                    drop(waiting.send(answer));
                }
            }
            // Without anybody who listens there is nothing to tell.
            Ok(Some(Said::News(item))) => drop(news.send(item)),
            Ok(Some(Said::Hello(_))) => return ear.lose("its agent has begun anew".to_owned()),
            Ok(None) => return ear.lose("its agent has ended, or the connection with it".to_owned()),
            Err(error) => return ear.lose(format!("its agent cannot be understood: {error}")),
        }
    }
}

/// Asks again and again whether it is there, until its line ends.
async fn beat(orders: std::sync::Weak<Mutex<Option<mpsc::UnboundedSender<Request>>>>, ear: Arc<Ear>) {
    loop {
        let Some(orders) = orders.upgrade() else { return };
        let id = ear.next.fetch_add(1, Ordering::Relaxed);
        let sent = locked(&orders).as_ref().map(|orders| orders.send(Request { id, order: Order::Ping }));
        if !matches!(sent, Some(Ok(()))) {
            return;
        }
        drop(orders);
        sleep(BEAT).await;
        let silent = locked(&ear.heard).elapsed();
        if silent > SILENCE {
            return ear.lose(format!("nothing was heard of its agent for {} s", silent.as_secs()));
        }
    }
}
