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

#[tokio::test]
async fn a_mutation_of_which_a_later_field_is_invalid_never_runs_its_first() {
    let app = TestApp::shop().await;
    for (arguments, second) in [
        ("$x: String!", "createUser(input: {id: {a: $x}}) { id }"),
        ("$x: String!", "createUser(input: {id: [$x]}) { id }"),
        ("$x: String!", "createUser(input: {id: \"b\", name: {a: $x}}) { id }"),
        ("$x: String!", "publishPackage(id: [$x]) { id }"),
        (
            "$x: Int",
            "recordUsage(input: {userId: \"124\", featureId: \"sso\", delta: [$x]}) { recorded }",
        ),
        (
            "$x: DateTime",
            "subscribe(userId: \"124\", packageIds: [\"pro\"], startedAt: [$x]) { id }",
        ),
        ("$x: Boolean!", "publishPackage(id: \"draft\") @skip(if: [$x]) { id }"),
        ("$x: Boolean!", "publishPackage(id: \"draft\") { id __typename @skip(if: {a: $x}) }"),
        ("$x: Boolean! @skip(if: $x)", "publishPackage(id: \"draft\") @skip(if: $x) { id }"),
        ("$x: Boolean! @nope", "publishPackage(id: \"draft\") @skip(if: $x) { id }"),
    ] {
        let query = format!(
            "mutation ({arguments}) {{ a: createUser(input: {{id: \"a\"}}) {{ id }} b: {second} }}"
        );
        for x in [json!("q"), json!(1), json!(true), json!("2024-01-01T00:00:00Z"), json!(null)] {
            is_refused_again(&app, &query, json!({ "x": x }), None).await;
        }
    }
}

/// Sends the document twelve times and wants one refusal.
async fn is_refused_in_one_way(app: &TestApp, query: &str, operation_name: Option<&str>) -> Value {
    let body = json!({ "query": query, "operationName": operation_name }).to_string();
    let first = app.post(body.clone()).send().await;
    assert_eq!(first.json().as_object().unwrap().keys().collect::<Vec<_>>(), ["errors"], "{query}");
    for _ in 1..12 {
        assert_eq!(app.post(body.clone()).send().await.text, first.text, "{query}");
    }
    first.json()
}

#[tokio::test]
async fn a_refusal_does_not_change_from_one_request_to_the_next() {
    let app = TestApp::shop().await;
    let unused: String = (0..30).map(|number| format!("$v{number}: Int ")).collect();
    let fragments: String =
        (0..30).map(|number| format!(" fragment f{number} on Feature {{ id }}")).collect();
    let undefined: String =
        (0..30).map(|number| format!("f{number}: feature(id: $v{number}) {{ id }} ")).collect();
    for (query, operation_name) in [
        ("query ($a: Int $b: Int $c: Int $d: Int) { features { id } }", None),
        (&format!("query ({unused}) {{ features {{ id }} }}"), None),
        ("{ features { id } } fragment A on Feature { id } fragment B on Feature { id }", None),
        (&format!("{{ features {{ id }} }} {fragments}"), None),
        (&format!("{{ {undefined} }}"), None),
        (
            "{ a: features { x: id } a: features { x: name } b: users { y: id } b: users { y: name } }",
            None,
        ),
        (
            "query A { features { x: id x: name } } query B { features { y: id y: name } }",
            Some("A"),
        ),
        ("query A { a } query B { b } query C { c } query D { d }", Some("A")),
        ("query A { __typename } query B { __typename } { __typename }", None),
        (
            "query A { ...f } query B { ...g } fragment f on Query { ...f } fragment g on Query { ...g }",
            Some("A"),
        ),
        ("{ __typename } fragment f on Query { ...f } fragment g on Query { ...g }", None),
        (
            "{ __typename } fragment f on Mutation { createUser(input: {a: 1, b: 2, c: 3}) { id } }",
            None,
        ),
        ("query A { user(id: 1) { id } } query B { feature(id: 1) { id } }", Some("A")),
        (
            "query A { a: user(id: 1) { id } } query B { b: user(id: 2) { id } } query C { c: user(id: 3) { id } }",
            Some("C"),
        ),
    ] {
        let answer = is_refused_in_one_way(&app, query, operation_name).await;
        // In the order of the text.
        let places: Vec<_> = answer["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["locations"][0]["column"].as_u64())
            .collect();
        assert!(places.is_sorted(), "{answer}");
    }
}

#[tokio::test]
async fn an_operation_that_is_not_the_chosen_one_must_be_valid_too() {
    let app = TestApp::shop().await;
    for other in [
        "query B($x: Int!) { feature(id: $x) { id } }",
        "query B($x: String) { feature(id: $x) { id } }",
        "query B { canUseFeature(userId: \"u\", featureId: \"f\", delta: 3000000000) { access } }",
        "query B { feature(id: \"sso\") { ...F } } fragment F on Feature { entitlement(userId: 1) { access } }",
        "mutation B { createFeature(input: {id: \"x\", type: \"BINARY\"}) { id } }",
        "mutation B { recordUsageBatch(inputs: 1.5) { recorded } }",
        "query B { __typename @nope }",
        "query B { __typename { x } }",
        "query B($x: String) { __type(name: $x) { name } }",
    ] {
        let query = format!("query A {{ features {{ id }} }} {other}");
        is_refused_in_one_way(&app, &query, Some("A")).await;
    }
}

#[tokio::test]
async fn what_the_library_does_not_look_at_is_refused() {
    let app = TestApp::shop().await;
    for query in [
        "{ __typename { x } }",
        "{ __typename(a: 1) }",
        "{ features { __typename(a: 1) { x } } }",
        "{ __typename @skip(if: $undefined) }",
        "{ __typename @include(if: true, x: 1) }",
        "{ __typename @skip }",
        "query ($x: String) { __type(name: $x) { name } }",
        "query ($v: String!) { __schema { types { name @skip(if: $v) } } }",
        "query ($v: Boolean) { __schema { types { name @include(if: $v) } } }",
        "{ __schema { types { fields(includeDeprecated: \"x\") { name } } } }",
        "{ __schema { types { name @include(if: true, x: 1) } } }",
        "query ($x: Boolean! @nope @skip) { features @skip(if: $x) { id } }",
        "query ($v: Boolean! @skip(if: $v)) { features @skip(if: $v) { id } }",
        "query () { features { id } }",
        "{ features { ...on } } fragment on on Feature { id }",
    ] {
        is_refused_in_one_way(&app, query, None).await;
    }
}

#[tokio::test]
async fn a_variable_that_only_a_typename_uses_is_used() {
    let app = TestApp::shop().await;
    let query = "query Q($v: Boolean!) { features { id __typename @include(if: $v) } ...F }
        fragment F on Query { x: __typename @skip(if: $v) }";
    for v in [true, false] {
        let data = app.data(query, json!({ "v": v })).await;
        let feature = data["features"][0].as_object().unwrap();
        assert_eq!(feature.keys().collect::<Vec<_>>().len(), if v { 2 } else { 1 }, "{data}");
        assert_eq!(data.get("x").is_some(), !v, "{data}");
    }
}
