//! All checks, one after the other.

use kana_core::Timestamp;

use super::finding::Finding;
use super::kept_events::KeptEvents;
use super::snapshot::{Row, Snapshot};
use super::{counters, draws, replays, statements, subscription_columns};
use crate::error::StoreError;

/// Runs every check, and passes on what each finds as it finds it. What cannot be read is a finding, too,
/// and the next check goes on. Fails only if the database is away or held by another process.
pub(crate) async fn run(
    snapshot: &mut dyn Snapshot,
    now: Timestamp,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    for (check, sql) in statements::all(snapshot.dialect(), now) {
        let mut take = |row: &Row| {
            let (subject, text) = (row.text(0)?.to_owned(), row.text(1)?.to_owned());
            found(Finding { check, subject, found: text });
            Ok(())
        };
        let done = snapshot.each(&sql, &mut take).await;
        or_finding(check, done, found)?;
    }
    let done = subscription_columns::check(snapshot, found).await;
    or_finding("subscriptions", done, found)?;
    let done = draws::check(snapshot, found).await;
    or_finding("grants", done, found)?;
    let kept = KeptEvents::read(snapshot, now).await;
    let Some(kept) = or_finding("counters", kept, found)? else {
        return Ok(());
    };
    let done = counters::check(snapshot, &kept, found).await;
    or_finding("counters", done, found)?;
    let done = replays::check(snapshot, &kept, found).await;
    or_finding("replays", done, found)?;
    Ok(())
}

/// Returns what is wrong with the first grant of which another amount is drawn than counters drew.
pub(crate) async fn wrong_draw(snapshot: &mut dyn Snapshot) -> Result<Option<Finding>, StoreError> {
    let mut first = None;
    draws::check(snapshot, &mut |finding| {
        first.get_or_insert(finding);
    })
    .await?;
    Ok(first)
}

/// Turns an error into a finding, unless the database cannot be reached at all.
fn or_finding<T>(
    check: &'static str,
    done: Result<T, StoreError>,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<Option<T>, StoreError> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error @ (StoreError::Unavailable(_) | StoreError::Busy(_))) => Err(error),
        Err(error) => {
            let (subject, text) = ("database".to_owned(), format!("cannot be read: {error}"));
            found(Finding { check, subject, found: text });
            Ok(None)
        }
    }
}
