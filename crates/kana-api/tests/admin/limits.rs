//! What is too deep, too large or endless is refused clearly and quickly, and the next request is
//! served.

use std::time::{Duration, Instant};

use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::{Answer, TestApp};

/// How long a refusal may take. Without optimisation the parser alone takes two seconds for a
/// document of one MiB on a busy machine; what is endless or a square takes far longer still.
const QUICKLY: Duration = Duration::from_secs(if cfg!(debug_assertions) { 5 } else { 2 });

/// Sends the body, quickly, and then sees that the server still serves.
async fn quickly(app: &TestApp, body: Value) -> Answer {
    let stored = app.stored();
    let body = body.to_string();
    let bytes = body.len();
    let started = Instant::now();
    let answer = app.post(body).send().await;
    let took = started.elapsed();
    assert!(took < QUICKLY, "{took:?} for {bytes} bytes");
    assert_eq!(app.stored(), stored);
    let next = app.data("{ user(id: \"124\") { id } }", json!({})).await;
    assert_eq!(next, json!({ "user": { "id": "124" } }));
    answer
}

async fn refused_quickly(app: &TestApp, body: Value) -> String {
    let told = quickly(app, body).await.not_executed();
    // Nobody is sent back what he sent.
    assert!(told.len() < 10_000, "{} bytes of refusal", told.len());
    told
}

async fn query_refused_quickly(app: &TestApp, query: impl Into<String>) -> String {
    refused_quickly(app, json!({ "query": query.into() })).await
}

const TOO_DEEP: &str =
    "GRAPHQL_VALIDATION_FAILED GraphQLError: The document nests fields deeper than 15";
const TOO_MANY: &str = "GRAPHQL_VALIDATION_FAILED GraphQLError: The operation has more than 1000 \
                        fields, with fragments expanded and every alias counted";
const TOO_NESTED: &str = "GRAPHQL_PARSE_FAILED GraphQLError: The document nests deeper than 100";

/// `package { basePackages { … { id } } }`, fields nested so deep.
fn nested(depth: usize) -> String {
    let inner = depth - 2;
    format!(
        "{{ package(id: \"boost\") {{ {} id {} }} }}",
        "basePackages { ".repeat(inner),
        "}".repeat(inner)
    )
}

#[tokio::test]
async fn fields_may_be_nested_fifteen_deep() {
    let app = TestApp::shop().await;
    let answer = app.graphql(&nested(15), json!({})).send().await.ok();
    assert!(answer["data"]["package"].is_object(), "{answer}");
    for depth in [16, 17, 40] {
        assert_eq!(query_refused_quickly(&app, nested(depth)).await, TOO_DEEP);
    }
}

#[tokio::test]
async fn fragments_do_not_hide_depth() {
    let app = TestApp::shop().await;
    let query = |depth: usize| {
        let inside = "basePackages { ".repeat(depth - 6);
        let end = "}".repeat(depth - 6);
        format!(
            "{{ package(id: \"boost\") {{ ...a }} }}
             fragment a on Package {{ basePackages {{ ... on Package {{ ...b }} }} }}
             fragment b on Package {{ basePackages {{ ... {{ basePackages {{ basePackages {{
                {inside} id {end} }} }} }} }} }}"
        )
    };
    assert!(app.graphql(&query(15), json!({})).send().await.ok().get("errors").is_none());
    assert_eq!(query_refused_quickly(&app, query(16)).await, TOO_DEEP);
}

fn aliases(count: usize) -> String {
    let fields: String = (0..count).map(|number| format!("a{number}: id ")).collect();
    format!("{{ user(id: \"124\") {{ {fields} }} }}")
}

#[tokio::test]
async fn an_operation_may_have_a_thousand_fields() {
    let app = TestApp::shop().await;
    // The user itself is one.
    let answer = app.graphql(&aliases(999), json!({})).send().await.ok();
    assert_eq!(answer["data"]["user"].as_object().unwrap().len(), 999);
    for count in [1000, 10_000, 60_000] {
        assert_eq!(query_refused_quickly(&app, aliases(count)).await, TOO_MANY);
    }
}

#[tokio::test]
async fn ten_thousand_root_fields_are_refused() {
    let app = TestApp::shop().await;
    let fields: String = (0..10_000).map(|number| format!("a{number}: __typename ")).collect();
    assert_eq!(query_refused_quickly(&app, format!("{{ {fields} }}")).await, TOO_MANY);
    // The same field a thousand times is a thousand fields.
    let query = format!("{{ {} }}", "__typename ".repeat(1001));
    assert_eq!(query_refused_quickly(&app, query).await, TOO_MANY);
    let mutation: String = (0..1001)
        .map(|number| format!("a{number}: createUser(input: {{id: \"{number}\"}}) {{ id }} "))
        .collect();
    assert_eq!(query_refused_quickly(&app, format!("mutation {{ {mutation} }}")).await, TOO_MANY);
}

#[tokio::test]
async fn lists_are_not_multiplied() {
    let app = TestApp::shop().await;
    // Four packages with 300 fields each are 302 fields.
    let fields: String = (0..300).map(|number| format!("a{number}: id ")).collect();
    let query = format!("{{ feature(id: \"sso\") {{ packages {{ {fields} }} }} }}");
    let answer = app.graphql(&query, json!({})).send().await.ok();
    assert!(answer["data"]["feature"]["packages"].as_array().unwrap().len() >= 4);
}

/// Fragments of which each uses the next twice.
fn doubling(fragments: usize) -> String {
    let mut query = "{ user(id: \"124\") { ...f0 } }".to_owned();
    for number in 0..fragments {
        let next = number + 1;
        query += &format!(" fragment f{number} on User {{ ...f{next} ...f{next} }}");
    }
    query + &format!(" fragment f{fragments} on User {{ id }}")
}

#[tokio::test]
async fn fragments_that_grow_without_bounds_are_refused() {
    let app = TestApp::shop().await;
    let answer = app.graphql(&doubling(9), json!({})).send().await.ok();
    assert_eq!(answer["data"], json!({ "user": { "id": "124" } }));
    for fragments in [10, 30, 63, 64, 90] {
        assert_eq!(query_refused_quickly(&app, doubling(fragments)).await, TOO_MANY);
    }
    let told = query_refused_quickly(&app, doubling(5000)).await;
    assert!(told.contains("Fragments use each other more than 100 deep"), "{told}");
}

#[tokio::test]
async fn fragments_that_grow_without_bounds_are_refused_though_nothing_uses_them() {
    let app = TestApp::shop().await;
    let query = doubling(60).replacen("...f0", "id", 1);
    assert_eq!(query_refused_quickly(&app, query).await, TOO_MANY);
}

#[tokio::test]
async fn fragments_that_contain_themselves_are_refused() {
    let app = TestApp::shop().await;
    for query in [
        "{ user(id: \"124\") { ...f } } fragment f on User { ...f }",
        "{ user(id: \"124\") { ...f } } fragment f on User { ...g } fragment g on User { id ...f }",
        "{ user(id: \"124\") { id } } fragment f on User { ...g } fragment g on User { ...f }",
        "{ user(id: \"124\") { ...f } } fragment f on User {
            subscriptions { package { features { id } } } ... on User { ...f } }",
    ] {
        let told = query_refused_quickly(&app, query).await;
        assert!(told.contains("contains itself"), "{told}");
    }
}

#[tokio::test]
async fn nine_hundred_thousand_open_brackets_are_refused() {
    let app = TestApp::shop().await;
    for bracket in ["{", "[", "("] {
        for before in ["", "{ a ", "{ user(id: ", "query (", "{ user(id: {a: "] {
            let query = format!("{before}{}", bracket.repeat(900_000));
            let told = query_refused_quickly(&app, query).await;
            assert!(told.starts_with("GRAPHQL_PARSE_FAILED"), "{told}");
        }
    }
    for (before, unit) in [("", "{ a "), ("", "{ ... "), ("{ a(b: ", "["), ("{ a(b: ", "{a: ")] {
        let query = format!("{before}{}", unit.repeat(100_000));
        assert_eq!(query_refused_quickly(&app, query).await, TOO_NESTED);
    }
}

#[tokio::test]
async fn nested_types_of_variables_are_refused() {
    let app = TestApp::shop().await;
    let query = format!(
        "query ($a: {}String{}) {{ __typename }}",
        "[".repeat(400_000),
        "]".repeat(400_000)
    );
    assert_eq!(query_refused_quickly(&app, query).await, TOO_NESTED);
}

#[tokio::test]
async fn brackets_that_are_closed_by_the_wrong_kind_do_not_fool_the_count() {
    let app = TestApp::shop().await;
    // The count only falls where something closes; what closes wrongly is no GraphQL.
    for unit in ["{]", "[)", "\"\"{", "#\n{", "\"\\\"\"{"] {
        let query = format!("{{ a {}", unit.repeat(100_000));
        let told = quickly(&app, json!({ "query": query })).await.not_executed();
        assert!(told.starts_with("GRAPHQL_PARSE_FAILED"));
    }
}

#[tokio::test]
async fn a_long_line_that_is_no_graphql_is_not_sent_back() {
    let app = TestApp::shop().await;
    query_refused_quickly(&app, format!("{{ user(id: {} }}", "x ".repeat(400_000))).await;
}

fn deep(levels: usize) -> String {
    format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels))
}

#[tokio::test]
async fn metadata_may_nest_a_little_and_not_without_end() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: CreateUserInput!) { createUser(input: $input) { metadata } }";
    let body = |levels: usize| {
        let metadata = deep(levels);
        format!(
            "{{\"query\": {}, \"variables\": {{\"input\": {{\"id\": \"deep\", \"metadata\": {metadata}}}}}}}",
            json!(query)
        )
    };
    let answer = app.post(body(90)).send().await.ok();
    assert_eq!(answer["data"]["createUser"]["metadata"].to_string(), deep(90));
    let found = app.data("{ user(id: \"deep\") { metadata } }", json!({})).await;
    assert_eq!(found["user"]["metadata"].to_string(), deep(90));

    let stored = app.stored();
    let too_deep = format!("BAD_USER_INPUT ValidationError: input.metadata{}", ".a".repeat(80));
    for levels in [200, 3000, 100_000] {
        let started = Instant::now();
        let answer = app.post(body(levels)).send().await;
        assert!(started.elapsed() < QUICKLY);
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(answer.not_executed().starts_with(&too_deep), "{}", answer.text);
    }
    // And as a string that holds the variables.
    let variables = format!("{{\"input\": {{\"id\": \"deeper\", \"metadata\": {}}}}}", deep(3000));
    let told = refused_quickly(&app, json!({ "query": query, "variables": variables })).await;
    assert!(told.starts_with(&too_deep), "{told}");
    assert_eq!(app.stored(), stored);
}

#[tokio::test]
async fn metadata_in_a_literal_may_nest_as_deep_as_a_document_may() {
    let app = TestApp::shop().await;
    let query = |levels: usize| {
        format!(
            "mutation {{ createUser(input: {{id: \"deep\", metadata: {}1{}}}) {{ metadata }} }}",
            "{a: ".repeat(levels),
            "}".repeat(levels)
        )
    };
    let answer = app.graphql(&query(94), json!({})).send().await.ok();
    assert_eq!(answer["data"]["createUser"]["metadata"].to_string(), deep(94));
    for levels in [95, 5000, 150_000] {
        assert_eq!(query_refused_quickly(&app, query(levels)).await, TOO_NESTED);
    }
}

#[tokio::test]
async fn an_id_of_almost_a_mib_is_refused_and_not_sent_back() {
    let app = TestApp::shop().await;
    let id = "x".repeat(1_048_000);
    for query in [
        "query ($id: String!) { user(id: $id) { id } }",
        "query ($id: String!) { feature(id: $id) { id } }",
        "query ($id: String!) { package(id: $id) { id } }",
        "query ($id: String!) { subscription(id: $id) { id } }",
        "mutation ($id: String!) { cancelSubscription(id: $id) { id } }",
        "mutation ($id: String!) { publishPackage(id: $id) { id } }",
        "mutation ($id: String!) { createUser(input: {id: $id}) { id } }",
        "mutation ($id: String!) { subscribe(userId: \"124\", packageIds: [$id]) { id } }",
    ] {
        let answer = quickly(&app, json!({ "query": query, "variables": { "id": id } })).await;
        assert_eq!(answer.json()["data"], Value::Null);
        assert!(answer.text.len() < 1000, "{} bytes for {query}", answer.text.len());
    }
    let query = format!("{{ user(id: \"{id}\") {{ id }} }}");
    let answer = quickly(&app, json!({ "query": query })).await;
    assert!(answer.text.len() < 1000);
}

#[tokio::test]
async fn long_names_are_refused_and_not_sent_back() {
    let app = TestApp::shop().await;
    let name = "x".repeat(1_000_000);
    let variables = json!({ "input": { "id": "1", &*name: 1 } });
    let query = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    refused_quickly(&app, json!({ "query": query, "variables": variables })).await;
}

#[tokio::test]
async fn a_long_name_in_the_document_is_not_sent_back() {
    let app = TestApp::shop().await;
    let name = "x".repeat(900_000);
    for query in [
        format!("{{ {name} }}"),
        format!("{{ user(id: \"124\", {name}: 1) {{ id }} }}"),
        format!("{{ ...{name} }}"),
        format!("query (${name}: String!) {{ __typename }}"),
        format!("mutation {{ createUser(input: {{id: \"1\", {name}: 1}}) {{ id }} }}"),
        format!("{{ ...{name} }} fragment {name} on Query {{ ...{name} }}"),
    ] {
        query_refused_quickly(&app, query).await;
    }
    let body = json!({ "query": "query a { __typename }", "operationName": name });
    refused_quickly(&app, body).await;
}

#[tokio::test]
async fn thirty_thousand_variables_are_answered_quickly() {
    let app = TestApp::shop().await;
    let (mut definitions, mut uses) = (String::new(), String::new());
    for number in 0..30_000 {
        definitions += &format!("$v{number}:String=\"a\"");
        uses += &format!("$v{number} ");
    }
    let query = format!(
        "mutation ({definitions}) {{ subscribe(userId: \"124\", packageIds: [{uses}]) {{ id }} }}"
    );
    quickly(&app, json!({ "query": query })).await;
}

#[tokio::test]
async fn forty_thousand_directives_are_answered_quickly() {
    let app = TestApp::shop().await;
    let query = format!("{{ __typename {} }}", "@skip(if:false)".repeat(40_000));
    quickly(&app, json!({ "query": query })).await;
}

#[tokio::test]
async fn ten_thousand_unknown_arguments_are_answered_with_few_words() {
    let app = TestApp::shop().await;
    let arguments: String = (0..10_000).map(|number| format!("a{number}:1 ")).collect();
    let query = format!("{{ user({arguments}) {{ id }} }}");
    let answer = quickly(&app, json!({ "query": query })).await;
    assert!(answer.text.len() < 100_000, "{} bytes", answer.text.len());
}

#[tokio::test]
async fn twenty_thousand_fragments_are_answered_quickly() {
    let app = TestApp::shop().await;
    let fragments: String =
        (0..20_000).map(|number| format!("fragment f{number} on User{{id}}")).collect();
    quickly(&app, json!({ "query": format!("{{ __typename }} {fragments}") })).await;
}

#[tokio::test]
async fn twenty_thousand_operations_are_answered_quickly() {
    let app = TestApp::shop().await;
    let operations: String =
        (0..20_000).map(|number| format!("query q{number}{{__typename}}")).collect();
    quickly(&app, json!({ "query": operations, "operationName": "q7" })).await;
}

#[tokio::test]
async fn a_thousand_fields_with_one_name_and_many_arguments_are_answered_quickly() {
    let app = TestApp::shop().await;
    let field = format!("feature(id:\"{}\"){{__typename}}", "x".repeat(1500));
    quickly(&app, json!({ "query": format!("{{ {} }}", field.repeat(500)) })).await;
}

#[tokio::test]
async fn a_list_of_a_hundred_thousand_packages_is_refused_quickly() {
    let app = TestApp::shop().await;
    let query =
        "mutation ($ids: [String!]!) { subscribe(userId: \"124\", packageIds: $ids) { id } }";
    let answer =
        quickly(&app, json!({ "query": query, "variables": { "ids": vec!["basic"; 100_000] } }));
    assert_eq!(answer.await.json()["errors"][0]["message"], "Cannot subscribe to multiple tiers");
    let query = "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { id } }";
    let input = json!({ "id": "new", "features": vec![json!({ "id": "sso" }); 60_000] });
    quickly(&app, json!({ "query": query, "variables": { "input": input } })).await;
}

#[tokio::test]
async fn operations_that_use_one_large_fragment_are_refused_together() {
    let app = TestApp::shop().await;
    let fields: String = (0..900).map(|number| format!("a{number}:id ")).collect();
    let query = |operations: usize| {
        let operations: String =
            (0..operations).map(|number| format!("query q{number}{{users{{...f}}}}")).collect();
        format!("{operations} fragment f on User{{{fields}}}")
    };
    // Each has 900 fields in the fragment, the users and the fragment itself.
    let answer = quickly(&app, json!({ "query": query(22), "operationName": "q7" })).await.ok();
    assert_eq!(answer["data"]["users"][0].as_object().unwrap().len(), 900);
    for operations in [23, 15_000] {
        let body = json!({ "query": query(operations), "operationName": "q7" });
        assert_eq!(
            refused_quickly(&app, body).await,
            "GRAPHQL_VALIDATION_FAILED GraphQLError: The operations of the document have more than \
             20000 fields and fragments together, with fragments expanded"
        );
    }
}

#[tokio::test]
async fn operations_that_use_a_fragment_of_many_values_are_refused_together() {
    let app = TestApp::shop().await;
    let values = "\"a\" ".repeat(60_000);
    let fragment = format!(
        "fragment f on Query{{a:package(id:[{values}]){{id}} a:package(id:[{values}]){{id}}}}"
    );
    let operations: String = (0..3000).map(|number| format!("query q{number}{{...f}}")).collect();
    let body = json!({ "query": operations + &fragment, "operationName": "q7" });
    assert_eq!(
        refused_quickly(&app, body).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: The operations of the document have more than \
         200000 values together, with fragments expanded"
    );
}

#[tokio::test]
async fn variables_that_many_operations_lack_are_refused_quickly_and_with_few_words() {
    let app = TestApp::shop().await;
    let values: String = (0..29_000).map(|number| format!("$v{number} ")).collect();
    let operations: String = (0..20).map(|number| format!("query q{number}{{...f}}")).collect();
    for fragment in [
        format!("fragment f on Query{{package(id:[{values}]){{id}}}}"),
        format!("fragment f on Query{{nope{{nope(nope:[{values}])}}}}"),
        format!("fragment f on Query{{nope @skip(if:[{values}])}}"),
        format!("fragment f on Query @nope(nope:[{values}]){{nope}}"),
    ] {
        let body = json!({ "query": operations.clone() + &fragment, "operationName": "q7" });
        let answer = quickly(&app, body).await;
        assert!(answer.text.len() < 10_000, "{}", answer.text);
        assert!(answer.text.contains("GRAPHQL_VALIDATION_FAILED"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_long_chain_of_fragments_is_refused_though_its_end_is_used_before() {
    let app = TestApp::shop().await;
    let chain: String = (0..10_000)
        .map(|number| format!("fragment f{number} on User{{...f{}}}", number + 1))
        .collect();
    // From the end, so that each part of the chain is known when the next part uses it.
    let ends: String = (0..112).rev().map(|end| format!("...f{} ", end * 90)).collect();
    let query =
        format!("{{users{{{ends}}} a:users{{...f0}}}} {chain} fragment f10000 on User{{id}}");
    let told = query_refused_quickly(&app, query).await;
    assert!(told.contains("Fragments use each other more than 100 deep"), "{told}");
}

#[tokio::test]
async fn operations_with_many_selections_of_fragments_are_refused_quickly() {
    let app = TestApp::shop().await;
    let operations: String = (0..20_000).map(|number| format!("query q{number}{{...f}}")).collect();
    let query = format!("{operations} fragment f on Query{{{}}}", "...missing ".repeat(10_000));
    refused_quickly(&app, json!({ "query": query, "operationName": "q7" })).await;
}

#[tokio::test]
async fn a_mebibyte_of_escapes_and_block_strings_is_answered_quickly() {
    let app = TestApp::shop().await;
    for (unit, count) in [
        ("\\u{41}", 170_000),
        ("\\u{", 330_000),
        ("\\u{0", 250_000),
        ("\\uD83D", 170_000),
        ("\\uD83D\\uDE00", 85_000),
    ] {
        let query = format!("{{ feature(id: \"{}\") {{ id }} }}", unit.repeat(count));
        quickly(&app, json!({ "query": query })).await;
    }
    for (unit, count) in
        [("\\\"\"\"", 250_000), ("\n ", 500_000), ("\n  x", 250_000), ("\"\"\"\"\"\" ", 140_000)]
    {
        let query = format!("{{ feature(id: \"\"\"{} \"\"\") {{ id }} }}", unit.repeat(count));
        quickly(&app, json!({ "query": query })).await;
    }
    let query = format!("{{ feature(id: [{}]) {{ id }} }}", "-0 ".repeat(150_000));
    quickly(&app, json!({ "query": query })).await;
}
