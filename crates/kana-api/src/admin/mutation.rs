use async_graphql::{Context, Object, SimpleObject};
use kana_core::Refusal;
use kana_core::decide::{ExtendHold, ReleaseHold, SettleHold};
use kana_core::id::{FeatureId, GrantId, HoldId, IdempotencyKey, PackageId, UserId};
use kana_core::refusal::InvalidValue;
use kana_core::subscribing::Subscribe;
use kana_graphql::List;
use kana_service::{Error, to_subscribe};

use super::environment::environment;
use super::feature::{CreateFeatureInput, Feature, UpdateFeatureInput};
use super::grants::{CreateGrantInput, Grant};
use super::holds::{CreateHoldInput, HeldFeature, Hold};
use super::overrides::{Override, SetOverrideInput};
use super::package::{CreatePackageInput, Package, UpdatePackageInput};
use super::query::selects_subscriptions;
use super::subscription::{ChangePackageInput, PackageSubscription, UpdateSubscriptionInput};
use super::usage::{
    CreateUsageEventInput, RecordedUsage, RecordedUsageResult, UseFeatureInput, UsedFeature,
    VoidedUsage,
};
use super::user::{CreateUserInput, UpdateUserInput, User};
use crate::error::ApiError;
use crate::scalars::DateTime;

/// The most inputs of a batch.
const BATCH_INPUTS_MAX: usize = 10_000;

/// What can be told.
pub(super) struct Mutation;

/// What can be told to the environment that the key belongs to. Once a mutation has answered, what
/// it did survives a crash.
#[allow(clippy::too_many_arguments, reason = "an argument for each of the contract's")]
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
        Ok(User::created(environment(context)?.create_user(input.read()?).await?))
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
        #[graphql(
            desc = "How many of each package, 1 to 1,000,000: every limit counts so many times. Default 1"
        )]
        quantities: Option<Vec<i32>>,
        #[graphql(
            desc = "When the subscriptions start, in the future; not together with startedAt. A user can have \
                    10 subscriptions that have not begun"
        )]
        starts_at: Option<DateTime>,
        #[graphql(desc = "How many days of 24 hours they are TRIALING from their start, 1 to 730")]
        trial_days: Option<i32>,
        #[graphql(
            desc = "Whether they end with the trial; needs trialDays",
            default_with = "Some(false)"
        )]
        cancel_at_trial_end: Option<bool>,
    ) -> Result<List<PackageSubscription>, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let packages = package_ids
            .iter()
            .map(|id| PackageId::new("packageIds", id))
            .collect::<Result<_, _>>()?;
        let command = Subscribe {
            quantities: quantities.map(|all| all.into_iter().map(i64::from).collect()),
            started_at: started_at.map(|at| at.0),
            starts_at: starts_at.map(|at| at.0),
            trial_days: trial_days.map(i64::from),
            cancel_at_trial_end: cancel_at_trial_end.unwrap_or(false),
            ..to_subscribe(user.clone(), packages)
        };
        let (catalog, subscriptions) = environment(context)?.subscribe_to(command).await?;
        Ok(PackageSubscription::all(&catalog, &user, subscriptions).into())
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

    /// Cancels a subscription at once and, with a base package, the user's add-ons. Again changes nothing.
    /// Errors: SubscriptionNotFoundError.
    async fn cancel_subscription(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Kana's own id of the subscription")] id: String,
    ) -> Result<PackageSubscription, ApiError> {
        let (catalog, user, subscription) = environment(context)?.cancel_subscription(&id).await?;
        Ok(PackageSubscription::new(catalog, user, subscription))
    }

    /// Changes a subscription that has not ended; what is left out stays as it is. A quantity counts at
    /// once, and earlier periods keep their limits. Add-ons end with their base. Errors: ValidationError,
    /// SubscriptionNotFoundError, SubscriptionError for one that has ended, or whose new end makes it
    /// overlap another.
    async fn update_subscription(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Kana's own id of the subscription")] id: String,
        #[graphql(desc = "What is to change")] input: UpdateSubscriptionInput,
    ) -> Result<PackageSubscription, ApiError> {
        let (catalog, user, subscription) =
            environment(context)?.update_subscription(&id, input.read()).await?;
        Ok(PackageSubscription::new(catalog, user, subscription))
    }

    /// Ends a subscription and begins one to another package at that very instant: a base to a base, an
    /// add-on to an add-on. Answers the new one, which has no end and no trial, and counts from zero unless
    /// carryUsage says otherwise. Add-ons that may be added to the new base go on with it; the others end with
    /// the old one. Errors:
    /// ValidationError, SubscriptionNotFoundError, PackageNotFoundError, SubscriptionError.
    async fn change_package(
        &self,
        context: &Context<'_>,
        input: ChangePackageInput,
    ) -> Result<PackageSubscription, ApiError> {
        let (id, change) = input.read()?;
        let (catalog, user, subscription) =
            environment(context)?.change_package(&id, change).await?;
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

    /// Takes back what the event under an idempotency key has added, once; the key stays used. Errors:
    /// UsageNotFoundError for an unknown key or one that is forgotten, ValidationError for a SET.
    async fn void_usage(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The key that the event was recorded under")] idempotency_key: String,
    ) -> Result<VoidedUsage, ApiError> {
        let key = IdempotencyKey::new("idempotencyKey", &idempotency_key)?;
        Ok(VoidedUsage(environment(context)?.void_usage(key).await?))
    }

    /// Changes a feature's names, thresholds and metadata. Errors: FeatureNotFoundError,
    /// ValidationError.
    async fn update_feature(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the feature")] id: String,
        input: UpdateFeatureInput,
    ) -> Result<Feature, ApiError> {
        let id = FeatureId::new("id", &id)?;
        let (catalog, id) = environment(context)?.update_feature(id, input.read()?).await?;
        Feature::find(catalog, &id)
    }

    /// Changes a package's metadata. Errors: PackageNotFoundError, ValidationError.
    async fn update_package(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the package")] id: String,
        input: UpdatePackageInput,
    ) -> Result<Package, ApiError> {
        let id = PackageId::new("id", &id)?;
        let (catalog, id) = environment(context)?.update_package(id, input.read()?).await?;
        Package::find(catalog, &id)
    }

    /// Changes what is known of a user. Errors: UserNotFoundError, ValidationError, ConflictError
    /// for a new id that is taken.
    async fn update_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user until now")] id: String,
        input: UpdateUserInput,
    ) -> Result<User, ApiError> {
        let id = UserId::new("id", &id)?;
        let (environment, edit) = (environment(context)?, input.read()?);
        let subscriptions = match selects_subscriptions(&context.look_ahead()) {
            true => Some(environment.subscriptions(&id).await?),
            false => None,
        };
        Ok(User::updated(environment.update_user(id, edit).await?, subscriptions))
    }

    /// Deletes a user for good: subscriptions that run are cancelled, and name, e-mail, billing id,
    /// metadata and the id are forgotten. Usage stays, under a random id. The id is free again. Always
    /// true. Errors: UserNotFoundError.
    async fn delete_user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] id: String,
    ) -> Result<bool, ApiError> {
        environment(context)?.delete_user(UserId::new("id", &id)?).await?;
        Ok(true)
    }

    /// Sets other terms of a feature for one user, at once. An override that lives keeps its id, its start
    /// and what was used of it. Errors: ValidationError, also for more than 100 of one user,
    /// UserNotFoundError, FeatureNotFoundError.
    async fn set_override(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Whose, and what it says")] input: SetOverrideInput,
    ) -> Result<Override, ApiError> {
        let (user, feature, input, about) = input.read()?;
        let set = environment(context)?.set_override(user.clone(), feature, input, about).await?;
        Ok(Override::new(user, set))
    }

    /// Removes the user's override of a feature: true if one lived. What was used stays counted. Errors:
    /// UserNotFoundError, FeatureNotFoundError.
    async fn remove_override(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
    ) -> Result<bool, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        Ok(environment(context)?.remove_override(user, feature).await?)
    }

    /// Gives one user an extra amount of a CONSUMABLE feature, at once or from a later instant on. The same
    /// id with the same content answers the grant as it stands. Errors: ValidationError, also for more than
    /// 20 of one user and feature that have not ended, UserNotFoundError, FeatureNotFoundError, ConflictError
    /// for an id that was used with other content.
    async fn create_grant(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "Whose, of what and how much")] input: CreateGrantInput,
    ) -> Result<Grant, ApiError> {
        let command = input.read()?;
        let user = command.user.clone();
        let (grant, now) = environment(context)?.create_grant(command).await?;
        Ok(Grant::new(user, grant, now))
    }

    /// Ends a grant at once; what was drawn from it stays drawn. One that was voided before stays as it is.
    /// Errors: UserNotFoundError, GrantNotFoundError.
    async fn void_grant(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the grant")] id: String,
    ) -> Result<Grant, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let id = GrantId::new("id", &id)?;
        let (grant, now) = environment(context)?.void_grant(user.clone(), id).await?;
        Ok(Grant::new(user, grant, now))
    }

    /// Checks as useFeature does whether the user may use so much and, if so, holds it for a job, in one
    /// atomic step. The same id with the same feature and amount answers the hold as it stands. Errors:
    /// ValidationError, also for a BINARY feature and for more than 100 that live of one user and balance,
    /// UserNotFoundError, FeatureNotFoundError, ConflictError for an id that was used with other content.
    async fn create_hold(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "For whom, of what, how much and how long")] input: CreateHoldInput,
    ) -> Result<HeldFeature, ApiError> {
        let command = input.read()?;
        let user = command.user.clone();
        Ok(HeldFeature::new(user, environment(context)?.create_hold(command).await?))
    }

    /// Ends a hold, also one that has expired, with what was used: less than was held, as much or more. It
    /// counts where the hold was made. Again with the same amount changes nothing. Errors: ValidationError,
    /// UserNotFoundError, HoldNotFoundError, ConflictError for one that was released, or settled with
    /// another amount.
    async fn settle_hold(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the hold")] id: String,
        #[graphql(desc = "What was used, in the feature's unit; absent = what was held")]
        amount: Option<i32>,
    ) -> Result<Hold, ApiError> {
        let (user, id) = user_and_hold(&user_id, &id)?;
        let amount = amount.map(i64::from);
        let command = SettleHold { user: user.clone(), id, amount };
        Ok(Hold::new(user, environment(context)?.settle_hold(command).await?))
    }

    /// Ends a hold of which nothing was used. Again changes nothing. Errors: UserNotFoundError,
    /// HoldNotFoundError, ConflictError for one that was settled.
    async fn release_hold(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the hold")] id: String,
    ) -> Result<Hold, ApiError> {
        let (user, id) = user_and_hold(&user_id, &id)?;
        let command = ReleaseHold { user: user.clone(), id };
        Ok(Hold::new(user, environment(context)?.release_hold(command).await?))
    }

    /// Lets a hold expire so many seconds from now. Errors: ValidationError, UserNotFoundError,
    /// HoldNotFoundError, ConflictError for one that does not live any more.
    async fn extend_hold(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the hold")] id: String,
        #[graphql(desc = "1 to 604,800", default = 900)] ttl_seconds: i32,
    ) -> Result<Hold, ApiError> {
        let (user, id) = user_and_hold(&user_id, &id)?;
        let command = ExtendHold { user: user.clone(), id, ttl_seconds: ttl_seconds.into() };
        Ok(Hold::new(user, environment(context)?.extend_hold(command).await?))
    }

    /// Takes a published package off offer; nothing changes for those who are subscribed, and an
    /// archived one stays as it is. Errors: PackageNotFoundError, ValidationError for a draft.
    async fn archive_package(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the package")] id: String,
    ) -> Result<Package, ApiError> {
        let id = PackageId::new("id", &id)?;
        let (catalog, id) = environment(context)?.archive_package(id).await?;
        Package::find(catalog, &id)
    }

    /// A page at the billing provider where a user subscribes. Errors: SubscriptionLinkError until
    /// a billing provider is linked.
    async fn generate_subscription_link(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: Option<String>,
        #[graphql(desc = "What to subscribe to")] template_id: String,
        #[graphql(desc = "Where the user goes after subscribing")] success_url: String,
        #[graphql(desc = "Where the user goes otherwise")] cancel_url: String,
    ) -> Result<SubscriptionLink, ApiError> {
        environment(context)?;
        let _ = (user_id, template_id, success_url, cancel_url);
        Err(Refusal::NoBillingProvider.into())
    }

    /// A token by which the user's browser reads the Client API, valid 30 days unless the server
    /// is set otherwise. Errors: UserNotFoundError.
    async fn generate_user_token(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
    ) -> Result<GeneratedUserToken, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let token = environment(context)?.issue_user_token(&user).await?;
        Ok(GeneratedUserToken { token: Some(token) })
    }

    /// Records usage many times: one result per input, in order; each input stands or falls alone.
    /// Errors: ValidationError for more than 10,000 inputs.
    async fn record_usage_batch(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "At most 10,000")] inputs: Vec<CreateUsageEventInput>,
    ) -> Result<List<RecordedUsageResult>, ApiError> {
        if inputs.len() > BATCH_INPUTS_MAX {
            let problem = format!("must have at most {BATCH_INPUTS_MAX} items");
            return Err(InvalidValue::new("inputs", problem).into());
        }
        let environment = environment(context)?;
        let mut usages = Vec::with_capacity(inputs.len());
        let refused: Vec<Option<InvalidValue>> = inputs
            .into_iter()
            .map(|input| input.read().map(|usage| usages.push(usage)).err())
            .collect();
        let mut recorded = environment.record_usage_batch(usages).await.into_iter();
        let results = refused.into_iter().map(|refused| {
            let recorded = match refused {
                Some(invalid) => Err(ApiError::from(invalid)),
                None => recorded
                    .next()
                    .unwrap_or(Err(Error::Bug("an event of a batch was not answered")))
                    .map_err(ApiError::from),
            };
            RecordedUsageResult::from(recorded)
        });
        Ok(results.collect())
    }
}

/// Where a user can subscribe.
#[derive(SimpleObject)]
struct SubscriptionLink {
    /// The page's address
    url: String,
}

/// What opens the Client API for one user.
#[derive(SimpleObject)]
struct GeneratedUserToken {
    /// A JSON Web Token
    token: Option<String>,
}

/// Reads the arguments that name a hold.
fn user_and_hold(user: &str, id: &str) -> Result<(UserId, HoldId), InvalidValue> {
    Ok((UserId::new("userId", user)?, HoldId::new("id", id)?))
}
