//! Links to subscribe by and tokens for users' browsers.

use serde_json::json;

use crate::app::TestApp;

const TOKEN: &str = "mutation ($id: String!) { generateUserToken(userId: $id) { token } }";

#[tokio::test]
async fn a_subscription_link_needs_a_billing_provider() {
    let app = TestApp::shop().await;
    for user in ["", r#"userId: "124", "#, r#"userId: "nobody", "#] {
        let query = format!(
            r#"mutation {{ generateSubscriptionLink({user}templateId: "t",
                successUrl: "https://a.example", cancelUrl: "https://b.example") {{ url }} }}"#
        );
        assert_eq!(
            app.refused(&query, json!({})).await,
            "BAD_USER_INPUT SubscriptionLinkError: A subscription link cannot be made: no billing \
             provider is linked"
        );
    }
}

#[tokio::test]
async fn a_user_token_has_the_three_parts_of_a_json_web_token() {
    let app = TestApp::shop().await;
    let data = app.data(TOKEN, json!({ "id": "124" })).await;
    let token = data["generateUserToken"]["token"].as_str().unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(parts.len(), 3, "{token}");
    assert!(parts.iter().all(|part| !part.is_empty()), "{token}");
}

#[tokio::test]
async fn a_token_is_refused_for_a_user_that_does_not_exist() {
    let app = TestApp::shop().await;
    assert_eq!(
        app.refused(TOKEN, json!({ "id": "nobody" })).await,
        "NOT_FOUND UserNotFoundError: User not found: nobody"
    );
    assert_eq!(
        app.refused(TOKEN, json!({ "id": "" })).await,
        "BAD_USER_INPUT ValidationError: userId must not be empty"
    );
}
