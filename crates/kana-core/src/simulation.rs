//! What recorded usage would have come to under the packages of a file (contract: `beyond.md`, "Replay").
//!
//! The usage of each user is counted again from 0, under the user's subscriptions, with the features and the
//! packages of the file under their ids. Quantities, added limits, costs, reset periods and overage apply;
//! overrides, grants, holds and rollover do not. Nothing is stored.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;
use std::sync::Arc;

use crate::catalog::{Catalog, CatalogChange, Feature, Package, PackageFeature, PackageStatus};
use crate::configuration::{Configuration, ConfiguredPackage};
use crate::counting::{Counting, counting_subscription};
use crate::id::{FeatureId, IdempotencyKey, PackageId, SubscriptionId};
use crate::invalid::InvalidValue;
use crate::subscription::{AsOf, Subscription};
use crate::timestamp::Timestamp;
use crate::usage_event::UsageAction;

/// For how many days usage can be counted again at a time.
pub const DAYS_MAX: i64 = 366;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Checks the stretch of time whose usage is counted again.
pub fn check_window(occurred: &Range<Timestamp>) -> Result<(), InvalidValue> {
    let (from, to) = (occurred.start, occurred.end);
    if from >= to {
        return Err(InvalidValue::new("from", "must be before to"));
    }
    if to.as_ms() - from.as_ms() > DAYS_MAX * DAY_MS {
        return Err(InvalidValue::new("to", format!("must be at most {DAYS_MAX} days after from")));
    }
    Ok(())
}

/// A usage event that is counted again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimulatedEvent {
    /// The feature that was used.
    pub feature: FeatureId,
    /// What the event does to the usage.
    pub action: UsageAction,
    /// The amount, in the feature's unit.
    pub delta: i64,
    /// When it was used.
    pub occurred_at: Timestamp,
    /// The key that it was recorded under.
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A feature in a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimulatedFeature {
    /// The package whose subscription counted.
    pub package: PackageId,
    /// The feature that was counted: the balance, where another one draws on it.
    pub feature: FeatureId,
}

/// What usage of a feature has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SimulatedUsage {
    /// How many users have used it.
    pub users: u64,
    /// How many of them wanted more than the limit.
    pub users_over_limit: u64,
    /// How much has counted in the end, in all periods together.
    pub used: i128,
    /// How much was over the limit and did not count.
    pub refused: i128,
    /// How much was over the limit and counted.
    pub overage: i128,
}

/// What all usage has come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Simulated {
    /// By package, then feature.
    pub rows: BTreeMap<SimulatedFeature, SimulatedUsage>,
    /// The amounts above 0 that no package granted, added up.
    pub not_granted: i128,
    /// How many events were counted again.
    pub events: u64,
}

/// Counts usage again, user by user.
#[derive(Debug)]
pub struct Simulation {
    catalog: Catalog,
    all: Simulated,
    user: OfUser,
}

/// What is known of the user whose events come.
#[derive(Debug, Default)]
struct OfUser {
    subscriptions: Vec<Subscription>,
    /// The keys of events that were taken back, and when they occurred: a key can be used again once it was
    /// forgotten.
    voided: HashSet<(IdempotencyKey, Timestamp)>,
    /// What was used in each period, by the subscription, the feature, and the start of the period.
    counters: HashMap<(SubscriptionId, FeatureId, Timestamp), i64>,
    /// What was used, and whether more was wanted than the limit.
    touched: BTreeMap<SimulatedFeature, bool>,
}

impl Simulation {
    /// Begins with no usage. Packages count whether they are published in the file or drafts.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        let features = configuration
            .features
            .iter()
            .map(|feature| CatalogChange::PutFeature(Arc::new(Feature::from(feature))));
        let packages = configuration
            .packages
            .iter()
            .map(|configured| CatalogChange::PutPackage(Arc::new(package(configured))));
        let mut catalog = Catalog::default();
        features.chain(packages).for_each(|change| catalog.apply(&change));
        Self { catalog, all: Simulated::default(), user: OfUser::default() }
    }

    /// Begins with the next user, with all subscriptions that the user has and had.
    pub fn begin_user(&mut self, subscriptions: Vec<Subscription>) {
        self.end_user();
        self.user.subscriptions = subscriptions;
    }

    /// Leaves out the user's event under this key that occurred then and was taken back. To be called before the
    /// event comes.
    pub fn leave_out(&mut self, key: IdempotencyKey, occurred_at: Timestamp) {
        self.user.voided.insert((key, occurred_at));
    }

    /// Counts the user's next event, in order of arrival.
    pub fn count(&mut self, event: &SimulatedEvent) {
        if !self.user.voided.is_empty()
            && let Some(key) = event.idempotency_key.clone()
            && self.user.voided.contains(&(key, event.occurred_at))
        {
            return;
        }
        let Some(feature) = self.catalog.feature(&event.feature).cloned() else { return };
        if feature.is_binary() {
            return;
        }
        self.all.events += 1;
        let amount = i64::try_from(feature.amount(event.delta));
        let amount = amount.unwrap_or(if event.delta < 0 { i64::MIN } else { i64::MAX });
        let balance = feature.balance();
        let Some(counting) = granted(&self.catalog, &self.user, &feature, event.occurred_at) else {
            self.all.not_granted += i128::from(amount.max(0));
            return;
        };
        let Some(place) = counting.schedule.at(event.occurred_at) else { return };
        let row = SimulatedFeature {
            package: counting.subscription.package.clone(),
            feature: balance.clone(),
        };
        let counter = (counting.subscription.id, balance.clone(), place.period.start);
        let (limit, may_exceed) = (counting.allowance.limit, counting.allowance.overage_enabled);
        let used = self.user.counters.entry(counter).or_default();
        let wanted = match event.action {
            UsageAction::Add => used.saturating_add(amount).max(0),
            UsageAction::Set => amount,
        };
        let usage = self.all.rows.entry(row.clone()).or_default();
        let is_over = wanted > *used && limit.is_some_and(|limit| wanted > limit);
        if is_over && !may_exceed {
            usage.refused += i128::from(wanted - *used);
        } else {
            if is_over {
                let before = limit.map_or(*used, |limit| limit.max(*used));
                usage.overage += i128::from(wanted - before);
            }
            usage.used += i128::from(wanted - *used);
            *used = wanted;
        }
        *self.user.touched.entry(row).or_default() |= is_over;
    }

    /// Returns what all usage has come to.
    #[must_use]
    pub fn finish(mut self) -> Simulated {
        self.end_user();
        self.all
    }

    fn end_user(&mut self) {
        for (row, is_over) in std::mem::take(&mut self.user).touched {
            let usage = self.all.rows.entry(row).or_default();
            usage.users += 1;
            usage.users_over_limit += u64::from(is_over);
        }
    }
}

/// Returns what counts for a feature at an instant: for one that draws on a balance and may be used, what counts
/// for the balance.
fn granted<'a>(
    catalog: &'a Catalog,
    user: &'a OfUser,
    feature: &Feature,
    at: Timestamp,
) -> Option<Counting<'a>> {
    let at = AsOf::Moment(at);
    let counting =
        |feature: &FeatureId| counting_subscription(catalog, &user.subscriptions, feature, at);
    let own = counting(&feature.id)?;
    if feature.draws().is_some() { counting(feature.balance()) } else { Some(own) }
}

fn package(configured: &ConfiguredPackage) -> Package {
    let features = configured
        .features
        .iter()
        .map(|(id, allowance)| (id.clone(), PackageFeature { name: None, allowance: *allowance }));
    Package {
        id: configured.id.clone(),
        name: configured.name.clone(),
        kind: configured.kind.clone(),
        status: PackageStatus::Published,
        metadata: None,
        updated_at: Timestamp::MIN,
        features: features.collect(),
        terms: BTreeMap::new(),
    }
}
