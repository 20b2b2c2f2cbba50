//! The usage events of a user.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kana_core::catalog::Catalog;
use kana_core::id::{PackageId, SubscriptionId, UserId};
use kana_core::usage::UsageEvent;
use kana_core::user::User;
use kana_core::{Refusal, Timestamp};
use kana_store::usage_events::EventCursor;

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// How long a call looks for events.
const PATIENCE: Duration = Duration::from_millis(30);

/// Usage events of a user.
#[derive(Debug)]
pub struct UserEvents {
    /// The user.
    pub user: User,
    /// The events, newest first by when they were recorded.
    pub events: Vec<UserEvent>,
    /// Everything that was recorded after this instant was looked at; `None` if there is nothing older.
    pub looked_back_to: Option<Timestamp>,
    /// Where to look further back; `None` if everything was looked at.
    pub next: Option<EventCursor>,
    /// The catalog that has the features and packages of the events.
    pub catalog: Arc<Catalog>,
}

/// A usage event.
#[derive(Debug, Clone, PartialEq)]
pub struct UserEvent {
    /// The event as it was recorded.
    pub event: UsageEvent,
    /// The package of the subscription that it was counted under; `None` if it was not counted.
    pub package: Option<PackageId>,
}

impl EnvironmentView {
    /// Looks for at most `limit` usage events of a user, from the newest or from `after` backwards, for
    /// about 30 milliseconds. There is no index of events by user, so a call may find fewer than there
    /// are, or none, and says how far it has looked.
    ///
    /// Fails if the user does not exist.
    pub async fn user_events(
        &self,
        user: &UserId,
        after: Option<EventCursor>,
        limit: usize,
    ) -> Result<UserEvents, Error> {
        let user = user.clone();
        self.off_thread(move |view| async move {
            retry(|| view.try_user_events(&user, after, limit)).await
        })
        .await
    }

    async fn try_user_events(
        &self,
        user: &UserId,
        after: Option<EventCursor>,
        limit: usize,
    ) -> Result<UserEvents, Error> {
        let mut transaction = self.begin().await?;
        let found = transaction.users(self.id(), std::slice::from_ref(user)).await?;
        let Some(user) = found.into_iter().next().flatten() else {
            return Err(Refusal::UserNotFound(user.clone()).into());
        };
        let found = transaction.events_of(self.id(), user.key, after, limit, PATIENCE).await?;
        let counted = found.events.iter().filter_map(|event| event.subscription);
        let counted: Vec<SubscriptionId> = counted.collect::<BTreeSet<_>>().into_iter().collect();
        let packages: HashMap<SubscriptionId, PackageId> = transaction
            .subscriptions(self.id(), &counted)
            .await?
            .into_iter()
            .flatten()
            .map(|(_, subscription)| (subscription.id, subscription.package))
            .collect();
        let with_package = |event: UsageEvent| {
            let package = event.subscription.and_then(|id| packages.get(&id).cloned());
            UserEvent { event, package }
        };
        Ok(UserEvents {
            user,
            events: found.events.into_iter().map(with_package).collect(),
            looked_back_to: found.looked_back_to,
            next: found.next,
            catalog: self.catalog_in(transaction.as_mut()).await?,
        })
    }
}
