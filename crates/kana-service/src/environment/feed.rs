//! What happened in an environment: its changes feed and its audit log.

use kana_core::Refusal;
use kana_core::refusal::InvalidValue;
use kana_store::feed::{AuditPage, AuditQuery, ChangesPage, ChangesQuery};

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

impl EnvironmentView {
    /// Returns a page of the changes feed (contract: `changes.md`, "Admin API").
    ///
    /// Fails with [`ChangesGone`](Refusal::ChangesGone) if changes after the query's number have been
    /// deleted, and with [`Invalid`](Refusal::Invalid) if the number is above the newest one.
    pub async fn changes(&self, query: &ChangesQuery) -> Result<ChangesPage, Error> {
        let (store, id) = (&self.kana().store, self.id());
        let page = retry(|| async move { Ok(store.changes(id, query).await?) }).await?;
        match query.after {
            Some(after) if after > page.newest => {
                let problem =
                    format!("must be at most {}, the number of the newest change", page.newest);
                Err(InvalidValue::new("after", problem).into())
            }
            Some(after) if after + 1 < page.oldest => {
                Err(Refusal::ChangesGone { oldest: page.oldest }.into())
            }
            _ => Ok(page),
        }
    }

    /// Returns a page of the audit log, newest first (contract: `operations.md`, "Audit log").
    pub async fn audit_log(&self, query: &AuditQuery) -> Result<AuditPage, Error> {
        let (store, id) = (&self.kana().store, self.id());
        retry(|| async move { Ok(store.audit_log(id, query).await?) }).await
    }
}
