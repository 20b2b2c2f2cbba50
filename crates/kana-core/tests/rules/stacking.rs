//! Limits that are added (contract: `beyond.md`, f, and the column "ADD" of "Everything with everything").

use kana_core::Timestamp;
use kana_core::catalog::Allowance;
use kana_core::counting::counting_subscription;
use kana_core::explain::{BudgetPartKind, PartId, Source};
use kana_core::id::SubscriptionId;
use kana_core::period::ResetPeriod;
use kana_core::quantity::{Quantities, Quantity};
use kana_core::subscription::{AsOf, Subscription, SubscriptionStatus};
use kana_core::timing::Timing;
use kana_core::usage_history::ConsumptionInPeriod;
use proptest::prelude::*;
use uuid::Uuid;

use crate::world::{
    World, feature_id, limit, package_id, recording, setting, switched_on, unlimited,
};

/// A user with 100 calls a month on `base`, and packs of 50 to be added.
fn world() -> World {
    World::new()
        .consumable("api-calls")
        .package("base", [("api-calls", limit(100).monthly())])
        .addon("pack", [], [("api-calls", limit(50).daily().with_overage().added())])
        .addon("bonus", [], [("api-calls", limit(7).added())])
        .user("124")
        .subscribed("124", "base")
}

fn used_of(world: &World) -> (i64, Option<i64>) {
    let consumption = world.can_use("124", "api-calls", 0).unwrap().consumption.unwrap();
    assert_eq!(consumption.allowance(), consumption.budget);
    (consumption.used, consumption.budget)
}

fn add(world: &mut World, delta: i64) {
    world.record(recording("124", "api-calls").add(delta)).unwrap();
}

/// The parts of the budget: what it is, of which package, how much.
fn parts(world: &World) -> Vec<(BudgetPartKind, String, Option<i64>)> {
    let explained = world.explain("124", "api-calls", 1).unwrap();
    let part = |part: &kana_core::explain::BudgetPart| {
        let mut all = world.subscriptions("124").iter();
        let subscription = all.find(|known| PartId::Source(known.id.0) == part.id).unwrap();
        (part.kind, subscription.package.as_str().to_owned(), part.amount)
    };
    explained.parts.iter().map(part).collect()
}

fn allowance(package: &str, amount: Option<i64>) -> (BudgetPartKind, String, Option<i64>) {
    (BudgetPartKind::Allowance, package.to_owned(), amount)
}

fn added(package: &str, amount: Option<i64>) -> (BudgetPartKind, String, Option<i64>) {
    (BudgetPartKind::Added, package.to_owned(), amount)
}

fn line(shown: &ConsumptionInPeriod) -> String {
    let day = |at: Timestamp| at.to_string()[5..10].to_owned();
    let budget = shown.consumption.budget.map_or("∞".to_owned(), |budget| budget.to_string());
    let end = shown.period.end.map(day).unwrap_or_default();
    format!("{}..{end} {}/{budget}", day(shown.period.start), shown.consumption.used)
}

fn past(world: &World) -> Vec<String> {
    world.usage("124", "api-calls").past.iter().map(line).collect()
}

fn current(world: &World) -> String {
    line(&world.usage("124", "api-calls").current.unwrap())
}

#[test]
fn what_is_added_is_added_to_the_one_that_counts() {
    let mut world = world();
    add(&mut world, 90);
    world = world.subscribed_to("124", 2, "pack").subscribed("124", "bonus");
    assert_eq!(used_of(&world), (90, Some(207)));
    assert_eq!(
        parts(&world),
        [allowance("base", Some(100)), added("pack", Some(100)), added("bonus", Some(7))]
    );
    let id = world.subscription("124", "base").id;
    let explained = world.explain("124", "api-calls", 1).unwrap();
    assert_eq!(explained.source, Some(Source::Subscription(id)));
    // Period, overage and counter are of the one that counts.
    let consumption = world.can_use("124", "api-calls", 118).unwrap();
    assert_eq!(
        (consumption.access, consumption.consumption.unwrap().overage_enabled),
        (false, false)
    );
    assert!(world.can_use("124", "api-calls", 117).unwrap().access);
    assert_eq!(current(&world), "01-01..02-01 90/207");
    world.cancel_package("124", "pack");
    assert_eq!(used_of(&world), (90, Some(107)));
}

#[test]
fn where_all_are_added_the_oldest_counts_so_that_usage_stays() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("base", [("api-calls", limit(100).monthly().added())])
        .addon("pack", [], [("api-calls", limit(5000).added())])
        .user("124")
        .subscribed("124", "base");
    add(&mut world, 60);
    assert_eq!(used_of(&world), (60, Some(100)));
    world.set_clock("2024-01-02T00:00:00Z");
    world = world.subscribed("124", "pack");
    assert_eq!(used_of(&world), (60, Some(5100)));
    assert_eq!(parts(&world), [allowance("base", Some(100)), added("pack", Some(5000))]);
    assert_eq!(world.counts_now("124", "api-calls").as_deref(), Some("base"));
}

#[test]
fn of_two_that_are_added_and_began_together_the_smaller_id_counts() {
    let world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("base", [("export", switched_on())])
        .addon("one", [], [("api-calls", limit(1).added())])
        .addon("two", [], [("api-calls", limit(2).with_overage().added())])
        .user("124")
        .subscribed("124", "base")
        .subscribed("124", "one")
        .subscribed("124", "two");
    assert_eq!(world.counts_now("124", "api-calls").as_deref(), Some("one"));
    assert_eq!(used_of(&world), (0, Some(3)));
}

#[test]
fn one_unlimited_among_them_is_unlimited() {
    let world = world()
        .addon("any", [], [("api-calls", unlimited().added())])
        .subscribed("124", "pack")
        .subscribed("124", "any");
    assert_eq!(used_of(&world), (0, None));
    assert_eq!(
        parts(&world),
        [allowance("base", Some(100)), added("pack", Some(50)), added("any", None)]
    );
    let world = World::new()
        .consumable("api-calls")
        .package("any", [("api-calls", unlimited())])
        .addon("pack", [], [("api-calls", limit(50).added())])
        .user("124")
        .subscribed("124", "any")
        .subscribed("124", "pack");
    assert_eq!(used_of(&world), (0, None));
    assert_eq!(parts(&world), [allowance("any", None), added("pack", Some(50))]);
}

#[test]
fn sums_beyond_64_bits_are_the_most_there_is() {
    let world = World::new()
        .consumable("api-calls")
        .package("base", [("api-calls", limit(i64::MAX))])
        .addon("pack", [], [("api-calls", limit(i64::MAX).added())])
        .user("124")
        .subscribed("124", "base")
        .subscribed_to("124", 1000, "pack");
    assert_eq!(used_of(&world), (0, Some(i64::MAX)));
}

#[test]
fn an_override_replaces_what_is_added() {
    let mut world = world().subscribed("124", "pack");
    add(&mut world, 20);
    world.set_override(setting("124", "api-calls").limit(30)).unwrap();
    assert_eq!(used_of(&world), (20, Some(30)));
    assert_eq!(parts(&world), [allowance("base", Some(30))]);
    world.set_override(setting("124", "api-calls").unlimited()).unwrap();
    assert_eq!(used_of(&world), (20, None));
    assert_eq!(parts(&world), [allowance("base", None)]);
    world.set_override(setting("124", "api-calls").limit(3).every(ResetPeriod::Week)).unwrap();
    assert_eq!(used_of(&world), (0, Some(3)));
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
    world.remove_override("124", "api-calls").unwrap();
    assert_eq!(used_of(&world), (20, Some(150)));
}

#[test]
fn a_past_period_shows_what_was_added_at_its_last_instant() {
    let mut world = world();
    add(&mut world, 5);
    world.set_clock("2024-01-20T00:00:00Z");
    world = world.subscribed_to("124", 2, "bonus");
    world.set_clock("2024-02-10T00:00:00Z");
    world.set_quantity("124", "bonus", 3);
    world.set_clock("2024-03-10T00:00:00Z");
    world.cancel_package("124", "bonus");
    world.set_clock("2024-04-10T00:00:00Z");
    // The period of the one that was added has its own limit: it did not count.
    assert_eq!(
        past(&world),
        ["03-01..04-01 0/100", "02-01..03-01 0/121", "01-20..03-10 0/21", "01-01..02-01 5/114",]
    );
}

#[test]
fn a_past_period_of_an_override_has_nothing_added() {
    let mut world = world().subscribed("124", "bonus");
    world.set_clock("2024-01-20T00:00:00Z");
    let overriding = setting("124", "api-calls").limit(11).until("2024-02-20T00:00:00Z");
    world.set_override(overriding).unwrap();
    world.set_clock("2024-03-10T00:00:00Z");
    assert_eq!(past(&world), ["02-01..03-01 0/107", "01-01..02-01 0/11"]);
}

#[test]
fn another_stacking_counts_from_its_publish_on() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("base", [("api-calls", limit(100).monthly())])
        .addon("pack", [], [("api-calls", limit(50).monthly())])
        .user("124")
        .subscribed("124", "base")
        .subscribed("124", "pack");
    add(&mut world, 70);
    assert_eq!(used_of(&world), (70, Some(100)));
    world.set_clock("2024-02-10T00:00:00Z");
    add(&mut world, 20);
    let id = world.subscription("124", "base").id;
    world.change_terms("base", &[("api-calls", limit(100).monthly().added())]);
    world.set_clock("2024-02-11T00:00:00Z");
    // The pack alone competes now, and counts by itself.
    assert_eq!(world.counts_now("124", "api-calls").as_deref(), Some("pack"));
    assert_eq!(used_of(&world), (0, Some(150)));
    assert_eq!(parts(&world), [allowance("pack", Some(50)), added("base", Some(100))]);
    let counted = |at| world.counted_at("124", "api-calls", at);
    assert_eq!(counted("2024-02-09T00:00:00Z").as_deref(), Some("base"));
    world.set_clock("2024-03-10T00:00:00Z");
    assert_eq!(
        past(&world),
        ["02-01..03-01 0/150", "02-01..03-01 20/100", "01-01..02-01 0/50", "01-01..02-01 70/100"]
    );
    let terms = world.package_named("base").terms;
    let numbers: Vec<u32> =
        terms[&feature_id("api-calls")].terms().iter().map(|terms| terms.number.0).collect();
    // The counters go on.
    assert_eq!((numbers, id), (vec![0, 0], world.subscription("124", "base").id));
}

#[test]
fn usage_that_arrives_late_is_of_the_one_that_counted_then() {
    let mut world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("base", [("export", switched_on())])
        .addon("old", [], [("api-calls", limit(10).added())])
        .addon("new", [], [("api-calls", limit(1))])
        .user("124")
        .subscribed("124", "base")
        .subscribed("124", "old");
    world.set_clock("2024-01-10T00:00:00Z");
    world = world.subscribed("124", "new");
    add(&mut world, 2);
    world.record(recording("124", "api-calls").add(5).at("2024-01-05T00:00:00Z")).unwrap();
    assert_eq!(used_of(&world), (2, Some(11)));
    world.cancel_package("124", "new");
    assert_eq!(used_of(&world), (5, Some(10)));
}

#[test]
fn the_feed_tells_what_an_added_limit_changes() {
    let mut world = world();
    world.take_feed();
    world = world.subscribed("124", "bonus");
    let told = world.take_feed();
    assert!(
        told[1].contains(r#""budget":"100""#) && told[1].contains(r#""budget":"107""#),
        "{told:?}"
    );
    world.cancel_package("124", "bonus");
    let told = world.take_feed();
    assert!(told[1].contains(r#""after":{"access":true,"budget":"100""#), "{told:?}");
}

/// Packages that give 0, 1, 5 or any number of calls, with and without overage, added or not.
fn contenders() -> World {
    let mut world = World::new().consumable("api-calls");
    for (name, gives) in [("0", limit(0)), ("1", limit(1)), ("5", limit(5)), ("any", unlimited())] {
        for (overage, gives) in [("hard", gives), ("soft", gives.with_overage())] {
            world = world
                .package(&format!("{name}-{overage}-highest"), [("api-calls", gives)])
                .package(&format!("{name}-{overage}-add"), [("api-calls", gives.added())]);
        }
    }
    world
}

fn any_subscriptions() -> impl Strategy<Value = Vec<Subscription>> {
    let limit = prop_oneof![Just("0"), Just("1"), Just("5"), Just("any")];
    let overage = prop_oneof![Just("hard"), Just("soft")];
    let stacking = prop_oneof![Just("highest"), Just("add")];
    let one = (limit, overage, stacking, 0_i64..4, 1_i64..4, 1_i64..4);
    proptest::collection::vec(one, 0..6).prop_map(|all| {
        let one = |(id, (limit, overage, stacking, start, quantity, other))| {
            let of = |quantity| Quantity::new("quantity", quantity).unwrap();
            let mut quantities = Quantities::of(of(quantity));
            quantities.change(of(other), Timestamp::from_ms(5));
            Subscription {
                id: SubscriptionId(Uuid::from_u128(id)),
                package: package_id(&format!("{limit}-{overage}-{stacking}")),
                status: SubscriptionStatus::Active,
                started_at: Timestamp::from_ms(start),
                ended_at: None,
                quantities,
                timing: Timing::NONE,
            }
        };
        (1_u128..).zip(all).map(one).collect()
    })
}

/// The contract's words again, read off the names of the packages: the id of the one that counts, and
/// the budget.
fn expected(
    subscriptions: &[Subscription],
    at: Option<i64>,
) -> Option<(SubscriptionId, Option<i64>, bool)> {
    let read = |subscription: &Subscription| {
        let mut words = subscription.package.as_str().split('-');
        let limit: Option<i64> = words.next().unwrap().parse().ok();
        let overage = words.next() == Some("soft");
        let quantity = match at {
            Some(at) => subscription.quantities.at(Timestamp::from_ms(at)),
            None => subscription.quantities.current(),
        };
        let limit = limit.map(|limit| limit * i64::from(quantity.get()));
        (limit, overage, words.next() == Some("add"))
    };
    let granting = subscriptions
        .iter()
        .filter(|known| at.is_none_or(|at| known.started_at <= Timestamp::from_ms(at)));
    let mut order: Vec<&Subscription> = granting.collect();
    order.sort_by_key(|known| (known.started_at, known.id));
    let highest = order.iter().filter(|known| !read(known).2);
    // A sort keeps the order of equals.
    let mut highest: Vec<&&Subscription> = highest.collect();
    highest.sort_by_key(|known| {
        let (limit, overage, _) = read(known);
        (std::cmp::Reverse(limit.unwrap_or(i64::MAX)), !overage)
    });
    let counting = **highest.first().or(order.first().as_ref())?;
    let (limit, overage, _) = read(counting);
    let others = order.iter().filter(|known| known.id != counting.id && read(known).2);
    let budget = others.map(|other| read(other).0).fold(limit, |sum, other| Some(sum? + other?));
    Some((counting.id, budget, overage))
}

proptest! {
    #[test]
    fn the_highest_counts_and_all_others_that_say_so_are_added(
        subscriptions in any_subscriptions(), at in proptest::option::of(0_i64..9),
    ) {
        let world = contenders();
        let feature = feature_id("api-calls");
        let as_of = at.map_or(AsOf::Now(Timestamp::from_ms(99)), |at| {
            AsOf::Moment(Timestamp::from_ms(at))
        });
        let counting =
            counting_subscription(world.catalog(), &subscriptions, &feature, as_of);
        let found = counting.map(|counting| {
            let Allowance { limit, overage_enabled, .. } = counting.allowance;
            (counting.subscription.id, limit, overage_enabled)
        });
        prop_assert_eq!(found, expected(&subscriptions, at));
    }
}
