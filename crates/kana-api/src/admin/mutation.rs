use async_graphql::{Context, Object};
use kana_core::id::{PackageId, UserId};

use super::environment;
use super::feature::{CreateFeatureInput, Feature};
use super::package::{CreatePackageInput, Package};
use super::subscription::PackageSubscription;
use super::usage::{CreateUsageEventInput, RecordedUsage, UseFeatureInput, UsedFeature};
use super::user::{CreateUserInput, User};
use crate::error::ApiError;
use crate::graphql::scalars::DateTime;

/// What can be told.
pub(super) struct Mutation;

/// What can be told to the environment that the key belongs to. Once a mutation has answered, what
/// it did survives a crash.
#[Object(name = "Mutation")]
impl Mutation {
    /// Makes a feature. Errors: ValidationError, ConflictError for an id that is taken.
    async fn create_feature(
        &self,
        context: &Context<'_>,
        input: CreateFeatureInput,
    ) -> Result<Feature, ApiError> {
        let (catalog, id) = environment(context)?.create_feature(input.read()?).await?;
        Feature::find(catalog, &id)
    }

    /// Makes a package, as a DRAFT. Errors: ValidationError, ConflictError for an id that is
    /// taken, FeatureNotFoundError, PackageNotFoundError for an unknown base package.
    async fn create_package(
        &self,
        context: &Context<'_>,
        input: CreatePackageInput,
    ) -> Result<Package, ApiError> {
        let (catalog, id) = environment(context)?.create_package(input.read()?).await?;
        Package::find(catalog, &id)
    }

    /// Makes a user. Errors: ValidationError, ConflictError for an id that is taken.
    async fn create_user(
        &self,
        context: &Context<'_>,
        input: CreateUserInput,
    ) -> Result<User, ApiError> {
        Ok(User(environment(context)?.create_user(input.read()?).await?))
    }

    /// Subscribes a user to packages, all or none. Errors: ValidationError, UserNotFoundError,
    /// PackageNotFoundError, SubscriptionError.
    async fn subscribe(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "At least one; at most one base package")] package_ids: Vec<String>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(
            desc = "Backdate, for importing subscriptions that already run; never in the future"
        )]
        started_at: Option<DateTime>,
    ) -> Result<Vec<PackageSubscription>, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let packages = package_ids
            .iter()
            .map(|id| PackageId::new("packageIds", id))
            .collect::<Result<_, _>>()?;
        let started_at = started_at.map(|at| at.0);
        let (catalog, subscriptions) =
            environment(context)?.subscribe(user.clone(), packages, started_at).await?;
        Ok(PackageSubscription::all(&catalog, &user, subscriptions))
    }

    /// Records usage, also when it goes over a limit. Errors: ValidationError, UserNotFoundError,
    /// FeatureNotFoundError, IDEMPOTENCY_CONFLICT.
    async fn record_usage(
        &self,
        context: &Context<'_>,
        input: CreateUsageEventInput,
    ) -> Result<RecordedUsage, ApiError> {
        Ok(RecordedUsage(environment(context)?.record_usage(input.read()?).await?))
    }

    /// The older form of recordUsage: true when the usage was recorded, false when it was not
    async fn create_usage_event(
        &self,
        context: &Context<'_>,
        input: CreateUsageEventInput,
    ) -> Result<bool, ApiError> {
        Ok(environment(context)?.record_usage(input.read()?).await?.recorded())
    }

    /// Puts a draft package on offer; a published one stays as it is. Errors:
    /// PackageNotFoundError, ValidationError for an archived or an empty one.
    async fn publish_package(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the package")] id: String,
    ) -> Result<Package, ApiError> {
        let id = PackageId::new("id", &id)?;
        let (catalog, id) = environment(context)?.publish_package(id).await?;
        Package::find(catalog, &id)
    }

    /// Cancels a subscription and, with a base package, the user's add-ons. Again changes nothing.
    /// Errors: SubscriptionNotFoundError.
    async fn cancel_subscription(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Kana's own id of the subscription")] id: String,
    ) -> Result<PackageSubscription, ApiError> {
        let (catalog, user, subscription) = environment(context)?.cancel_subscription(&id).await?;
        Ok(PackageSubscription::new(catalog, user, subscription))
    }

    /// Checks and records in one atomic step: nothing is recorded unless granted. Errors:
    /// ValidationError, UserNotFoundError, FeatureNotFoundError, IDEMPOTENCY_CONFLICT.
    async fn use_feature(
        &self,
        context: &Context<'_>,
        input: UseFeatureInput,
    ) -> Result<UsedFeature, ApiError> {
        Ok(UsedFeature(environment(context)?.use_feature(input.read()?).await?))
    }
}
