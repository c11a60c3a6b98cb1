//! The file that a small test is kept in: for people above, for `grudge sim FILE` and `grudge test FILE` below.

use std::fmt::Write as _;

use anyhow::Context;
use grudge_checkers::verdict::Verdict;

use crate::exit::Failure;
use crate::report::Judged;
use crate::shrink::Kind;
use crate::spec::{Spec, kebab};

/// The length of a line of the comment.
const WIDTH: usize = 116;
/// Begins the line of an invalid judgement.
const INVALID: &str = "invalid: ";

/// The text of the file of a test that was judged so; `grudge COMMAND FILE` plays it.
///
/// # Errors
/// None that a test can cause.
pub fn text(spec: &Spec, judgements: &[Judged], command: &str) -> Result<String, Failure> {
    let mut text = String::new();
    let bugs: Vec<String> = spec.bugs.iter().map(kebab).collect();
    let faults = spec.script.len();
    let _ = writeln!(text, "# bug: {}", if bugs.is_empty() { "none".to_owned() } else { bugs.join(", ") });
    for judged in judgements {
        if let (false, Verdict::Invalid { witness }) = (judged.finding, &judged.verdict) {
            let first = witness.reason.lines().next().unwrap_or_default();
            comment(&mut text, &format!("{INVALID}{}: {first}", judged.checker));
        }
    }
    let _ = writeln!(
        text,
        "# {faults} fault{}, {} nodes, {} workers, {:#}",
        if faults == 1 { "" } else { "s" },
        spec.nodes,
        spec.concurrency,
        spec.time
    );
    for (place, step) in spec.script.iter().enumerate() {
        comment(&mut text, &format!("{}. {step}", place + 1));
    }
    let _ = writeln!(text, "# play it: grudge {command} FILE\n# made small by grudge shrink\n");
    let head = Spec { script: Vec::new(), ..spec.clone() };
    text.push_str(&toml::to_string_pretty(&head).context("a test cannot be expressed as TOML")?);
    for step in &spec.script {
        text.push_str("\n[[script]]\n");
        let table = toml::Table::try_from(step).context("a step cannot be expressed as TOML")?;
        // On one line each, as a person would write them.
        for key in ["when", "within", "fault", "hold"] {
            if let Some(value) = table.get(key) {
                let _ = writeln!(text, "{key} = {value}");
            }
        }
    }
    Ok(text)
}

/// What such a file says was invalid.
#[must_use]
pub fn promised(text: &str) -> Kind {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# ")?.strip_prefix(INVALID)?.split_once(": "));
    lines.map(|(checker, _)| checker).collect()
}

/// A paragraph of comment lines.
fn comment(text: &mut String, words: &str) {
    let mut line = "#".to_owned();
    for word in words.split_whitespace() {
        if line.len() + word.len() >= WIDTH {
            let _ = writeln!(text, "{line}");
            "#  ".clone_into(&mut line);
        }
        let _ = write!(line, " {word}");
    }
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::tests::example;

    #[test]
    fn the_file_is_read_by_people_and_by_the_commands() {
        let step = |text: &str| toml::from_str(text).expect(text);
        let script = vec![
            step(
                "when = { leader = 1, then = '200ms' }\nfault = { packets = { targets = 'all', loss = 20 } }\nhold = '2s'",
            ),
            step(
                "when = { point = 'zab-in-step' }\nwithin = '20s'\nfault = { partition = { cuts = { n1 = ['n2'] } } }",
            ),
        ];
        let spec = Spec { faults: Vec::new(), script, ..example() };
        let judged: Judged = serde_json::from_value(serde_json::json!({
            "checker": "set", "verdict": "invalid", "finding": false,
            "witness": {"key": null, "reason": "element 3 was lost ".repeat(10), "events": []}
        }))
        .expect("a judgement");
        let text = text(&spec, &[judged], "sim").expect("a test is expressible");
        insta::assert_snapshot!(text);
        assert_eq!(toml::from_str::<Spec>(&text).expect("what was written can be read"), spec);
        assert_eq!(promised(&text), Kind::from_iter(["set"]));
    }
}
