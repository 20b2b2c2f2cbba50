//! Overrides (contract: `beyond.md`, b, and "What counts").

use kana_core::Refusal;
use kana_core::decide::{Command, OVERRIDES_MAX, OverrideInput, RemoveOverride, SetOverride};
use kana_core::entitlement::Reason;
use kana_core::explain::Source;
use kana_core::folding::FoldCounters;
use kana_core::id::SubscriptionId;
use kana_core::overrides::{Override, OverrideKind};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::terms::TermsNumber;
use kana_core::usage_history::ConsumptionInPeriod;
use proptest::prelude::*;

use crate::world::{
    World, feature_id, limit, recording, setting, switched_on, time, user_id, using,
};

/// A user with 10 calls a month, on `basic`, since 2024-01-01.
fn world() -> World {
    World::new()
        .consumable("api-calls")
        .consumable("seats")
        .binary("export")
        .binary("sso")
        .package("basic", [("api-calls", limit(10).monthly()), ("export", switched_on())])
        .user("124")
        .subscribed("124", "basic")
}

fn used_of(world: &World, feature: &str) -> (i64, Option<i64>, bool) {
    let consumption = world.can_use("124", feature, 0).unwrap().consumption.unwrap();
    (consumption.used, consumption.budget, consumption.overage_enabled)
}

fn reason(world: &World, feature: &str, delta: i64) -> Reason {
    world.can_use("124", feature, delta).unwrap().reason
}

/// What the user's counters hold.
fn counted(world: &World) -> Vec<i64> {
    world.counters("124").into_values().collect()
}

fn add(world: &mut World, delta: i64) {
    world.record(recording("124", "api-calls").add(delta)).unwrap();
}

fn line(shown: &ConsumptionInPeriod) -> String {
    let short = |at: kana_core::Timestamp| at.to_string()[..10].to_owned();
    let end = shown.period.end.map_or_else(String::new, short);
    let budget = shown.consumption.budget.map_or("∞".to_owned(), |budget| budget.to_string());
    format!("{}..{end} {}/{budget}", short(shown.period.start), shown.consumption.used)
}

fn current(world: &World) -> Option<String> {
    world.usage("124", "api-calls").current.as_ref().map(line)
}

fn past(world: &World) -> Vec<String> {
    world.usage("124", "api-calls").past.iter().map(line).collect()
}

fn invalid(refusal: Refusal) -> String {
    match refusal {
        Refusal::Invalid(invalid) => invalid.to_string(),
        other => panic!("{other:?}"),
    }
}

// Row 1.

#[test]
fn a_denied_feature_has_no_access_whatever_the_user_is_subscribed_to() {
    let mut world = world();
    add(&mut world, 3);
    for feature in ["api-calls", "export"] {
        world.set_override(setting("124", feature).deny()).unwrap();
        let denied = world.can_use("124", feature, 1).unwrap();
        assert_eq!(
            (denied.access, denied.reason, denied.consumption),
            (false, Reason::Denied, None)
        );
        let explained = world.explain("124", feature, 1).unwrap();
        let id = world.override_of("124", feature).unwrap().id;
        assert_eq!(explained.source, Some(Source::Override(id)));
        assert_eq!((explained.period, explained.parts.len()), (None, 0));
    }
    let used = world.use_feature(using("124", "api-calls")).unwrap();
    assert_eq!((used.granted, used.reason), (false, Reason::Denied));
    assert_eq!(world.usage("124", "api-calls").current, None);
}

#[test]
fn usage_of_a_denied_feature_is_kept_and_not_counted() {
    let mut world = world();
    add(&mut world, 3);
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    let recorded = world.record(recording("124", "api-calls").add(5)).unwrap();
    assert!(!recorded.recorded());
    assert_eq!(world.events().last().unwrap().subscription, None);
    world.remove_override("124", "api-calls").unwrap();
    assert_eq!(used_of(&world, "api-calls"), (3, Some(10), false));
}

#[test]
fn usage_of_a_time_when_the_feature_was_denied_is_not_counted_with_a_subscription_and_without() {
    for has_subscription in [true, false] {
        let mut world = if has_subscription { world() } else { World::new().user("124") };
        if !has_subscription {
            world = world.consumable("api-calls");
        }
        world.set_clock("2024-01-10T00:00:00Z");
        world.set_override(setting("124", "api-calls").deny()).unwrap();
        world.set_clock("2024-01-12T00:00:00Z");
        world.set_override(setting("124", "api-calls").limit(50)).unwrap();
        world.set_clock("2024-01-13T00:00:00Z");
        let mut late = |at: &str| {
            world.record(recording("124", "api-calls").add(5).at(at)).unwrap().recorded()
        };
        assert!(!late("2024-01-11T00:00:00Z"), "with a subscription: {has_subscription}");
        assert!(late("2024-01-12T12:00:00Z"));
        assert_eq!(used_of(&world, "api-calls"), (5, Some(50), false));
    }
}

#[test]
fn a_deletion_tells_what_goes_with_the_overrides() {
    let mut world = world().user("bob");
    world.set_override(setting("124", "api-calls").limit(30)).unwrap();
    world.set_override(setting("bob", "seats").unlimited()).unwrap();
    world.set_override(setting("bob", "sso").deny()).unwrap();
    world.take_feed();
    world.delete("124");
    let told = world.take_feed();
    let [ended, changed, deleted] = told.as_slice() else { panic!("{told:?}") };
    assert!(ended.starts_with("subscription.ended") && deleted.starts_with("user.deleted"));
    let calls = r#"{"featureId":"api-calls","before":{"access":true,"budget":"30","overageEnabled":false},"after":null}"#;
    assert!(changed.starts_with("entitlement.changed") && changed.contains(calls), "{changed}");
    // Who has no subscription has something to lose, too; what was denied is none of it.
    world.delete("bob");
    let told = world.take_feed();
    let [changed, _] = told.as_slice() else { panic!("{told:?}") };
    assert!(changed.contains(r#""featureId":"seats""#) && !changed.contains("sso"), "{changed}");
}

// Row 2.

#[test]
fn an_override_with_a_reset_period_counts_by_itself() {
    let mut world = world();
    add(&mut world, 9);
    world.set_clock("2024-01-10T00:00:00Z");
    world.set_override(setting("124", "api-calls").limit(5).every(ResetPeriod::Day)).unwrap();
    assert_eq!(used_of(&world, "api-calls"), (0, Some(5), false));
    add(&mut world, 5);
    assert_eq!(reason(&world, "api-calls", 1), Reason::LimitReached);
    assert_eq!(current(&world).unwrap(), "2024-01-10..2024-01-11 5/5");
    let id = world.override_of("124", "api-calls").unwrap().id;
    assert_eq!(world.explain("124", "api-calls", 1).unwrap().source, Some(Source::Override(id)));
    world.set_clock("2024-01-11T00:00:00Z");
    assert_eq!(used_of(&world, "api-calls"), (0, Some(5), false));
    assert_eq!(past(&world), ["2024-01-10..2024-01-11 5/5"]);
    // What the subscription counted is its own.
    world.remove_override("124", "api-calls").unwrap();
    assert_eq!(used_of(&world, "api-calls"), (9, Some(10), false));
}

#[test]
fn an_override_by_the_calendar_begins_with_a_part_of_a_period() {
    let mut world = world();
    world.set_clock("2024-01-20T00:00:00Z");
    let weekly = setting("124", "api-calls").limit(5).every(ResetPeriod::Week);
    world.set_override(weekly.by_calendar()).unwrap();
    assert_eq!(current(&world).unwrap(), "2024-01-20..2024-01-22 0/5");
}

#[test]
fn periods_of_an_override_without_usage_are_not_listed() {
    let mut world = world();
    world.set_override(setting("124", "api-calls").limit(5).every(ResetPeriod::Day)).unwrap();
    world.set_clock("2024-01-03T12:00:00Z");
    add(&mut world, 2);
    world.set_clock("2024-01-05T12:00:00Z");
    assert_eq!(past(&world), ["2024-01-03..2024-01-04 2/5"]);
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    assert_eq!(past(&world), [] as [String; 0], "nothing is listed of one that denies");
}

// Row 3.

#[test]
fn an_override_without_a_reset_period_changes_the_terms_and_not_the_counter() {
    let mut world = world();
    add(&mut world, 8);
    world.set_override(setting("124", "api-calls").limit(20)).unwrap();
    assert_eq!(used_of(&world, "api-calls"), (8, Some(20), false));
    add(&mut world, 10);
    let explained = world.explain("124", "api-calls", 1).unwrap();
    let subscription = world.subscription("124", "basic").id;
    assert_eq!(explained.source, Some(Source::Subscription(subscription)));
    assert_eq!(explained.parts[0].amount, Some(20));
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-02-01 18/20");
    world.remove_override("124", "api-calls").unwrap();
    assert_eq!(used_of(&world, "api-calls"), (18, Some(10), false));
    assert_eq!(reason(&world, "api-calls", 1), Reason::LimitReached);
}

#[test]
fn what_an_override_counted_by_itself_is_shown_once_it_only_replaces_the_limit() {
    let mut world = world();
    world.set_clock("2024-01-10T00:00:00Z");
    world.set_override(setting("124", "api-calls").limit(5).every(ResetPeriod::Day)).unwrap();
    add(&mut world, 3);
    world.set_clock("2024-01-12T12:00:00Z");
    add(&mut world, 1);
    world.set_override(setting("124", "api-calls").limit(50)).unwrap();
    add(&mut world, 2);
    world.set_clock("2024-01-13T00:00:00Z");
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-02-01 2/50");
    let [short, day] = past(&world).try_into().unwrap();
    assert_eq!(day, "2024-01-10..2024-01-11 3/5");
    assert!(short.starts_with("2024-01-12..2024-01-12") && short.ends_with(" 1/5"), "{short}");
}

#[test]
fn overage_is_the_packages_unless_the_override_says_one() {
    let mut world = world().package("over", [("seats", limit(1).with_overage())]);
    world.cancel_package("124", "basic");
    world.subscribe("124", ["over"]).unwrap();
    world.set_override(setting("124", "seats").limit(2)).unwrap();
    assert_eq!(used_of(&world, "seats"), (0, Some(2), true));
    world.set_override(setting("124", "seats").limit(2).overage(false)).unwrap();
    assert_eq!(used_of(&world, "seats"), (0, Some(2), false));
    world.set_override(setting("124", "seats").unlimited()).unwrap();
    assert_eq!(used_of(&world, "seats"), (0, None, true));
}

#[test]
fn a_past_period_shows_the_override_that_lived_at_its_end() {
    let mut world = world();
    world.set_clock("2024-02-10T00:00:00Z");
    let until = setting("124", "api-calls").limit(20).until("2024-04-01T00:00:00Z");
    world.set_override(until).unwrap();
    world.set_clock("2024-05-10T00:00:00Z");
    assert_eq!(
        past(&world),
        [
            "2024-04-01..2024-05-01 0/10",
            "2024-03-01..2024-04-01 0/20",
            "2024-02-01..2024-03-01 0/20",
            "2024-01-01..2024-02-01 0/10",
        ]
    );
}

// Row 4.

#[test]
fn an_override_alone_grants_in_one_period_from_its_start() {
    let mut world = world();
    world.set_clock("2024-01-10T00:00:00Z");
    world.set_override(setting("124", "seats").limit(3)).unwrap();
    world.record(recording("124", "seats").add(2)).unwrap();
    assert_eq!(used_of(&world, "seats"), (2, Some(3), false));
    let shown = world.usage("124", "seats").current.unwrap();
    assert_eq!((shown.period.start, shown.period.end), (time("2024-01-10T00:00:00Z"), None));
    let event = world.events().last().unwrap();
    let id = world.override_of("124", "seats").unwrap().id;
    assert_eq!(event.subscription, Some(SubscriptionId(id.0)));
}

#[test]
fn what_is_used_on_a_subscription_and_without_one_is_counted_apart() {
    let mut world = world();
    world.set_override(setting("124", "api-calls").limit(20)).unwrap();
    add(&mut world, 4);
    world.cancel_package("124", "basic");
    world.wait_ms(1);
    assert_eq!(used_of(&world, "api-calls"), (0, Some(20), false));
    add(&mut world, 6);
    world.subscribe("124", ["basic"]).unwrap();
    assert_eq!(used_of(&world, "api-calls"), (0, Some(20), false));
}

#[test]
fn the_period_of_an_override_that_has_ended_is_past_where_something_was_used() {
    let mut world = world();
    world.set_override(setting("124", "seats").limit(3).until("2024-01-05T00:00:00Z")).unwrap();
    world.record(recording("124", "seats").add(2)).unwrap();
    assert_eq!(world.usage("124", "seats").past.len(), 0);
    world.set_clock("2024-01-05T00:00:00Z");
    assert_eq!(reason(&world, "seats", 1), Reason::NotGranted);
    let usage = world.usage("124", "seats");
    assert_eq!(usage.current, None);
    assert_eq!(usage.past.iter().map(line).collect::<Vec<_>>(), ["2024-01-01..2024-01-05 2/3"]);
}

// BINARY.

#[test]
fn an_unlimited_override_switches_a_feature_on() {
    let mut world = world();
    assert_eq!(reason(&world, "sso", 1), Reason::NotGranted);
    world.set_override(setting("124", "sso").unlimited()).unwrap();
    assert_eq!(reason(&world, "sso", 1), Reason::Granted);
    let id = world.override_of("124", "sso").unwrap().id;
    assert_eq!(world.explain("124", "sso", 1).unwrap().source, Some(Source::Override(id)));
    assert!(world.record(recording("124", "sso")).unwrap().recorded());
}

// Its life.

#[test]
fn setting_again_keeps_id_start_and_counter_until_it_has_ended() {
    let mut world = world();
    let daily = || setting("124", "seats").every(ResetPeriod::Day);
    let first = world.set_override(daily().limit(3).until("2024-01-03T00:00:00Z")).unwrap();
    world.record(recording("124", "seats").add(2)).unwrap();
    world.wait_ms(1000);
    let again = world.set_override(daily().limit(7).until("2024-01-04T00:00:00Z")).unwrap();
    assert_eq!((again.id, again.starts_at), (first.id, first.starts_at));
    assert_eq!(used_of(&world, "seats"), (2, Some(7), false));
    world.set_clock("2024-01-04T00:00:00Z");
    let new = world.set_override(daily().limit(7)).unwrap();
    assert_ne!(new.id, first.id);
    assert_eq!(new.starts_at, time("2024-01-04T00:00:00Z"));
    assert_eq!(world.usage("124", "seats").past.len(), 0, "the earlier one is no longer stored");
}

#[test]
fn setting_the_same_again_changes_nothing() {
    let mut world = world();
    let set = || setting("124", "seats").limit(3).reason("a favour");
    world.set_override(set()).unwrap();
    let before = world.stored();
    world.wait_ms(1000);
    world.take_feed();
    world.set_override(set()).unwrap();
    assert_eq!(world.stored(), before);
    assert_eq!(world.take_feed(), [] as [String; 0]);
}

#[test]
fn an_end_is_exclusive_and_ends_nothing_but_the_override() {
    let mut world = world();
    world.set_override(setting("124", "api-calls").deny().until("2024-01-02T00:00:00Z")).unwrap();
    world.set_clock("2024-01-01T23:59:59.999Z");
    assert_eq!(reason(&world, "api-calls", 1), Reason::Denied);
    let stored = world.stored();
    world.set_clock("2024-01-02T00:00:00Z");
    assert_eq!(reason(&world, "api-calls", 1), Reason::WithinLimit);
    assert_eq!(world.stored(), stored, "nothing runs at the end");
}

#[test]
fn late_usage_sees_the_stored_override_if_it_lived_then() {
    let mut world = world();
    world.set_clock("2024-01-10T00:00:00Z");
    let daily = setting("124", "api-calls").limit(5).every(ResetPeriod::Day);
    world.set_override(daily.until("2024-01-12T00:00:00Z")).unwrap();
    world.set_clock("2024-01-20T00:00:00Z");
    for at in ["2024-01-09T23:59:59Z", "2024-01-10T06:00:00Z", "2024-01-12T00:00:00Z"] {
        world.record(recording("124", "api-calls").add(2).at(at)).unwrap();
    }
    assert_eq!(current(&world).unwrap(), "2024-01-01..2024-02-01 4/10");
    assert_eq!(past(&world), ["2024-01-10..2024-01-11 2/5"]);
}

#[test]
fn a_longer_reset_period_of_an_override_takes_its_usage_over() {
    let mut world = world();
    world.set_override(setting("124", "seats").limit(5).every(ResetPeriod::Day)).unwrap();
    for day in ["2024-01-01", "2024-01-02"] {
        world.set_clock(&format!("{day}T12:00:00Z"));
        world.record(recording("124", "seats").add(3)).unwrap();
    }
    world.set_override(setting("124", "seats").limit(50).every(ResetPeriod::Month)).unwrap();
    world.wait_ms(1);
    assert_eq!(used_of(&world, "seats"), (6, Some(50), false));
    world.record(recording("124", "seats").add(1)).unwrap();
    assert_eq!(used_of(&world, "seats"), (7, Some(50), false));
}

#[test]
fn removing_tells_whether_one_lived_and_keeps_its_counters() {
    let mut world = world();
    assert!(!world.remove_override("124", "seats").unwrap());
    world.set_override(setting("124", "seats").limit(3).until("2024-01-02T00:00:00Z")).unwrap();
    world.record(recording("124", "seats").add(2)).unwrap();
    assert!(world.remove_override("124", "seats").unwrap());
    assert!(!world.remove_override("124", "seats").unwrap());
    assert_eq!(reason(&world, "seats", 1), Reason::NotGranted);
    assert_eq!(counted(&world), [2]);
    world.set_override(setting("124", "seats").limit(3).until("2024-01-02T00:00:00Z")).unwrap();
    assert_eq!(used_of(&world, "seats"), (0, Some(3), false), "a new one starts at 0");
    world.set_clock("2024-01-02T00:00:00Z");
    assert!(!world.remove_override("124", "seats").unwrap(), "it had ended");
}

#[test]
fn an_override_stays_with_a_user_who_gets_a_new_id_and_goes_with_a_deletion() {
    let mut world = world();
    world.set_override(setting("124", "seats").limit(3)).unwrap();
    world.rename("124", "125");
    assert_eq!(world.can_use("125", "seats", 3).unwrap().reason, Reason::WithinLimit);
    world.delete("125");
    assert_eq!(world.overrides_stored(), 0);
}

// Bad values.

#[test]
fn bad_values_are_refused_before_an_unknown_user() {
    let mut world = world();
    world.set_clock("2024-01-10T00:00:00Z");
    let set = || setting("nobody", "nope");
    for (bad, problem) in [
        (set().kind(OverrideKind::Limit), "limit is needed with the kind LIMIT"),
        (set().limit(-1), "limit must not be negative"),
        (set().limit(1).kind(OverrideKind::Unlimited), "limit is only for the kind LIMIT"),
        (set().limit(1).kind(OverrideKind::Deny), "limit is only for the kind LIMIT"),
        (set().deny().every(ResetPeriod::Day), "resetPeriod must be left out with the kind DENY"),
        (set().deny().by_calendar(), "resetAnchor must be left out with the kind DENY"),
        (set().deny().overage(false), "overageEnabled must be left out with the kind DENY"),
        (
            set().unlimited().overage(true),
            "overageEnabled must be left out with the kind UNLIMITED",
        ),
        (set().limit(1).by_calendar(), "resetAnchor needs a reset period"),
        (set().limit(1).until("2024-01-10T00:00:00Z"), "endsAt must be in the future"),
    ] {
        assert_eq!(invalid(world.set_override(bad).unwrap_err()), problem);
    }
    let nobody = world.set_override(set().limit(1)).unwrap_err();
    assert_eq!(nobody, Refusal::UserNotFound(user_id("nobody")));
    let nope = world.set_override(setting("124", "nope").limit(1)).unwrap_err();
    assert_eq!(nope, Refusal::FeatureNotFound(feature_id("nope")));
    assert_eq!(
        world.remove_override("124", "nope").unwrap_err(),
        Refusal::FeatureNotFound(feature_id("nope"))
    );
}

#[test]
fn a_switch_has_no_amount_to_override() {
    let mut world = world();
    let limited = world.set_override(setting("124", "sso").limit(1)).unwrap_err();
    assert_eq!(invalid(limited), "kind does not suit sso, which is BINARY");
    let resets = setting("124", "sso").unlimited().every(ResetPeriod::Day);
    let resets = world.set_override(resets).unwrap_err();
    assert_eq!(invalid(resets), "resetPeriod does not suit sso, which is BINARY");
}

#[test]
fn a_user_has_at_most_100_and_one_that_ended_gives_way() {
    let mut world = world();
    for n in 0..=OVERRIDES_MAX {
        world = world.consumable(&format!("f{n}"));
    }
    for n in 0..OVERRIDES_MAX {
        let set = setting("124", &format!("f{n}")).limit(1);
        let set = if n == 7 { set.until("2024-01-02T00:00:00Z") } else { set };
        world.set_override(set).unwrap();
    }
    let last = format!("f{OVERRIDES_MAX}");
    let refused = world.set_override(setting("124", &last).limit(1)).unwrap_err();
    assert_eq!(invalid(refused), "userId has 100 overrides already: remove one first");
    world.set_override(setting("124", "f3").limit(2)).unwrap();
    world.set_clock("2024-01-02T00:00:00Z");
    world.set_override(setting("124", &last).limit(1)).unwrap();
    assert_eq!(world.overrides_stored(), OVERRIDES_MAX);
    assert!(world.override_of("124", "f7").is_none());
}

// What is told.

#[test]
fn the_feed_tells_what_the_user_may_do_now() {
    let mut world = world();
    world.take_feed();
    world.set_override(setting("124", "api-calls").limit(20)).unwrap();
    world.set_override(setting("124", "api-calls").limit(20).reason("a favour")).unwrap();
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    world.set_override(setting("124", "seats").limit(0)).unwrap();
    world.remove_override("124", "api-calls").unwrap();
    let ten = r#"{"access":true,"budget":"10","overageEnabled":false}"#;
    let twenty = r#"{"access":true,"budget":"20","overageEnabled":false}"#;
    let none = r#"{"access":false,"budget":"0","overageEnabled":false}"#;
    let told = |feature: &str, before: &str, after: &str| {
        format!(
            "entitlement.changed 124 {{\"features\":[{{\"featureId\":\"{feature}\",\
             \"before\":{before},\"after\":{after}}}]}}"
        )
    };
    assert_eq!(
        world.take_feed(),
        [
            told("api-calls", ten, twenty),
            told("api-calls", twenty, "null"),
            told("seats", "null", none),
            told("api-calls", "null", ten),
        ]
    );
}

#[test]
fn the_audit_log_has_before_and_after() {
    let mut world = world();
    let set = setting("124", "seats").limit(3).every(ResetPeriod::Week).reason("a favour");
    let [entry] = world.audit_of(&set.command()).try_into().unwrap();
    assert_eq!((entry.action, entry.subject.as_deref()), ("setOverride", Some("124")));
    assert_eq!(entry.before, None);
    let after = entry.after.unwrap();
    assert_eq!(
        (&after["kind"], &after["limit"], &after["resetPeriod"], after.get("reason")),
        (&"LIMIT".into(), &3.into(), &"WEEK".into(), None)
    );
    world.set_override(setting("124", "seats").deny()).unwrap();
    let remove = RemoveOverride { user: user_id("124"), feature: feature_id("seats") };
    let [entry] = world.audit_of(&Command::RemoveOverride(remove)).try_into().unwrap();
    assert_eq!((entry.action, entry.after), ("removeOverride", None));
    assert_eq!(entry.before.unwrap()["kind"], "DENY");
}

#[test]
fn old_counters_of_an_override_are_folded() {
    let mut world = world();
    let set = setting("124", "seats").limit(3).every(ResetPeriod::Minute);
    let id = world.set_override(set).unwrap().id;
    world.record(recording("124", "seats").add(2)).unwrap();
    let start = world.now();
    world.set_clock("2024-01-03T00:00:00Z");
    let fold = FoldCounters {
        user: Some(user_id("124")),
        subscription: SubscriptionId(id.0),
        feature: feature_id("seats"),
        terms: TermsNumber::default(),
        period_starts: vec![start],
    };
    world.run(&Command::FoldCounters(fold)).unwrap();
    let before = world.stored();
    assert_eq!(counted(&world), [2]);
    world.record(recording("124", "seats").add(1).at_time(start)).unwrap();
    assert_ne!(world.stored(), before);
    assert_eq!(counted(&world), [3], "late usage goes to the sum");
}

/// Any terms that suit an amount.
fn any_input() -> impl Strategy<Value = OverrideInput> {
    let reset = proptest::option::of(proptest::sample::select(ResetPeriod::ALL.to_vec()));
    let most = proptest::option::of(0_i64..20);
    (most, reset, any::<bool>(), proptest::option::of(any::<bool>()), any::<bool>()).prop_map(
        |(limit, reset_period, by_calendar, overage, denies)| OverrideInput {
            kind: match (denies, limit) {
                (true, _) => OverrideKind::Deny,
                (false, Some(_)) => OverrideKind::Limit,
                (false, None) => OverrideKind::Unlimited,
            },
            limit: limit.filter(|_| !denies),
            reset_period: reset_period.filter(|_| !denies),
            reset_anchor: (by_calendar && reset_period.is_some() && !denies)
                .then_some(ResetAnchor::Calendar),
            overage_enabled: overage.filter(|_| limit.is_some() && !denies),
        },
    )
}

fn with(input: OverrideInput) -> SetOverride {
    SetOverride { input, ..setting("124", "api-calls").limit(0).set() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_recorded_usage_is_counted_twice_whatever_the_override_becomes(
        steps in proptest::collection::vec(
            (any_input(), 0_i64..4 * 24 * 60 * 60 * 1000, 1_i64..5), 1..12),
    ) {
        let mut world = world();
        let mut counted = 0;
        for (input, wait_ms, delta) in steps {
            world.run(&Command::SetOverride(with(input))).unwrap();
            world.wait_ms(wait_ms + 1);
            let recorded = world.record(recording("124", "api-calls").add(delta)).unwrap();
            let answer = world.can_use("124", "api-calls", 0).unwrap();
            prop_assert_eq!(recorded.recorded(), answer.reason != Reason::Denied);
            prop_assert_eq!(answer.reason == Reason::Denied, input.kind == OverrideKind::Deny);
            if recorded.recorded() {
                counted += delta;
                prop_assert!(answer.consumption.unwrap().used >= delta);
            }
            // What periods have taken over is in two counters, and in one period that is listed.
            let usage = world.usage("124", "api-calls");
            let shown = usage.past.iter().chain(&usage.current);
            let sum: i64 = shown.map(|shown| shown.consumption.used).sum();
            prop_assert!(sum <= counted, "{} of {}", sum, counted);
            let explained = world.explain("124", "api-calls", 0).unwrap();
            let budget = explained.entitlement.consumption.and_then(|it| it.budget);
            let parts = explained.parts.iter().map(|part| part.amount).sum::<Option<i64>>();
            prop_assert!(explained.parts.is_empty() || parts == budget);
        }
    }
}

#[test]
fn an_override_of_a_feature_is_of_that_user_alone() {
    let mut world = world().user("125").subscribed("125", "basic");
    world.set_override(setting("124", "api-calls").deny()).unwrap();
    assert_eq!(world.can_use("125", "api-calls", 1).unwrap().reason, Reason::WithinLimit);
    assert_eq!(reason(&world, "export", 1), Reason::Granted);
    let known: Option<Override> = world.override_of("125", "api-calls");
    assert_eq!(known, None);
}
