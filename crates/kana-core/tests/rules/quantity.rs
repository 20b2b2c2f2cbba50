//! Quantities of subscriptions (contract: `beyond.md`, f, and the column "quantity" of "Everything with
//! everything").

use kana_core::Refusal;
use kana_core::change::audit_of_user;
use kana_core::decide::{Answer, Command, UpdateSubscription};
use kana_core::entitlement::Reason;
use kana_core::explain::{BudgetPartKind, PartId, Source};
use kana_core::id::SubscriptionId;
use kana_core::near_limit::Share;
use kana_core::period::ResetPeriod;
use kana_core::refusal::SubscribeRefusal;
use kana_core::subscribing::Subscribe;
use kana_core::usage_history::ConsumptionInPeriod;
use uuid::Uuid;

use crate::world::{
    World, limit, package_id, recording, setting, switched_on, time, unlimited, user_id, using,
};

/// A user with three times 10 calls a month, on `team`, since 2024-01-01.
fn world() -> World {
    World::new()
        .consumable("api-calls")
        .consumable("seats")
        .binary("export")
        .package(
            "team",
            [("api-calls", limit(10).monthly()), ("seats", unlimited()), ("export", switched_on())],
        )
        .user("124")
        .subscribed_to("124", 3, "team")
}

fn used_of(world: &World) -> (i64, Option<i64>) {
    let consumption = world.can_use("124", "api-calls", 0).unwrap().consumption.unwrap();
    assert_eq!(consumption.allowance(), consumption.budget);
    (consumption.used, consumption.budget)
}

fn add(world: &mut World, delta: i64) {
    world.record(recording("124", "api-calls").add(delta)).unwrap();
}

fn line(shown: &ConsumptionInPeriod) -> String {
    let budget = shown.consumption.budget.map_or("∞".to_owned(), |budget| budget.to_string());
    format!("{} {}/{budget}", &shown.period.start.to_string()[..10], shown.consumption.used)
}

fn past(world: &World) -> Vec<String> {
    world.usage("124", "api-calls").past.iter().map(line).collect()
}

fn current(world: &World) -> String {
    line(&world.usage("124", "api-calls").current.unwrap())
}

#[test]
fn a_limit_counts_so_many_times() {
    let mut world = world();
    assert_eq!(used_of(&world), (0, Some(30)));
    assert!(world.use_feature(using("124", "api-calls").delta(30)).unwrap().granted);
    let refused = world.use_feature(using("124", "api-calls")).unwrap();
    assert_eq!((refused.granted, refused.reason), (false, Reason::LimitReached));
    assert_eq!(world.subscription("124", "team").quantities.current().get(), 3);
    // What has no limit has none so many times, and a switch is on once.
    assert_eq!(world.budget("124", "seats"), None);
    assert!(world.can_use("124", "export", 1).unwrap().access);
}

#[test]
fn an_explanation_has_the_limit_so_many_times() {
    let world = world();
    let explained = world.explain("124", "api-calls", 1).unwrap();
    let id = world.subscription("124", "team").id;
    let [part] = explained.parts.as_slice() else { panic!("{:?}", explained.parts) };
    assert_eq!((part.kind, &part.id), (BudgetPartKind::Allowance, &PartId::Source(id.0)));
    assert_eq!((part.amount, explained.source), (Some(30), Some(Source::Subscription(id))));
}

#[test]
fn the_highest_limit_counts_by_quantity() {
    let mut world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("base", [("export", switched_on())])
        .addon("small", [], [("api-calls", limit(10))])
        .addon("large", [], [("api-calls", limit(25))])
        .user("124")
        .subscribed("124", "base")
        .subscribed_to("124", 2, "small")
        .subscribed("124", "large");
    assert_eq!(world.counts_now("124", "api-calls").as_deref(), Some("large"));
    world.set_clock("2024-01-02T00:00:00Z");
    world.set_quantity("124", "small", 3);
    assert_eq!(world.counts_now("124", "api-calls").as_deref(), Some("small"));
    // A question about the time before has the quantity of then.
    let counted = |at| world.counted_at("124", "api-calls", at);
    assert_eq!(counted("2024-01-01T23:59:59.999Z").as_deref(), Some("large"));
    assert_eq!(counted("2024-01-02T00:00:00Z").as_deref(), Some("small"));
}

#[test]
fn a_change_counts_at_once_and_earlier_periods_keep_their_quantity() {
    let mut world = world();
    add(&mut world, 5);
    world.set_clock("2024-02-20T00:00:00Z");
    add(&mut world, 25);
    world.set_quantity("124", "team", 2);
    assert_eq!(used_of(&world), (25, Some(20)));
    assert!(!world.can_use("124", "api-calls", 0).unwrap().access);
    world.set_quantity("124", "team", 4);
    assert_eq!(used_of(&world), (25, Some(40)));
    assert!(world.can_use("124", "api-calls", 15).unwrap().access);
    assert_eq!(
        (current(&world).as_str(), past(&world)),
        ("2024-02-01 25/40", vec!["2024-01-01 5/30".to_owned()])
    );
    world.set_clock("2024-03-01T00:00:00Z");
    // What changes at the very start of a period is of that period.
    world.set_quantity("124", "team", 1);
    assert_eq!(current(&world), "2024-03-01 0/10");
    assert_eq!(past(&world), ["2024-02-01 25/40", "2024-01-01 5/30"]);
}

#[test]
fn a_past_period_has_the_limit_and_the_quantity_of_its_end() {
    let mut world = world();
    let gives = |calls| {
        [("api-calls", limit(calls).monthly()), ("seats", unlimited()), ("export", switched_on())]
    };
    world.set_clock("2024-01-20T00:00:00Z");
    world.set_quantity("124", "team", 5);
    world.change_terms("team", &gives(7));
    world.set_clock("2024-02-10T00:00:00Z");
    world.change_terms("team", &gives(100));
    world.set_quantity("124", "team", 2);
    world.set_clock("2024-03-10T00:00:00Z");
    assert_eq!(past(&world), ["2024-02-01 0/200", "2024-01-01 0/35"]);
    let cancelled = world.cancel_package("124", "team");
    assert_eq!(cancelled.quantities.current().get(), 2);
    world.set_clock("2024-05-01T00:00:00Z");
    assert_eq!(past(&world), ["2024-03-01 0/200", "2024-02-01 0/200", "2024-01-01 0/35"]);
}

#[test]
fn of_more_changes_than_are_kept_a_past_period_has_the_oldest_that_is_known() {
    let mut world = world();
    world.set_clock("2024-02-10T00:00:00Z");
    for quantity in 4..=29 {
        world.wait_ms(1000);
        world.set_quantity("124", "team", quantity);
    }
    // 26 changes: the two oldest are forgotten.
    assert_eq!(world.subscription("124", "team").quantities.changes().len(), 24);
    assert_eq!(
        (current(&world), past(&world)),
        ("2024-02-01 0/290".to_owned(), vec!["2024-01-01 0/50".to_owned()])
    );
}

#[test]
fn a_change_keeps_the_period_and_the_counter() {
    let mut world = world();
    world.set_clock("2024-01-15T00:00:00Z");
    add(&mut world, 12);
    let counters = world.counters("124");
    world.set_quantity("124", "team", 7);
    assert_eq!(world.counters("124"), counters);
    // A revert takes off what was used. The quantity, which may be another by then, makes no difference.
    add(&mut world, -2);
    assert_eq!(used_of(&world), (10, Some(70)));
    world.record(recording("124", "api-calls").set(3)).unwrap();
    assert_eq!(used_of(&world), (3, Some(70)));
}

#[test]
fn usage_that_arrives_late_counts_where_it_would_have_counted_then() {
    let mut world = World::new()
        .consumable("api-calls")
        .binary("export")
        .package("base", [("export", switched_on())])
        .addon("small", [], [("api-calls", limit(10))])
        .addon("large", [], [("api-calls", limit(25))])
        .user("124")
        .subscribed("124", "base")
        .subscribed("124", "small")
        .subscribed("124", "large");
    world.set_clock("2024-01-10T00:00:00Z");
    world.set_quantity("124", "small", 3);
    let late = recording("124", "api-calls").add(4).at("2024-01-05T00:00:00Z");
    world.record(late).unwrap();
    add(&mut world, 1);
    let large = world.subscription("124", "large").id;
    let counted = world.counters("124");
    let of_large: Vec<i64> = counted
        .iter()
        .filter(|(counter, _)| counter.subscription == large)
        .map(|(_, used)| *used)
        .collect();
    assert_eq!((of_large, used_of(&world)), (vec![4], (1, Some(30))));
}

#[test]
fn no_override_is_multiplied() {
    let mut world = world();
    add(&mut world, 4);
    let id = world.subscription("124", "team").id;
    world.set_override(setting("124", "api-calls").limit(11)).unwrap();
    assert_eq!(used_of(&world), (4, Some(11)));
    let explained = world.explain("124", "api-calls", 1).unwrap();
    let [part] = explained.parts.as_slice() else { panic!("{:?}", explained.parts) };
    assert_eq!((&part.id, part.amount), (&PartId::Source(id.0), Some(11)));
    world.set_override(setting("124", "api-calls").unlimited()).unwrap();
    assert_eq!(used_of(&world), (4, None));
    // One that counts by itself, and none.
    world.set_override(setting("124", "api-calls").limit(6).every(ResetPeriod::Day)).unwrap();
    assert_eq!(used_of(&world), (0, Some(6)));
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
    world.remove_override("124", "api-calls").unwrap();
    assert_eq!(used_of(&world), (4, Some(30)));
}

#[test]
fn a_past_period_of_an_override_is_not_multiplied() {
    let mut world = world();
    world.set_clock("2024-01-20T00:00:00Z");
    let overriding = setting("124", "api-calls").limit(11).until("2024-02-20T00:00:00Z");
    world.set_override(overriding).unwrap();
    world.set_clock("2024-03-10T00:00:00Z");
    assert_eq!(past(&world), ["2024-02-01 0/30", "2024-01-01 0/11"]);
}

#[test]
fn products_beyond_32_and_64_bits_are_limits_too() {
    let world = World::new()
        .consumable("api-calls")
        .consumable("bytes")
        .package("huge", [("api-calls", limit(i64::from(i32::MAX))), ("bytes", limit(i64::MAX))])
        .user("124")
        .subscribed_to("124", 1_000_000, "huge");
    assert_eq!(world.budget("124", "api-calls"), Some(2_147_483_647_000_000));
    assert_eq!(world.budget("124", "bytes"), Some(i64::MAX));
}

#[test]
fn a_share_of_the_limit_is_one_of_all_of_it() {
    let mut world = world();
    add(&mut world, 23);
    assert_eq!((world.take_crossings().len(), world.near("124", "api-calls")), (0, None));
    add(&mut world, 1);
    let crossed = world.take_crossings();
    assert_eq!(crossed[0].share, Share::Near);
    world.set_quantity("124", "team", 2);
    assert_eq!(world.near("124", "api-calls"), Some(Share::Full));
}

// `subscribe`.

#[test]
fn subscribe_has_a_quantity_for_each_package() {
    let mut world = World::new()
        .consumable("api-calls")
        .package("base", [("api-calls", limit(1))])
        .addon("plus", [], [("api-calls", limit(100))])
        .user("124");
    let made = world.subscribe_to("124", [("base", 2), ("plus", 1_000_000)]).unwrap();
    let quantities: Vec<u32> = made.iter().map(|made| made.quantities.current().get()).collect();
    assert_eq!(quantities, [2, 1_000_000]);
    assert_eq!(used_of(&world), (0, Some(100_000_000)));
}

#[test]
fn quantities_are_checked_before_anything_that_is_stored() {
    let mut world = world();
    let packages = ["x", "y"].map(|id| (package_id(id), SubscriptionId(Uuid::nil())));
    let subscribe = |quantities: Option<Vec<i64>>| Subscribe {
        quantities,
        ..Subscribe::now(user_id("nobody"), packages.to_vec())
    };
    let mut refused =
        |quantities| world.run(&Command::Subscribe(subscribe(quantities))).unwrap_err().to_string();
    for wrong in [vec![], vec![1], vec![1, 1, 1]] {
        assert_eq!(refused(Some(wrong)), "quantities must have one for each package");
    }
    for wrong in [0, -1, 1_000_001, i64::MAX] {
        assert_eq!(refused(Some(vec![1, wrong])), "quantities must be from 1 to 1000000");
    }
    assert_eq!(refused(Some(vec![1, 1_000_000])), "User not found: nobody");
    assert_eq!(refused(None), "User not found: nobody");
}

// `updateSubscription`.

#[test]
fn a_quantity_out_of_range_is_refused_before_an_unknown_subscription() {
    let mut world = world();
    let unknown = SubscriptionId(Uuid::from_u128(99));
    for wrong in [0, -3, 1_000_001] {
        let refusal = world.update_subscription(unknown, Some(wrong)).unwrap_err();
        assert_eq!(refusal.to_string(), "quantity must be from 1 to 1000000");
    }
    let refusal = world.update_subscription(unknown, Some(2)).unwrap_err();
    assert_eq!(refusal, Refusal::SubscriptionNotFound(unknown.to_string()));
}

#[test]
fn a_subscription_that_has_ended_stays_as_it_is() {
    let mut world = world();
    let id = world.cancel_package("124", "team").id;
    let before = world.stored();
    for quantity in [None, Some(3), Some(4)] {
        let refusal = world.update_subscription(id, quantity).unwrap_err();
        assert_eq!(refusal, Refusal::Subscribe(SubscribeRefusal::HasEnded));
        assert_eq!(refusal.to_string(), "Subscription has ended");
    }
    assert_eq!(world.stored(), before);
}

#[test]
fn the_same_quantity_and_none_at_all_change_and_tell_nothing() {
    let mut world = world();
    let before = world.stored();
    world.take_feed();
    let id = world.subscription("124", "team").id;
    for quantity in [None, Some(3)] {
        let answered = world.update_subscription(id, quantity).unwrap();
        assert_eq!(answered, world.subscription("124", "team"));
    }
    assert_eq!((world.take_feed(), world.stored()), (Vec::new(), before));
}

#[test]
fn a_batch_counts_with_the_quantity_as_the_command_before_left_it() {
    let mut world = world();
    let subscription = world.subscription("124", "team").id;
    let quantity = |quantity| {
        let nothing = UpdateSubscription::nothing(subscription);
        Command::UpdateSubscription(UpdateSubscription { quantity: Some(quantity), ..nothing })
    };
    let take = using("124", "api-calls").delta(15).command();
    let commands = [quantity(1), take.clone(), quantity(2), take];
    let answers = world.run_batch("124", &commands);
    let granted: Vec<bool> = answers
        .into_iter()
        .filter_map(|answer| match answer.unwrap() {
            Answer::Used(used) => Some(used.granted),
            _ => None,
        })
        .collect();
    assert_eq!(granted, [false, true]);
    assert_eq!(used_of(&world), (15, Some(20)));
}

#[test]
fn the_feed_and_the_audit_log_tell_of_quantities_where_there_are_some() {
    let mut world = world();
    let feed = world.take_changes();
    let started = audit_of_user(&feed);
    assert_eq!(started[1].after.as_ref().unwrap()["quantity"], 3);
    world.set_clock("2024-01-02T00:00:00Z");
    world.set_quantity("124", "team", 5);
    let feed = world.take_changes();
    let id = world.subscription("124", "team").id;
    let told: Vec<String> = feed
        .iter()
        .map(|change| format!("{} {}", change.effect.type_name(), change.effect.data_json()))
        .collect();
    let subscription = format!(
        "subscription.updated {{\"subscription\":{{\"id\":\"{id}\",\"packageId\":\"team\",\
         \"status\":\"ACTIVE\",\"startedAt\":\"2024-01-01T00:00:00.000Z\",\"endedAt\":null,\
         \"quantity\":5}}}}"
    );
    let entitlement = "entitlement.changed {\"features\":[{\"featureId\":\"api-calls\",\
         \"before\":{\"access\":true,\"budget\":\"30\",\"overageEnabled\":false},\
         \"after\":{\"access\":true,\"budget\":\"50\",\"overageEnabled\":false}}]}";
    assert_eq!(told, [subscription.as_str(), entitlement]);
    let audit = audit_of_user(&feed);
    let [entry] = audit.as_slice() else { panic!("{audit:?}") };
    let quantity = |state: &Option<serde_json::Value>| state.as_ref().unwrap()["quantity"].clone();
    assert_eq!(entry.action, "updateSubscription");
    assert_eq!((quantity(&entry.before), quantity(&entry.after)), (3.into(), 5.into()));
    // One that came back to one still says so; one that was always one does not.
    world.set_quantity("124", "team", 1);
    assert!(world.take_feed()[0].contains("\"quantity\":1"));
    world.cancel_package("124", "team");
    assert!(world.take_feed()[0].contains("\"quantity\":1"));
    world.subscribe("124", ["team"]).unwrap();
    assert!(!world.take_feed()[0].contains("quantity"));
    assert_eq!(world.now(), time("2024-01-02T00:00:00Z"));
}
