//! Quantities of subscriptions can be read.

use super::finding::Finding;
use super::references::environment;
use super::snapshot::{Row, Snapshot};
use crate::error::StoreError;
use crate::quantities_column::quantities_from_text;

/// Passes on the subscriptions whose quantities are none.
pub(super) async fn check(
    snapshot: &mut dyn Snapshot,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    let (id, environment) = (snapshot.dialect().id("s.id"), environment("s"));
    let rows = format!(
        "SELECT 'subscription ' || {id} || ' in ' || {environment}, s.quantities
         FROM subscriptions s WHERE s.quantities IS NOT NULL"
    );
    let mut take = |row: &Row| {
        if let Err(error) = quantities_from_text(Some(row.text(1)?)) {
            let why = match error {
                StoreError::Unreadable(why) => why,
                other => other.to_string(),
            };
            let subject = row.text(0)?.to_owned();
            let text = format!("has quantities that cannot be read: {why}");
            found(Finding { check: "subscriptions", subject, found: text });
        }
        Ok(())
    };
    snapshot.each(&rows, &mut take).await
}
