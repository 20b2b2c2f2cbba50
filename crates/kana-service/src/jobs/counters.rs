//! Folds old counters into one sum, so that a user's counters do not grow without bound (contract:
//! `entitlements.md`, "When a published file changes terms"). No answer changes.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::catalog::Catalog;
use kana_core::decide::Command;
use kana_core::facts::CounterKey;
use kana_core::folding::{FoldCounters, oldest_kept, shortest_reset};
use kana_core::id::{FeatureId, OverrideId, SubscriptionId, UserId, UserKey};
use kana_core::period::ResetPeriod;
use kana_core::refusal::InvalidValue;
use kana_core::terms::TermsNumber;
use kana_store::jobs::Due;
use kana_store::{Actor, EnvironmentId, EnvironmentKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::kind::{Failure, JobKind, Policy, Progress, Slice};
use crate::kana::Kana;

/// How often it is looked whether a pass over all counters is due.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How long after a pass the next one begins. It may be long, since counters may be folded late; see
/// [`FOLDED_LATE_MAX`](kana_core::folding::FOLDED_LATE_MAX).
const PASS_EVERY_MS: i64 = 24 * 60 * 60 * 1000;
/// How many counters are read at once.
const AT_ONCE: usize = 1000;
/// The pause after each read, in which other work goes first.
const PAUSE: Duration = Duration::from_millis(100);
/// How many counters one command folds.
const FOLDED_AT_ONCE: usize = 500;

/// Walks all counters once a day and folds the old ones.
pub(super) struct Counters(pub(super) Arc<Kana>);

/// How far the walk is.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    /// When the last pass ended, in milliseconds since 1970.
    passed_at: Option<i64>,
    /// The pass that is under way.
    pass: Option<Pass>,
}

/// How far a pass is.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pass {
    /// Whether it is done with the test environment.
    is_live: bool,
    /// The last counter that it has looked at.
    after: Option<Place>,
}

/// The key of a counter.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    user: Uuid,
    subscription: Uuid,
    feature: String,
    terms: u32,
    period_start: i64,
}

impl JobKind for Counters {
    const NAME: &'static str = "counters";
    type State = State;

    fn policy(&self) -> Policy {
        Policy::every(LOOK_EVERY)
    }

    async fn run(&self, slice: &Slice, state: &mut State) -> Result<Progress, Failure> {
        let now = self.0.clock.now();
        if state.pass.is_none() && !is_due(state.passed_at, now) {
            return Ok(Progress::Done);
        }
        let pass = state.pass.get_or_insert_default();
        while !slice.is_over() {
            if self.fold_next(pass).await? {
                *state = State { passed_at: Some(now.as_ms()), pass: None };
                return Ok(Progress::Done);
            }
            slice.pause(PAUSE).await;
        }
        Ok(Progress::GoOn { due: Due::NOW })
    }
}

/// Whether the last pass was long enough ago. One that ended in the future ended before the clock went
/// back.
fn is_due(passed_at: Option<i64>, now: Timestamp) -> bool {
    let since = passed_at.map(|at| now.as_ms().saturating_sub(at));
    since.is_none_or(|since| !(0..PASS_EVERY_MS).contains(&since))
}

impl Counters {
    /// Reads some counters, folds the old ones of them, and moves the pass on. Returns true at the end
    /// of all counters.
    async fn fold_next(&self, pass: &mut Pass) -> Result<bool, Failure> {
        let kana = &self.0;
        let kind = if pass.is_live { EnvironmentKind::Live } else { EnvironmentKind::Test };
        let Some(access) = kana.store.client_access(kind).await? else {
            return Ok(true);
        };
        let after = pass.after.as_ref().map(Place::read).transpose()?;
        let actor = Arc::new(Actor::Job);
        let (catalog, counters) = self.counters_after(access.environment, after).await?;
        let users = self.users_with_overrides(access.environment, &counters).await?;
        let mut old = OldCounters::new(&catalog, kana.clock.now());
        for command in commands(&counters, &users, &mut old) {
            let folding = Command::FoldCounters(command);
            kana.writer.submit(access.environment, &actor, folding).await?;
        }
        if counters.len() == AT_ONCE {
            pass.after = counters.last().map(Place::of);
            return Ok(false);
        }
        let is_end = pass.is_live;
        *pass = Pass { is_live: true, after: None };
        Ok(is_end)
    }

    /// Returns the ids of the users for whom overrides counted: an override does not say whose it is.
    async fn users_with_overrides(
        &self,
        environment: EnvironmentId,
        counters: &[(UserKey, CounterKey)],
    ) -> Result<HashMap<UserKey, UserId>, Failure> {
        let of_override =
            |(_, counter): &&(UserKey, CounterKey)| OverrideId::in_place_of(counter.subscription);
        let found = counters.iter().filter(|counter| of_override(counter).is_some());
        let keys: BTreeSet<UserKey> = found.map(|(user, _)| *user).collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let keys: Vec<UserKey> = keys.into_iter().collect();
        let mut transaction = self.0.store.read().await?;
        let users = transaction.users_by_key(environment, &keys).await?;
        Ok(users.into_iter().flatten().map(|user| (user.key, user.id)).collect())
    }

    async fn counters_after(
        &self,
        environment: EnvironmentId,
        after: Option<(UserKey, CounterKey)>,
    ) -> Result<(Arc<Catalog>, Vec<(UserKey, CounterKey)>), Failure> {
        let mut transaction = self.0.store.read().await?;
        let (_, catalog) = self.0.reader.catalog_in(transaction.as_mut(), environment).await?;
        let counters = transaction.counters_after(environment, after.as_ref(), AT_ONCE).await?;
        Ok((catalog, counters))
    }
}

/// Tells cheaply which counters may be old enough to fold, since nearly none are.
struct OldCounters<'a> {
    catalog: &'a Catalog,
    now: Timestamp,
    /// Since when a feature's counters of subscriptions are kept.
    kept: HashMap<&'a FeatureId, Timestamp>,
}

impl<'a> OldCounters<'a> {
    fn new(catalog: &'a Catalog, now: Timestamp) -> Self {
        Self { catalog, now, kept: HashMap::new() }
    }

    fn may_have(&mut self, counter: &'a CounterKey) -> bool {
        // The counters of grants have one period each.
        if counter.is_folded() || counter.subscription.is_of_grants() {
            return false;
        }
        let (catalog, now) = (self.catalog, self.now);
        let kept = match OverrideId::in_place_of(counter.subscription) {
            Some(_) => oldest_kept(ResetPeriod::Minute, now),
            None => *self.kept.entry(&counter.feature).or_insert_with(|| {
                let shortest = shortest_reset(catalog, &counter.feature);
                shortest.map_or(Timestamp::MIN, |shortest| oldest_kept(shortest, now))
            }),
        };
        counter.period_start < kept
    }
}

impl Place {
    fn of((user, counter): &(UserKey, CounterKey)) -> Self {
        Self {
            user: user.0,
            subscription: counter.subscription.0,
            feature: counter.feature.as_str().to_owned(),
            terms: counter.terms.0,
            period_start: counter.period_start.as_ms(),
        }
    }

    fn read(&self) -> Result<(UserKey, CounterKey), InvalidValue> {
        let counter = CounterKey {
            subscription: SubscriptionId(self.subscription),
            feature: FeatureId::new("feature of the last counter", &self.feature)?,
            terms: TermsNumber(self.terms),
            period_start: Timestamp::from_ms(self.period_start),
        };
        Ok((UserKey(self.user), counter))
    }
}

/// Returns commands that fold those of `counters` that may be old; the rule decides which are.
/// `counters` are in the order of their table. Those of overrides are left out for a user who is not
/// among `users`.
fn commands<'a>(
    counters: &'a [(UserKey, CounterKey)],
    users: &HashMap<UserKey, UserId>,
    old: &mut OldCounters<'a>,
) -> Vec<FoldCounters> {
    let mut commands: Vec<FoldCounters> = Vec::new();
    for (key, counter) in counters {
        if !old.may_have(counter) {
            continue;
        }
        let user = match OverrideId::in_place_of(counter.subscription) {
            Some(_) => match users.get(key) {
                Some(user) => Some(user.clone()),
                None => continue,
            },
            None => None,
        };
        let same = commands.last_mut().filter(|last| {
            last.subscription == counter.subscription
                && last.feature == counter.feature
                && last.terms == counter.terms
                && last.period_starts.len() < FOLDED_AT_ONCE
        });
        if let Some(last) = same {
            last.period_starts.push(counter.period_start);
        } else {
            commands.push(FoldCounters {
                user,
                subscription: counter.subscription,
                feature: counter.feature.clone(),
                terms: counter.terms,
                period_starts: vec![counter.period_start],
            });
        }
    }
    commands
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_is_due_once_a_day_also_after_the_clock_went_back() {
        let now = Timestamp::from_ms(10 * PASS_EVERY_MS);
        let is_due = |ago: i64| is_due(Some(now.as_ms() - ago), now);
        assert!(super::is_due(None, now));
        assert_eq!(
            [0, 1, PASS_EVERY_MS - 1, PASS_EVERY_MS, i64::MIN / 2, -1].map(is_due),
            [false, false, false, true, true, true]
        );
    }

    #[test]
    fn where_a_pass_is_reads_back_and_fits_into_a_job() {
        let counter = CounterKey {
            subscription: SubscriptionId(Uuid::from_u128(2)),
            feature: FeatureId::new("feature", &"f".repeat(255)).unwrap(),
            terms: TermsNumber(3),
            period_start: Timestamp::MIN,
        };
        let counter = (UserKey(Uuid::from_u128(1)), counter);
        let after = Some(Place::of(&counter));
        let state = State { passed_at: Some(4), pass: Some(Pass { is_live: true, after }) };
        let text = serde_json::to_string(&state).unwrap();
        assert!(text.len() < kana_store::jobs::STATE_BYTES_MAX);
        let read: State = serde_json::from_str(&text).unwrap();
        assert_eq!(read, state);
        assert_eq!(read.pass.unwrap().after.unwrap().read().unwrap(), counter);
    }
}
