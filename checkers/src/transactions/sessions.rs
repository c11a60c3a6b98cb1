//! The orders that clients impose: that of each process, and real time.

use super::dependencies::{Findings, Relation};
use super::log::{Log, Position, Txn};

/// A process runs its transactions one after another. One of unknown outcome may happen at any time after its call, so
/// nothing comes after it.
pub(super) fn process_order(log: &Log, happened: &[bool], findings: &mut Findings) {
    let mut last: Vec<Option<Txn>> = vec![None; log.processes()];
    for (txn, transaction) in (0..).zip(&log.txns).filter(|(txn, _)| happened[*txn as usize]) {
        let last = &mut last[transaction.process as usize];
        if let Some(before) = *last {
            findings.edge(before, txn, Relation::Process);
        }
        if log.committed(txn) {
            *last = Some(txn);
        }
    }
}

/// What returned comes before what is called after that. All that returned between two calls meets in a hub, from which
/// one goes on to the second call and to the next hub: the edges are as many as the transactions, and their paths all of
/// real time.
pub(super) fn real_time(log: &Log, happened: &[bool], findings: &mut Findings) {
    let mut returns: Vec<(Position, Txn)> =
        (0..).zip(&log.txns).filter(|(txn, _)| log.committed(*txn)).map(|(txn, of)| (of.ret, txn)).collect();
    returns.sort_unstable();
    let mut returns = returns.into_iter().peekable();
    let mut latest = None;
    for (txn, transaction) in (0..).zip(&log.txns).filter(|(txn, _)| happened[*txn as usize]) {
        let mut hub = None;
        while let Some((_, returned)) = returns.next_if(|(ret, _)| *ret < transaction.call) {
            let hub = *hub.get_or_insert_with(|| findings.hub());
            findings.edge(returned, hub, Relation::RealTime);
        }
        if let Some(hub) = hub
            && let Some(before) = latest.replace(hub)
        {
            findings.edge(before, hub, Relation::Onward);
        }
        if let Some(hub) = latest {
            findings.edge(hub, txn, Relation::Onward);
        }
    }
}
