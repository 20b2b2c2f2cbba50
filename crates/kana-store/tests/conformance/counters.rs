use kana_core::Timestamp;
use kana_core::facts::CounterKey;
use kana_core::terms::TermsNumber;

use crate::Engine;
use crate::world::{
    World, count, counter, create_user, delete_counter, subscription_id, time, user_key,
};

pub(crate) async fn a_counter_that_was_never_written_holds_nothing<E: Engine>() {
    let world = World::<E>::new().await;
    let api_calls = counter(subscription_id(1), "api-calls");

    let asked = [(user_key(1), api_calls.clone())];
    assert_eq!(world.stored_counters(world.test, &asked).await, [None]);
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    assert_eq!(world.stored_counters(world.test, &asked).await, [None]);
    // A counter of 0 differs from one that was never written.
    world.change(world.test, user_key(1), [count(api_calls, 0)]).await;
    assert_eq!(world.stored_counters(world.test, &asked).await, [Some(0)]);
    assert!(world.counters(world.test, &[]).await.is_empty());
}

pub(crate) async fn a_counter_holds_what_was_written_last<E: Engine>() {
    let world = World::<E>::new().await;
    let api_calls = counter(subscription_id(1), "api-calls");
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;

    for used in [3, 4, 1, 0, 7] {
        world.change(world.test, user_key(1), [count(api_calls.clone(), used)]).await;
        assert_eq!(world.counter(world.test, user_key(1), api_calls.clone()).await, used);
    }
}

pub(crate) async fn changes_are_written_in_their_order<E: Engine>() {
    let world = World::<E>::new().await;
    let [api_calls, seats] = ["api-calls", "seats"].map(|id| counter(subscription_id(1), id));
    let changes = [
        create_user(user_key(1), "124"),
        count(api_calls.clone(), 5),
        count(seats.clone(), 1),
        count(api_calls.clone(), 2),
        count(seats.clone(), 9),
    ];
    world.change(world.test, user_key(1), changes).await;

    assert_eq!(world.counter(world.test, user_key(1), api_calls).await, 2);
    assert_eq!(world.counter(world.test, user_key(1), seats).await, 9);
}

pub(crate) async fn a_counter_holds_the_largest_amount_there_is<E: Engine>() {
    let world = World::<E>::new().await;
    let api_calls = counter(subscription_id(1), "api-calls");
    let changes = [create_user(user_key(1), "124"), count(api_calls.clone(), i64::MAX)];
    world.change(world.test, user_key(1), changes).await;

    assert_eq!(world.counter(world.test, user_key(1), api_calls).await, i64::MAX);
}

pub(crate) async fn counters_differ_by_user_subscription_feature_terms_and_period<E: Engine>() {
    let world = World::<E>::new().await;
    let one = counter(subscription_id(1), "api-calls");
    let others = [
        (user_key(1), counter(subscription_id(2), "api-calls")),
        (user_key(1), counter(subscription_id(1), "Api-Calls")),
        (user_key(1), CounterKey { period_start: time("2024-01-01T00:00:00.001Z"), ..one.clone() }),
        (user_key(1), CounterKey { terms: TermsNumber(1), ..one.clone() }),
        (user_key(2), one.clone()),
    ];
    for (n, id) in [(1, "ada"), (2, "bob")] {
        world.change(world.test, user_key(n), [create_user(user_key(n), id)]).await;
    }
    world.change(world.test, user_key(1), [count(one.clone(), 1)]).await;
    assert_eq!(world.counters(world.test, &others).await, [0, 0, 0, 0, 0]);

    for (used, (user, other)) in (2..).zip(others.clone()) {
        world.change(world.test, user, [count(other, used)]).await;
    }
    assert_eq!(world.counters(world.test, &others).await, [2, 3, 4, 5, 6]);
    assert_eq!(world.counter(world.test, user_key(1), one).await, 1);
}

pub(crate) async fn counters_stand_in_the_order_in_which_they_were_asked_for<E: Engine>() {
    let world = World::<E>::new().await;
    for (n, id) in [(1, "ada"), (2, "bob")] {
        let changes = [
            create_user(user_key(n), id),
            count(counter(subscription_id(n), "api-calls"), i64::from(n) * 10),
            count(counter(subscription_id(n), "seats"), i64::from(n) * 100),
        ];
        world.change(world.test, user_key(n), changes).await;
    }
    let of = |n, feature| (user_key(n), counter(subscription_id(n), feature));

    // There are no exports, and no third user.
    let asked = [
        of(2, "seats"),
        of(1, "exports"),
        of(1, "api-calls"),
        of(3, "seats"),
        of(2, "api-calls"),
        of(2, "seats"),
        of(1, "seats"),
    ];
    assert_eq!(world.counters(world.test, &asked).await, [200, 0, 10, 0, 20, 200, 100]);
}

pub(crate) async fn counters_of_many_periods_are_those_that_were_asked_for<E: Engine>() {
    let world = World::<E>::new().await;
    let of_day = |day: i64| {
        let period_start = Timestamp::from_ms(day * 86_400_000);
        (user_key(1), CounterKey { period_start, ..counter(subscription_id(1), "api-calls") })
    };
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    // More than an engine keeps outside their table; of every fourth day there is none.
    for day in (0..40).filter(|day| day % 4 != 3) {
        world.change(world.test, user_key(1), [count(of_day(day).1, day)]).await;
    }
    let (user, first) = of_day(0);
    let sum = (user, CounterKey { period_start: CounterKey::FOLDED, ..first.clone() });
    let other = (user, CounterKey { terms: TermsNumber(1), ..first });
    world.change(world.test, user, [count(sum.1.clone(), 77), count(other.1.clone(), 88)]).await;
    let days = (0..13).chain([20, 30, 38, 39]).chain([5, 4]).map(of_day);
    let asked: Vec<_> = [sum].into_iter().chain(days).chain([other]).collect();
    let used = |day: i64| (day % 4 != 3).then_some(day);
    let expected = (0..13).chain([20, 30, 38, 39]).chain([5, 4]).map(used);
    let expected: Vec<_> = [Some(77)].into_iter().chain(expected).chain([Some(88)]).collect();
    assert_eq!(world.stored_counters(world.test, &asked).await, expected);
}

pub(crate) async fn a_deleted_counter_was_never_written_and_can_be_written_again<E: Engine>() {
    let world = World::<E>::new().await;
    let of_month = |month: u32| CounterKey {
        period_start: time(&format!("2024-{month:02}-01T00:00:00Z")),
        ..counter(subscription_id(1), "api-calls")
    };
    world.change(world.test, user_key(1), [create_user(user_key(1), "124")]).await;
    // More counters than an engine keeps outside their table.
    for year in 0..3 {
        let sets = (1..=12).map(|month| {
            let terms = TermsNumber(year);
            count(CounterKey { terms, ..of_month(month) }, i64::from(month))
        });
        world.change(world.test, user_key(1), sets).await;
    }
    let asked: Vec<_> = (0..3)
        .flat_map(|year| [1, 12].map(|month| (TermsNumber(year), month)))
        .map(|(terms, month)| (user_key(1), CounterKey { terms, ..of_month(month) }))
        .collect();
    let deleted = asked.iter().map(|(_, counter)| delete_counter(counter.clone()));
    world.change(world.test, user_key(1), deleted).await;
    assert_eq!(world.stored_counters(world.test, &asked).await, [None; 6]);
    let (_, others) = (user_key(1), of_month(2));
    assert_eq!(world.counter(world.test, user_key(1), others).await, 2);

    let again = asked.iter().map(|(_, counter)| count(counter.clone(), 7));
    world.change(world.test, user_key(1), again).await;
    assert_eq!(world.stored_counters(world.test, &asked).await, [Some(7); 6]);
}

pub(crate) async fn counters_are_walked_through_in_their_order_without_gap_or_overlap<E: Engine>() {
    let world = World::<E>::new().await;
    // Enough counters that every engine has those of the first users in their table.
    for n in 1..=3 {
        let changes = (0..40).map(|period| {
            let start = kana_core::Timestamp::from_ms(i64::from(period));
            let counter = counter(subscription_id(n), "api-calls");
            count(CounterKey { period_start: start, ..counter }, 1)
        });
        let created = [create_user(user_key(n), &n.to_string())];
        world.change(world.test, user_key(n), created.into_iter().chain(changes)).await;
    }
    let pages = |limit: usize| {
        let store = &world.store;
        async move {
            let (mut all, mut after): (Vec<_>, _) = (Vec::new(), None);
            loop {
                let mut reader = store.read().await.unwrap();
                let page = reader.counters_after(world.test, after.as_ref(), limit).await.unwrap();
                assert!(page.len() <= limit);
                let Some(last) = page.last().cloned() else {
                    return all;
                };
                all.extend(page);
                after = Some(last);
            }
        }
    };
    let all = pages(1000).await;
    assert!(all.is_sorted_by(|one, next| one < next), "{all:?}");
    assert_eq!(pages(7).await, all);
}
