//! Commands on the catalog (the contract's page `admin-api.md`, "Values").

use kana_core::catalog::{Allowance, Feature, FeatureKind, Package, PackageStatus};
use kana_core::catalog_command::{
    CatalogAnswer, CatalogCommand, FeatureEdit, NewPackage, NewPackageFeature, plan,
};
use kana_core::edit::Edit;
use kana_core::id::FeatureId;
use kana_core::metadata::Metadata;
use kana_core::threshold::{Threshold, Thresholds};
use kana_core::{Refusal, refusal::InvalidValue};

use crate::world::{
    World, binary, consumable, feature_id, label, limit, new_package, package_id, recording,
    switched_on,
};

fn world() -> World {
    World::new().consumable("api-calls").consumable("seats").binary("export")
}

fn create(world: &mut World, package: NewPackage) -> Result<CatalogAnswer, Refusal> {
    world.plan(CatalogCommand::CreatePackage(package))
}

fn publish(world: &mut World, id: &str) -> Result<CatalogAnswer, Refusal> {
    world.plan(CatalogCommand::PublishPackage(package_id(id)))
}

/// The refusal of a command, which has changed nothing.
fn refused(world: &mut World, command: CatalogCommand) -> Refusal {
    let before = world.stored();
    let refusal = world.plan(command).unwrap_err();
    assert_eq!(world.stored(), before);
    refusal
}

fn create_refused(world: &mut World, package: NewPackage) -> Refusal {
    refused(world, CatalogCommand::CreatePackage(package))
}

/// The field that a value was refused for.
fn field(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::Invalid(InvalidValue { field, .. }) => field,
        other => panic!("not a bad value: {other:?}"),
    }
}

fn addon<const N: usize>(id: &str, bases: [&str; N]) -> NewPackage {
    let base_packages = bases.map(package_id).to_vec();
    NewPackage { is_addon: true, base_packages, ..new_package(id, [("api-calls", limit(3))]) }
}

#[test]
fn a_new_feature_is_stored_as_it_was_given() {
    let mut world = World::new();
    for feature in [consumable("api-calls"), binary("export")] {
        let id = feature.id.clone();
        let answer = world.plan(CatalogCommand::CreateFeature(feature.clone()));
        assert_eq!(answer, Ok(CatalogAnswer::Feature(id.clone())));
        assert_eq!(**world.catalog().feature(&id).unwrap(), feature);
    }
    let ids: Vec<&str> = world.catalog().features().map(|feature| feature.id.as_str()).collect();
    assert_eq!(ids, ["api-calls", "export"], "in order of creation");
}

#[test]
fn the_id_of_a_feature_that_is_taken_is_refused_whatever_its_kind() {
    let mut world = world();
    for feature in [consumable("api-calls"), binary("api-calls")] {
        let refusal = refused(&mut world, CatalogCommand::CreateFeature(feature));
        assert_eq!(refusal, Refusal::FeatureIdTaken(feature_id("api-calls")));
        assert_eq!(refusal.to_string(), "A feature with the id api-calls exists already");
    }
}

#[test]
fn ids_are_compared_exactly_and_per_kind() {
    let mut world = world();
    assert!(world.plan(CatalogCommand::CreateFeature(consumable("API-calls"))).is_ok());
    assert!(create(&mut world, new_package("api-calls", [])).is_ok());
}

#[test]
fn a_new_package_is_always_a_draft_with_its_features_in_their_order() {
    let mut world = world().clock("2024-05-01T00:00:00Z");
    let features =
        [("seats", limit(3).monthly()), ("export", switched_on()), ("api-calls", limit(0))];
    let answer = create(&mut world, new_package("pro", features));
    assert_eq!(answer, Ok(CatalogAnswer::Package(package_id("pro"))));
    let package = world.package_named("pro");
    assert_eq!(package.status, PackageStatus::Draft);
    assert_eq!(package.updated_at, world.now());
    assert!(!package.is_addon());
    let ids: Vec<&str> = package.features.keys().map(FeatureId::as_str).collect();
    assert_eq!(ids, ["seats", "export", "api-calls"]);
    let limits: Vec<_> = package.features.values().map(|inside| inside.allowance.limit).collect();
    assert_eq!(limits, [Some(3), None, Some(0)]);
}

#[test]
fn the_name_of_a_package_is_its_id_unless_it_has_one() {
    let mut world = world();
    create(&mut world, new_package("pro", [])).unwrap();
    assert_eq!(world.package_named("pro").name, label("pro"));
    let named = NewPackage { name: Some(label("Pro!")), ..new_package("pro2", []) };
    create(&mut world, named).unwrap();
    assert_eq!(world.package_named("pro2").name, label("Pro!"));
}

#[test]
fn a_package_keeps_its_metadata_and_the_names_of_its_features() {
    let mut world = world();
    let metadata = Metadata::new("metadata", serde_json::json!({ "tier": 1 })).unwrap();
    let mut package = new_package("pro", [("api-calls", limit(3))]);
    package.metadata = Some(metadata.clone());
    package.features[0].name = Some(label("Calls"));
    create(&mut world, package).unwrap();
    let stored = world.package_named("pro");
    assert_eq!(stored.metadata, Some(metadata));
    assert_eq!(stored.features[&feature_id("api-calls")].name, Some(label("Calls")));
}

#[test]
fn a_consumable_feature_without_an_entitlement_is_unlimited() {
    let mut world = world();
    create(&mut world, new_package("pro", [("api-calls", switched_on())])).unwrap();
    let allowance = world.package_named("pro").features[&feature_id("api-calls")].allowance;
    assert_eq!(allowance, Allowance::UNLIMITED);
}

#[test]
fn the_id_of_a_package_that_is_taken_is_refused() {
    let mut world = world().draft("pro", []);
    let refusal = create_refused(&mut world, new_package("pro", []));
    assert_eq!(refusal, Refusal::PackageIdTaken(package_id("pro")));
    assert_eq!(refusal.to_string(), "A package with the id pro exists already");
}

#[test]
fn the_same_feature_twice_in_a_package_is_refused() {
    let twice = [("api-calls", limit(3)), ("seats", limit(1)), ("api-calls", limit(3))];
    let refusal = create_refused(&mut world(), new_package("pro", twice));
    assert_eq!(field(&refusal), "features");
    assert!(refusal.to_string().contains("api-calls"), "{refusal}");
}

#[test]
fn an_unknown_feature_in_a_package_is_refused() {
    let package = new_package("pro", [("api-calls", limit(3)), ("nope", limit(3))]);
    let refusal = create_refused(&mut world(), package);
    assert_eq!(refusal, Refusal::FeatureNotFound(feature_id("nope")));
}

#[test]
fn an_entitlement_on_a_binary_feature_is_refused_even_an_empty_one() {
    for allowance in [Allowance::UNLIMITED, Allowance { limit: Some(1), ..Allowance::UNLIMITED }] {
        let mut package = new_package("pro", []);
        package.features.push(NewPackageFeature {
            feature: feature_id("export"),
            name: None,
            allowance: Some(allowance),
        });
        let refusal = create_refused(&mut world(), package);
        assert_eq!(field(&refusal), "entitlement");
        assert!(refusal.to_string().contains("export"), "{refusal}");
    }
}

#[test]
fn a_negative_limit_is_refused_and_0_is_not() {
    let mut world = world();
    let refusal = create_refused(&mut world, new_package("pro", [("api-calls", limit(-1))]));
    assert_eq!(field(&refusal), "limit");
    assert!(create(&mut world, new_package("pro", [("api-calls", limit(0))])).is_ok());
}

#[test]
fn base_packages_on_a_base_are_refused_even_if_they_exist() {
    let mut world = world().draft("basic", []);
    for base in ["basic", "nope"] {
        let package =
            NewPackage { base_packages: vec![package_id(base)], ..new_package("pro", []) };
        assert_eq!(field(&create_refused(&mut world, package)), "basePackageIds");
    }
}

#[test]
fn an_unknown_base_package_is_not_found() {
    let mut world = world().draft("basic", []);
    let refusal = create_refused(&mut world, addon("boost", ["basic", "nope"]));
    assert_eq!(refusal, Refusal::PackageNotFound(package_id("nope")));
    assert_eq!(refusal.to_string(), "Package not found: nope");
}

#[test]
fn an_add_on_as_a_base_package_is_refused() {
    let mut world = world().addon("boost", [], [("api-calls", limit(3))]);
    let refusal = create_refused(&mut world, addon("more", ["boost"]));
    assert_eq!(field(&refusal), "basePackageIds");
}

#[test]
fn an_add_on_names_its_base_packages_whatever_their_status() {
    let mut world = world()
        .draft("draft", [])
        .package("published", [("api-calls", limit(3))])
        .package("archived", [("api-calls", limit(3))]);
    world.archive("archived");
    let bases = ["draft", "published", "archived"];
    create(&mut world, addon("boost", bases)).unwrap();
    let package = world.package_named("boost");
    assert!(package.is_addon());
    assert_eq!(package.base_packages(), bases.map(package_id));
}

#[test]
fn a_base_package_that_is_named_twice_is_one() {
    let mut world = world().draft("basic", []).draft("pro", []);
    create(&mut world, addon("boost", ["pro", "basic", "pro"])).unwrap();
    let package = world.package_named("boost");
    assert_eq!(package.base_packages(), ["pro", "basic"].map(package_id));
}

#[test]
fn a_draft_can_be_published_once_and_again_changes_nothing() {
    let mut world = world().draft("pro", [("api-calls", limit(3))]);
    let draft = world.package_named("pro");
    world.set_clock("2024-05-01T00:00:00Z");
    assert_eq!(publish(&mut world, "pro"), Ok(CatalogAnswer::Package(package_id("pro"))));
    let published = world.package_named("pro");
    assert_eq!(published.status, PackageStatus::Published);
    assert_eq!(published.updated_at, world.now());
    assert_eq!(published.features, draft.features);

    world.set_clock("2024-06-01T00:00:00Z");
    let before = world.stored();
    assert_eq!(publish(&mut world, "pro"), Ok(CatalogAnswer::Package(package_id("pro"))));
    assert_eq!(world.stored(), before);
}

#[test]
fn an_archived_package_cannot_be_published() {
    let mut world = world().package("pro", [("api-calls", limit(3))]);
    world.archive("pro");
    let refusal = refused(&mut world, CatalogCommand::PublishPackage(package_id("pro")));
    assert_eq!(field(&refusal), "id");
    assert!(refusal.to_string().contains("ARCHIVED"), "{refusal}");
}

#[test]
fn a_package_without_features_cannot_be_published() {
    let mut world = world().draft("empty", []);
    let refusal = refused(&mut world, CatalogCommand::PublishPackage(package_id("empty")));
    assert_eq!(field(&refusal), "id");
    assert_eq!(world.package_named("empty").status, PackageStatus::Draft);
}

#[test]
fn an_unknown_package_cannot_be_published() {
    let refusal = refused(&mut world(), CatalogCommand::PublishPackage(package_id("nope")));
    assert_eq!(refusal, Refusal::PackageNotFound(package_id("nope")));
}

#[test]
fn packages_stay_in_order_of_creation_when_they_change() {
    let calls = || [("api-calls", limit(3))];
    let world = world().draft("b", calls()).draft("a", calls()).published("b");
    let ids: Vec<&str> = world.catalog().packages().map(|package| package.id.as_str()).collect();
    assert_eq!(ids, ["b", "a"]);
}

fn metadata(tier: u32) -> Metadata {
    Metadata::new("metadata", serde_json::json!({ "tier": tier })).unwrap()
}

fn update_feature(id: &str, edit: FeatureEdit) -> CatalogCommand {
    CatalogCommand::UpdateFeature { id: feature_id(id), edit }
}

fn update_package(id: &str, metadata: Edit<Metadata>) -> CatalogCommand {
    CatalogCommand::UpdatePackage { id: package_id(id), metadata }
}

fn archive(id: &str) -> CatalogCommand {
    CatalogCommand::ArchivePackage(package_id(id))
}

/// Sees that the command plans nothing and answers what it is about.
fn plans_nothing(world: &World, command: &CatalogCommand, about: &CatalogAnswer) {
    let planned = plan(world.catalog(), command.clone(), world.now());
    assert_eq!(planned, Ok((Vec::new(), about.clone())), "{command:?}");
}

/// `api-calls` with everything that a feature can have.
fn full() -> Feature {
    let kind = FeatureKind::Consumable {
        unit_label: Some(label("call")),
        unit_label_plural: Some(label("calls")),
        thresholds: Thresholds::new(vec![Threshold::Percent(80)]).unwrap(),
        draws: None,
    };
    Feature { kind, metadata: Some(metadata(1)), ..consumable("api-calls") }
}

fn full_world() -> World {
    let mut world = World::new();
    world.plan(CatalogCommand::CreateFeature(full())).unwrap();
    world.binary("export")
}

#[test]
fn each_part_of_a_feature_is_kept_cleared_and_set_by_itself() {
    let labels = |one: Option<&str>, many: Option<&str>| FeatureKind::Consumable {
        unit_label: one.map(label),
        unit_label_plural: many.map(label),
        thresholds: Thresholds::new(vec![Threshold::Percent(80)]).unwrap(),
        draws: None,
    };
    let watched = |thresholds: &[Threshold]| {
        let thresholds = Thresholds::new(thresholds.to_vec()).unwrap();
        let (unit_label, unit_label_plural) = (Some(label("call")), Some(label("calls")));
        let kind =
            FeatureKind::Consumable { unit_label, unit_label_plural, thresholds, draws: None };
        Feature { kind, ..full() }
    };
    let watch = |thresholds: &[Threshold]| FeatureEdit {
        thresholds: Some(Thresholds::new(thresholds.to_vec()).unwrap()),
        ..FeatureEdit::default()
    };
    let keep = FeatureEdit::default;
    let set = || Edit::Set(label("new"));
    for (edit, expected) in [
        (
            FeatureEdit { name: Some(label("new")), ..keep() },
            Feature { name: label("new"), ..full() },
        ),
        (
            FeatureEdit { unit_label: set(), ..keep() },
            Feature { kind: labels(Some("new"), Some("calls")), ..full() },
        ),
        (
            FeatureEdit { unit_label: Edit::Clear, ..keep() },
            Feature { kind: labels(None, Some("calls")), ..full() },
        ),
        (
            FeatureEdit { unit_label_plural: set(), ..keep() },
            Feature { kind: labels(Some("call"), Some("new")), ..full() },
        ),
        (
            FeatureEdit { unit_label_plural: Edit::Clear, ..keep() },
            Feature { kind: labels(Some("call"), None), ..full() },
        ),
        (
            FeatureEdit { metadata: Edit::Set(metadata(2)), ..keep() },
            Feature { metadata: Some(metadata(2)), ..full() },
        ),
        (FeatureEdit { metadata: Edit::Clear, ..keep() }, Feature { metadata: None, ..full() }),
        (watch(&[Threshold::Left(1)]), watched(&[Threshold::Left(1)])),
        (watch(&[]), watched(&[])),
    ] {
        let mut world = full_world();
        let answer = world.plan(update_feature("api-calls", edit.clone()));
        assert_eq!(answer, Ok(CatalogAnswer::Feature(feature_id("api-calls"))));
        let stored = world.catalog().feature(&feature_id("api-calls")).unwrap();
        assert_eq!(**stored, expected, "{edit:?}");
    }
}

#[test]
fn an_update_of_a_feature_that_changes_nothing_plans_nothing() {
    let world = full_world();
    let about = CatalogAnswer::Feature(feature_id("api-calls"));
    let same = FeatureEdit {
        name: Some(label("api-calls")),
        unit_label: Edit::Set(label("call")),
        unit_label_plural: Edit::Set(label("calls")),
        thresholds: Some(Thresholds::new(vec![Threshold::Percent(80)]).unwrap()),
        cost: None,
        metadata: Edit::Set(metadata(1)),
    };
    plans_nothing(&world, &update_feature("api-calls", FeatureEdit::default()), &about);
    plans_nothing(&world, &update_feature("api-calls", same), &about);
}

#[test]
fn unit_labels_for_a_switch_are_accepted_and_not_kept() {
    let mut world = full_world();
    let about = CatalogAnswer::Feature(feature_id("export"));
    let labels = FeatureEdit {
        unit_label: Edit::Set(label("one")),
        unit_label_plural: Edit::Set(label("many")),
        ..FeatureEdit::default()
    };
    plans_nothing(&world, &update_feature("export", labels.clone()), &about);
    // What is given beside them is kept.
    let renamed = FeatureEdit { name: Some(label("Export")), ..labels };
    world.plan(update_feature("export", renamed)).unwrap();
    let stored = world.catalog().feature(&feature_id("export")).unwrap();
    assert_eq!(**stored, Feature { name: label("Export"), ..binary("export") });
}

#[test]
fn an_unknown_feature_cannot_be_changed() {
    let refusal = refused(&mut full_world(), update_feature("nope", FeatureEdit::default()));
    assert_eq!(refusal, Refusal::FeatureNotFound(feature_id("nope")));
}

#[test]
fn features_stay_in_order_of_creation_when_they_change() {
    let mut world = full_world();
    let edit = FeatureEdit { name: Some(label("zzz")), ..FeatureEdit::default() };
    world.plan(update_feature("api-calls", edit)).unwrap();
    let ids: Vec<&str> = world.catalog().features().map(|feature| feature.id.as_str()).collect();
    assert_eq!(ids, ["api-calls", "export"]);
}

#[test]
fn metadata_of_a_package_is_kept_cleared_and_set_whatever_its_status() {
    for status in [PackageStatus::Draft, PackageStatus::Published, PackageStatus::Archived] {
        let mut world = world().draft("pro", [("api-calls", limit(3))]);
        if status != PackageStatus::Draft {
            world = world.published("pro");
        }
        if status == PackageStatus::Archived {
            world.archive("pro");
        }
        let before = world.package_named("pro");
        let about = CatalogAnswer::Package(package_id("pro"));
        for (edit, expected) in [(Edit::Set(metadata(1)), Some(metadata(1))), (Edit::Clear, None)] {
            world.wait_ms(1000);
            plans_nothing(&world, &update_package("pro", Edit::Keep), &about);
            assert_eq!(world.plan(update_package("pro", edit.clone())), Ok(about.clone()));
            let expected =
                Package { metadata: expected, updated_at: world.now(), ..before.clone() };
            assert_eq!(world.package_named("pro"), expected);
            // Again changes nothing, not even when it was changed.
            world.wait_ms(1000);
            plans_nothing(&world, &update_package("pro", edit), &about);
        }
    }
}

#[test]
fn an_unknown_package_cannot_be_changed_or_archived() {
    for command in [update_package("nope", Edit::Keep), archive("nope")] {
        let refusal = refused(&mut world(), command);
        assert_eq!(refusal, Refusal::PackageNotFound(package_id("nope")));
    }
}

#[test]
fn a_published_package_is_archived_once_and_again_changes_nothing() {
    let mut world = world().package("pro", [("api-calls", limit(3))]);
    let published = world.package_named("pro");
    world.set_clock("2024-05-01T00:00:00Z");
    let about = CatalogAnswer::Package(package_id("pro"));
    assert_eq!(world.plan(archive("pro")), Ok(about.clone()));
    let archived =
        Package { status: PackageStatus::Archived, updated_at: world.now(), ..published };
    assert_eq!(world.package_named("pro"), archived);
    world.set_clock("2024-06-01T00:00:00Z");
    plans_nothing(&world, &archive("pro"), &about);
}

#[test]
fn a_draft_cannot_be_archived() {
    let mut world = world().draft("pro", [("api-calls", limit(3))]);
    let refusal = refused(&mut world, archive("pro"));
    assert_eq!(field(&refusal), "id");
    assert!(refusal.to_string().contains("DRAFT"), "{refusal}");
}

#[test]
fn an_archived_package_goes_on_granting_and_takes_nobody_new() {
    let mut world = world()
        .package("pro", [("api-calls", limit(3)), ("export", switched_on())])
        .user("124")
        .user("125")
        .subscribed("124", "pro");
    world.archive("pro");
    assert!(world.can_use("124", "export", 1).unwrap().access);
    world.record(recording("124", "api-calls").add(2)).unwrap();
    assert_eq!((world.used("124", "api-calls"), world.budget("124", "api-calls")), (2, Some(3)));
    let refusal = world.subscribe("125", ["pro"]).unwrap_err();
    assert!(refusal.to_string().contains("ARCHIVED"), "{refusal}");
}

#[test]
fn a_binary_feature_has_no_thresholds() {
    let world = full_world();
    let edit = |thresholds: Vec<Threshold>| {
        let thresholds = Some(Thresholds::new(thresholds).unwrap());
        update_feature("export", FeatureEdit { thresholds, ..FeatureEdit::default() })
    };
    let refused = plan(world.catalog(), edit(vec![Threshold::Left(0)]), world.now()).unwrap_err();
    let message = "thresholds must be left out for export, which is BINARY";
    assert_eq!(refused.to_string(), message);
    plans_nothing(&world, &edit(Vec::new()), &CatalogAnswer::Feature(feature_id("export")));
}
