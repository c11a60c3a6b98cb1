//! One machine's share of a suite: `2/8` is the second of eight, which need not know of each other.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

/// One of so many shares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    index: usize,
    of: usize,
}

impl Shard {
    /// The places of the tests that fall to it, in their order: each test falls to one share, and no share lasts longer
    /// than another by more than one test.
    #[must_use]
    pub fn pick(self, lengths: &[Duration]) -> Vec<usize> {
        let mut longest_first: Vec<usize> = (0..lengths.len()).collect();
        longest_first.sort_by_key(|&test| Reverse(lengths[test]));
        let mut loads = vec![Duration::ZERO; self.of];
        let mut picked = Vec::new();
        for test in longest_first {
            // Of several that have least to do, the first.
            let least = (0..self.of).min_by_key(|&shard| loads[shard]).expect("there is one share at least");
            loads[least] += lengths[test];
            if least == self.index {
                picked.push(test);
            }
        }
        picked.sort_unstable();
        picked
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Shard, String> {
        let numbers = text.split_once('/').and_then(|(which, of)| Some((which.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((which, of)) if (1..=of).contains(&which) && of <= 10_000 => Ok(Shard { index: which - 1, of }),
            _ => Err("a shard looks like 2/8: the second of eight".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

impl Serialize for Shard {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shard_is_written_as_it_is_read() {
        for text in ["1/1", "2/8", "8/8"] {
            assert_eq!(text.parse::<Shard>().map(|shard| shard.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "0/8", "9/8", "2", "a/b", "1/0", "-1/2", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn shards_together_are_all_tests_once_and_last_about_equally_long(
            lengths in vec(1_u64..600, 0..60),
            of in 1_usize..12,
        ) {
            let lengths: Vec<Duration> = lengths.into_iter().map(Duration::from_secs).collect();
            let shards: Vec<Vec<usize>> = (0..of).map(|index| Shard { index, of }.pick(&lengths)).collect();
            let mut all: Vec<usize> = shards.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..lengths.len()).collect::<Vec<_>>());
            let loads: Vec<Duration> =
                shards.iter().map(|shard| shard.iter().map(|&test| lengths[test]).sum()).collect();
            let (most, least) = (loads.iter().max().expect("one"), loads.iter().min().expect("one"));
            prop_assert!(*most - *least <= lengths.iter().max().copied().unwrap_or_default());
            prop_assert!(shards.iter().all(|shard| shard.is_sorted()));
        }
    }
}
