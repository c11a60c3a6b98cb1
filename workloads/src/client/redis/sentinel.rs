//! What a sentinel knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use redis::{RedisResult, cmd};

use super::link::Link;

/// The master of which a sentinel keeps watch, as that sentinel sees it.
pub(super) struct Watched {
    /// Where it serves.
    pub(super) address: SocketAddr,
    /// Whether this sentinel finds nothing wrong with it.
    pub(super) is_well: bool,
    /// Whether it knows so many replicas and other sentinels that they could choose another master.
    pub(super) has_heirs: bool,
}

/// Asks a sentinel for its first master; it is told its name by the answer to `ROLE`.
///
/// # Errors
/// A short token: why nobody knows.
pub(super) async fn watched(link: &Link, name: &str) -> Result<Watched, String> {
    let answer: RedisResult<BTreeMap<String, String>> = link.ask(cmd("SENTINEL").arg("MASTER").arg(name)).await;
    let known = answer.map_err(|_| "no-sentinel".to_owned())?;
    parse(&known).ok_or_else(|| "bad-sentinel-answer".to_owned())
}

/// Whether it would act. A sentinel that finds that it has stood still does nothing for half a minute ("tilt").
///
/// # Errors
/// A short token: it does not say.
pub(super) async fn is_calm(link: &Link) -> Result<bool, String> {
    let answer: RedisResult<String> = link.ask(cmd("INFO").arg("sentinel")).await;
    let told = answer.map_err(|_| "no-sentinel".to_owned())?;
    Ok(told.lines().any(|line| line == "sentinel_tilt:0"))
}

fn parse(known: &BTreeMap<String, String>) -> Option<Watched> {
    let number = |name: &str| known.get(name)?.parse::<u64>().ok();
    let address = format!("{}:{}", known.get("ip")?, known.get("port")?).parse().ok()?;
    let quorum = number("quorum")?;
    Some(Watched {
        address,
        is_well: known.get("flags")? == "master",
        has_heirs: number("num-slaves")? + 1 >= quorum && number("num-other-sentinels")? + 1 >= quorum,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sentinel_says_of_its_master() {
        let usual = [
            ("ip", "10.0.0.1"),
            ("port", "6379"),
            ("flags", "master"),
            ("num-slaves", "2"),
            ("num-other-sentinels", "1"),
            ("quorum", "2"),
        ];
        let parsed = |changes: &[(&str, &str)]| {
            let pairs = usual.iter().chain(changes).map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            parse(&pairs.collect())
        };
        let watched = parsed(&[]).expect("a whole answer");
        assert!(watched.is_well && watched.has_heirs && watched.address.to_string() == "10.0.0.1:6379");
        assert!(!parsed(&[("num-slaves", "0")]).expect("a whole answer").has_heirs, "there is no heir");
        assert!(!parsed(&[("num-other-sentinels", "0")]).expect("a whole answer").has_heirs, "nobody agrees");
        assert!(!parsed(&[("flags", "s_down,master")]).expect("a whole answer").is_well);
        for spoilt in [("ip", "nowhere"), ("port", "x"), ("quorum", "many")] {
            assert!(parsed(&[spoilt]).is_none(), "{spoilt:?}");
        }
    }
}
