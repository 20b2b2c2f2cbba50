//! Subscribing, the rows of its table and their order, and cancelling.

use kana_core::Refusal;
use kana_core::decide::Command;
use kana_core::refusal::SubscribeRefusal;
use kana_core::subscribing::Subscribe;
use kana_core::subscription::SubscriptionStatus;

use crate::world::{World, limit, package_id, recording, time, user_id};

const NO_PACKAGE: &str = "Package Id not found for app";
const DRAFT: &str = "Package draft is DRAFT: only a PUBLISHED package can be subscribed to";
const TWO_BASES: &str = "Cannot subscribe to multiple tiers";
const NO_BASE: &str = "Cannot subscribe to addon. Missing live tier subscription.";
const OTHER_BASE: &str =
    "Add-on for-pro cannot be added to package basic: it is not one of its base packages";

/// Two bases, an add-on for any base, one for each of the two, and packages not on offer.
fn shop() -> World {
    let calls = || [("api-calls", limit(3))];
    let mut world = World::new()
        .consumable("api-calls")
        .package("basic", calls())
        .package("pro", calls())
        .addon("boost", [], calls())
        .addon("for-basic", ["basic"], calls())
        .addon("for-pro", ["pro"], calls())
        .addon("for-both", ["basic", "pro"], calls())
        .draft("draft", calls())
        .package("archived", calls())
        .user("124");
    world.archive("archived");
    world
}

fn refused<const N: usize>(world: &mut World, packages: [&str; N]) -> String {
    let before = world.stored();
    let message = world.subscribe("124", packages).unwrap_err().to_string();
    assert_eq!(world.stored(), before, "{message}");
    message
}

fn packages(world: &World) -> Vec<&str> {
    world.subscriptions("124").iter().map(|known| known.package.as_str()).collect()
}

#[test]
fn subscribing_makes_active_subscriptions_that_start_now_in_the_order_of_the_call() {
    let mut world = shop();
    let made = world.subscribe("124", ["boost", "basic", "for-basic"]).unwrap();
    let ids: Vec<&str> = made.iter().map(|made| made.package.as_str()).collect();
    assert_eq!(ids, ["boost", "basic", "for-basic"]);
    for subscription in &made {
        assert_eq!(subscription.status, SubscriptionStatus::Active);
        assert_eq!(subscription.started_at, world.now());
        assert_eq!(subscription.ended_at, None);
    }
    assert_eq!(world.subscriptions("124"), made);
}

#[test]
fn each_subscription_has_the_id_that_was_given_for_it() {
    let mut world = shop();
    let command = world.subscribe_command("124", ["basic", "boost"], None);
    world.run(&Command::Subscribe(command.clone())).unwrap();
    let stored: Vec<_> =
        world.subscriptions("124").iter().map(|made| (made.package.clone(), made.id)).collect();
    assert_eq!(stored, command.packages);
}

#[test]
fn a_start_in_the_past_is_the_anchor() {
    let mut world = shop();
    let start = "2023-05-31T12:00:00.123Z";
    let made = world.subscribe_since("124", ["basic", "boost"], start).unwrap();
    assert!(made.iter().all(|made| made.started_at == time(start)));
}

#[test]
fn a_package_that_does_not_exist_is_refused() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["nope"]), NO_PACKAGE);
    assert_eq!(refused(&mut world, ["basic", "nope"]), NO_PACKAGE);
    assert_eq!(
        world.subscribe("124", ["basic", "nope"]),
        Err(Refusal::SubscribePackageNotFound(package_id("nope")))
    );
}

#[test]
fn a_package_that_is_not_published_is_refused_by_name_and_status() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["draft"]), DRAFT);
    assert_eq!(
        refused(&mut world, ["archived"]),
        "Package archived is ARCHIVED: only a PUBLISHED package can be subscribed to"
    );
}

#[test]
fn two_bases_in_a_call_are_refused() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["basic", "pro"]), TWO_BASES);
    assert_eq!(refused(&mut world, ["basic", "boost", "pro"]), TWO_BASES);
}

#[test]
fn a_base_beside_the_one_that_the_user_has_is_refused() {
    let mut world = shop().subscribed("124", "basic");
    assert_eq!(refused(&mut world, ["pro"]), TWO_BASES);
    assert_eq!(refused(&mut world, ["boost", "pro"]), TWO_BASES);
    world.set_status("124", "basic", SubscriptionStatus::Trialing);
    assert_eq!(refused(&mut world, ["pro"]), TWO_BASES);
}

#[test]
fn a_base_that_no_longer_grants_is_none_that_the_user_has() {
    for status in [
        SubscriptionStatus::Cancelled,
        SubscriptionStatus::PastDue,
        SubscriptionStatus::Unpaid,
        SubscriptionStatus::Incomplete,
        SubscriptionStatus::IncompleteExpired,
    ] {
        let mut world = shop().subscribed("124", "basic");
        world.set_status("124", "basic", status);
        assert_eq!(refused(&mut world, ["boost"]), NO_BASE, "{status:?}");
        assert!(world.subscribe("124", ["pro"]).is_ok(), "{status:?}");
    }
}

#[test]
fn an_archived_base_is_still_one_that_the_user_has() {
    let mut world = shop().subscribed("124", "basic");
    world.archive("basic");
    assert_eq!(refused(&mut world, ["pro"]), TWO_BASES);
    assert!(world.subscribe("124", ["for-basic"]).is_ok());
}

#[test]
fn an_add_on_brings_no_second_base_to_a_user_who_came_to_have_two() {
    // A base whose payment failed, another one in its place, and then the payment came after all.
    let mut world = shop().subscribed("124", "basic");
    world.set_status("124", "basic", SubscriptionStatus::PastDue);
    world = world.subscribed("124", "pro");
    world.set_status("124", "basic", SubscriptionStatus::Active);
    assert!(world.subscribe("124", ["boost"]).is_ok());
    assert_eq!(refused(&mut world, ["basic"]), TWO_BASES);
}

#[test]
fn with_two_bases_an_add_on_does_not_depend_on_which_one_is_stored_first() {
    let answer = |first, second| {
        let mut world = shop().subscribed("124", first);
        world.set_status("124", first, SubscriptionStatus::PastDue);
        world = world.subscribed("124", second);
        world.set_status("124", first, SubscriptionStatus::Active);
        world.subscribe("124", ["for-pro"]).is_ok()
    };
    assert_eq!(answer("basic", "pro"), answer("pro", "basic"));
}

#[test]
fn an_add_on_without_a_base_is_refused() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["boost"]), NO_BASE);
    assert_eq!(refused(&mut world, ["for-basic", "boost"]), NO_BASE);
}

#[test]
fn an_add_on_takes_its_base_from_the_call_or_from_what_the_user_has() {
    assert!(shop().subscribe("124", ["for-basic", "basic"]).is_ok());
    assert!(shop().subscribe("124", ["basic", "for-basic"]).is_ok());
    assert!(shop().subscribed("124", "basic").subscribe("124", ["for-basic"]).is_ok());
}

#[test]
fn an_add_on_for_another_base_is_refused_by_both_names() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["basic", "for-pro"]), OTHER_BASE);
    world = world.subscribed("124", "basic");
    assert_eq!(refused(&mut world, ["for-pro"]), OTHER_BASE);
}

#[test]
fn an_add_on_without_base_packages_goes_with_any_and_one_with_several_with_each() {
    for base in ["basic", "pro"] {
        assert!(shop().subscribe("124", [base, "boost", "for-both"]).is_ok(), "{base}");
    }
}

#[test]
fn a_second_subscription_to_a_package_is_refused_by_its_name() {
    let boost = "The user is already subscribed to package boost";
    let mut world = shop().subscribed("124", "basic");
    assert_eq!(refused(&mut world, ["boost", "boost"]), boost, "the same id twice");
    world = world.subscribed("124", "boost");
    assert_eq!(refused(&mut world, ["boost"]), boost);
    assert_eq!(refused(&mut world, ["for-basic", "boost"]), boost);
    world.set_status("124", "boost", SubscriptionStatus::Trialing);
    assert_eq!(refused(&mut world, ["boost"]), boost);
}

#[test]
fn a_subscription_that_no_longer_grants_does_not_stand_in_the_way() {
    let mut world = shop().subscribed("124", "basic").subscribed("124", "boost");
    world.set_status("124", "boost", SubscriptionStatus::Unpaid);
    assert!(world.subscribe("124", ["boost"]).is_ok());
    world.cancel_package("124", "boost");
    assert!(world.subscribe("124", ["boost"]).is_ok());
}

#[test]
fn what_another_user_has_does_not_matter() {
    let mut world = shop().user("125").subscribed("125", "basic");
    assert_eq!(refused(&mut world, ["boost"]), NO_BASE);
    assert!(world.subscribe("124", ["pro"]).is_ok());
}

#[test]
fn a_call_that_breaks_several_rows_is_refused_by_the_first_of_them() {
    // What comes last in the call breaks the earliest row, so that the order of the call cannot
    // stand in for the order of the rows.
    let mut new = shop();
    for (call, message) in [
        (["draft", "nope"], NO_PACKAGE),
        (["boost", "nope"], NO_PACKAGE),
        (["for-pro", "nope"], NO_PACKAGE),
        (["boost", "draft"], DRAFT),
    ] {
        assert_eq!(refused(&mut new, call), message, "{call:?}");
    }
    for (call, message) in [
        (["basic", "pro", "nope"], NO_PACKAGE),
        (["basic", "for-pro", "nope"], NO_PACKAGE),
        (["basic", "pro", "draft"], DRAFT),
        (["basic", "for-pro", "draft"], DRAFT),
        (["for-pro", "basic", "pro"], TWO_BASES),
        (["basic", "boost", "basic"], TWO_BASES),
    ] {
        assert_eq!(refused(&mut new, call), message, "{call:?}");
    }
    assert_eq!(refused(&mut new, ["boost", "boost"]), NO_BASE);

    let mut basic = shop().subscribed("124", "basic").subscribed("124", "boost");
    for (call, message) in [
        (["boost", "nope"], NO_PACKAGE),
        (["boost", "draft"], DRAFT),
        (["boost", "basic"], TWO_BASES),
        (["for-pro", "basic"], TWO_BASES),
        (["boost", "pro"], TWO_BASES),
        (["boost", "for-pro"], OTHER_BASE),
    ] {
        assert_eq!(refused(&mut basic, call), message, "{call:?}");
    }
}

#[test]
fn a_missing_base_comes_before_a_second_subscription_to_the_add_on() {
    let mut world = shop().subscribed("124", "basic").subscribed("124", "boost");
    world.set_status("124", "basic", SubscriptionStatus::PastDue);
    assert_eq!(refused(&mut world, ["boost"]), NO_BASE);
}

#[test]
fn another_base_comes_before_a_second_subscription_to_the_add_on() {
    let mut world = shop().subscribed("124", "pro").subscribed("124", "for-pro");
    world.set_status("124", "pro", SubscriptionStatus::PastDue);
    world = world.subscribed("124", "basic");
    assert_eq!(refused(&mut world, ["for-pro"]), OTHER_BASE);
}

#[test]
fn subscribing_is_all_or_nothing() {
    let mut world = shop();
    assert_eq!(refused(&mut world, ["basic", "boost", "nope"]), NO_PACKAGE);
    assert!(packages(&world).is_empty());
}

#[test]
fn an_empty_list_is_a_bad_value() {
    let mut world = shop();
    let refusal = world.subscribe("124", []).unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(_)));
    assert_eq!(refusal.to_string(), "packageIds must name at least one package");
}

#[test]
fn a_start_in_the_future_is_a_bad_value_and_now_is_none() {
    let mut world = shop();
    let refusal = world.subscribe_since("124", ["basic"], "2024-01-01T00:00:00.001Z").unwrap_err();
    assert!(matches!(refusal, Refusal::Invalid(_)));
    assert_eq!(refusal.to_string(), "startedAt must not be in the future");
    assert!(world.subscribe_since("124", ["basic"], "2024-01-01T00:00:00.000Z").is_ok());
}

#[test]
fn bad_values_come_before_an_unknown_user() {
    let mut world = shop();
    let empty = Subscribe::now(user_id("nobody"), Vec::new());
    let refusal = world.run(&Command::Subscribe(empty)).unwrap_err();
    assert_eq!(refusal.to_string(), "packageIds must name at least one package");
    let early = world.subscribe_since("nobody", ["basic"], "2025-01-01T00:00:00Z").unwrap_err();
    assert_eq!(early.to_string(), "startedAt must not be in the future");
    let unknown = world.subscribe("nobody", ["basic"]).unwrap_err();
    assert_eq!(unknown.to_string(), "User not found: nobody");
}

#[test]
fn the_rows_are_told_apart_by_type_too() {
    let mut world = shop().subscribed("124", "basic").subscribed("124", "boost");
    for (package, refusal) in [
        ("pro", SubscribeRefusal::MultipleBases),
        (
            "for-pro",
            SubscribeRefusal::AddonForOtherBase {
                addon: package_id("for-pro"),
                base: package_id("basic"),
            },
        ),
        ("boost", SubscribeRefusal::AlreadySubscribed { package: package_id("boost") }),
    ] {
        assert_eq!(world.subscribe("124", [package]), Err(Refusal::Subscribe(refusal)));
    }
}

#[test]
fn cancelling_sets_the_status_and_the_end() {
    let mut world = shop().subscribed("124", "basic");
    world.set_clock("2024-01-10T00:00:00.123Z");
    let id = world.subscription("124", "basic").id;
    let (user, cancelled) = world.cancel(id).unwrap();
    assert_eq!(user.as_str(), "124");
    assert_eq!(cancelled.status, SubscriptionStatus::Cancelled);
    assert_eq!(cancelled.ended_at, Some(world.now()));
    assert_eq!(world.subscription("124", "basic"), cancelled);
    assert!(!world.can_use("124", "api-calls", 1).unwrap().access);
}

#[test]
fn cancelling_a_base_takes_the_users_add_ons_along_at_the_same_instant() {
    let mut world = shop()
        .subscribed("124", "basic")
        .subscribed("124", "boost")
        .subscribed("124", "for-basic")
        .user("125")
        .subscribed("125", "pro")
        .subscribed("125", "boost");
    // What does not grant just now is an add-on of the user all the same.
    world.set_status("124", "boost", SubscriptionStatus::PastDue);
    world.set_clock("2024-01-10T00:00:00Z");
    world.cancel_package("124", "basic");
    for subscription in world.subscriptions("124") {
        assert_eq!(subscription.status, SubscriptionStatus::Cancelled, "{subscription:?}");
        assert_eq!(subscription.ended_at, Some(world.now()), "{subscription:?}");
    }
    for subscription in world.subscriptions("125") {
        assert_eq!(subscription.status, SubscriptionStatus::Active, "{subscription:?}");
    }
}

#[test]
fn cancelling_an_add_on_leaves_the_base_and_the_other_add_ons() {
    let mut world =
        shop().subscribed("124", "basic").subscribed("124", "boost").subscribed("124", "for-basic");
    world.cancel_package("124", "boost");
    for (package, status) in [
        ("basic", SubscriptionStatus::Active),
        ("boost", SubscriptionStatus::Cancelled),
        ("for-basic", SubscriptionStatus::Active),
    ] {
        assert_eq!(world.subscription("124", package).status, status, "{package}");
    }
}

#[test]
fn an_add_on_that_was_cancelled_before_keeps_its_end() {
    let mut world = shop().subscribed("124", "basic").subscribed("124", "boost");
    world.set_clock("2024-01-10T00:00:00Z");
    let boost = world.cancel_package("124", "boost");
    world.set_clock("2024-01-20T00:00:00Z");
    world.cancel_package("124", "basic");
    assert_eq!(world.subscription("124", "boost"), boost);
}

#[test]
fn cancelling_again_changes_nothing_and_answers_the_same() {
    let mut world = shop().subscribed("124", "basic");
    let id = world.subscription("124", "basic").id;
    world.set_clock("2024-01-10T00:00:00Z");
    let first = world.cancel(id);
    assert!(first.is_ok());
    world.set_clock("2024-01-20T00:00:00Z");
    // The user has moved on; the add-on of the new base must not go along.
    world = world.subscribed("124", "pro").subscribed("124", "boost");
    let before = world.stored();
    assert_eq!(world.cancel(id), first);
    assert_eq!(world.stored(), before);
}

#[test]
fn a_subscription_that_does_not_grant_can_be_cancelled() {
    let mut world = shop().subscribed("124", "basic");
    world.set_status("124", "basic", SubscriptionStatus::PastDue);
    let cancelled = world.cancel_package("124", "basic");
    assert_eq!(cancelled.status, SubscriptionStatus::Cancelled);
}

#[test]
fn an_unknown_subscription_is_an_error_that_names_it() {
    let mut world = shop();
    let id = world.next_subscription_id();
    let refusal = world.cancel(id).unwrap_err();
    assert_eq!(refusal, Refusal::SubscriptionNotFound(id.to_string()));
    assert_eq!(refusal.to_string(), format!("Subscription not found: {id}"));
}

#[test]
fn whoever_cancelled_can_subscribe_again_and_starts_at_0() {
    let mut world = shop().subscribed("124", "basic");
    world.record(recording("124", "api-calls").add(3)).unwrap();
    world.set_clock("2024-01-10T00:00:00Z");
    world.cancel_package("124", "basic");
    world = world.subscribed("124", "basic");
    assert_eq!(packages(&world), ["basic", "basic"]);
    assert_eq!(world.used("124", "api-calls"), 0);
}

#[test]
fn nothing_ends_before_it_starts_and_all_of_it_ends_together() {
    // The add-on was made by a node whose clock runs ahead of the one that cancels.
    let mut world = shop().subscribed("124", "basic");
    world.set_clock("2024-01-01T00:00:00.500Z");
    world = world.subscribed("124", "boost");
    world.set_clock("2024-01-01T00:00:00.100Z");
    world.cancel_package("124", "basic");
    for subscription in world.subscriptions("124") {
        assert_eq!(subscription.ended_at, Some(time("2024-01-01T00:00:00.500Z")));
    }
}
