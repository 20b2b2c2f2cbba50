//! Commands on the catalog (the contract's page `admin-api.md`, "Values").

use kana_core::catalog::{Allowance, PackageStatus};
use kana_core::catalog_command::{CatalogAnswer, CatalogCommand, NewPackage, NewPackageFeature};
use kana_core::id::FeatureId;
use kana_core::metadata::Metadata;
use kana_core::{Refusal, refusal::InvalidValue};

use crate::world::{
    World, binary, consumable, feature_id, label, limit, new_package, package_id, switched_on,
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
