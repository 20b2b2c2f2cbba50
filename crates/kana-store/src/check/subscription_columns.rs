//! Quantities and timings of subscriptions can be read.

use super::finding::Finding;
use super::references::environment;
use super::snapshot::{Row, Snapshot};
use crate::error::StoreError;
use crate::quantities_column::quantities_from_text;
use crate::timing_column::timing_from_text;

/// Passes on the subscriptions whose quantities or timing are none.
pub(super) async fn check(
    snapshot: &mut dyn Snapshot,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    let (id, environment) = (snapshot.dialect().id("s.id"), environment("s"));
    let rows = |column: &str| {
        format!(
            "SELECT 'subscription ' || {id} || ' in ' || {environment}, s.{column}
             FROM subscriptions s WHERE s.{column} IS NOT NULL"
        )
    };
    let mut pass_on = |row: &Row, what: &str, error: Option<StoreError>| {
        let Some(error) = error else { return Ok(()) };
        let why = match error {
            StoreError::Unreadable(why) => why,
            other => other.to_string(),
        };
        let subject = row.text(0)?.to_owned();
        let text = format!("has {what} that cannot be read: {why}");
        found(Finding { check: "subscriptions", subject, found: text });
        Ok::<_, StoreError>(())
    };
    let mut take =
        |row: &Row| pass_on(row, "quantities", quantities_from_text(Some(row.text(1)?)).err());
    snapshot.each(&rows("quantities"), &mut take).await?;
    let mut take = |row: &Row| pass_on(row, "a timing", timing_from_text(Some(row.text(1)?)).err());
    snapshot.each(&rows("timing"), &mut take).await
}
