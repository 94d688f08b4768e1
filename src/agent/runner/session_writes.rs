//! What a run has written to its session, and finding it there again.

use std::ops::Range;

use crate::item::Item;

/// How many items before the run's own tell them from the same items elsewhere; reading them all again costs more than it tells.
const MAX_BEFORE: usize = 16;

/// What a run has written, which stands in one piece as long as others only add to the session.
#[derive(Debug, Default)]
pub(super) struct SessionWrites {
    /// The latest items that were there before.
    before: Vec<Item>,
    /// What was written in one step each, oldest first.
    steps: Vec<Vec<Item>>,
}

impl SessionWrites {
    /// Nothing is written yet behind what was read.
    pub(super) fn behind(read: &[Item]) -> Self {
        let n_skipped = read.len().saturating_sub(MAX_BEFORE);
        Self {
            before: read.get(n_skipped..).unwrap_or_default().to_vec(),
            steps: Vec::new(),
        }
    }

    /// These items were written by an earlier execution, as the latest of what is there.
    pub(super) fn earlier(read: &[Item], own: Vec<Item>) -> Self {
        let n_before = read.len().saturating_sub(own.len());
        let mut written = Self::behind(read.get(..n_before).unwrap_or_default());
        written.add(own);
        written
    }

    pub(super) fn add(&mut self, items: Vec<Item>) {
        if !items.is_empty() {
            self.steps.push(items);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Finds what was written among the items of the session.
    ///
    /// It is looked for behind what was there before, and alone if that has changed. What a compactor has put into its summary is not
    /// there any more; the steps after it are.
    pub(super) fn find(&self, items: &[Item]) -> Option<Range<usize>> {
        if self.is_empty() {
            return None;
        }
        let own = self.steps.concat();
        let whole = [self.before.as_slice(), &own].concat();
        if let Some(end) = last_end(items, &whole) {
            return Some(end - own.len()..end);
        }
        // The oldest steps are the first that a compactor takes. So drop them one by one until the
        // rest is found.
        (0..self.steps.len()).find_map(|n_lost| {
            let rest = self.steps.get(n_lost..).unwrap_or_default().concat();
            let end = last_end(items, &rest)?;
            Some(end - rest.len()..end)
        })
    }
}

/// Where the last piece of a list that is equal to another list ends.
fn last_end(items: &[Item], piece: &[Item]) -> Option<usize> {
    let start = items
        .windows(piece.len().max(1))
        .rposition(|window| window == piece)?;
    Some(start + piece.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn items(words: &str) -> Vec<Item> {
        words.split_whitespace().map(Item::user).collect()
    }

    /// `before | first step | second step`, and the session.
    #[track_caller]
    fn check(written: &str, session: &str, rest: Option<&str>) {
        let mut parts = written.split('|').map(items);
        let mut written = SessionWrites::behind(&parts.next().unwrap());
        parts.for_each(|step| written.add(step));
        let mut session = items(session);
        let found = written.find(&session).map(|range| {
            session.drain(range);
            session
        });
        assert_eq!(found, rest.map(items));
    }

    #[test]
    fn what_was_written_is_found_where_it_was_written() {
        check("a b | q | t", "a b q t", Some("a b"));
        check("a b | q | t", "a b q t r s", Some("a b r s"));
        // The same words elsewhere are not the run's own.
        check("q a | q", "q a q b q c", Some("q a b q c"));
        check("| q", "q b q c", Some("q b c"));
        check("a | q | t", "q t a q t", Some("q t a"));
    }

    #[test]
    fn what_others_changed_is_left() {
        // The history was compacted, or its end taken away.
        check("a b | q | t", "s q t r", Some("s r"));
        check("a b | q | t", "s t r", Some("s r"));
        check("a b | q | t", "s r", None);
        check("a b | q | t", "", None);
        check("a b", "a b", None);
    }
}
