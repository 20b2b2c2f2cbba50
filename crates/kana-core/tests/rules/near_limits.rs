//! When usage comes near a limit, and who is near one.

use kana_core::decide::UpdateSubscription;
use kana_core::near_limit::Share;
use kana_core::usage::RecordedUsage;
use proptest::prelude::*;

use crate::world::{Gives, Recording, World, limit, recording, time, unlimited, using};

fn world(gives: Gives) -> World {
    World::new()
        .consumable("calls")
        .package("pro", [("calls", gives)])
        .user("ada")
        .subscribed("ada", "pro")
}

fn calls() -> Recording {
    recording("ada", "calls")
}

/// Records, and returns the shares that this has crossed.
fn crossed(world: &mut World, recording: Recording) -> Vec<i64> {
    assert_eq!(world.record(recording), Ok(RecordedUsage::Recorded));
    world.take_crossings().iter().map(|crossing| crossing.share.percent()).collect()
}

#[test]
fn each_share_is_crossed_once_on_the_way_up() {
    let mut world = world(limit(10));
    let mut told = Vec::new();
    for _ in 0..12 {
        told.push(crossed(&mut world, calls()));
    }
    let expected: Vec<Vec<i64>> = (1..=12)
        .map(|used| match used {
            8 => vec![80],
            10 => vec![100],
            _ => vec![],
        })
        .collect();
    assert_eq!(told, expected);
}

#[test]
fn who_crosses_both_shares_at_once_has_crossed_the_larger_one() {
    assert_eq!(crossed(&mut world(limit(10)), calls().add(11)), [100]);
    assert_eq!(crossed(&mut world(limit(10)), calls().set(10)), [100]);
    // With a limit of 1, the first use is all there is.
    assert_eq!(crossed(&mut world(limit(1)), calls()), [100]);
}

#[test]
fn usage_that_falls_and_rises_again_crosses_again() {
    let mut world = world(limit(10));
    assert_eq!(crossed(&mut world, calls().set(9)), [80]);
    assert_eq!(crossed(&mut world, calls().set(10)), [100]);
    assert_eq!(crossed(&mut world, calls().set(9)), Vec::<i64>::new());
    assert_eq!(crossed(&mut world, calls()), [100]);
    assert_eq!(crossed(&mut world, calls().add(-3)), Vec::<i64>::new());
    assert_eq!(crossed(&mut world, calls().add(2)), [80]);
}

#[test]
fn a_share_of_a_limit_that_it_does_not_divide_is_reached_when_it_is_passed() {
    // 80 % of 3 are 2.4.
    let mut world = world(limit(3));
    assert_eq!(crossed(&mut world, calls().add(2)), Vec::<i64>::new());
    assert_eq!(crossed(&mut world, calls()), [100]);
}

#[test]
fn without_a_limit_nothing_is_crossed_and_a_limit_of_0_by_the_first_use() {
    assert_eq!(crossed(&mut world(unlimited()), calls().set(i64::MAX)), Vec::<i64>::new());
    let mut world = world(limit(0).with_overage());
    assert_eq!(world.near("ada", "calls"), None);
    assert_eq!(crossed(&mut world, calls()), [100]);
    assert_eq!(world.near("ada", "calls"), Some(Share::Full));
}

#[test]
fn use_feature_crosses_as_recording_does_and_what_it_refuses_crosses_nothing() {
    let mut world = world(limit(10));
    let shares = |world: &mut World, delta| {
        world.use_feature(using("ada", "calls").delta(delta)).unwrap();
        let crossed = world.take_crossings();
        crossed.iter().map(|crossing| crossing.share).collect::<Vec<_>>()
    };
    assert_eq!(shares(&mut world, 8), [Share::Near]);
    assert_eq!(shares(&mut world, 3), []);
    assert_eq!(shares(&mut world, 2), [Share::Full]);
}

#[test]
fn a_crossing_says_when_its_period_ends() {
    let mut world = world(limit(10).monthly());
    world.set_clock("2024-01-20T00:00:00Z");
    world.record(calls().add(8)).unwrap();
    let crossings = world.take_crossings();
    assert_eq!(crossings[0].period_end.unwrap().to_string(), "2024-02-01T00:00:00.000Z");
    assert_eq!(crossings[0].crossed_at.to_string(), "2024-01-20T00:00:00.000Z");

    let mut world = self::world(limit(10));
    world.record(calls().add(8)).unwrap();
    assert_eq!(world.take_crossings()[0].period_end, None);
}

#[test]
fn a_crossing_outlasts_an_end_of_the_subscription_that_can_be_taken_back() {
    let mut world = world(limit(10).monthly());
    let id = world.subscription("ada", "pro").id;
    let end = |at: Option<&str>| UpdateSubscription {
        cancel_at: Some(at.map(time)),
        ..UpdateSubscription::nothing(id)
    };
    world.set_clock("2024-01-10T00:00:00Z");
    world.update(end(Some("2024-01-20T00:00:00Z"))).unwrap();
    world.record(calls().add(8)).unwrap();
    let crossings = world.take_crossings();
    assert_eq!(crossings[0].period_end.unwrap().to_string(), "2024-02-01T00:00:00.000Z");
    // One that has come crosses nothing.
    world.set_clock("2024-01-21T00:00:00Z");
    assert_eq!(crossed(&mut world, calls().add(2).at("2024-01-19T00:00:00Z")), Vec::<i64>::new());
}

#[test]
fn late_usage_crosses_only_in_a_period_that_has_not_ended() {
    let mut world = world(limit(10).monthly());
    world.set_clock("2024-02-20T00:00:00Z");
    assert_eq!(crossed(&mut world, calls().add(9).at("2024-01-31T00:00:00Z")), Vec::<i64>::new());
    assert_eq!(crossed(&mut world, calls().add(9).at("2024-02-01T00:00:00Z")), [80]);
}

#[test]
fn the_same_request_again_crosses_nothing() {
    let mut world = world(limit(10));
    assert_eq!(crossed(&mut world, calls().add(8).key("k")), [80]);
    assert_eq!(crossed(&mut world, calls().add(8).key("k")), Vec::<i64>::new());
}

#[test]
fn who_is_near_is_asked_anew() {
    let mut world = world(limit(10).monthly());
    world.record(calls().add(9)).unwrap();
    assert_eq!(world.near("ada", "calls"), Some(Share::Near));
    world.record(calls().add(1)).unwrap();
    assert_eq!(world.near("ada", "calls"), Some(Share::Full));
    world.record(calls().set(7)).unwrap();
    assert_eq!(world.near("ada", "calls"), None);
    world.record(calls().set(10)).unwrap();
    world.set_clock("2024-02-01T00:00:00Z");
    assert_eq!(world.near("ada", "calls"), None, "a new period has begun");
}

proptest! {
    #[test]
    fn a_share_is_the_largest_that_usage_has_reached(used in 0..=i64::MAX, budget in 0..=i64::MAX) {
        let reaches = |percent: i128| {
            used > 0 && i128::from(used) * 100 >= i128::from(budget) * percent
        };
        let expected = match (reaches(80), reaches(100)) {
            (_, true) => Some(Share::Full),
            (true, false) => Some(Share::Near),
            (false, false) => None,
        };
        prop_assert_eq!(Share::reached(used, budget), expected);
    }

    #[test]
    fn whoever_comes_to_be_near_has_crossed(
        steps in prop::collection::vec((any::<bool>(), -6..15_i64), 1..40),
        budget in 0..12_i64,
    ) {
        let mut world = world(limit(budget));
        let mut before = None;
        for (is_set, delta) in steps {
            let recording = if is_set { calls().set(delta.max(0)) } else { calls().add(delta) };
            world.record(recording).unwrap();
            let crossings = world.take_crossings();
            let now = world.near("ada", "calls");
            // Upwards there is one crossing, of the share that is reached now; otherwise none.
            let expected = if before < now { now.into_iter().collect() } else { Vec::new() };
            let shares: Vec<Share> = crossings.iter().map(|crossing| crossing.share).collect();
            prop_assert_eq!(shares, expected);
            before = now;
        }
    }
}
