//! How far a new environment has come.

use kana_core::catalog::PackageStatus;
use kana_core::day::Day;
use kana_core::id::FeatureId;

use super::view::EnvironmentView;
use crate::error::Error;
use crate::retry::retry;

/// Which of the steps to a first answer have been made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FirstSteps {
    /// There is a feature.
    pub has_feature: bool,
    /// There is a package.
    pub has_package: bool,
    /// A package was published.
    pub has_published: bool,
    /// There is a user.
    pub has_user: bool,
    /// Usage was recorded, counted or not.
    pub has_usage: bool,
}

impl EnvironmentView {
    /// Returns which of the first steps have been made, but for usage from one snapshot.
    pub async fn first_steps(&self) -> Result<FirstSteps, Error> {
        retry(|| async {
            let mut transaction = self.begin().await?;
            let catalog = self.catalog_in(transaction.as_mut()).await?;
            let users = transaction.users_after(self.id(), None, 1).await?;
            let features: Vec<FeatureId> =
                catalog.features().map(|feature| feature.id.clone()).collect();
            // An override or a grant keeps a feature, too.
            let kept = transaction.have_usage(self.id(), &features).await?.contains(&true);
            let mut packages = catalog.packages();
            Ok(FirstSteps {
                has_feature: !features.is_empty(),
                has_package: catalog.packages().next().is_some(),
                has_published: packages.any(|package| package.status != PackageStatus::Draft),
                has_user: !users.is_empty(),
                has_usage: kept && self.was_ever_used().await?,
            })
        })
        .await
    }

    /// Returns true if usage was ever recorded, as far as the usage by day tells.
    async fn was_ever_used(&self) -> Result<bool, Error> {
        let (store, id) = (&self.kana().store, self.id());
        // An older release may have recorded usage and not counted it by day.
        if store.usage_since(id).await?.is_some() {
            return Ok(true);
        }
        Ok(!store.usage_by_day(id, None, Day::MIN, Day::MAX).await?.is_empty())
    }
}
