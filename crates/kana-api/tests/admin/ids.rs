//! An id that is a number: the first mistake that everybody makes.

use serde_json::json;

use crate::app::TestApp;

#[tokio::test]
async fn an_id_given_as_a_number_in_a_variable_is_refused_by_name() {
    let app = TestApp::shop().await;
    assert_eq!(
        app.refused("query ($id: String!) { user(id: $id) { id } }", json!({ "id": 124 })).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$id\" is invalid: \"id\" expects type \
         String and got a number"
    );
}

#[tokio::test]
async fn an_id_given_as_a_number_inside_an_input_object_in_a_variable_is_refused_by_name() {
    let app = TestApp::shop().await;
    let query = "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
    assert_eq!(
        app.refused(query, json!({ "input": { "id": 125 } })).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$input\" is invalid: \"input.id\" \
         expects type String and got a number"
    );
    let query = "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { id } }";
    let input = json!({ "id": "new", "features": [{ "id": "sso" }, { "id": 7 }] });
    assert_eq!(
        app.refused(query, json!({ "input": input })).await,
        "GRAPHQL_VALIDATION_FAILED GraphQLError: Variable \"$input\" is invalid: \
         \"input.features.1.id\" expects type String and got a number"
    );
}

#[tokio::test]
async fn an_id_given_as_a_number_in_a_literal_is_refused_by_name() {
    let app = TestApp::shop().await;
    for (query, field) in [
        ("{ user(id: 124) { id } }", "id"),
        (r#"{ canUseFeature(userId: 124, featureId: "sso") { access } }"#, "userId"),
        ("mutation { createUser(input: {id: 125}) { id } }", "input.id"),
        (
            r#"mutation { recordUsage(input: {userId: 124, featureId: "sso"}) { recorded } }"#,
            "input.userId",
        ),
        (r#"mutation { subscribe(userId: "124", packageIds: 7) { id } }"#, "packageIds"),
        (r#"mutation { subscribe(userId: "124", packageIds: ["a", 7]) { id } }"#, "packageIds"),
    ] {
        let refused = app.refused(query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{refused}");
        assert!(refused.contains("String"), "{query}: {refused}");
        assert!(refused.contains(&format!("\"{field}")), "{query}: {refused}");
    }
}

#[tokio::test]
async fn an_id_given_as_a_number_as_the_default_of_a_variable_is_refused() {
    let app = TestApp::shop().await;
    let refused =
        app.refused("query ($id: String = 124) { user(id: $id) { id } }", json!({})).await;
    assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{refused}");
    assert!(refused.contains("String") && refused.contains("id"), "{refused}");
}

#[tokio::test]
async fn ids_are_free_within_their_bounds_and_compared_exactly() {
    let app = TestApp::new().await;
    let create = "mutation ($id: String!) { createUser(input: {id: $id}) { id } }";
    let longest = "é".repeat(255);
    for id in ["124", "api-calls", "/Measures", "a@b.co", "A B", "a b", "Ä", "\u{1f980}", &longest]
    {
        assert_eq!(app.data(create, json!({ "id": id })).await["createUser"]["id"], id);
        let found = app.data("query ($id: String!) { user(id: $id) { id } }", json!({ "id": id }));
        assert_eq!(found.await["user"]["id"], id);
    }
    for (id, problem) in [
        ("", "must not be empty"),
        (" a", "must not start or end with a space"),
        ("a ", "must not start or end with a space"),
        ("a\tb", "must not contain control characters"),
        ("a\u{0}", "must not contain control characters"),
        (&*"é".repeat(256), "must have at most 255 characters"),
    ] {
        assert_eq!(
            app.refused(create, json!({ "id": id })).await,
            format!("BAD_USER_INPUT ValidationError: id {problem}")
        );
    }
}
