//! Several features at once, and why an answer is what it is (contract: `beyond.md`, i and j).

use serde_json::{Value, json};

use crate::app::TestApp;

const TOGETHER: &str = "query ($userId: String!, $requirements: [FeatureRequirement!]!) {
    canUseFeatures(userId: $userId, requirements: $requirements) {
        access results { access reasonCode consumption { used budget } }
    }
}";
const EXPLAIN: &str = "query ($featureId: String!, $delta: Int) {
    explainFeature(userId: \"124\", featureId: $featureId, delta: $delta) {
        access reason reasonCode
        consumption { used budget allowance carried granted held remaining }
        balanceFeatureId amount source sourceId periodStart periodEnd parts { kind id amount }
    }
}";

#[tokio::test]
async fn features_are_answered_alone_and_together() {
    let (app, _) = TestApp::subscribed("pro").await;
    let ask = async |requirements: Value| {
        let variables = json!({ "userId": "124", "requirements": requirements });
        app.data(TOGETHER, variables).await["canUseFeatures"].clone()
    };
    let both = json!([{ "featureId": "sso" }, { "featureId": "api-calls", "delta": 600 }]);
    let answer = ask(both).await;
    assert_eq!(answer["access"], true);
    assert_eq!(answer["results"][0]["reasonCode"], "GRANTED");
    assert_eq!(
        answer["results"][1],
        json!({ "access": true, "reasonCode": "WITHIN_LIMIT", "consumption": { "used": 0, "budget": 1000 } })
    );
    // One alone need not be in a list.
    let one = ask(json!({ "featureId": "sso" })).await;
    assert_eq!(one["results"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn amounts_of_one_feature_are_added_up() {
    let (app, _) = TestApp::subscribed("basic").await;
    let twice = |delta: i32| {
        let one = json!({ "featureId": "api-calls", "delta": delta });
        json!({ "userId": "124", "requirements": [one, one] })
    };
    let answer = app.data(TOGETHER, twice(50)).await;
    assert_eq!(answer["canUseFeatures"]["access"], true);
    let answer = app.data(TOGETHER, twice(51)).await;
    assert_eq!(answer["canUseFeatures"]["access"], false);
    assert_eq!(answer["canUseFeatures"]["results"][1]["access"], true);
}

#[tokio::test]
async fn what_is_wrong_with_requirements_is_said() {
    let app = TestApp::shop().await;
    let many = vec![json!({ "featureId": "api-calls" }); 101];
    let count = "BAD_USER_INPUT ValidationError: requirements must name 1 to 100 features";
    for (user, requirements, expected) in [
        ("nobody", json!([]), count),
        ("nobody", json!(many), count),
        (
            "nobody",
            json!([{ "featureId": "nope", "delta": -1 }]),
            "BAD_USER_INPUT ValidationError: delta must not be negative here",
        ),
        (
            "nobody",
            json!([{ "featureId": "nope" }]),
            "NOT_FOUND UserNotFoundError: User not found: nobody",
        ),
        (
            "124",
            json!([{ "featureId": "sso" }, { "featureId": "nope" }]),
            "NOT_FOUND FeatureNotFoundError: Feature not found: nope",
        ),
    ] {
        let variables = json!({ "userId": user, "requirements": requirements });
        assert_eq!(app.refused(TOGETHER, variables).await, expected);
    }
}

#[tokio::test]
async fn an_explanation_has_everything_that_the_answer_follows_from() {
    let (app, subscription) = TestApp::subscribed("basic").await;
    let explain = async |feature: &str, delta: i32| {
        let variables = json!({ "featureId": feature, "delta": delta });
        app.data(EXPLAIN, variables).await["explainFeature"].clone()
    };
    let answer = explain("api-calls", 101).await;
    assert_eq!(
        (&answer["access"], &answer["reasonCode"]),
        (&json!(false), &json!("LIMIT_REACHED"))
    );
    assert_eq!(
        answer["consumption"],
        json!({ "used": 0, "budget": 100, "allowance": 100, "carried": 0, "granted": 0, "held": 0,
            "remaining": 100 })
    );
    assert_eq!(
        (&answer["balanceFeatureId"], &answer["amount"]),
        (&json!("api-calls"), &json!(101))
    );
    assert_eq!(
        (&answer["source"], &answer["sourceId"]),
        (&json!("SUBSCRIPTION"), &json!(subscription))
    );
    assert!(answer["periodStart"].is_string() && answer["periodEnd"].is_string());
    assert_eq!(
        answer["parts"],
        json!([{ "kind": "ALLOWANCE", "id": subscription, "amount": 100 }])
    );

    let nothing = explain("sso", 1).await;
    assert_eq!(nothing["reasonCode"], "NOT_GRANTED");
    for field in ["consumption", "source", "sourceId", "periodStart", "periodEnd"] {
        assert_eq!(nothing[field], Value::Null, "{field}");
    }
    assert_eq!(nothing["parts"], json!([]));
}

#[tokio::test]
async fn usage_that_was_granted_says_what_is_left() {
    let (app, _) = TestApp::subscribed("basic").await;
    let query =
        "mutation { useFeature(input: {userId: \"124\", featureId: \"api-calls\", delta: 30}) {
        granted reasonCode consumption { used remaining allowance carried granted held } } }";
    let expected = |used: i32| {
        json!({ "granted": true, "reasonCode": "WITHIN_LIMIT", "consumption": { "used": used,
            "remaining": 100 - used, "allowance": 100, "carried": 0, "granted": 0, "held": 0 } })
    };
    // The general executor answers the first time, and a plan from then on.
    for used in [30, 60, 90] {
        assert_eq!(app.data(query, json!({})).await["useFeature"], expected(used));
    }
}
