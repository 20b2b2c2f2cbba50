use async_trait::async_trait;
use indexmap::{IndexMap, IndexSet};
use kana_core::Timestamp;
use kana_core::catalog::{CatalogChange, CatalogVersion};
use kana_core::counter::CounterValue;
use kana_core::facts::{Change, CounterKey};
use kana_core::grant::GrantKey;
use kana_core::id::{FeatureId, IdempotencyKey, UserKey};
use kana_core::idempotency::{Replay, WrittenAnswer};
use kana_core::metadata::Metadata;
use kana_core::user::User;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::changes::{Gathered, Users};
use super::parameters::{Parameter, column};
use super::reading::distinct;
use super::recent_counters::RecentCounters;
use super::replays_table::ReplaysTable;
use super::statements as sql;
use super::transaction::{Kind, PostgresTransaction};
use super::user_search::{self, Entries};
use super::{catalog, feed, keys, locks, partitions, usage_by_day, users};
use crate::app::{EnvironmentId, EnvironmentKind, Key, NewKey};
use crate::columns::Named;
use crate::error::StoreError;
use crate::feed::Records;
use crate::grant_row::GrantRow;
use crate::hold_row::HoldRow;
use crate::override_row::OverrideRow;
use crate::quantities_column::quantities_to_text;
use crate::store::WriteTransaction;
use crate::threshold_event_row::ThresholdEventRow;
use crate::timing_column::timing_to_text;
use crate::usage_statistics::UsageDeltas;

/// How many changes of usage can wait for the commit. Writing them takes a few milliseconds, and how
/// long a commit takes is watched. What is larger takes so long that a round trip more does not count.
const WAITING_MAX: usize = 1024;

#[async_trait]
impl WriteTransaction for PostgresTransaction {
    async fn change_facts(
        &mut self,
        environment: EnvironmentId,
        changes: &[(UserKey, Change)],
    ) -> Result<(), StoreError> {
        let gathered = Gathered::new(changes);
        for (_, event) in &gathered.events {
            partitions::provide(&self.shared, event.recorded_at).await;
        }
        let used = self.shared.not_noted(environment, gathered.used_features());
        self.used_features.extend(used.iter().map(|feature| (environment, feature.clone())));
        let (counting, older) = self.set_counters(environment, &gathered).await?;
        let replays = match gathered.replays.is_empty() {
            true => None,
            false => Some(replays(&gathered, self.replays_table(environment).await?)?),
        };
        let (deleted, added) = self.search_entries(environment, &gathered.users).await?;
        let written = gathered.users.statements();
        let mut tables: Vec<Table> = used_features(&used).into_iter().collect();
        tables.extend(written.iter().map(|rows| put_users(rows)));
        let counters = self.recent_counters_of(environment, &counting, &gathered.users)?;
        let recorded = recorded(counters, events(&gathered), usage(&gathered));
        let others = [
            added_subscriptions(&gathered),
            cancelled_subscriptions(&gathered),
            changed_quantities(&gathered),
            changed_timings(&gathered),
            running_subscriptions(&gathered),
            deleted_overrides_of(&gathered),
            deleted_overrides(&gathered),
            put_overrides(&gathered)?,
            noted_overrides(&gathered),
            deleted_grants_of(&gathered),
            deleted_grants(&gathered),
            put_grants(&gathered),
            drawn_grants(&gathered),
            noted_grants(&gathered),
            put_holds(&gathered),
            noted_holds(&gathered),
            older_counters(&older),
            deleted_counters(&gathered),
            crossings(&gathered),
            thresholds(&gathered),
            replays,
            search_entries(sql::DELETE_SEARCH_ENTRIES, &deleted),
            search_entries(sql::ADD_SEARCH_ENTRIES, &added),
        ];
        tables.extend(recorded);
        tables.extend(others.into_iter().flatten());
        self.places.clear();
        if tables.is_empty() {
            return Ok(());
        }
        let may_wait = gathered.is_usage() && changes.len() <= WAITING_MAX;
        let statements = tables.into_iter().map(|Table { statement, columns }| {
            let environment: Parameter = Box::new(environment.0);
            (statement, std::iter::once(environment).chain(columns).collect())
        });
        self.make(statements.collect(), may_wait).await?;
        for (earlier, new) in gathered.deleted_ids {
            self.forget_id(environment, earlier, new).await?;
        }
        Ok(())
    }

    async fn forget_keys(
        &mut self,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<(), StoreError> {
        let keys = distinct(keys.iter().map(IdempotencyKey::as_str));
        let parameters: &[&(dyn ToSql + Sync)] = &[&environment.0, &keys];
        let tables = self.replays_table(environment).await?.forget();
        self.change(&tables.map(|statement| (statement, parameters))).await?;
        Ok(())
    }

    async fn change_catalog(
        &mut self,
        environment: EnvironmentId,
        planned_on: CatalogVersion,
        changes: &[CatalogChange],
    ) -> Result<CatalogVersion, StoreError> {
        self.claim_catalog(environment).await?;
        catalog::change(self, environment, planned_on, changes).await
    }

    async fn add_key(&mut self, key: &NewKey) -> Result<Key, StoreError> {
        keys::add_key(self, key).await
    }

    async fn revoke_key(
        &mut self,
        id: i64,
        at: Timestamp,
    ) -> Result<Option<(Key, bool)>, StoreError> {
        keys::revoke_key(self, id, at).await
    }

    async fn rotate_token_secret(
        &mut self,
        environment: EnvironmentKind,
        secret: Vec<u8>,
        now: Timestamp,
        earlier_valid_until: Timestamp,
    ) -> Result<Option<EnvironmentId>, StoreError> {
        keys::rotate_token_secret(self, environment, &secret, now, earlier_valid_until).await
    }

    async fn set_simple_mode(
        &mut self,
        environment: EnvironmentKind,
        on: bool,
    ) -> Result<Option<(EnvironmentId, bool)>, StoreError> {
        keys::set_simple_mode(self, environment, on).await
    }

    /// Keeps the records until the commit, which sends them first: the number of the newest change
    /// is then held no longer than the commit takes.
    async fn append(
        &mut self,
        environment: EnvironmentId,
        records: Records,
    ) -> Result<(), StoreError> {
        self.appending.extend(feed::appending(environment, &records));
        Ok(())
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.commit_changes().await
    }
}

impl PostgresTransaction {
    /// Sets counters in their users' rows. Returns the users whose rows changed, and the counters that
    /// give way.
    async fn set_counters(
        &mut self,
        environment: EnvironmentId,
        gathered: &Gathered<'_>,
    ) -> Result<(IndexSet<UserKey>, OlderCounters), StoreError> {
        for user in gathered.users.created() {
            self.recent_counters.insert((environment, *user), RecentCounters::default());
        }
        let users = gathered.counters.keys().map(|(user, _)| *user);
        self.load_recent_counters(environment, users).await?;
        let (mut changed, mut older) = (IndexSet::new(), OlderCounters::new());
        for ((user, counter), value) in &gathered.counters {
            let gives_way = match (self.recent_counters.get_mut(&(environment, *user)), value) {
                (Some(recent), Some(value)) => {
                    changed.insert(*user);
                    recent.set(counter, value)
                }
                (Some(recent), None) => {
                    changed.insert(*user);
                    recent.remove(counter);
                    None
                }
                (None, value) => value.map(|value| ((*counter).clone(), value.clone())),
            };
            older.extend(gives_way.map(|(counter, value)| ((*user, counter), value)));
        }
        Ok((changed, older))
    }

    /// Returns the counters that are now in these users' rows. The rows of users in `written` have
    /// moved.
    fn recent_counters_of(
        &self,
        environment: EnvironmentId,
        users: &IndexSet<UserKey>,
        written: &Users<'_>,
    ) -> Result<Option<Table>, StoreError> {
        let of = |user: &UserKey| Some((*user, self.recent_counters.get(&(environment, *user))?));
        let rows: Vec<(UserKey, &RecentCounters)> = users.iter().filter_map(of).collect();
        if rows.is_empty() {
            return Ok(None);
        }
        let texts: Vec<String> =
            rows.iter().map(|(_, recent)| recent.to_json()).collect::<Result<_, _>>()?;
        let columns = vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(user, _)| {
                let place = self.places.get(&(environment, *user));
                place.filter(|_| !written.has(*user)).cloned()
            }),
            Box::new(texts),
            column(&rows, |(_, recent)| recent.has_older),
        ];
        Ok(Some(Table { statement: sql::SET_RECENT_COUNTERS, columns }))
    }

    /// Locks the catalog against everyone who would decide on it or change it. Questions go on.
    pub(super) async fn claim_catalog(
        &mut self,
        environment: EnvironmentId,
    ) -> Result<(), StoreError> {
        if self.kind == Kind::Write && self.claimed.insert(environment) {
            self.catalogs.insert(environment);
            let [class, object] = locks::catalog(environment);
            self.ask_one(sql::CLAIM_CATALOG, &[&class, &object]).await?;
        }
        Ok(())
    }
}

/// The rows for the table of counters, each counter once.
type OlderCounters = IndexMap<(UserKey, CounterKey), CounterValue>;

/// The rows of one table, with the statement that writes them.
struct Table {
    statement: &'static str,
    columns: Vec<Parameter>,
}

fn used_features(features: &[FeatureId]) -> Option<Table> {
    (!features.is_empty()).then(|| Table {
        statement: sql::NOTE_USAGE,
        columns: vec![column(features, |feature| feature.as_str().to_owned())],
    })
}

fn put_users(rows: &[(UserKey, &User)]) -> Table {
    let mut columns = vec![column(rows, |(key, _)| key.0)];
    columns.extend(users::texts(rows).map(|texts| Box::new(texts) as Parameter));
    Table { statement: &users::PUT_USERS, columns }
}

fn search_entries(statement: &'static str, entries: &Entries) -> Option<Table> {
    (!entries.is_empty()).then(|| Table { statement, columns: user_search::columns(entries) })
}

fn added_subscriptions(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.added;
    (!rows.is_empty()).then(|| Table {
        statement: sql::ADD_SUBSCRIPTIONS,
        columns: vec![
            column(rows, |(user, _)| user.0),
            column(rows, |(_, new)| new.id.0),
            column(rows, |(_, new)| new.package.as_str().to_owned()),
            column(rows, |(_, new)| new.status.to_name()),
            column(rows, |(_, new)| new.started_at.as_ms()),
            column(rows, |(_, new)| new.ended_at.map(Timestamp::as_ms)),
            column(rows, |(_, new)| quantities_to_text(&new.quantities)),
            column(rows, |(_, new)| timing_to_text(&new.timing)),
        ],
    })
}

fn cancelled_subscriptions(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.cancelled;
    (!rows.is_empty()).then(|| Table {
        statement: sql::CANCEL_SUBSCRIPTIONS,
        columns: vec![
            column(rows, |((user, _), _)| user.0),
            column(rows, |((_, subscription), _)| subscription.0),
            column(rows, |(_, ended_at)| ended_at.as_ms()),
        ],
    })
}

fn changed_quantities(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.quantities;
    (!rows.is_empty()).then(|| Table {
        statement: sql::SET_QUANTITIES,
        columns: vec![
            column(rows, |((user, _), _)| user.0),
            column(rows, |((_, subscription), _)| subscription.0),
            column(rows, |(_, quantities)| quantities_to_text(quantities)),
        ],
    })
}

fn changed_timings(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.timings;
    (!rows.is_empty()).then(|| Table {
        statement: sql::SET_TIMINGS,
        columns: vec![
            column(rows, |((user, _), _)| user.0),
            column(rows, |((_, subscription), _)| subscription.0),
            column(rows, |(_, timing)| timing_to_text(timing)),
        ],
    })
}

fn running_subscriptions(gathered: &Gathered<'_>) -> Option<Table> {
    let added = gathered.added.iter().map(|(user, _)| user.0);
    let changed = gathered.cancelled.keys().chain(gathered.quantities.keys());
    let changed = changed.chain(gathered.timings.keys());
    let users = distinct(added.chain(changed.map(|(user, _)| user.0)));
    (!users.is_empty())
        .then(|| Table { statement: sql::NOTE_RUNNING, columns: vec![Box::new(users)] })
}

fn deleted_overrides_of(gathered: &Gathered<'_>) -> Option<Table> {
    let users = distinct(gathered.deleted_users.iter().map(|user| user.0));
    (!users.is_empty())
        .then(|| Table { statement: sql::DELETE_OVERRIDES_OF, columns: vec![Box::new(users)] })
}

fn deleted_overrides(gathered: &Gathered<'_>) -> Option<Table> {
    let deleted = gathered.overrides.iter().filter(|(_, new)| new.is_none());
    let rows: Vec<&(UserKey, &FeatureId)> = deleted.map(|(key, _)| key).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::DELETE_OVERRIDES,
        columns: vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, feature)| feature.as_str().to_owned()),
        ],
    })
}

fn put_overrides(gathered: &Gathered<'_>) -> Result<Option<Table>, StoreError> {
    let put = gathered.overrides.iter().filter_map(|((user, _), new)| Some((*user, (*new)?)));
    let rows: Vec<(UserKey, OverrideRow<'_>)> = put
        .map(|(user, new)| Ok((user, OverrideRow::of(new)?)))
        .collect::<Result<_, StoreError>>()?;
    let text = |text: Option<&str>| text.map(str::to_owned);
    Ok((!rows.is_empty()).then(|| Table {
        statement: sql::PUT_OVERRIDES,
        columns: vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, row)| row.feature.to_owned()),
            column(&rows, |(_, row)| row.id),
            column(&rows, |(_, row)| row.kind.to_owned()),
            column(&rows, |(_, row)| row.limit),
            column(&rows, |(_, row)| text(row.reset_period)),
            column(&rows, |(_, row)| text(row.reset_anchor)),
            column(&rows, |(_, row)| row.overage_enabled),
            column(&rows, |(_, row)| row.starts_at),
            column(&rows, |(_, row)| row.ends_at),
            column(&rows, |(_, row)| text(row.reason)),
            column(&rows, |(_, row)| row.history.clone()),
        ],
    }))
}

/// Notes beside users whether they have overrides.
fn noted_overrides(gathered: &Gathered<'_>) -> Option<Table> {
    let changed = gathered.overrides.keys().map(|(user, _)| user.0);
    let users = distinct(changed.chain(gathered.deleted_users.iter().map(|user| user.0)));
    (!users.is_empty())
        .then(|| Table { statement: sql::NOTE_OVERRIDES, columns: vec![Box::new(users)] })
}

fn deleted_grants_of(gathered: &Gathered<'_>) -> Option<Table> {
    let users = distinct(gathered.deleted_users.iter().map(|user| user.0));
    (!users.is_empty())
        .then(|| Table { statement: sql::DELETE_GRANTS_OF, columns: vec![Box::new(users)] })
}

fn deleted_grants(gathered: &Gathered<'_>) -> Option<Table> {
    let deleted = gathered.grants.iter().filter(|(_, new)| new.is_none());
    let rows: Vec<&(UserKey, GrantKey)> = deleted.map(|(key, _)| key).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::DELETE_GRANTS,
        columns: vec![column(&rows, |(user, _)| user.0), column(&rows, |(_, grant)| grant.0)],
    })
}

fn put_grants(gathered: &Gathered<'_>) -> Option<Table> {
    let put = gathered.grants.iter().filter_map(|((user, _), new)| Some((*user, new.as_ref()?)));
    let rows: Vec<(UserKey, GrantRow<'_>)> =
        put.map(|(user, new)| (user, GrantRow::of(new))).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::PUT_GRANTS,
        columns: vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, row)| row.key),
            column(&rows, |(_, row)| row.id.to_owned()),
            column(&rows, |(_, row)| row.feature.to_owned()),
            column(&rows, |(_, row)| row.amount),
            column(&rows, |(_, row)| row.drawn),
            column(&rows, |(_, row)| row.priority),
            column(&rows, |(_, row)| row.starts_at),
            column(&rows, |(_, row)| row.expires_at),
            column(&rows, |(_, row)| row.voided_at),
            column(&rows, |(_, row)| row.reason.map(str::to_owned)),
            column(&rows, |(_, row)| row.created_at),
        ],
    })
}

fn drawn_grants(gathered: &Gathered<'_>) -> Option<Table> {
    let rows: Vec<(&(UserKey, GrantKey), &i64)> = gathered.drawn.iter().collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::SET_DRAWN,
        columns: vec![
            column(&rows, |((user, _), _)| user.0),
            column(&rows, |((_, grant), _)| grant.0),
            column(&rows, |(_, drawn)| **drawn),
        ],
    })
}

/// Notes beside users whether they have grants.
fn noted_grants(gathered: &Gathered<'_>) -> Option<Table> {
    let changed = gathered.grants.keys().map(|(user, _)| user.0);
    let users = distinct(changed.chain(gathered.deleted_users.iter().map(|user| user.0)));
    (!users.is_empty())
        .then(|| Table { statement: sql::NOTE_GRANTS, columns: vec![Box::new(users)] })
}

fn put_holds(gathered: &Gathered<'_>) -> Option<Table> {
    let put = gathered.holds.iter();
    let rows: Vec<(UserKey, HoldRow<'_>)> =
        put.map(|((user, _), new)| (*user, HoldRow::of(new))).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::PUT_HOLDS,
        columns: vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, row)| row.id.to_owned()),
            column(&rows, |(_, row)| row.feature.to_owned()),
            column(&rows, |(_, row)| row.amount),
            column(&rows, |(_, row)| row.cost),
            column(&rows, |(_, row)| row.balance.to_owned()),
            column(&rows, |(_, row)| row.subscription),
            column(&rows, |(_, row)| i64::from(row.terms.0)),
            column(&rows, |(_, row)| row.period_start),
            column(&rows, |(_, row)| row.created_at),
            column(&rows, |(_, row)| row.expires_at),
            column(&rows, |(_, row)| row.ended_at),
            column(&rows, |(_, row)| row.settled),
        ],
    })
}

/// Notes beside users whether they have holds that have not ended.
fn noted_holds(gathered: &Gathered<'_>) -> Option<Table> {
    let users = distinct(gathered.holds.keys().map(|(user, _)| user.0));
    (!users.is_empty())
        .then(|| Table { statement: sql::NOTE_HOLDS, columns: vec![Box::new(users)] })
}

fn deleted_counters(gathered: &Gathered<'_>) -> Option<Table> {
    let deleted = gathered.counters.iter().filter(|(_, used)| used.is_none());
    let rows: Vec<&(UserKey, &CounterKey)> = deleted.map(|(counter, _)| counter).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::DELETE_COUNTERS,
        columns: vec![
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, counter)| counter.subscription.0),
            column(&rows, |(_, counter)| counter.feature.as_str().to_owned()),
            column(&rows, |(_, counter)| i64::from(counter.terms.0)),
            column(&rows, |(_, counter)| counter.period_start.as_ms()),
        ],
    })
}

fn older_counters(rows: &OlderCounters) -> Option<Table> {
    (!rows.is_empty()).then(|| Table {
        statement: sql::SET_COUNTERS,
        columns: vec![
            column(rows, |((user, _), _)| user.0),
            column(rows, |((_, counter), _)| counter.subscription.0),
            column(rows, |((_, counter), _)| counter.feature.as_str().to_owned()),
            column(rows, |((_, counter), _)| i64::from(counter.terms.0)),
            column(rows, |((_, counter), _)| counter.period_start.as_ms()),
            column(rows, |(_, value)| value.used),
            column(rows, |(_, value)| value.marks.to_text()),
        ],
    })
}

fn events(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.events;
    let key = |key: &IdempotencyKey| key.as_str().to_owned();
    (!rows.is_empty()).then(|| Table {
        statement: sql::LOG_EVENTS,
        columns: vec![
            column(rows, |(user, _)| user.0),
            column(rows, |(_, event)| event.feature.as_str().to_owned()),
            column(rows, |(_, event)| event.action.to_name()),
            column(rows, |(_, event)| event.delta),
            column(rows, |(_, event)| event.occurred_at.as_ms()),
            column(rows, |(_, event)| event.recorded_at.as_ms()),
            column(rows, |(_, event)| -> Option<Uuid> { event.subscription.map(|id| id.0) }),
            column(rows, |(_, event)| event.idempotency_key.as_ref().map(key)),
            column(rows, |(_, event)| event.metadata.as_ref().map(Metadata::to_json)),
        ],
    })
}

/// Joins the statements of recorded usage to one: each statement of a batch has a price of its own.
fn recorded(
    counters: Option<Table>,
    events: Option<Table>,
    usage: Option<Table>,
) -> impl Iterator<Item = Table> {
    match (counters, events, usage) {
        (Some(counters), Some(events), Some(usage)) => {
            let columns = [counters, events, usage].into_iter().flat_map(|table| table.columns);
            let columns = columns.collect();
            [Some(Table { statement: sql::RECORD_USAGE, columns }), None, None]
        }
        (counters, events, usage) => [counters, events, usage],
    }
    .into_iter()
    .flatten()
}

fn crossings(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = &gathered.crossings;
    (!rows.is_empty()).then(|| Table {
        statement: sql::CROSS_LIMITS,
        columns: vec![
            column(rows, |((user, ..), _)| user.0),
            column(rows, |((_, feature, ..), _)| feature.as_str().to_owned()),
            column(rows, |((_, _, period_end, _), _)| *period_end),
            column(rows, |((.., share), _)| share.percent()),
            column(rows, |(_, crossed_at)| crossed_at.as_ms()),
        ],
    })
}

fn thresholds(gathered: &Gathered<'_>) -> Option<Table> {
    let rows = gathered.thresholds.iter();
    let rows: Vec<_> = rows.map(|(user, event)| (*user, ThresholdEventRow::of(event))).collect();
    (!rows.is_empty()).then(|| Table {
        statement: sql::ADD_THRESHOLD_EVENTS,
        columns: vec![
            column(&rows, |(_, row)| row.id),
            column(&rows, |(user, _)| user.0),
            column(&rows, |(_, row)| row.feature.to_owned()),
            column(&rows, |(_, row)| row.threshold.clone()),
            column(&rows, |(_, row)| row.period_start),
            column(&rows, |(_, row)| row.period_end),
            column(&rows, |(_, row)| row.used),
            column(&rows, |(_, row)| row.budget),
            column(&rows, |(_, row)| row.overage_enabled),
            column(&rows, |(_, row)| row.at),
            column(&rows, |(_, row)| row.extras.carried),
            column(&rows, |(_, row)| row.extras.granted),
            column(&rows, |(_, row)| row.extras.held),
        ],
    })
}

/// The one row of what the events add to the usage by day.
fn usage(gathered: &Gathered<'_>) -> Option<Table> {
    let mut deltas = UsageDeltas::default();
    for (_, event) in &gathered.events {
        deltas.add_event(event);
    }
    (!deltas.is_empty())
        .then(|| Table { statement: sql::APPEND_USAGE, columns: usage_by_day::columns(&deltas) })
}

fn replays(gathered: &Gathered<'_>, table: ReplaysTable) -> Result<Table, StoreError> {
    let rows = &gathered.replays;
    let answers: Vec<String> = rows
        .iter()
        .map(|(_, Replay { answer, counted, .. })| {
            serde_json::to_string(&WrittenAnswer { answer: *answer, counted: *counted })
        })
        .collect::<Result<_, _>>()?;
    let columns = vec![
        column(rows, |(key, _)| key.as_str().to_owned()),
        column(rows, |(_, replay)| replay.content.user.0),
        column(rows, |(_, replay)| replay.content.feature.as_str().to_owned()),
        column(rows, |(_, replay)| replay.content.action.to_name()),
        column(rows, |(_, replay)| replay.content.delta),
        column(rows, |(_, replay)| replay.content.occurred_at.map(Timestamp::as_ms)),
        Box::new(answers),
        column(rows, |(_, replay)| replay.kept_at.as_ms()),
    ];
    Ok(Table { statement: table.keep(), columns })
}
