//! A call costs the same however much is stored: the hot paths are counted in SQL statements.

use kana_core::usage::{RecordUsage, UseFeature};
use kana_service::Environment;
use kana_store::sqlite::FactsCacheLimits;

use crate::world::{
    World, feature_id, give, key, new_user, package_id, record, subscribe, time, try_use, usage,
    use_one, used, user_id,
};

/// The user's facts are read, in a view that nobody has written since; the counter is in memory.
const ONE_QUESTION: u64 = 1;
/// That view ends; a transaction begins; the catalog's version and the facts are read; the event and
/// what the counter holds now are written; the transaction ends.
const ONE_RECORDING: u64 = 7;
/// The same, without a view to end.
const ONE_MORE_RECORDING: u64 = 6;
/// And the key is kept. That it is new is known without a statement.
const ONE_RECORDING_WITH_KEY: u64 = 7;

async fn costs(world: &World, story: &str) -> [u64; 4] {
    let test = world.test().await;
    let (user, feature) = (user_id("124"), feature_id("api-calls"));
    // The first use of a feature is noted, and whoever asks first after a commit begins a view.
    record(&test, usage()).await;
    test.can_use_feature(&user, &feature, 1).await.unwrap();
    let (answer, asking) = world.statements(test.can_use_feature(&user, &feature, 1)).await;
    assert!(answer.unwrap().consumption.is_some());
    let (recorded, recording) = world.statements(record(&test, usage())).await;
    assert!(recorded.recorded());
    let (granted, using) = world.statements(try_use(&test, use_one())).await;
    assert!(granted.granted);
    let with_key = RecordUsage { idempotency_key: key(story), ..usage() };
    let (recorded, recording_with_key) = world.statements(record(&test, with_key)).await;
    assert!(recorded.recorded());
    [asking, recording, using, recording_with_key]
}

/// Nothing in memory but the counters that are not in their table.
const EXPECTED: [u64; 4] =
    [ONE_QUESTION, ONE_RECORDING, ONE_MORE_RECORDING, ONE_RECORDING_WITH_KEY];
/// With the facts in memory, a question begins no view and reads nothing. A recording does not read the
/// catalog's version and the facts.
const EXPECTED_FROM_MEMORY: [u64; 4] =
    [0, ONE_RECORDING - 3, ONE_MORE_RECORDING - 2, ONE_RECORDING_WITH_KEY - 2];

#[tokio::test]
async fn a_call_costs_the_same_with_one_user_as_with_two_thousand_and_a_long_history() {
    call_costs(FactsCacheLimits::mib(0), EXPECTED).await;
}

#[tokio::test]
async fn a_call_about_a_user_in_memory_costs_the_same_with_a_long_history() {
    call_costs(FactsCacheLimits::default(), EXPECTED_FROM_MEMORY).await;
}

async fn call_costs(limits: FactsCacheLimits, expected: [u64; 4]) {
    let world = World::with_facts_cache(limits).await.stocked().await;
    subscribe(&world.test().await, "124", "basic").await.unwrap();
    assert_eq!(costs(&world, "without a history").await, expected);

    let test = world.test().await;
    many_other_users(&test).await;
    // The rest of the story is about a user who has been here for years.
    let start = time("2014-01-31T00:00:00.000Z");
    let subscribed = test.subscriptions(&user_id("124")).await.unwrap().1;
    test.cancel_subscription(&subscribed[0].id.to_string()).await.unwrap();
    many_ended_subscriptions(&test).await;
    test.subscribe(user_id("124"), vec![package_id("basic")], Some(start)).await.unwrap();
    let events = many_events_in_many_closed_periods(&world, &test).await;

    assert!(world.count("users") > 2000);
    assert!(world.count("subscriptions") > 40);
    assert!(world.count("counters") > 100);
    assert!(world.count("events") > events);
    assert_eq!(costs(&world, "with a history").await, expected);
}

#[tokio::test]
async fn a_user_in_memory_with_grants_costs_a_statement_more_for_what_is_drawn() {
    let world = World::subscribed().await;
    let test = world.test().await;
    for _ in 0..5 {
        give(&test).await;
    }
    let (user, feature) = (user_id("124"), feature_id("api-calls"));
    let use_some = |delta| UseFeature { delta, ..use_one() };
    // Within the allowance, nothing is drawn.
    for (delta, more) in [(10, 0), (150, 1), (10, 1)] {
        try_use(&test, use_some(1)).await;
        let (granted, using) = world.statements(try_use(&test, use_some(delta))).await;
        assert!(granted.granted);
        assert_eq!(using, ONE_MORE_RECORDING - 2 + more, "{delta}");
        let (answer, asking) = world.statements(test.can_use_feature(&user, &feature, 1)).await;
        assert!(answer.unwrap().access);
        assert_eq!(asking, 0);
    }
}

async fn many_other_users(test: &Environment) {
    let creating = (0..2000).map(|number| test.create_user(new_user(&format!("user-{number}"))));
    for created in futures_util::future::join_all(creating).await {
        created.unwrap();
    }
}

async fn many_ended_subscriptions(test: &Environment) {
    for number in 0..40 {
        let package = if number % 2 == 0 { "basic" } else { "pro" };
        let subscription = subscribe(test, "124", package).await.unwrap();
        test.cancel_subscription(&subscription.id.to_string()).await.unwrap();
    }
}

/// Two thousand events over ten years of months. Answers how many.
async fn many_events_in_many_closed_periods(world: &World, test: &Environment) -> usize {
    let recording = (0..2000_i64).map(|number| {
        let month = number % 118;
        let (year, month) = (2014 + month / 12, month % 12 + 1);
        let occurred_at = Some(time(&format!("{year}-{month:02}-28T12:00:00Z")));
        // January of 2014 lies before the subscription: such an event is logged, not counted.
        test.record_usage(RecordUsage { occurred_at, ..usage() })
    });
    let answers = world.together(recording).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(used(test, "124").await, 0, "nothing of it lies in the current period");
    answers.len()
}

#[tokio::test]
async fn a_refused_recording_costs_four_statements_at_most_and_none_of_them_commits() {
    let world = World::subscribed().await;
    let test = world.test().await;
    // So that the catalog's version is in memory.
    record(&test, usage()).await;
    for (unknown, expected) in [
        // Begin, the facts by the id, and whether the tables have such a user, roll back.
        (RecordUsage { user: user_id("nobody"), ..usage() }, 4),
        (RecordUsage { feature: feature_id("nothing"), ..usage() }, 2),
        (RecordUsage { action: kana_core::usage::UsageAction::Set, delta: -1, ..usage() }, 2),
    ] {
        let stored = world.stored();
        let (refused, statements) = world.statements(test.record_usage(unknown)).await;
        assert!(refused.is_err());
        assert_eq!(statements, expected);
        assert_eq!(world.stored(), stored);
    }
}

#[tokio::test]
async fn a_key_is_looked_up_once_and_then_trusted_for_a_moment() {
    let world = World::new().await;
    // Nobody but us asks the store here, and nobody has presented the key yet.
    assert_eq!(world.statements(world.test()).await.1, 1);
    assert_eq!(world.statements(world.test()).await.1, 0);
}
