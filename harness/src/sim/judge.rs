//! What the simulator saw inside the replicas, as a judgement beside the clients'.

use grudge_checkers::verdict::{Verdict, Witness};
use grudge_nodes::sim::Violation;
use grudge_workloads::workload::Judgement;

/// The invariants over all replicas, and each replica's own.
pub(super) fn replicas(violations: &[Violation]) -> Judgement {
    let verdict = match violations {
        [] => Verdict::Valid,
        [first, others @ ..] => {
            let more = match others.len() {
                0 => String::new(),
                count => format!(" ({count} more)"),
            };
            let reason = format!("at {:.6} s of the world: {}{more}", first.at.as_secs_f64(), first.what);
            Verdict::Invalid { witness: Witness { key: None, reason, events: Vec::new() } }
        }
    };
    Judgement { checker: "replicas".to_owned(), verdict, finding: false }
}
