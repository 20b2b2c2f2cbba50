//! Features that draw on the balance of another one (contract: `beyond.md`, "Credits").

use kana_core::Refusal;
use kana_core::catalog::Catalog;
use kana_core::catalog_command::{CatalogCommand, FeatureEdit, plan};
use kana_core::credits::{COST_MAX, Cost};
use kana_core::entitlement::{Reason, Requirement};
use kana_core::explain::Source;
use kana_core::near_limit::Share;
use kana_core::period::ResetPeriod;
use kana_core::threshold::{Threshold, Thresholds};
use kana_core::usage::{LoggedAction, RecordedUsage, VoidedUsage};
use proptest::prelude::*;

use crate::world::{
    Gives, World, drawing, feature_id, limit, recording, setting, switched_on, using,
};

/// `images` costs 5 credits and `texts` costs 1.
fn world_with(credits: Gives) -> World {
    World::new()
        .consumable("credits")
        .drawing("images", "credits", 5)
        .drawing("texts", "credits", 1)
        .package("pro", [("images", switched_on()), ("texts", switched_on()), ("credits", credits)])
        .user("124")
        .subscribed("124", "pro")
}

fn world() -> World {
    world_with(limit(100).monthly())
}

fn requirement(feature: &str, delta: i64) -> Requirement {
    Requirement { feature: feature_id(feature), delta }
}

#[test]
fn a_question_is_one_about_the_balance_times_the_cost() {
    let mut world = world();
    world.record(recording("124", "images").add(3)).unwrap();
    world.record(recording("124", "texts").add(4)).unwrap();
    world.record(recording("124", "credits").add(1)).unwrap();
    for feature in ["images", "texts", "credits"] {
        assert_eq!((world.used("124", feature), world.budget("124", feature)), (20, Some(100)));
    }
    let can_use = |feature, delta| {
        let entitlement = world.can_use("124", feature, delta).unwrap();
        (entitlement.access, entitlement.reason)
    };
    assert_eq!(can_use("images", 16), (true, Reason::WithinLimit));
    assert_eq!(can_use("images", 17), (false, Reason::LimitReached));
    assert_eq!(can_use("texts", 80), (true, Reason::WithinLimit));
    assert_eq!(can_use("texts", 81), (false, Reason::LimitReached));
}

#[test]
fn use_feature_grants_what_the_balance_has() {
    let mut world = world();
    let mut granted = 0;
    while world.use_feature(using("124", "images").delta(3)).unwrap().granted {
        granted += 1;
    }
    assert_eq!((granted, world.used("124", "credits")), (6, 90));
    let answer = world.use_feature(using("124", "images").delta(2)).unwrap();
    assert_eq!((answer.granted, answer.consumption.unwrap().used), (true, 100));
    assert!(!world.use_feature(using("124", "texts")).unwrap().granted);
}

#[test]
fn the_log_keeps_the_feature_itself_and_its_delta() {
    let mut world = world();
    world.record(recording("124", "images").add(3).key("k")).unwrap();
    let [event] = world.events() else { panic!("one event") };
    assert_eq!((event.feature.as_str(), event.delta), ("images", 3));
    assert_eq!(event.subscription, Some(world.subscription("124", "pro").id));
    // The usage by day has it in the unit of each.
    assert_eq!(event.amount, 3);
    let drawn = event.drawn.as_ref().unwrap();
    assert_eq!((drawn.balance.as_str(), drawn.amount), ("credits", 15));
}

#[test]
fn what_may_not_be_used_itself_is_not_granted_however_much_the_balance_has() {
    let mut world = world().drawing("videos", "credits", 50);
    let answer = world.can_use("124", "videos", 1).unwrap();
    assert_eq!((answer.reason, answer.consumption), (Reason::NotGranted, None));
    let recorded = world.record(recording("124", "videos")).unwrap();
    assert_eq!(recorded, RecordedUsage::NotCounted);
    assert_eq!(world.used("124", "credits"), 0);
    // An override can grant it.
    world.set_override(setting("124", "videos").unlimited()).unwrap();
    assert_eq!(world.can_use("124", "videos", 2).unwrap().reason, Reason::WithinLimit);
    assert_eq!(world.can_use("124", "videos", 3).unwrap().reason, Reason::LimitReached);
    assert_eq!(world.record(recording("124", "videos")).unwrap(), RecordedUsage::Recorded);
    assert_eq!(world.used("124", "credits"), 50);
}

#[test]
fn without_a_balance_nothing_is_granted() {
    let mut world = World::new()
        .consumable("credits")
        .drawing("images", "credits", 5)
        .package("pro", [("images", switched_on())])
        .user("124")
        .subscribed("124", "pro");
    assert_eq!(world.can_use("124", "images", 0).unwrap().reason, Reason::NotGranted);
    assert_eq!(world.record(recording("124", "images")).unwrap(), RecordedUsage::NotCounted);
    // An override of the balance counts by itself.
    world.set_override(setting("124", "credits").limit(5)).unwrap();
    assert!(world.use_feature(using("124", "images")).unwrap().granted);
    assert!(!world.use_feature(using("124", "images")).unwrap().granted);
}

#[test]
fn overrides_deny_either_and_limit_the_balance() {
    let mut world = world();
    world.set_override(setting("124", "images").deny()).unwrap();
    assert_eq!(world.can_use("124", "images", 1).unwrap().reason, Reason::Denied);
    assert_eq!(world.can_use("124", "texts", 1).unwrap().reason, Reason::WithinLimit);
    world.remove_override("124", "images").unwrap();
    world.set_override(setting("124", "credits").deny()).unwrap();
    for feature in ["images", "texts", "credits"] {
        assert_eq!(world.can_use("124", feature, 1).unwrap().reason, Reason::Denied);
    }
    assert_eq!(world.record(recording("124", "texts")).unwrap(), RecordedUsage::NotCounted);
    world.set_override(setting("124", "credits").limit(9)).unwrap();
    assert_eq!(world.budget("124", "images"), Some(9));
    assert!(!world.can_use("124", "images", 2).unwrap().access);
    world.set_override(setting("124", "credits").unlimited()).unwrap();
    assert_eq!(world.can_use("124", "images", i64::MAX).unwrap().reason, Reason::Unlimited);
    // One on the feature that draws does not lift the limit.
    world.remove_override("124", "credits").unwrap();
    world.set_override(setting("124", "images").unlimited()).unwrap();
    assert_eq!(world.budget("124", "images"), Some(100));
}

#[test]
fn an_override_that_ended_is_seen_by_late_usage() {
    let mut world = world();
    world.set_clock("2024-01-02T00:00:00Z");
    world.set_override(setting("124", "images").deny().until("2024-01-03T00:00:00Z")).unwrap();
    world.set_clock("2024-01-04T00:00:00Z");
    let late = |at| recording("124", "images").at(at);
    assert_eq!(world.record(late("2024-01-02T12:00:00Z")).unwrap(), RecordedUsage::NotCounted);
    assert_eq!(world.record(late("2024-01-01T12:00:00Z")).unwrap(), RecordedUsage::Recorded);
    assert_eq!(world.used("124", "credits"), 5);
}

#[test]
fn an_amount_of_a_feature_that_draws_is_refused() {
    let mut world = world();
    let invalid = |refusal: Refusal| refusal.to_string();
    assert_eq!(
        invalid(world.record(recording("124", "images").set(3)).unwrap_err()),
        "action must not be SET for images, which draws on credits: SET credits instead"
    );
    assert!(world.events().is_empty());
    assert_eq!(
        invalid(world.set_override(setting("124", "images").limit(3)).unwrap_err()),
        "kind does not suit images, which draws on credits: set it on credits"
    );
    let daily = setting("124", "images").unlimited().every(ResetPeriod::Day);
    assert_eq!(
        invalid(world.set_override(daily).unwrap_err()),
        "resetPeriod does not suit images, which draws on credits: set it on credits"
    );
    let set = world.record(recording("nobody", "images").set(3)).unwrap_err();
    assert!(matches!(set, Refusal::UserNotFound(_)), "{set}");
}

#[test]
fn amounts_on_one_balance_are_added_up() {
    let world = world();
    let ask = |images, texts, credits| {
        let asked = [
            requirement("images", images),
            requirement("credits", credits),
            requirement("texts", texts),
        ];
        let (fits, alone) = world.can_use_together("124", &asked).unwrap();
        (fits, alone.iter().all(|entitlement| entitlement.access))
    };
    assert_eq!(ask(10, 20, 30), (true, true));
    assert_eq!(ask(10, 20, 31), (false, true));
    assert_eq!(ask(21, 0, 0), (false, false));
    let mut denied = world_with(limit(100));
    denied.set_override(setting("124", "texts").deny()).unwrap();
    let asked = [requirement("images", 1), requirement("texts", 1)];
    let (fits, alone) = denied.can_use_together("124", &asked).unwrap();
    assert_eq!((fits, alone[0].access, alone[1].reason), (false, true, Reason::Denied));
}

#[test]
fn an_explanation_names_the_balance_and_the_amount_asked_there() {
    let mut world = world();
    let explained = world.explain("124", "images", 3).unwrap();
    assert_eq!((explained.balance.as_str(), explained.amount), ("credits", 15));
    let subscription = world.subscription("124", "pro").id;
    assert_eq!(explained.source, Some(Source::Subscription(subscription)));
    assert_eq!(explained.period, world.explain("124", "credits", 1).unwrap().period);
    assert_eq!(explained.parts, world.explain("124", "credits", 1).unwrap().parts);
    let denying = world.set_override(setting("124", "images").deny()).unwrap();
    let explained = world.explain("124", "images", i64::MAX).unwrap();
    assert_eq!(explained.source, Some(Source::Override(denying.id)));
    assert_eq!((explained.amount, explained.parts.len()), (i64::MAX, 0));
    world.remove_override("124", "images").unwrap();
    let limiting = setting("124", "credits").limit(3).every(ResetPeriod::Day);
    let limiting = world.set_override(limiting).unwrap();
    let explained = world.explain("124", "images", 1).unwrap();
    assert_eq!(explained.source, Some(Source::Override(limiting.id)));
}

#[test]
fn show_usage_shows_the_balance() {
    let mut world = world();
    world.record(recording("124", "images").add(3)).unwrap();
    world.set_clock("2024-02-05T00:00:00Z");
    world.record(recording("124", "texts").add(2)).unwrap();
    assert_eq!(world.usage("124", "images"), world.usage("124", "credits"));
    let shown = world.usage("124", "images");
    assert_eq!(shown.current.unwrap().consumption.used, 2);
    assert_eq!(shown.past[0].consumption.used, 15);
    world.set_override(setting("124", "images").deny()).unwrap();
    let shown = world.usage("124", "images");
    assert_eq!((shown.current, shown.past[0].consumption.used), (None, 15));
}

#[test]
fn another_cost_leaves_what_was_counted() {
    let mut world = world();
    world.record(recording("124", "images").add(2).key("k")).unwrap();
    let edit = FeatureEdit { cost: Some(Cost::new(7).unwrap()), ..FeatureEdit::default() };
    let update = |edit| CatalogCommand::UpdateFeature { id: feature_id("images"), edit };
    world.plan(update(edit.clone())).unwrap();
    assert_eq!(world.used("124", "credits"), 10);
    world.record(recording("124", "images")).unwrap();
    assert_eq!(world.used("124", "credits"), 17);
    // What is taken back is what was added.
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "credits"), 7);
    let entry = world.events().last().unwrap();
    assert_eq!((entry.action, entry.feature.as_str()), (LoggedAction::Void, "images"));
    assert_eq!((entry.delta, entry.amount), (-2, -2));
    assert_eq!(entry.drawn.as_ref().unwrap().amount, -10);
    let wrong = CatalogCommand::UpdateFeature { id: feature_id("credits"), edit };
    assert_eq!(
        world.plan(wrong).unwrap_err().to_string(),
        "cost must be left out for credits, which draws on nothing"
    );
}

#[test]
fn corrections_take_back_what_was_really_added() {
    let mut world = world();
    world.record(recording("124", "credits").add(7)).unwrap();
    // Only 7 of the 10 could be taken away.
    world.record(recording("124", "images").add(-2).key("less")).unwrap();
    world.use_feature(using("124", "images").delta(3).key("use")).unwrap();
    assert_eq!(world.used("124", "credits"), 15);
    world.void("less").unwrap();
    assert_eq!(world.used("124", "credits"), 22);
    world.void("use").unwrap();
    assert_eq!(world.used("124", "credits"), 7);
    world.record(recording("124", "images").key("then set")).unwrap();
    world.record(recording("124", "credits").set(3)).unwrap();
    assert_eq!(world.void("then set"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "credits"), 3);
    world.record(recording("124", "images").key("january")).unwrap();
    world.set_clock("2024-02-02T00:00:00Z");
    world.void("january").unwrap();
    assert_eq!(world.usage("124", "credits").past[0].consumption.used, 3);
}

#[test]
fn usage_of_an_override_of_the_balance_is_taken_back_there() {
    let mut world = world();
    world.set_override(setting("124", "credits").limit(50).every(ResetPeriod::Day)).unwrap();
    world.record(recording("124", "images").add(2).key("k")).unwrap();
    assert_eq!(world.used("124", "credits"), 10);
    assert_eq!(world.void("k"), Ok(VoidedUsage::Voided));
    assert_eq!(world.used("124", "credits"), 0);
}

#[test]
fn a_repeat_answers_as_the_first_did() {
    let mut world = world();
    let first = world.use_feature(using("124", "images").delta(3).key("k")).unwrap();
    let edit = FeatureEdit { cost: Some(Cost::new(9).unwrap()), ..FeatureEdit::default() };
    world.plan(CatalogCommand::UpdateFeature { id: feature_id("images"), edit }).unwrap();
    let again = world.use_feature(using("124", "images").delta(3).key("k")).unwrap();
    assert_eq!((again, world.used("124", "credits")), (first, 15));
}

#[test]
fn the_thresholds_of_the_balance_fire_and_its_limit_is_crossed() {
    let mut world = World::new()
        .watched("credits", &[Threshold::Percent(50)])
        .drawing("images", "credits", 5)
        .package("pro", [("credits", limit(100)), ("images", switched_on())])
        .user("124")
        .subscribed("124", "pro");
    world.record(recording("124", "images").add(9)).unwrap();
    assert_eq!(world.threshold_events().len(), 0);
    world.use_feature(using("124", "images").delta(1)).unwrap();
    let [event] = world.threshold_events() else { panic!("one event") };
    assert_eq!((event.feature.as_str(), event.consumption.used), ("credits", 50));
    world.record(recording("124", "images").add(6).at("2024-01-01T00:00:00Z")).unwrap();
    let crossings = world.take_crossings();
    let [crossing] = crossings.as_slice() else { panic!("{crossings:?}") };
    assert_eq!((crossing.feature.as_str(), crossing.share), ("credits", Share::Near));
    assert_eq!(world.near("124", "credits"), Some(Share::Near));
}

#[test]
fn quantities_and_added_limits_are_those_of_the_balance() {
    let mut world = World::new()
        .consumable("credits")
        .drawing("images", "credits", 5)
        .package("pro", [("credits", limit(10)), ("images", switched_on())])
        .addon("more", [], [("credits", limit(7).added())])
        .user("124")
        .subscribed_to("124", 3, "pro")
        .subscribed_to("124", 2, "more");
    assert_eq!(world.budget("124", "images"), Some(44));
    world.cancel_package("124", "more");
    assert_eq!(world.budget("124", "images"), Some(30));
}

#[test]
fn the_feed_tells_what_becomes_of_the_features_that_draw() {
    let mut world = world();
    world.take_changes();
    world.set_override(setting("124", "credits").limit(3)).unwrap();
    let changes = world.take_changes();
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    let data = change.effect.data_json();
    for feature in ["credits", "images", "texts"] {
        assert!(data.contains(&format!(r#""featureId":"{feature}""#)), "{data}");
    }
}

#[test]
fn what_a_feature_draws_on_is_another_one_that_has_an_amount() {
    let world = world().binary("sso");
    let create =
        |feature| plan(world.catalog(), CatalogCommand::CreateFeature(feature), world.now());
    let refused = |feature| create(feature).unwrap_err().to_string();
    assert_eq!(refused(drawing("a", "nope", 1)), "Feature not found: nope");
    assert_eq!(refused(drawing("a", "a", 1)), "Feature not found: a");
    assert_eq!(refused(drawing("a", "sso", 1)), "drawsOn names sso, which is BINARY");
    assert_eq!(
        refused(drawing("a", "images", 1)),
        "drawsOn names images, which draws on credits itself"
    );
    let mut watched = drawing("a", "credits", 1);
    if let kana_core::catalog::FeatureKind::Consumable { thresholds, .. } = &mut watched.kind {
        *thresholds = Thresholds::new(vec![Threshold::Left(1)]).unwrap();
    }
    let problem = "thresholds must be left out for a, which draws on credits: set it on credits";
    assert_eq!(refused(watched), problem);
    let edit = FeatureEdit {
        thresholds: Some(Thresholds::new(vec![Threshold::Left(1)]).unwrap()),
        ..FeatureEdit::default()
    };
    let update = CatalogCommand::UpdateFeature { id: feature_id("images"), edit };
    let refused = plan(world.catalog(), update, world.now()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "thresholds must be left out for images, which draws on credits: set it on credits"
    );
}

#[test]
fn a_package_gives_no_amount_of_a_feature_that_draws() {
    let mut world = world();
    let new = crate::world::new_package("basic", [("images", limit(3))]);
    assert_eq!(
        world.plan(CatalogCommand::CreatePackage(new)).unwrap_err().to_string(),
        "entitlement must be left out for images, which draws on credits: set it on credits"
    );
}

#[test]
fn what_others_draw_on_is_not_deleted() {
    let mut world = World::new().consumable("credits").drawing("images", "credits", 5);
    let delete = |id| CatalogCommand::DeleteFeature(feature_id(id));
    assert_eq!(
        world.plan(delete("credits")).unwrap_err().to_string(),
        "id names credits, which images draws on"
    );
    world.plan(delete("images")).unwrap();
    world.plan(delete("credits")).unwrap();
    assert_eq!(world.catalog(), &Catalog::default());
}

#[test]
fn amounts_beyond_64_bits_are_exact() {
    let mut world = World::new()
        .consumable("credits")
        .drawing("images", "credits", COST_MAX)
        .package("pro", [("credits", limit(i64::MAX)), ("images", switched_on())])
        .user("124")
        .subscribed("124", "pro");
    let most = i64::MAX / COST_MAX;
    let ask = |world: &World, delta| world.can_use("124", "images", delta).unwrap().access;
    assert!(ask(&world, most));
    assert!(!ask(&world, most + 1));
    assert!(!ask(&world, i64::MAX));
    // The rest of the balance is less than one costs.
    world.record(recording("124", "images").add(most)).unwrap();
    assert_eq!(world.used("124", "credits"), most * COST_MAX);
    assert!(ask(&world, 0));
    assert!(!ask(&world, 1));
    world.record(recording("124", "images").add(i64::MAX).key("k")).unwrap();
    assert_eq!(world.used("124", "credits"), i64::MAX);
    world.void("k").unwrap();
    assert_eq!(world.used("124", "credits"), most * COST_MAX);
    world.record(recording("124", "images").add(i64::MIN)).unwrap();
    assert_eq!(world.used("124", "credits"), 0);
    let asked = vec![requirement("images", i64::MAX); 100];
    assert!(!world.can_use_together("124", &asked).unwrap().0);
}

#[test]
fn counters_are_those_of_the_balance_alone() {
    let mut world = world();
    world.record(recording("124", "images")).unwrap();
    let counters = world.counters("124");
    let features: Vec<&str> = counters.keys().map(|key| key.feature.as_str()).collect();
    assert_eq!(features, ["credits"]);
}

/// A step of a history: which feature, how much of it, and how.
#[derive(Debug, Clone, Copy)]
enum Step {
    Record(usize, i64),
    Use(usize, i64),
    Wait,
    Override(i64),
    Remove,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..3_usize, -8..20_i64).prop_map(|(feature, delta)| Step::Record(feature, delta)),
        3 => (0..3_usize, 0..20_i64).prop_map(|(feature, delta)| Step::Use(feature, delta)),
        1 => Just(Step::Wait),
        1 => (0..60_i64).prop_map(Step::Override),
        1 => Just(Step::Remove),
    ]
}

proptest! {
    /// Whatever is done to features that draw is done to the balance, times the cost.
    #[test]
    fn a_history_is_that_of_the_balance(steps in prop::collection::vec(any_step(), 1..30)) {
        const FEATURES: [(&str, i64); 3] = [("images", 5), ("texts", 1), ("credits", 1)];
        let (mut drawing, mut plain) = (world(), world());
        for step in steps {
            match step {
                Step::Record(at, delta) => {
                    let (feature, cost) = FEATURES[at];
                    let one = drawing.record(recording("124", feature).add(delta));
                    let other = plain.record(recording("124", "credits").add(delta * cost));
                    prop_assert_eq!(one, other);
                }
                Step::Use(at, delta) => {
                    let (feature, cost) = FEATURES[at];
                    prop_assert_eq!(
                        drawing.can_use("124", feature, delta),
                        plain.can_use("124", "credits", delta * cost)
                    );
                    let one = drawing.use_feature(using("124", feature).delta(delta));
                    let other = plain.use_feature(using("124", "credits").delta(delta * cost));
                    prop_assert_eq!(one, other);
                }
                Step::Wait => {
                    drawing.wait_ms(10 * 86_400_000);
                    plain.wait_ms(10 * 86_400_000);
                }
                Step::Override(limit) => {
                    drawing.set_override(setting("124", "credits").limit(limit)).unwrap();
                    plain.set_override(setting("124", "credits").limit(limit)).unwrap();
                }
                Step::Remove => {
                    drawing.remove_override("124", "credits").unwrap();
                    plain.remove_override("124", "credits").unwrap();
                }
            }
            for (feature, _) in FEATURES {
                prop_assert_eq!(drawing.usage("124", feature), plain.usage("124", "credits"));
            }
        }
    }
}
