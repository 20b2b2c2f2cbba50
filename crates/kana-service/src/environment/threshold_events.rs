//! Thresholds that usage has reached.

use kana_core::Refusal;
use kana_core::id::UserId;
use kana_core::threshold::ThresholdEvent;
use uuid::Uuid;

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// A page of threshold events with the ids of their users, oldest first.
#[derive(Debug)]
pub struct ThresholdEventPage {
    /// The events.
    pub events: Vec<(UserId, ThresholdEvent)>,
    /// Whether there are more after these.
    pub has_more: bool,
}

impl EnvironmentView {
    /// Returns the first `limit` threshold events, of one user or of all, after the one with the id
    /// `after`. Fails if the user does not exist.
    pub async fn threshold_events(
        &self,
        user: Option<&UserId>,
        after: Option<Uuid>,
        limit: usize,
    ) -> Result<ThresholdEventPage, Error> {
        retry(|| async move {
            let mut transaction = self.begin().await?;
            let key = match user {
                None => None,
                Some(id) => {
                    let found = transaction.users(self.id(), std::slice::from_ref(id)).await?;
                    let found = found.into_iter().next().flatten();
                    Some(found.ok_or_else(|| Refusal::UserNotFound(id.clone()))?.key)
                }
            };
            let mut events = transaction.threshold_events(self.id(), key, after, limit + 1).await?;
            let has_more = events.len() > limit;
            events.truncate(limit);
            Ok(ThresholdEventPage { events, has_more })
        })
        .await
    }
}
