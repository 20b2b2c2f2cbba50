//! What there is to know of one user.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::entitlement::{Entitlement, current_entitlements};
use kana_core::facts::Obstacle;
use kana_core::grant::Grant;
use kana_core::hold::Hold;
use kana_core::id::{FeatureId, UserId};
use kana_core::overrides::Override;
use kana_core::subscription::Subscription;
use kana_core::usage_history::{UsageHistory, show_usage};
use kana_core::user::User;

use super::grants::current_grants;
use super::holds::living_holds;
use super::overrides::living_overrides;
use super::subscriptions::{as_of, newest_first};
use super::view::EnvironmentView;
use crate::error::Error;

/// The maximum number of subscriptions in a [`UserOverview`].
const SUBSCRIPTIONS_MAX: usize = 100;

/// A user with subscriptions, entitlements and usage, from one snapshot.
#[derive(Debug)]
pub struct UserOverview {
    /// The catalog, which has the features and packages that are named here.
    pub catalog: Arc<Catalog>,
    /// The user.
    pub user: User,
    /// The newest 100 subscriptions by start, then by creation, newest first, including those that have
    /// ended.
    pub subscriptions: Vec<Subscription>,
    /// Whether the user has more subscriptions than these.
    pub has_more_subscriptions: bool,
    /// The user's entitlement to every feature of the catalog, in the order of the catalog.
    pub entitlements: Vec<FeatureEntitlement>,
    /// The user's overrides that live, by their start, then by creation.
    pub overrides: Vec<Override>,
    /// The user's grants that have not ended, by feature in the order of the catalog, then in the order in
    /// which they are drawn.
    pub grants: Vec<Grant>,
    /// The user's holds that live, oldest first.
    pub holds: Vec<Hold>,
    /// When all of this is so.
    pub now: Timestamp,
    /// The usage of the feature that was asked for, as `showUsage` answers; without one, of the first
    /// feature whose usage is counted for the user now.
    pub usage: Option<(FeatureId, UsageHistory)>,
}

/// An answer of `canUseFeature` for one more of a feature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeatureEntitlement {
    /// The feature.
    pub feature: FeatureId,
    /// The answer.
    pub entitlement: Entitlement,
    /// When the usage is reset; `None` if it never is, or there is none.
    pub resets_at: Option<Timestamp>,
}

impl EnvironmentView {
    /// Returns the user with subscriptions, entitlements to all features, and the usage of `usage_of` or,
    /// without it, of the first feature whose usage is counted for the user now. Fails if the user or that feature does not exist.
    pub async fn user_overview(
        &self,
        user: &UserId,
        usage_of: Option<FeatureId>,
    ) -> Result<UserOverview, Error> {
        self.ask(user, move |catalog, facts, now| {
            let mut subscriptions = as_of(facts.all_subscriptions()?, now);
            newest_first(&mut subscriptions);
            let has_more_subscriptions = subscriptions.len() > SUBSCRIPTIONS_MAX;
            subscriptions.truncate(SUBSCRIPTIONS_MAX);
            let features: Vec<&FeatureId> = catalog.features().map(|feature| &feature.id).collect();
            let entitlements = current_entitlements(catalog, facts, features.iter().copied(), now)?;
            let counted = features.iter().zip(&entitlements);
            let first_counted = || {
                let mut counted = counted.filter(|(_, (_, period))| period.is_some());
                counted.next().map(|(feature, _)| (*feature).clone())
            };
            let usage = usage_of.clone().or_else(first_counted).map(|feature| {
                let usage = show_usage(catalog, facts, &feature, now)?;
                Ok::<_, Obstacle>((feature, usage))
            });
            let entitlements =
                features.into_iter().zip(entitlements).map(|(feature, (entitlement, period))| {
                    FeatureEntitlement {
                        feature: feature.clone(),
                        entitlement,
                        resets_at: period.and_then(|period| period.end),
                    }
                });
            Ok(UserOverview {
                catalog: Arc::clone(catalog),
                user: facts.profile()?.clone(),
                subscriptions,
                has_more_subscriptions,
                entitlements: entitlements.collect(),
                overrides: living_overrides(facts, now)?,
                grants: current_grants(catalog, facts, now)?,
                holds: living_holds(catalog, facts, now)?,
                now,
                usage: usage.transpose()?,
            })
        })
        .await
    }
}
