//! Users leave as a file.

use kana_core::Timestamp;
use kana_core::change::{AuditEntry, AuditKind};

use super::Environment;
use crate::error::Error;
use crate::feed::Recorder;
use crate::retry::retry;

impl Environment {
    /// Notes in the audit log that the actor takes users away as a file. Returns when.
    pub async fn note_user_export(&self) -> Result<Timestamp, Error> {
        retry(|| async {
            let now = self.now();
            let mut recorder = Recorder::default();
            let entry = AuditEntry {
                action: "exportUsers",
                kind: AuditKind::User,
                subject: None,
                before: None,
                after: None,
            };
            recorder.audit(&self.actor, now, vec![entry]);
            let mut transaction = self.kana().store.write().await?;
            transaction.append(self.id(), recorder.finish()).await?;
            transaction.commit().await?;
            Ok(now)
        })
        .await
    }
}
