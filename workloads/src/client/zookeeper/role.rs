//! A node's role, by the four-letter word `srvr`.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::client::{Role, Target};

/// More than any answer to `srvr`.
const ANSWER_LIMIT: u64 = 64 * 1024;

pub(super) async fn ask(target: &Target) -> Result<Role, String> {
    let asked = async {
        let mut stream = TcpStream::connect(target.address).await?;
        stream.write_all(b"srvr").await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
        Ok(answer)
    };
    match timeout(target.timeout, asked).await {
        Ok(Ok(answer)) => parse(&String::from_utf8_lossy(&answer)),
        Ok(Err(error)) => {
            let error: std::io::Error = error;
            Err(error.kind().to_string().replace(' ', "-"))
        }
        Err(_) => Err("timeout".to_owned()),
    }
}

fn parse(answer: &str) -> Result<Role, String> {
    if answer.contains("not currently serving requests") {
        return Ok(Role::Looking);
    }
    match answer.lines().find_map(|line| line.strip_prefix("Mode: ")).map(str::trim) {
        Some("leader" | "standalone") => Ok(Role::Leader),
        Some("follower" | "observer") => Ok(Role::Follower),
        _ => Err("bad-srvr-answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn srvr_answers() {
        let cases = [
            ("Zookeeper version: 3.8.0\nLatency min/avg/max: 0/0.0/0\nMode: leader\nNode count: 5\n", Ok(Role::Leader)),
            ("Mode: follower\n", Ok(Role::Follower)),
            ("Mode: observer\r\n", Ok(Role::Follower)),
            ("Mode: standalone\n", Ok(Role::Leader)),
            ("This ZooKeeper instance is not currently serving requests\n", Ok(Role::Looking)),
            ("srvr is not executed because it is not in the whitelist.\n", Err("bad-srvr-answer".to_owned())),
            ("", Err("bad-srvr-answer".to_owned())),
        ];
        for (answer, role) in cases {
            assert_eq!(parse(answer), role, "{answer:?}");
        }
    }
}
