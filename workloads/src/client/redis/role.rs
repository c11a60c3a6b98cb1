//! What a node is: by `ROLE`, and what a sentinel knows.

use redis::{RedisResult, Value, cmd, from_redis_value_ref};
use tokio::time::timeout;

use super::link::Link;
use super::sentinel;
use crate::client::tasks::Tasks;
use crate::client::{Role, Target};

/// What listens at a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// A server, which takes itself for that.
    Server(Role),
    /// A sentinel, which keeps watch of the master of that name.
    Sentinel(String),
}

/// Asks what listens there.
///
/// # Errors
/// A short token: it does not say.
pub(super) async fn listener(link: &Link) -> Result<Listener, String> {
    let answer: RedisResult<Vec<Value>> = link.ask(&cmd("ROLE")).await;
    let answer = answer.map_err(|error| error.code().map_or("connection-lost".to_owned(), str::to_lowercase))?;
    parse(&answer).ok_or_else(|| "bad-role-answer".to_owned())
}

fn parse(answer: &[Value]) -> Option<Listener> {
    let text = |at: usize| from_redis_value_ref::<String>(answer.get(at)?).ok();
    match text(0)?.as_str() {
        "master" => Some(Listener::Server(Role::Leader)),
        // A replica that has lost its master serves what it had.
        "slave" if text(3)? == "connected" => Some(Listener::Server(Role::Follower)),
        "slave" => Some(Listener::Server(Role::Looking)),
        "sentinel" => {
            let names: Vec<String> = from_redis_value_ref(answer.get(1)?).ok()?;
            names.into_iter().next().map(Listener::Sentinel)
        }
        _ => None,
    }
}

/// A node's role. Behind a sentinel it is what that takes it for, once a failover would find an heir.
pub(super) async fn ask(target: &Target) -> Result<Role, String> {
    let tasks = Tasks::default();
    let asked = async {
        let link = Link::open(target.address, &tasks.spawner()).await?;
        let name = match listener(&link).await? {
            Listener::Server(role) => return Ok(role),
            Listener::Sentinel(name) => name,
        };
        let watched = sentinel::watched(&link, &name).await?;
        let is_able = watched.is_well && watched.has_heirs && sentinel::is_calm(&link).await?;
        Ok(match is_able {
            false => Role::Looking,
            true if watched.address.ip() == target.address.ip() => Role::Leader,
            true => Role::Follower,
        })
    };
    timeout(target.timeout, asked).await.unwrap_or_else(|_| Err("timeout".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn role_answers() {
        let text = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let slave = |state: &str| [text("slave"), text("10.0.0.1"), Value::Int(6379), text(state), Value::Int(7)];
        let cases: [(&[Value], Option<Listener>); 6] = [
            (&[text("master"), Value::Int(7), Value::Array(vec![])], Some(Listener::Server(Role::Leader))),
            (&slave("connected"), Some(Listener::Server(Role::Follower))),
            (&slave("connect"), Some(Listener::Server(Role::Looking))),
            (&[text("sentinel"), Value::Array(vec![text("grudge")])], Some(Listener::Sentinel("grudge".to_owned()))),
            (&[text("sentinel"), Value::Array(vec![])], None),
            (&[], None),
        ];
        for (answer, listener) in cases {
            assert_eq!(parse(answer), listener, "{answer:?}");
        }
    }
}
