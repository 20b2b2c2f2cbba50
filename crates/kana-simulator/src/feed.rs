//! What the changes feed tells of a request (contract: `changes.md`, "The log"), found by asking the
//! model before and after it.

use std::collections::BTreeMap;

use kana_store::feed::StoredChange;
use kana_test_model::answer::{Answer, Reached, Reason, Subscription, Timing, UsageInPeriod, User};
use kana_test_model::client::spelled;
use kana_test_model::model::Model;
use kana_test_model::request::{
    At, DELETED, Giving, Name, Request, THRESHOLDS, Threshold, Usage, name,
};
use serde_json::{Value, json};

use crate::http::{self, written};

/// A change without its number, id and time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) type_name: String,
    pub(crate) user: Option<String>,
    pub(crate) data: Value,
}

impl Change {
    fn new(type_name: &str, user: Option<Name>, data: Value) -> Self {
        Self { type_name: type_name.to_owned(), user: user.map(str::to_owned), data }.settled()
    }

    /// The changes of a page. Those that a file makes are in the order of their packages.
    pub(crate) fn all(stored: &[StoredChange]) -> Vec<Self> {
        let mut changes: Vec<Self> = stored.iter().map(Self::stored).collect();
        if changes.last().is_some_and(|last| last.type_name == "configuration.published") {
            let packages = changes.len() - 1;
            changes[..packages].sort_by_key(|change| change.data.to_string());
        }
        changes
    }

    fn stored(change: &StoredChange) -> Self {
        let StoredChange { type_name, user_id, data, .. } = change;
        let data = serde_json::from_str(data).unwrap_or_else(|_| data.as_str().into());
        let user = user_id.as_deref().map(|id| name(id).to_owned());
        Self { type_name: type_name.clone(), user, data }.settled()
    }

    /// The same change of a user who is deleted.
    fn of_deleted(self) -> Self {
        Self { user: Some(DELETED.to_owned()), ..self }
    }

    /// Without what the contract leaves open: the order of features and of changed fields.
    fn settled(mut self) -> Self {
        for list in ["features", "changed"] {
            if let Some(list) = self.data.get_mut(list).and_then(Value::as_array_mut) {
                list.sort_by_key(ToString::to_string);
            }
        }
        self
    }
}

/// Returns what is told of a request that was answered so, by what was before and after it.
pub(crate) fn expected(
    request: &Request,
    answer: &Answer,
    (before, after): (&Model, &Model),
    now: At,
) -> Vec<Change> {
    let of_user = |user: Name, mut changes: Vec<Change>| {
        changes.extend(entitlements_changed(user, before, after, now));
        changes
    };
    match (request, answer) {
        (_, Answer::Refused(_)) => Vec::new(),
        (Request::CreateUser { user, .. }, _) => {
            vec![Change::new("user.created", Some(*user), json!({}))]
        }
        (Request::UpdateUser { user, .. }, Answer::User(changed)) => {
            user_updated(user, before, changed, now).into_iter().collect()
        }
        (Request::Subscribe { user, .. }, Answer::Subscriptions(made)) => {
            of_user(user, started(user, made, (before, after), now))
        }
        (Request::ChangePackage { .. }, Answer::Subscription(user, made)) => {
            of_user(user, started(user, std::slice::from_ref(made), (before, after), now))
        }
        (
            Request::CancelSubscription(_)
            | Request::UpdateSubscription { .. }
            | Request::SetEnd { .. },
            Answer::Subscription(user, _),
        ) => {
            let changes = subscriptions_changed(user, before, after, now);
            if changes.is_empty() { changes } else { of_user(user, changes) }
        }
        (
            Request::SetOverride { user, .. }
            | Request::RemoveOverride { user, .. }
            | Request::CreateGrant(Giving { user, .. })
            | Request::VoidGrant { user, .. },
            _,
        ) => of_user(user, Vec::new()),
        (Request::DeleteUser(user), _) => {
            let mut changes = subscriptions_changed(user, before, after, now);
            changes.extend(entitlements_changed(user, before, after, now));
            changes.push(Change::new("user.deleted", None, json!({})));
            changes.into_iter().map(Change::of_deleted).collect()
        }
        (
            Request::RecordUsage(Usage { user, .. })
            | Request::UseFeature { user, .. }
            | Request::SettleHold { user, .. },
            _,
        ) => newly_reached(user, before, after, now),
        (Request::SetThresholds(feature) | Request::SetCost { feature, .. }, _)
            if before != after =>
        {
            vec![Change::new("feature.updated", None, json!({ "featureId": feature }))]
        }
        (Request::CreateFeature { feature, .. } | Request::CreateDrawing { feature, .. }, _) => {
            vec![Change::new("feature.created", None, json!({ "featureId": feature }))]
        }
        (Request::CreatePackage(package), _) => {
            vec![Change::new("package.created", None, json!({ "packageId": package.package }))]
        }
        (Request::PublishPackage(package), _) if before != after => {
            vec![Change::new("package.published", None, json!({ "packageId": package }))]
        }
        (Request::ArchivePackage(package), _) if before != after => {
            vec![Change::new("package.archived", None, json!({ "packageId": package }))]
        }
        (Request::PublishDrafts, _) if before != after => published(before, after, now),
        _ => Vec::new(),
    }
}

/// How many entries the audit log has of these changes (contract: `operations.md`, "Audit log"): one
/// for each change of the catalog, one for each file, and one for each user who is deleted. What else a
/// key does to users is not in it.
pub(crate) fn audited(changes: &[Change]) -> usize {
    let groups = ["feature.", "package.", "configuration.", "user.deleted"];
    let is_audited = |change: &&Change| groups.iter().any(|it| change.type_name.starts_with(it));
    changes.iter().filter(is_audited).count()
}

/// What is told of a file that puts drafts on offer.
fn published(before: &Model, after: &Model, now: At) -> Vec<Change> {
    let packages = |model| match ask(model, &Request::Catalog, now) {
        Answer::Catalog { packages, .. } => packages,
        _ => Vec::new(),
    };
    let before = packages(before);
    let new = packages(after).into_iter().filter(|package| !before.contains(package));
    let mut changes: Vec<Change> = new
        .map(|(id, _)| Change::new("package.published", None, json!({ "packageId": id })))
        .collect();
    changes.sort_by_key(|change| change.data.to_string());
    let mut counts = json!({});
    for (kind, did) in [("features", &["Created", "Updated", "Deleted"][..]), ("packages", &DID)] {
        for did in did {
            counts[format!("{kind}{did}")] = 0.into();
        }
    }
    counts["packagesPublished"] = changes.len().into();
    changes.push(Change::new("configuration.published", None, counts));
    changes
}

const DID: [&str; 5] = ["Created", "Updated", "Published", "Archived", "Deleted"];

fn user_updated(id: Name, before: &Model, changed: &User, now: At) -> Option<Change> {
    let Answer::User(old) = ask(before, &Request::User(id), now) else {
        return None;
    };
    let differs = [
        ("id", old.id != changed.id),
        ("name", old.name != changed.name),
        ("email", old.email != changed.email),
    ];
    let names = differs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name);
    let mut data = json!({ "changed": names.collect::<Vec<_>>() });
    if old.id != changed.id {
        data["previousId"] = old.id.into();
    }
    let any = data["changed"].as_array().is_some_and(|names| !names.is_empty());
    any.then(|| Change::new("user.updated", Some(changed.id), data))
}

/// The subscriptions that begin, and then what changed of the others.
fn started(
    user: Name,
    made: &[Subscription],
    (before, after): (&Model, &Model),
    now: At,
) -> Vec<Change> {
    let started = made.iter().map(|one| {
        let data = json!({ "subscription": subscription(one, after) });
        Change::new("subscription.started", Some(user), data)
    });
    started.chain(subscriptions_changed(user, before, after, now)).collect()
}

/// What is told of subscriptions that ended or changed, in the order of their ids. Nothing is told of one that
/// ended as it was set to.
fn subscriptions_changed(user: Name, before: &Model, after: &Model, now: At) -> Vec<Change> {
    let all = |model| match ask(model, &Request::AllSubscriptions, now) {
        Answer::AllSubscriptions(all) => all.into_iter().map(|(_, one)| one).collect(),
        _ => Vec::new(),
    };
    let (known, mut now_known): (Vec<Subscription>, Vec<Subscription>) = (all(before), all(after));
    now_known.sort_by_key(|one| one.id);
    let told = |one: &Subscription| {
        let was = known.iter().find(|was| was.id == one.id).filter(|was| *was != one)?;
        let mut data = json!({ "subscription": subscription(one, after) });
        if http::status(was) != http::status(one) {
            data["previousStatus"] = http::status(was).into();
        }
        let ended = one.ended_at.is_some();
        let kind = if ended { "subscription.ended" } else { "subscription.updated" };
        Some(Change::new(kind, Some(user), data))
    };
    now_known.iter().filter_map(told).collect()
}

/// The thresholds that the user's usage has reached, in the order in which usage reaches them.
fn newly_reached(user: Name, before: &Model, after: &Model, now: At) -> Vec<Change> {
    let reached = |model| match ask(model, &Request::Reached(user), now) {
        Answer::Reached(reached) => reached,
        _ => Vec::new(),
    };
    let before = reached(before);
    let mut new: Vec<Reached> =
        reached(after).into_iter().filter(|one| !before.contains(one)).collect();
    new.sort_by_key(|one| {
        let limit = one.usage.consumption.budget.unwrap_or(i64::MAX);
        let usage = match one.threshold {
            Threshold::Percent(percent) => (limit * percent + 99) / 100,
            Threshold::Left(left) => (limit - left).max(0),
        };
        let place = THRESHOLDS.iter().position(|threshold| *threshold == one.threshold);
        (usage, place)
    });
    new.iter().map(|one| threshold_reached(user, one)).collect()
}

fn threshold_reached(user: Name, one: &Reached) -> Change {
    let UsageInPeriod { start, end, consumption } = one.usage;
    let data = json!({
        "featureId": one.feature,
        "threshold": match one.threshold {
            Threshold::Percent(percent) => json!({ "percent": percent }),
            Threshold::Left(left) => json!({ "left": left }),
        },
        "used": consumption.used.to_string(),
        "budget": consumption.budget.map(|budget| budget.to_string()),
        "overageEnabled": consumption.overage,
        "periodStart": written(start),
        "periodEnd": end.map(written),
    });
    Change::new("usage.threshold_reached", Some(user), data)
}

fn subscription(one: &Subscription, model: &Model) -> Value {
    let mut told = json!({
        "id": spelled(one.id),
        "packageId": one.package,
        "status": http::status(one),
        "startedAt": written(one.started_at),
        "endedAt": one.ended_at.map(written),
    });
    if !model.was_always_one(one.id) {
        told["quantity"] = one.quantity.into();
    }
    let Timing { cancel_at, trial_ends_at, .. } = one.timing;
    for (name, at) in [("cancelAt", cancel_at), ("trialEndsAt", trial_ends_at)] {
        if let Some(at) = at {
            told[name] = written(at);
        }
    }
    told
}

fn entitlements_changed(user: Name, before: &Model, after: &Model, now: At) -> Option<Change> {
    let (before, after) = (grants(before, user, now), grants(after, user, now));
    let features: Vec<Value> = after
        .iter()
        .filter_map(|(feature, after)| {
            let before = before.get(feature).unwrap_or(&Value::Null);
            let told = json!({ "featureId": feature, "before": before, "after": after });
            (before != after).then_some(told)
        })
        .collect();
    let any = !features.is_empty();
    any.then(|| Change::new("entitlement.changed", Some(user), json!({ "features": features })))
}

/// What the user may do with each feature.
fn grants(model: &Model, user: Name, now: At) -> BTreeMap<Name, Value> {
    let Answer::Catalog { features, .. } = ask(model, &Request::Catalog, now) else {
        return BTreeMap::new();
    };
    let grants = |reason| !matches!(reason, Reason::NothingGrantsIt | Reason::Denied);
    let grant = |feature| {
        let question = Request::CanUseFeature { user, feature, delta: 1 };
        match ask(model, &question, now) {
            Answer::Entitlement(it) if grants(it.reason) => json!({
                "access": it.access,
                "budget": it.consumption.and_then(|it| it.budget).map(|it| it.to_string()),
                "overageEnabled": it.consumption.is_some_and(|it| it.overage),
            }),
            _ => Value::Null,
        }
    };
    features.into_iter().map(|feature| (feature, grant(feature))).collect()
}

/// Asks a question, which changes nothing.
fn ask(model: &Model, question: &Request, now: At) -> Answer {
    model.clone().answer(question, now, &[])
}
