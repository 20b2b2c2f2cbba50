use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use kana_core::catalog::Catalog;
use kana_core::entitlement::{self, Entitlement};
use kana_core::id::{FeatureId, PackageId, UserId};
use kana_core::subscription::AsOf;
use kana_core::user::User;
use kana_store::EnvironmentKind;
use kana_telemetry::metrics::usage::Asked;

use super::view::EnvironmentView;
use crate::access::IssuedFor;
use crate::counted;
use crate::error::{Error, Unauthenticated};

/// One user of an environment, as the user's browser may see it: opened by a user token, or by a public
/// key with the user's id. Read-only.
#[derive(Clone)]
pub struct ClientUser {
    environment: EnvironmentView,
    id: UserId,
    issued_for: Option<IssuedFor>,
}

/// What a browser sees of its user, from one snapshot.
#[derive(Debug)]
pub struct ClientView {
    /// The catalog, which has the packages and their features.
    pub catalog: Arc<Catalog>,
    /// The user.
    pub user: User,
    /// The packages of the granting subscriptions, each once, oldest subscription first.
    pub packages: Vec<PackageId>,
    /// The user's entitlements to the features of these packages, over all subscriptions; empty unless
    /// asked for.
    pub entitlements: HashMap<FeatureId, Entitlement>,
}

impl ClientUser {
    pub(super) fn new(
        environment: EnvironmentView,
        id: UserId,
        issued_for: Option<IssuedFor>,
    ) -> Self {
        Self { environment, id, issued_for }
    }

    /// Returns the environment in which the user is.
    #[must_use]
    pub fn kind(&self) -> EnvironmentKind {
        self.environment.kind()
    }

    /// Returns the user's id, as the browser gave it.
    #[must_use]
    pub fn id(&self) -> &UserId {
        &self.id
    }

    /// Returns the user with packages and, if asked for, entitlements.
    pub async fn view(&self, with_entitlements: bool) -> Result<ClientView, Error> {
        let view = self
            .environment
            .ask(&self.id, move |catalog, facts, now| {
                let mut granting: Vec<_> = facts
                    .subscriptions()
                    .iter()
                    .filter(|subscription| subscription.grants_as_of(AsOf::Now(now)))
                    .collect();
                granting.sort_by_key(|subscription| (subscription.started_at, subscription.id));
                let mut seen = HashSet::new();
                let packages: Vec<PackageId> = granting
                    .into_iter()
                    .map(|subscription| subscription.package.clone())
                    .filter(|package| seen.insert(package.clone()))
                    .collect();
                let features: HashSet<FeatureId> = packages
                    .iter()
                    .filter_map(|package| catalog.package(package))
                    .filter(|_| with_entitlements)
                    .flat_map(|package| package.features.keys().cloned())
                    .collect();
                let features: Vec<FeatureId> = features.into_iter().collect();
                let entitlements =
                    entitlement::entitlements(catalog, facts, &features, AsOf::Now(now))?;
                Ok(ClientView {
                    catalog: Arc::clone(catalog),
                    user: facts.profile()?.clone(),
                    packages,
                    entitlements: features.into_iter().zip(entitlements).collect(),
                })
            })
            .await?;
        if self.issued_for.is_some_and(|issued_for| !issued_for.is(view.user.key)) {
            return Err(Unauthenticated::InvalidToken.into());
        }
        for entitlement in view.entitlements.values() {
            counted::decision(Asked::Client, self.environment.kind(), entitlement.reason);
        }
        Ok(view)
    }
}
