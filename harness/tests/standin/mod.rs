//! A stand-in for a real system: a process that says its role to whoever connects. The test binary itself is that
//! process when its first argument is `replica`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::exit;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use grudge::cluster::Spec;
use grudge::system::System;
use grudge_workloads::client::{Client, Connect, Role, Target};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;

const PORT: u16 = 7000;

/// How the stand-in behaves.
#[derive(Clone, Copy)]
pub enum Manner {
    /// n1 leads, the others follow.
    Serve,
    /// n2 dies at its start.
    Die,
    /// Nobody leads.
    Leaderless,
    /// n1 leads, the others follow, and every client costs a MiB that is never given back.
    Hungry,
    /// n1 leads, the others follow, and two threads of each use all the processor time that they get.
    Busy,
}

impl Manner {
    /// The manner that is called so.
    pub fn called(word: &str) -> Option<Manner> {
        [Manner::Serve, Manner::Die, Manner::Leaderless, Manner::Hungry, Manner::Busy]
            .into_iter()
            .find(|manner| manner.word() == word)
    }

    fn word(self) -> &'static str {
        match self {
            Manner::Serve => "serve",
            Manner::Die => "die",
            Manner::Leaderless => "leaderless",
            Manner::Hungry => "hungry",
            Manner::Busy => "busy",
        }
    }
}

/// The stand-in as a system that starts this very binary.
pub fn system(manner: Manner) -> System {
    let text = format!(
        r#"
        name = "standin"
        about = "says its role"
        protocol = "etcd"
        client-port = {PORT}
        command = ["{{grudge}}", "replica", "{{id}}", "{{ip}}", "{}"]
        "#,
        manner.word()
    );
    toml::from_str(&text).expect("the text above is a system")
}

/// A cluster of stand-ins.
pub fn spec(manner: Manner, nodes: usize, dir: &Path) -> Spec {
    Spec {
        system: system(manner),
        nodes,
        dir: dir.to_owned(),
        bugs: Vec::new(),
        seed: 1,
        env: BTreeMap::new(),
        connect: Arc::new(AskRole),
        faults: BTreeSet::new(),
        patience: Duration::from_secs(20),
    }
}

/// Asks a stand-in for its role.
pub struct AskRole;

#[async_trait]
impl Connect for AskRole {
    async fn connect(&self, _target: &Target) -> Result<Box<dyn Client>, String> {
        Err("a stand-in has no clients".to_owned())
    }

    async fn role(&self, target: &Target) -> Result<Role, String> {
        let mut stream = TcpStream::connect(target.address).await.map_err(|error| error.to_string())?;
        let mut word = String::new();
        stream.read_to_string(&mut word).await.map_err(|error| error.to_string())?;
        match word.as_str() {
            "leader" => Ok(Role::Leader),
            "follower" => Ok(Role::Follower),
            other => Err(format!("said `{other}`")),
        }
    }
}

/// The stand-in's process, or one that holds a thread of it or serves the layer under its data, if the arguments say
/// so.
pub fn replica_if_asked() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, command, folder] = arguments.as_slice()
        && command == "disk"
    {
        grudge::disk::serve(Path::new(folder)).expect("a layer can be mounted here");
        exit(0);
    }
    if let [_, command, thread] = arguments.as_slice()
        && command == "hold"
    {
        let thread = thread.parse().expect("the number of a thread");
        exit(i32::from(grudge::hold::hold(thread).is_err()));
    }
    let [_, command, id, ip, manner] = arguments.as_slice() else { return };
    if command != "replica" {
        return;
    }
    let manner = Manner::called(manner).expect("a manner of the stand-in");
    if matches!(manner, Manner::Die) && id == "2" {
        anstream::eprintln!("the disk is made of cheese");
        exit(3);
    }
    anstream::eprintln!("born");
    let ip: Ipv4Addr = ip.parse().expect("an address");
    let listener = TcpListener::bind((ip, PORT)).expect("a port of its own namespace is free");
    let role: &[u8] = if id == "1" && !matches!(manner, Manner::Leaderless) { b"leader" } else { b"follower" };
    if matches!(manner, Manner::Busy) {
        for _ in 0..2 {
            std::thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            });
        }
    }
    // A second thread, so that a pause has more than one to stop.
    let serving = std::thread::spawn(move || {
        let mut eaten = Vec::new();
        for client in listener.incoming().flatten() {
            drop((&client).write_all(role));
            if matches!(manner, Manner::Hungry) {
                eaten.push(vec![1_u8; 1 << 20]);
            }
        }
    });
    drop(serving.join());
    exit(0);
}
