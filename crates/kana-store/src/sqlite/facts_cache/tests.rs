use std::collections::{BTreeMap, VecDeque};

use kana_core::Timestamp;
use kana_core::counter::{CounterValue, Marks};
use kana_core::facts::{Change, CounterKey};
use kana_core::grant::{Grant, GrantKey};
use kana_core::id::{FeatureId, GrantId, OverrideId, PackageId, SubscriptionId};
use kana_core::metadata::Label;
use kana_core::overrides::{Override, OverrideTerms};
use kana_core::period::{Reset, ResetAnchor, ResetPeriod};
use kana_core::quantity::{Quantities, Quantity};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::terms::{TermsHistory, TermsNumber};
use kana_core::timing::Timing;
use kana_core::user::User;
use proptest::prelude::*;
use uuid::Uuid;

use super::entry::Entry;
use super::lru::Lru;
use super::names::EntryNames;
use super::*;
use crate::columns::Named as _;

const ENVIRONMENT: EnvironmentId = EnvironmentId(1);
const VERSION: CatalogVersion = CatalogVersion(7);

fn id(text: &str) -> UserId {
    UserId::new("userId", text).unwrap()
}

fn key(n: u128) -> UserKey {
    UserKey(Uuid::from_u128(n))
}

fn subscription(n: u128) -> Subscription {
    Subscription {
        id: SubscriptionId(Uuid::from_u128(n)),
        package: PackageId::new("packageId", "pro").unwrap(),
        status: SubscriptionStatus::Active,
        started_at: Timestamp::from_ms(1_705_320_000_000),
        ended_at: None,
        quantities: Quantities::ONE,
        timing: Timing::NONE,
    }
}

fn counter(subscription: u128, feature: &str, period: i64) -> CounterKey {
    CounterKey {
        subscription: SubscriptionId(Uuid::from_u128(subscription)),
        feature: FeatureId::new("featureId", feature).unwrap(),
        terms: TermsNumber(0),
        period_start: Timestamp::from_ms(period),
    }
}

fn user(n: u128) -> KnownUser {
    let counters = vec![(counter(n, "api-calls", 0), Some(3.into()))];
    KnownUser {
        key: key(n),
        running: vec![subscription(n)],
        overrides: Some(Vec::new()),
        grants: Some(Vec::new()),
        has_holds: false,
        counters,
    }
}

fn cache(users: usize) -> FactsCache {
    FactsCache::new(FactsCacheLimits { users, ..FactsCacheLimits::DEFAULT })
}

/// Adds a user with a snapshot that shows everything.
fn learn(cache: &FactsCache, name: &str, user: &KnownUser) {
    cache.learn(ENVIRONMENT, &id(name), (VERSION, user), || true);
}

fn found(cache: &FactsCache, name: &str) -> Option<KnownUser> {
    match cache.look_up(ENVIRONMENT, &id(name)) {
        LookedUp::Found(found) => Some(found.user),
        LookedUp::Unknown | LookedUp::Changing => None,
    }
}

fn as_of(cache: &FactsCache, name: &str) -> AsOf {
    let LookedUp::Found(found) = cache.look_up(ENVIRONMENT, &id(name)) else { panic!() };
    found.as_of
}

/// A transaction that has read the users, and makes a change of each.
fn changes(of: &[(&str, u128, Change)]) -> FactsChanges {
    let mut changes = FactsChanges::default();
    for (name, n, change) in of {
        changes.note_id(ENVIRONMENT, key(*n), &id(name));
        changes.note(ENVIRONMENT, key(*n), change);
    }
    changes
}

fn set(n: u128, used: i64) -> Change {
    Change::SetCounter { counter: counter(n, "api-calls", 0), value: used.into() }
}

#[test]
fn who_changes_is_asked_of_the_database_until_the_commit_is_made() {
    let cache = cache(usize::MAX);
    learn(&cache, "ada", &user(1));
    learn(&cache, "bob", &user(2));
    let before = as_of(&cache, "ada");
    assert!(cache.is_still(ENVIRONMENT, &id("ada"), before));

    let commit = cache.begin(changes(&[("ada", 1, set(1, 4)), ("cyd", 3, set(3, 1))]));
    for name in ["ada", "cyd"] {
        assert_eq!(cache.look_up(ENVIRONMENT, &id(name)), LookedUp::Changing);
    }
    assert!(!cache.is_still(ENVIRONMENT, &id("ada"), before));
    assert_eq!(found(&cache, "bob"), Some(user(2)));
    // Whoever has read them may have read either.
    learn(&cache, "cyd", &user(3));
    let read = [(counter(1, "api-calls", 0), Some(3.into()))];
    cache.learn_counters(ENVIRONMENT, &id("ada"), (key(1), &read), || true);

    cache.make(&commit);
    assert_eq!(
        found(&cache, "ada").unwrap().counters,
        [(counter(1, "api-calls", 0), Some(4.into()))]
    );
    assert_eq!(found(&cache, "cyd"), None);
    assert!(!cache.is_still(ENVIRONMENT, &id("ada"), before));
}

#[test]
fn a_commit_that_fails_leaves_nothing_of_whom_it_was_to_change() {
    let cache = cache(usize::MAX);
    learn(&cache, "ada", &user(1));
    learn(&cache, "bob", &user(2));
    let commit = cache.begin(changes(&[("ada", 1, set(1, 4))]));
    cache.drop_changes(&commit);
    assert_eq!(cache.look_up(ENVIRONMENT, &id("ada")), LookedUp::Unknown);
    assert_eq!(found(&cache, "bob"), Some(user(2)));
}

#[test]
fn a_change_of_the_catalog_is_asked_of_the_database_until_it_is_made() {
    let cache = cache(usize::MAX);
    learn(&cache, "ada", &user(1));
    let before = as_of(&cache, "ada");
    let mut changes = FactsChanges::default();
    changes.note_catalog(ENVIRONMENT, CatalogVersion(8));
    let commit = cache.begin(changes);
    assert_eq!(cache.look_up(ENVIRONMENT, &id("ada")), LookedUp::Changing);
    learn(&cache, "bob", &user(2));
    cache.make(&commit);
    assert!(!cache.is_still(ENVIRONMENT, &id("ada"), before));
    assert_eq!(as_of(&cache, "ada").catalog_version, CatalogVersion(8));
    assert_eq!(found(&cache, "bob"), None);
}

#[test]
fn what_was_read_of_an_older_snapshot_is_not_kept() {
    let cache = cache(usize::MAX);
    cache.learn(ENVIRONMENT, &id("ada"), (VERSION, &user(1)), || false);
    assert_eq!(cache.look_up(ENVIRONMENT, &id("ada")), LookedUp::Unknown);
    learn(&cache, "ada", &user(1));
    let read = [(counter(1, "api-calls", 0), Some(9.into()))];
    cache.learn_counters(ENVIRONMENT, &id("ada"), (key(1), &read), || false);
    // Of another user who had the id.
    cache.learn_counters(ENVIRONMENT, &id("ada"), (key(2), &read), || true);
    assert_eq!(found(&cache, "ada"), Some(user(1)));
}

#[test]
fn who_gets_another_id_is_forgotten_under_both() {
    let cache = cache(usize::MAX);
    for (name, n) in [("ada", 1), ("bob", 2), ("cyd", 3)] {
        learn(&cache, name, &user(n));
    }
    let renamed = User { key: key(1), ..User::named(id("bob")) };
    let change = Change::UpdateUser { user: renamed, previous_id: Some(id("ada")) };
    let mut changes = changes(&[("ada", 1, set(1, 4)), ("ada", 1, change)]);
    // Under the new id.
    changes.note(ENVIRONMENT, key(1), &set(1, 5));
    cache.make(&cache.begin(changes));
    assert_eq!(["ada", "bob", "cyd"].map(|name| found(&cache, name)), [None, None, Some(user(3))]);
}

#[test]
fn who_was_read_and_changed_is_in_memory_afterwards() {
    let cache = cache(usize::MAX);
    cache.learn_catalog(ENVIRONMENT, VERSION);
    learn(&cache, "bob", &user(2));
    let mut changes = FactsChanges::default();
    changes.note_id(ENVIRONMENT, key(2), &id("bob"));
    for (name, n) in [("ada", 1), ("cyd", 3)] {
        changes.note_user(ENVIRONMENT, &id(name), user(n));
        changes.note_counters(ENVIRONMENT, key(n), vec![(counter(n, "seats", 0), None)]);
    }
    assert_eq!(changes.counter(ENVIRONMENT, &(key(1), counter(1, "seats", 0))), Some(None));
    changes.note(ENVIRONMENT, key(1), &set(1, 4));
    changes.note(ENVIRONMENT, key(2), &set(2, 5));
    assert_eq!(changes.counter(ENVIRONMENT, &(key(1), counter(1, "seats", 0))), None);
    cache.make(&cache.begin(changes));

    let seats = (counter(1, "seats", 0), None);
    let after = |n, used: i64| [(counter(n, "api-calls", 0), Some(used.into()))];
    assert_eq!(
        found(&cache, "ada").unwrap().counters,
        [after(1, 4).to_vec(), vec![seats]].concat()
    );
    assert_eq!(found(&cache, "bob").unwrap().counters, after(2, 5));
    assert_eq!(found(&cache, "cyd"), None);
}

#[test]
fn an_ended_subscription_goes_with_its_counters() {
    let cache = cache(usize::MAX);
    let mut ada = user(1);
    ada.running.push(subscription(2));
    ada.counters.push((counter(2, "api-calls", 0), None));
    learn(&cache, "ada", &ada);
    let end = Change::CancelSubscription {
        subscription: SubscriptionId(Uuid::from_u128(1)),
        ended_at: Timestamp::from_ms(0),
    };
    let begin = Change::AddSubscription(subscription(3));
    cache.make(&cache.begin(changes(&[("ada", 1, end), ("ada", 1, begin)])));
    let after = KnownUser {
        overrides: Some(Vec::new()),
        grants: Some(Vec::new()),
        has_holds: false,
        key: key(1),
        running: vec![subscription(2), subscription(3)],
        counters: vec![(counter(2, "api-calls", 0), None)],
    };
    assert_eq!(found(&cache, "ada"), Some(after));
}

#[test]
fn overrides_and_grants_are_in_memory_with_what_they_count() {
    let cache = cache(usize::MAX);
    learn(&cache, "ada", &user(1));
    let (denied, given) = (an_override(5, "seats"), grant(6, "api-calls"));
    let by = |id| CounterKey { subscription: id, ..counter(1, "seats", 0) };
    let (by_override, by_grants) =
        (by(SubscriptionId(denied.id.0)), by(SubscriptionId::of_grants(key(1))));
    let set = |counter: &CounterKey, used: i64| {
        ("ada", 1, Change::SetCounter { counter: counter.clone(), value: used.into() })
    };
    let before = as_of(&cache, "ada");
    cache.make(&cache.begin(changes(&[
        ("ada", 1, Change::PutOverride(denied.clone())),
        ("ada", 1, Change::PutGrant(given.clone())),
        set(&by_override, 1),
        set(&by_grants, 2),
    ])));
    assert!(!cache.is_still(ENVIRONMENT, &id("ada"), before));
    let mut ada = user(1);
    ada.overrides = Some(vec![denied.clone()]);
    ada.grants = Some(vec![given.clone()]);
    ada.counters
        .extend([(by_override.clone(), Some(1.into())), (by_grants.clone(), Some(2.into()))]);
    assert_eq!(found(&cache, "ada"), Some(ada.clone()));

    // Alone, it is changed where it stands.
    cache.make(&cache.begin(changes(&[set(&by_grants, 7)])));
    ada.counters[2].1 = Some(7.into());
    assert_eq!(found(&cache, "ada"), Some(ada.clone()));

    let drawn = Change::SetDrawn { grant: given.key, drawn: 40 };
    let history = TermsHistory::beginning_with(None);
    let other = Override { terms: OverrideTerms::Deny, history, ..denied.clone() };
    let other = Override { id: OverrideId::of(Uuid::from_u128(9)), ..other };
    cache.make(
        &cache.begin(changes(&[("ada", 1, drawn), ("ada", 1, Change::PutOverride(other.clone()))])),
    );
    ada.grants = Some(vec![Grant { drawn: 40, ..given.clone() }]);
    ada.overrides = Some(vec![other]);
    // What the one that is gone has counted goes with it.
    ada.counters.remove(1);
    assert_eq!(found(&cache, "ada"), Some(ada.clone()));

    cache.make(&cache.begin(changes(&[
        ("ada", 1, Change::DeleteOverride { feature: denied.feature }),
        ("ada", 1, Change::DeleteGrant { grant: given.key }),
    ])));
    (ada.overrides, ada.grants) = (Some(Vec::new()), Some(Vec::new()));
    assert_eq!(found(&cache, "ada"), Some(ada));
}

#[test]
fn rows_that_were_read_by_who_changes_the_user_are_in_memory_afterwards() {
    let cache = cache(usize::MAX);
    cache.learn_catalog(ENVIRONMENT, VERSION);
    let unknown = |n| KnownUser { overrides: None, grants: None, ..user(n) };
    learn(&cache, "ada", &unknown(1));
    assert_eq!(found(&cache, "ada"), Some(unknown(1)));
    let mut changes = FactsChanges::default();
    changes.note_id(ENVIRONMENT, key(1), &id("ada"));
    changes.note_user(ENVIRONMENT, &id("bob"), unknown(2));
    for n in [1, 2] {
        let rows = |feature| vec![grant(10 * n, feature), grant(10 * n + 1, feature)];
        changes.note_rows(ENVIRONMENT, key(n), Rows::Grants(rows("seats")));
        let drawn = Change::SetDrawn { grant: GrantKey(Uuid::from_u128(10 * n)), drawn: 3 };
        changes.note(ENVIRONMENT, key(n), &drawn);
        changes.note(ENVIRONMENT, key(n), &set(n, 4));
    }
    cache.make(&cache.begin(changes));
    for (name, n) in [("ada", 1), ("bob", 2)] {
        let after = found(&cache, name).unwrap();
        let grants = vec![Grant { drawn: 3, ..grant(10 * n, "seats") }, grant(10 * n + 1, "seats")];
        assert_eq!((after.overrides, after.grants), (None, Some(grants)));
        assert_eq!(after.counters, [(counter(n, "api-calls", 0), Some(4.into()))]);
    }
}

#[test]
fn overrides_of_which_much_is_written_are_read_when_they_are_needed() {
    let cache = cache(usize::MAX);
    let reason = Label::new("reason", &"because ".repeat(31)).unwrap();
    let many = |reason: Option<&Label>| {
        let known = |n| Override { reason: reason.cloned(), ..an_override(n, &format!("f{n}")) };
        KnownUser { overrides: Some((0..100).map(known).collect()), ..user(1) }
    };
    learn(&cache, "ada", &many(None));
    assert_eq!(found(&cache, "ada"), Some(many(None)));
    learn(&cache, "bob", &many(Some(&reason)));
    assert_eq!(found(&cache, "bob"), Some(KnownUser { overrides: None, ..user(1) }));
}

#[test]
fn another_quantity_is_in_memory_with_its_subscription() {
    let cache = cache(usize::MAX);
    let mut ada = user(1);
    ada.running.push(subscription(2));
    learn(&cache, "ada", &ada);
    let quantities = quantities_of(&[1, 5]);
    let set = |subscription| Change::SetQuantities {
        subscription: SubscriptionId(Uuid::from_u128(subscription)),
        quantities: quantities.clone(),
    };
    let before = as_of(&cache, "ada");
    cache.make(&cache.begin(changes(&[("ada", 1, set(2)), ("ada", 1, set(77))])));
    assert!(!cache.is_still(ENVIRONMENT, &id("ada"), before));
    ada.running[1].quantities = quantities;
    assert_eq!(found(&cache, "ada"), Some(ada));
}

#[test]
fn a_counter_of_the_current_period_replaces_those_of_earlier_ones() {
    let mut ada = user(1);
    for feature in ["api-calls", "seats"] {
        for period in 0..3 {
            ada.learn(&[(counter(1, feature, period), Some(period.into()))]);
        }
    }
    let newest = ["api-calls", "seats"].map(|feature| (counter(1, feature, 2), Some(2.into())));
    assert_eq!(ada.counters, newest);
    // A period that takes others over needs all of them.
    let many: Vec<Counter> = (0..100).map(|n| (counter(1, "api-calls", n), None)).collect();
    ada.learn(&many);
    assert_eq!(ada.counters, many[100 - COUNTERS_MAX..]);
}

#[test]
fn the_counters_that_are_carried_from_stay_when_a_period_begins() {
    let cache = cache(usize::MAX);
    cache.learn_catalog(ENVIRONMENT, VERSION);
    let read = |period| (counter(1, "api-calls", period), None);
    learn(&cache, "ada", &KnownUser { counters: vec![read(12)], ..user(1) });
    // The writer reads the others of a user who is in memory, and then counts.
    let mut changes = FactsChanges::default();
    changes.note_id(ENVIRONMENT, key(1), &id("ada"));
    changes.note_counters(ENVIRONMENT, key(1), (0..12).map(read).collect());
    let set = |period, used: i64| Change::SetCounter {
        counter: counter(1, "api-calls", period),
        value: used.into(),
    };
    changes.note(ENVIRONMENT, key(1), &set(12, 5));
    cache.make(&cache.begin(changes));
    let starts = |cache: &FactsCache| {
        let mut counters = found(cache, "ada").unwrap().counters;
        counters.sort_by_key(|(counter, _)| counter.period_start);
        let start = |(counter, _): &Counter| counter.period_start.as_ms();
        counters.iter().map(start).collect::<Vec<_>>()
    };
    assert_eq!(starts(&cache), (0..13).collect::<Vec<_>>());
    // A period begins: the one that is carried from no more gives way.
    let mut changes = FactsChanges::default();
    changes.note_id(ENVIRONMENT, key(1), &id("ada"));
    changes.note(ENVIRONMENT, key(1), &set(13, 1));
    cache.make(&cache.begin(changes));
    assert_eq!(starts(&cache), (1..14).collect::<Vec<_>>());
}

#[test]
fn a_user_with_more_subscriptions_than_fit_is_not_kept() {
    let cache = cache(usize::MAX);
    let many = |count| KnownUser { running: (0..count).map(subscription).collect(), ..user(1) };
    learn(&cache, "ada", &many(256));
    learn(&cache, "bob", &many(255));
    assert_eq!(["ada", "bob"].map(|name| found(&cache, name)), [None, Some(many(255))]);
    let begin = Change::AddSubscription(subscription(1000));
    cache.make(&cache.begin(changes(&[("bob", 1, begin)])));
    assert_eq!(found(&cache, "bob"), None);
}

#[test]
fn a_user_with_a_subscription_and_four_counters_takes_300_bytes() {
    let cache = FactsCache::new(FactsCacheLimits { users: 1000, ..FactsCacheLimits::DEFAULT });
    for n in 0..1000 {
        let counters = ["a", "b", "c", "d"].map(|feature| (counter(n, feature, 0), Some(3.into())));
        let user = KnownUser { counters: counters.to_vec(), ..user(n) };
        learn(&cache, &format!("user-{n:07}"), &user);
    }
    let shard = cache.shard(0);
    assert!(shard.bytes() <= 300 * 1000, "{}", shard.bytes());
}

#[test]
fn a_full_cache_adds_some_of_those_who_were_read_and_soon_whoever_is_asked_about_often() {
    let cache = FactsCache::new(FactsCacheLimits { bytes: 100_000, users: usize::MAX });
    let mut fits = 0;
    while !cache.shard(0).is_full() {
        learn(&cache, &format!("first {fits}"), &user(fits));
        fits += 1;
    }
    let others = 10_000;
    (0..others).for_each(|n| learn(&cache, &format!("other {n}"), &user(n)));
    let last =
        (others - 8 * fits..others).filter(|n| found(&cache, &format!("other {n}")).is_some());
    let added = u32::try_from(last.count()).unwrap();
    let expected = f64::from(u32::try_from(fits).unwrap());
    assert!((0.8..1.1).contains(&(f64::from(added) / expected)), "{added} of {expected}");
    let times = (0..200).find(|_| {
        learn(&cache, "often", &user(1));
        found(&cache, "often").is_some()
    });
    assert!(times.is_some());
}

#[test]
fn the_bytes_have_a_bound_whatever_is_kept() {
    let cache = FactsCache::new(FactsCacheLimits { bytes: 20_000, users: usize::MAX });
    for n in 0..1000 {
        let mut user = user(n);
        // Names that nobody else has.
        user.running[0].package = PackageId::new("packageId", &format!("package-{n}")).unwrap();
        learn(&cache, &n.to_string(), &user);
        assert!(cache.shard(0).bytes() <= 20_000);
        let counters: Vec<_> = (0..8).map(|feature| counter(n, &feature.to_string(), 0)).collect();
        for counter in counters {
            let read = [(counter, Some(1.into()))];
            cache.learn_counters(ENVIRONMENT, &id(&n.to_string()), (key(n), &read), || true);
            assert!(cache.shard(0).bytes() <= 20_000);
        }
    }
    assert!(found(&cache, "999").is_some());
    assert!(!FactsCache::new(FactsCacheLimits::mib(0)).is_on());
}

/// Quantities of which the first is the oldest; always one without any.
fn quantities_of(all: &[i64]) -> Quantities {
    let quantity = |quantity| Quantity::new("quantity", quantity).unwrap();
    let Some((first, rest)) = all.split_first() else { return Quantities::ONE };
    let mut quantities = Quantities::of(quantity(*first));
    for (at, next) in (0..).zip(rest) {
        quantities.change(quantity(*next), Timestamp::from_ms(at));
    }
    quantities
}

fn feature_id(text: &str) -> FeatureId {
    FeatureId::new("featureId", text).unwrap()
}

fn an_override(n: u128, feature: &str) -> Override {
    let terms = OverrideTerms::Allow { limit: Some(5), overage_enabled: None, reset: None };
    Override {
        id: OverrideId::of(Uuid::from_u128(n)),
        feature: feature_id(feature),
        terms,
        starts_at: Timestamp::from_ms(7),
        ends_at: None,
        reason: None,
        history: TermsHistory::beginning_with(terms.allowance()),
    }
}

fn grant(n: u128, feature: &str) -> Grant {
    Grant {
        key: GrantKey(Uuid::from_u128(n)),
        id: GrantId::new("id", &Uuid::from_u128(n).to_string()).unwrap(),
        feature: feature_id(feature),
        amount: 100,
        drawn: 0,
        priority: 0,
        starts_at: Timestamp::from_ms(1),
        expires_at: None,
        voided_at: None,
        reason: None,
        created_at: Timestamp::from_ms(1),
    }
}

fn any_reason() -> impl Strategy<Value = Option<Label>> {
    prop::option::of("[a-zä ]{0,20}")
        .prop_map(|text| text.map(|text| Label::new("reason", &text).unwrap()))
}

fn any_override() -> impl Strategy<Value = Override> {
    let reset = (0..6_usize, any::<bool>()).prop_map(|(period, is_calendar)| Reset {
        period: ResetPeriod::ALL[period],
        anchor: if is_calendar { ResetAnchor::Calendar } else { ResetAnchor::Subscription },
    });
    let allow =
        (prop::option::of(0..=i64::MAX), prop::option::of(any::<bool>()), prop::option::of(reset))
            .prop_map(|(limit, overage_enabled, reset)| OverrideTerms::Allow {
                limit,
                overage_enabled,
                reset,
            });
    let terms = prop_oneof![1 => Just(OverrideTerms::Deny), 4 => allow];
    let parts = (
        any::<u128>(),
        "[a-c]{1,3}",
        prop::collection::vec(terms, 1..4),
        any::<i64>(),
        prop::option::of(any::<i64>()),
        any_reason(),
    );
    parts.prop_map(|(n, feature, all, starts_at, ends_at, reason)| {
        let mut history = TermsHistory::beginning_with(all[0].allowance());
        for (at, terms) in (1..).zip(&all[1..]) {
            history.change(terms.allowance(), Timestamp::from_ms(at * 10));
        }
        Override {
            terms: all[all.len() - 1],
            history,
            starts_at: Timestamp::from_ms(starts_at),
            ends_at: ends_at.map(Timestamp::from_ms),
            reason,
            ..an_override(n, &feature)
        }
    })
}

fn any_grant() -> impl Strategy<Value = Grant> {
    let instant = || any::<i64>().prop_map(Timestamp::from_ms);
    let parts = (
        any::<u128>(),
        prop::option::of("[a-zé]{1,20}"),
        "[a-c]{1,3}",
        (0..=i64::MAX, 0..=i64::MAX, -100..=100_i64),
        (instant(), prop::option::of(instant()), prop::option::of(instant()), instant()),
        any_reason(),
    );
    parts.prop_map(|(n, id, feature, (amount, drawn, priority), times, reason)| {
        let known = grant(n, &feature);
        let (starts_at, expires_at, voided_at, created_at) = times;
        let id = id.map_or(known.id.clone(), |id| GrantId::new("id", &id).unwrap());
        let known = Grant { id, amount, drawn, priority, reason, ..known };
        Grant { starts_at, expires_at, voided_at, created_at, ..known }
    })
}

/// What counts in the place of a subscription.
fn others(known: &KnownUser) -> Vec<SubscriptionId> {
    let overrides = known.overrides.iter().flatten().map(|known| SubscriptionId(known.id.0));
    overrides.chain([SubscriptionId::of_grants(known.key)]).collect()
}

type AnyTiming = (bool, [Option<i64>; 4]);

fn any_timing() -> impl Strategy<Value = AnyTiming> {
    prop_oneof![Just((false, [None; 4])), any::<AnyTiming>()]
}

fn timing_of((starts_ahead, instants): AnyTiming) -> Timing {
    let instants = instants.map(|ms: Option<i64>| ms.map(Timestamp::from_ms));
    let [end_asked, end, trial_ends_at, anchored_at] = instants;
    Timing { starts_ahead, end_asked, end, trial_ends_at, anchored_at }
}

fn any_user() -> impl Strategy<Value = KnownUser> {
    let statuses = SubscriptionStatus::NAMES;
    let quantities = prop::collection::vec(1_i64..=1_000_000, 0..30);
    let running = ("[a-c]{1,3}", 0..statuses.len(), any::<i64>(), quantities, any_timing());
    let counter = (0..5_usize, "[a-c]{1,3}", any::<u32>(), any::<i64>());
    let used = prop::option::of(0..=i64::MAX);
    let parts = (
        any::<u128>(),
        prop::collection::btree_map(any::<u128>(), running, 0..5),
        prop::collection::vec((counter, used), 0..8),
        prop::option::weighted(0.9, prop::collection::vec(any_override(), 0..3)),
        prop::option::weighted(0.9, prop::collection::vec(any_grant(), 0..3)),
    );
    parts.prop_map(move |(n, running, counters, overrides, grants)| {
        let running: Vec<Subscription> = running
            .into_iter()
            .map(|(n, (package, status, start, quantities, timing))| Subscription {
                package: PackageId::new("packageId", &package).unwrap(),
                status: statuses[status].0,
                started_at: Timestamp::from_ms(start),
                quantities: quantities_of(&quantities),
                timing: timing_of(timing),
                ..subscription(n)
            })
            .collect();
        let has_holds = n % 2 == 0;
        let counters_known = Vec::new();
        let mut known = KnownUser {
            key: key(n),
            running,
            overrides,
            grants,
            has_holds,
            counters: counters_known,
        };
        let subscriptions: Vec<SubscriptionId> =
            known.running.iter().map(|running| running.id).chain(others(&known)).collect();
        for ((of, feature, terms, start), used) in counters {
            let Some(subscription) = subscriptions.get(of) else { continue };
            let key = CounterKey {
                subscription: *subscription,
                feature: FeatureId::new("featureId", &feature).unwrap(),
                terms: TermsNumber(terms),
                period_start: Timestamp::from_ms(start),
            };
            let sets = terms % 3;
            let marks = Marks::default().after_sets(sets);
            // What does not fit is not kept.
            let used = used.map(|used: i64| used.min(i64::MAX - 1));
            known.learn(&[(key, used.map(|used| CounterValue { used, marks }))]);
        }
        known
    })
}

proptest! {
    #[test]
    fn an_entry_is_read_as_it_was_written(
        users in prop::collection::vec((any_user(), "[a-z]{1,20}"), 1..5),
        used in prop::option::of(0..=i64::MAX),
    ) {
        let mut names = EntryNames::default();
        let entries: Vec<Entry> = users
            .iter()
            .map(|(user, name)| Entry::new((ENVIRONMENT, &id(name)), user, &mut names).unwrap())
            .collect();
        for ((mut user, name), mut entry) in users.into_iter().zip(entries) {
            prop_assert!(entry.read(&names).as_ref() == Some(&user));
            prop_assert!(entry.is_of((ENVIRONMENT, &id(&name))));
            prop_assert!(!entry.is_of((EnvironmentId(2), &id(&name))));
            let longer = id(&format!("{name}x"));
            prop_assert!(!entry.is_of((ENVIRONMENT, &longer)));
            let new = used.map(CounterValue::from);
            for index in 0..user.counters.len() {
                let (counter, before) = user.counters[index].clone();
                let has_marks = before.is_some_and(|value| !value.marks.is_empty());
                prop_assert_eq!(entry.set(&counter, new.as_ref(), &names), !has_marks);
                if !has_marks {
                    user.counters[index].1 = new.clone();
                }
                prop_assert!(entry.read(&names).as_ref() == Some(&user));
                // With other marks, it would take more room.
                let marked = |sets| {
                    Some(CounterValue { used: 1, marks: Marks::default().after_sets(sets) })
                };
                prop_assert!(!entry.set(&counter, marked(10).as_ref(), &names));
                prop_assert_eq!(entry.set(&counter, marked(1).as_ref(), &names), has_marks);
                if has_marks {
                    user.counters[index].1 = marked(1);
                }
                prop_assert!(entry.read(&names).as_ref() == Some(&user));
            }
            for index in 0..user.grants.as_ref().map_or(0, Vec::len) {
                let grants = user.grants.as_mut().unwrap();
                let drawn = used.unwrap_or(7);
                prop_assert!(entry.set_drawn(grants[index].key, drawn));
                grants[index].drawn = drawn;
                prop_assert!(entry.read(&names).as_ref() == Some(&user));
            }
            prop_assert!(!entry.set_drawn(GrantKey(Uuid::max()), 7));
            let unknown = counter(1, "unknown", 0);
            prop_assert!(!entry.set(&unknown, new.as_ref(), &names));
        }
    }

    #[test]
    fn a_list_keeps_the_order_of_use(
        steps in prop::collection::vec((0..4_u8, 0..8_u128), 0..200),
        hashes in 1..4_u64,
    ) {
        let (mut lru, mut names) = (Lru::default(), EntryNames::default());
        // Newest first.
        let mut model: VecDeque<u128> = VecDeque::new();
        let mut stamps: BTreeMap<u128, u64> = BTreeMap::new();
        for (stamp, (step, n)) in (0_u64..).zip(steps) {
            let name = id(&n.to_string());
            // Few hashes, so that many users share one.
            let hash = u64::try_from(n).unwrap() % hashes;
            let place = lru.find(hash, |entry| entry.is_of((ENVIRONMENT, &name)));
            prop_assert_eq!(place.is_some(), model.contains(&n));
            let entry = Entry::new((ENVIRONMENT, &name), &user(n), &mut names).unwrap();
            match (step, place) {
                (0, Some(place)) => {
                    lru.remove(place);
                    model.retain(|other| *other != n);
                }
                (1, Some(place)) => {
                    lru.replace(place, entry, stamp);
                    stamps.insert(n, stamp);
                }
                (_, Some(place)) => {
                    lru.touch(place);
                    model.retain(|other| *other != n);
                    model.push_front(n);
                }
                (0, None) => {
                    if let Some(oldest) = lru.oldest() {
                        let (entry, _) = lru.get(oldest).unwrap();
                        let expected = model.pop_back().unwrap();
                        prop_assert!(entry.is_of((ENVIRONMENT, &id(&expected.to_string()))));
                        lru.remove(oldest);
                    }
                }
                (_, None) => {
                    lru.insert(hash, entry, stamp);
                    stamps.insert(n, stamp);
                    model.push_front(n);
                }
            }
            prop_assert_eq!(lru.len(), model.len());
            for n in &model {
                let hash = u64::try_from(*n).unwrap() % hashes;
                let is_it = |entry: &Entry| entry.is_of((ENVIRONMENT, &id(&n.to_string())));
                let (_, stamp) = lru.get(lru.find(hash, is_it).unwrap()).unwrap();
                prop_assert_eq!(stamp, stamps[n]);
            }
        }
        while let Some(oldest) = lru.oldest() {
            lru.remove(oldest);
        }
        prop_assert_eq!((lru.len(), lru.bytes()), (0, 0));
    }
}
