//! Entries of the audit log (contract: `operations.md`, "Audit log").

use std::sync::Arc;

use serde_json::{Value, json};

use super::data::status_name;
use super::{Change, Effect};
use crate::catalog::{
    Catalog, CatalogChange, Feature, Package, PackageFeature, PackageStatus, Stacking,
};
use crate::configuration::{name_of, name_of_anchor, name_of_stacking};
use crate::grant::Grant;
use crate::id::{PackageId, UserId};
use crate::metadata::{Label, Metadata};
use crate::overrides::{Override, OverrideTerms};
use crate::period::ResetAnchor;
use crate::quantity::Quantity;
use crate::subscription::{Subscription, SubscriptionStatus};
use crate::timestamp::Timestamp;

/// An entry of the audit log, without who did it and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// What was done: the name of the mutation, if there is one, like `createFeature`.
    pub action: &'static str,
    /// The kind of thing that it was done to.
    pub kind: AuditKind,
    /// Its id; `None` if it has none.
    pub subject: Option<String>,
    /// The state before; `None` if it did not exist. Never a secret.
    pub before: Option<Value>,
    /// The state after; `None` if it no longer exists.
    pub after: Option<Value>,
}

/// The kind of thing that an entry of the audit log is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AuditKind {
    /// A feature.
    Feature,
    /// A package.
    Package,
    /// A key, or the secret that signs user tokens.
    Key,
    /// A setting that is kept in the database.
    Setting,
    /// All features and packages at once.
    Configuration,
    /// A user, or a user's subscription.
    User,
    /// Somebody who administers Kana.
    Person,
}

impl AuditKind {
    /// All kinds.
    pub const ALL: [Self; 7] = [
        Self::Feature,
        Self::Package,
        Self::Key,
        Self::Setting,
        Self::Configuration,
        Self::User,
        Self::Person,
    ];

    /// Returns the name in the contract.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Feature => "feature",
            Self::Package => "package",
            Self::Key => "key",
            Self::Setting => "setting",
            Self::Configuration => "configuration",
            Self::User => "user",
            Self::Person => "person",
        }
    }
}

/// Returns the entries of `changes` to the catalog `before`, in their order. A published configuration
/// has one more at the end.
#[must_use]
pub fn audit_of_catalog(
    before: &Catalog,
    changes: &[CatalogChange],
    is_configuration: bool,
) -> Vec<AuditEntry> {
    let entries = changes.iter().filter_map(|change| match change {
        CatalogChange::PutFeature(after) => {
            let before = before.feature(&after.id).map(|feature| shown_feature(feature));
            let action = if before.is_none() { "createFeature" } else { "updateFeature" };
            let after = (after.id.as_str(), Some(shown_feature(after)));
            Some(entry(action, AuditKind::Feature, before, after))
        }
        CatalogChange::DeleteFeature(id) => {
            let before = before.feature(id).map(|feature| shown_feature(feature));
            Some(entry("deleteFeature", AuditKind::Feature, before, (id.as_str(), None)))
        }
        CatalogChange::PutPackage(after) => put_package(before.package(&after.id), after),
        CatalogChange::DeletePackage(id) => {
            let before = before.package(id).map(|package| shown_package(package));
            Some(entry("deletePackage", AuditKind::Package, before, (id.as_str(), None)))
        }
    });
    let mut entries: Vec<AuditEntry> = entries.collect();
    if is_configuration && !entries.is_empty() {
        entries.push(AuditEntry {
            action: "publish",
            kind: AuditKind::Configuration,
            subject: None,
            before: None,
            after: Some(json!({ "changes": entries.len() })),
        });
    }
    entries
}

/// Returns the entries of what one command has changed of a user, in their order. Of a user's fields
/// they have only the names. A deletion has one, which names nobody.
#[must_use]
pub fn audit_of_user(changes: &[Change]) -> Vec<AuditEntry> {
    if deletes_user(changes) {
        return vec![AuditEntry {
            action: "deleteUser",
            kind: AuditKind::User,
            subject: None,
            before: None,
            after: None,
        }];
    }
    changes.iter().filter_map(entry_of_user).collect()
}

/// Returns the entry of an override that was set, or removed if there is none `after`.
pub(crate) fn audit_of_override(
    user: &UserId,
    before: Option<&Override>,
    after: Option<&Override>,
) -> AuditEntry {
    let action = if after.is_some() { "setOverride" } else { "removeOverride" };
    let subject = (user.as_str(), after.map(shown_override));
    entry(action, AuditKind::User, before.map(shown_override), subject)
}

/// The reason is left out: it can say anything of the user, and would outlive a deletion.
fn shown_override(known: &Override) -> Value {
    let kind = known.terms.kind().name();
    let allowance = known.terms.allowance();
    let (overage_enabled, reset) = match known.terms {
        OverrideTerms::Deny => (None, None),
        OverrideTerms::Allow { overage_enabled, reset, .. } => (overage_enabled, reset),
    };
    json!({
        "id": known.id.to_string(),
        "featureId": known.feature.as_str(),
        "kind": kind,
        "limit": allowance.and_then(|allowance| allowance.limit),
        "resetPeriod": reset.map(|reset| name_of(reset.period)),
        "resetAnchor": reset.map(|reset| name_of_anchor(reset.anchor)),
        "overageEnabled": overage_enabled,
        "startsAt": known.starts_at.to_string(),
        "endsAt": known.ends_at.map(|at| at.to_string()),
    })
}

/// Returns the entry of a grant that was created or voided.
pub(crate) fn audit_of_grant(
    action: &'static str,
    user: &UserId,
    before: Option<&Grant>,
    after: &Grant,
) -> AuditEntry {
    let subject = (user.as_str(), Some(shown_grant(after)));
    entry(action, AuditKind::User, before.map(shown_grant), subject)
}

/// The reason is left out, as with overrides, and so is the caller's id, which can say as much.
fn shown_grant(grant: &Grant) -> Value {
    json!({
        "key": grant.key.0.to_string(),
        "featureId": grant.feature.as_str(),
        "amount": grant.amount,
        "priority": grant.priority,
        "startsAt": grant.starts_at.to_string(),
        "expiresAt": grant.expires_at.map(|at| at.to_string()),
        "voidedAt": grant.voided_at.map(|at| at.to_string()),
    })
}

/// Returns true if the changes of one command delete a user, which the audit log has whoever asked for it.
#[must_use]
pub fn deletes_user(changes: &[Change]) -> bool {
    changes.iter().any(|change| change.effect == Effect::UserDeleted)
}

/// Returns `None` if the change follows from another one, or is not about a user.
fn entry_of_user(change: &Change) -> Option<AuditEntry> {
    let user = change.user.as_ref()?;
    let (action, before, after) = match &change.effect {
        Effect::UserCreated => ("createUser", None, None),
        Effect::UserUpdated { changed, .. } => {
            ("updateUser", None, Some(json!({ "changed": changed })))
        }
        Effect::SubscriptionStarted(subscription) => {
            ("subscribe", None, Some(shown_subscription(subscription, subscription.status)))
        }
        Effect::SubscriptionUpdated { subscription, previous } => {
            let are_timed = !subscription.timing.is_none() || !previous.timing.is_none();
            let shown = |one: &Subscription| {
                let mut shown = shown_with(subscription, one.status, one.quantities.current());
                if are_timed {
                    add_timing(&mut shown, one);
                }
                Some(shown)
            };
            ("updateSubscription", shown(previous), shown(subscription))
        }
        Effect::SubscriptionEnded { subscription, previous_status } => (
            "cancelSubscription",
            Some(shown_subscription(subscription, *previous_status)),
            Some(shown_subscription(subscription, subscription.status)),
        ),
        _ => return None,
    };
    let subject = Some(user.as_str().to_owned());
    Some(AuditEntry { action, kind: AuditKind::User, subject, before, after })
}

fn entry(
    action: &'static str,
    kind: AuditKind,
    before: Option<Value>,
    (id, after): (&str, Option<Value>),
) -> AuditEntry {
    AuditEntry { action, kind, subject: Some(id.to_owned()), before, after }
}

/// Returns `None` if nothing visible has changed.
fn put_package(before: Option<&Arc<Package>>, after: &Package) -> Option<AuditEntry> {
    let status = before.map(|before| before.status);
    let action = match (status, after.status) {
        (None, _) => "createPackage",
        (Some(PackageStatus::Draft), PackageStatus::Published) => "publishPackage",
        (Some(PackageStatus::Published), PackageStatus::Archived) => "archivePackage",
        _ => "updatePackage",
    };
    let before = before.map(|package| shown_package(package));
    let shown = Some(shown_package(after));
    if before == shown {
        return None;
    }
    Some(entry(action, AuditKind::Package, before, (after.id.as_str(), shown)))
}

fn shown_feature(feature: &Feature) -> Value {
    let (unit_label, unit_label_plural) = feature.unit_labels();
    let mut shown = json!({
        "id": feature.id.as_str(),
        "name": feature.name.as_str(),
        "type": if feature.is_binary() { "BINARY" } else { "CONSUMABLE" },
        "unitLabel": unit_label,
        "unitLabelPlural": unit_label_plural,
        "metadata": shown_metadata(feature.metadata.as_ref()),
    });
    let thresholds = feature.thresholds();
    if let Some(shown) = shown.as_object_mut() {
        if let Some(draw) = feature.draws() {
            shown.insert("drawsOn".to_owned(), draw.balance.as_str().into());
            shown.insert("cost".to_owned(), draw.cost.get().into());
        }
        if !thresholds.is_empty() {
            shown.insert("thresholds".to_owned(), json!(thresholds.as_slice()));
        }
    }
    shown
}

fn shown_package(package: &Package) -> Value {
    let bases: Vec<&str> = package.base_packages().iter().map(PackageId::as_str).collect();
    let features: Vec<Value> = package
        .features
        .iter()
        .map(|(id, inside)| shown_package_feature(id.as_str(), inside))
        .collect();
    json!({
        "id": package.id.as_str(),
        "name": package.name.as_str(),
        "isAddon": package.is_addon(),
        "basePackageIds": bases,
        "status": package.status.to_string(),
        "metadata": shown_metadata(package.metadata.as_ref()),
        "features": features,
    })
}

fn shown_package_feature(id: &str, inside: &PackageFeature) -> Value {
    let allowance = inside.allowance;
    let mut shown = json!({
        "id": id,
        "name": inside.name.as_ref().map(Label::as_str),
        "limit": allowance.limit,
        "resetPeriod": allowance.reset_period.map(name_of),
        "overageEnabled": allowance.overage_enabled,
    });
    // What says the default is left out.
    let anchor = Some(allowance.reset_anchor).filter(|anchor| *anchor != ResetAnchor::Subscription);
    if let Some(anchor) = anchor {
        shown["resetAnchor"] = name_of_anchor(anchor).into();
    }
    let stacking = Some(allowance.stacking).filter(|stacking| *stacking != Stacking::Highest);
    if let Some(stacking) = stacking {
        shown["stacking"] = name_of_stacking(stacking).into();
    }
    if let Some(rollover) = allowance.rollover {
        shown["rollover"] = json!({ "max": rollover.max(), "periods": rollover.periods() });
    }
    shown
}

fn shown_metadata(metadata: Option<&Metadata>) -> Value {
    metadata.map_or(Value::Null, Metadata::to_value)
}

fn shown_subscription(subscription: &Subscription, status: SubscriptionStatus) -> Value {
    let quantities = &subscription.quantities;
    let mut shown = if quantities.is_always_one() {
        json!({
            "subscriptionId": subscription.id.to_string(),
            "packageId": subscription.package.as_str(),
            "status": status_name(status),
        })
    } else {
        shown_with(subscription, status, quantities.current())
    };
    if !subscription.timing.is_none() {
        shown["startedAt"] = subscription.started_at.to_string().into();
        add_timing(&mut shown, subscription);
    }
    shown
}

/// Adds the end that lies ahead and that of the trial.
fn add_timing(shown: &mut Value, subscription: &Subscription) {
    let written = |at: Option<Timestamp>| at.map(|at| at.to_string()).into();
    shown["cancelAt"] = written(subscription.cancel_at());
    shown["trialEndsAt"] = written(subscription.timing.trial_ends_at);
}

/// The subscription with how many of its package it is for.
fn shown_with(
    subscription: &Subscription,
    status: SubscriptionStatus,
    quantity: Quantity,
) -> Value {
    json!({
        "subscriptionId": subscription.id.to_string(),
        "packageId": subscription.package.as_str(),
        "status": status_name(status),
        "quantity": quantity.get(),
    })
}
