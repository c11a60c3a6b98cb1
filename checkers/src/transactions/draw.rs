//! A cycle as a picture: in the language of Graphviz, and as an SVG of its own.

use std::fmt::Write as _;

use super::report::Cycle;

impl Cycle {
    /// The cycle in the language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut dot = String::from("digraph cycle {\n  node [shape=box]\n");
        for (number, transaction) in self.transactions.iter().enumerate() {
            let label = format!("T{}: process {}\n{}", number + 1, transaction.process, transaction.text);
            writeln!(dot, "  T{} [label={label:?}]", number + 1).expect("a string takes everything");
        }
        for (from, step) in self.steps.iter().enumerate() {
            let to = (from + 1) % self.steps.len();
            let (relation, words) = (step.relation, &step.words);
            writeln!(dot, "  T{} -> T{} [label={relation:?} tooltip={words:?}]", from + 1, to + 1)
                .expect("a string takes everything");
        }
        dot.push_str("}\n");
        dot
    }

    /// The cycle as an SVG: the transactions one below the other, each with an arrow to the next, and one back to the first.
    #[must_use]
    pub fn svg(&self) -> String {
        let count = self.transactions.len();
        let longest = self.transactions.iter().map(|shown| shown.text.chars().count()).max().unwrap_or(0);
        let (box_width, right) = (LETTER * (longest + 4), LETTER * (longest + 4) + MARGIN);
        let (width, height) = (right + BEND + 2 * LETTER * 9, MARGIN + count * PITCH);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" \
             font-size=\"13\">\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" \
             markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
        );
        for (number, transaction) in self.transactions.iter().enumerate() {
            let top = MARGIN + number * PITCH;
            let (title, text) =
                (format!("T{}, process {}", number + 1, transaction.process), escape(&transaction.text));
            let (x, first, second) = (MARGIN + LETTER, top + 18, top + 38);
            writeln!(
                svg,
                "<rect x=\"{MARGIN}\" y=\"{top}\" width=\"{box_width}\" height=\"{BOX}\" rx=\"4\" fill=\"#f4f4f4\" \
                 stroke=\"#444\"/>\n<text x=\"{x}\" y=\"{first}\" font-weight=\"bold\">{title}</text>\n\
                 <text x=\"{x}\" y=\"{second}\">{text}</text>"
            )
            .expect("a string takes everything");
        }
        for (from, step) in self.steps.iter().enumerate() {
            let (bottom, middle) = (MARGIN + from * PITCH + BOX, MARGIN + box_width / 2);
            let (path, x, y) = if from + 1 < count {
                let next = MARGIN + (from + 1) * PITCH;
                (format!("M{middle} {bottom}V{next}"), middle + LETTER, bottom + 22)
            } else {
                let (last, first, bend) = (bottom - BOX / 2, MARGIN + BOX / 2, right + BEND);
                (format!("M{right} {last}H{bend}V{first}H{right}"), bend + LETTER, (last + first) / 2)
            };
            let (relation, words) = (step.relation, escape(&step.words));
            writeln!(
                svg,
                "<path d=\"{path}\" fill=\"none\" stroke=\"#000\" marker-end=\"url(#tip)\"><title>{words}</title></path>\n\
                 <text x=\"{x}\" y=\"{y}\">{relation}</text>"
            )
            .expect("a string takes everything");
        }
        svg.push_str("</svg>\n");
        svg
    }
}

/// All in the SVG's own units.
const MARGIN: usize = 10;
const LETTER: usize = 8;
const BOX: usize = 48;
const PITCH: usize = 88;
const BEND: usize = 30;

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
