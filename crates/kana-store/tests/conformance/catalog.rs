use kana_core::catalog::{
    Allowance, Catalog, CatalogChange, CatalogVersion, Feature, FeatureKind, Package,
    PackageFeature, PackageKind, PackageStatus, Stacking,
};
use kana_core::credits::{COST_MAX, Draw};
use kana_core::period::{ResetAnchor, ResetPeriod};
use kana_core::rollover::Rollover;
use kana_core::terms::TermsHistory;
use kana_core::threshold::{Threshold, Thresholds};
use kana_store::StoreError;
use serde_json::json;

use crate::Engine;
use crate::world::{
    World, create_user, feature, feature_id, features, gives, label, metadata, package, package_id,
    put_feature, put_package, subscribe, subscription_id, time, user_ids, user_key, written_out,
};

fn feature_order(catalog: &Catalog) -> Vec<&str> {
    catalog.features().map(|feature| feature.id.as_str()).collect()
}

fn package_order(catalog: &Catalog) -> Vec<&str> {
    catalog.packages().map(|package| package.id.as_str()).collect()
}

fn order_within(catalog: &Catalog, package: &str) -> Vec<String> {
    let package = catalog.package(&package_id(package)).unwrap();
    package.features.keys().map(ToString::to_string).collect()
}

fn addon<const N: usize>(id: &str, bases: [&str; N]) -> Package {
    let base_packages = bases.map(package_id).to_vec();
    Package { kind: PackageKind::Addon { base_packages }, ..package(id, []) }
}

pub(crate) async fn an_app_begins_with_an_empty_catalog_that_never_changed<E: Engine>() {
    let world = World::<E>::new().await;

    for environment in [world.test, world.live] {
        assert_eq!(world.catalog(environment).await, Catalog::default());
        assert_eq!(world.catalog_version(environment).await, CatalogVersion(0));
    }
}

pub(crate) async fn features_are_kept_as_they_were_put<E: Engine>() {
    let world = World::<E>::new().await;
    let consumable =
        |unit_label: Option<&str>, unit_label_plural: Option<&str>| FeatureKind::Consumable {
            unit_label: unit_label.map(label),
            unit_label_plural: unit_label_plural.map(label),
            thresholds: match unit_label {
                None => Thresholds::NONE,
                Some(_) => {
                    let all = vec![Threshold::Percent(1000), Threshold::Left(2_147_483_647)];
                    Thresholds::new(all).unwrap()
                }
            },
            draws: None,
        };
    let drawing = |cost| FeatureKind::Consumable {
        unit_label: Some(label("image")),
        unit_label_plural: None,
        thresholds: Thresholds::NONE,
        draws: Draw::new(Some(feature_id("seats")), Some(cost)).unwrap(),
    };
    let puts = [
        Feature {
            name: label("Exportieren, sofort ⚡"),
            kind: FeatureKind::Binary,
            metadata: Some(metadata(json!({ "z": 1, "a": { "y": [], "b": "é" } }))),
            ..feature("export")
        },
        Feature { kind: consumable(Some("call"), Some("calls")), ..feature("api-calls") },
        Feature { kind: consumable(Some("Maß"), None), ..feature("/Measures") },
        Feature { kind: consumable(None, Some("seats")), ..feature("seats") },
        Feature { kind: consumable(None, None), metadata: None, ..feature("Seats") },
        Feature { kind: drawing(1), ..feature("images") },
        Feature { kind: drawing(COST_MAX), ..feature("videos") },
        Feature {
            name: label(""),
            kind: consumable(Some(""), Some("")),
            metadata: Some(metadata(json!({}))),
            ..feature("é")
        },
    ];
    let changes = puts.map(|feature| put_feature(&feature));
    world.change_catalog(world.test, &changes).await;

    let put: Catalog = changes.iter().collect();
    assert_eq!(written_out(&world.catalog(world.test).await), written_out(&put));
}

pub(crate) async fn packages_are_kept_as_they_were_put<E: Engine>() {
    let world = World::<E>::new().await;
    let named = |name: &str, limit| PackageFeature {
        name: Some(label(name)),
        allowance: Allowance { limit: Some(limit), ..Allowance::UNLIMITED },
    };
    let puts = [
        Package {
            name: label("Für Profis 🚀"),
            metadata: Some(metadata(json!({ "z": 1, "a": { "y": 2, "b": [null] } }))),
            updated_at: time("2024-02-29T12:34:56.789Z"),
            features: features([
                (feature_id("seats"), named("Plätze", 5)),
                gives("api-calls", Allowance::UNLIMITED),
                (feature_id("export"), named("", 1)),
            ]),
            ..package("pro", [])
        },
        package("Pro", ["seats"]),
        package("no features", []),
        Package { metadata: Some(metadata(json!({}))), ..addon("boost", ["pro", "Pro"]) },
        addon("any", []),
    ];
    let changes: Vec<_> = ["api-calls", "seats", "export"]
        .map(|id| put_feature(&feature(id)))
        .into_iter()
        .chain(puts.iter().map(put_package))
        .collect();
    world.change_catalog(world.test, &changes).await;

    let put: Catalog = changes.iter().collect();
    assert_eq!(written_out(&world.catalog(world.test).await), written_out(&put));
}

pub(crate) async fn every_allowance_is_kept<E: Engine>() {
    let world = World::<E>::new().await;
    let mut allowances = Vec::new();
    for limit in [None, Some(0), Some(1), Some(i64::MAX)] {
        for overage_enabled in [false, true] {
            allowances.push(Allowance { limit, overage_enabled, ..Allowance::UNLIMITED });
            for reset_period in ResetPeriod::ALL.map(Some) {
                for reset_anchor in [ResetAnchor::Subscription, ResetAnchor::Calendar] {
                    for stacking in [Stacking::Highest, Stacking::Add] {
                        allowances.push(Allowance {
                            limit,
                            reset_period,
                            reset_anchor,
                            overage_enabled,
                            stacking,
                            rollover: None,
                        });
                    }
                }
            }
        }
    }
    for (max, periods) in [(None, 1), (Some(1), 12), (Some(i64::MAX), 7)] {
        let rollover = Some(Rollover::new(max, Some(periods)).unwrap());
        let reset_period = Some(ResetPeriod::Day);
        allowances.push(Allowance {
            limit: Some(5),
            reset_period,
            rollover,
            ..Allowance::UNLIMITED
        });
    }
    let ids: Vec<_> = (0..allowances.len()).map(|n| format!("feature-{n}")).collect();
    let inside = ids.iter().zip(&allowances).map(|(id, allowance)| gives(id, *allowance));
    let pro = Package { features: inside.collect(), ..package("pro", []) };
    let mut changes: Vec<_> = ids.iter().map(|id| put_feature(&feature(id))).collect();
    changes.push(put_package(&pro));
    world.change_catalog(world.test, &changes).await;

    let catalog = world.catalog(world.test).await;
    let read = catalog.package(&pro.id).unwrap();
    assert_eq!(
        read.features.values().map(|inside| inside.allowance).collect::<Vec<_>>(),
        allowances
    );
}

pub(crate) async fn every_package_status_is_kept<E: Engine>() {
    let world = World::<E>::new().await;
    let pro = package("pro", []);

    for (at, status) in [
        ("2024-01-01T00:00:00.001Z", PackageStatus::Draft),
        ("2024-01-02T00:00:00.002Z", PackageStatus::Published),
        ("2024-01-03T00:00:00.003Z", PackageStatus::Archived),
    ] {
        let now = Package { status, updated_at: time(at), ..pro.clone() };
        world.change_catalog(world.test, &[put_package(&now)]).await;
        assert_eq!(**world.catalog(world.test).await.package(&pro.id).unwrap(), now);
    }
}

pub(crate) async fn things_stand_in_order_of_creation_however_often_they_change<E: Engine>() {
    let world = World::<E>::new().await;
    let first = [
        put_feature(&feature("zebra")),
        put_package(&package("zoo", ["zebra"])),
        put_feature(&feature("ant")),
        put_package(&package("anthill", ["ant"])),
    ];
    world.change_catalog(world.test, &first).await;
    let later = [put_feature(&feature("monkey")), put_package(&package("jungle", ["monkey"]))];
    world.change_catalog(world.test, &later).await;

    // The oldest changes last, and something new comes between two old ones.
    let changes = [
        put_feature(&feature("monkey")),
        put_feature(&feature("bee")),
        put_feature(&Feature { name: label("Zebra"), ..feature("zebra") }),
        put_package(&package("beehive", ["bee"])),
        put_package(&Package { name: label("Zoo"), ..package("zoo", ["zebra", "bee"]) }),
    ];
    world.change_catalog(world.test, &changes).await;

    let catalog = world.catalog(world.test).await;
    assert_eq!(feature_order(&catalog), ["zebra", "ant", "monkey", "bee"]);
    assert_eq!(package_order(&catalog), ["zoo", "anthill", "jungle", "beehive"]);
    assert_eq!(catalog.feature(&feature_id("zebra")).unwrap().name, label("Zebra"));
    assert_eq!(catalog.package(&package_id("zoo")).unwrap().name, label("Zoo"));
}

pub(crate) async fn an_update_replaces_a_feature<E: Engine>() {
    let world = World::<E>::new().await;
    let before = Feature {
        name: label("Calls"),
        kind: FeatureKind::Consumable {
            unit_label: Some(label("call")),
            unit_label_plural: Some(label("calls")),
            thresholds: Thresholds::new(vec![Threshold::Percent(80)]).unwrap(),
            draws: Draw::new(Some(feature_id("seats")), Some(3)).unwrap(),
        },
        metadata: Some(metadata(json!({ "old": true }))),
        ..feature("api-calls")
    };
    world.change_catalog(world.test, &[put_feature(&before)]).await;

    // What the new one does not have does not linger.
    let after = feature("api-calls");
    world.change_catalog(world.test, &[put_feature(&after)]).await;

    assert_eq!(**world.catalog(world.test).await.feature(&after.id).unwrap(), after);
}

pub(crate) async fn an_update_replaces_a_package_with_its_features_and_their_order<E: Engine>() {
    let world = World::<E>::new().await;
    let changes = [
        put_feature(&feature("a")),
        put_feature(&feature("b")),
        put_feature(&feature("c")),
        put_package(&Package {
            metadata: Some(metadata(json!({ "old": true }))),
            ..package("pro", ["c", "a", "b"])
        }),
        put_package(&package("free", ["b", "a"])),
    ];
    world.change_catalog(world.test, &changes).await;
    let catalog = world.catalog(world.test).await;
    assert_eq!(order_within(&catalog, "pro"), ["c", "a", "b"]);

    world.change_catalog(world.test, &[put_package(&package("pro", ["b", "c"]))]).await;

    let catalog = world.catalog(world.test).await;
    assert_eq!(**catalog.package(&package_id("pro")).unwrap(), package("pro", ["b", "c"]));
    assert_eq!(order_within(&catalog, "pro"), ["b", "c"]);
    assert_eq!(order_within(&catalog, "free"), ["b", "a"]);
}

pub(crate) async fn base_packages_stand_in_their_order_and_can_be_replaced<E: Engine>() {
    let world = World::<E>::new().await;
    let changes = [
        put_package(&package("a", [])),
        put_package(&package("b", [])),
        put_package(&package("c", [])),
        put_package(&addon("other", ["a"])),
    ];
    world.change_catalog(world.test, &changes).await;

    for boost in [
        addon("boost", ["c", "a", "b"]),
        addon("boost", ["b", "c"]),
        addon("boost", []),
        addon("boost", ["a"]),
    ] {
        world.change_catalog(world.test, &[put_package(&boost)]).await;
        let catalog = world.catalog(world.test).await;
        assert_eq!(**catalog.package(&boost.id).unwrap(), boost);
        assert_eq!(**catalog.package(&package_id("other")).unwrap(), addon("other", ["a"]));
    }
}

pub(crate) async fn a_package_can_become_an_addon_and_a_base_again<E: Engine>() {
    let world = World::<E>::new().await;
    world.change_catalog(world.test, &[put_package(&package("free", []))]).await;

    for pro in [package("pro", []), addon("pro", ["free"]), package("pro", []), addon("pro", [])] {
        world.change_catalog(world.test, &[put_package(&pro)]).await;
        assert_eq!(**world.catalog(world.test).await.package(&pro.id).unwrap(), pro);
    }
}

pub(crate) async fn of_two_changes_of_one_thing_the_last_holds<E: Engine>() {
    let world = World::<E>::new().await;
    let changes = [
        put_feature(&Feature { name: label("first"), ..feature("a") }),
        put_package(&package("pro", ["a"])),
        put_feature(&Feature { name: label("last"), ..feature("a") }),
        put_package(&package("pro", [])),
    ];
    world.change_catalog(world.test, &changes).await;

    let put: Catalog = changes.iter().collect();
    assert_eq!(written_out(&world.catalog(world.test).await), written_out(&put));
}

pub(crate) async fn the_version_grows_by_one_with_every_change<E: Engine>() {
    let world = World::<E>::new().await;

    let one = world.change_catalog(world.test, &[put_feature(&feature("a"))]).await;
    assert_eq!(one, CatalogVersion(1));
    let many = [put_feature(&feature("b")), put_feature(&feature("c")), put_feature(&feature("a"))];
    assert_eq!(world.change_catalog(world.test, &many).await, CatalogVersion(2));
    assert_eq!(world.catalog_version(world.test).await, CatalogVersion(2));

    // Twice in one transaction, each planned on what the other left.
    let mut writer = world.store.write().await.unwrap();
    for n in 2..4 {
        let changes = [put_feature(&feature("d"))];
        let version = writer.change_catalog(world.test, CatalogVersion(n), &changes).await.unwrap();
        assert_eq!(version, CatalogVersion(n + 1));
    }
    writer.commit().await.unwrap();

    assert_eq!(world.catalog_version(world.test).await, CatalogVersion(4));
    let facts = world.facts(world.test, &user_ids(["nobody"])).await;
    assert_eq!(facts.catalog_version, CatalogVersion(4));
}

pub(crate) async fn a_change_planned_on_another_version_is_refused_and_writes_nothing<E: Engine>() {
    let world = World::<E>::new().await;
    world.change_catalog(world.test, &[put_feature(&feature("a"))]).await;
    world.change_catalog(world.test, &[put_feature(&feature("b"))]).await;
    let before = written_out(&world.catalog(world.test).await);

    // Older than the current version 2, and one that nobody has seen yet.
    for planned_on in [0, 1, 3, -1].map(CatalogVersion) {
        let changes = [
            put_feature(&feature("c")),
            put_feature(&Feature { name: label("A"), ..feature("a") }),
        ];
        let mut writer = world.store.write().await.unwrap();
        let refused = writer.change_catalog(world.test, planned_on, &changes).await;
        assert!(matches!(refused, Err(StoreError::StaleCatalog)), "{planned_on:?}: {refused:?}");
        drop(writer);

        assert_eq!(written_out(&world.catalog(world.test).await), before);
        assert_eq!(world.catalog_version(world.test).await, CatalogVersion(2));
    }

    let version = world.change_catalog(world.test, &[put_feature(&feature("c"))]).await;
    assert_eq!(version, CatalogVersion(3));
}

pub(crate) async fn of_two_changes_planned_on_one_version_the_first_holds<E: Engine>() {
    let world = World::<E>::new().await;
    let planned_on = world.catalog_version(world.test).await;

    let mut first = world.store.write().await.unwrap();
    let changes = [put_feature(&feature("first"))];
    first.change_catalog(world.test, planned_on, &changes).await.unwrap();
    first.commit().await.unwrap();

    let mut second = world.store.write().await.unwrap();
    let changes = [put_feature(&feature("second"))];
    let refused = second.change_catalog(world.test, planned_on, &changes).await;
    assert!(matches!(refused, Err(StoreError::StaleCatalog)), "{refused:?}");
    drop(second);

    assert_eq!(feature_order(&world.catalog(world.test).await), ["first"]);
}

pub(crate) async fn changes_of_facts_leave_the_version_alone<E: Engine>() {
    let world = World::<E>::new().await;
    let version = world.change_catalog(world.test, &[put_package(&package("pro", []))]).await;

    let changes = [create_user(user_key(1), "124"), subscribe(subscription_id(1), "pro")];
    world.change(world.test, user_key(1), changes).await;

    assert_eq!(world.catalog_version(world.test).await, version);
    assert_eq!(world.facts(world.test, &user_ids(["124"])).await.catalog_version, version);
}

pub(crate) async fn a_large_catalog_is_kept_in_order<E: Engine>() {
    let world = World::<E>::new().await;
    // More than nine of each, so that an order by text would show, and backwards.
    let ids: Vec<_> = (0..120).rev().map(|n| n.to_string()).collect();
    let inside = ids.iter().map(|id| gives(id, Allowance::UNLIMITED)).collect();
    let all_in_one = Package { features: inside, ..package("all", []) };
    let bases = ids.iter().map(|id| package_id(id)).collect();
    let on_any =
        Package { kind: PackageKind::Addon { base_packages: bases }, ..all_in_one.clone() };
    let on_any = Package { id: package_id("on any"), ..on_any };
    let changes: Vec<_> = ids
        .iter()
        .map(|id| put_feature(&feature(id)))
        .chain(ids.iter().map(|id| put_package(&package(id, []))))
        .chain([put_package(&all_in_one), put_package(&on_any)])
        .collect();
    world.change_catalog(world.test, &changes).await;

    let put: Catalog = changes.iter().collect();
    let read = world.catalog(world.test).await;
    assert!(written_out(&read) == written_out(&put), "something is not in its place");
}

pub(crate) async fn the_terms_that_a_package_feature_has_had_are_kept<E: Engine>() {
    let world = World::<E>::new().await;
    let monthly = Allowance {
        limit: Some(5),
        reset_period: Some(ResetPeriod::Hour),
        reset_anchor: ResetAnchor::Calendar,
        overage_enabled: true,
        stacking: Stacking::Add,
        rollover: Some(Rollover::new(Some(500), Some(2)).unwrap()),
    };
    let mut changed = TermsHistory::beginning_with(Some(Allowance::UNLIMITED));
    changed.change(Some(monthly), time("2024-02-01T00:00:00Z"));
    changed.change(None, time("2024-03-01T00:00:00Z"));
    changed.change(Some(monthly), time("2024-04-01T00:00:00Z"));
    let mut gone = TermsHistory::beginning_with(Some(monthly));
    gone.change(None, time("2024-02-01T00:00:00Z"));
    let terms = [(feature_id("api-calls"), changed.clone()), (feature_id("seats"), gone)];
    let pro = Package { terms: terms.into(), ..package("pro", ["api-calls"]) };
    let changes = [put_package(&pro), put_package(&package("free", ["api-calls"]))];
    world.change_catalog(world.test, &changes).await;
    let stored =
        |catalog: &Catalog, id: &str| Package::clone(catalog.package(&package_id(id)).unwrap());
    let catalog = world.catalog(world.test).await;
    assert_eq!(stored(&catalog, "pro"), pro);
    assert!(stored(&catalog, "free").terms.is_empty());

    // Putting the package again replaces its terms.
    let terms = [(feature_id("api-calls"), changed)];
    let pro = Package { terms: terms.into(), ..pro };
    world.change_catalog(world.test, &[put_package(&pro)]).await;
    assert_eq!(stored(&world.catalog(world.test).await, "pro"), pro);

    let delete = CatalogChange::DeletePackage(package_id("pro"));
    let again = put_package(&package("pro", ["api-calls"]));
    world.change_catalog(world.test, &[delete, again]).await;
    assert!(stored(&world.catalog(world.test).await, "pro").terms.is_empty());
}
