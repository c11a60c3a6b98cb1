//! This program on other hosts: put there once, under its content's name.

use std::fmt::Write as _;
use std::fs::File;
use std::io;
use std::path::Path;

use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::io::AsyncWriteExt;

use super::ssh::{Remote, last_line};

/// Where the running program is found, also if its file was replaced.
const THIS: &str = "/proc/self/exe";

/// Says where the program is or would be, and whether it is there and whole. `$1` is its hash.
const LOOK: &str = r#"
file=${XDG_CACHE_HOME:-$HOME/.cache}/grudge/$1/grudge
echo "$file"
test -x "$file" && echo "$1  $file" | sha256sum --check --status -
"#;

/// Takes the program from standard input. It gets its name when it is whole, and nothing else stays. Of earlier ones the
/// newest are kept. `$1` is its hash, `$2` where it goes.
const TAKE: &str = r#"
set -eu
umask 022
folder=$(dirname "$2")
mkdir -p "$folder"
part=$folder/part.$$
trap 'rm -f "$part"; rmdir "$folder" 2>/dev/null || :' EXIT
trap 'exit 1' HUP INT TERM PIPE
cat >"$part"
if ! echo "$1  $part" | sha256sum --check --status -; then
  echo "it did not arrive whole" >&2
  exit 1
fi
chmod 755 "$part"
mv "$part" "$2"
cd "$folder/.."
ls -t | tail -n +4 | while read -r old; do rm -rf "./$old"; done
"#;

/// Why the program is not on a host.
#[derive(Debug, Error)]
pub enum UploadError {
    /// This program cannot be read here.
    #[error("this program cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// The host is of another kind.
    #[error("{host} is a {theirs} machine, and this grudge was built for {ours}: build it there, and run it on such a machine", ours = std::env::consts::ARCH)]
    Machine {
        /// Which host.
        host: String,
        /// What it is.
        theirs: String,
    },
    /// It does not go.
    #[error("{host}: this program cannot be put there: {why}")]
    Failed {
        /// Which host.
        host: String,
        /// What was said.
        why: String,
    },
    /// It is there and does not run.
    #[error(
        "{host}: this program does not run there: {said}; is its folder mounted noexec, or is the system older than that on \
         which grudge was built?"
    )]
    DoesNotRun {
        /// Which host.
        host: String,
        /// What was said.
        said: String,
    },
}

/// This program, by its content.
#[derive(Clone, Debug)]
pub struct Program {
    hash: String,
}

impl Program {
    /// The one that runs.
    ///
    /// # Errors
    /// Its file cannot be read.
    pub fn this() -> io::Result<Program> {
        let mut hasher = Sha256::new();
        io::copy(&mut File::open(THIS)?, &mut Hashing(&mut hasher))?;
        let hash = hasher.finalize().iter().fold(String::new(), |mut hash, byte| {
            let _ = write!(hash, "{byte:02x}");
            hash
        });
        Ok(Program { hash })
    }

    /// Puts it on a host unless it is there, and sees it run. Answers where it is.
    ///
    /// # Errors
    /// It cannot be put there, or does not run there.
    pub async fn put(&self, host: &Remote) -> Result<String, UploadError> {
        if host.machine != std::env::consts::ARCH {
            return Err(UploadError::Machine { host: host.name.clone(), theirs: host.machine.clone() });
        }
        let failed = |why: String| UploadError::Failed { host: host.name.clone(), why };
        let mut look = host.command("sh");
        let looked = look.args(["-c", LOOK, "sh", &self.hash]).output().await;
        let looked = looked.map_err(|error| failed(error.to_string()))?;
        let file = String::from_utf8_lossy(&looked.stdout).trim().to_owned();
        if !Path::new(&file).is_absolute() {
            return Err(failed(format!(
                "its user has no home ({})",
                last_line(&String::from_utf8_lossy(&looked.stderr))
            )));
        }
        if !looked.status.success() {
            tracing::info!("{}: this program goes to {file}", host.name);
            self.send(host, &file).await.map_err(failed)?;
        }
        let tried = host.root_command(&file).arg("--version").output().await;
        let tried = tried.map_err(|error| failed(error.to_string()))?;
        if !tried.status.success() {
            let said = String::from_utf8_lossy(&tried.stderr);
            return Err(UploadError::DoesNotRun { host: host.name.clone(), said: last_line(&said).to_owned() });
        }
        Ok(file)
    }

    async fn send(&self, host: &Remote, file: &str) -> Result<(), String> {
        let mut take = host.command("sh");
        take.args(["-c", TAKE, "sh", &self.hash, file]).stdin(openssh::Stdio::piped());
        let mut taking = take.spawn().await.map_err(|error| error.to_string())?;
        let mut input = taking.stdin().take().expect("it is piped");
        let mut program = tokio::fs::File::open(THIS).await.map_err(|error| error.to_string())?;
        // Whoever stops to read has a reason, and says it.
        let sent = tokio::io::copy(&mut program, &mut input).await;
        drop(input.shutdown().await);
        drop(input);
        let taken = taking.wait_with_output().await.map_err(|error| error.to_string())?;
        if taken.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&taken.stderr);
        Err(match (last_line(&said), sent) {
            ("", Err(error)) => error.to_string(),
            ("", Ok(_)) => format!("the host's shell ended with {}", taken.status),
            (said, _) => said.to_owned(),
        })
    }
}

/// Writes into a hash.
struct Hashing<'a>(&'a mut Sha256);

impl io::Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
