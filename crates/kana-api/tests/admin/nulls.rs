//! What a field that fails takes with it, and in which order answers come.

use serde_json::{Value, json};

use crate::app::{TestApp, error};

#[tokio::test]
async fn a_nullable_field_that_fails_leaves_its_siblings() {
    let app = TestApp::shop().await;
    let query = r#"{ feature(id: "api-calls") {
        name
        nobody: entitlement(userId: "nobody") { access }
        somebody: entitlement(userId: "124") { access }
    } }"#;
    let answer = app.graphql(query, json!({})).send().await.ok();
    insta::assert_json_snapshot!(answer, @r#"
{
  "data": {
    "feature": {
      "name": "api-calls",
      "nobody": null,
      "somebody": {
        "access": false
      }
    }
  },
  "errors": [
    {
      "message": "User not found: nobody",
      "locations": [
        {
          "line": 3,
          "column": 9
        }
      ],
      "path": [
        "feature",
        "nobody"
      ],
      "extensions": {
        "code": "NOT_FOUND",
        "exception": {
          "name": "UserNotFoundError",
          "message": "User not found: nobody"
        }
      }
    }
  ]
}
"#);
}

#[tokio::test]
async fn a_root_field_that_must_not_be_null_makes_the_data_null_when_it_fails() {
    let app = TestApp::shop().await;
    let query = r#"{ a: feature(id: "sso") { id } b: feature(id: "nothing") { id } }"#;
    let answer = app.graphql(query, json!({})).send().await.ok();
    insta::assert_json_snapshot!(answer, @r#"
{
  "data": null,
  "errors": [
    {
      "message": "Feature not found: nothing",
      "locations": [
        {
          "line": 1,
          "column": 32
        }
      ],
      "path": [
        "b"
      ],
      "extensions": {
        "code": "NOT_FOUND",
        "exception": {
          "name": "FeatureNotFoundError",
          "message": "Feature not found: nothing"
        }
      }
    }
  ]
}
"#);
}

#[tokio::test]
async fn a_list_item_that_must_not_be_null_carries_its_failure_up_to_what_may_be() {
    let (app, _) = TestApp::subscribed("pro").await;
    grow_the_counter_past_an_int(&app).await;
    let query = r#"{ showUsage(userId: "124", featureId: "api-calls") {
        current { periodStart consumption { used } }
        past { periodStart }
    } }"#;
    let answer = app.graphql(query, json!({})).send().await.ok();
    assert_eq!(answer["data"], json!({ "showUsage": { "current": null, "past": [] } }));
    let path = json!(["showUsage", "current", "consumption", "used"]);
    assert_eq!(answer["errors"][0]["path"], path);
}

async fn grow_the_counter_past_an_int(app: &TestApp) {
    let query = r#"mutation {
        set: recordUsage(input: {
            userId: "124", featureId: "api-calls", action: SET, delta: 2147483647}) { recorded }
        add: recordUsage(input: {userId: "124", featureId: "api-calls"}) { recorded }
    }"#;
    app.data(query, json!({})).await;
}

#[tokio::test]
async fn a_counter_that_no_longer_fits_is_an_error_and_is_still_told_exactly() {
    let (app, _) = TestApp::subscribed("pro").await;
    let exact = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        access reason consumption { usedExact budget budgetExact overageEnabled }
    } }"#;
    let int = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
        access consumption { used }
    } }"#;
    let set = r#"mutation { recordUsage(input: {
        userId: "124", featureId: "api-calls", action: SET, delta: 2147483647}) { recorded } }"#;
    app.data(set, json!({})).await;
    let fits = app.data(int, json!({})).await;
    assert_eq!(fits["canUseFeature"]["consumption"]["used"], 2_147_483_647_i64);

    grow_the_counter_past_an_int(&app).await;
    let answer = app.graphql(int, json!({})).send().await.ok();
    assert_eq!(
        error(&answer["errors"][0]),
        "VALUE_TOO_LARGE ValueTooLargeError: The value does not fit an Int; usedExact has it \
         exactly"
    );
    // The consumption may be null, and so the rest of the answer stands.
    assert_eq!(answer["data"]["canUseFeature"], json!({ "access": true, "consumption": null }));
    insta::assert_json_snapshot!(app.data(exact, json!({})).await, @r#"
{
  "canUseFeature": {
    "access": true,
    "reason": "The usage is over the user's budget, and overage is allowed.",
    "consumption": {
      "usedExact": "2147483648",
      "budget": 1000,
      "budgetExact": "1000",
      "overageEnabled": true
    }
  }
}
"#);
}

#[tokio::test]
async fn answers_come_in_the_order_of_the_selection() {
    let (app, _) = TestApp::subscribed("pro").await;
    let query = r#"{
        z: user(id: "124") { metadata id }
        a: canUseFeature(userId: "124", featureId: "api-calls") { reason access }
        __typename
        m: feature(id: "sso") {
            type
            ...names
            entitlement(userId: "124") { consumption { used } access }
            id
        }
    }
    fragment names on Feature { name packages { status id } unitLabel }"#;
    let data = app.data(query, json!({})).await;
    let keys =
        |value: &Value| -> Vec<String> { value.as_object().unwrap().keys().cloned().collect() };
    assert_eq!(keys(&data), ["z", "a", "__typename", "m"]);
    assert_eq!(keys(&data["z"]), ["metadata", "id"]);
    assert_eq!(keys(&data["a"]), ["reason", "access"]);
    let expected = ["type", "name", "packages", "unitLabel", "entitlement", "id"];
    assert_eq!(keys(&data["m"]), expected);
    assert_eq!(keys(&data["m"]["packages"][0]), ["status", "id"]);
    assert_eq!(keys(&data["m"]["entitlement"]), ["consumption", "access"]);
}

#[tokio::test]
async fn fields_that_are_selected_twice_are_answered_once() {
    let app = TestApp::shop().await;
    let query = r#"{ user(id: "124") { id } ...more user(id: "124") { name id } }
        fragment more on Query { user(id: "124") { email } }"#;
    let data = app.data(query, json!({})).await;
    assert_eq!(data, json!({ "user": { "id": "124", "email": null, "name": null } }));
}

#[tokio::test]
async fn mutations_of_one_request_run_in_their_order() {
    let app = TestApp::shop().await;
    let query = r#"mutation {
        b: subscribe(userId: "124", packageIds: "basic") { package { id } }
        a: recordUsage(input: {userId: "124", featureId: "api-calls", delta: 3}) { recorded }
        z: useFeature(input: {userId: "124", featureId: "api-calls"}) { consumption { used } }
        c: recordUsage(input: {userId: "124", featureId: "api-calls"}) { recorded }
        d: useFeature(input: {userId: "124", featureId: "api-calls"}) { consumption { used } }
    }"#;
    let data = app.data(query, json!({})).await;
    assert_eq!(data["z"]["consumption"]["used"], 4);
    assert_eq!(data["d"]["consumption"]["used"], 6);
}

#[tokio::test]
async fn what_ran_before_a_mutation_that_failed_stays_done() {
    let app = TestApp::shop().await;
    let query = r#"mutation {
        first: createUser(input: {id: "first"}) { id }
        taken: createUser(input: {id: "124"}) { id }
    }"#;
    let answer = app.graphql(query, json!({})).send().await.ok();
    assert_eq!(answer["data"], Value::Null);
    assert_eq!(answer["errors"][0]["path"], json!(["taken"]));
    assert_eq!(app.data(r#"{ user(id: "first") { id } }"#, json!({})).await["user"]["id"], "first");
}

#[tokio::test]
async fn skip_and_include_are_obeyed() {
    let app = TestApp::shop().await;
    let query = r#"query ($yes: Boolean!) {
        user(id: "124") { id name @skip(if: $yes) email @include(if: $yes) }
        gone: feature(id: "nothing") @skip(if: $yes) { id }
    }"#;
    let data = app.data(query, json!({ "yes": true })).await;
    assert_eq!(data, json!({ "user": { "id": "124", "email": null } }));
}
