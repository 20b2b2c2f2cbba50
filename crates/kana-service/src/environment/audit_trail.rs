//! The audit log as people read it: that of an environment together with what belongs to no environment
//! (contract: `dashboard.md`, "Audit").

use std::cmp::Reverse;

use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_store::feed::{AuditPage, AuditQuery, AuditRow};
use uuid::Uuid;

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// How many entries are read at once.
const AT_ONCE: usize = 200;
/// How often entries are read for one page, whatever its filter lets through.
const ROUNDS_MAX: usize = 10;

/// A place in the log: time and id of an entry.
pub type AuditPlace = (Timestamp, Uuid);

/// Which entries are asked for.
#[derive(Debug, Clone, Default)]
pub struct TrailQuery {
    /// Only those older than the one at this place.
    pub after: Option<AuditPlace>,
    /// How many at most, 1 or more.
    pub limit: usize,
    /// Only those about this kind of thing.
    pub kind: Option<AuditKind>,
    /// Only those about the thing with this id.
    pub item: Option<String>,
    /// Only those whose actor contains this, whatever the case. Empty: all.
    pub who: String,
}

/// A page of entries, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trail {
    /// The entries.
    pub rows: Vec<AuditRow>,
    /// Where the next page begins; `None` if there is none.
    pub next: Option<AuditPlace>,
    /// Whether the page ended before it was full, since too many entries were passed over.
    pub is_cut: bool,
}

impl EnvironmentView {
    /// Returns a page of the environment's entries and of those that belong to no environment.
    pub async fn audit_trail(&self, query: &TrailQuery) -> Result<Trail, Error> {
        let who = query.who.to_lowercase();
        let mut trail = Trail { next: query.after, ..Trail::default() };
        for _ in 0..ROUNDS_MAX {
            let (rows, has_more) = self.both_logs(query, trail.next).await?;
            let last = rows.len().checked_sub(1);
            for (index, row) in rows.into_iter().enumerate() {
                trail.next = Some(place(&row));
                if who.is_empty() || row.actor.to_lowercase().contains(&who) {
                    trail.rows.push(row);
                }
                if trail.rows.len() == query.limit {
                    let is_end = Some(index) == last && !has_more;
                    trail.next = trail.next.filter(|_| !is_end);
                    return Ok(trail);
                }
            }
            if !has_more {
                return Ok(Trail { next: None, ..trail });
            }
        }
        Ok(Trail { is_cut: true, ..trail })
    }

    /// Returns the next entries of both logs, and whether there are older ones.
    async fn both_logs(
        &self,
        query: &TrailQuery,
        after: Option<AuditPlace>,
    ) -> Result<(Vec<AuditRow>, bool), Error> {
        let query = &AuditQuery {
            after,
            limit: AT_ONCE,
            kind: query.kind,
            subject: query.item.clone(),
            ..AuditQuery::default()
        };
        let store = &self.kana().store;
        let own = self.audit_log(query).await?;
        let app = retry(|| async move { Ok(store.audit_log_of_app(query).await?) }).await?;
        Ok(merged(own, app))
    }
}

/// Merges two logs, as far as both were read.
fn merged(one: AuditPage, other: AuditPage) -> (Vec<AuditRow>, bool) {
    let read_to = |page: &AuditPage| page.rows.last().filter(|_| page.has_more).map(place);
    // What is older than the end of a log that has more waits for the rest of that one.
    let floor = read_to(&one).max(read_to(&other));
    let mut rows: Vec<AuditRow> = one.rows.into_iter().chain(other.rows).collect();
    rows.sort_by_key(|row| Reverse(place(row)));
    rows.retain(|row| Some(place(row)) >= floor);
    (rows, floor.is_some())
}

fn place(row: &AuditRow) -> AuditPlace {
    (row.at, row.id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn row(ms: i64, number: usize) -> AuditRow {
        AuditRow {
            id: Uuid::from_u128(number as u128 + 1),
            at: Timestamp::from_ms(ms),
            actor: String::new(),
            action: String::new(),
            kind: String::new(),
            subject: None,
            before: None,
            after: None,
            request_id: None,
        }
    }

    fn page(instants: &[i64], has_more: bool) -> AuditPage {
        AuditPage { rows: instants.iter().map(|ms| row(*ms, 0)).collect(), has_more }
    }

    /// A page of `log`, which is sorted newest first, as a store returns it.
    fn page_of(log: &[AuditRow], after: Option<AuditPlace>, limit: usize) -> AuditPage {
        let is_older = |row: &&AuditRow| after.is_none_or(|after| place(row) < after);
        let rest: Vec<_> = log.iter().filter(is_older).cloned().collect();
        let rows: Vec<_> = rest.iter().take(limit).cloned().collect();
        AuditPage { has_more: rest.len() > rows.len(), rows }
    }

    proptest! {
        #[test]
        fn pages_of_two_logs_are_the_pages_of_both(
            entries in prop::collection::vec((0_i64..20, any::<bool>()), 0..40),
            (limit, other_limit) in (1_usize..8, 1_usize..8),
        ) {
            let numbered = entries.iter().enumerate();
            let mut all: Vec<(AuditRow, bool)> =
                numbered.map(|(number, (ms, is_first))| (row(*ms, number), *is_first)).collect();
            all.sort_by_key(|(row, _)| Reverse(place(row)));
            let of = |wanted: bool| -> Vec<AuditRow> {
                let some = all.iter().filter(|(_, is_first)| *is_first == wanted);
                some.map(|(row, _)| row.clone()).collect()
            };
            let (one, other) = (of(true), of(false));
            let (mut after, mut found) = (None, Vec::new());
            loop {
                // A page may end early, for want of room.
                let pages = (page_of(&one, after, limit), page_of(&other, after, other_limit));
                let (rows, has_more) = merged(pages.0, pages.1);
                after = rows.last().map(place);
                found.extend(rows);
                if !has_more {
                    break;
                }
            }
            let expected: Vec<AuditRow> = all.into_iter().map(|(row, _)| row).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn two_logs_are_merged_as_far_as_both_were_read() {
        for (one, other, expected) in [
            (page(&[9, 5], false), page(&[7, 1], false), (vec![9, 7, 5, 1], false)),
            (page(&[9, 5], true), page(&[7, 1], false), (vec![9, 7, 5], true)),
            (page(&[9, 5], true), page(&[7, 6], true), (vec![9, 7, 6], true)),
            (page(&[], false), page(&[7, 6], true), (vec![7, 6], true)),
            (page(&[], false), page(&[], false), (vec![], false)),
        ] {
            let (rows, has_more) = merged(one, other);
            let instants: Vec<i64> = rows.iter().map(|row| row.at.as_ms()).collect();
            assert_eq!((instants, has_more), expected);
        }
    }
}
