//! Grants of one user.

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::decide::{Answer, Command, CreateGrant, VoidGrant};
use kana_core::entitlement::find_feature;
use kana_core::facts::{Obstacle, UserFacts};
use kana_core::grant::Grant;
use kana_core::id::{FeatureId, GrantId, UserId};

use super::view::EnvironmentView;
use super::{ANSWERED_AS_ANOTHER, Environment};
use crate::error::Error;

impl EnvironmentView {
    /// Returns the user's grants of a feature that are kept, in the order in which they are drawn, and the
    /// instant at which they are so.
    pub async fn grants(
        &self,
        user: &UserId,
        feature: &FeatureId,
    ) -> Result<(Vec<Grant>, Timestamp), Error> {
        let feature = feature.clone();
        self.ask(user, move |catalog, facts, now| {
            find_feature(catalog, &feature)?;
            let of_feature = facts.grants()?.iter().filter(|grant| grant.feature == feature);
            let mut grants: Vec<Grant> = of_feature.cloned().collect();
            grants.sort_by(Grant::order);
            Ok((grants, now))
        })
        .await
    }
}

/// Returns the grants that have not ended, by feature in the order of the catalog, then in the order in
/// which they are drawn.
pub(super) fn current_grants(
    catalog: &Catalog,
    facts: &UserFacts,
    now: Timestamp,
) -> Result<Vec<Grant>, Obstacle> {
    let stored = facts.grants()?;
    let mut current = Vec::new();
    for feature in catalog.features() {
        let of_feature = stored.iter().filter(|grant| grant.feature == feature.id);
        let mut grants: Vec<Grant> =
            of_feature.filter(|grant| !grant.has_ended(now)).cloned().collect();
        grants.sort_by(Grant::order);
        current.extend(grants);
    }
    Ok(current)
}

impl Environment {
    /// Gives a user an extra amount of a feature, and returns the grant as it is at an instant. A repeated
    /// request, with the same id, returns it as it stands.
    pub async fn create_grant(&self, command: CreateGrant) -> Result<(Grant, Timestamp), Error> {
        self.submit_grant(Command::CreateGrant(command)).await
    }

    /// Ends a grant, and returns it as it is at an instant.
    pub async fn void_grant(&self, user: UserId, id: GrantId) -> Result<(Grant, Timestamp), Error> {
        self.submit_grant(Command::VoidGrant(VoidGrant { user, id })).await
    }

    async fn submit_grant(&self, command: Command) -> Result<(Grant, Timestamp), Error> {
        match self.submit(command).await?.answer {
            Answer::Grant(grant) => Ok((grant, self.now())),
            _ => Err(ANSWERED_AS_ANOTHER),
        }
    }
}
