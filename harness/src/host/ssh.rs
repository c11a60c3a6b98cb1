//! Hosts behind `ssh`: the system's own, as the user has configured it, one connection a host. It is to be used inside of
//! the sandbox, which ends the connections of a harness that is killed.

use std::io;
use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use openssh::{KnownHosts, OwningCommand, Session, SessionBuilder};
use tempfile::TempDir;
use thiserror::Error;
use tokio::process::Command;
use tokio::time::timeout;

use super::inventory::{Config, Inventory, LaidOut};

/// How long a host may take until it has said what it is. With what else it takes to end, a bad one is named within ten
/// seconds.
const REACH: Duration = Duration::from_secs(9);
/// How long of that a connection may take, so that `ssh` itself says what it waits for.
const CONNECT: Duration = Duration::from_secs(7);
/// How often a silent host is asked whether it lives; after three times without an answer it is lost.
const ALIVE: Duration = Duration::from_secs(5);

/// What a host says of itself. The end of the script fails if its user cannot do what root can.
const INTRODUCTION: &str = r#"
echo "grudge $(id -u) $(id -un) $(uname -m)"
echo "$SSH_CONNECTION"
test "$(id -u)" = 0 || sudo -n true
"#;

/// Why hosts cannot be used.
#[derive(Debug, Error)]
pub enum SshError {
    /// There is no `ssh`.
    #[error("ssh cannot be started: {0}; sudo apt-get install openssh-client")]
    NoSsh(io::Error),
    /// The configuration cannot be handed on.
    #[error("a temporary file cannot be written: {0}")]
    NoRoom(io::Error),
    /// `ssh` refuses the configuration.
    #[error("{0}")]
    Config(String),
    /// Some hosts are not as they should be; all are named.
    #[error("{}", told(.0))]
    Unreachable(Vec<(String, String)>),
}

fn told(hosts: &[(String, String)]) -> String {
    let lines: Vec<String> = hosts.iter().map(|(host, why)| format!("{host}: {why}")).collect();
    match lines.as_slice() {
        [line] => line.clone(),
        lines => format!("{} hosts cannot be used:\n  {}", lines.len(), lines.join("\n  ")),
    }
}

/// A host that has been reached.
#[derive(Debug)]
pub struct Remote {
    /// What `ssh` was told: `n1`, `user@n2`.
    pub name: String,
    /// What its processor is called: `x86_64`.
    pub machine: String,
    /// The connection's ends as `sshd` sees them: the client's address and port, the host's address and port.
    pub connection: String,
    root: bool,
    session: Arc<Session>,
    /// The connection's socket is in it.
    _folder: Arc<Folder>,
}

/// Connects to all hosts at once, and looks whether each can be used.
///
/// # Errors
/// One cannot; within ten seconds, whatever the network does.
pub async fn reach(inventory: &Inventory) -> Result<Vec<Remote>, SshError> {
    let folder = Arc::new(Folder::new(inventory.config.as_ref()).map_err(SshError::NoRoom)?);
    let routes = join_all(inventory.hosts.iter().map(|host| Route::to(host, &folder))).await;
    let routes = routes.into_iter().collect::<Result<Vec<Route>, SshError>>()?;
    let reached = join_all(routes.iter().map(|route| route.reach(&folder))).await;
    let mut remotes = Vec::new();
    let mut failed = Vec::new();
    for (route, reached) in routes.iter().zip(reached) {
        match reached {
            Ok(remote) => remotes.push(remote),
            Err(why) => failed.push((route.to_string(), why)),
        }
    }
    if failed.is_empty() { Ok(remotes) } else { Err(SshError::Unreachable(failed)) }
}

/// Where `ssh` finds what it is to read, and puts the sockets of its connections.
#[derive(Debug)]
struct Folder {
    config: Option<LaidOut>,
    folder: TempDir,
}

impl Folder {
    fn new(config: Option<&Config>) -> io::Result<Folder> {
        let folder = tempfile::Builder::new().prefix("grudge-ssh-").tempdir()?;
        let config = config.map(|config| config.lay_out(folder.path())).transpose()?;
        Ok(Folder { config, folder })
    }
}

/// What `ssh` makes of a host's name.
struct Route {
    name: String,
    /// `user@address port 22`
    target: String,
    known_hosts: KnownHosts,
}

impl std::fmt::Display for Route {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.name, self.target)
    }
}

impl Route {
    async fn to(name: &str, folder: &Arc<Folder>) -> Result<Route, SshError> {
        let mut ssh = Command::new("ssh");
        if let Some(config) = &folder.config {
            ssh.arg("-F").arg(&config.entry);
        }
        let output = ssh.args(["-G", "--", name]).stdin(Stdio::null()).output().await.map_err(SshError::NoSsh)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            let renamed = folder.config.as_ref().map(|config| config.renamed(&said));
            return Err(SshError::Config(renamed.unwrap_or(said)));
        }
        let options = String::from_utf8_lossy(&output.stdout).into_owned();
        let option =
            |key: &str| options.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' ')).unwrap_or("");
        Ok(Route {
            name: name.to_owned(),
            target: format!("{}@{} port {}", option("user"), option("hostname"), option("port")),
            known_hosts: match option("stricthostkeychecking") {
                "no" | "off" | "false" => KnownHosts::Accept,
                "accept-new" => KnownHosts::Add,
                // There is nobody to ask.
                _ => KnownHosts::Strict,
            },
        })
    }

    async fn reach(&self, folder: &Arc<Folder>) -> Result<Remote, String> {
        let reached = async {
            let session = self.connect(folder).await.map_err(|error| refusal(&error))?;
            self.introduce(session, folder).await
        };
        let silent = || format!("ssh is not through after {REACH:?}: whoever is there does not answer as a host does");
        timeout(REACH, reached).await.unwrap_or_else(|_| Err(silent()))
    }

    async fn connect(&self, folder: &Arc<Folder>) -> Result<Session, openssh::Error> {
        let mut builder = SessionBuilder::default();
        if let Some(config) = &folder.config {
            builder.config_file(&config.entry);
        }
        builder
            .control_directory(folder.folder.path())
            .connect_timeout(CONNECT)
            .server_alive_interval(ALIVE)
            .known_hosts_check(self.known_hosts.clone());
        builder.connect(&self.name).await
    }

    async fn introduce(&self, session: Session, folder: &Arc<Folder>) -> Result<Remote, String> {
        let output =
            session.command("sh").args(["-c", INTRODUCTION]).output().await.map_err(|error| refusal(&error))?;
        let said = String::from_utf8_lossy(&output.stdout);
        let mut lines = said.lines();
        let first: Vec<&str> = lines.next().unwrap_or("").split(' ').collect();
        let ["grudge", uid, user, machine] = first.as_slice() else {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "a command that ssh runs there begins with something of its own ({:?}): let its shell be silent unless \
                 somebody sits before it",
                format!("{said}{errors}").lines().next().unwrap_or("")
            ));
        };
        let connection = lines.next().unwrap_or("").to_owned();
        if !output.status.success() {
            let errors = String::from_utf8_lossy(&output.stderr);
            return Err(format!(
                "faults need root, and {user} may not become root there without a password (sudo -n: {}); let it by a \
                 line `{user} ALL=(ALL) NOPASSWD: ALL` in its /etc/sudoers, or use another user",
                last_line(&errors)
            ));
        }
        let (name, machine) = (self.name.clone(), (*machine).to_owned());
        let (session, folder) = (Arc::new(session), Arc::clone(folder));
        Ok(Remote { name, machine, connection, root: *uid == "0", session, _folder: folder })
    }
}

impl Remote {
    /// Its address by which it was reached, as the host sees it.
    #[must_use]
    pub fn address(&self) -> Option<Ipv4Addr> {
        self.connection.split(' ').nth(2)?.parse().ok()
    }

    /// A command there, of this user's.
    #[must_use]
    pub fn command(&self, program: &str) -> OwningCommand<Arc<Session>> {
        let mut command = Arc::clone(&self.session).arc_command(program);
        command.stdin(openssh::Stdio::null()).stdout(openssh::Stdio::piped()).stderr(openssh::Stdio::piped());
        command
    }

    /// A command there, of root's.
    #[must_use]
    pub fn root_command(&self, program: &str) -> OwningCommand<Arc<Session>> {
        if self.root {
            return self.command(program);
        }
        let mut command = self.command("sudo");
        command.args(["-n", "--", program]);
        command
    }
}

/// Why `ssh` failed, in its own words, and what to do.
fn refusal(error: &openssh::Error) -> String {
    use std::error::Error as _;
    let said = error.source().map_or_else(|| error.to_string(), ToString::to_string);
    let said = last_line(&said);
    let advice = [
        ("Connection refused", "is sshd running there, and is that its port?"),
        ("timed out", "is the machine up, and does the address lead to it?"),
        ("No route to host", "is the machine up, and does the address lead to it?"),
        ("Network is unreachable", "is the machine up, and does the address lead to it?"),
        ("Could not resolve", "is that its name?"),
        ("Permission denied", "which key and which user does the ssh configuration say?"),
        ("Host key verification failed", "its key is not the known one: look at it by hand, with ssh"),
    ];
    match advice.iter().find(|(sign, _)| said.contains(sign)) {
        Some((_, advice)) => format!("{said}; {advice}"),
        None if said.is_empty() => "ssh failed and did not say why".to_owned(),
        None => said.to_owned(),
    }
}

/// What counts of what a program has said: its last line.
pub(super) fn last_line(said: &str) -> &str {
    said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("")
}
