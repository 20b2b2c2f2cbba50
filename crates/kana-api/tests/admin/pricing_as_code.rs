//! `/cli/pull`, `/cli/validate` and `/cli/publish`, as an old client and as ours call them.

use std::collections::BTreeSet;

use axum::http::{Method, StatusCode, header};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::app::{Answer, Ask, JSON, TestApp};

async fn pull(app: &TestApp) -> Answer {
    app.request(Method::GET, "/cli/pull").send().await
}

fn validating<'a>(app: &'a TestApp, file: &Value) -> Ask<'a> {
    app.request(Method::POST, "/cli/validate").body(file.to_string())
}

fn publishing<'a>(app: &'a TestApp, file: &Value) -> Ask<'a> {
    app.request(Method::POST, "/cli/publish").body(file.to_string())
}

/// The lines that `validate` answers, as an old client prints them.
async fn lines(app: &TestApp, file: &Value) -> Vec<String> {
    let answer = validating(app, file).send().await.ok();
    answer["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| line.as_str().unwrap().to_owned())
        .collect()
}

/// The error of a call that was refused; nothing is stored by it.
async fn refused(app: &TestApp, ask: Ask<'_>, status: StatusCode) -> String {
    let stored = app.stored();
    let answer = ask.send().await;
    assert_eq!((answer.status, answer.content_type()), (status, JSON), "{}", answer.text);
    assert_eq!(app.stored(), stored);
    answer.json()["error"].as_str().unwrap().to_owned()
}

fn version(answer: &Answer) -> String {
    answer.headers[header::ETAG].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn pull_answers_what_the_environment_holds() {
    let app = TestApp::shop().await;
    let pulled = pull(&app).await.ok();
    let sso = json!([{ "id": "sso" }]);
    let monthly =
        |limit: i64| json!({ "id": "api-calls", "limit": limit, "reset_period": "MONTH" });
    let mut of_pro = monthly(1000);
    of_pro["overage_enabled"] = json!(true);
    let expected = json!({
        "app": "story",
        "version": "1.0.0",
        "features": [
            { "id": "api-calls", "name": "api-calls", "type": "CONSUMABLE" },
            { "id": "sso", "name": "sso", "type": "BINARY" },
        ],
        "packages": {
            "draft": [{ "id": "draft", "name": "draft", "features": sso }],
            "published": [
                { "id": "basic", "name": "basic", "features": [monthly(100)] },
                { "id": "pro", "name": "pro", "features": [{ "id": "sso" }, of_pro] },
            ],
        },
        "addons": {
            "draft": [],
            "published": [
                { "id": "boost", "name": "boost", "base_packages": ["pro"], "features": sso },
                { "id": "extra", "name": "extra", "base_packages": [], "features": sso },
            ],
        },
    });
    assert_eq!(pulled, expected);
    let empty = app.request(Method::GET, "/cli/pull");
    let empty = empty.with(header::AUTHORIZATION, app.keys.live_private.reveal()).send().await.ok();
    let lists = json!({ "draft": [], "published": [] });
    assert_eq!(
        empty,
        json!({ "app": "story", "version": "1.0.0", "features": [], "packages": lists, "addons": lists })
    );
}

#[tokio::test]
async fn pull_then_publish_unchanged_changes_nothing() {
    let app = TestApp::shop().await;
    let pulled = pull(&app).await;
    let stored = app.stored();
    let answer = validating(&app, &pulled.json()).send().await;
    assert_eq!(answer.ok(), json!({ "data": [], "findings": [], "entries": [], "changes": 0 }));
    assert_eq!(version(&answer), version(&pulled));
    let published = publishing(&app, &pulled.json()).send().await;
    assert_eq!(published.ok(), pulled.json());
    assert_eq!(version(&published), version(&pulled));
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn what_validate_says_is_what_publish_does() {
    let app = TestApp::shop().await;
    app.subscribe("pro").await;
    let mut file = pull(&app).await.ok();
    file["packages"]["published"][1]["features"][1]["limit"] = json!(2000);
    file["features"][1]["name"] = json!("Single sign-on");
    file["packages"]["draft"] = json!([]);
    let answer = validating(&app, &file).send().await.ok();
    let sentences = [
        ("warning", "the feature sso changes: name \"sso\" → \"Single sign-on\""),
        (
            "error",
            "the package pro changes for everyone subscribed: api-calls (limit 1000 per MONTH, \
            overage) → (limit 2000 per MONTH, overage); it has 1 active subscriber",
        ),
        ("warning", "the draft draft is not in the file and is deleted"),
    ];
    let places = [
        json!({ "place": "features[1]", "steps": ["features", 1] }),
        json!({ "place": "packages.published[1].features[1]",
                "steps": ["packages", "published", 1, "features", 1] }),
        json!({ "place": null, "steps": [] }),
    ];
    let (mut data, mut findings) = (Vec::new(), Vec::new());
    for ((severity, message), place) in sentences.into_iter().zip(places) {
        data.push(format!("[{}] {message}", severity.to_uppercase()));
        findings.push(json!({ "severity": severity, "message": message, "refused": false,
            "place": place["place"], "steps": place["steps"] }));
    }
    let entries = answer["entries"].clone();
    assert_eq!(
        answer,
        json!({ "data": data, "findings": findings, "entries": entries, "changes": 3 })
    );
    let published = publishing(&app, &file).send().await.ok();
    assert_eq!(published, file);
    assert_eq!(lines(&app, &file).await, [""; 0]);
    assert_eq!(pull(&app).await.ok(), file);
    let budget = app
        .data(
            r#"{ canUseFeature(userId: "124", featureId: "api-calls") { consumption { budget } } }"#,
            json!({}),
        )
        .await;
    assert_eq!(budget["canUseFeature"]["consumption"]["budget"], 2000);
}

#[tokio::test]
async fn the_plan_is_there_as_data() {
    let app = TestApp::shop().await;
    app.subscribe("pro").await;
    let mut file = pull(&app).await.ok();
    file["packages"]["published"][1]["features"][1]["reset_period"] = json!("DAY");
    file["packages"]["draft"] = json!([]);
    let features = file["features"].as_array_mut().unwrap();
    features.push(json!({ "id": "new", "name": "New", "type": "BINARY" }));
    let answer = validating(&app, &file).send().await.ok();
    let value = |field: &str, after: &str| json!({ "field": field, "before": null, "after": after, "severity": "information" });
    let entry = |kind: &str, id: &str, action: &str, severity: &str, differences: Value| {
        json!({ "kind": kind, "id": id, "action": action, "severity": severity,
            "differences": differences, "omitted_differences": 0, "reason": null,
            "active_subscribers": null })
    };
    let created = json!([value("type", "BINARY"), value("name", "New")]);
    let changed = json!([{
        "field": "feature",
        "feature": "api-calls",
        "before": "limit 1000 per MONTH, overage",
        "after": "limit 1000 per DAY, overage",
        "severity": "error",
        "note": "usage starts again at 0",
    }]);
    let mut pro = entry("package", "pro", "change", "error", changed);
    pro["active_subscribers"] = json!(1);
    assert_eq!(
        answer["entries"],
        json!([
            entry("feature", "new", "create", "information", created),
            pro,
            entry("package", "draft", "delete", "warning", json!([])),
        ])
    );
}

#[tokio::test]
async fn an_invalid_file_is_validated_with_errors_and_not_published() {
    let app = &TestApp::shop().await;
    let mut file = pull(app).await.ok();
    file["packages"]["published"][0]["features"][0]["limit"] = json!("many");
    file["colour"] = json!("red");
    let answer = validating(app, &file).send().await.ok();
    let lines = answer["data"].as_array().unwrap();
    assert_eq!(lines.len(), 2, "{answer}");
    for line in lines {
        assert!(line.as_str().unwrap().starts_with("[ERROR] "), "{answer}");
    }
    assert_eq!(answer["findings"][1]["place"], "packages.published[0].features[0].limit");
    let steps = json!(["packages", "published", 0, "features", 0, "limit"]);
    assert_eq!(answer["findings"][1]["steps"], steps);
    assert_eq!(answer["findings"][1]["refused"], true);
    let error = refused(app, publishing(app, &file), StatusCode::BAD_REQUEST).await;
    assert!(error.contains("colour") && error.contains("(and 1 more)"), "{error}");
}

#[tokio::test]
async fn what_the_environment_forbids_is_refused_as_a_whole() {
    let app = &TestApp::shop().await;
    let mut file = pull(app).await.ok();
    file["features"]
        .as_array_mut()
        .unwrap()
        .push(json!({ "id": "new", "name": "New", "type": "BINARY" }));
    let basic = file["packages"]["published"].as_array_mut().unwrap().remove(0);
    file["packages"]["draft"].as_array_mut().unwrap().push(basic);
    let lines = lines(app, &file).await;
    assert!(
        lines[0].starts_with("[ERROR] packages.draft[1]: the package basic is PUBLISHED"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "the feature new is new (BINARY)");
    let error = refused(app, publishing(app, &file), StatusCode::BAD_REQUEST).await;
    assert!(error.contains("basic is PUBLISHED"), "{error}");
}

#[tokio::test]
async fn bodies_that_are_no_configuration_are_told_so() {
    let app = &TestApp::shop().await;
    for body in
        ["", "features: []", "[]", "null", "{", "\"x\"", "{}", "{\"features\":[],\"features\":[]}"]
            .map(|body| body.as_bytes().to_vec())
            .into_iter()
            .chain([vec![0xff, 0xfe], "[".repeat(100_000).into_bytes(), b"{\"a\":".repeat(5000)])
    {
        let shown = String::from_utf8_lossy(&body[..body.len().min(40)]).into_owned();
        let ask = app.request(Method::POST, "/cli/validate").body(body.clone());
        let answer = ask.send().await.ok();
        let line = answer["data"][0].as_str().unwrap_or_else(|| panic!("{shown}: {answer}"));
        assert!(line.starts_with("[ERROR] the file: "), "{shown}: {line}");
        let ask = app.request(Method::POST, "/cli/publish").body(body);
        refused(app, ask, StatusCode::BAD_REQUEST).await;
    }
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused() {
    let app = &TestApp::shop().await;
    for uri in ["/cli/validate", "/cli/publish"] {
        let body = vec![b' '; 8 * 1024 * 1024 + 1];
        let ask = app.request(Method::POST, uri).body(body);
        let error = refused(app, ask, StatusCode::PAYLOAD_TOO_LARGE).await;
        assert_eq!(error, "The configuration is larger than 8 MiB");
    }
}

#[tokio::test]
async fn whoever_has_no_private_key_is_turned_away() {
    let app = &TestApp::shop().await;
    let file = pull(app).await.ok();
    for (method, uri) in [
        (Method::GET, "/cli/pull"),
        (Method::POST, "/cli/validate"),
        (Method::POST, "/cli/publish"),
    ] {
        let ask = || app.request(method.clone(), uri).body(file.to_string());
        for key in ["", "Bearer ", "garbage", app.keys.test_public.reveal()] {
            let ask = ask().with(header::AUTHORIZATION, key);
            let error = refused(app, ask, StatusCode::UNAUTHORIZED).await;
            assert!(error.starts_with("Unauthenticated"), "{error}");
        }
        let ask = ask().without(&header::AUTHORIZATION);
        refused(app, ask, StatusCode::UNAUTHORIZED).await;
        let bearer = format!("Bearer {}", app.keys.test_private.reveal());
        let answer = app.request(method.clone(), uri).body(file.to_string());
        answer.with(header::AUTHORIZATION, bearer).send().await.ok();
    }
}

#[tokio::test]
async fn of_two_publishes_from_one_starting_point_the_second_is_stale() {
    let app = &TestApp::shop().await;
    let pulled = pull(app).await;
    let mut file = pulled.json();
    file["features"][0]["name"] = json!("Calls");
    let first = publishing(app, &file).with(header::IF_MATCH, version(&pulled)).send().await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text);
    assert_ne!(version(&first), version(&pulled));

    file["features"][0]["name"] = json!("Anrufe");
    let ask = publishing(app, &file).with(header::IF_MATCH, version(&pulled));
    let error = refused(app, ask, StatusCode::PRECONDITION_FAILED).await;
    assert!(error.contains("have changed since they were pulled"), "{error}");
    // What is no version of ours never matches; old clients send none and are served.
    let ask = publishing(app, &file).with(header::IF_MATCH, "\"other\"");
    refused(app, ask, StatusCode::PRECONDITION_FAILED).await;
    assert_eq!(publishing(app, &file).send().await.ok(), file);
    // A change by the Admin API counts as well.
    let pulled = pull(app).await;
    app.data(r#"mutation { createFeature(input: {id: "x", type: BINARY}) { id } }"#, json!({}))
        .await;
    let ask = publishing(app, &file).with(header::IF_MATCH, version(&pulled));
    refused(app, ask, StatusCode::PRECONDITION_FAILED).await;
}

#[tokio::test]
async fn of_many_publishes_at_once_from_one_starting_point_one_is_made() {
    let app = &TestApp::shop().await;
    let pulled = pull(app).await;
    let answers = join_all((0..20).map(|n| {
        let mut file = pulled.json();
        file["features"][0]["name"] = json!(format!("Calls {n}"));
        file["packages"]["published"][0]["name"] = json!(format!("Basic {n}"));
        publishing(app, &file).with(header::IF_MATCH, version(&pulled)).send()
    }))
    .await;
    let made: Vec<&Answer> = answers.iter().filter(|answer| answer.status.is_success()).collect();
    assert_eq!(made.len(), 1);
    assert!(answers.iter().all(
        |answer| answer.status.is_success() || answer.status == StatusCode::PRECONDITION_FAILED
    ));
    assert_eq!(pull(app).await.json(), made[0].json());
}

#[tokio::test]
async fn publishes_that_race_are_each_whole() {
    let app = &TestApp::shop().await;
    let pulled = pull(app).await.json();
    let answers = join_all((0..10).map(|n| {
        let mut file = pulled.clone();
        file["features"][0]["name"] = json!(format!("{n}"));
        file["packages"]["published"][0]["name"] = json!(format!("{n}"));
        publishing(app, &file).send()
    }))
    .await;
    let seen: BTreeSet<String> = answers
        .iter()
        .map(|answer| {
            let file = answer.ok();
            let name = file["features"][0]["name"].as_str().unwrap().to_owned();
            assert_eq!(file["packages"]["published"][0]["name"], name.as_str());
            name
        })
        .collect();
    assert_eq!(seen.len(), 10, "each answers what it made");
}

#[tokio::test]
async fn usage_and_subscriptions_go_on_while_packages_change() {
    let app = &TestApp::shop().await;
    app.subscribe("pro").await;
    let pulled = pull(app).await.json();
    let record =
        r#"mutation { recordUsage(input: {userId: "124", featureId: "api-calls"}) { recorded } }"#;
    let subscribe = r#"mutation ($id: String!) { user: createUser(input: {id: $id}) { id }
        subscribe(userId: $id, packageIds: ["basic"]) { id } }"#;
    let story = |n: usize| {
        let mut file = pulled.clone();
        file["packages"]["published"][1]["features"][1]["limit"] = json!(1000 + n);
        async move {
            let publish = publishing(app, &file).send();
            let id = format!("user-{n}");
            let (published, recorded, subscribed) = tokio::join!(
                publish,
                app.graphql(record, json!({})).send(),
                app.graphql(subscribe, json!({ "id": id })).send(),
            );
            published.ok();
            for answer in [recorded.ok(), subscribed.ok()] {
                assert_eq!(answer.get("errors"), None);
            }
        }
    };
    join_all((0..20).map(story)).await;
    let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        consumption { used } } }"#;
    let data = app.data(query, json!({})).await;
    assert_eq!(data["canUseFeature"]["consumption"]["used"], 20);
}

#[tokio::test]
async fn a_feature_with_usage_is_kept_and_one_without_is_deleted() {
    let app = &TestApp::shop().await;
    let all = r#"{"app":"story","features":[{"id":"sso","name":"SSO","type":"BINARY"}],
        "packages":{"draft":[],"published":[{"id":"basic","name":"basic","features":[{"id":"sso"}]}]}}"#;
    app.data(
        r#"mutation { createFeature(input: {id: "spare", type: CONSUMABLE}) { id } }"#,
        json!({}),
    )
    .await;
    app.data(
        r#"mutation { createFeature(input: {id: "used", type: CONSUMABLE}) { id } }"#,
        json!({}),
    )
    .await;
    // Nothing grants it: it is not counted, and it is usage all the same.
    app.data(
        r#"mutation { recordUsage(input: {userId: "124", featureId: "used"}) { recorded } }"#,
        json!({}),
    )
    .await;
    let file: Value = serde_json::from_str(all).unwrap();
    let lines = lines(app, &file).await;
    assert!(
        lines.contains(&"[WARNING] the feature spare is not in the file and is deleted".to_owned()),
        "{lines:?}"
    );
    assert!(
        lines.contains(
            &"[WARNING] the feature used is not in the file and is kept: it has usage, or was given to users".to_owned()
        ),
        "{lines:?}"
    );
    let published = publishing(app, &file).send().await.ok();
    let features = published["features"].as_array().unwrap();
    let ids: Vec<&str> = features.iter().map(|feature| feature["id"].as_str().unwrap()).collect();
    // `pro` had api-calls; it is archived, and goes on granting.
    assert_eq!(ids, ["api-calls", "sso", "used"]);
    let answer = app.graphql(r#"{ feature(id: "spare") { id } }"#, json!({})).send().await.ok();
    assert!(crate::app::only_error(&answer).starts_with("NOT_FOUND"), "{answer}");
}
