//! A server without a socket, on a database of its own, and people who may come in.

use std::sync::Arc;

use axum::Router;
use kana_core::Timestamp;
use kana_core::catalog::{Allowance, Feature, FeatureKind};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::{FeatureId, PackageId, UserId};
use kana_core::metadata::Label;
use kana_core::period::ResetPeriod;
use kana_core::user::User;
use kana_dashboard::Settings;
use kana_service::{Actor, Environment, InitialKeys, Kana, ManualClock, Role, create_admin, init};
use kana_store::Store;

use crate::engine::Database;
use crate::person::Person;

/// When every story starts.
pub(crate) const NOW: &str = "2026-11-29T09:03:11.000Z";
/// The password of everybody.
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A nonce that no form had.
pub(crate) const OTHER_NONCE: &str = "AAAAAAAAAAAAAAAAAAAAAA";

/// A running server.
pub(crate) struct World {
    pub(crate) kana: Arc<Kana>,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) keys: InitialKeys,
    router: Router,
    _database: Database,
}

impl World {
    /// A new app without features, packages or users.
    pub(crate) async fn new() -> Self {
        Self::with_settings(Settings::default()).await
    }

    pub(crate) async fn with_settings(settings: Settings) -> Self {
        let database = Database::new();
        let store = database.open().await;
        Self::on(database, store, settings).await
    }

    /// A new app on a store that was opened.
    pub(crate) async fn on(database: Database, store: Arc<dyn Store>, settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::parse("now", NOW).unwrap()));
        let keys = init(store.as_ref(), clock.as_ref(), "Meridian API").await.unwrap().unwrap();
        let kana = Kana::start(Arc::clone(&store), Arc::clone(&clock) as _).unwrap();
        let router = kana_dashboard::router(&kana, settings);
        Self { kana, store, clock, keys, router, _database: database }
    }

    /// Creates a user in live and subscribes them, as a product does.
    pub(crate) async fn subscribe_live(&self, user: &str, package: &str) {
        let key = self.keys.live_private.reveal();
        let live = self.kana.authorise_private(key).await.unwrap();
        let user = UserId::new("user", user).unwrap();
        let package = PackageId::new("package", package).unwrap();
        live.create_user(User::named(user.clone())).await.unwrap();
        live.subscribe(user, vec![package], None).await.unwrap();
    }

    /// Somebody with a browser who is not signed in.
    pub(crate) fn stranger(&self) -> Person {
        Person::new(self.router.clone())
    }

    /// The same person with the same session, on another server of the same database.
    pub(crate) fn elsewhere(&self, person: &Person) -> Person {
        let mut elsewhere = Person::new(kana_dashboard::router(&self.kana, Settings::default()));
        elsewhere.cookies_mut().extend(person.cookies().clone());
        elsewhere
    }

    /// Somebody with this role, signed in.
    pub(crate) async fn person(&self, role: Role) -> Person {
        let email = format!("{}@meridian.example", role.name());
        let (store, clock) = (self.store.as_ref(), self.clock.as_ref());
        let actor = &Actor::CommandLine;
        create_admin(store, clock, actor, (&email, role), PASSWORD).await.unwrap();
        let mut person = self.stranger();
        person.visit("/dashboard/sign-in").await;
        let form = person.form("Sign in").fill("E-mail", &email).fill("Password", PASSWORD);
        person.submit(form, "Sign in").await;
        assert_eq!(person.address(), "/dashboard/test");
        person
    }
}

pub(crate) fn feature_id(id: &str) -> FeatureId {
    FeatureId::new("id", id).unwrap()
}

pub(crate) fn label(text: &str) -> Label {
    Label::new("name", text).unwrap()
}

/// API calls, 1,000 a month; seats that never reset; sign-on, which is on or off; and storage, which no
/// package has.
pub(crate) async fn sell(world: &World) -> Environment {
    let secret = world.keys.test_private.reveal();
    let environment = world.kana.authorise_private(secret).await.unwrap();
    let consumable = || FeatureKind::CONSUMABLE;
    for (id, name, kind) in [
        ("api-calls", "API calls", consumable()),
        ("seats", "Seats", consumable()),
        ("sso", "Single sign-on", FeatureKind::Binary),
        ("storage", "Storage", consumable()),
    ] {
        let (id, name) = (feature_id(id), label(name));
        environment.create_feature(Feature { id, name, kind, metadata: None }).await.unwrap();
    }
    let allowance = |limit, reset_period| {
        Some(Allowance {
            limit: Some(limit),
            reset_period,
            overage_enabled: false,
            ..Allowance::UNLIMITED
        })
    };
    let inside =
        |id: &str, allowance| NewPackageFeature { feature: feature_id(id), name: None, allowance };
    let base =
        vec![inside("api-calls", allowance(1_000, Some(ResetPeriod::Month))), inside("sso", None)];
    for (id, name, is_addon, features) in [
        ("pro", "Pro 2026", false, base),
        ("more-seats", "More seats", true, vec![inside("seats", allowance(25, None))]),
    ] {
        let id = PackageId::new("id", id).unwrap();
        let (name, base_packages) = (Some(label(name)), Vec::new());
        let package =
            NewPackage { id: id.clone(), name, is_addon, features, base_packages, metadata: None };
        environment.create_package(package).await.unwrap();
        environment.publish_package(id).await.unwrap();
    }
    environment
}
