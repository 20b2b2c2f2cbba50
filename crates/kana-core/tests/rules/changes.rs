//! What the changes feed and the audit log tell (contract: `changes.md`, "The log";
//! `operations.md`, "Audit log").

use std::collections::{BTreeMap, HashMap};

use insta::assert_snapshot;
use kana_core::catalog::PackageKind;
use kana_core::catalog_command::{CatalogCommand, FeatureEdit, PackageEdit, plan};
use kana_core::change::{
    Change, DATA_BYTES_MAX, Effect, EntitlementDifference, Grant, audit_of_catalog, audit_of_user,
    of_catalog, packages_to_count, types_named,
};
use kana_core::edit::Edit;
use kana_core::entitlement::{Entitlement, Reason};
use kana_core::user::UserEdit;
use proptest::prelude::*;

use crate::world::{
    Gives, World, feature_id, label, limit, package_id, recording, switched_on, unlimited, user_id,
};

fn world() -> World {
    let mut world = World::new()
        .consumable("calls")
        .binary("export")
        .package("free", [("calls", limit(3).monthly())])
        .package("pro", [("calls", limit(100).monthly().with_overage()), ("export", switched_on())])
        .addon("more", ["pro"], [("calls", unlimited())])
        .user("124");
    world.take_feed();
    world
}

fn feed(world: &mut World) -> String {
    world.take_feed().join("\n")
}

#[test]
fn a_subscription_tells_that_it_started_and_then_what_the_user_may_do() {
    let mut world = world();
    world.subscribe("124", ["pro"]).unwrap();
    assert_snapshot!(feed(&mut world), @r#"
    subscription.started 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000002","packageId":"pro","status":"ACTIVE","startedAt":"2024-01-01T00:00:00.000Z","endedAt":null}}
    entitlement.changed 124 {"features":[{"featureId":"calls","before":null,"after":{"access":true,"budget":"100","overageEnabled":true}},{"featureId":"export","before":null,"after":{"access":true,"budget":null,"overageEnabled":false}}]}
    "#);
    world.subscribe("124", ["more"]).unwrap();
    assert_snapshot!(feed(&mut world), @r#"
    subscription.started 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000003","packageId":"more","status":"ACTIVE","startedAt":"2024-01-01T00:00:00.000Z","endedAt":null}}
    entitlement.changed 124 {"features":[{"featureId":"calls","before":{"access":true,"budget":"100","overageEnabled":true},"after":{"access":true,"budget":null,"overageEnabled":false}}]}
    "#);
    world.wait_ms(1000);
    world.cancel_package("124", "pro");
    assert_snapshot!(feed(&mut world), @r#"
    subscription.ended 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000002","packageId":"pro","status":"CANCELLED","startedAt":"2024-01-01T00:00:00.000Z","endedAt":"2024-01-01T00:00:01.000Z"},"previousStatus":"ACTIVE"}
    subscription.ended 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000003","packageId":"more","status":"CANCELLED","startedAt":"2024-01-01T00:00:00.000Z","endedAt":"2024-01-01T00:00:01.000Z"},"previousStatus":"ACTIVE"}
    entitlement.changed 124 {"features":[{"featureId":"calls","before":{"access":true,"budget":null,"overageEnabled":false},"after":null},{"featureId":"export","before":{"access":true,"budget":null,"overageEnabled":false},"after":null}]}
    "#);
    // What is cancelled already changes nothing.
    world.cancel_package("124", "pro");
    assert_eq!(feed(&mut world), "");
}

#[test]
fn access_that_usage_has_used_up_comes_back_with_a_new_subscription() {
    let mut world = world().subscribed("124", "free");
    world.record(recording("124", "calls").add(3)).unwrap();
    world.take_feed();
    world.cancel_package("124", "free");
    world.subscribe("124", ["pro"]).unwrap();
    assert_snapshot!(feed(&mut world), @r#"
    subscription.ended 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000002","packageId":"free","status":"CANCELLED","startedAt":"2024-01-01T00:00:00.000Z","endedAt":"2024-01-01T00:00:00.000Z"},"previousStatus":"ACTIVE"}
    entitlement.changed 124 {"features":[{"featureId":"calls","before":{"access":false,"budget":"3","overageEnabled":false},"after":null}]}
    subscription.started 124 {"subscription":{"id":"00000000-0000-0000-0000-000000000003","packageId":"pro","status":"ACTIVE","startedAt":"2024-01-01T00:00:00.000Z","endedAt":null}}
    entitlement.changed 124 {"features":[{"featureId":"calls","before":null,"after":{"access":true,"budget":"100","overageEnabled":true}},{"featureId":"export","before":null,"after":{"access":true,"budget":null,"overageEnabled":false}}]}
    "#);
}

#[test]
fn usage_and_refusals_tell_nothing() {
    let mut world = world().subscribed("124", "free");
    world.take_feed();
    world.record(recording("124", "calls").add(300)).unwrap();
    world.subscribe("124", ["pro"]).unwrap_err();
    world.subscribe("nobody", ["pro"]).unwrap_err();
    world.plan(CatalogCommand::PublishPackage(package_id("pro"))).unwrap();
    assert_eq!(feed(&mut world), "");
}

#[test]
fn a_user_tells_the_fields_that_changed_and_no_values() {
    let mut world = world().user("ada");
    let edit = UserEdit { email: Edit::Set(label("ada@example.org")), ..UserEdit::default() };
    world.update_user("ada", edit.clone()).unwrap();
    world.update_user("ada", edit).unwrap();
    world.rename("ada", "lovelace");
    assert_snapshot!(feed(&mut world), @r#"
    user.created ada {}
    user.updated ada {"changed":["email"]}
    user.updated lovelace {"changed":["id"],"previousId":"ada"}
    "#);
}

#[test]
fn a_package_tells_what_of_it_changed() {
    let mut world = world();
    world.change_terms("pro", &[("calls", limit(200).monthly()), ("export", switched_on())]);
    world.archive("free");
    let id = feature_id("calls");
    let edit = FeatureEdit { name: Some(label("Calls")), ..FeatureEdit::default() };
    world.plan(CatalogCommand::UpdateFeature { id, edit }).unwrap();
    assert_snapshot!(feed(&mut world), @r#"
    package.updated - {"packageId":"pro","changed":["features"],"activeSubscribers":0}
    package.archived - {"packageId":"free"}
    feature.updated - {"featureId":"calls"}
    "#);
}

#[test]
fn what_nobody_gets_otherwise_has_no_subscribers_to_tell_of() {
    let world = world();
    let renamed = PackageEdit {
        name: label("Pro!"),
        kind: PackageKind::Base,
        features: [("calls", limit(100).monthly().with_overage()), ("export", switched_on())]
            .map(|(id, gives)| (feature_id(id), gives.allowance()))
            .into_iter()
            .collect(),
        names: None,
        metadata: Edit::Keep,
    };
    let change = |edit| {
        let command = CatalogCommand::ChangePackage { id: package_id("pro"), edit };
        plan(world.catalog(), command, world.now()).unwrap().0
    };
    let changes = change(renamed.clone());
    assert_eq!(packages_to_count(world.catalog(), &changes), []);
    let mut cut = renamed;
    cut.features.shift_remove(&feature_id("export"));
    let changes = change(cut);
    assert_eq!(packages_to_count(world.catalog(), &changes), [package_id("pro")]);
    let counts = HashMap::from([(package_id("pro"), 7)]);
    let told = of_catalog(world.catalog(), &changes, &counts, true);
    let told: Vec<String> = told.iter().map(|change| change.effect.data_json()).collect();
    assert_snapshot!(told.join("\n"), @r#"
    {"packageId":"pro","changed":["name","features"],"activeSubscribers":7}
    {"featuresCreated":0,"featuresUpdated":0,"featuresDeleted":0,"packagesCreated":0,"packagesUpdated":1,"packagesPublished":0,"packagesArchived":0,"packagesDeleted":0}
    "#);
}

#[test]
fn a_list_that_is_too_long_is_cut_and_says_so() {
    let difference = |number: usize| EntitlementDifference {
        feature: feature_id(&format!("{}-{number}", "é".repeat(200))),
        before: None,
        after: Some(Grant { access: true, budget: Some(i64::MAX), overage_enabled: false }),
    };
    for count in [1, 30, 40, 50, 1000] {
        let effect = Effect::EntitlementChanged((0..count).map(difference).collect());
        let json = effect.data_json();
        assert!(json.len() <= DATA_BYTES_MAX);
        let data: serde_json::Value = serde_json::from_str(&json).unwrap();
        let kept = data["features"].as_array().unwrap().len();
        assert_eq!(data.get("truncated").is_some(), kept < count);
        // It is cut no shorter than it must be, or nearly so.
        assert!(kept == count || json.len() > DATA_BYTES_MAX * 9 / 10, "{kept} of {count}");
    }
}

#[test]
fn every_type_that_is_told_can_be_filtered_by() {
    let mut world = world();
    world.subscribe("124", ["pro", "more"]).unwrap();
    world.cancel_package("124", "pro");
    for line in world.take_feed() {
        let name = line.split(' ').next().unwrap();
        assert_eq!(types_named(name), Some(vec![name]));
    }
}

#[test]
fn the_audit_log_has_a_thing_before_and_after() {
    let world = world();
    let change = |command| {
        let changes = plan(world.catalog(), command, world.now()).unwrap().0;
        let entries = audit_of_catalog(world.catalog(), &changes, false).into_iter();
        let lines = entries.map(|entry| {
            let json = |value: Option<serde_json::Value>| value.unwrap().to_string();
            let (kind, subject) = (entry.kind.name(), entry.subject.unwrap());
            format!(
                "{} {kind} {subject}\n{}\n{}",
                entry.action,
                json(entry.before),
                json(entry.after)
            )
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!(change(CatalogCommand::ArchivePackage(package_id("free"))), @r#"
    archivePackage package free
    {"id":"free","name":"free","isAddon":false,"basePackageIds":[],"status":"PUBLISHED","metadata":null,"features":[{"id":"calls","name":null,"limit":3,"resetPeriod":"MONTH","overageEnabled":false}]}
    {"id":"free","name":"free","isAddon":false,"basePackageIds":[],"status":"ARCHIVED","metadata":null,"features":[{"id":"calls","name":null,"limit":3,"resetPeriod":"MONTH","overageEnabled":false}]}
    "#);
    let edit = FeatureEdit { name: Some(label("Calls")), ..FeatureEdit::default() };
    let id = feature_id("calls");
    assert_snapshot!(change(CatalogCommand::UpdateFeature { id, edit }), @r#"
    updateFeature feature calls
    {"id":"calls","name":"calls","type":"CONSUMABLE","unitLabel":null,"unitLabelPlural":null,"metadata":null}
    {"id":"calls","name":"Calls","type":"CONSUMABLE","unitLabel":null,"unitLabelPlural":null,"metadata":null}
    "#);
}

#[test]
fn of_a_user_the_audit_log_has_only_the_names_of_fields() {
    let effect = Effect::UserUpdated { changed: vec!["email"], previous_id: None };
    let change = Change { user: Some(user_id("124")), effect };
    let [entry] = &audit_of_user(&[change])[..] else { panic!("one entry") };
    assert_snapshot!(format!("{entry:?}"), @r#"
    AuditEntry { action: "updateUser", kind: User, subject: Some("124"), before: None, after: Some(Object {"changed": Array [String("email")]}) }
    "#);
}

/// What a story says happened to a user's entitlement.
fn shown(entitlement: &Entitlement) -> Option<Grant> {
    (entitlement.reason != Reason::NotGranted).then(|| Grant {
        access: entitlement.access,
        budget: entitlement.consumption.and_then(|consumption| consumption.budget),
        overage_enabled: entitlement
            .consumption
            .is_some_and(|consumption| consumption.overage_enabled),
    })
}

const FEATURES: [&str; 3] = ["calls", "export", "seats"];

#[derive(Debug, Clone)]
enum Step {
    Subscribe(usize, bool),
    Cancel(usize),
    Record(usize, i64),
    Wait(i64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..4_usize, any::<bool>())
            .prop_map(|(package, long_ago)| { Step::Subscribe(package, long_ago) }),
        (0..8_usize).prop_map(Step::Cancel),
        (0..3_usize, 0..6_i64).prop_map(|(feature, delta)| Step::Record(feature, delta)),
        (0..40 * 24 * 60 * 60 * 1000_i64).prop_map(Step::Wait),
    ]
}

fn gives() -> impl Strategy<Value = Gives> {
    (0..4_i64, any::<bool>(), any::<bool>()).prop_map(|(most, overage, monthly)| {
        let gives = if most == 3 { unlimited() } else { limit(most) };
        let gives = if overage { gives.with_overage() } else { gives };
        if monthly { gives.monthly() } else { gives }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// The feed tells of exactly those features whose answer to `Feature.entitlement` is another.
    #[test]
    fn what_a_user_may_do_is_told_whenever_a_command_changes_it(
        gives in proptest::collection::vec(gives(), 5),
        steps in proptest::collection::vec(step(), 1..24),
    ) {
        let mut world = World::new()
            .consumable("calls")
            .binary("export")
            .consumable("seats")
            .package("free", [("calls", gives[0])])
            .package("pro", [("seats", gives[1]), ("calls", gives[2]), ("export", switched_on())])
            .addon("more", [], [("calls", gives[3])])
            .addon("seats", [], [("seats", gives[4]), ("export", switched_on())])
            .user("124");
        for step in steps {
            world.take_changes();
            let before = world.can_use_each("124", &FEATURES).0.unwrap();
            match step {
                Step::Subscribe(package, long_ago) => {
                    let package = ["free", "pro", "more", "seats"][package];
                    let start = "2023-01-01T00:00:00Z";
                    let _ = if long_ago {
                        world.subscribe_since("124", [package], start)
                    } else {
                        world.subscribe("124", [package])
                    };
                }
                Step::Cancel(which) => {
                    let subscriptions = world.subscriptions("124");
                    if let Some(subscription) = subscriptions.get(which) {
                        let id = subscription.id;
                        world.cancel(id).unwrap();
                    }
                }
                Step::Record(feature, delta) => {
                    world.record(recording("124", FEATURES[feature]).add(delta)).unwrap();
                    prop_assert!(world.take_changes().is_empty());
                    continue;
                }
                Step::Wait(ms) => {
                    world.wait_ms(ms);
                    continue;
                }
            }
            let after = world.can_use_each("124", &FEATURES).0.unwrap();
            let expected: BTreeMap<String, (Option<Grant>, Option<Grant>)> = FEATURES
                .into_iter()
                .zip(before.iter().map(shown).zip(after.iter().map(shown)))
                .filter(|(_, (before, after))| before != after)
                .map(|(feature, difference)| (feature.to_owned(), difference))
                .collect();
            let mut told = BTreeMap::new();
            for change in world.take_changes() {
                if let Effect::EntitlementChanged(differences) = change.effect {
                    for EntitlementDifference { feature, before, after } in differences {
                        prop_assert!(told.insert(feature.to_string(), (before, after)).is_none());
                    }
                }
            }
            prop_assert_eq!(told, expected);
        }
    }
}
