//! Every operation as it goes well, with every field that it can answer.

use serde_json::{Value, json};

use crate::app::{TestApp, without_ids};

const FEATURE: &str = "fragment feature on Feature {
    id name type unitLabel unitLabelPlural metadata packages { id status }
}";
const PACKAGE: &str = "fragment package on Package {
    id name isAddon status metadata updatedAt
    features {
        id name type limit unitLabel unitLabelPlural metadata resetPeriod overageEnabled
    }
    prices { id provider amount displayAmount currency interval }
    basePackages { id }
}";
const USER: &str = "fragment user on User {
    id billingId name email metadata subscriptions { id package { id } }
}";
const SUBSCRIPTION: &str = "fragment subscription on PackageSubscription {
    id userId status package { id } startedAt endedAt
}";
const CONSUMPTION: &str = "fragment consumption on Consumption {
    used budget overageEnabled usedExact budgetExact
}";

async fn answers(
    app: &TestApp,
    query: &str,
    fragments: &str,
    variables: serde_json::Value,
) -> serde_json::Value {
    without_ids(app.data(&format!("{query}\n{fragments}"), variables).await)
}

#[tokio::test]
async fn a_consumable_feature_is_made_and_found() {
    let app = TestApp::new().await;
    let query =
        "mutation ($input: CreateFeatureInput!) { createFeature(input: $input) { ...feature } }";
    let input = json!({
        "id": "api-calls", "name": "API calls", "type": "CONSUMABLE",
        "unitLabel": "call", "unitLabelPlural": "calls",
        "metadata": { "z": [1, 2.5, null, { "nested": true }], "a": "é" },
    });
    let made = answers(&app, query, FEATURE, json!({ "input": input })).await;
    insta::assert_json_snapshot!(made, @r#"
{
  "createFeature": {
    "id": "api-calls",
    "name": "API calls",
    "type": "CONSUMABLE",
    "unitLabel": "call",
    "unitLabelPlural": "calls",
    "metadata": {
      "z": [
        1,
        2.5,
        null,
        {
          "nested": true
        }
      ],
      "a": "é"
    },
    "packages": []
  }
}
"#);
    let found = answers(&app, r#"{ feature(id: "api-calls") { ...feature } }"#, FEATURE, json!({}));
    assert_eq!(found.await["feature"], made["createFeature"]);
}

#[tokio::test]
async fn a_switch_has_no_unit_and_is_named_by_its_id() {
    let app = TestApp::new().await;
    let query = r#"mutation { createFeature(input: {
        id: "sso", type: BINARY, name: null, unitLabel: "x", unitLabelPlural: "y"
    }) { ...feature } }"#;
    insta::assert_json_snapshot!(answers(&app, query, FEATURE, json!({})).await, @r#"
{
  "createFeature": {
    "id": "sso",
    "name": "sso",
    "type": "BINARY",
    "unitLabel": null,
    "unitLabelPlural": null,
    "metadata": null,
    "packages": []
  }
}
"#);
}

/// Creates the package `pro` with two features, and answers it.
async fn create_pro(app: &TestApp) -> Value {
    for input in [
        json!({ "id": "api-calls", "type": "CONSUMABLE", "unitLabel": "call" }),
        json!({ "id": "sso", "type": "BINARY", "metadata": { "icon": "key" } }),
    ] {
        let query =
            "mutation ($input: CreateFeatureInput!) { createFeature(input: $input) { id } }";
        app.data(query, json!({ "input": input })).await;
    }
    let query =
        "mutation ($input: CreatePackageInput!) { createPackage(input: $input) { ...package } }";
    let input = json!({
        "id": "pro", "name": "Pro", "metadata": { "tier": 2 },
        "features": [
            { "id": "sso", "name": "Single sign-on" },
            { "id": "api-calls", "entitlement": {
                "limit": 1000, "resetPeriod": "MONTH", "overageEnabled": true,
            } },
        ],
    });
    answers(app, query, PACKAGE, json!({ "input": input })).await
}

#[tokio::test]
async fn a_package_is_made_as_a_draft() {
    let app = TestApp::new().await;
    insta::assert_json_snapshot!(create_pro(&app).await, @r#"
{
  "createPackage": {
    "id": "pro",
    "name": "Pro",
    "isAddon": false,
    "status": "DRAFT",
    "metadata": {
      "tier": 2
    },
    "updatedAt": "2024-01-15T12:00:00.000Z",
    "features": [
      {
        "id": "sso",
        "name": "Single sign-on",
        "type": "BINARY",
        "limit": null,
        "unitLabel": null,
        "unitLabelPlural": null,
        "metadata": {
          "icon": "key"
        },
        "resetPeriod": null,
        "overageEnabled": false
      },
      {
        "id": "api-calls",
        "name": "api-calls",
        "type": "CONSUMABLE",
        "limit": 1000,
        "unitLabel": "call",
        "unitLabelPlural": null,
        "metadata": null,
        "resetPeriod": "MONTH",
        "overageEnabled": true
      }
    ],
    "prices": [],
    "basePackages": []
  }
}
"#);
}

#[tokio::test]
async fn a_draft_is_published_once_and_found() {
    let app = TestApp::new().await;
    let made = create_pro(&app).await;

    app.set_time("2024-01-16T08:30:00.123Z");
    let query = r#"mutation { publishPackage(id: "pro") { ...package } }"#;
    let published = answers(&app, query, PACKAGE, json!({})).await;
    let mut expected = made["createPackage"].clone();
    expected["status"] = json!("PUBLISHED");
    expected["updatedAt"] = json!("2024-01-16T08:30:00.123Z");
    assert_eq!(published["publishPackage"], expected);

    // Again changes nothing, and `includeFeatures` does not either.
    app.set_time("2024-01-17T00:00:00.000Z");
    assert_eq!(answers(&app, query, PACKAGE, json!({})).await, published);
    for include in
        ["", ", includeFeatures: true", ", includeFeatures: false", ", includeFeatures: null"]
    {
        let query = format!(r#"{{ package(id: "pro"{include}) {{ ...package }} }}"#);
        assert_eq!(answers(&app, &query, PACKAGE, json!({})).await["package"], expected);
    }
}

#[tokio::test]
async fn an_add_on_knows_its_base_packages_and_a_feature_its_packages() {
    let app = TestApp::shop().await;
    let query = r#"{
        boost: package(id: "boost") { ...package }
        extra: package(id: "extra") { isAddon basePackages { id } }
        basic: package(id: "basic") { isAddon basePackages { id } }
        feature(id: "sso") { packages { id status } }
    }"#;
    insta::assert_json_snapshot!(answers(&app, query, PACKAGE, json!({})).await, @r#"
{
  "boost": {
    "id": "boost",
    "name": "boost",
    "isAddon": true,
    "status": "PUBLISHED",
    "metadata": null,
    "updatedAt": "2024-01-15T12:00:00.000Z",
    "features": [
      {
        "id": "sso",
        "name": "sso",
        "type": "BINARY",
        "limit": null,
        "unitLabel": null,
        "unitLabelPlural": null,
        "metadata": null,
        "resetPeriod": null,
        "overageEnabled": false
      }
    ],
    "prices": [],
    "basePackages": [
      {
        "id": "pro"
      }
    ]
  },
  "extra": {
    "isAddon": true,
    "basePackages": []
  },
  "basic": {
    "isAddon": false,
    "basePackages": []
  },
  "feature": {
    "packages": [
      {
        "id": "pro",
        "status": "PUBLISHED"
      },
      {
        "id": "boost",
        "status": "PUBLISHED"
      },
      {
        "id": "extra",
        "status": "PUBLISHED"
      },
      {
        "id": "draft",
        "status": "DRAFT"
      }
    ]
  }
}
"#);
}

#[tokio::test]
async fn an_entitlement_without_a_limit_is_unlimited_and_one_left_out_never_resets() {
    let app = TestApp::shop().await;
    let query = "mutation ($id: String!, $entitlement: EntitlementInput) {
        createPackage(input: {id: $id, features: [{id: \"api-calls\", entitlement: $entitlement}]}) {
            features { limit resetPeriod overageEnabled }
        }
    }";
    for (id, entitlement, expected) in [
        (
            "none",
            json!(null),
            json!({ "limit": null, "resetPeriod": null, "overageEnabled": false }),
        ),
        (
            "unlimited",
            json!({ "resetPeriod": "YEAR", "limit": null, "overageEnabled": null }),
            json!({ "limit": null, "resetPeriod": "YEAR", "overageEnabled": false }),
        ),
        (
            "zero",
            json!({ "resetPeriod": "DAY", "limit": 0 }),
            json!({ "limit": 0, "resetPeriod": "DAY", "overageEnabled": false }),
        ),
        (
            "most",
            json!({ "resetPeriod": "DAY", "limit": 2_147_483_647 }),
            json!({ "limit": 2_147_483_647, "resetPeriod": "DAY", "overageEnabled": false }),
        ),
    ] {
        let data = app.data(query, json!({ "id": id, "entitlement": entitlement })).await;
        assert_eq!(data["createPackage"]["features"][0], expected, "{id}");
    }
}

#[tokio::test]
async fn every_reset_period_can_be_counted_by_the_calendar() {
    let app = TestApp::shop().await;
    let query = "mutation ($id: String!, $entitlement: EntitlementInput) {
        createPackage(input: {id: $id, features: [{id: \"api-calls\", entitlement: $entitlement}]}) {
            features { resetPeriod resetAnchor }
        }
    }";
    for period in ["MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "YEAR"] {
        for anchor in [None, Some("SUBSCRIPTION"), Some("CALENDAR")] {
            let id = format!("{period}-{anchor:?}");
            let mut entitlement = json!({ "resetPeriod": period, "limit": 1 });
            if let Some(anchor) = anchor {
                entitlement["resetAnchor"] = anchor.into();
            }
            let data = app.data(query, json!({ "id": id, "entitlement": entitlement })).await;
            let anchor = anchor.unwrap_or("SUBSCRIPTION");
            let expected = json!({ "resetPeriod": period, "resetAnchor": anchor });
            assert_eq!(data["createPackage"]["features"][0], expected, "{id}");
        }
    }
}

#[tokio::test]
async fn a_user_is_made_and_found() {
    let app = TestApp::new().await;
    let query = "mutation ($input: CreateUserInput!) { createUser(input: $input) { ...user } }";
    let input = json!({
        "id": "124", "billingId": "cus_1", "name": "Ada", "email": "ada@example.com",
        "metadata": { "plan": null },
    });
    let made = answers(&app, query, USER, json!({ "input": input })).await;
    insta::assert_json_snapshot!(made, @r#"
{
  "createUser": {
    "id": "124",
    "billingId": "cus_1",
    "name": "Ada",
    "email": "ada@example.com",
    "metadata": {
      "plan": null
    },
    "subscriptions": []
  }
}
"#);
    let found = answers(&app, r#"{ user(id: "124") { ...user } }"#, USER, json!({})).await;
    assert_eq!(found["user"], made["createUser"]);
}

#[tokio::test]
async fn a_user_subscribes_and_the_base_takes_its_add_on_along_when_it_is_cancelled() {
    let app = TestApp::shop().await;
    let query = r#"mutation { subscribe(userId: "124", packageIds: ["pro", "boost"],
        startedAt: "2024-01-01T00:00:00+02:00") { ...subscription } }"#;
    let raw = app.data(&format!("{query}\n{SUBSCRIPTION}"), json!({})).await;
    let id = raw["subscribe"][0]["id"].as_str().unwrap().to_owned();
    insta::assert_json_snapshot!(without_ids(raw), @r#"
{
  "subscribe": [
    {
      "id": "<id>",
      "userId": "124",
      "status": "ACTIVE",
      "package": {
        "id": "pro"
      },
      "startedAt": "2023-12-31T22:00:00.000Z",
      "endedAt": null
    },
    {
      "id": "<id>",
      "userId": "124",
      "status": "ACTIVE",
      "package": {
        "id": "boost"
      },
      "startedAt": "2023-12-31T22:00:00.000Z",
      "endedAt": null
    }
  ]
}
"#);

    let ask = "query ($id: String!) { subscription(id: $id) { ...subscription } }";
    let found = app.data(&format!("{ask}\n{SUBSCRIPTION}"), json!({ "id": id })).await;
    assert_eq!(found["subscription"]["id"], *id);
    assert_eq!(found["subscription"]["status"], "ACTIVE");

    let cancel = "mutation ($id: String!) { cancelSubscription(id: $id) { ...subscription } }";
    let cancel = format!("{cancel}\n{SUBSCRIPTION}");
    let cancelled = app.data(&cancel, json!({ "id": id })).await;
    insta::assert_json_snapshot!(without_ids(cancelled.clone()), @r#"
{
  "cancelSubscription": {
    "id": "<id>",
    "userId": "124",
    "status": "CANCELLED",
    "package": {
      "id": "pro"
    },
    "startedAt": "2023-12-31T22:00:00.000Z",
    "endedAt": "2024-01-15T12:00:00.000Z"
  }
}
"#);
    app.set_time("2024-02-01T00:00:00.000Z");
    assert_eq!(app.data(&cancel, json!({ "id": id })).await, cancelled, "again changes nothing");

    let query = r#"{ user(id: "124") { subscriptions { status package { id } endedAt } } }"#;
    let ended = json!("2024-01-15T12:00:00.000Z");
    assert_eq!(
        app.data(query, json!({})).await["user"]["subscriptions"],
        json!([
            { "status": "CANCELLED", "package": { "id": "boost" }, "endedAt": ended },
            { "status": "CANCELLED", "package": { "id": "pro" }, "endedAt": ended },
        ])
    );
}

#[tokio::test]
async fn subscriptions_are_answered_newest_first_by_their_start_then_by_their_creation() {
    let app = TestApp::shop().await;
    for (package, day) in [("pro", 2), ("boost", 3), ("extra", 2)] {
        let query = "mutation ($id: String!, $at: DateTime) {
            subscribe(userId: \"124\", packageIds: [$id], startedAt: $at) { id } }";
        let at = format!("2024-01-0{day}T00:00:00Z");
        app.data(query, json!({ "id": package, "at": at })).await;
    }
    let query = r#"{ user(id: "124") { subscriptions { package { id } } } }"#;
    let data = app.data(query, json!({})).await;
    let ids: Vec<_> = data["user"]["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|subscription| subscription["package"]["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["boost", "extra", "pro"]);
}

/// Has the user use all 100 calls of `basic`, and answers what was recorded of it.
async fn use_all_calls(app: &TestApp) -> Value {
    let query = r#"mutation {
        recorded: recordUsage(input: {userId: "124", featureId: "api-calls", delta: 40,
            action: ADD, idempotencyKey: "a", occurredAt: "2024-01-15T12:00:00.000Z",
            metadata: {path: "/x"}}) { recorded reason }
        event: createUsageEvent(input: {userId: "124", featureId: "api-calls", delta: 2})
        notCounted: recordUsage(input: {userId: "124", featureId: "sso"}) { recorded reason }
        noEvent: createUsageEvent(input: {userId: "124", featureId: "sso"})
        used: useFeature(input: {userId: "124", featureId: "api-calls", delta: 58,
            idempotencyKey: "b"}) { granted reason consumption { ...consumption } }
        refused: useFeature(input: {userId: "124", featureId: "api-calls"}) {
            granted reason consumption { ...consumption } }
    }"#;
    answers(app, query, CONSUMPTION, json!({})).await
}

#[tokio::test]
async fn usage_is_recorded() {
    let (app, _) = TestApp::subscribed("basic").await;
    insta::assert_json_snapshot!(use_all_calls(&app).await, @r#"
{
  "recorded": {
    "recorded": true,
    "reason": null
  },
  "event": true,
  "notCounted": {
    "recorded": false,
    "reason": "Nothing granted this feature to the user at that time: the event is kept and not counted."
  },
  "noEvent": false,
  "used": {
    "granted": true,
    "reason": "The usage is within the user's budget.",
    "consumption": {
      "used": 100,
      "budget": 100,
      "overageEnabled": false,
      "usedExact": "100",
      "budgetExact": "100"
    }
  },
  "refused": {
    "granted": false,
    "reason": "The usage would go over the user's budget.",
    "consumption": {
      "used": 100,
      "budget": 100,
      "overageEnabled": false,
      "usedExact": "100",
      "budgetExact": "100"
    }
  }
}
"#);
}

#[tokio::test]
async fn usage_is_asked_for() {
    let (app, _) = TestApp::subscribed("basic").await;
    use_all_calls(&app).await;
    app.set_time("2024-02-20T00:00:00.000Z");
    let query = r#"{
        can: canUseFeature(userId: "124", featureId: "api-calls", delta: 100) {
            access reason consumption { ...consumption } }
        cannot: canUseFeature(userId: "124", featureId: "api-calls", delta: 101) { access reason }
        feature(id: "api-calls") { entitlement(userId: "124") {
            access reason consumption { ...consumption } } }
        nothing: canUseFeature(userId: "124", featureId: "sso") { access reason consumption { used } }
    }"#;
    insta::assert_json_snapshot!(answers(&app, query, CONSUMPTION, json!({})).await, @r#"
{
  "can": {
    "access": true,
    "reason": "The usage is within the user's budget.",
    "consumption": {
      "used": 0,
      "budget": 100,
      "overageEnabled": false,
      "usedExact": "0",
      "budgetExact": "100"
    }
  },
  "cannot": {
    "access": false,
    "reason": "The usage would go over the user's budget."
  },
  "feature": {
    "entitlement": {
      "access": true,
      "reason": "The usage is within the user's budget.",
      "consumption": {
        "used": 0,
        "budget": 100,
        "overageEnabled": false,
        "usedExact": "0",
        "budgetExact": "100"
      }
    }
  },
  "nothing": {
    "access": false,
    "reason": "Nothing grants this feature to the user.",
    "consumption": null
  }
}
"#);
}

#[tokio::test]
async fn usage_is_shown_by_its_periods() {
    let (app, _) = TestApp::subscribed("basic").await;
    use_all_calls(&app).await;
    app.set_time("2024-02-20T00:00:00.000Z");
    let query = r#"{ showUsage(userId: "124", featureId: "api-calls") {
        current { periodStart periodEnd consumption { ...consumption } }
        past { periodStart periodEnd consumption { ...consumption } } } }"#;
    insta::assert_json_snapshot!(answers(&app, query, CONSUMPTION, json!({})).await, @r#"
{
  "showUsage": {
    "current": {
      "periodStart": "2024-02-15T12:00:00.000Z",
      "periodEnd": "2024-03-15T12:00:00.000Z",
      "consumption": {
        "used": 0,
        "budget": 100,
        "overageEnabled": false,
        "usedExact": "0",
        "budgetExact": "100"
      }
    },
    "past": [
      {
        "periodStart": "2024-01-15T12:00:00.000Z",
        "periodEnd": "2024-02-15T12:00:00.000Z",
        "consumption": {
          "used": 100,
          "budget": 100,
          "overageEnabled": false,
          "usedExact": "100",
          "budgetExact": "100"
        }
      }
    ]
  }
}
"#);
}

#[tokio::test]
async fn a_switch_is_granted_and_has_no_consumption() {
    let (app, _) = TestApp::subscribed("pro").await;
    let query = r#"mutation {
        recorded: recordUsage(input: {userId: "124", featureId: "sso"}) { recorded reason }
        used: useFeature(input: {userId: "124", featureId: "sso"}) { granted reason consumption { used } }
    }"#;
    insta::assert_json_snapshot!(app.data(query, json!({})).await, @r#"
{
  "recorded": {
    "recorded": true,
    "reason": null
  },
  "used": {
    "granted": true,
    "reason": "The user has this feature.",
    "consumption": null
  }
}
"#);
    let query = r#"{
        can: canUseFeature(userId: "124", featureId: "sso", delta: 9) { access reason consumption { used } }
        show: showUsage(userId: "124", featureId: "sso") { current { periodStart } past { periodStart } }
    }"#;
    insta::assert_json_snapshot!(app.data(query, json!({})).await, @r#"
{
  "can": {
    "access": true,
    "reason": "The user has this feature.",
    "consumption": null
  },
  "show": {
    "current": null,
    "past": []
  }
}
"#);
}

#[tokio::test]
async fn usage_over_a_limit_is_recorded_and_then_access_is_denied_or_overage() {
    for (package, access) in [("basic", false), ("pro", true)] {
        let (app, _) = TestApp::subscribed(package).await;
        let query = r#"mutation { recordUsage(input: {
            userId: "124", featureId: "api-calls", delta: 5000}) { recorded } }"#;
        assert_eq!(
            app.data(query, json!({})).await,
            json!({ "recordUsage": { "recorded": true } })
        );
        let query = r#"{ canUseFeature(userId: "124", featureId: "api-calls") {
            access consumption { used } } }"#;
        let expected = json!({ "access": access, "consumption": { "used": 5000 } });
        assert_eq!(app.data(query, json!({})).await["canUseFeature"], expected, "{package}");
    }
}

#[tokio::test]
async fn a_repeated_key_answers_as_the_first_time() {
    let (app, _) = TestApp::subscribed("basic").await;
    let query = r#"mutation { useFeature(input: {
        userId: "124", featureId: "api-calls", idempotencyKey: "once"}) {
            granted reason consumption { used } } }"#;
    let first = app.data(query, json!({})).await;
    for _ in 0..3 {
        assert_eq!(app.data(query, json!({})).await, first);
    }
    // The two forms of recording are one operation, and a default counts as if it were written.
    let event = r#"mutation { createUsageEvent(input: {
        userId: "124", featureId: "api-calls", idempotencyKey: "two"}) }"#;
    app.data(event, json!({})).await;
    let record = r#"mutation { recordUsage(input: {userId: "124", featureId: "api-calls",
        delta: 1, action: ADD, idempotencyKey: "two", metadata: {other: 1}}) { recorded } }"#;
    assert_eq!(app.data(record, json!({})).await["recordUsage"]["recorded"], true);
    let used =
        r#"{ canUseFeature(userId: "124", featureId: "api-calls") { consumption { used } } }"#;
    assert_eq!(app.data(used, json!({})).await["canUseFeature"]["consumption"]["used"], 2);
}

#[tokio::test]
async fn instants_have_three_fractional_digits_and_are_in_utc() {
    let app = TestApp::shop().await;
    for (id, given, answered) in [
        ("a", "2024-01-15T12:00:00Z", "2024-01-15T12:00:00.000Z"),
        ("b", "2024-01-15T13:00:00.5+02:00", "2024-01-15T11:00:00.500Z"),
        ("c", "2022-08-10T15:07:01.803999Z", "2022-08-10T15:07:01.803Z"),
        ("d", "2022-08-10t15:07:01z", "2022-08-10T15:07:01.000Z"),
        ("e", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
    ] {
        let query = "mutation ($id: String!, $at: DateTime) {
            createUser(input: {id: $id}) { id }
            subscribe(userId: $id, packageIds: \"basic\", startedAt: $at) { startedAt endedAt }
        }";
        let data = app.data(query, json!({ "id": id, "at": given })).await;
        assert_eq!(data["subscribe"], json!([{ "startedAt": answered, "endedAt": null }]));
    }
}
