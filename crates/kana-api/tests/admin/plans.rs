//! A request that comes again is answered by a plan, and as the general executor answers it: byte
//! for byte, whatever the request.

use axum::http::{Method, header};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Map, Value, json};

use crate::app::TestApp;

/// A document of one hot operation, with the variables that it declares.
#[derive(Debug, Clone)]
struct Hot {
    query: String,
    variables: Value,
}

/// One of these; the first is what a plan takes most gladly.
fn one_of(options: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(options).prop_map(str::to_owned)
}

/// Some fields of these, some under other names.
fn selection(fields: &'static [&'static str]) -> impl Strategy<Value = String> {
    let field = (prop::sample::select(fields), prop::option::weighted(0.3, "[a-c]"));
    prop::collection::vec(field, 1..5).prop_map(|fields| {
        let fields = fields.into_iter().map(|(field, alias)| match alias {
            Some(alias) => format!("{alias}: {field}"),
            None => field.to_owned(),
        });
        fields.collect::<Vec<_>>().join(" ")
    })
}

const CONSUMPTION: &str = "consumption { used budget overageEnabled }";
const LARGE: &str = "consumption { b: budget budgetExact u: used overageEnabled again: budget }";
const EXACT: &str = "consumption { exact: usedExact budgetExact __typename allowanceExact carriedExact \
    grantedExact heldExact remainingExact }";
const PARTS: &str = "consumption { allowance remaining carried granted held a: allowance }";
const ENTITLED: &[&str] =
    &["access", "reason", "reasonCode", CONSUMPTION, LARGE, EXACT, PARTS, "__typename"];
const USED: &[&str] =
    &["granted", "reason", "reasonCode", CONSUMPTION, LARGE, EXACT, PARTS, "__typename"];
const RECORDED: &[&str] = &["recorded", "reason", "__typename"];

/// JSON of a user's id, of which most are one's that exists.
fn user() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => Just(json!("124")),
        1 => Just(json!("no\tbody")),
        1 => Just(json!("nobody")),
        1 => Just(json!("ü\"")),
        1 => Just(json!(124)),
        1 => Just(Value::Null),
    ]
}

fn feature() -> impl Strategy<Value = Value> {
    prop_oneof![
        5 => Just(json!("api-calls")),
        2 => Just(json!("sso")),
        2 => Just(json!("huge")),
        1 => Just(json!("vast")),
        1 => Just(json!("nothing")),
        1 => Just(json!("")),
    ]
}

fn delta() -> impl Strategy<Value = Option<Value>> {
    prop_oneof![
        3 => Just(None),
        4 => (0..200_i64).prop_map(|delta| Some(json!(delta))),
        1 => Just(Some(json!(-3))),
        1 => Just(Some(json!(2_147_483_647))),
        1 => Just(Some(json!(2_147_483_648_i64))),
        1 => Just(Some(json!(1.5))),
        1 => Just(Some(json!(2.0))),
        1 => Just(Some(json!("1"))),
        1 => Just(Some(Value::Null)),
    ]
}

/// Values of an input object beside the two ids.
fn more_input(of_use: bool) -> impl Strategy<Value = Map<String, Value>> {
    let key = prop_oneof![
        4 => Just(None),
        2 => "k[0-3]".prop_map(|key| Some(json!(key))),
        1 => Just(Some(json!(""))),
        1 => Just(Some(Value::Null)),
    ];
    let action = prop_oneof![
        4 => Just(None),
        1 => Just(Some(json!("ADD"))),
        2 => Just(Some(json!("SET"))),
        1 => Just(Some(json!("SUB"))),
    ];
    let at = prop_oneof![
        4 => Just(None),
        1 => Just(Some(json!("2024-01-15T11:59:00Z"))),
        1 => Just(Some(json!("2023-01-15T11:59:00+01:00"))),
        1 => Just(Some(json!("2034-01-15T11:59:00Z"))),
        1 => Just(Some(json!("yesterday"))),
    ];
    let metadata = prop::option::weighted(0.1, Just(json!({ "a": [1] })));
    let unknown = prop::option::weighted(0.05, Just(json!(1)));
    (delta(), key, action, at, metadata, unknown).prop_map(
        move |(delta, key, action, at, metadata, unknown)| {
            let action = action.filter(|_| !of_use);
            let at = at.filter(|_| !of_use);
            let metadata = metadata.filter(|_| !of_use);
            let fields = [
                ("delta", delta),
                ("idempotencyKey", key),
                ("action", action),
                ("occurredAt", at),
                ("metadata", metadata),
                ("unknown", unknown),
            ];
            let given = |(name, value): (&str, Option<Value>)| Some((name.to_owned(), value?));
            fields.into_iter().filter_map(given).collect()
        },
    )
}

/// A value as GraphQL writes it: names bare, and those of enums, too.
fn literal(name: &str, value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let fields =
                fields.iter().map(|(name, value)| format!("{name}: {}", literal(name, value)));
            format!("{{ {} }}", fields.collect::<Vec<_>>().join(", "))
        }
        Value::String(text) if name == "action" => text.clone(),
        other => other.to_string(),
    }
}

fn can_use_feature() -> impl Strategy<Value = Hot> {
    let head = one_of(&[
        "query ($user: String!, $feature: String!, $delta: Int)",
        "query q($user: String!, $feature: String!, $delta: Int = 150)",
        "query ($user: String = \"124\", $feature: String!, $delta: Int = null)",
    ]);
    let arguments = one_of(&[
        "userId: $user, featureId: $feature, delta: $delta",
        "delta: $delta, featureId: $feature, userId: $user",
    ]);
    let extra = one_of(&["", "", "", " @include(if: true)"]);
    (head, arguments, extra, selection(ENTITLED), user(), feature(), delta(), any::<u8>()).prop_map(
        |(head, arguments, extra, selected, user, feature, delta, dice)| {
            if dice < 64 {
                let delta = delta.map_or(String::new(), |delta| format!(", delta: {delta}"));
                let arguments = format!("userId: {user}, featureId: {feature}{delta}");
                let query = format!("{{ canUseFeature({arguments}){extra} {{ {selected} }} }}");
                return Hot { query, variables: json!({}) };
            }
            let query =
                format!("{head} {{ it: canUseFeature({arguments}){extra} {{ {selected} }} }}");
            let mut variables = json!({ "user": user, "feature": feature });
            if let Some(delta) = delta {
                variables["delta"] = delta;
            }
            if dice < 80 {
                variables.as_object_mut().unwrap().remove("user");
            }
            if dice > 240 {
                variables["undeclared"] = json!([1]);
            }
            Hot { query, variables }
        },
    )
}

fn mutation() -> impl Strategy<Value = Hot> {
    let field = prop_oneof![
        selection(RECORDED).prop_map(|fields| (
            "recordUsage",
            "CreateUsageEventInput",
            format!("{{ {fields} }}")
        )),
        Just(("createUsageEvent", "CreateUsageEventInput", String::new())),
        selection(USED).prop_map(|fields| (
            "useFeature",
            "UseFeatureInput",
            format!("{{ {fields} }}")
        )),
    ];
    let input = |of_use| (user(), feature(), more_input(of_use));
    (field, input(false), input(true), any::<u8>()).prop_map(
        |((field, type_name, selected), event, used, dice)| {
            let (user, feature, mut input) = if field == "useFeature" { used } else { event };
            input.insert("userId".to_owned(), user.clone());
            input.insert("featureId".to_owned(), feature);
            let input = Value::Object(input);
            if dice < 96 {
                let query =
                    format!("mutation {{ {field}(input: {}) {selected} }}", literal("", &input));
                return Hot { query, variables: json!({}) };
            }
            if dice < 128 {
                let mut with_variable = input.clone();
                with_variable["userId"] = json!("\u{0}");
                let input = literal("", &with_variable).replace("\"\\u0000\"", "$user");
                let query =
                    format!("mutation m($user: String!) {{ {field}(input: {input}) {selected} }}");
                return Hot { query, variables: json!({ "user": user }) };
            }
            let query = format!(
                "mutation ($input: {type_name}!) {{ done: {field}(input: $input) {selected} }}"
            );
            Hot { query, variables: json!({ "input": input }) }
        },
    )
}

/// How the request is written. All of these say the same.
fn bodies(Hot { query, variables }: &Hot) -> [String; 2] {
    let plain = json!({ "query": query, "variables": variables }).to_string();
    // Plans leave a body with anything else in it to the general executor.
    let general = json!({ "query": query, "variables": variables, "extensions": {} }).to_string();
    [plain, general]
}

async fn shop() -> TestApp {
    let (app, _) = TestApp::subscribed("pro").await;
    fill_with_large_counters(&app).await;
    app
}

/// Creates the feature `huge`, whose counter does not fit an `Int`, and `vast`, whose budget does
/// not.
async fn fill_with_large_counters(app: &TestApp) {
    app.data(
        r#"mutation {
            vast: createFeature(input: {id: "vast", type: CONSUMABLE}) { id }
            v: createPackage(input: {id: "v", isAddon: true,
                features: [{id: "vast", entitlement: {limit: 1234567, resetPeriod: MONTH}}]}) { id }
            pv: publishPackage(id: "v") { id }
            sv: subscribe(userId: "124", packageIds: ["v"]) { id }
            createFeature(input: {id: "huge", type: CONSUMABLE}) { id }
            createPackage(input: {id: "hoard", isAddon: true, features: [{id: "huge"}]}) { id }
            publishPackage(id: "hoard") { id }
            subscribe(userId: "124", packageIds: ["hoard"]) { id }
            a: recordUsage(input: {userId: "124", featureId: "huge", delta: 2147483647}) { reason }
            b: recordUsage(input: {userId: "124", featureId: "huge", delta: 2147483647}) { reason }
        }"#,
        json!({}),
    )
    .await;
    // Only a file can set a limit that does not fit an `Int`.
    let file = app.request(Method::GET, "/cli/pull").send().await.text;
    let file = file.replace("1234567", "12345678901");
    let published = app.request(Method::POST, "/cli/publish").body(file).send().await;
    assert_eq!(published.status, 200, "{}", published.text);
}

#[test]
fn a_plan_answers_byte_for_byte_as_the_general_executor() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // The same requests in the same order to two shops, so that both are in the same state.
    let (by_plan, by_executor) = runtime.block_on(async { (shop().await, shop().await) });
    let hot = prop_oneof![can_use_feature(), mutation()];
    let mut planned = 0;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::default() });
    let requests = prop::collection::vec(hot, 8);
    for _ in 0..48 {
        let requests = requests.new_tree(&mut runner).unwrap().current();
        // Each twice, since it is the second that a plan answers.
        for hot in requests.iter().flat_map(|hot| [hot, hot]) {
            let [plain, general] = bodies(hot);
            let (answer, expected) = runtime.block_on(async {
                (by_plan.post(plain).send().await, by_executor.post(general).send().await)
            });
            assert_eq!(answer.text, expected.text, "{hot:#?}");
            assert_eq!(answer.status, expected.status, "{hot:#?}");
            assert_eq!(answer.headers, expected.headers, "{hot:#?}");
            planned += usize::from(answer.text.starts_with(r#"{"data":{""#));
        }
    }
    // Otherwise this compares refusals only.
    assert!(planned > 100, "{planned}");
    assert_eq!(used_exactly(&by_plan, &runtime), used_exactly(&by_executor, &runtime));
}

fn used_exactly(app: &TestApp, runtime: &tokio::runtime::Runtime) -> Value {
    let query = r#"{
        calls: canUseFeature(userId: "124", featureId: "api-calls") { consumption { usedExact } }
        huge: canUseFeature(userId: "124", featureId: "huge") { consumption { usedExact } }
    }"#;
    runtime.block_on(app.data(query, json!({})))
}

/// Sends the same request often, and sees that it is answered the same and done as often.
#[tokio::test]
async fn a_plan_records_each_time_and_once_under_a_key() {
    let (app, _) = TestApp::subscribed("basic").await;
    let record = "mutation ($input: CreateUsageEventInput!) { recordUsage(input: $input) { recorded reason } }";
    let input = json!({ "input": { "userId": "124", "featureId": "api-calls", "delta": 2 } });
    for _ in 0..5 {
        let answer = app.data(record, input.clone()).await;
        assert_eq!(answer, json!({ "recordUsage": { "recorded": true, "reason": null } }));
    }
    let keyed = json!({ "input": {
        "userId": "124", "featureId": "api-calls", "delta": 5, "idempotencyKey": "once" } });
    for _ in 0..5 {
        app.data(record, keyed.clone()).await;
    }
    let used = "query ($u: String!, $f: String!) { canUseFeature(userId: $u, featureId: $f) { consumption { used } } }";
    for _ in 0..3 {
        let answer = app.data(used, json!({ "u": "124", "f": "api-calls" })).await;
        assert_eq!(answer["canUseFeature"]["consumption"]["used"], 15);
    }
}

#[tokio::test]
async fn a_counter_that_is_too_large_is_told_by_a_plan_and_counted_once() {
    let app = shop().await;
    let query = "mutation ($input: UseFeatureInput!) { useFeature(input: $input) {
        granted consumption { usedExact used } } }";
    let input = json!({ "input": { "userId": "124", "featureId": "huge" } });
    for _ in 0..3 {
        let answer = app.graphql(query, input.clone()).send().await.ok();
        assert_eq!(answer["data"]["useFeature"], json!({ "granted": true, "consumption": null }));
        assert_eq!(answer["errors"][0]["extensions"]["code"], "VALUE_TOO_LARGE");
    }
    let exact =
        r#"{ canUseFeature(userId: "124", featureId: "huge") { consumption { usedExact } } }"#;
    let answer = app.data(exact, json!({})).await;
    assert_eq!(answer["canUseFeature"]["consumption"]["usedExact"], "4294967297");
}

#[tokio::test]
async fn a_check_whose_answer_does_not_fit_is_asked_once() {
    let (app, store) = TestApp::failing_shop().await;
    app.subscribe("pro").await;
    fill_with_large_counters(&app).await;
    let query = "query ($u: String!, $f: String!) {
        canUseFeature(userId: $u, featureId: $f) { access consumption { used budget } } }";
    for (user, feature, told) in [
        ("124", "huge", "VALUE_TOO_LARGE"),
        ("124", "vast", "VALUE_TOO_LARGE"),
        ("nobody", "huge", "NOT_FOUND"),
        ("124", "nothing", "NOT_FOUND"),
    ] {
        for _ in 0..3 {
            let before = store.reads();
            let answer = app.graphql(query, json!({ "u": user, "f": feature })).send().await.ok();
            assert_eq!(answer["errors"][0]["extensions"]["code"], told, "{answer}");
            assert_eq!(store.reads() - before, 1, "{answer}");
        }
    }
}

#[tokio::test]
async fn a_plan_asks_for_the_key_and_the_media_type_each_time() {
    let (app, _) = TestApp::subscribed("basic").await;
    let query =
        "query ($u: String!) { canUseFeature(userId: $u, featureId: \"api-calls\") { access } }";
    let ask = || app.graphql(query, json!({ "u": "124" }));
    for _ in 0..3 {
        assert_eq!(ask().send().await.ok()["data"]["canUseFeature"]["access"], true);
        let refused = ask().without(&header::AUTHORIZATION).send().await;
        assert!(refused.not_executed().starts_with("UNAUTHENTICATED"));
        let refused = ask().with(header::AUTHORIZATION, app.keys.test_public.reveal()).send().await;
        assert!(refused.not_executed().starts_with("UNAUTHENTICATED"));
        let other = ask().with(header::AUTHORIZATION, app.keys.live_private.reveal()).send().await;
        assert!(other.text.contains("UserNotFoundError"), "{}", other.text);
        let refused = ask().with(header::CONTENT_TYPE, "text/plain").send().await;
        assert_eq!(refused.status, 415);
        let answer = ask().asking_graphql_response().send().await;
        assert_eq!(answer.content_type(), crate::app::GRAPHQL_RESPONSE);
    }
}
