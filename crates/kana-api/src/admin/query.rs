use async_graphql::{Context, Object};
use kana_core::id::{FeatureId, PackageId, UserId};

use super::environment;
use super::feature::Feature;
use super::package::Package;
use super::subscription::PackageSubscription;
use super::usage::{CanUseFeatureData, ShowUsageData};
use super::user::User;
use crate::error::ApiError;

/// What can be asked.
pub(super) struct Query;

/// What can be asked of the environment that the key belongs to.
#[Object(name = "Query")]
impl Query {
    /// The feature with this id. Errors: FeatureNotFoundError.
    async fn feature(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the feature")] id: String,
    ) -> Result<Feature, ApiError> {
        let id = FeatureId::new("id", &id)?;
        Feature::find(environment(context)?.catalog().await?, &id)
    }

    /// Whether the user may use so much of the feature now. Errors: ValidationError for a negative
    /// delta, UserNotFoundError, FeatureNotFoundError.
    async fn can_use_feature(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
        #[graphql(
            desc = "How much is to be used, 0 or more, in the feature's unit; ignored for BINARY",
            default_with = "Some(1)"
        )]
        delta: Option<i32>,
    ) -> Result<CanUseFeatureData, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        let delta = delta.unwrap_or(1).into();
        Ok(environment(context)?.can_use_feature(&user, &feature, delta).await?.into())
    }

    /// What the user used of the feature, in the current period and in earlier ones. Errors:
    /// UserNotFoundError, FeatureNotFoundError.
    async fn show_usage(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
    ) -> Result<ShowUsageData, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        Ok(ShowUsageData(environment(context)?.show_usage(&user, &feature).await?))
    }

    /// The package with this id, whatever its status. Errors: PackageNotFoundError.
    async fn package(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the package")] id: String,
        #[graphql(desc = "Accepted and changes nothing: the selection set decides")]
        include_features: Option<bool>,
    ) -> Result<Package, ApiError> {
        let _ = include_features;
        let id = PackageId::new("id", &id)?;
        Package::find(environment(context)?.catalog().await?, &id)
    }

    /// The user with this id. Errors: UserNotFoundError.
    async fn user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] id: String,
    ) -> Result<User, ApiError> {
        let id = UserId::new("id", &id)?;
        Ok(User(environment(context)?.user(&id).await?))
    }

    /// The subscription with this id. Errors: SubscriptionNotFoundError.
    async fn subscription(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Kana's own id of the subscription")] id: String,
    ) -> Result<PackageSubscription, ApiError> {
        let (catalog, user, subscription) = environment(context)?.subscription(&id).await?;
        Ok(PackageSubscription::new(catalog, user, subscription))
    }
}
