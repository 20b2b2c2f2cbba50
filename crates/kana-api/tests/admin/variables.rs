//! Variables: how they may be written, and that nothing runs when one of them is wrong.

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::{TestApp, error};

const USER: &str = "query ($id: String!) { user(id: $id) { id } }";

async fn answer(app: &TestApp, variables: Value) -> (StatusCode, Value) {
    let answer = app.graphql(USER, variables).send().await;
    (answer.status, answer.json())
}

#[tokio::test]
async fn variables_may_be_an_object_or_a_string_that_holds_one() {
    let app = TestApp::shop().await;
    for variables in
        [json!({ "id": "124" }), json!("{\"id\": \"124\"}"), json!(" {\"id\":\"124\"}\n")]
    {
        let (status, answer) = answer(&app, variables).await;
        assert_eq!(
            (status, answer),
            (StatusCode::OK, json!({ "data": { "user": { "id": "124" } } }))
        );
    }
}

#[tokio::test]
async fn no_variables_may_be_written_in_many_ways() {
    let app = TestApp::shop().await;
    for variables in [json!(null), json!({}), json!(""), json!("  "), json!("{}"), json!("null")] {
        let answer = app.graphql("{ user(id: \"124\") { id } }", variables).send().await.ok();
        assert_eq!(answer["data"]["user"]["id"], "124");
    }
}

#[tokio::test]
async fn variables_that_are_no_object_make_the_request_malformed() {
    let app = TestApp::shop().await;
    let told = "BAD_USER_INPUT ValidationError: variables must be a JSON object or a string that \
                holds one";
    for variables in
        [json!([]), json!([{ "id": "124" }]), json!(7), json!(true), json!("[]"), json!("\"{}\"")]
    {
        let answer = app.graphql(USER, variables).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.not_executed(), told);
    }
    for variables in [json!("{"), json!("{\"id\": }"), json!("id=124")] {
        let answer = app.graphql(USER, variables).send().await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        let told = "BAD_USER_INPUT ValidationError: variables is a string, but not valid JSON: ";
        assert!(answer.not_executed().starts_with(told));
    }
}

/// A mutation that was to be skipped by default ran.
#[tokio::test]
async fn skip_and_include_go_by_the_default_of_a_variable() {
    let app = TestApp::shop().await;
    let query = "query ($yes: Boolean! = true, $no: Boolean = false) {
        a: __typename @skip(if: $yes) b: __typename @include(if: $yes)
        c: __typename @skip(if: $no) d: __typename @include(if: $no)
        ... @skip(if: $yes) { e: __typename } ... on Query @include(if: $yes) { f: __typename }
    }";
    for (variables, fields) in [
        (json!({}), &["b", "c", "f"][..]),
        (json!(null), &["b", "c", "f"]),
        (json!({ "yes": false, "no": true }), &["a", "d", "e"]),
    ] {
        let answer = app.graphql(query, variables).send().await.ok();
        let found: Vec<&String> = answer["data"].as_object().unwrap().keys().collect();
        assert_eq!(found, fields);
    }
    let create = "mutation ($yes: Boolean = true) {
        createUser(input: { id: \"skipped\" }) @skip(if: $yes) { id }
    }";
    let answer = app.graphql(create, json!({})).send().await.ok();
    assert_eq!(answer, json!({ "data": {} }));
    let found = app.data("{ users { id } }", json!({})).await;
    assert!(!found.to_string().contains("skipped"), "{found}");
}

#[tokio::test]
async fn a_single_value_where_a_list_belongs_is_a_list_of_one() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: CreatePackageInput!) { createPackage(input: $input) {
        features { id } basePackages { id } } }";
    let input = json!({
        "id": "in-variable", "isAddon": true, "basePackageIds": "pro", "features": { "id": "sso" },
    });
    let expected = json!({ "features": [{ "id": "sso" }], "basePackages": [{ "id": "pro" }] });
    let data = app.data(query, json!({ "input": input })).await;
    assert_eq!(data["createPackage"], expected);
    let query = r#"mutation { createPackage(input: {
        id: "in-literal", isAddon: true, basePackageIds: "pro", features: {id: "sso"}
    }) { features { id } basePackages { id } } }"#;
    assert_eq!(app.data(query, json!({})).await["createPackage"], expected);
    // A single feature in a variable of its own.
    let query = "mutation ($features: [CreatePackageFeatureInput!]!, $bases: [String!]) {
        createPackage(input: {
            id: \"in-parts\", isAddon: true, basePackageIds: $bases, features: $features
        }) { features { id } basePackages { id } } }";
    let variables = json!({ "features": { "id": "sso" }, "bases": "pro" });
    assert_eq!(app.data(query, variables).await["createPackage"], expected);

    let query = r#"mutation ($ids: [String!]!) {
        subscribe(userId: "124", packageIds: $ids) { package { id } } }"#;
    let data = app.data(query, json!({ "ids": "pro" })).await;
    assert_eq!(data["subscribe"], json!([{ "package": { "id": "pro" } }]));
    let query = r#"mutation { subscribe(userId: "124", packageIds: "boost") { package { id } } }"#;
    assert_eq!(app.data(query, json!({})).await["subscribe"][0]["package"]["id"], "boost");
}

#[tokio::test]
async fn a_default_counts_where_null_is_given_and_where_nothing_is() {
    let (app, _) = TestApp::subscribed("basic").await;
    let record = "mutation ($input: CreateUsageEventInput!) { createUsageEvent(input: $input) }";
    for more in [
        json!({}),
        json!({ "delta": null }),
        json!({ "action": null }),
        json!({ "delta": null, "action": null, "idempotencyKey": null, "occurredAt": null, "metadata": null }),
    ] {
        let mut input = json!({ "userId": "124", "featureId": "api-calls" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(app.data(record, json!({ "input": input })).await["createUsageEvent"], true);
    }
    let record = "mutation ($delta: Int, $action: RecordUsageAction) { createUsageEvent(input: {
        userId: \"124\", featureId: \"api-calls\", delta: $delta, action: $action}) }";
    for variables in [json!({}), json!({ "delta": null, "action": null })] {
        assert_eq!(app.data(record, variables).await["createUsageEvent"], true);
    }
    let used = r#"mutation { useFeature(input: {userId: "124", featureId: "api-calls", delta: null})
        { consumption { used } } }"#;
    // Six events of one each, and this.
    assert_eq!(app.data(used, json!({})).await["useFeature"]["consumption"]["used"], 7);

    let can = "query ($delta: Int) { canUseFeature(userId: \"124\", featureId: \"api-calls\",
        delta: $delta) { access } }";
    app.data(
        r#"mutation { createUsageEvent(input: {
            userId: "124", featureId: "api-calls", delta: 99, action: SET}) }"#,
        json!({}),
    )
    .await;
    for variables in [json!({}), json!({ "delta": null }), json!({ "delta": 1 })] {
        assert_eq!(app.data(can, variables).await["canUseFeature"]["access"], true);
    }
    assert_eq!(app.data(can, json!({ "delta": 2 })).await["canUseFeature"]["access"], false);
}

#[tokio::test]
async fn an_add_on_is_only_what_says_so() {
    let app = TestApp::shop().await;
    let query =
        "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { isAddon } }";
    for (id, is_addon, expected) in
        [("a", json!(null), false), ("b", json!(false), false), ("c", json!(true), true)]
    {
        let input =
            json!({ "id": id, "isAddon": is_addon, "features": [], "basePackageIds": null });
        let data = app.data(query, json!({ "input": input })).await;
        assert_eq!(data["createPackage"]["isAddon"], expected);
    }
    let query = r#"mutation { createPackage(input: {id: "d", features: []}) { isAddon } }"#;
    assert_eq!(app.data(query, json!({})).await["createPackage"]["isAddon"], false);
}

#[tokio::test]
async fn a_variable_that_is_not_given_takes_the_default_that_the_request_names() {
    let app = TestApp::shop().await;
    let query = "query ($id: String! = \"124\") { user(id: $id) { id } }";
    assert_eq!(app.data(query, json!({})).await["user"]["id"], "124");
    assert_eq!(
        app.refused(query, json!({ "id": null })).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$id\" is invalid: \"id\" expects \
         type String! and got null"
    );
}

#[tokio::test]
async fn neither_mutation_of_a_request_runs_when_a_variable_of_the_second_is_wrong() {
    let app = TestApp::shop().await;
    let query = "mutation ($first: CreateUserInput!, $second: CreateUserInput!) {
        first: createUser(input: $first) { id }
        second: createUser(input: $second) { id }
    }";
    for second in [
        json!({ "id": 2 }),
        json!({}),
        json!(null),
        json!({ "id": "2", "unknown": "x" }),
        json!({ "id": "2", "name": ["x"] }),
        json!([{ "id": "2" }]),
        json!("2"),
    ] {
        let variables = json!({ "first": { "id": "1" }, "second": second });
        let refused = app.refused(query, variables).await;
        assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{refused}");
        assert!(refused.contains("second"), "{refused}");
    }
    let missing = app.refused(query, json!({ "first": { "id": "1" } })).await;
    assert!(missing.contains("\"$second\" of type \"CreateUserInput!\" is missing"), "{missing}");
}

#[tokio::test]
async fn an_unknown_field_of_an_input_object_in_a_variable_is_refused_however_deep_it_stands() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { id } }";
    let entitlement = json!({ "limit": 1, "resetPeriod": "DAY", "resetDay": 3 });
    let input =
        json!({ "id": "new", "features": [{ "id": "api-calls", "entitlement": entitlement }] });
    assert_eq!(
        app.refused(query, json!({ "input": input })).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$input\" is invalid: \
         \"input.features.0.entitlement\" has a field \"resetDay\", which EntitlementInput has not"
    );
}

#[tokio::test]
async fn every_variable_that_is_wrong_is_named() {
    let app = TestApp::shop().await;
    let query = "query ($user: String!, $feature: String!) {
        canUseFeature(userId: $user, featureId: $feature) { access } }";
    let answer = app.graphql(query, json!({ "user": 1, "feature": 2 })).send().await.ok();
    insta::assert_json_snapshot!(answer, @r#"
{
  "errors": [
    {
      "message": "Variable \"$user\" is invalid: \"user\" expects type String and got a number",
      "locations": [
        {
          "line": 1,
          "column": 8
        }
      ],
      "extensions": {
        "code": "GRAPHQL_VALIDATION_FAILED",
        "exception": {
          "name": "GraphQLError",
          "message": "Variable \"$user\" is invalid: \"user\" expects type String and got a number"
        }
      }
    },
    {
      "message": "Variable \"$feature\" is invalid: \"feature\" expects type String and got a number",
      "locations": [
        {
          "line": 1,
          "column": 24
        }
      ],
      "extensions": {
        "code": "GRAPHQL_VALIDATION_FAILED",
        "exception": {
          "name": "GraphQLError",
          "message": "Variable \"$feature\" is invalid: \"feature\" expects type String and got a number"
        }
      }
    }
  ]
}
"#);
}

#[tokio::test]
async fn metadata_takes_variables_within_a_literal() {
    let app = TestApp::shop().await;
    let query = r#"mutation ($x: JSON, $gone: JSON) { createUser(input: {
        id: "125", metadata: {given: $x, list: [$x, 1, 2.5, true, null], absent: $gone}
    }) { metadata } }"#;
    let data = app.data(query, json!({ "x": { "deep": [1, "é"] } })).await;
    let x = json!({ "deep": [1, "é"] });
    let metadata = &data["createUser"]["metadata"];
    assert_eq!(metadata["given"], x);
    assert_eq!(metadata["list"], json!([x, 1, 2.5, true, null]));
}

#[tokio::test]
async fn metadata_comes_back_as_it_was_given() {
    let app = TestApp::shop().await;
    let query = "mutation ($id: String!, $metadata: JSON) {
        createUser(input: {id: $id, metadata: $metadata}) { metadata } }";
    for (id, metadata) in [
        ("a", json!({})),
        ("b", json!({ "z": 1, "a": { "y": [], "b": "\u{0}\u{1f980}" }, "": null })),
        ("c", json!({ "big": 9_007_199_254_740_993_i64, "small": -1.5e-7, "u": u64::MAX })),
    ] {
        let data = app.data(query, json!({ "id": id, "metadata": metadata })).await;
        assert_eq!(data["createUser"]["metadata"].to_string(), metadata.to_string());
    }
}

#[tokio::test]
async fn variables_that_the_operation_does_not_declare_are_ignored() {
    let app = TestApp::shop().await;
    let data = app.data(USER, json!({ "id": "124", "more": { "deep": 1 } })).await;
    assert_eq!(data["user"]["id"], "124");
}

#[tokio::test]
async fn a_variable_that_was_not_given_leaves_what_its_field_would_change() {
    let app = TestApp::shop().await;
    let query = "mutation ($name: String, $email: String) {
        updateUser(id: \"124\", input: {name: $name, email: $email}) { name email } }";
    let both = app.data(query, json!({ "name": "Ada", "email": "a@b.co" })).await;
    assert_eq!(both["updateUser"], json!({ "name": "Ada", "email": "a@b.co" }));
    let one = app.data(query, json!({ "name": "Bea" })).await;
    assert_eq!(one["updateUser"], json!({ "name": "Bea", "email": "a@b.co" }));
    let cleared = app.data(query, json!({ "email": null })).await;
    assert_eq!(cleared["updateUser"], json!({ "name": "Bea", "email": null }));
}

/// The library panicked, and the client was told of an internal error.
#[tokio::test]
async fn a_variable_with_a_default_and_an_unknown_type_is_refused() {
    let app = TestApp::shop().await;
    for (declared, unknown) in [
        ("$a: Nothing = \"x\"", "Nothing"),
        ("$a: [Nothing!] = [\"x\"]", "Nothing"),
        ("$a: [[Nothing]]! = null", "Nothing"),
        ("$a: [User] = [{id: \"x\"}]", "User"),
    ] {
        let query = format!("query ({declared}) {{ features {{ id }} }}");
        let answer = app.graphql(&query, json!({})).send().await.json();
        assert_eq!(answer.get("data"), None, "{answer}");
        // The variable is not used either, which is the second error.
        assert_eq!(
            error(&answer["errors"][0]),
            format!(
                "GRAPHQL_VALIDATION_FAILED GraphQLError: Type of variable $a, {unknown}, is not an \
                 input type"
            )
        );
    }
}

#[tokio::test]
async fn minus_zero_is_an_int_in_a_literal_and_in_a_variable() {
    let (app, _) = TestApp::subscribed("basic").await;
    let used = "consumption { used }";
    let by_literal = format!(
        r#"mutation {{ useFeature(input: {{userId: "124", featureId: "api-calls", delta: -0}}) {{ {used} }} }}"#
    );
    assert_eq!(app.data(&by_literal, json!({})).await["useFeature"]["consumption"]["used"], 0);
    let can = r#"{ canUseFeature(userId: "124", featureId: "api-calls", delta: -0) { access } }"#;
    assert_eq!(app.data(can, json!({})).await["canUseFeature"]["access"], true);
    // Written out, since `json!` has no minus zero.
    for (query, variables) in [
        (
            format!(
                "mutation ($input: UseFeatureInput!) {{ useFeature(input: $input) {{ {used} }} }}"
            ),
            r#"{"input": {"userId": "124", "featureId": "api-calls", "delta": -0}}"#,
        ),
        (
            format!(
                "mutation ($delta: Int) {{ useFeature(input: {{userId: \"124\", featureId: \"api-calls\", \
                 delta: $delta}}) {{ {used} }} }}"
            ),
            r#"{"delta": -0}"#,
        ),
        (
            format!(
                "mutation ($delta: Int = -0) {{ useFeature(input: {{userId: \"124\", featureId: \
                 \"api-calls\", delta: $delta}}) {{ {used} }} }}"
            ),
            "{}",
        ),
    ] {
        let body = format!(r#"{{"query": {}, "variables": {variables}}}"#, json!(query));
        let answer = app.post(body).send().await.ok();
        assert_eq!(answer["data"]["useFeature"]["consumption"]["used"], 0, "{answer}");
    }
    let refused = app.refused(&by_literal.replace("-0", "-0.0"), json!({})).await;
    assert!(refused.contains("expects type Int and got a number"), "{refused}");
}

#[tokio::test]
async fn every_character_can_be_escaped_in_a_literal() {
    let app = TestApp::shop().await;
    for (number, (literal, text)) in [
        (r#""\uD83D\uDE00""#, "\u{1f600}"),
        (r#""\u{1F600} \u{e9}\u00e9""#, "\u{1f600} éé"),
        (r#""a\u{22}\u{5C}b""#, "a\"\\b"),
        (r#""""x \""" y""""#, "x \"\"\" y"),
        (
            "\"\"\"\n    one\n  \n      \\\"\"\"two\\\"\"\" é\n  \"\"\"",
            "one\n\n  \"\"\"two\"\"\" é",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let query = format!(
            "mutation {{ createUser(input: {{id: \"u{number}\", metadata: {{a: {literal}}}}}) {{ metadata }} }}"
        );
        let data = app.data(&query, json!({})).await;
        assert_eq!(data["createUser"]["metadata"], json!({ "a": text }), "{literal}");
        let query = format!("{{ feature(id: {literal}) {{ id }} }}");
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("NOT_FOUND") || text.contains('\n'), "{literal}: {refused}");
    }
    for literal in
        [r#""\uD83D""#, r#""\u{D83D}""#, r#""\uDE00\uD83D""#, r#""\u{110000}""#, r#""\u{}""#]
    {
        let query = format!("{{ feature(id: {literal}) {{ id }} }}");
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_PARSE_FAILED"), "{literal}: {refused}");
    }
}

#[tokio::test]
async fn an_error_stands_where_it_stands_in_what_was_sent() {
    let app = TestApp::shop().await;
    let query = "{ a: feature(id: \"\"\"
        x \\\"\"\" y\"\"\") { id } # é
        b: feature(id: \"\\u{1F600}\\uD83D\\uDE00\", no: 1) { id } }";
    let answer = app.graphql(query, json!({})).send().await.ok();
    let at = query.lines().nth(2).unwrap().find("no:").unwrap() + 1;
    assert_eq!(answer["errors"][0]["locations"], json!([{ "line": 3, "column": at }]), "{answer}");
}
