//! The table "Errors" of the contract, row by row, by the operations that can meet it. Whatever
//! is refused here has stored nothing: `refused` looks.

use serde_json::{Value, json};

use crate::app::{TestApp, error, only_error};

const CREATE_FEATURE: &str =
    "mutation ($input: CreateFeatureInput!) { createFeature(input: $input) { id } }";
const CREATE_PACKAGE: &str =
    "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { id } }";
const PUBLISH: &str = "mutation ($id: String!) { publishPackage(id: $id) { id } }";
const CREATE_USER: &str =
    "mutation ($input: CreateUserInput!) { createUser(input: $input) { id } }";
const SUBSCRIBE: &str = "mutation ($user: String!, $packages: [String!]!, $startedAt: DateTime) {
    subscribe(userId: $user, packageIds: $packages, startedAt: $startedAt) { id } }";
const CANCEL: &str = "mutation ($id: String!) { cancelSubscription(id: $id) { id } }";
const RECORD: &str =
    "mutation ($input: CreateUsageEventInput!) { recordUsage(input: $input) { recorded } }";
const CREATE_EVENT: &str =
    "mutation ($input: CreateUsageEventInput!) { createUsageEvent(input: $input) }";
const USE: &str = "mutation ($input: UseFeatureInput!) { useFeature(input: $input) { granted } }";
const CAN_USE: &str = "query ($user: String!, $feature: String!, $delta: Int) {
    canUseFeature(userId: $user, featureId: $feature, delta: $delta) { access } }";
const SHOW_USAGE: &str = "query ($user: String!, $feature: String!) {
    showUsage(userId: $user, featureId: $feature) { current { periodStart } } }";

const NO_USER: &str = "NOT_FOUND UserNotFoundError: User not found: nobody";
const NO_FEATURE: &str = "NOT_FOUND FeatureNotFoundError: Feature not found: nothing";
const KEY_CONFLICT: &str = "IDEMPOTENCY_CONFLICT ConflictError: idempotencyKey was already used \
                            for a request with other content; a new request needs a new key";

/// Each input with what it is refused with: the message alone for a `ValidationError`.
async fn refuses(app: &TestApp, query: &str, refusals: impl IntoIterator<Item = (Value, &str)>) {
    for (input, expected) in refusals {
        let expected = if expected.contains("Error: ") {
            expected.to_owned()
        } else {
            format!("BAD_USER_INPUT ValidationError: {expected}")
        };
        assert_eq!(
            app.refused(query, json!({ "input": input.clone() })).await,
            expected,
            "{input}"
        );
    }
}

fn long(chars: usize) -> String {
    "é".repeat(chars)
}

#[tokio::test]
async fn an_error_has_its_message_its_place_its_path_its_code_and_its_name() {
    let app = TestApp::shop().await;
    let query = "{\n  first: user(id: \"124\") { id }\n  second: user(id: \"nobody\") { id }\n}";
    let answer = app.graphql(query, json!({})).send().await.ok();
    insta::assert_json_snapshot!(answer, @r#"
{
  "data": null,
  "errors": [
    {
      "message": "User not found: nobody",
      "locations": [
        {
          "line": 3,
          "column": 3
        }
      ],
      "path": [
        "second"
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
async fn create_feature_refuses_bad_values_and_an_id_that_is_taken() {
    let app = TestApp::shop().await;
    let feature = |more: Value| {
        let mut input = json!({ "id": "new", "type": "CONSUMABLE" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    let too_large = json!({ "a": "x".repeat(16 * 1024) });
    refuses(
        &app,
        CREATE_FEATURE,
        [
            (
                feature(json!({ "id": "sso" })),
                "CONFLICT ConflictError: A feature with the id sso exists already",
            ),
            (feature(json!({ "id": "" })), "id must not be empty"),
            (feature(json!({ "name": long(256) })), "name must have at most 255 characters"),
            (feature(json!({ "name": "a\u{0}" })), "name must not contain the character U+0000"),
            (
                feature(json!({ "unitLabel": long(256) })),
                "unitLabel must have at most 255 characters",
            ),
            (
                feature(json!({ "unitLabelPlural": long(256) })),
                "unitLabelPlural must have at most 255 characters",
            ),
            (feature(json!({ "metadata": [] })), "metadata must be a JSON object"),
            (feature(json!({ "metadata": "{}" })), "metadata must be a JSON object"),
            (
                feature(json!({ "metadata": too_large })),
                "metadata must have at most 16384 bytes as JSON",
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn create_package_refuses_bad_values_unknown_parts_and_an_id_that_is_taken() {
    let app = TestApp::shop().await;
    let features = |features: Value| json!({ "id": "new", "features": features });
    let limited = |id: &str, limit: i64| json!({ "id": id, "entitlement": { "limit": limit, "resetPeriod": "DAY" } });
    let addon = |bases: Value| {
        json!({
            "id": "new", "isAddon": true, "basePackageIds": bases, "features": { "id": "sso" }
        })
    };
    refuses(
        &app,
        CREATE_PACKAGE,
        [
            (
                json!({ "id": "basic", "features": [] }),
                "CONFLICT ConflictError: A package with the id basic exists already",
            ),
            (json!({ "id": " x", "features": [] }), "id must not start or end with a space"),
            (
                json!({ "id": "new", "features": [], "name": long(256) }),
                "name must have at most 255 characters",
            ),
            (
                json!({ "id": "new", "features": [], "metadata": 1 }),
                "metadata must be a JSON object",
            ),
            (features(json!([{ "id": "nothing" }])), NO_FEATURE),
            (features(json!([{ "id": "" }])), "features.id must not be empty"),
            (
                features(json!([{ "id": "sso", "name": long(256) }])),
                "features.name must have at most 255 characters",
            ),
            (
                features(json!([{ "id": "sso" }, { "id": "sso" }])),
                "features names the feature sso twice",
            ),
            (
                features(json!([limited("sso", 1)])),
                "entitlement must be left out for sso, which is BINARY",
            ),
            (features(json!([limited("api-calls", -1)])), "limit must not be negative"),
            (
                json!({ "id": "new", "features": [], "basePackageIds": ["basic"] }),
                "basePackageIds is only for add-ons: set isAddon, or leave it out",
            ),
            (
                addon(json!(["nothing"])),
                "NOT_FOUND PackageNotFoundError: Package not found: nothing",
            ),
            (addon(json!(["boost"])), "basePackageIds names boost, which is an add-on itself"),
            (addon(json!([""])), "basePackageIds must not be empty"),
        ],
    )
    .await;
}

#[tokio::test]
async fn publish_package_refuses_what_it_does_not_know_and_what_is_empty() {
    let app = TestApp::shop().await;
    app.data(CREATE_PACKAGE, json!({ "input": { "id": "empty", "features": [] } })).await;
    for (id, expected) in [
        ("nothing", "NOT_FOUND PackageNotFoundError: Package not found: nothing"),
        (
            "empty",
            "BAD_USER_INPUT ValidationError: id names empty, which has no features: a package \
             needs one",
        ),
        ("", "BAD_USER_INPUT ValidationError: id must not be empty"),
    ] {
        assert_eq!(app.refused(PUBLISH, json!({ "id": id })).await, expected);
    }
}

#[tokio::test]
async fn create_user_refuses_bad_values_and_an_id_that_is_taken() {
    let app = TestApp::shop().await;
    refuses(
        &app,
        CREATE_USER,
        [
            (
                json!({ "id": "124" }),
                "CONFLICT ConflictError: A user with the id 124 exists already",
            ),
            (json!({ "id": "" }), "id must not be empty"),
            (json!({ "id": "1", "name": long(256) }), "name must have at most 255 characters"),
            (json!({ "id": "1", "email": long(256) }), "email must have at most 255 characters"),
            (
                json!({ "id": "1", "billingId": long(256) }),
                "billingId must have at most 255 characters",
            ),
            (json!({ "id": "1", "metadata": true }), "metadata must be a JSON object"),
        ],
    )
    .await;
}

#[tokio::test]
async fn subscribe_refuses_every_row_of_its_table() {
    let app = TestApp::shop().await;
    let ask = |packages: Value| json!({ "user": "124", "packages": packages });
    let refused = |name: &str, message: &str| format!("BAD_USER_INPUT {name}: {message}");
    for (packages, name, message) in [
        (json!([]), "ValidationError", "packageIds must name at least one package"),
        (json!([""]), "ValidationError", "packageIds must not be empty"),
        (json!(["nothing"]), "PackageNotFoundError", "Package Id not found for app"),
        (json!(["basic", "nothing"]), "PackageNotFoundError", "Package Id not found for app"),
        (
            json!(["draft"]),
            "SubscriptionError",
            "Package draft is DRAFT: only a PUBLISHED package can be subscribed to",
        ),
        (json!(["basic", "pro"]), "SubscriptionError", "Cannot subscribe to multiple tiers"),
        (json!(["basic", "basic"]), "SubscriptionError", "Cannot subscribe to multiple tiers"),
        (
            json!(["extra"]),
            "SubscriptionError",
            "Cannot subscribe to addon. Missing live tier subscription.",
        ),
        (
            json!(["basic", "boost"]),
            "SubscriptionError",
            "Add-on boost cannot be added to package basic: it is not one of its base packages",
        ),
        (
            json!(["pro", "boost", "boost"]),
            "SubscriptionError",
            "The user is already subscribed to package boost",
        ),
    ] {
        assert_eq!(app.refused(SUBSCRIBE, ask(packages)).await, refused(name, message));
    }
    app.data(SUBSCRIBE, ask(json!(["pro", "boost"]))).await;
    for (packages, message) in [
        (json!("basic"), "Cannot subscribe to multiple tiers"),
        (json!("pro"), "Cannot subscribe to multiple tiers"),
        (json!("boost"), "The user is already subscribed to package boost"),
    ] {
        assert_eq!(
            app.refused(SUBSCRIBE, ask(packages)).await,
            refused("SubscriptionError", message)
        );
    }
}

#[tokio::test]
async fn the_rows_of_subscribing_are_checked_in_their_order() {
    let app = TestApp::shop().await;
    // Everything is wrong with the first; each step mends one thing.
    for (packages, message) in [
        (json!(["boost", "basic", "pro", "draft", "nothing"]), "Package Id not found for app"),
        (
            json!(["boost", "basic", "pro", "draft"]),
            "Package draft is DRAFT: only a PUBLISHED package can be subscribed to",
        ),
        (json!(["boost", "boost", "basic", "pro"]), "Cannot subscribe to multiple tiers"),
        (
            json!(["boost", "boost", "basic"]),
            "Add-on boost cannot be added to package basic: it is not one of its base packages",
        ),
        (json!(["extra", "extra", "basic"]), "The user is already subscribed to package extra"),
    ] {
        let variables = json!({ "user": "124", "packages": packages });
        let refused = app.refused(SUBSCRIBE, variables).await;
        assert!(refused.ends_with(message), "{refused}");
    }
}

#[tokio::test]
async fn subscribe_refuses_an_unknown_user_and_a_start_in_the_future() {
    let app = TestApp::shop().await;
    let variables = json!({ "user": "nobody", "packages": ["basic"] });
    assert_eq!(app.refused(SUBSCRIBE, variables).await, NO_USER);
    let variables = |at: &str| json!({ "user": "124", "packages": ["basic"], "startedAt": at });
    assert_eq!(
        app.refused(SUBSCRIBE, variables("2024-01-15T12:00:00.001Z")).await,
        "BAD_USER_INPUT ValidationError: startedAt must not be in the future"
    );
    let refused = app.refused(SUBSCRIBE, variables("yesterday")).await;
    assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{refused}");
    assert!(refused.contains("startedAt") && refused.contains("DateTime"), "{refused}");
}

#[tokio::test]
async fn cancel_subscription_and_subscription_refuse_an_id_that_nobody_handed_out() {
    let app = TestApp::shop().await;
    let free = uuid::Uuid::now_v7().to_string();
    for id in ["", "124", "garbage", &free, &free.to_uppercase()] {
        let expected = format!("NOT_FOUND SubscriptionNotFoundError: Subscription not found: {id}");
        assert_eq!(app.refused(CANCEL, json!({ "id": id })).await, expected);
        let query = "query ($id: String!) { subscription(id: $id) { id } }";
        assert_eq!(app.refused(query, json!({ "id": id })).await, expected);
    }
}

#[tokio::test]
async fn record_usage_and_its_older_form_refuse_the_same() {
    let (app, _) = TestApp::subscribed("basic").await;
    let usage = |more: Value| {
        let mut input = json!({ "userId": "124", "featureId": "api-calls" });
        input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        input
    };
    app.data(RECORD, json!({ "input": usage(json!({ "idempotencyKey": "used" })) })).await;
    for query in [RECORD, CREATE_EVENT] {
        refuses(
            &app,
            query,
            [
                (usage(json!({ "userId": "nobody" })), NO_USER),
                (usage(json!({ "featureId": "nothing" })), NO_FEATURE),
                (usage(json!({ "userId": "" })), "userId must not be empty"),
                (
                    usage(json!({ "featureId": "a\n" })),
                    "featureId must not contain control characters",
                ),
                (
                    usage(json!({ "action": "SET", "delta": -1 })),
                    "delta must not be negative with action SET",
                ),
                (
                    usage(json!({ "occurredAt": "2024-01-15T12:05:00.001Z" })),
                    "occurredAt must not be more than five minutes in the future",
                ),
                (usage(json!({ "idempotencyKey": "" })), "idempotencyKey must not be empty"),
                (
                    usage(json!({ "idempotencyKey": long(256) })),
                    "idempotencyKey must have at most 255 characters",
                ),
                (usage(json!({ "metadata": 7 })), "metadata must be a JSON object"),
                (usage(json!({ "idempotencyKey": "used", "delta": 2 })), KEY_CONFLICT),
                // Bad values come first, then an unknown user, then an unknown feature.
                (
                    usage(json!({ "userId": "nobody", "action": "SET", "delta": -1 })),
                    "delta must not be negative with action SET",
                ),
                (usage(json!({ "userId": "nobody", "featureId": "nothing" })), NO_USER),
            ],
        )
        .await;
    }
}

#[tokio::test]
async fn use_feature_refuses_bad_values_and_what_it_does_not_know() {
    let (app, _) = TestApp::subscribed("basic").await;
    let input = |user: &str, feature: &str, delta: i32, key: Option<&str>| json!({ "userId": user, "featureId": feature, "delta": delta, "idempotencyKey": key });
    app.data(USE, json!({ "input": input("124", "api-calls", 1, Some("used")) })).await;
    refuses(
        &app,
        USE,
        [
            (input("124", "api-calls", -1, None), "delta must not be negative here"),
            (input("124", "sso", -1, None), "delta must not be negative here"),
            (input("nobody", "api-calls", 1, None), NO_USER),
            (input("124", "nothing", 1, None), NO_FEATURE),
            (input("", "api-calls", 1, None), "userId must not be empty"),
            (input("124", "", 1, None), "featureId must not be empty"),
            (
                input("124", "api-calls", 1, Some(" ")),
                "idempotencyKey must not start or end with a space",
            ),
            (input("124", "api-calls", 2, Some("used")), KEY_CONFLICT),
        ],
    )
    .await;
    // The other operation under the same key is other content.
    let same = json!({ "userId": "124", "featureId": "api-calls", "idempotencyKey": "used" });
    refuses(&app, RECORD, [(same, KEY_CONFLICT)]).await;
}

#[tokio::test]
async fn can_use_feature_and_show_usage_refuse_what_they_do_not_know() {
    let app = TestApp::shop().await;
    let ask = |user: &str, feature: &str| json!({ "user": user, "feature": feature });
    for query in [CAN_USE, SHOW_USAGE] {
        for (variables, expected) in [
            (ask("nobody", "sso"), NO_USER),
            (ask("124", "nothing"), NO_FEATURE),
            (ask("nobody", "nothing"), NO_USER),
            (ask("", "sso"), "BAD_USER_INPUT ValidationError: userId must not be empty"),
            (ask("124", ""), "BAD_USER_INPUT ValidationError: featureId must not be empty"),
        ] {
            assert_eq!(app.refused(query, variables).await, expected);
        }
    }
    let negative = json!({ "user": "nobody", "feature": "nothing", "delta": -1 });
    assert_eq!(
        app.refused(CAN_USE, negative).await,
        "BAD_USER_INPUT ValidationError: delta must not be negative here"
    );
}

#[tokio::test]
async fn feature_user_and_package_refuse_what_is_not_there() {
    let app = TestApp::shop().await;
    for (query, expected) in [
        (r#"{ feature(id: "nothing") { id } }"#, NO_FEATURE),
        (r#"{ user(id: "nobody") { id } }"#, NO_USER),
        (
            r#"{ package(id: "nothing") { id } }"#,
            "NOT_FOUND PackageNotFoundError: Package not found: nothing",
        ),
        (r#"{ feature(id: "") { id } }"#, "BAD_USER_INPUT ValidationError: id must not be empty"),
        (
            r#"{ user(id: " ") { id } }"#,
            "BAD_USER_INPUT ValidationError: id must not start or end with a space",
        ),
        (r#"{ package(id: "") { id } }"#, "BAD_USER_INPUT ValidationError: id must not be empty"),
    ] {
        assert_eq!(app.refused(query, json!({})).await, expected);
    }
}

#[tokio::test]
async fn an_entitlement_is_refused_for_a_user_who_does_not_exist() {
    let app = TestApp::shop().await;
    let query = r#"{ feature(id: "sso") { entitlement(userId: "nobody") { access } } }"#;
    let answer = app.graphql(query, json!({})).send().await.ok();
    assert_eq!(answer["data"], json!({ "feature": { "entitlement": null } }));
    assert_eq!(only_error(&answer), NO_USER);
}

#[tokio::test]
async fn what_is_not_valid_graphql_says_so_by_its_code() {
    let app = TestApp::shop().await;
    for (query, code) in [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("   # nothing", "GRAPHQL_PARSE_FAILED"),
        ("query { user(id: \"124) { id } }", "GRAPHQL_PARSE_FAILED"),
        ("{ user(id: \"124\") { id }", "GRAPHQL_PARSE_FAILED"),
        ("query () { features { id } }", "GRAPHQL_PARSE_FAILED"),
        ("query A { users { id } } query A { users { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ users { id } } query A { users { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ users { id } } { users { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ users { ...f } } fragment f on User { id } fragment f on User { name }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("fragment f on User { id }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ users { id } } type X { a: Int }", "GRAPHQL_VALIDATION_FAILED"),
        ("scalar X", "GRAPHQL_VALIDATION_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: \"124\") }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: \"124\") { id { x } } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: \"124\", more: 1) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: $id) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("query ($id: Nothing!) { user(id: $id) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ ...nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ user(id: \"124\") { id @nothing } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ a: user(id: \"124\") { id } a: feature(id: \"sso\") { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("subscription { x }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "mutation { createUser(input: {id: \"1\", more: 1}) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        ("mutation { createUser(input: {}) { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "mutation { createFeature(input: {id: \"1\", type: SWITCH}) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
    ] {
        let stored = app.stored();
        let answer = app.graphql(query, json!({})).send().await.ok();
        assert_eq!(answer.get("data"), None, "{query}: {answer}");
        for found in answer["errors"].as_array().unwrap() {
            let found = error(found);
            assert!(found.starts_with(&format!("{code} GraphQLError: ")), "{query}: {found}");
        }
        assert_eq!(app.stored(), stored);
    }
}

#[tokio::test]
async fn a_number_that_is_no_int_is_refused_and_the_mutation_before_it_does_not_run() {
    let app = TestApp::shop().await;
    for delta in ["99999999999999999999", "1.5", "1e3", "\"1\"", "true"] {
        let query = format!(
            r#"mutation {{
                first: createUser(input: {{id: "first"}}) {{ id }}
                second: recordUsage(input: {{
                    userId: "124", featureId: "api-calls", delta: {delta}}}) {{ recorded }}
            }}"#
        );
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_"), "{delta}: {refused}");
    }
}

#[tokio::test]
async fn a_literal_beyond_32_bits_is_refused_and_the_mutation_before_it_does_not_run() {
    let app = TestApp::shop().await;
    for delta in ["2147483648", "-2147483649"] {
        let query = format!(
            r#"mutation {{
                first: createUser(input: {{id: "first"}}) {{ id }}
                second: recordUsage(input: {{
                    userId: "124", featureId: "api-calls", delta: {delta}}}) {{ recorded }}
            }}"#
        );
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{delta}: {refused}");
        assert!(refused.contains("delta"), "{delta}: {refused}");
    }
}

#[tokio::test]
async fn a_wrong_literal_beside_a_variable_that_is_not_given_is_refused_before_anything_runs() {
    let app = TestApp::shop().await;
    let query = r#"mutation ($name: String) {
        first: createUser(input: {id: "first"}) { id }
        second: createUser(input: {id: 124, name: $name}) { id }
    }"#;
    let refused = app.refused(query, json!({})).await;
    assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{refused}");
    assert!(refused.contains("input.id"), "{refused}");
}

#[tokio::test]
async fn a_variable_of_another_type_than_its_place_is_refused_before_anything_runs() {
    let app = TestApp::shop().await;
    for ty in ["String", "Int", "Int!", "[String!]!", "Boolean"] {
        let query = format!(
            r#"mutation ($id: {ty}) {{
                first: createUser(input: {{id: "first"}}) {{ id }}
                second: publishPackage(id: $id) {{ id }}
            }}"#
        );
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{ty}: {refused}");
    }
}

#[tokio::test]
async fn an_instant_that_is_none_is_refused_and_the_mutation_before_it_does_not_run() {
    let app = TestApp::shop().await;
    for at in ["\"yesterday\"", "\"2024-01-15\"", "\"2024-01-15T12:00:00\"", "1705320000000", "{}"]
    {
        let query = format!(
            r#"mutation {{
                first: createUser(input: {{id: "first"}}) {{ id }}
                second: subscribe(userId: "124", packageIds: "basic", startedAt: {at}) {{ id }}
            }}"#
        );
        let refused = app.refused(&query, json!({})).await;
        assert!(refused.starts_with("GRAPHQL_VALIDATION_FAILED"), "{at}: {refused}");
        assert!(refused.contains("startedAt"), "{at}: {refused}");
    }
}
