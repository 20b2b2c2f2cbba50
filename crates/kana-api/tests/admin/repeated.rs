//! Documents that come again are neither parsed nor validated again. Whatever was wrong with a
//! request is wrong with the next one in the same words, also after the same text was once fine.

use serde_json::{Value, json};

use crate::app::TestApp;

/// Sends the request three times, the same text with good variables in between, and wants the same
/// refusal each time, of a request that was not executed.
async fn is_refused_again(app: &TestApp, query: &str, bad: Value, good: Option<Value>) {
    let stored = app.stored();
    let send = || app.graphql(query, bad.clone()).send();
    let first = send().await;
    assert_eq!(first.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["errors"], "{query}");
    assert_eq!(send().await.text, first.text, "{query}");
    assert_eq!(app.stored(), stored, "{query}");
    if let Some(good) = good {
        let answer = app.graphql(query, good).send().await.ok();
        assert_eq!(answer.get("errors"), None, "{answer}");
        let stored = app.stored();
        assert_eq!(send().await.text, first.text, "{query}, after it was once fine");
        assert_eq!(app.stored(), stored, "{query}");
    }
}

#[tokio::test]
async fn a_variable_of_the_wrong_type_is_refused_again() {
    let app = TestApp::shop().await;
    let query = "query ($id: String!) { user(id: $id) { id } }";
    let good = json!({ "id": "124" });
    for bad in [json!({ "id": 124 }), json!({ "id": null }), json!({}), json!({ "id": ["124"] })] {
        is_refused_again(&app, query, bad, Some(good.clone())).await;
    }
}

#[tokio::test]
async fn an_unknown_field_inside_an_input_object_in_a_variable_is_refused_again() {
    let app = TestApp::shop().await;
    let query =
        "mutation ($input: UpdateUserInput!) { updateUser(id: \"124\", input: $input) { id } }";
    let bad = json!({ "input": { "name": "Ada", "nmae": "Ada" } });
    is_refused_again(&app, query, bad, Some(json!({ "input": { "name": "Ada" } }))).await;
}

#[tokio::test]
async fn a_variable_within_a_literal_is_held_against_its_place_again() {
    let app = TestApp::shop().await;
    let wrong_type = "mutation ($id: Int) { createUser(input: {id: $id}) { id } }";
    let may_be_null = "mutation ($id: String) { createUser(input: {id: $id}) { id } }";
    for query in [wrong_type, may_be_null] {
        for variables in [json!({}), json!({ "id": 5 }), json!({ "id": "new" })] {
            is_refused_again(&app, query, variables, None).await;
        }
    }
    let query = "mutation ($id: String!) { updateUser(id: $id, input: {name: $id}) { id } }";
    is_refused_again(&app, query, json!({ "id": 5 }), Some(json!({ "id": "124" }))).await;
}

#[tokio::test]
async fn a_mutation_whose_second_field_has_a_bad_variable_never_runs_its_first() {
    let app = TestApp::shop().await;
    let query = "mutation ($name: String, $feature: UpdateFeatureInput!) {
        updateUser(id: \"124\", input: {name: $name}) { id }
        updateFeature(id: \"sso\", input: $feature) { id }
    }";
    let good = json!({ "name": "Ada", "feature": { "name": "Single sign-on" } });
    for bad in [
        json!({ "name": "Eve", "feature": { "name": 5 } }),
        json!({ "name": "Eve", "feature": { "other": "x" } }),
        json!({ "name": "Eve" }),
    ] {
        is_refused_again(&app, query, bad, Some(good.clone())).await;
    }
}

#[tokio::test]
async fn a_document_that_is_invalid_or_too_large_is_refused_again() {
    let app = TestApp::shop().await;
    let deep = "{ features { packages ".repeat(8) + "{ id }" + &"} }".repeat(8);
    let wide: String = (0..1001).map(|index| format!("a{index}: __typename ")).collect();
    for query in [
        "{ nope }",
        "{ user(id: 5) { id } }",
        "{ user(id: \"124\") }",
        "{ user(id: \"124\") { id ",
        "query ($unused: String) { users { id } }",
        "{ ...f } fragment f on Query { ...f }",
        &deep,
        &format!("{{ {wide} }}"),
    ] {
        is_refused_again(&app, query, json!({}), None).await;
    }
}

#[tokio::test]
async fn the_operation_name_is_part_of_what_comes_again() {
    let app = TestApp::shop().await;
    let text = "query one { user(id: \"124\") { id } } query two { features { id } }";
    let ask = async |name: Value| {
        let request = json!({ "query": text, "operationName": name }).to_string();
        app.post(request).send().await.json()
    };
    for _ in 0..2 {
        assert_eq!(ask(json!("one")).await["data"], json!({ "user": { "id": "124" } }));
        assert!(ask(json!("two")).await["data"]["features"].is_array());
        assert_eq!(ask(json!("three")).await.get("data"), None);
        assert_eq!(ask(Value::Null).await.get("data"), None);
    }
}

#[tokio::test]
async fn what_the_library_would_let_through_is_refused_again() {
    let app = TestApp::shop().await;
    for query in [
        "mutation { createUser(input: { id: \"new\", id: \"newer\" }) { id } }",
        "{ user(id: \"124\") { subscriptions { x: id } } user(id: \"124\") { subscriptions { x: userId } } }",
        "{ a: __typename @skip(if: false) @skip(if: false) }",
        "{ a: __typename @other }",
    ] {
        is_refused_again(&app, query, json!({}), None).await;
    }
}
