//! Every kind of record as plain data: where its rows stand, and what each column may hold. One
//! reader and one writer for each engine do the rest.

use super::description::{Column, Description, OWNER, Order, Owner, column, optional};
use super::value::Form;
use super::value::Form::{
    Answer, Flag, Hash, History, Id, Instant, Integer, Json, Label, Metadata, Name, Quantities,
    Secret, Text, Threshold, Thresholds, Timing, Uuid,
};
use crate::app::KeyKind;
use crate::columns::Named;
use crate::people::Role;
use crate::user_row;
use kana_core::catalog::{PackageStatus, Stacking};
use kana_core::change::AuditKind;
use kana_core::counter::Marks;
use kana_core::credits::COST_MAX;
use kana_core::day::Day;
use kana_core::grant::{AMOUNT_MAX, PRIORITIES};
use kana_core::hold;
use kana_core::overrides::OverrideKind;
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::rollover::ROLLOVER_PERIODS_MAX;
use kana_core::subscription::SubscriptionStatus;
use kana_core::usage::{LoggedAction, UsageAction};

/// A kind of record. Kinds travel in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The app; there is one.
    App,
    /// What is known of an environment itself.
    Environment,
    /// A key: its hash, never the key.
    Key,
    /// What user tokens are signed with: the secret itself, and so only where it is asked for.
    TokenSecret,
    /// An admin, with the hash of the password.
    Admin,
    /// A feature.
    Feature,
    /// A package.
    Package,
    /// A feature in a package.
    PackageFeature,
    /// The terms on which a package gives a feature from an instant on.
    PackageFeatureTerms,
    /// A base package that an add-on may be added to.
    PackageBase,
    /// A feature that was ever used, or given to a user by an override or a grant, or held.
    UsedFeature,
    /// A user.
    User,
    /// A subscription.
    Subscription,
    /// An override of one user.
    Override,
    /// An extra amount of a feature for one user.
    Grant,
    /// An amount of a feature that is kept for a job of one user.
    Hold,
    /// How much was used in a period.
    Counter,
    /// A line of the log of usage.
    Event,
    /// How much was used on a day.
    UsageByDay,
    /// The first day whose usage by day is complete.
    UsageSince,
    /// Usage that has reached a share of its budget.
    LimitCrossing,
    /// Usage that has reached a threshold of its feature.
    ThresholdEvent,
    /// What was answered under an idempotency key.
    Replay,
    /// The number of the newest change of an environment.
    ChangeHead,
    /// A change in the changes feed.
    Change,
    /// An entry of the audit log.
    AuditEntry,
    /// An entry of the audit log that belongs to no environment.
    AppAuditEntry,
}

/// How many kinds there are.
pub(crate) const KINDS: usize = 27;

impl Kind {
    /// All of them, in their order.
    pub const ALL: [Self; KINDS] = [
        Self::App,
        Self::Environment,
        Self::Key,
        Self::TokenSecret,
        Self::Admin,
        Self::Feature,
        Self::Package,
        Self::PackageFeature,
        Self::PackageFeatureTerms,
        Self::PackageBase,
        Self::UsedFeature,
        Self::User,
        Self::Subscription,
        Self::Override,
        Self::Grant,
        Self::Hold,
        Self::Counter,
        Self::Event,
        Self::UsageByDay,
        Self::UsageSince,
        Self::LimitCrossing,
        Self::ThresholdEvent,
        Self::Replay,
        Self::ChangeHead,
        Self::Change,
        Self::AuditEntry,
        Self::AppAuditEntry,
    ];

    /// The name on a line of an export.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.description().name
    }

    /// The kind with this name.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    pub(crate) fn description(self) -> &'static Description {
        match self {
            Self::App => &APP,
            Self::Environment => &ENVIRONMENT,
            Self::Key => &KEY,
            Self::TokenSecret => &TOKEN_SECRET,
            Self::Admin => &ADMIN,
            Self::Feature => &FEATURE,
            Self::Package => &PACKAGE,
            Self::PackageFeature => &PACKAGE_FEATURE,
            Self::PackageFeatureTerms => &PACKAGE_FEATURE_TERMS,
            Self::PackageBase => &PACKAGE_BASE,
            Self::UsedFeature => &USED_FEATURE,
            Self::User => &user_row::USER,
            Self::Subscription => &SUBSCRIPTION,
            Self::Override => &OVERRIDE,
            Self::Grant => &GRANT,
            Self::Hold => &HOLD,
            Self::Counter => &COUNTER,
            Self::Event => &EVENT,
            Self::UsageByDay => &USAGE_BY_DAY,
            Self::UsageSince => &USAGE_SINCE,
            Self::LimitCrossing => &LIMIT_CROSSING,
            Self::ThresholdEvent => &THRESHOLD_EVENT,
            Self::Replay => &REPLAY,
            Self::ChangeHead => &CHANGE_HEAD,
            Self::Change => &CHANGE,
            Self::AuditEntry => &AUDIT_ENTRY,
            Self::AppAuditEntry => &APP_AUDIT_ENTRY,
        }
    }

    /// The column with the key of the user whose records these are; `None` for what is not asked for when
    /// one user's data is (contract: `operations.md`, "A user's own data").
    pub(crate) fn key_of_user(self) -> Option<&'static str> {
        match self {
            Self::User => Some("key"),
            Self::Subscription
            | Self::Override
            | Self::Grant
            | Self::Hold
            | Self::Counter
            | Self::Event
            | Self::ThresholdEvent
            | Self::Replay => Some("user_key"),
            _ => None,
        }
    }

    /// The table that its rows are written to.
    pub(crate) fn table(self) -> &'static str {
        self.description().table
    }

    pub(crate) fn columns(self) -> &'static [Column] {
        self.description().columns
    }

    /// Whether each record belongs to an environment.
    pub(crate) fn is_of_environment(self) -> bool {
        matches!(self.description().owner, Owner::Environment(_))
    }
}

const ANY: Form = Integer { min: i64::MIN, max: i64::MAX };
const NOT_NEGATIVE: Form = Integer { min: 0, max: i64::MAX };
const NUMBER: Form = Integer { min: 1, max: i64::MAX };
const DAY: Form = Integer { min: Day::MIN.number(), max: Day::MAX.number() };
const COST: Form = Integer { min: 1, max: COST_MAX };
const ROLLOVER_PERIODS: Form = Integer { min: 1, max: ROLLOVER_PERIODS_MAX as i64 };
const TERMS: Form = Integer { min: 0, max: 4_294_967_295 };

fn is_name<T: Named>(name: &str) -> bool {
    T::from_name(name).is_ok()
}

/// An anchor that is left out is the default, so only the other one is written.
fn is_other_anchor(name: &str) -> bool {
    ResetAnchor::from_name(name).is_ok_and(|anchor| anchor != ResetAnchor::default())
}

/// Like [`is_other_anchor`].
fn is_other_stacking(name: &str) -> bool {
    Stacking::from_name(name).is_ok_and(|stacking| stacking != Stacking::default())
}

fn are_marks(text: &str) -> bool {
    Marks::from_text(text).is_some()
}

fn is_feature_type(name: &str) -> bool {
    matches!(name, "BINARY" | "CONSUMABLE")
}

fn is_audit_kind(name: &str) -> bool {
    AuditKind::ALL.iter().any(|kind| kind.name() == name)
}

static APP: Description = Description {
    name: "app",
    table: "app",
    owner: Owner::App("id"),
    order: Order::By("id"),
    columns: &[column("name", Text), column("created_at", Instant)],
};

static ENVIRONMENT: Description = Description {
    name: "environment",
    table: "environments",
    owner: Owner::Environment("id"),
    order: Order::By("id"),
    columns: &[column("catalog_version", NOT_NEGATIVE), column("simple_mode", Flag)],
};

static KEY: Description = Description {
    name: "key",
    table: "keys",
    owner: OWNER,
    order: Order::By("id"),
    columns: &[
        column("id", NOT_NEGATIVE),
        column("kind", Name(is_name::<KeyKind>)),
        column("hash", Hash),
        column("last_four", Text),
        column("created_at", Instant),
        optional("revoked_at", Instant),
        optional("name", Label),
        optional("created_by", Text),
        optional("last_used_at", Instant),
        optional("expires_at", Instant),
    ],
};

static TOKEN_SECRET: Description = Description {
    name: "token_secret",
    table: "token_secrets",
    owner: OWNER,
    order: Order::By("id"),
    columns: &[
        column("id", NOT_NEGATIVE),
        column("secret", Secret),
        column("created_at", Instant),
        optional("valid_until", Instant),
    ],
};

static ADMIN: Description = Description {
    name: "admin",
    table: "admins",
    owner: Owner::App("app_id"),
    order: Order::By("id"),
    columns: &[
        column("id", NUMBER),
        column("email", Label),
        column("email_folded", Label),
        column("role", Name(is_name::<Role>)),
        optional("password_hash", Text),
        column("created_at", Instant),
        optional("last_sign_in_at", Instant),
    ],
};

static FEATURE: Description = Description {
    name: "feature",
    table: "features",
    owner: OWNER,
    order: Order::By("environment_id, position"),
    columns: &[
        column("id", Id),
        column("position", ANY),
        column("name", Label),
        column("type", Name(is_feature_type)),
        optional("unit_label", Label),
        optional("unit_label_plural", Label),
        optional("metadata", Metadata),
        optional("thresholds", Thresholds),
        optional("draws_on", Id),
        optional("cost", COST),
    ],
};

static PACKAGE: Description = Description {
    name: "package",
    table: "packages",
    owner: OWNER,
    order: Order::By("environment_id, position"),
    columns: &[
        column("id", Id),
        column("position", ANY),
        column("name", Label),
        column("is_addon", Flag),
        column("status", Name(is_name::<PackageStatus>)),
        optional("metadata", Metadata),
        column("updated_at", Instant),
    ],
};

static PACKAGE_FEATURE: Description = Description {
    name: "package_feature",
    table: "package_features",
    owner: OWNER,
    order: Order::By("environment_id, package_id, position"),
    columns: &[
        column("package_id", Id),
        column("position", ANY),
        column("feature_id", Id),
        optional("name", Label),
        optional("usage_limit", NOT_NEGATIVE),
        optional("reset_period", Name(is_name::<ResetPeriod>)),
        optional("reset_anchor", Name(is_other_anchor)),
        column("overage_enabled", Flag),
        optional("stacking", Name(is_other_stacking)),
        optional("rollover_periods", ROLLOVER_PERIODS),
        optional("rollover_max", NUMBER),
    ],
};

static PACKAGE_FEATURE_TERMS: Description = Description {
    name: "package_feature_terms",
    table: "package_feature_terms",
    owner: OWNER,
    order: Order::By("environment_id, package_id, feature_id, position"),
    columns: &[
        column("package_id", Id),
        column("feature_id", Id),
        column("position", NOT_NEGATIVE),
        column("since", Instant),
        column("terms", TERMS),
        column("is_given", Flag),
        optional("usage_limit", NOT_NEGATIVE),
        optional("reset_period", Name(is_name::<ResetPeriod>)),
        optional("reset_anchor", Name(is_other_anchor)),
        column("overage_enabled", Flag),
        optional("stacking", Name(is_other_stacking)),
        optional("rollover_periods", ROLLOVER_PERIODS),
        optional("rollover_max", NUMBER),
    ],
};

static PACKAGE_BASE: Description = Description {
    name: "package_base",
    table: "package_bases",
    owner: OWNER,
    order: Order::By("environment_id, package_id, position"),
    columns: &[column("package_id", Id), column("position", ANY), column("base_package_id", Id)],
};

static USED_FEATURE: Description = Description {
    name: "used_feature",
    table: "features_with_usage",
    owner: OWNER,
    order: Order::By("environment_id, feature_id"),
    columns: &[column("feature_id", Id)],
};

static SUBSCRIPTION: Description = Description {
    name: "subscription",
    table: "subscriptions",
    owner: OWNER,
    order: Order::By("environment_id, user_key, id"),
    columns: &[
        column("user_key", Uuid),
        column("id", Uuid),
        column("package_id", Id),
        column("status", Name(is_name::<SubscriptionStatus>)),
        column("started_at", Instant),
        optional("ended_at", Instant),
        optional("quantities", Quantities),
        optional("timing", Timing),
    ],
};

static OVERRIDE: Description = Description {
    name: "override",
    table: "overrides",
    owner: OWNER,
    order: Order::By("environment_id, user_key, feature_id"),
    columns: &[
        column("user_key", Uuid),
        column("feature_id", Id),
        column("id", Uuid),
        column("kind", Name(is_name::<OverrideKind>)),
        optional("usage_limit", NOT_NEGATIVE),
        optional("reset_period", Name(is_name::<ResetPeriod>)),
        optional("reset_anchor", Name(is_other_anchor)),
        optional("overage_enabled", Flag),
        column("starts_at", Instant),
        optional("ends_at", Instant),
        optional("reason", Label),
        optional("history", History),
    ],
};

static GRANT: Description = Description {
    name: "grant",
    table: "grants",
    owner: OWNER,
    order: Order::By("environment_id, user_key, key"),
    columns: &[
        column("user_key", Uuid),
        column("key", Uuid),
        column("id", Id),
        column("feature_id", Id),
        column("amount", Integer { min: 1, max: AMOUNT_MAX }),
        column("drawn", Integer { min: 0, max: AMOUNT_MAX }),
        column("priority", Integer { min: *PRIORITIES.start(), max: *PRIORITIES.end() }),
        column("starts_at", Instant),
        optional("expires_at", Instant),
        optional("voided_at", Instant),
        optional("reason", Label),
        column("created_at", Instant),
    ],
};

static HOLD: Description = Description {
    name: "hold",
    table: "holds",
    owner: OWNER,
    order: Order::By("environment_id, user_key, id"),
    columns: &[
        column("user_key", Uuid),
        column("id", Id),
        column("feature_id", Id),
        column("amount", Integer { min: 1, max: hold::AMOUNT_MAX }),
        column("cost", COST),
        column("balance_id", Id),
        column("subscription_id", Uuid),
        column("terms", TERMS),
        column("period_start", Instant),
        column("created_at", Instant),
        column("expires_at", Instant),
        optional("ended_at", Instant),
        optional("settled", Integer { min: 0, max: hold::AMOUNT_MAX }),
    ],
};

static COUNTER: Description = Description {
    name: "counter",
    table: "counters",
    owner: OWNER,
    order: Order::By("environment_id, user_key, subscription_id, feature_id, terms, period_start"),
    columns: &[
        column("user_key", Uuid),
        column("subscription_id", Uuid),
        column("feature_id", Id),
        // Left out if 0, as in the files of releases that had no terms numbers.
        Column { left_out: Some(0), ..column("terms", TERMS) },
        column("period_start", Instant),
        column("used", NOT_NEGATIVE),
        optional("marks", Name(are_marks)),
    ],
};

static EVENT: Description = Description {
    name: "event",
    table: "events",
    owner: OWNER,
    order: Order::Arrival,
    columns: &[
        column("user_key", Uuid),
        column("feature_id", Id),
        column("action", Name(is_name::<LoggedAction>)),
        column("delta", ANY),
        column("occurred_at", Instant),
        column("recorded_at", Instant),
        optional("subscription_id", Uuid),
        optional("idempotency_key", Id),
        optional("metadata", Metadata),
    ],
};

static USAGE_BY_DAY: Description = Description {
    name: "usage_by_day",
    table: "usage_by_day",
    owner: OWNER,
    order: Order::By("environment_id, day, feature_id"),
    columns: &[
        column("day", DAY),
        column("feature_id", Id),
        column("events", NOT_NEGATIVE),
        column("amount", ANY),
        column("uncounted", NOT_NEGATIVE),
    ],
};

static USAGE_SINCE: Description = Description {
    name: "usage_since",
    table: "usage_since",
    owner: OWNER,
    order: Order::By("environment_id"),
    columns: &[column("day", DAY)],
};

static LIMIT_CROSSING: Description = Description {
    name: "limit_crossing",
    table: "limit_crossings",
    owner: OWNER,
    order: Order::By("environment_id, user_key, feature_id, period_end, share"),
    columns: &[
        column("user_key", Uuid),
        column("feature_id", Id),
        column("period_end", Instant),
        column("share", Integer { min: 80, max: 100 }),
        column("crossed_at", Instant),
    ],
};

static THRESHOLD_EVENT: Description = Description {
    name: "threshold_event",
    table: "threshold_events",
    owner: OWNER,
    order: Order::By("environment_id, user_key, id"),
    columns: &[
        column("user_key", Uuid),
        column("id", Uuid),
        column("feature_id", Id),
        column("threshold", Threshold),
        column("period_start", Instant),
        optional("period_end", Instant),
        column("used", NOT_NEGATIVE),
        column("budget", NOT_NEGATIVE),
        column("overage_enabled", Flag),
        column("at", Instant),
        Column { left_out: Some(0), ..column("carried", NOT_NEGATIVE) },
        Column { left_out: Some(0), ..column("granted", NOT_NEGATIVE) },
        Column { left_out: Some(0), ..column("held", NOT_NEGATIVE) },
    ],
};

static REPLAY: Description = Description {
    name: "replay",
    table: "replays",
    owner: OWNER,
    order: Order::By("environment_id, idempotency_key"),
    columns: &[
        column("idempotency_key", Id),
        column("user_key", Uuid),
        column("feature_id", Id),
        column("action", Name(is_name::<UsageAction>)),
        column("delta", ANY),
        optional("occurred_at", Instant),
        column("answer", Answer),
        column("kept_at", Instant),
    ],
};

static CHANGE_HEAD: Description = Description {
    name: "change_head",
    table: "change_heads",
    owner: OWNER,
    order: Order::By("environment_id"),
    columns: &[column("number", NUMBER)],
};

static CHANGE: Description = Description {
    name: "change",
    table: "changes",
    owner: OWNER,
    order: Order::By("environment_id, number"),
    columns: &[
        column("number", NUMBER),
        column("id", Uuid),
        column("type", Text),
        column("at", Instant),
        optional("user_id", Id),
        column("data", Json),
        column("actor", Text),
    ],
};

static AUDIT_ENTRY: Description = Description {
    name: "audit_entry",
    table: "audit_log",
    owner: OWNER,
    order: Order::By("environment_id, at, id"),
    columns: AUDIT_COLUMNS,
};

/// The same table, but for what belongs to an environment.
static APP_AUDIT_ENTRY: Description = Description {
    name: "app_audit_entry",
    owner: Owner::NoEnvironment("environment_id"),
    ..AUDIT_ENTRY
};

const AUDIT_COLUMNS: &[Column] = &[
    column("id", Uuid),
    column("at", Instant),
    column("actor", Text),
    column("action", Text),
    column("kind", Name(is_audit_kind)),
    optional("subject", Text),
    optional("before", Json),
    optional("after", Json),
    optional("request_id", Text),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_stand_in_their_order_and_have_names_of_their_own() {
        for (place, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!(kind as usize, place);
            assert_eq!(Kind::from_name(kind.name()), Some(kind));
        }
    }
}
