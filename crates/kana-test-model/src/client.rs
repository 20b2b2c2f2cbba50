//! Says a request in Kana's words, and what Kana answers in ours.

use kana_core::catalog::{Allowance, Catalog, Feature, FeatureKind, PackageStatus, Stacking};
use kana_core::catalog_command::{FeatureEdit, NewPackage, NewPackageFeature};
use kana_core::credits::{Cost, Draw};
use kana_core::decide::{
    ChangePackage, CreateGrant, CreateHold, ExtendHold, OverrideInput, ReleaseHold, SettleHold,
    UpdateSubscription,
};
use kana_core::edit::Edit;
use kana_core::entitlement;
use kana_core::grant::{self, GrantKey};
use kana_core::hold;
use kana_core::id::{
    FeatureId, GrantId, HoldId, IdempotencyKey, PackageId, SubscriptionId, UserId,
};
use kana_core::metadata::Label;
use kana_core::overrides::{self, OverrideKind, OverrideTerms};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::refusal::SubscribeRefusal;
use kana_core::rollover::Rollover;
use kana_core::subscribing::Subscribe;
use kana_core::subscription::{self, SubscriptionStatus};
use kana_core::threshold::{Threshold, ThresholdEvent, Thresholds};
use kana_core::usage::{RecordUsage, UsageAction, UseFeature};
use kana_core::usage_history::ConsumptionInPeriod;
use kana_core::user::{self, UserEdit};
use kana_core::{Refusal as KanaRefusal, Timestamp};
use kana_service::{Environment, Error, no_update, to_change_package, to_subscribe};
use uuid::Uuid;

use crate::answer::{
    Answer, Consumption, Entitlement, Grant, Hold, HoldState, Override, Reached, Reason, Refusal,
    Stage, Status, Subscription, Timing, UsageInPeriod, User, settle,
};
use crate::request::{
    self, Action, At, Giving, Holding, Id, Name, Request, Reset, Says, THRESHOLDS, Terms, Usage,
    name,
};

/// Sends a request and waits for its answer.
pub async fn ask(kana: &Environment, request: &Request) -> Answer {
    send(kana, request).await.unwrap_or_else(refused)
}

/// Sends a request and waits for its answer. A refusal is an error, too.
pub async fn send(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::CreateUser { user, name, email } => {
            let (name, email) = (name.map(label), email.map(label));
            let new = user::User { name, email, ..user::User::named(user_id(user)) };
            Answer::User(answered_user(&kana.create_user(new).await?))
        }
        Request::UpdateUser { user, new_id, name, email } => {
            let edit = UserEdit {
                id: new_id.map(user_id),
                name: edit(*name),
                email: edit(*email),
                ..UserEdit::default()
            };
            Answer::User(answered_user(&kana.update_user(user_id(user), edit).await?))
        }
        Request::DeleteUser(user) => {
            kana.delete_user(user_id(user)).await?;
            Answer::UserDeleted
        }
        Request::User(user) => Answer::User(answered_user(&kana.user(&user_id(user)).await?)),
        Request::Users => {
            let page = kana.users(None, 1000, true).await?;
            let user = |(user, subscriptions): &(_, Option<Vec<_>>)| {
                let subscriptions = subscriptions.as_ref().unwrap();
                (answered_user(user), answered_subscriptions(&page.catalog, subscriptions))
            };
            Answer::Users(page.users.iter().map(user).collect())
        }
        Request::Subscribe { .. }
        | Request::CancelSubscription(_)
        | Request::UpdateSubscription { .. }
        | Request::ChangePackage { .. }
        | Request::SetEnd { .. }
        | Request::Subscription(_)
        | Request::Subscriptions(_)
        | Request::AllSubscriptions => about_subscriptions(kana, request).await?,
        Request::SetOverride { .. } | Request::RemoveOverride { .. } => {
            about_overrides(kana, request).await?
        }
        Request::CreateGrant(_) | Request::VoidGrant { .. } | Request::Grants { .. } => {
            about_grants(kana, request).await?
        }
        Request::CreateHold(_)
        | Request::SettleHold { .. }
        | Request::ReleaseHold { .. }
        | Request::ExtendHold { .. }
        | Request::Holds { .. } => about_holds(kana, request).await?,
        Request::RecordUsage(_)
        | Request::UseFeature { .. }
        | Request::VoidUsage(_)
        | Request::Reached(_)
        | Request::CanUseFeature { .. }
        | Request::ShowUsage { .. } => about_usage(kana, request).await?,
        Request::Catalog
        | Request::CreateFeature { .. }
        | Request::CreateDrawing { .. }
        | Request::SetCost { .. }
        | Request::SetThresholds(_)
        | Request::CreatePackage(_)
        | Request::PublishPackage(_)
        | Request::ArchivePackage(_)
        | Request::PublishDrafts => about_catalog(kana, request).await?,
        Request::CountEvents => Answer::Failed("nothing that Kana is asked".into()),
    })
}

async fn about_usage(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::RecordUsage(usage) => {
            Answer::Recorded(kana.record_usage(record(*usage)).await?.recorded())
        }
        Request::UseFeature { user, feature, delta, key } => {
            let used = kana
                .use_feature(UseFeature {
                    user: user_id(user),
                    feature: feature_id(feature),
                    delta: *delta,
                    idempotency_key: key.map(idempotency_key),
                })
                .await?;
            entitlement(used.granted, used.reason, used.consumption)
        }
        Request::VoidUsage(key) => {
            Answer::Voided(kana.void_usage(idempotency_key(key)).await?.voided())
        }
        Request::Reached(user) => {
            let page = kana.threshold_events(Some(&user_id(user)), None, 1000).await?;
            let mut all: Vec<_> = page.events.iter().map(|(_, event)| reached(event)).collect();
            all.sort_unstable();
            Answer::Reached(all)
        }
        Request::CanUseFeature { user, feature, delta } => {
            let answer = kana.can_use_feature(&user_id(user), &feature_id(feature), *delta).await?;
            entitlement(answer.access, answer.reason, answer.consumption)
        }
        Request::ShowUsage { user, feature } => {
            let history = kana.show_usage(&user_id(user), &feature_id(feature)).await?;
            let past = settle(history.past.iter().map(usage_in_period).collect());
            Answer::Usage { current: history.current.as_ref().map(usage_in_period), past }
        }
        other => Answer::Failed(format!("{other:?} is not about usage")),
    })
}

async fn about_overrides(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::SetOverride { user, feature, says, ends_at } => {
            let about = (ends_at.map(timestamp), None);
            let (user, feature) = (user_id(user), feature_id(feature));
            let set = kana.set_override(user, feature, override_input(*says), about).await?;
            Answer::Override(answered_override(&set))
        }
        Request::RemoveOverride { user, feature } => {
            Answer::Removed(kana.remove_override(user_id(user), feature_id(feature)).await?)
        }
        _ => Answer::Failed("nothing about overrides".into()),
    })
}

async fn about_grants(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::CreateGrant(giving) => {
            let (grant, now) = kana.create_grant(create_grant(*giving)).await?;
            Answer::Grant(answered_grant(&grant, now))
        }
        Request::VoidGrant { user, id } => {
            let (grant, now) = kana.void_grant(user_id(user), grant_id(id)).await?;
            Answer::Grant(answered_grant(&grant, now))
        }
        Request::Grants { user, feature } => {
            let (grants, now) = kana.grants(&user_id(user), &feature_id(feature)).await?;
            Answer::Grants(grants.iter().map(|grant| answered_grant(grant, now)).collect())
        }
        _ => Answer::Failed("nothing about grants".into()),
    })
}

fn grant_id(id: Name) -> GrantId {
    GrantId::new("id", id).unwrap()
}

fn create_grant(giving: Giving) -> CreateGrant {
    CreateGrant {
        user: user_id(giving.user),
        feature: feature_id(giving.feature),
        id: Some(grant_id(giving.id)),
        amount: giving.amount,
        priority: giving.priority,
        starts_at: giving.starts_at.map(timestamp),
        expires_at: giving.expires_at.map(timestamp),
        reason: None,
        new_key: GrantKey::UNCHOSEN,
    }
}

fn answered_grant(grant: &grant::Grant, now: Timestamp) -> Grant {
    Grant {
        id: name(grant.id.as_str()),
        amount: grant.amount,
        used: grant.drawn,
        remaining: grant.remaining(now),
        voided_at: grant.voided_at.map(|at| At(at.as_ms())),
    }
}

async fn about_holds(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    let (hold, now) = match request {
        Request::CreateHold(holding) => {
            let (held, _) = kana.create_hold(create_hold(*holding)).await?;
            return Ok(Answer::Held {
                granted: held.hold.is_some(),
                reason: reason_of(held.reason),
                consumption: held.consumption.map(consumed),
            });
        }
        Request::Holds { user, feature } => {
            let (holds, _) = kana.holds(&user_id(user), &feature_id(feature)).await?;
            let hold = |hold: &hold::Hold| (name(hold.id.as_str()), hold.amount);
            return Ok(Answer::Holds(holds.iter().map(hold).collect()));
        }
        Request::SettleHold { user, id, amount } => {
            let (user, id, amount) = (user_id(user), hold_id(id), *amount);
            kana.settle_hold(SettleHold { user, id, amount }).await?
        }
        Request::ReleaseHold { user, id } => {
            kana.release_hold(ReleaseHold { user: user_id(user), id: hold_id(id) }).await?
        }
        Request::ExtendHold { user, id, seconds } => {
            let (user, id, ttl_seconds) = (user_id(user), hold_id(id), *seconds);
            kana.extend_hold(ExtendHold { user, id, ttl_seconds }).await?
        }
        _ => return Ok(Answer::Failed("nothing about holds".into())),
    };
    let state = match hold.state(now) {
        hold::HoldState::Held => HoldState::Held,
        hold::HoldState::Expired => HoldState::Expired,
        hold::HoldState::Settled => HoldState::Settled,
        hold::HoldState::Released => HoldState::Released,
    };
    let (id, amount, settled) = (name(hold.id.as_str()), hold.amount, hold.settled());
    Ok(Answer::Hold(Hold { id, amount, state, settled }))
}

fn hold_id(id: Name) -> HoldId {
    HoldId::new("id", id).unwrap()
}

fn create_hold(holding: Holding) -> CreateHold {
    CreateHold {
        user: user_id(holding.user),
        feature: feature_id(holding.feature),
        id: Some(hold_id(holding.id)),
        amount: holding.amount,
        ttl_seconds: holding.seconds,
        new_id: Uuid::nil(),
    }
}

async fn about_subscriptions(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    Ok(match request {
        Request::Subscribe { user, packages, quantities, started_at, ahead } => {
            let packages = packages.iter().copied().map(package_id).collect();
            let (user, started_at) = (user_id(user), started_at.map(timestamp));
            let quantities = quantities.clone();
            let command = Subscribe {
                quantities,
                started_at,
                starts_at: ahead.starts_at.map(timestamp),
                trial_days: ahead.trial_days,
                cancel_at_trial_end: ahead.ends_with_trial,
                ..to_subscribe(user, packages)
            };
            let (catalog, made) = kana.subscribe_to(command).await?;
            Answer::Subscriptions(answered_subscriptions(&catalog, &made))
        }
        Request::CancelSubscription(id) => {
            let (catalog, user, subscription) = kana.cancel_subscription(&spelled(*id)).await?;
            Answer::Subscription(name(user.as_str()), answered(&catalog, &subscription))
        }
        Request::UpdateSubscription { id, quantity } => {
            let changes = UpdateSubscription { quantity: Some(*quantity), ..no_update() };
            let updated = kana.update_subscription(&spelled(*id), changes).await?;
            let (catalog, user, subscription) = updated;
            Answer::Subscription(name(user.as_str()), answered(&catalog, &subscription))
        }
        Request::ChangePackage { id, package, at, carries, quantity } => {
            let command = ChangePackage {
                at: at.map(timestamp),
                carry_usage: *carries,
                quantity: *quantity,
                ..to_change_package(package_id(package))
            };
            let (catalog, user, made) = kana.change_package(&spelled(*id), command).await?;
            Answer::Subscription(name(user.as_str()), answered(&catalog, &made))
        }
        Request::SetEnd { id, at } => {
            let changes = UpdateSubscription { cancel_at: Some(at.map(timestamp)), ..no_update() };
            let updated = kana.update_subscription(&spelled(*id), changes).await?;
            let (catalog, user, subscription) = updated;
            Answer::Subscription(name(user.as_str()), answered(&catalog, &subscription))
        }
        Request::Subscription(id) => {
            let (catalog, user, subscription) = kana.subscription(&spelled(*id)).await?;
            Answer::Subscription(name(user.as_str()), answered(&catalog, &subscription))
        }
        Request::Subscriptions(user) => {
            let (catalog, subscriptions) = kana.subscriptions(&user_id(user)).await?;
            Answer::Subscriptions(answered_subscriptions(&catalog, &subscriptions))
        }
        _ => {
            let page = kana.all_subscriptions(None, 1000).await?;
            let subscription = |(user, subscription): &(UserId, _)| {
                (name(user.as_str()), answered(&page.catalog, subscription))
            };
            Answer::AllSubscriptions(page.subscriptions.iter().map(subscription).collect())
        }
    })
}

async fn about_catalog(kana: &Environment, request: &Request) -> Result<Answer, Error> {
    let (catalog, package) = match request {
        Request::CreateFeature { feature, binary } => {
            let (catalog, made) = kana.create_feature(new_feature(feature, *binary)).await?;
            assert!(catalog.feature(&made).is_some());
            return Ok(Answer::Feature(name(made.as_str())));
        }
        Request::CreateDrawing { feature, balance, cost } => {
            let mut new = new_feature(feature, false);
            if let FeatureKind::Consumable { draws, .. } = &mut new.kind {
                *draws = Draw::new(Some(feature_id(balance)), Some(*cost)).unwrap();
            }
            let (_, made) = kana.create_feature(new).await?;
            return Ok(Answer::Feature(name(made.as_str())));
        }
        Request::SetCost { feature, cost } => {
            let edit =
                FeatureEdit { cost: Some(Cost::new(*cost).unwrap()), ..FeatureEdit::default() };
            let (_, changed) = kana.update_feature(feature_id(feature), edit).await?;
            return Ok(Answer::Feature(name(changed.as_str())));
        }
        Request::SetThresholds(feature) => {
            let thresholds = Thresholds::new(THRESHOLDS.map(threshold).to_vec()).unwrap();
            let edit = FeatureEdit { thresholds: Some(thresholds), ..FeatureEdit::default() };
            let (_, changed) = kana.update_feature(feature_id(feature), edit).await?;
            return Ok(Answer::Feature(name(changed.as_str())));
        }
        Request::CreatePackage(package) => kana.create_package(new_package(package)).await?,
        Request::PublishPackage(package) => kana.publish_package(package_id(package)).await?,
        Request::ArchivePackage(package) => kana.archive_package(package_id(package)).await?,
        Request::PublishDrafts => {
            let mut configuration = kana.configuration().await?.configuration;
            for package in &mut configuration.packages {
                package.is_published = true;
            }
            let published = kana.publish(configuration, None).await?.configuration;
            let features = published.features.iter().map(|it| name(it.id.as_str())).collect();
            let status =
                |is_published| if is_published { Status::Published } else { Status::Draft };
            let packages = published.packages.iter();
            let packages =
                packages.map(|it| (name(it.id.as_str()), status(it.is_published))).collect();
            return Ok(Answer::Catalog { features, packages });
        }
        _ => {
            let catalog = kana.catalog().await?;
            let features = catalog.features().map(|feature| name(feature.id.as_str())).collect();
            let packages = catalog
                .packages()
                .map(|package| (name(package.id.as_str()), status(package.status)))
                .collect();
            return Ok(Answer::Catalog { features, packages });
        }
    };
    let package = catalog.package(&package).unwrap();
    Ok(Answer::Package(name(package.id.as_str()), status(package.status)))
}

fn user_id(user: Name) -> UserId {
    UserId::new("user", user).unwrap()
}

fn feature_id(feature: Name) -> FeatureId {
    FeatureId::new("feature", feature).unwrap()
}

fn package_id(package: Name) -> PackageId {
    PackageId::new("package", package).unwrap()
}

fn idempotency_key(key: Name) -> IdempotencyKey {
    IdempotencyKey::new("key", key).unwrap()
}

/// The id of a subscription as Kana writes it.
pub fn spelled(id: Id) -> String {
    SubscriptionId(Uuid::from_u128(id.0)).to_string()
}

fn label(text: Name) -> Label {
    Label::new("label", text).unwrap()
}

pub fn timestamp(at: At) -> Timestamp {
    Timestamp::from_ms(at.0)
}

fn edit(edit: request::Edit) -> Edit<Label> {
    match edit {
        request::Edit::Keep => Edit::Keep,
        request::Edit::Clear => Edit::Clear,
        request::Edit::Set(text) => Edit::Set(label(text)),
    }
}

/// Says usage in Kana's words.
pub fn record(usage: Usage) -> RecordUsage {
    RecordUsage {
        user: user_id(usage.user),
        feature: feature_id(usage.feature),
        action: match usage.action {
            Action::Add => UsageAction::Add,
            Action::Set => UsageAction::Set,
        },
        delta: usage.delta,
        occurred_at: usage.occurred_at.map(timestamp),
        idempotency_key: usage.key.map(idempotency_key),
        metadata: None,
    }
}

fn override_input(says: Says) -> OverrideInput {
    let (kind, limit, overage_enabled) = match says {
        Says::Limit(limit, overage) => (OverrideKind::Limit, Some(limit), overage),
        Says::Unlimited => (OverrideKind::Unlimited, None, None),
        Says::Deny => (OverrideKind::Deny, None, None),
    };
    OverrideInput { kind, limit, overage_enabled, reset_period: None, reset_anchor: None }
}

fn answered_override(set: &overrides::Override) -> Override {
    Override {
        says: match set.terms {
            OverrideTerms::Deny => Says::Deny,
            OverrideTerms::Allow { limit: None, .. } => Says::Unlimited,
            OverrideTerms::Allow { limit: Some(limit), overage_enabled, .. } => {
                Says::Limit(limit, overage_enabled)
            }
        },
        starts_at: At(set.starts_at.as_ms()),
        ends_at: set.ends_at.map(|ends_at| At(ends_at.as_ms())),
    }
}

fn new_feature(id: Name, binary: bool) -> Feature {
    let kind = if binary { FeatureKind::Binary } else { FeatureKind::CONSUMABLE };
    Feature { id: feature_id(id), name: label(id), kind, metadata: None }
}

fn threshold(threshold: request::Threshold) -> Threshold {
    match threshold {
        request::Threshold::Percent(percent) => Threshold::Percent(percent),
        request::Threshold::Left(left) => Threshold::Left(left),
    }
}

fn reached(event: &ThresholdEvent) -> Reached {
    Reached {
        at: At(event.at.as_ms()),
        feature: name(event.feature.as_str()),
        threshold: match event.threshold {
            Threshold::Percent(percent) => request::Threshold::Percent(percent),
            Threshold::Left(left) => request::Threshold::Left(left),
        },
        usage: UsageInPeriod {
            start: At(event.period.start.as_ms()),
            end: event.period.end.map(|end| At(end.as_ms())),
            consumption: consumed(event.consumption),
        },
    }
}

fn new_package(new: &request::NewPackage) -> NewPackage {
    let allowance = |terms: Terms| Allowance {
        limit: terms.limit,
        reset_period: terms.reset.map(|reset| match reset {
            Reset::Hour => ResetPeriod::Hour,
            Reset::Day => ResetPeriod::Day,
            Reset::Week | Reset::CalendarWeek => ResetPeriod::Week,
            Reset::Month | Reset::CalendarMonth => ResetPeriod::Month,
        }),
        reset_anchor: match terms.reset {
            Some(Reset::CalendarWeek | Reset::CalendarMonth) => ResetAnchor::Calendar,
            _ => ResetAnchor::Subscription,
        },
        overage_enabled: terms.overage,
        stacking: if terms.added { Stacking::Add } else { Stacking::Highest },
        rollover: terms.rollover.map(|request::Rollover { max, periods }| {
            Rollover::new(max, i64::try_from(periods).ok()).unwrap()
        }),
    };
    let feature = |(feature, terms): &(Name, Option<Terms>)| NewPackageFeature {
        feature: feature_id(feature),
        name: None,
        allowance: terms.map(allowance),
    };
    NewPackage {
        id: package_id(new.package),
        name: None,
        is_addon: new.addon,
        features: new.features.iter().map(feature).collect(),
        base_packages: new.bases.iter().copied().map(package_id).collect(),
        metadata: None,
    }
}

fn answered_user(user: &user::User) -> User {
    let text = |label: &Option<Label>| label.as_ref().map(|label| name(label.as_str()));
    User {
        key: Id(user.key.0.as_u128()),
        id: name(user.id.as_str()),
        name: text(&user.name),
        email: text(&user.email),
    }
}

fn answered_subscriptions(
    catalog: &Catalog,
    subscriptions: &[subscription::Subscription],
) -> Vec<Subscription> {
    subscriptions.iter().map(|subscription| answered(catalog, subscription)).collect()
}

/// A subscription, whose package must be in the catalog that came with it.
fn answered(catalog: &Catalog, subscription: &subscription::Subscription) -> Subscription {
    assert!(catalog.package(&subscription.package).is_some());
    let at = |at: Option<Timestamp>| at.map(|at| At(at.as_ms()));
    let cancelled = subscription.status == SubscriptionStatus::Cancelled;
    assert_eq!(cancelled, subscription.ended_at.is_some());
    let stage = match subscription.status {
        SubscriptionStatus::Cancelled | SubscriptionStatus::Active => Stage::Active,
        SubscriptionStatus::Trialing => Stage::Trialing,
        SubscriptionStatus::Incomplete => Stage::Incomplete,
        other => panic!("no command makes a subscription {other:?}"),
    };
    Subscription {
        id: Id(subscription.id.0.as_u128()),
        package: name(subscription.package.as_str()),
        started_at: At(subscription.started_at.as_ms()),
        ended_at: at(subscription.ended_at),
        quantity: subscription.quantities.current().get().into(),
        timing: Timing {
            stage,
            cancel_at: at(subscription.cancel_at()),
            trial_ends_at: at(subscription.timing.trial_ends_at),
        },
    }
}

fn entitlement(
    access: bool,
    reason: entitlement::Reason,
    consumption: Option<entitlement::Consumption>,
) -> Answer {
    let consumption = consumption.map(consumed);
    Answer::Entitlement(Entitlement { access, reason: reason_of(reason), consumption })
}

fn reason_of(reason: entitlement::Reason) -> Reason {
    match reason {
        entitlement::Reason::NotGranted => Reason::NothingGrantsIt,
        entitlement::Reason::Denied => Reason::Denied,
        entitlement::Reason::Granted => Reason::Binary,
        entitlement::Reason::Unlimited => Reason::Unlimited,
        entitlement::Reason::WithinLimit => Reason::WithinLimit,
        entitlement::Reason::Overage => Reason::Overage,
        entitlement::Reason::LimitReached => Reason::OverLimit,
        entitlement::Reason::Held => Reason::Held,
    }
}

fn consumed(consumption: entitlement::Consumption) -> Consumption {
    let entitlement::Consumption { used, budget, overage_enabled, .. } = consumption;
    Consumption { used, budget, overage: overage_enabled, held: consumption.held() }
}

fn usage_in_period(usage: &ConsumptionInPeriod) -> UsageInPeriod {
    UsageInPeriod {
        start: At(usage.period.start.as_ms()),
        end: usage.period.end.map(|end| At(end.as_ms())),
        consumption: consumed(usage.consumption),
    }
}

fn status(status: PackageStatus) -> Status {
    match status {
        PackageStatus::Draft => Status::Draft,
        PackageStatus::Published => Status::Published,
        PackageStatus::Archived => Status::Archived,
    }
}

/// Says a refusal in our words. Any other error is [`Answer::Failed`].
pub fn refused(error: Error) -> Answer {
    let package = |id: PackageId| name(id.as_str());
    Answer::Refused(match error {
        Error::Refused(KanaRefusal::Invalid(invalid)) => Refusal::BadValue(invalid.field),
        Error::Refused(KanaRefusal::UserNotFound(_)) => Refusal::NoSuchUser,
        Error::Refused(KanaRefusal::FeatureNotFound(_)) => Refusal::NoSuchFeature,
        Error::Refused(KanaRefusal::PackageNotFound(_)) => Refusal::NoSuchPackage,
        Error::Refused(KanaRefusal::SubscriptionNotFound(_)) => Refusal::NoSuchSubscription,
        Error::Refused(KanaRefusal::UsageNotFound(_)) => Refusal::NoSuchUsage,
        Error::Refused(KanaRefusal::GrantNotFound(_)) => Refusal::NoSuchGrant,
        Error::Refused(KanaRefusal::HoldNotFound(_)) => Refusal::NoSuchHold,
        Error::Refused(KanaRefusal::HoldIsOver { .. }) => Refusal::HoldIsOver,
        Error::Refused(
            KanaRefusal::FeatureIdTaken(_)
            | KanaRefusal::PackageIdTaken(_)
            | KanaRefusal::UserIdTaken(_),
        ) => Refusal::IdTaken,
        Error::Refused(
            KanaRefusal::IdempotencyConflict
            | KanaRefusal::IdConflict
            | KanaRefusal::HoldSettledOtherwise(_),
        ) => Refusal::IdempotencyConflict,
        Error::Refused(KanaRefusal::SubscribePackageNotFound(_)) => {
            Refusal::PackageIdNotFoundForApp
        }
        Error::Refused(KanaRefusal::Subscribe(refusal)) => match refusal {
            SubscribeRefusal::NotPublished { package: id, status: stands } => {
                Refusal::NotPublished(package(id), status(stands))
            }
            SubscribeRefusal::HasEnded => Refusal::HasEnded,
            SubscribeRefusal::HasNotStarted => Refusal::HasNotStarted,
            SubscribeRefusal::EndsBeforeChange => Refusal::EndsBeforeChange,
            SubscribeRefusal::OtherKind => Refusal::OtherKind,
            SubscribeRefusal::MultipleBases => Refusal::MultipleTiers,
            SubscribeRefusal::AddonWithoutBase => Refusal::MissingLiveTier,
            SubscribeRefusal::AddonForOtherBase { addon, base } => {
                Refusal::AddonOfOtherBase { addon: package(addon), base: package(base) }
            }
            SubscribeRefusal::AlreadySubscribed { package: id } => {
                Refusal::HasItAlready(package(id))
            }
        },
        other => return Answer::Failed(other.to_string()),
    })
}
