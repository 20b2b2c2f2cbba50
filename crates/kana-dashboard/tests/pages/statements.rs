//! How many statements a page runs, however much there is.

use std::sync::Arc;

use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::{FeatureId, PackageId, UserId};
use kana_core::metadata::Label;
use kana_core::usage::{RecordUsage, UsageAction};
use kana_core::user::User;
use kana_dashboard::Settings;
use kana_service::{Environment, Role};
use kana_store::{SqliteStore, Store};

use crate::engine::Database;
use crate::person::Person;
use crate::world::World;

/// The pages that show what is stored.
const PAGES: [&str; 20] = [
    "/dashboard/test",
    "/dashboard/test/features",
    "/dashboard/test/features/new",
    "/dashboard/test/feature?id=feature-0",
    "/dashboard/test/packages?status=all",
    "/dashboard/test/packages/new",
    "/dashboard/test/package?id=package-0",
    "/dashboard/test/package/edit?id=package-0",
    "/dashboard/test/package/archive?id=package-0",
    "/dashboard/test/users",
    "/dashboard/test/users?search=user",
    "/dashboard/test/users?package=package-0",
    "/dashboard/test/user/events?id=user-0",
    "/dashboard/test/user?id=user-0",
    "/dashboard/test/user/edit?id=user-0",
    "/dashboard/test/developers",
    "/dashboard/test/audit",
    "/dashboard/test/documentation",
    "/dashboard/settings",
    "/dashboard/account",
];

/// The most statements of any page. Those that begin and end a transaction count, and a list may run a few
/// for each of its 50 rows.
const STATEMENTS_MAX: u64 = 200;

/// How often each page is looked at.
const LOOKS: usize = 4;

/// A server with so many features, packages, users and keys, and somebody who looks at it.
async fn server_with(items: usize) -> (World, Arc<SqliteStore>, Person) {
    let database = Database::new();
    let store = database.open_embedded();
    let world =
        World::on(database, Arc::clone(&store) as Arc<dyn Store>, Settings::default()).await;
    let owner = world.person(Role::Owner).await;
    let key = world.keys.test_private.reveal();
    fill(&world.kana.authorise_private(key).await.unwrap(), items).await;
    (world, store, owner)
}

/// Makes so many features, each with a package and a user who has used it.
async fn fill(environment: &Environment, items: usize) {
    for item in 0..items {
        let feature = FeatureId::new("id", &format!("feature-{item}")).unwrap();
        let package = PackageId::new("id", &format!("package-{item}")).unwrap();
        let user = UserId::new("id", &format!("user-{item}")).unwrap();
        let kind = FeatureKind::CONSUMABLE;
        let name = Label::new("name", "Calls").unwrap();
        let made = Feature { id: feature.clone(), name, kind, metadata: None };
        environment.create_feature(made).await.unwrap();
        let allowance = Allowance {
            limit: Some(5),
            reset_period: None,
            overage_enabled: false,
            ..Allowance::UNLIMITED
        };
        let given =
            NewPackageFeature { feature: feature.clone(), name: None, allowance: Some(allowance) };
        let made = NewPackage {
            id: package.clone(),
            name: None,
            is_addon: false,
            features: vec![given],
            base_packages: Vec::new(),
            metadata: None,
        };
        environment.create_package(made).await.unwrap();
        environment.publish_package(package.clone()).await.unwrap();
        environment.create_user(User::named(user.clone())).await.unwrap();
        environment.subscribe(user.clone(), vec![package], None).await.unwrap();
        let used = RecordUsage {
            user,
            feature,
            action: UsageAction::Add,
            delta: 5,
            occurred_at: None,
            idempotency_key: None,
            metadata: None,
        };
        environment.record_usage(used).await.unwrap();
    }
}

#[tokio::test]
async fn a_page_runs_no_more_statements_when_there_is_more_than_it_shows() {
    let mut counts = Vec::new();
    for items in [60, 180] {
        let (_world, store, mut owner) = server_with(items).await;
        let mut of_size = Vec::new();
        for page in PAGES {
            // What is kept in memory is read by the first look, and what runs in the background can only
            // add to the statements of a look.
            owner.visit(page).await;
            let mut fewest = u64::MAX;
            for _look in 0..LOOKS {
                let before = store.statements_run();
                assert_eq!(owner.visit(page).await, 200, "{page}");
                fewest = fewest.min(store.statements_run() - before);
            }
            of_size.push((page, fewest));
        }
        counts.push(of_size);
    }
    assert_eq!(counts[0], counts[1]);
    for (page, statements) in &counts[1] {
        assert!(*statements <= STATEMENTS_MAX, "{page} runs {statements}");
    }
}
