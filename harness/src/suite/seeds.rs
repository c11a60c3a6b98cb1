//! With which seeds a test of a suite is run.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

use crate::spec;

/// As a file says it: `3` for so many new ones, `[1, 2]` for those, `"0..10"` for a range.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, expecting = "seeds are a number of new ones, a list as [1, 2], or a range as \"0..10\"")]
pub enum Seeds {
    /// So many, drawn from the suite's.
    New(u32),
    /// These.
    These(Vec<u64>),
    /// A range, without its end.
    Range(String),
}

impl Default for Seeds {
    fn default() -> Seeds {
        Seeds::New(1)
    }
}

impl Seeds {
    /// The seeds; new ones are short enough to be typed again.
    ///
    /// # Errors
    /// There are none, in one sentence.
    pub fn draw(&self, rng: &mut ChaCha8Rng) -> Result<Vec<u64>, String> {
        let seeds: Vec<u64> = match self {
            Seeds::New(count) => (0..*count).map(|_| u64::from(rng.random::<u32>())).collect(),
            Seeds::These(seeds) => seeds.clone(),
            Seeds::Range(text) => spec::seeds(text)?.collect(),
        };
        if seeds.is_empty() { Err("a test needs at least one seed".to_owned()) } else { Ok(seeds) }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn draw(text: &str, base: u64) -> Result<Vec<u64>, String> {
        let value: toml::Value =
            toml::from_str::<toml::Table>(&format!("seeds = {text}")).expect(text)["seeds"].clone();
        let seeds: Seeds = value.try_into().map_err(|error: toml::de::Error| error.to_string())?;
        seeds.draw(&mut ChaCha8Rng::seed_from_u64(base))
    }

    #[test]
    fn seeds_are_counted_listed_or_a_range() {
        assert_eq!(draw("[7, 1]", 0), Ok(vec![7, 1]));
        assert_eq!(draw("'3..6'", 0), Ok(vec![3, 4, 5]));
        assert_eq!(draw("3", 5).map(|seeds| seeds.len()), Ok(3));
        assert_eq!(draw("3", 5), draw("3", 5), "one base, the same seeds");
        assert_ne!(draw("3", 5), draw("3", 6), "every night has new ones");
    }

    #[test]
    fn no_seeds_are_refused_with_what_they_look_like() {
        for (text, sentence) in [
            ("0", "at least one"),
            ("[]", "at least one"),
            ("'9..9'", "0..1000"),
            ("-1", "a range as"),
            ("true", "a list as"),
        ] {
            let error = draw(text, 0).expect_err(text);
            assert!(error.contains(sentence), "{text}: {error}");
        }
    }
}
