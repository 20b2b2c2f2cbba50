use async_graphql::{Context, Lookahead, Object};
use kana_core::Refusal;
use kana_core::entitlement::check_requirement_count;
use kana_core::id::{FeatureId, PackageId, UserId};
use kana_graphql::{List, loading};

use super::connection::{
    LIST_MAX, PackageSubscriptionConnection, UserConnection, after_subscription, after_user,
    page_length,
};
use super::environment::environment;
use super::explanation::{CanUseFeaturesData, FeatureExplanation, FeatureRequirement};
use super::feature::Feature;
use super::feed::{self, AuditFilter, AuditLogConnection, ChangePage, ChangesFilter};
use super::grants::Grant;
use super::holds::Hold;
use super::overrides::Override;
use super::package::{Package, PackageStatus};
use super::subscription::PackageSubscription;
use super::thresholds::{ThresholdEventConnection, after_event};
use super::usage::{CanUseFeatureData, ShowUsageData};
use super::user::User;
use crate::error::ApiError;
use crate::scalars::DateTime;

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

    /// Every feature, in order of creation
    async fn features(&self, context: &Context<'_>) -> Result<List<Feature>, ApiError> {
        Ok(Feature::all(&environment(context)?.catalog().await?).into())
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

    /// Whether the user may use several features now, together. Errors: ValidationError for none, more than
    /// 100, or a negative delta; UserNotFoundError, FeatureNotFoundError.
    async fn can_use_features(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "1 to 100; amounts of one feature are added up")] requirements: Vec<
            FeatureRequirement,
        >,
    ) -> Result<CanUseFeaturesData, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        check_requirement_count(requirements.len())?;
        let requirements =
            requirements.into_iter().map(FeatureRequirement::read).collect::<Result<_, _>>()?;
        let (access, results) = environment(context)?.can_use_features(&user, requirements).await?;
        Ok(CanUseFeaturesData { access, results })
    }

    /// Why the user may or may not use so much of the feature now. Errors: ValidationError for a negative
    /// delta, UserNotFoundError, FeatureNotFoundError.
    async fn explain_feature(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
        #[graphql(
            desc = "How much is to be used, 0 or more, in the feature's unit; ignored for BINARY",
            default_with = "Some(1)"
        )]
        delta: Option<i32>,
    ) -> Result<FeatureExplanation, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        let delta = delta.unwrap_or(1).into();
        let explained = environment(context)?.explain_feature(&user, &feature, delta).await?;
        Ok(FeatureExplanation(explained))
    }

    /// The user's overrides that live, by their start. Errors: UserNotFoundError.
    async fn overrides(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
    ) -> Result<List<Override>, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let overrides = environment(context)?.overrides(&user).await?.into_iter();
        Ok(overrides.map(|known| Override::new(user.clone(), known)).collect())
    }

    /// The user's grants of the feature that are kept, in the order in which they are drawn. Errors:
    /// UserNotFoundError, FeatureNotFoundError.
    async fn grants(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
    ) -> Result<List<Grant>, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        let (grants, now) = environment(context)?.grants(&user, &feature).await?;
        Ok(grants.into_iter().map(|known| Grant::new(user.clone(), known, now)).collect())
    }

    /// The user's holds that live on the feature or, for a balance, on all that draw on it, oldest first.
    /// Errors: UserNotFoundError, FeatureNotFoundError.
    async fn holds(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] user_id: String,
        #[graphql(desc = "The id of the feature")] feature_id: String,
    ) -> Result<List<Hold>, ApiError> {
        let user = UserId::new("userId", &user_id)?;
        let feature = FeatureId::new("featureId", &feature_id)?;
        let (holds, now) = environment(context)?.holds(&user, &feature).await?;
        Ok(holds.into_iter().map(|known| Hold::new(user.clone(), (known, now))).collect())
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

    /// The packages that have the status, in order of creation. Errors: ValidationError for an
    /// unknown status.
    async fn packages(
        &self,
        context: &Context<'_>,
        #[graphql(
            desc = "A PackageStatus name, as a String",
            default_with = "Some(String::from(\"PUBLISHED\"))"
        )]
        status: Option<String>,
        #[graphql(desc = "Accepted and changes nothing: the selection set decides")]
        include_features: Option<bool>,
    ) -> Result<List<Package>, ApiError> {
        let _ = include_features;
        let status = PackageStatus::filter(status.as_deref().unwrap_or("PUBLISHED"))?;
        Ok(Package::all(&environment(context)?.catalog().await?, status).into())
    }

    /// The user with this id. Errors: UserNotFoundError.
    async fn user(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user")] id: String,
    ) -> Result<User, ApiError> {
        let id = UserId::new("id", &id)?;
        Ok(User::new(environment(context)?.user(&id).await?))
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

    /// Every user, in order of creation. Errors: ValidationError for more than 10,000, which
    /// usersConnection answers in pages.
    async fn users(&self, context: &Context<'_>) -> Result<List<User>, ApiError> {
        let turn = loading(context, LIST_MAX).await?;
        let page = environment(context)?
            .users(None, LIST_MAX, selects_subscriptions(&context.look_ahead()))
            .await?;
        if page.has_more {
            let instead = "usersConnection";
            return Err(Refusal::TooMany { what: "users", max: LIST_MAX, instead }.into());
        }
        Ok(List::loaded(User::page(page), turn))
    }

    /// The subscriptions of one user or of all, newest first by their start. Errors:
    /// UserNotFoundError, ValidationError for more than 10,000, which subscriptionsConnection
    /// answers in pages.
    async fn subscriptions(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user; all users when absent")]
        user_id: Option<String>,
    ) -> Option<Result<List<PackageSubscription>, ApiError>> {
        Some(list_subscriptions(context, user_id).await)
    }

    /// Users in pages, in order of creation. Errors: ValidationError.
    async fn users_connection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many: 1 to 1000", default_with = "Some(100)")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts")] after: Option<String>,
    ) -> Result<UserConnection, ApiError> {
        let limit = page_length(first)?;
        let after = after_user(after.as_deref())?;
        let turn = loading(context, limit).await?;
        let nodes = context.look_ahead().field("edges").field("node");
        let page = environment(context)?.users(after, limit, selects_subscriptions(&nodes)).await?;
        let has_more = page.has_more;
        Ok(UserConnection::new(User::page(page), turn, has_more, after.is_some()))
    }

    /// Subscriptions in pages, newest first by their start, then by creation. Errors:
    /// ValidationError, UserNotFoundError.
    async fn subscriptions_connection(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user; all users when absent")]
        user_id: Option<String>,
        #[graphql(desc = "How many: 1 to 1000", default_with = "Some(100)")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts")] after: Option<String>,
    ) -> Result<PackageSubscriptionConnection, ApiError> {
        let limit = page_length(first)?;
        let after = after_subscription(after.as_deref())?;
        let environment = environment(context)?;
        let turn = loading(context, limit).await?;
        let (subscriptions, has_more) = match user_id {
            Some(user_id) => {
                let user = UserId::new("userId", &user_id)?;
                let (catalog, mut subscriptions) = environment.subscriptions(&user).await?;
                subscriptions.retain(|subscription| {
                    after.is_none_or(|after| (subscription.started_at, subscription.id) < after)
                });
                let has_more = subscriptions.len() > limit;
                subscriptions.truncate(limit);
                (PackageSubscription::all(&catalog, &user, subscriptions), has_more)
            }
            None => {
                let page = environment.all_subscriptions(after, limit).await?;
                let has_more = page.has_more;
                (PackageSubscription::page(page), has_more)
            }
        };
        Ok(PackageSubscriptionConnection::new(subscriptions, turn, has_more, after.is_some()))
    }

    /// Thresholds that usage has reached, oldest first, of one user or of all. Errors: ValidationError,
    /// UserNotFoundError.
    async fn threshold_events(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "The product's own id of the user; all users when absent")]
        user_id: Option<String>,
        #[graphql(desc = "How many: 1 to 1000", default_with = "Some(100)")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts")] after: Option<String>,
    ) -> Result<ThresholdEventConnection, ApiError> {
        let limit = page_length(first)?;
        let after = after_event(after.as_deref())?;
        let user = user_id.map(|id| UserId::new("userId", &id)).transpose()?;
        let turn = loading(context, limit).await?;
        let page = environment(context)?.threshold_events(user.as_ref(), after, limit).await?;
        Ok(ThresholdEventConnection::new(page, turn, after.is_some()))
    }

    /// What happened, in the order of the numbers. Errors: ChangesGoneError if changes after the
    /// number have been deleted, ValidationError for a number above the newest one, a type that
    /// there is none of, or a page of a wrong size.
    async fn changes(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "A number: only what comes after it; absent: from the oldest kept")]
        after: Option<String>,
        #[graphql(desc = "How many: 1 to 1000", default_with = "Some(100)")] first: Option<i32>,
        #[graphql(desc = "Types (user.created), groups of them (user.*), or * for all")]
        types: Option<Vec<String>>,
        #[graphql(desc = "Only what concerns the user who had this id then")] user_id: Option<
            String,
        >,
    ) -> Result<ChangePage, ApiError> {
        feed::changes(context, ChangesFilter { after, first, types, user_id }).await
    }

    /// Who changed what, newest first. Errors: ValidationError.
    #[allow(clippy::too_many_arguments)]
    async fn audit_log(
        &self,
        context: &Context<'_>,
        #[graphql(desc = "How many: 1 to 1000", default_with = "Some(100)")] first: Option<i32>,
        #[graphql(desc = "The cursor after which the page starts")] after: Option<String>,
        #[graphql(
            desc = "Only about one kind: feature, package, key, setting, configuration, user, person"
        )]
        kind: Option<String>,
        #[graphql(desc = "Only about the item with this id")] subject: Option<String>,
        #[graphql(desc = "Only what happened then or later")] since: Option<DateTime>,
        #[graphql(desc = "Only what happened before")] until: Option<DateTime>,
    ) -> Result<AuditLogConnection, ApiError> {
        let filter = AuditFilter { first, after, kind, subject, since, until };
        feed::audit_log(context, filter).await
    }
}

/// Returns true if users' subscriptions are selected. They are then loaded for all users at once,
/// or before a user is changed.
pub(super) fn selects_subscriptions(users: &Lookahead<'_>) -> bool {
    users.field("subscriptions").exists()
}

/// The subscriptions of one user or, up to a bound, of all.
async fn list_subscriptions(
    context: &Context<'_>,
    user_id: Option<String>,
) -> Result<List<PackageSubscription>, ApiError> {
    let environment = environment(context)?;
    let turn = loading(context, LIST_MAX).await?;
    let (subscriptions, has_more) = match user_id {
        Some(user_id) => {
            let user = UserId::new("userId", &user_id)?;
            let (catalog, subscriptions) = environment.subscriptions(&user).await?;
            let has_more = subscriptions.len() > LIST_MAX;
            (PackageSubscription::all(&catalog, &user, subscriptions), has_more)
        }
        None => {
            let page = environment.all_subscriptions(None, LIST_MAX).await?;
            let has_more = page.has_more;
            (PackageSubscription::page(page), has_more)
        }
    };
    if has_more {
        let instead = "subscriptionsConnection";
        return Err(Refusal::TooMany { what: "subscriptions", max: LIST_MAX, instead }.into());
    }
    Ok(List::loaded(subscriptions, turn))
}
