//! Which moments are covered by spans of time.

use super::super::budget::Budget;
use super::Refused;
use super::contents::{Content, Contents, Part, Span, Void};

/// Moments, covered or free. All that is asked or added costs next to nothing: a forest of disjoint sets, in which each
/// covered moment points towards the next free one.
pub(super) struct Cover {
    next: Vec<u32>,
}

impl Cover {
    /// The moments up to this one, all free.
    pub(super) fn new(end: u32) -> Cover {
        Cover { next: (0..=end + 1).collect() }
    }

    /// The first free moment that is not before this one.
    pub(super) fn free_from(&mut self, moment: u32) -> u32 {
        let mut at = moment;
        while self.next[at as usize] != at {
            self.next[at as usize] = self.next[self.next[at as usize] as usize];
            at = self.next[at as usize];
        }
        at
    }

    /// Covers a span.
    pub(super) fn add(&mut self, span: Span) {
        let mut at = self.free_from(span.start);
        while at < span.end {
            self.next[at as usize] = at + 1;
            at = self.free_from(at);
        }
    }
}

/// The moments at which operations that found nothing can have happened: for each the first at which nothing need have
/// been there.
///
/// # Errors
/// One that has no such moment, with the fewest values of which at any moment one was there for sure.
pub(super) fn place_voids(contents: &Contents, budget: &mut Budget<'_>) -> Result<Vec<u32>, Refused> {
    if contents.voids.is_empty() {
        return Ok(Vec::new());
    }
    let mut cover = Cover::new(contents.end);
    for value in &contents.values {
        budget.work(1)?;
        cover.add(value.surely());
    }
    let place = |(at, void): (usize, &Void)| {
        let moment = cover.free_from(void.span.start);
        if moment < void.span.end { Ok(moment) } else { Err(at) }
    };
    budget.look()?;
    contents.voids.iter().enumerate().map(place).collect::<Result<Vec<u32>, usize>>().map_err(|void| {
        let surely = contents.values.iter().map(Content::surely).enumerate();
        let chain = chain(surely, &contents.voids[void].span).into_iter().map(Part::Value);
        Refused::Parts(chain.chain([Part::Void(void)]).collect())
    })
}

/// The fewest of these by which each moment of the span is covered, if there are such: always the one that reaches farthest.
pub(super) fn chain(spans: impl Iterator<Item = (usize, Span)>, whole: &Span) -> Vec<usize> {
    let touching = spans.filter(|(_, span)| !span.is_empty() && span.start < whole.end && span.end > whole.start);
    let mut by_start: Vec<(usize, Span)> = touching.collect();
    by_start.sort_unstable_by_key(|(_, span)| span.start);
    let mut coming = by_start.into_iter().peekable();
    let mut chain = Vec::new();
    let (mut covered, mut farthest) = (whole.start, None);
    while covered < whole.end {
        while let Some((at, span)) = coming.next_if(|(_, span)| span.start <= covered) {
            farthest = farthest.max(Some((span.end, at)));
        }
        let Some((end, at)) = farthest.filter(|(end, _)| *end > covered) else { break };
        covered = end;
        chain.push(at);
    }
    chain
}
