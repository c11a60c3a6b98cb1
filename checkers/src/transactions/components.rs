//! Strongly connected components (Tarjan, "Depth-first search and linear graph algorithms", 1972), with a stack of its own:
//! a path of a million transactions is nothing unusual.

use super::dependencies::{Edge, Graph, Relations};

/// The components of a graph.
pub(super) struct Components {
    /// Those of more than one node: in each, each node comes before each. Their nodes are in order.
    pub(super) cyclic: Vec<Vec<u32>>,
    /// All nodes, so that without cycles each comes before those that it has edges to.
    pub(super) order: Vec<u32>,
}

const NEW: u32 = u32::MAX;
const DONE: u32 = u32::MAX - 1;

/// The components of a graph of which only some relations count. It costs nodes plus edges.
pub(super) fn components(graph: &Graph, relations: Relations) -> Components {
    let nodes = graph.nodes();
    // The number of a node while it waits for its component, and the lowest that is known to be reached from it.
    let (mut lowest, mut numbered) = (vec![NEW; nodes], 0);
    let mut waiting: Vec<u32> = Vec::new();
    let mut path: Vec<Visit> = Vec::new();
    let mut found = Components { cyclic: Vec::new(), order: Vec::with_capacity(nodes) };
    for root in 0..nodes as u32 {
        if lowest[root as usize] != NEW {
            continue;
        }
        let mut enter = Some(root);
        loop {
            if let Some(node) = enter.take() {
                lowest[node as usize] = numbered;
                path.push(Visit { node, number: numbered, next: graph.out(node).start });
                waiting.push(node);
                numbered += 1;
            }
            let Some(visit) = path.last_mut() else { break };
            let node = visit.node;
            while enter.is_none() && visit.next < graph.out(node).end {
                let edge = visit.next;
                visit.next += 1;
                if !relations.has(graph.relation(edge)) {
                    continue;
                }
                match lowest[graph.target(edge) as usize] {
                    NEW => enter = Some(graph.target(edge)),
                    DONE => {}
                    low => lowest[node as usize] = lowest[node as usize].min(low),
                }
            }
            if enter.is_some() {
                continue;
            }
            let Visit { number, .. } = path.pop().expect("it was seen above");
            let low = lowest[node as usize];
            if let Some(parent) = path.last() {
                let parent = &mut lowest[parent.node as usize];
                *parent = (*parent).min(low);
            }
            if low == number {
                found.close(node, &mut waiting, &mut lowest);
            }
        }
    }
    found.order.reverse();
    found
}

struct Visit {
    node: u32,
    number: u32,
    /// The next of its edges.
    next: usize,
}

impl Components {
    /// All that wait since this node came are its component.
    fn close(&mut self, root: u32, waiting: &mut Vec<u32>, lowest: &mut [u32]) {
        let first = waiting.iter().rposition(|&node| node == root).expect("it waits since it was entered");
        waiting[first..].iter().for_each(|&node| lowest[node as usize] = DONE);
        self.order.extend_from_slice(&waiting[first..]);
        let mut component = waiting.split_off(first);
        if component.len() > 1 {
            component.sort_unstable();
            self.cyclic.push(component);
        }
    }
}

/// A part of a graph by itself; its nodes are numbered as they are listed. `places` has an entry for each node of the whole,
/// [`u32::MAX`] throughout, before and after.
pub(super) fn part(graph: &Graph, nodes: &[u32], places: &mut [u32]) -> Graph {
    for (place, &node) in (0..).zip(nodes) {
        places[node as usize] = place;
    }
    let mut edges = Vec::new();
    for (from, &node) in (0..).zip(nodes) {
        for edge in graph.out(node) {
            let to = places[graph.target(edge) as usize];
            if to != u32::MAX {
                edges.push(Edge { from, to, relation: graph.relation(edge) });
            }
        }
    }
    nodes.iter().for_each(|&node| places[node as usize] = u32::MAX);
    Graph::new(nodes.len(), &edges)
}
