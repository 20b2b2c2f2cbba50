//! A server without a socket, on a database of its own.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use kana_core::Timestamp;
use kana_service::{Actor, InitialKeys, Kana, ManualClock, NewSecret, init, revoke_key};
use kana_store::Store;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::engine::Database;
use crate::failing_store::FailingStore;

/// When every story starts.
pub(crate) const NOW: &str = "2024-01-15T12:00:00.000Z";

/// The usual media type of answers.
pub(crate) const JSON: &str = "application/json; charset=utf-8";
/// The one whose statuses mean something.
pub(crate) const GRAPHQL_RESPONSE: &str = "application/graphql-response+json; charset=utf-8";

/// Every row of every table, a text for each of its columns.
pub(crate) type Stored = BTreeMap<String, Vec<Vec<String>>>;

/// A running server with what is behind it.
pub(crate) struct TestApp {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) keys: InitialKeys,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) kana: Arc<Kana>,
    router: Router,
    database: Database,
}

impl TestApp {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        Self::on(|store| store).await
    }

    /// Creates an empty app on the store that `store` wraps around the engine's.
    async fn on(store: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store>) -> Self {
        let database = Database::new();
        let clock = Arc::new(ManualClock::new(time(NOW)));
        let store = store(database.open().await);
        let keys = init(store.as_ref(), clock.as_ref(), "story").await.unwrap().unwrap();
        let kana = Kana::start(Arc::clone(&store), Arc::clone(&clock) as _).unwrap();
        Self { store, keys, clock, router: kana_api::router(&kana), kana, database }
    }

    /// The same, run with these settings.
    pub(crate) fn with_settings(self, settings: kana_api::Settings) -> Self {
        Self { router: kana_api::router_with(&self.kana, settings), ..self }
    }

    /// One with the consumable feature `api-calls` and the switch `sso`; the base packages
    /// `basic` (100 calls a month) and `pro` (sso, 1,000 calls a month, then overage), the add-on
    /// `boost` for `pro` alone and the add-on `extra` for any base, the draft `draft`; and the
    /// user `124` without a subscription.
    pub(crate) async fn shop() -> Self {
        Self::new().await.stocked().await
    }

    /// Creates the shop on a store that can be told to fail.
    pub(crate) async fn failing_shop() -> (Self, Arc<FailingStore>) {
        let mut failing = None;
        let app = Self::on(|store| {
            let store = Arc::new(FailingStore::new(store));
            failing = Some(Arc::clone(&store));
            store
        });
        let app = app.await.stocked().await;
        (app, failing.unwrap())
    }

    /// Restarts the server, so that it has to look up keys again.
    pub(crate) fn forget_keys(&mut self) {
        self.kana = Kana::start(Arc::clone(&self.store), Arc::clone(&self.clock) as _).unwrap();
        self.router = kana_api::router(&self.kana);
    }

    /// Adds the features, packages and users of the shop.
    pub(crate) async fn stocked(self) -> Self {
        let app = self;
        app.data(
            r#"mutation {
                calls: createFeature(input: {id: "api-calls", type: CONSUMABLE}) { id }
                sso: createFeature(input: {id: "sso", type: BINARY}) { id }
                basic: createPackage(input: {id: "basic", features: [
                    {id: "api-calls", entitlement: {limit: 100, resetPeriod: MONTH}}]}) { id }
                pro: createPackage(input: {id: "pro", features: [{id: "sso"}, {id: "api-calls",
                    entitlement: {limit: 1000, resetPeriod: MONTH, overageEnabled: true}}]}) { id }
                boost: createPackage(input: {id: "boost", isAddon: true, basePackageIds: ["pro"],
                    features: [{id: "sso"}]}) { id }
                extra: createPackage(input: {id: "extra", isAddon: true,
                    features: [{id: "sso"}]}) { id }
                draft: createPackage(input: {id: "draft", features: [{id: "sso"}]}) { id }
                onOffer1: publishPackage(id: "basic") { id }
                onOffer2: publishPackage(id: "pro") { id }
                onOffer3: publishPackage(id: "boost") { id }
                onOffer4: publishPackage(id: "extra") { id }
                user: createUser(input: {id: "124"}) { id }
            }"#,
            json!({}),
        )
        .await;
        app
    }

    /// The shop, its user subscribed to `package`. Answers the subscription's id, too.
    pub(crate) async fn subscribed(package: &str) -> (Self, String) {
        let app = Self::shop().await;
        let id = app.subscribe(package).await;
        (app, id)
    }

    /// Subscribes the user `124` and answers the subscription's id.
    pub(crate) async fn subscribe(&self, package: &str) -> String {
        let query = r#"mutation ($id: String!) {
            subscribe(userId: "124", packageIds: [$id]) { id }
        }"#;
        let data = self.data(query, json!({ "id": package })).await;
        data["subscribe"][0]["id"].as_str().unwrap().to_owned()
    }

    /// Brings cancelled subscriptions back to life, as only a billing provider can.
    pub(crate) async fn revive_subscriptions(&self) {
        self.database.revive_subscriptions();
        // The server looks again at what is stored of a user only after a change of its own.
        let update = r#"mutation { updateUser(id: "124", input: { name: "Ann" }) { id } }"#;
        self.data(update, json!({})).await;
    }

    /// Folds old counters, as a running server does once a day.
    #[allow(dead_code, reason = "some tests run on one engine only")]
    pub(crate) async fn fold_old_counters(&self) {
        kana_service::jobs::housekeeping(&self.kana).run_now().await.unwrap();
    }

    /// Revokes a key, as `kana keys revoke` does.
    pub(crate) async fn revoke(&self, key: &NewSecret) {
        let found = self.store.find_key(key.hash()).await.unwrap().unwrap();
        let (store, clock) = (self.store.as_ref(), self.clock.as_ref());
        let revoked = revoke_key(store, clock, &Actor::CommandLine, found.id).await.unwrap();
        assert!(revoked.is_some());
    }

    /// Sets the clock.
    pub(crate) fn set_time(&self, text: &str) {
        self.clock.set(time(text));
    }

    /// A request with the private key of the test environment.
    pub(crate) fn request(&self, method: Method, uri: &str) -> Ask<'_> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::AUTHORIZATION,
            HeaderValue::from_str(self.keys.test_private.reveal()).unwrap(),
        );
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Ask { app: self, method, uri: uri.to_owned(), headers, body: Vec::new() }
    }

    /// A request as clients send it, with this body.
    pub(crate) fn post(&self, body: impl Into<Vec<u8>>) -> Ask<'_> {
        Ask { body: body.into(), ..self.request(Method::POST, "/graphql") }
    }

    /// A GraphQL request.
    #[expect(clippy::needless_pass_by_value, reason = "callers write `json!(…)` in place")]
    pub(crate) fn graphql(&self, query: &str, variables: Value) -> Ask<'_> {
        self.post(json!({ "query": query, "variables": variables }).to_string())
    }

    /// The data of a request that succeeds as a whole.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Value {
        let mut answer = self.graphql(query, variables).send().await.ok();
        assert_eq!(answer.get("errors"), None, "{query}");
        answer["data"].take()
    }

    /// The one error of a request that is refused as a whole, as `CODE Name: message`. Nothing
    /// is stored by it, and what the contract fixes about the shape holds.
    pub(crate) async fn refused(&self, query: &str, variables: Value) -> String {
        let stored = self.stored();
        let answer = self.graphql(query, variables).send().await.ok();
        assert!(answer.get("data").is_none_or(Value::is_null), "{answer}");
        assert_eq!(self.stored(), stored, "{answer}");
        only_error(&answer)
    }

    /// What is stored, as another process would read it.
    pub(crate) fn stored(&self) -> Stored {
        self.database.stored()
    }
}

pub(crate) fn time(text: &str) -> Timestamp {
    Timestamp::parse("time", text).unwrap()
}

/// A request that is being written.
pub(crate) struct Ask<'a> {
    app: &'a TestApp,
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Ask<'_> {
    /// With this header instead of what it had.
    pub(crate) fn with(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        self.headers.insert(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Adds a header to those of the request.
    pub(crate) fn and(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        self.headers.append(name, HeaderValue::from_bytes(value.as_ref()).unwrap());
        self
    }

    /// Without this header.
    pub(crate) fn without(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// Asks as the client of this user, with a public key.
    pub(crate) fn with_user(self, id: &str) -> Self {
        self.with(HeaderName::from_static("x-user-id"), id)
    }

    /// As a client asks whose statuses mean something.
    pub(crate) fn asking_graphql_response(self) -> Self {
        self.with(header::ACCEPT, "application/graphql-response+json")
    }

    /// With this body.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    pub(crate) async fn send(self) -> Answer {
        let mut request = Request::new(Body::from(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri.parse().unwrap();
        *request.headers_mut() = self.headers;
        let response = self.app.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let text = String::from_utf8(body.into()).unwrap();
        Answer { status: parts.status, headers: parts.headers, text }
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).expect(&self.text)
    }

    /// The body of an answer with status 200 as `application/json`.
    pub(crate) fn ok(&self) -> Value {
        assert_eq!((self.status, self.content_type()), (StatusCode::OK, JSON), "{}", self.text);
        self.json()
    }

    pub(crate) fn content_type(&self) -> &str {
        self.headers[header::CONTENT_TYPE].to_str().unwrap()
    }

    /// The one error of a request that was not executed, as `CODE Name: message`.
    pub(crate) fn not_executed(&self) -> String {
        let answer = self.json();
        assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["errors"]);
        only_error(&answer)
    }
}

/// The one error, as `CODE Name: message`.
pub(crate) fn only_error(answer: &Value) -> String {
    let errors = answer["errors"].as_array().unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(errors.len(), 1, "{answer}");
    error(&errors[0])
}

/// An error, as `CODE Name: message`.
pub(crate) fn error(error: &Value) -> String {
    let extensions = &error["extensions"];
    let message = error["message"].as_str().unwrap();
    assert_eq!(extensions["exception"]["message"], message, "{error}");
    let code = extensions["code"].as_str().unwrap();
    let name = extensions["exception"]["name"].as_str().unwrap();
    format!("{code} {name}: {message}")
}

/// The value with Kana's own ids, which are random, written as `<id>`.
pub(crate) fn without_ids(value: Value) -> Value {
    match value {
        Value::String(text) if uuid::Uuid::try_parse(&text).is_ok() => json!("<id>"),
        Value::Array(items) => items.into_iter().map(without_ids).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, without_ids(value))).collect()
        }
        other => other,
    }
}
