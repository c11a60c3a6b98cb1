//! `report.html`: one file that needs no network and no script.

use std::collections::BTreeSet;

use anyhow::Result;
use grudge_checkers::history::{Event, History};
use grudge_checkers::verdict::{Verdict, Witness};
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde_json::Value;

use super::terminal::receipt_in_words;
use super::{FaultSpan, Judged, Latency, Results, plot};

const STYLE: &str = include_str!("style.css");

/// The whole page.
pub(super) fn page(results: &Results, history: &History) -> Result<String> {
    let calls = history.operations()?;
    let plots = [
        ("Latency of every call", Legend::Outcomes, plot::latency_points(&calls, &results.faults)?),
        ("Latency of calls that succeeded", Legend::Quantiles, plot::latency_quantiles(&calls, &results.faults)?),
        ("Calls a second", Legend::Outcomes, plot::rate(&calls, &results.faults)?),
    ];
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (results.test) ": " (results.verdict.name()) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(results))
                section { h2 { "Judgements" } @for judged in &results.judgements { (judgement(judged)) } }
                section { h2 { "Operations" } (operations(results)) }
                @for (title, legend, svg) in &plots {
                    section {
                        h2 { (title) }
                        (legend.markup(&results.faults))
                        figure { (PreEscaped(svg)) }
                    }
                }
                @if !results.faults.is_empty() {
                    section { h2 { "Faults and their receipts" } (faults(&results.faults)) }
                }
                section {
                    h2 { "Test" }
                    p.quiet { "Save this as a file and run it again with " code { "grudge test FILE.toml" } "." }
                    pre { (toml::to_string_pretty(&results.spec)?) }
                }
            }
        }
    };
    Ok(markup.into_string())
}

fn header(results: &Results) -> Markup {
    let spec = &results.spec;
    let total = |count: fn(&super::Operations) -> u64| results.operations.values().map(count).sum::<u64>();
    html! {
        header {
            div {
                h1 { (results.test) }
                p.quiet {
                    (results.started.strftime("%Y-%m-%d %H:%M:%S UTC")) " · " (format!("{:.1} s", results.seconds))
                    " · " (spec.nodes) " nodes · " (spec.concurrency) " workers · seed " (spec.seed)
                    @for bug in &spec.bugs { " · planted bug " strong { (crate::spec::kebab(bug)) } }
                }
            }
            div class=(format!("verdict {}", results.verdict.name())) { (results.verdict.name()) }
        }
        div.tiles {
            (tile("ok", total(|o| o.ok), "ok"))
            (tile("fail", total(|o| o.fail), "certainly did not happen"))
            (tile("info", total(|o| o.info), "nobody knows"))
            (tile("faults", results.faults.len() as u64, "faults"))
        }
    }
}

fn tile(class: &str, number: u64, label: &str) -> Markup {
    html! { div class=(format!("tile {class}")) { b { (number) } span { (label) } } }
}

fn judgement(judged: &Judged) -> Markup {
    html! {
        article class=(judged.verdict.name()) {
            h3 {
                span.badge { (judged.verdict.name()) } " " (judged.checker)
                @if judged.finding { span.quiet { " a finding, not a verdict" } }
            }
            @match &judged.verdict {
                Verdict::Valid => {}
                Verdict::Unknown { reason } => p { (reason) },
                Verdict::Invalid { witness } => (self::witness(witness)),
            }
        }
    }
}

fn witness(witness: &Witness) -> Markup {
    html! {
        p { (witness.reason) }
        @if !witness.events.is_empty() {
            div.wide {
                table {
                    thead { tr { @for title in
                        ["index", "time", "process", "type", "f", "key", "value", "node", "error", "version"]
                        { th { (title) } } } }
                    tbody { @for event in &witness.events { (row(event)) } }
                }
            }
        }
    }
}

fn row(event: &Event) -> Markup {
    html! {
        tr class=(event.kind) {
            td.number { (event.index) }
            td.number { (format!("{:.6} s", event.time as f64 / 1e9)) }
            td.number { (event.process) }
            td { span.outcome { (event.kind) } }
            td { (event.f) }
            td { (event.key.as_deref().unwrap_or("")) }
            td { code { (json(&event.value)) } }
            td { (event.node.as_deref().unwrap_or("")) }
            td { (event.error.as_deref().unwrap_or("")) }
            td.number { @if let Some(version) = event.version { (version) } }
        }
    }
}

fn operations(results: &Results) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { @for title in ["operation", "ok", "fail", "info", "p50", "p95", "p99", "max", "errors"]
                    { th { (title) } } } }
                tbody {
                    @for (f, operations) in &results.operations {
                        tr {
                            td { (f) }
                            td.number { (operations.ok) }
                            td.number { (operations.fail) }
                            td.number { (operations.info) }
                            @for cell in latency(operations.latency) { td.number { (cell) } }
                            td.quiet { @for (token, count) in &operations.errors { (token) " " (count) " " } }
                        }
                    }
                }
            }
        }
    }
}

fn latency(latency: Option<Latency>) -> [String; 4] {
    match latency {
        None => std::array::from_fn(|_| "–".to_owned()),
        Some(Latency { p50, p95, p99, max }) => [p50, p95, p99, max].map(|ms| format!("{ms:.1} ms")),
    }
}

fn faults(spans: &[FaultSpan]) -> Markup {
    html! {
        div.wide {
            table {
                thead { tr { th { "fault" } th { "from" } th { "to" } th { "receipt" } } }
                tbody {
                    @for span in spans {
                        tr {
                            td.number { (swatch(&span.kind)) " " (span.drawn) }
                            td.number { (format!("{:.2} s", span.start)) }
                            td.number { @if let Some(end) = span.end { (format!("{end:.2} s")) } }
                            td {
                                @if let Some(error) = &span.error { strong { "not in force: " (error) } }
                                @else { details { summary { (receipt_in_words(&span.receipt)) }
                                    code { (json(&span.receipt)) } } }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn swatch(kind: &str) -> Markup {
    let colour = plot::band(kind);
    html! { i.swatch style=(format!("background:rgb({} {} {} / .55)", colour.0, colour.1, colour.2)) {} }
}

fn json(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[derive(Clone, Copy)]
enum Legend {
    Outcomes,
    Quantiles,
}

impl Legend {
    fn markup(self, faults: &[FaultSpan]) -> Markup {
        let kinds: BTreeSet<&str> = faults.iter().map(|span| span.kind.as_str()).collect();
        html! {
            p.legend {
                @match self {
                    Legend::Outcomes => {
                        span { i.dot.ok {} " ok" } span { i.dot.fail {} " fail" } span { i.dot.info {} " info" }
                    }
                    Legend::Quantiles => { span { i.dot.ok {} " median" } span { i.dot.high {} " 99th percentile" } }
                }
                @for kind in kinds { span { (swatch(kind)) " " (kind) } }
            }
        }
    }
}
