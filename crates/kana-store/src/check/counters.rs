//! Counters equal their events, folded in the order in which they arrived, and their periods start on the
//! anchor of their subscription or override.

use std::collections::HashMap;

use kana_core::Timestamp;
use kana_core::catalog::Allowance;
use kana_core::counter::Marks;
use kana_core::explain::Source;
use kana_core::id::{OverrideId, SubscriptionId, UserKey};
use kana_core::period::{Origin, ResetAnchor, ResetPeriod};
use kana_core::recount::CountedEvent;
use kana_core::terms::{Terms, TermsNumber};
use kana_core::usage::LoggedAction;
use uuid::Uuid;

use super::counter_group::{CounterGroup, Counting};
use super::finding::Finding;
use super::kept_events::KeptEvents;
use super::snapshot::{Dialect, Row, Snapshot};
use crate::columns::Named as _;
use crate::error::StoreError;
use crate::override_row;
use crate::timing_column::timing_from_text;

/// Consumable features of packages with the terms that each has had: number, start, reset period, and
/// whether the package had the feature. The first are the oldest.
const TERMS: &str = "
    SELECT t.environment_id, t.package_id, t.feature_id, t.terms, t.since, t.reset_period, t.reset_anchor,
        t.given
    FROM (
        SELECT environment_id, package_id, feature_id, terms, since, reset_period, reset_anchor,
            position,
            CASE WHEN is_given THEN 1 ELSE 0 END AS given
        FROM package_feature_terms
        UNION ALL
        SELECT environment_id, package_id, feature_id, 0, -62167219200000, reset_period, reset_anchor,
            0, 1
        FROM package_features f
        WHERE NOT EXISTS (
            SELECT 1 FROM package_feature_terms t
            WHERE t.environment_id = f.environment_id AND t.package_id = f.package_id
                AND t.feature_id = f.feature_id)) t
    JOIN features f ON f.environment_id = t.environment_id AND f.id = t.feature_id
        AND f.type = 'CONSUMABLE' AND f.draws_on IS NULL
    ORDER BY t.environment_id, t.package_id, t.feature_id, t.position";

/// What a row of [`rows`] is.
const SUBSCRIPTION: i64 = 0;
const OVERRIDE: i64 = 1;
/// A counter whose usage came along, wholly or partly, from another package.
const BROUGHT: i64 = 2;
/// An event of a feature that draws on the one of the row. The counter has it at the cost of its time, which
/// the event does not say.
const DRAWING: i64 = 3;
const EVENT: i64 = 4;
const COUNTER: i64 = 5;

/// Stands for the end of what runs: the latest instant.
const NEVER: i64 = 253_402_300_799_999;

/// Each subscription and override of a consumable feature, then for each feature its events and counters. What
/// counts for a user's grants has no row.
fn rows(dialect: Dialect) -> String {
    let arrival = match dialect {
        Dialect::Sqlite => "e.id, 0",
        // Within a millisecond, in the order in which they lie. That is the order of arrival only among
        // those that one connection wrote.
        Dialect::Postgres => {
            "e.recorded_at, (CAST(CAST(e.ctid AS text) AS point))[0]::bigint * 65536
                + (CAST(CAST(e.ctid AS text) AS point))[1]::bigint"
        }
    };
    format!(
        "SELECT environment_id, id, '', {SUBSCRIPTION}, started_at, coalesce(ended_at, {NEVER}), 0, 0,
             package_id, 0, NULL, timing
         FROM subscriptions
         UNION ALL
         SELECT o.environment_id, o.id, '', {OVERRIDE}, o.starts_at, coalesce(o.ends_at, {NEVER}), 0, 0,
             coalesce(o.reset_period, ''), 0, o.reset_anchor, o.history
         FROM overrides o
         JOIN features f ON f.environment_id = o.environment_id AND f.id = o.feature_id
             AND f.type = 'CONSUMABLE' AND f.draws_on IS NULL
         UNION ALL
         SELECT environment_id, subscription_id, feature_id, {BROUGHT}, terms, period_start, 0, 0,
             '', 0, NULL, marks
         FROM current_counters
         WHERE marks LIKE 'b%'
         UNION ALL
         SELECT e.environment_id, e.subscription_id, coalesce(f.draws_on, e.feature_id),
             CASE WHEN f.id IS NULL THEN {EVENT} ELSE {DRAWING} END,
             {arrival}, e.occurred_at, e.delta, e.action, e.recorded_at, NULL, NULL
         FROM events e
         LEFT JOIN features f ON f.environment_id = e.environment_id AND f.id = e.feature_id
             AND f.draws_on IS NOT NULL
         WHERE e.subscription_id IS NOT NULL
         UNION ALL
         SELECT environment_id, subscription_id, feature_id, {COUNTER}, terms, period_start, used, 0,
             '', 0, NULL, NULL
         FROM current_counters
         ORDER BY 1, 2, 3, 4, 5, 6"
    )
}

/// Compares all counters, and passes on the differences.
pub(super) async fn check(
    snapshot: &mut dyn Snapshot,
    kept: &KeptEvents,
    found: &mut (dyn FnMut(Finding) + Send),
) -> Result<(), StoreError> {
    let mut catalog = TermsOf::new();
    snapshot.each(TERMS, &mut |row: &Row| read_terms(&mut catalog, row)).await?;
    let dialect = snapshot.dialect();
    let arrives_in_order = dialect == Dialect::Sqlite;
    let mut walk = Walk { catalog, kept, found, arrives_in_order, source: None, group: None };
    let rows = rows(dialect);
    snapshot.each(&rows, &mut |row: &Row| walk.take(row)).await?;
    walk.end_group();
    Ok(())
}

/// By environment, package and feature.
type TermsOf = HashMap<(i64, String, String), Vec<Terms>>;

fn read_terms(catalog: &mut TermsOf, row: &Row) -> Result<(), StoreError> {
    let key = (row.integer(0)?, row.text(1)?.to_owned(), row.text(2)?.to_owned());
    let reset = match row.text(5) {
        Ok(name) => Some(ResetPeriod::from_name(name)?),
        Err(_) => None,
    };
    let reset_anchor = row.text(6).map_or(Ok(ResetAnchor::default()), ResetAnchor::from_name)?;
    let allowance = Allowance { reset_period: reset, reset_anchor, ..Allowance::UNLIMITED };
    let allowance = (row.integer(7)? != 0).then_some(allowance);
    let since = Timestamp::from_ms(row.integer(4)?);
    let terms = Terms { since, number: terms_number(row.integer(3)?), allowance };
    catalog.entry(key).or_default().push(terms);
    Ok(())
}

fn terms_number(stored: i64) -> TermsNumber {
    TermsNumber(u32::try_from(stored).unwrap_or(u32::MAX))
}

/// What was read last.
struct Walk<'a> {
    catalog: TermsOf,
    kept: &'a KeptEvents,
    found: &'a mut (dyn FnMut(Finding) + Send),
    /// Whether events come in the order in which they were recorded, also those of one instant.
    arrives_in_order: bool,
    source: Option<(Counting, TermsFrom)>,
    group: Option<CounterGroup>,
}

/// Where the terms of what counts are.
enum TermsFrom {
    /// Those of a package, which the catalog has.
    Package(String),
    /// Those of an override, which it has itself.
    Override(Vec<Terms>),
    /// Grants have one period that never ends.
    Grants,
}

impl Walk<'_> {
    fn take(&mut self, row: &Row) -> Result<(), StoreError> {
        let (environment, id, kind) = (row.integer(0)?, row.id(1)?, row.integer(3)?);
        if kind == SUBSCRIPTION || kind == OVERRIDE {
            self.end_group();
            self.source = Some(read_source(row)?);
            return Ok(());
        }
        let counts = |counting: &Counting| {
            (counting.environment, counting.source.counter_id().0) == (environment, id)
        };
        if SubscriptionId(id).is_of_grants()
            && self.source.as_ref().is_none_or(|(counting, _)| !counts(counting))
        {
            self.end_group();
            self.source = Some((grants_of(environment, id), TermsFrom::Grants));
        }
        // What names no subscription is found by the references. An override may have been removed.
        let Some((counting, _)) = &self.source else { return Ok(()) };
        if !counts(counting) {
            return Ok(());
        }
        let feature = row.text(2)?;
        if self.group.as_ref().is_none_or(|group| group.feature != feature) {
            self.end_group();
            self.begin_group(feature)?;
        }
        let Some(group) = &mut self.group else { return Ok(()) };
        if kind == DRAWING {
            group.become_unknown();
            return Ok(());
        }
        let at = || {
            Ok::<_, StoreError>((
                terms_number(row.integer(4)?),
                Timestamp::from_ms(row.integer(5)?),
            ))
        };
        if kind == BROUGHT {
            let marks = row.text(11)?;
            let unreadable = || StoreError::Unreadable(format!("the marks of a counter: {marks}"));
            let used = Marks::from_text(marks).ok_or_else(unreadable)?.brought_along();
            group.bring_along(at()?, used);
            return Ok(());
        }
        if kind == EVENT {
            let event = CountedEvent {
                action: LoggedAction::from_name(row.text(8)?)?,
                delta: row.integer(7)?,
                occurred_at: Timestamp::from_ms(row.integer(6)?),
                recorded_at: Timestamp::from_ms(row.integer(9)?),
            };
            group.count(event, self.arrives_in_order);
            return Ok(());
        }
        let wrong = group.compare(at()?, row.integer(6)?);
        self.report(wrong);
        Ok(())
    }

    fn begin_group(&mut self, feature: &str) -> Result<(), StoreError> {
        let Some((counting, terms)) = &self.source else { return Ok(()) };
        let environment = counting.environment;
        let (terms, are_all) = match terms {
            // A feature without an amount has no counters, and what the package never had, the references find.
            TermsFrom::Package(package) => {
                let key = (environment, package.clone(), feature.to_owned());
                let terms = self.catalog.get(&key).cloned().unwrap_or_default();
                (terms, self.kept.all_of(environment, counting.source.counter_id().0))
            }
            TermsFrom::Override(terms) => {
                (terms.clone(), self.kept.since(environment, counting.origin.started_at.as_ms()))
            }
            TermsFrom::Grants => {
                let terms = vec![Terms::unchanged(Allowance::UNLIMITED)];
                (terms, self.kept.all_of_grants(environment, counting.source.counter_id().0))
            }
        };
        let is_whole = !terms.is_empty() && are_all;
        self.group = Some(CounterGroup::new(counting, feature, terms, is_whole)?);
        Ok(())
    }

    /// Looks at what is left: periods with events and without a counter.
    fn end_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let wrong = group.rest();
        self.group = Some(group);
        self.report(wrong);
        self.group = None;
    }

    /// Passes on what is wrong with the counters of the group.
    fn report(&mut self, wrong: Vec<(&'static str, String)>) {
        let (Some((counting, _)), Some(group)) = (&self.source, &self.group) else { return };
        let environment = self.kept.environment(counting.environment);
        let source = match counting.source {
            Source::Subscription(_) => "subscription",
            Source::Override(_) => "override",
            Source::Grants(_) => "grants",
        };
        let id = counting.source.counter_id().0.simple();
        for (check, text) in wrong {
            let subject = format!("{} under {source} {id} in {environment}", group.feature);
            (self.found)(Finding { check, subject, found: text });
        }
    }
}

/// Returns what counts under the id that stands for a user's grants. Whose they are makes no difference.
fn grants_of(environment: i64, id: Uuid) -> Counting {
    let origin = Timestamp::from_ms(0).into();
    Counting { environment, source: Source::Grants(UserKey(id)), origin, ended_at: None }
}

/// Reads a row of a subscription or an override.
fn read_source(row: &Row) -> Result<(Counting, TermsFrom), StoreError> {
    let id = row.id(1)?;
    let started_at = Timestamp::from_ms(row.integer(4)?);
    let mut origin = Origin::from(started_at);
    let (source, terms) = if row.integer(3)? == OVERRIDE {
        let reset = (Some(row.text(8)?).filter(|name| !name.is_empty()), row.text_or_null(10)?);
        let terms = override_row::terms(reset, row.text_or_null(11)?)?;
        (Source::Override(OverrideId(id)), TermsFrom::Override(terms))
    } else {
        let package = row.text(8)?.to_owned();
        // A timing that cannot be read is found by itself.
        let timing = timing_from_text(row.text_or_null(11)?).unwrap_or_default();
        origin.anchored_at = timing.anchored_at.unwrap_or(started_at);
        (Source::Subscription(SubscriptionId(id)), TermsFrom::Package(package))
    };
    let counting = Counting {
        environment: row.integer(0)?,
        source,
        origin,
        ended_at: Some(row.integer(5)?).filter(|at| *at != NEVER).map(Timestamp::from_ms),
    };
    Ok((counting, terms))
}
