//! What the fuzz targets share: a server without a socket, on a small shop.

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use kana_core::Timestamp;
use kana_service::{Actor, Kana, KeyKind, ManualClock, NewSecret, create_key, init};
use kana_store::{EnvironmentKind, SqliteStore, Store};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tower::ServiceExt as _;

/// When everything happens.
pub const NOW: &str = "2024-01-15T12:00:00.000Z";

/// What signs the user tokens of the test environment.
pub const TOKEN_SECRET: [u8; 32] = [7; 32];

/// After how many inputs a server begins anew, so that what they leave in the database does not
/// slow down those after them.
const INPUTS_MAX: u32 = 20_000;

/// The features, packages and users that inputs can name.
const SHOP: &str = r#"mutation {
    calls: createFeature(input: {id: "api-calls", type: CONSUMABLE}) { id }
    sso: createFeature(input: {id: "sso", type: BINARY}) { id }
    basic: createPackage(input: {id: "basic", features: [
        {id: "api-calls", entitlement: {limit: 100, resetPeriod: MONTH}}]}) { id }
    pro: createPackage(input: {id: "pro", features: [{id: "sso"}, {id: "api-calls",
        entitlement: {limit: 1000, resetPeriod: MONTH, overageEnabled: true}}]}) { id }
    basicOnOffer: publishPackage(id: "basic") { id }
    proOnOffer: publishPackage(id: "pro") { id }
    user: createUser(input: {id: "124", name: "Ada", metadata: {plan: "pro"}}) { id }
    subscribe(userId: "124", packageIds: ["basic"]) { id }
}"#;

/// A server with its database.
pub struct Server {
    pub runtime: Runtime,
    pub kana: Arc<Kana>,
    key: NewSecret,
    router: Router,
    inputs: u32,
    /// What the store is on, if it is the server's own.
    _directory: Option<TempDir>,
}

/// What a server answered.
pub struct Answer {
    pub status: StatusCode,
    pub body: Value,
}

/// Runs `input` on this thread's server.
pub fn with_server(input: impl FnOnce(&Server)) {
    thread_local! {
        static SERVER: RefCell<Option<Server>> = const { RefCell::new(None) };
    }
    SERVER.with_borrow_mut(|slot| {
        if slot.as_ref().is_some_and(|server| server.inputs >= INPUTS_MAX) {
            *slot = None;
        }
        let server = slot.get_or_insert_with(Server::start);
        server.inputs += 1;
        input(server);
    });
}

/// A directory whose files cost no disk, where the machine has one.
pub fn temporary_directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    let directory =
        if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    directory.expect("a temporary directory")
}

impl Server {
    fn start() -> Self {
        let directory = temporary_directory();
        let store = Arc::new(SqliteStore::open_for_server(directory.path()).expect("a store"));
        runtime().block_on(create_app(store.as_ref()));
        let server = Self::on(store, EnvironmentKind::Test);
        let answer = server.graphql(SHOP, "{}");
        assert!(answer.body.get("errors").is_none(), "{}", answer.body);
        Self { _directory: Some(directory), ..server }
    }

    /// Serves an environment of a store that has an app.
    pub fn on(store: Arc<dyn Store>, environment: EnvironmentKind) -> Self {
        let runtime = runtime();
        let clock = Arc::new(ManualClock::new(now()));
        let (actor, kind) = (Actor::CommandLine, KeyKind::Private);
        let key = create_key(store.as_ref(), clock.as_ref(), &actor, environment, kind);
        let key = runtime.block_on(key).expect("a key");
        let kana = runtime.block_on(async { Kana::start(store, clock) }).expect("a server");
        let router = kana_api::router(&kana);
        Self { runtime, kana, key, router, inputs: 0, _directory: None }
    }

    /// Sends a request with a private key.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let mut request = Request::post(path).header("Authorization", self.key.reveal());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).expect("a request");
        self.send(request)
    }

    /// Sends a GraphQL request. `variables` is JSON, or is meant to be.
    pub fn graphql(&self, document: &str, variables: &str) -> Answer {
        let document = Value::from(document);
        let body = format!(r#"{{"query":{document},"variables":{variables}}}"#);
        self.post("/graphql", &[("Content-Type", "application/json")], body)
    }

    /// Sends a request. Every answer is JSON, and none says that something is wrong with the server.
    pub fn send(&self, request: Request<Body>) -> Answer {
        let answered = async {
            let response = self.router.clone().oneshot(request).await.expect("an answer");
            let (parts, body) = response.into_parts();
            (parts.status, to_bytes(body, usize::MAX).await.expect("the answer's body"))
        };
        let (status, body) = self.runtime.block_on(answered);
        let text = String::from_utf8_lossy(&body);
        assert!(status != StatusCode::INTERNAL_SERVER_ERROR, "{text}");
        assert!(!text.contains("INTERNAL_SERVER_ERROR"), "{text}");
        let body = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        Answer { status, body }
    }
}

async fn create_app(store: &dyn Store) {
    init(store, &ManualClock::new(now()), "fuzz").await.expect("an app").expect("keys");
    let access = store.client_access(EnvironmentKind::Test).await.expect("access").expect("an app");
    let secret = store.provide_token_secret(access.environment, TOKEN_SECRET.to_vec(), now()).await;
    secret.expect("a token secret");
}

/// A runtime on this thread.
pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime")
}

/// [`NOW`] as an instant.
pub fn now() -> Timestamp {
    Timestamp::parse("now", NOW).expect("an instant")
}
