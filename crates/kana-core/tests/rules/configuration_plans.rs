//! What publishing a configuration does, row by row of the contract's table, and for any two
//! catalogs.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use kana_core::catalog::{
    Allowance, Catalog, CatalogChange, Feature, FeatureKind, Package, PackageFeature, PackageKind,
    PackageStatus,
};
use kana_core::catalog_command::PackageEdit;
use kana_core::configuration::{Configuration, ConfiguredPackage};
use kana_core::configuration_plan::{
    Action, Difference, Entry, EntryKind, Field, Finding, Plan, Severity, features_to_look_up,
    plan, plan_package,
};
use kana_core::credits::{Cost, Draw};
use kana_core::edit::Edit;
use kana_core::id::FeatureId;
use kana_core::metadata::Metadata;
use kana_core::threshold::{Threshold, Thresholds};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::configuration::full;
use crate::world::{BEGINNING, feature_id, label, package_id, time};

const LATER: &str = "2024-05-01T00:00:00.000Z";

fn configuration(value: &Value) -> Configuration {
    Configuration::read(value).unwrap()
}

/// An environment to which the configuration was published at the beginning.
fn published(value: &Value) -> Catalog {
    let empty = Catalog::default();
    let planned = plan(&empty, &configuration(value), &HashSet::new(), time(BEGINNING));
    applied(&empty, planned)
}

fn applied(catalog: &Catalog, plan: Plan) -> Catalog {
    let mut catalog = catalog.clone();
    for change in plan.into_changes().unwrap() {
        catalog.apply(&change);
    }
    catalog
}

/// What is told when `value` is published over `catalog`, with two subscribed to each package.
fn told(catalog: &Catalog, value: &Value) -> Vec<String> {
    told_with(catalog, value, &[], 2)
}

fn told_with(catalog: &Catalog, value: &Value, used: &[&str], subscribers: u64) -> Vec<String> {
    let used = used.iter().map(|id| feature_id(id)).collect();
    let plan = plan(catalog, &configuration(value), &used, time(LATER));
    let counts = plan.packages_to_count().into_iter().map(|id| (id, subscribers)).collect();
    plan.findings(&counts).iter().map(ToString::to_string).collect()
}

/// The plan of the same as data.
fn entries_with(catalog: &Catalog, value: &Value, used: &[&str], subscribers: u64) -> Vec<Entry> {
    let used = used.iter().map(|id| feature_id(id)).collect();
    let plan = plan(catalog, &configuration(value), &used, time(LATER));
    let counts = plan.packages_to_count().into_iter().map(|id| (id, subscribers)).collect();
    plan.entries(&counts)
}

/// An entry in one line: action, kind and id, severity, subscribers, and the reason.
fn brief(entry: &Entry) -> String {
    let Entry { kind, id, action, severity, reason, active_subscribers, .. } = entry;
    let mut text = format!("{action:?} {kind:?} {id}: {severity:?}");
    if let Some(count) = active_subscribers {
        text.push_str(&format!(", {count} subscribers"));
    }
    if let Some(reason) = reason {
        text.push_str(&format!(", {reason}"));
    }
    text
}

/// A difference in one line.
fn difference(difference: &Difference) -> String {
    let Difference { field, feature, before, after, severity, note } = difference;
    let thing = feature.as_ref().map_or_else(|| format!("{field:?}"), ToString::to_string);
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
    let note = note.map(|note| format!("; {note}")).unwrap_or_default();
    format!("{thing}: {} → {}{note} ({severity:?})", value(before), value(after))
}

fn differences(entry: &Entry) -> Vec<String> {
    entry.differences.iter().map(difference).collect()
}

/// The environment after `value` was published over it.
fn after(catalog: &Catalog, value: &Value) -> Catalog {
    applied(catalog, plan(catalog, &configuration(value), &HashSet::new(), time(LATER)))
}

/// What is told when nothing can be published.
fn refused(catalog: &Catalog, value: &Value) -> Vec<String> {
    let plan = plan(catalog, &configuration(value), &HashSet::new(), time(LATER));
    let told = plan.findings(&HashMap::new());
    assert!(told.iter().any(|finding| finding.is_refused && finding.severity == Severity::Error));
    let told = told.iter().filter(|finding| finding.is_refused).map(ToString::to_string).collect();
    assert!(plan.into_changes().is_err());
    told
}

fn changed(change: impl FnOnce(&mut Value)) -> Value {
    let mut value = full();
    change(&mut value);
    value
}

fn remove(list: &mut Value, index: usize) -> Value {
    list.as_array_mut().unwrap().remove(index)
}

fn push(list: &mut Value, value: Value) {
    list.as_array_mut().unwrap().push(value);
}

#[test]
fn what_was_published_says_what_the_file_says() {
    let catalog = published(&full());
    assert_eq!(Configuration::of(&catalog).to_json("story"), full());
    assert_eq!(told(&catalog, &full()), [""; 0]);
    assert_eq!(after(&catalog, &full()), catalog, "nothing changes, not even when");
}

#[test]
fn what_is_new_is_created_in_the_list_it_stands_in() {
    assert_eq!(
        told(&Catalog::default(), &full()),
        [
            "the feature api-calls is new (CONSUMABLE)",
            "the feature dashboard is new (BINARY)",
            "the package next is new (DRAFT)",
            "the package pro is new (PUBLISHED)",
            "the add-on extra is new (PUBLISHED)",
        ]
    );
    let catalog = published(&full());
    let status = |id: &str| catalog.package(&package_id(id)).unwrap().status;
    assert_eq!(status("next"), PackageStatus::Draft);
    assert_eq!(status("pro"), PackageStatus::Published);
}

#[test]
fn names_and_labels_are_updated_with_a_warning() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["features"][0]["name"] = json!("Calls");
        file["features"][0]["unit_label"] = Value::Null;
        file["packages"]["published"][0]["name"] = json!("Professional");
    });
    assert_eq!(
        told(&catalog, &value),
        [
            "[WARNING] the feature api-calls changes: name \"API Calls\" → \"Calls\", unit label \
             \"API Call\" → none",
            "[WARNING] the name of the package pro changes: \"Pro\" → \"Professional\"",
        ]
    );
    let after = after(&catalog, &value);
    assert_eq!(
        after.feature(&feature_id("api-calls")).unwrap().unit_labels(),
        (None, Some("API Calls"))
    );
    assert_eq!(after.package(&package_id("pro")).unwrap().name, label("Professional"));
    assert_eq!(after.package(&package_id("pro")).unwrap().updated_at, time(LATER));
    assert_eq!(after.package(&package_id("next")).unwrap().updated_at, time(BEGINNING));
}

#[test]
fn a_draft_is_changed_and_published_without_a_fuss() {
    let catalog = published(&full());
    let value = changed(|file| {
        let mut next = remove(&mut file["packages"]["draft"], 0);
        next["name"] = json!("Next!");
        next["features"] = json!([{ "id": "api-calls", "limit": 5 }, { "id": "dashboard" }]);
        push(&mut file["packages"]["published"], next);
    });
    assert_eq!(
        told(&catalog, &value),
        [
            "the name of the draft next changes: \"Next\" → \"Next!\"",
            "the draft next changes: api-calls is added (limit 5), dashboard is added",
            "the package next is published",
        ]
    );
    let after = after(&catalog, &value);
    assert_eq!(after.package(&package_id("next")).unwrap().status, PackageStatus::Published);
    let plan = plan(&catalog, &configuration(&value), &HashSet::new(), time(LATER));
    assert_eq!(plan.len(), 1, "one package changes, however often");
}

#[test]
fn a_draft_can_become_an_add_on() {
    let catalog = published(&full());
    let value = changed(|file| {
        let mut next = remove(&mut file["packages"]["draft"], 0);
        next["base_packages"] = json!(["pro"]);
        push(&mut file["addons"]["draft"], next);
    });
    assert_eq!(told(&catalog, &value), ["the draft next becomes an add-on to pro"]);
    assert!(after(&catalog, &value).package(&package_id("next")).unwrap().is_addon());
}

#[test]
fn what_a_published_package_gives_changes_for_everyone_subscribed() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["packages"]["published"][0]["features"] =
            json!([{ "id": "api-calls", "limit": 2000, "reset_period": "MONTH" }]);
    });
    let change = "[ERROR] the package pro changes for everyone subscribed: api-calls (limit 1000 \
                  per MONTH, overage) → (limit 2000 per MONTH), dashboard is removed; it has";
    for (subscribers, count) in
        [(0, "no active subscribers"), (1, "1 active subscriber"), (7, "7 active subscribers")]
    {
        let told = told_with(&catalog, &value, &[], subscribers);
        assert_eq!(told, [format!("{change} {count}")]);
    }
    let after = after(&catalog, &value);
    let pro = after.package(&package_id("pro")).unwrap();
    assert_eq!(pro.features.len(), 1);
    assert_eq!(pro.features[0].allowance.limit, Some(2000));
}

#[test]
fn the_order_of_a_packages_features_can_be_changed() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["packages"]["published"][0]["features"].as_array_mut().unwrap().reverse();
    });
    let warning = "[WARNING] the order of the features of the package pro changes";
    assert_eq!(told(&catalog, &value), [warning]);
    let after = after(&catalog, &value);
    let pro = after.package(&package_id("pro")).unwrap();
    let order: Vec<&str> = pro.features.keys().map(FeatureId::as_str).collect();
    assert_eq!(order, ["api-calls", "dashboard"]);
}

#[test]
fn the_base_packages_of_a_published_add_on_change_with_a_warning() {
    let catalog = published(&full());
    let value = changed(|file| file["addons"]["published"][0]["base_packages"] = json!([]));
    let warning = "[WARNING] the package extra becomes an add-on to any base package";
    assert_eq!(told(&catalog, &value), [warning]);
    let value =
        changed(|file| file["addons"]["published"][0]["base_packages"] = json!(["next", "pro"]));
    assert_eq!(
        told(&catalog, &value),
        ["[WARNING] the package extra becomes an add-on to next, pro"]
    );
}

#[test]
fn a_published_package_that_is_absent_is_archived() {
    let catalog = published(&full());
    let value = changed(|file| {
        remove(&mut file["addons"]["published"], 0);
    });
    let sentence = "the package extra is not in the file and is archived; it has";
    assert_eq!(
        told_with(&catalog, &value, &[], 3),
        [format!("[ERROR] {sentence} 3 active subscribers")]
    );
    assert_eq!(
        told_with(&catalog, &value, &[], 0),
        [format!("[WARNING] {sentence} no active subscribers")]
    );
    let after = after(&catalog, &value);
    let extra = after.package(&package_id("extra")).unwrap();
    assert_eq!(extra.status, PackageStatus::Archived);
    assert_eq!(told(&after, &value), [""; 0], "archived packages have no place in a file");
}

#[test]
fn a_published_package_is_never_a_draft_again() {
    let catalog = published(&full());
    let value = changed(|file| {
        let pro = remove(&mut file["packages"]["published"], 0);
        push(&mut file["packages"]["draft"], pro);
    });
    assert_eq!(
        refused(&catalog, &value),
        ["[ERROR] packages.draft[1]: the package pro is PUBLISHED and is never a draft again: \
          move it back, or leave it out to archive it"]
    );
}

#[test]
fn a_published_package_stays_what_it_is() {
    let catalog = published(&full());
    let value = changed(|file| {
        let extra = remove(&mut file["addons"]["published"], 0);
        let extra = json!({ "id": "extra", "name": "Extra", "features": extra["features"] });
        push(&mut file["packages"]["published"], extra);
    });
    assert_eq!(
        refused(&catalog, &value),
        ["[ERROR] packages.published[1]: the package extra is PUBLISHED as an add-on: move it to \
          addons"]
    );
}

#[test]
fn an_archived_package_never_comes_back() {
    let without = changed(|file| {
        remove(&mut file["addons"]["published"], 0);
    });
    let catalog = after(&published(&full()), &without);
    assert_eq!(
        refused(&catalog, &full()),
        [
            "[ERROR] addons.published[0].id: the package extra is ARCHIVED and never comes back: use \
          another id"
        ]
    );
}

#[test]
fn a_draft_that_is_absent_is_deleted() {
    let catalog = published(&full());
    let value = changed(|file| {
        remove(&mut file["packages"]["draft"], 0);
    });
    let warning = "[WARNING] the draft next is not in the file and is deleted";
    assert_eq!(told(&catalog, &value), [warning]);
    let after = after(&catalog, &value);
    assert_eq!(after.package(&package_id("next")), None);
    assert_eq!(told(&after, &full()), ["the package next is new (DRAFT)"], "its id is free again");
}

#[test]
fn a_feature_that_is_absent_is_deleted_unless_something_needs_it() {
    let with_sso = changed(|file| {
        push(&mut file["features"], json!({ "id": "sso", "name": "SSO", "type": "BINARY" }));
        push(
            &mut file["packages"]["published"],
            json!({ "id": "old", "name": "Old",
            "features": [{ "id": "sso" }] }),
        );
        push(
            &mut file["features"],
            json!({ "id": "seats", "name": "Seats", "type": "CONSUMABLE" }),
        );
    });
    let catalog = published(&with_sso);
    let without = &changed(|file| {
        push(&mut file["features"], json!({ "id": "sso", "name": "SSO", "type": "BINARY" }));
    });
    assert_eq!(features_to_look_up(&catalog, &configuration(without)), [feature_id("seats")]);
    let archived = "[WARNING] the package old is not in the file and is archived; it has no \
                    active subscribers";
    assert_eq!(
        told_with(&catalog, without, &["seats"], 0),
        [
            archived,
            "[WARNING] the feature seats is not in the file and is kept: it has usage, or was given to users"
        ]
    );
    assert_eq!(
        told_with(&catalog, without, &[], 0),
        [archived, "[WARNING] the feature seats is not in the file and is deleted"]
    );
    // The archived package goes on granting what it has.
    assert_eq!(features_to_look_up(&catalog, &configuration(&full())), [feature_id("seats")]);
    let after = after(&catalog, &full());
    assert!(after.feature(&feature_id("sso")).is_some());
    assert_eq!(after.feature(&feature_id("seats")), None);
    assert_eq!(
        told(&after, &full()),
        [
            "[WARNING] the feature sso is not in the file and is kept: the archived package old has it"
        ]
    );
}

#[test]
fn a_features_type_never_changes() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["features"][1]["type"] = json!("CONSUMABLE");
        file["packages"]["published"][0]["features"][0]["limit"] = json!(1);
    });
    assert_eq!(
        refused(&catalog, &value)[0],
        "[ERROR] features[1].type: is CONSUMABLE, but the feature dashboard is BINARY: its type never \
         changes"
    );
}

#[test]
fn base_packages_are_base_packages_that_are_there_afterwards() {
    let catalog = published(&full());
    let bases =
        |bases: Value| changed(|file| file["addons"]["published"][0]["base_packages"] = bases);
    let place = "[ERROR] addons.published[0].base_packages[0]";
    assert_eq!(
        refused(&catalog, &bases(json!(["nope"]))),
        [format!(
            "{place}: names the base package \"nope\", which is neither in the file nor in the environment"
        )]
    );
    assert_eq!(
        refused(&catalog, &bases(json!(["extra"]))),
        [format!("{place}: names the package \"extra\", which is an add-on and no base package")]
    );
    // A draft that this file deletes.
    let mut value = bases(json!(["next"]));
    remove(&mut value["packages"]["draft"], 0);
    assert_eq!(
        refused(&catalog, &value),
        [format!(
            "{place}: names the base package \"next\", which is a draft that the file does not have, and is deleted with it"
        )]
    );
    // A package that this file archives.
    let mut value = full();
    remove(&mut value["packages"]["published"], 0);
    let after = after(&catalog, &value);
    assert_eq!(after.package(&package_id("extra")).unwrap().base_packages(), [package_id("pro")]);
    assert_eq!(told(&after, &value), [""; 0]);
}

#[test]
fn what_the_file_has_no_place_for_is_left_as_it_is() {
    let mut catalog = published(&full());
    let metadata = Some(Metadata::new("metadata", json!({ "a": 1 })).unwrap());
    let calls = Feature {
        metadata: metadata.clone(),
        ..Feature::clone(catalog.feature(&feature_id("api-calls")).unwrap())
    };
    let mut pro = Package::clone(catalog.package(&package_id("pro")).unwrap());
    pro.metadata = metadata.clone();
    pro.features[1].name = Some(label("Calls!"));
    catalog.apply(&CatalogChange::PutFeature(Arc::new(calls)));
    catalog.apply(&CatalogChange::PutPackage(Arc::new(pro)));
    let value = changed(|file| {
        file["features"][0]["name"] = json!("Calls");
        file["packages"]["published"][0]["features"][1]["limit"] = json!(1);
    });
    let after = after(&catalog, &value);
    assert_eq!(after.feature(&feature_id("api-calls")).unwrap().metadata, metadata);
    let pro = after.package(&package_id("pro")).unwrap();
    assert_eq!(pro.metadata, metadata);
    assert_eq!(pro.features[1].name, Some(label("Calls!")));
    assert_eq!(pro.features[1].allowance.limit, Some(1));
}

#[test]
fn other_thresholds_are_a_warning() {
    let watched = changed(|file| file["features"][0]["thresholds"] = json!([{ "percent": 80 }]));
    let before = published(&full());
    assert_eq!(
        told(&before, &watched),
        ["[WARNING] the feature api-calls changes: thresholds none → \"80 %\""]
    );
    let watched = published(&watched);
    let more = changed(|file| {
        file["features"][0]["thresholds"] = json!([{ "percent": 80 }, { "left": 3 }]);
    });
    assert_eq!(
        told(&watched, &more),
        ["[WARNING] the feature api-calls changes: thresholds \"80 %\" → \"80 %, 3 left\""]
    );
    assert_eq!(
        told(&watched, &full()),
        ["[WARNING] the feature api-calls changes: thresholds \"80 %\" → none"]
    );
}

/// The full configuration with two features of which one draws on the other, at this cost.
fn with_credits(cost: &Value) -> Value {
    changed(|file| {
        let images = json!({ "id": "images", "name": "Images", "type": "CONSUMABLE",
                             "draws_on": "credits", "cost": cost });
        push(&mut file["features"], images);
        push(
            &mut file["features"],
            json!({ "id": "credits", "name": "Credits", "type": "CONSUMABLE" }),
        );
        push(&mut file["packages"]["published"][0]["features"], json!({ "id": "images" }));
        push(
            &mut file["packages"]["published"][0]["features"],
            json!({ "id": "credits", "limit": 100 }),
        );
    })
}

#[test]
fn what_others_draw_on_is_created_first_wherever_it_stands() {
    let empty = Catalog::default();
    let planned =
        plan(&empty, &configuration(&with_credits(&json!(5))), &HashSet::new(), time(LATER));
    let entries = planned.entries(&HashMap::new());
    let images = entries.iter().find(|entry| entry.id == "images").unwrap();
    assert_eq!(
        differences(images),
        [
            "Type: - → CONSUMABLE (Information)",
            "Name: - → Images (Information)",
            "DrawsOn: - → credits (Information)",
            "Cost: - → 5 (Information)"
        ]
    );
    let catalog = applied(&empty, planned);
    let written = Configuration::of(&catalog).to_json("story");
    let read = Configuration::read(&written).unwrap();
    assert!(read.says_the_same_as(&configuration(&with_credits(&json!(5)))));
    assert_eq!(told(&catalog, &written), <[&str; 0]>::default());
}

#[test]
fn another_cost_is_a_warning_and_another_balance_is_refused() {
    let catalog = published(&with_credits(&json!(5)));
    assert_eq!(
        told(&catalog, &with_credits(&json!(7))),
        ["[WARNING] the feature images changes: cost \"5\" → \"7\""]
    );
    assert_eq!(
        told(&catalog, &with_credits(&Value::Null)),
        ["[WARNING] the feature images changes: cost \"5\" → \"1\""]
    );
    let mut other = with_credits(&json!(5));
    other["features"][2]["draws_on"] = json!("api-calls");
    assert_eq!(
        refused(&catalog, &other),
        ["[ERROR] features[2].draws_on: draws on api-calls here, but the feature images draws on \
             credits: what it draws on never changes"]
    );
    let mut none = with_credits(&json!(5));
    let images = none["features"][2].as_object_mut().unwrap();
    images.remove("draws_on");
    images.remove("cost");
    none["packages"]["published"][0]["features"][2]["limit"] = json!(1);
    assert_eq!(
        refused(&catalog, &none)[0],
        "[ERROR] features[2].draws_on: draws on nothing here, but the feature images draws on credits: \
         what it draws on never changes"
    );
}

#[test]
fn what_others_draw_on_stays_as_long_as_one_of_them() {
    let catalog = published(&with_credits(&json!(5)));
    let archived = changed(|file| {
        file["packages"]["published"][0]["id"] = json!("pro2");
        file["addons"]["published"][0]["base_packages"] = json!(["pro2"]);
    });
    // The archived package has both.
    let after = after(&catalog, &archived);
    assert!(after.feature(&feature_id("credits")).is_some());
    let mut draft = with_credits(&json!(5));
    let package = remove(&mut draft["packages"]["published"], 0);
    push(&mut draft["packages"]["draft"], package);
    let catalog = published(&draft);
    let mut without = full();
    let package = remove(&mut without["packages"]["published"], 0);
    push(&mut without["packages"]["draft"], package);
    let told = |used: &[&str]| told_with(&catalog, &without, used, 0);
    let kept = told(&["images"]);
    assert_eq!(
        kept[kept.len() - 2..],
        [
            "[WARNING] the feature images is not in the file and is kept: it has usage, or was given to users",
            "[WARNING] the feature credits is not in the file and is kept: the feature images draws on it"
        ]
    );
    let deleted = told(&[]);
    assert_eq!(
        deleted[deleted.len() - 2..],
        [
            "[WARNING] the feature images is not in the file and is deleted",
            "[WARNING] the feature credits is not in the file and is deleted"
        ]
    );
}

#[test]
fn an_id_that_looks_like_a_mark_is_none() {
    let value = changed(|file| {
        push(&mut file["features"], json!({ "id": "[ERROR] x", "name": "x", "type": "BINARY" }));
    });
    assert_eq!(told(&published(&full()), &value), ["the feature [error] x is new (BINARY)"]);
}

#[test]
fn the_entries_of_something_new_list_what_it_has() {
    let entries = entries_with(&Catalog::default(), &full(), &[], 0);
    assert_eq!(
        entries.iter().map(brief).collect::<Vec<_>>(),
        [
            "Create Feature api-calls: Information",
            "Create Feature dashboard: Information",
            "Create Package next: Information",
            "Create Package pro: Information",
            "Create Addon extra: Information",
        ]
    );
    assert_eq!(
        differences(&entries[0]),
        [
            "Type: - → CONSUMABLE (Information)",
            "Name: - → API Calls (Information)",
            "UnitLabel: - → API Call (Information)",
            "UnitLabelPlural: - → API Calls (Information)",
        ]
    );
    assert_eq!(
        differences(&entries[3]),
        [
            "Status: - → PUBLISHED (Information)",
            "Name: - → Pro (Information)",
            "dashboard: - → included (Information)",
            "api-calls: - → limit 1000 per MONTH, overage (Information)",
        ]
    );
    assert_eq!(differences(&entries[4])[2], "BasePackages: - → pro (Information)");
}

#[test]
fn the_entry_of_a_published_package_says_what_changes_for_how_many() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["packages"]["published"][0]["name"] = json!("Professional");
        file["packages"]["published"][0]["features"] =
            json!([{ "id": "api-calls", "limit": 2000, "reset_period": "DAY" }]);
    });
    let entries = entries_with(&catalog, &value, &[], 7);
    assert_eq!(
        entries.iter().map(brief).collect::<Vec<_>>(),
        ["Change Package pro: Error, 7 subscribers"]
    );
    assert_eq!(
        differences(&entries[0]),
        [
            "Name: Pro → Professional (Warning)",
            "api-calls: limit 1000 per MONTH, overage → limit 2000 per DAY; usage starts again at \
             0 (Error)",
            "dashboard: included → - (Error)",
        ]
    );
}

#[test]
fn another_anchor_of_a_published_package_is_an_error_that_says_what_becomes_of_usage() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["packages"]["published"][0]["features"][1]["reset_anchor"] = json!("CALENDAR");
    });
    let entries = entries_with(&catalog, &value, &[], 7);
    assert_eq!(
        differences(&entries[0]),
        ["api-calls: limit 1000 per MONTH, overage → limit 1000 per MONTH (CALENDAR), overage; \
             usage starts again at 0 (Error)"]
    );
}

#[test]
fn another_stacking_of_a_published_package_is_an_error_and_leaves_usage_as_it_is() {
    let catalog = published(&full());
    let value = changed(|file| {
        file["packages"]["published"][0]["features"][1]["stacking"] = json!("ADD");
    });
    let entries = entries_with(&catalog, &value, &[], 7);
    assert_eq!(
        differences(&entries[0]),
        ["api-calls: limit 1000 per MONTH, overage → limit 1000 per MONTH, overage, added (Error)"]
    );
}

#[test]
fn another_rollover_of_a_published_package_is_an_error_and_leaves_usage_as_it_is() {
    let with = |rollover: Value| {
        changed(|file| file["packages"]["published"][0]["features"][1]["rollover"] = rollover)
    };
    let said = |before: Value, after: Value| {
        let entries = entries_with(&published(&with(before)), &with(after), &[], 7);
        differences(&entries[0])
    };
    let terms = "limit 1000 per MONTH, overage";
    assert_eq!(
        said(json!(null), json!({ "max": 500, "periods": 2 })),
        [format!("api-calls: {terms} → {terms}, carries up to 500 for 2 periods (Error)")]
    );
    assert_eq!(
        said(json!({ "periods": 1 }), json!(null)),
        [format!("api-calls: {terms}, carries for 1 period → {terms} (Error)")]
    );
}

#[test]
fn the_entry_of_a_draft_has_no_subscribers_and_no_usage() {
    let next = |period: &str| {
        changed(|file| {
            file["packages"]["draft"][0]["features"] =
                json!([{ "id": "api-calls", "limit": 5, "reset_period": period }]);
        })
    };
    let catalog = published(&next("MONTH"));
    let entries = entries_with(&catalog, &next("DAY"), &[], 7);
    assert_eq!(entries.iter().map(brief).collect::<Vec<_>>(), ["Change Package next: Information"]);
    assert_eq!(
        differences(&entries[0]),
        ["api-calls: limit 5 per MONTH → limit 5 per DAY (Information)"]
    );
    let mut value = next("MONTH");
    let draft = remove(&mut value["packages"]["draft"], 0);
    push(&mut value["packages"]["published"], draft);
    let entries = entries_with(&catalog, &value, &[], 7);
    assert_eq!(differences(&entries[0]), ["Status: DRAFT → PUBLISHED (Information)"]);
}

#[test]
fn the_entries_of_what_is_absent_say_what_becomes_of_it() {
    let catalog = published(&changed(|file| {
        for id in ["seats", "old"] {
            push(&mut file["features"], json!({ "id": id, "name": id, "type": "CONSUMABLE" }));
        }
    }));
    let value = changed(|file| {
        remove(&mut file["packages"]["draft"], 0);
        remove(&mut file["addons"]["published"], 0);
    });
    let brief_with = |subscribers| {
        let entries = entries_with(&catalog, &value, &["seats"], subscribers);
        entries.iter().map(brief).collect::<Vec<_>>()
    };
    assert_eq!(
        brief_with(0),
        [
            "Delete Package next: Warning",
            "Archive Addon extra: Warning, 0 subscribers",
            "Keep Feature seats: Warning, it has usage, or was given to users",
            "Delete Feature old: Warning",
        ]
    );
    assert_eq!(brief_with(1)[1], "Archive Addon extra: Error, 1 subscribers");
}

#[test]
fn a_plan_has_a_bounded_number_of_differences_and_counts_the_others() {
    let features =
        (0..10_000).map(|n| json!({ "id": format!("f{n}"), "name": "f", "type": "BINARY" }));
    let inside: Vec<Value> = (0..9_000).map(|n| json!({ "id": format!("f{n}") })).collect();
    let package = |id: &str| json!({ "id": id, "name": id, "features": inside });
    let value = json!({
        "features": features.collect::<Vec<_>>(),
        "packages": { "draft": [package("a"), package("b")], "published": [] },
    });
    let entries = entries_with(&Catalog::default(), &value, &[], 0);
    let all: usize = entries.iter().map(|entry| entry.differences.len()).sum();
    let omitted: usize = entries.iter().map(|entry| entry.omitted_differences).sum();
    assert_eq!((entries.len(), all, omitted), (10_002, 20_000, 2 * 10_000 + 2 * 9_002 - 20_000));
}

/// How a package of a random catalog is: its name, status, features with limits, base packages.
type RandomPackage = (u8, u8, Vec<(usize, Option<i64>)>, Vec<usize>);

const FEATURES: usize = 5;
const PACKAGES: usize = 5;
/// Packages from this one on are add-ons.
const FIRST_ADDON: usize = 3;

/// Any catalog out of few ids, so that two of them have much in common. Seldom a feature has
/// another type than usual, or a package is of another kind.
fn any_catalog() -> impl Strategy<Value = Catalog> {
    let feature = (0..3_u8, any::<bool>(), prop::bool::weighted(0.03));
    let features = prop::collection::vec(prop::option::weighted(0.8, feature), FEATURES);
    let limit = prop::option::weighted(0.8, 0..2_i64);
    let inside = prop::collection::vec((0..FEATURES, limit), 0..4);
    let bases = prop::collection::vec(0..PACKAGES, 0..3);
    let package = (0..2_u8, 0..5_u8, inside, bases);
    let package = (package, prop::bool::weighted(0.03));
    let packages = prop::collection::vec(prop::option::weighted(0.8, package), PACKAGES);
    (features, packages, any::<bool>()).prop_map(|(features, packages, backwards)| {
        let mut catalog = Catalog::default();
        for (n, feature) in features.into_iter().enumerate() {
            let Some((name, labelled, is_odd)) = feature else { continue };
            let kind = if (n % 2 == 0) == is_odd {
                let unit_label = labelled.then(|| label("unit"));
                let thresholds = match labelled {
                    true => Thresholds::new(vec![Threshold::Percent(80), Threshold::Left(1)]),
                    false => Thresholds::new(Vec::new()),
                };
                let thresholds = thresholds.unwrap();
                // One of them sometimes draws on another.
                let balance = feature_id("f1");
                let is_balance = |known: &Arc<Feature>| known.has_amount();
                let draws =
                    (n == 3 && name == 0 && catalog.feature(&balance).is_some_and(is_balance))
                        .then_some(Draw {
                            balance,
                            cost: if labelled { Cost::ONE } else { Cost::new(5).unwrap() },
                        });
                let thresholds = if draws.is_some() { Thresholds::NONE } else { thresholds };
                FeatureKind::Consumable { unit_label, unit_label_plural: None, thresholds, draws }
            } else {
                FeatureKind::Binary
            };
            let id = feature_id(&format!("f{n}"));
            let name = label(&format!("name {name}"));
            let feature = Feature { id, name, kind, metadata: None };
            catalog.apply(&CatalogChange::PutFeature(Arc::new(feature)));
        }
        let is_addon = |n: usize, is_odd: bool| (n >= FIRST_ADDON) != is_odd;
        let bases: BTreeSet<usize> = (0..PACKAGES)
            .filter(|n| packages[*n].as_ref().is_some_and(|(_, is_odd)| !is_addon(*n, *is_odd)))
            .collect();
        let mut made: Vec<Package> = packages
            .into_iter()
            .enumerate()
            .filter_map(|(n, package)| {
                let (package, is_odd) = package?;
                Some(random_package(&catalog, n, package, is_addon(n, is_odd), &bases))
            })
            .collect();
        if backwards {
            made.reverse();
        }
        for package in made {
            catalog.apply(&CatalogChange::PutPackage(Arc::new(package)));
        }
        catalog
    })
}

fn random_package(
    catalog: &Catalog,
    n: usize,
    (name, status, inside, base_packages): RandomPackage,
    is_addon: bool,
    bases: &BTreeSet<usize>,
) -> Package {
    let features: indexmap::IndexMap<_, _> = inside
        .into_iter()
        .filter_map(|(feature, limit)| {
            let known = catalog.feature(&feature_id(&format!("f{feature}")))?;
            let limit = limit.filter(|_| known.has_amount());
            let allowance = Allowance { limit, ..Allowance::UNLIMITED };
            Some((known.id.clone(), PackageFeature { name: None, allowance }))
        })
        .collect();
    let status = match status {
        0 | 1 => PackageStatus::Draft,
        _ if features.is_empty() => PackageStatus::Draft,
        2 | 3 => PackageStatus::Published,
        _ => PackageStatus::Archived,
    };
    let mut base_packages: Vec<usize> =
        base_packages.into_iter().filter(|base| bases.contains(base)).collect();
    base_packages.dedup();
    base_packages.truncate(1);
    let base_packages = base_packages.iter().map(|base| package_id(&format!("p{base}"))).collect();
    Package {
        id: package_id(&format!("p{n}")),
        name: label(&format!("name {name}")),
        kind: if is_addon { PackageKind::Addon { base_packages } } else { PackageKind::Base },
        status,
        metadata: None,
        updated_at: time(BEGINNING),
        features,
        terms: BTreeMap::new(),
    }
}

/// Whether the contract lets `wanted` be published over `catalog`: the rows that are refused.
fn is_allowed(catalog: &Catalog, wanted: &Configuration) -> bool {
    let types_stay = wanted.features.iter().all(|feature| {
        let known = catalog.feature(&feature.id);
        let balance = |kind: &FeatureKind| kind.draws().map(|draw| draw.balance.clone());
        known.is_none_or(|known| {
            known.is_binary() == (feature.kind == FeatureKind::Binary)
                && balance(&known.kind) == balance(&feature.kind)
        })
    });
    let lives_go_on = wanted.packages.iter().all(|package| {
        catalog.package(&package.id).is_none_or(|known| match known.status {
            PackageStatus::Draft => true,
            PackageStatus::Published => {
                package.is_published && known.is_addon() == package.is_addon()
            }
            PackageStatus::Archived => false,
        })
    });
    let bases_are_there =
        wanted.packages.iter().flat_map(ConfiguredPackage::base_packages).all(|base| match wanted
            .packages
            .iter()
            .find(|package| package.id == *base)
        {
            Some(package) => !package.is_addon(),
            None => catalog
                .package(base)
                .is_some_and(|known| known.status != PackageStatus::Draft && !known.is_addon()),
        });
    types_stay && lives_go_on && bases_are_there
}

/// What is told in sentences is told as data, once for each thing, and just as grave.
fn assert_told_as_data(before: &Catalog, planned: &Plan, told: &[Finding]) {
    let entries = planned.entries(&HashMap::new());
    let things: BTreeSet<_> = entries.iter().map(|entry| (entry.kind, &entry.id)).collect();
    assert_eq!(things.len(), entries.len());
    assert!(told.len() >= entries.len(), "{told:?} {entries:?}");
    let gravest = |severities: &mut dyn Iterator<Item = Severity>| severities.max();
    assert_eq!(
        gravest(&mut told.iter().map(|finding| finding.severity)),
        gravest(&mut entries.iter().map(|entry| entry.severity))
    );
    assert_eq!(entries.iter().filter(|entry| entry.action != Action::Keep).count(), planned.len());
    for entry in &entries {
        let is_there = match entry.kind {
            EntryKind::Feature => before.feature(&feature_id(&entry.id)).is_some(),
            EntryKind::Package | EntryKind::Addon => {
                before.package(&package_id(&entry.id)).is_some()
            }
        };
        assert_eq!(is_there, entry.action != Action::Create, "{entry:?}");
        assert_eq!(entry.reason.is_some(), entry.action == Action::Keep, "{entry:?}");
        let has_difference = matches!(entry.action, Action::Create | Action::Change);
        assert_eq!(!entry.differences.is_empty(), has_difference, "{entry:?}");
        for difference in &entry.differences {
            assert_eq!(difference.feature.is_some(), difference.field == Field::Feature);
        }
    }
}

proptest! {
    #[test]
    fn what_an_environment_holds_changes_nothing_and_reads_as_it_was(catalog in any_catalog()) {
        let held = Configuration::of(&catalog);
        // A random catalog may have a base package that a file cannot name.
        prop_assume!(is_allowed(&catalog, &held));
        let planned = plan(&catalog, &held, &HashSet::new(), time(LATER));
        prop_assert!(planned.is_empty());
        prop_assert_eq!(planned.findings(&HashMap::new()), vec![]);
        let read = Configuration::read(&held.to_json("story"));
        prop_assert!(read.unwrap().says_the_same_as(&held));
    }

    #[test]
    fn a_plan_leads_from_any_catalog_to_any_other_as_far_as_that_is_allowed(
        before in any_catalog(),
        other in any_catalog(),
        used in prop::collection::hash_set(0..FEATURES, 0..FEATURES),
    ) {
        let wanted = Configuration::of(&other);
        let used: HashSet<FeatureId> = features_to_look_up(&before, &wanted)
            .into_iter()
            .filter(|id| used.iter().any(|n| id.as_str() == format!("f{n}")))
            .collect();
        let planned = plan(&before, &wanted, &used, time(LATER));
        let changes = planned.clone().into_changes();
        prop_assert_eq!(changes.is_ok(), is_allowed(&before, &wanted), "{:?}", planned);
        let told = planned.findings(&HashMap::new());
        prop_assert_eq!(changes.is_ok(), told.iter().all(|finding| !finding.is_refused));
        let Ok(changes) = changes else { return Ok(()) };
        assert_told_as_data(&before, &planned, &told);
        prop_assert!(changes.is_empty() || !told.is_empty(), "what changes is told");

        let mut after = before.clone();
        for change in &changes {
            after.apply(change);
        }
        // What is kept though the file does not have it: features only.
        let mut held = Configuration::of(&after);
        let kept = |id: &FeatureId| wanted.features.iter().all(|feature| feature.id != *id);
        for feature in held.features.iter().filter(|feature| kept(&feature.id)) {
            let is_in_a_package =
                after.packages().any(|package| package.features.contains_key(&feature.id));
            let is_drawn_on = after.drawing_on(|balance| *balance == feature.id).next().is_some();
            prop_assert!(used.contains(&feature.id) || is_in_a_package || is_drawn_on);
        }
        held.features.retain(|feature| !kept(&feature.id));
        prop_assert!(held.says_the_same_as(&wanted), "{held:?}\n{wanted:?}");
        // Nobody loses a package that somebody may have subscribed to.
        for package in before.packages().filter(|package| package.status != PackageStatus::Draft) {
            prop_assert!(after.package(&package.id).is_some());
        }
        for package in after.packages() {
            for feature in package.features.keys() {
                prop_assert!(after.feature(feature).is_some());
            }
        }
        for draw in after.features().filter_map(|feature| feature.draws()) {
            prop_assert!(after.feature(&draw.balance).is_some_and(|balance| balance.has_amount()));
        }
        prop_assert!(plan(&after, &wanted, &used, time(LATER)).is_empty());
    }
}

#[test]
fn one_package_is_planned_as_a_file_would_and_with_what_a_file_does_not_have() {
    let catalog = published(&json!({
        "app": "a", "version": "1.0.0",
        "features": [{ "id": "calls", "name": "Calls", "type": "CONSUMABLE" }],
        "packages": { "draft": [], "published": [
            { "id": "pro", "name": "Pro", "features": [{ "id": "calls", "limit": 10 }] }
        ] },
        "addons": { "draft": [], "published": [] },
    }));
    let pro = catalog.package(&package_id("pro")).unwrap();
    let limit = |limit| Allowance { limit: Some(limit), ..Allowance::UNLIMITED };
    let edit = |limit: Allowance| PackageEdit {
        name: pro.name.clone(),
        kind: PackageKind::Base,
        features: [(feature_id("calls"), limit)].into_iter().collect(),
        names: Some(BTreeMap::from([(feature_id("calls"), label("Requests"))])),
        metadata: Edit::Set(Metadata::new("metadata", json!({ "tier": 3 })).unwrap()),
    };
    let plan = |edit: &PackageEdit| plan_package(&catalog, &pro.id, edit, time(LATER));
    let planned = plan(&edit(limit(5))).unwrap();
    let counts = HashMap::from([(pro.id.clone(), 2)]);
    let told: Vec<String> = planned.findings(&counts).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "[ERROR] the package pro changes for everyone subscribed: calls (limit 10) → (limit 5); \
             it has 2 active subscribers",
            "the metadata of the package pro changes",
            "the name of calls in the package pro changes: the feature's own → \"Requests\"",
        ]
    );
    let after = applied(&catalog, planned);
    let after = after.package(&pro.id).unwrap();
    let inside = &after.features["calls"];
    assert_eq!((inside.name.as_ref(), inside.allowance), (Some(&label("Requests")), limit(5)));
    assert_eq!(after.metadata.as_ref().unwrap().to_json(), r#"{"tier":3}"#);
    // One change of terms, although the planner took two steps.
    assert_eq!(after.terms.len(), 1);

    assert!(edit(limit(5)).takes_from(pro) && !edit(limit(11)).takes_from(pro));
    assert!(plan(&edit(limit(-1))).is_err());
    let mut nothing = edit(limit(5));
    nothing.features.clear();
    assert!(nothing.takes_from(pro));
    assert!(plan(&nothing).unwrap().into_changes().is_err());
}
