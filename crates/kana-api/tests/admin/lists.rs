//! Lists and pages.

use serde_json::{Value, json};

use crate::app::TestApp;

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn packages_are_listed_by_status_in_order_of_creation() {
    let app = TestApp::shop().await;
    let query = "query ($status: String) { packages(status: $status) { id } }";
    let all = app.data(query, json!({ "status": "ALL" })).await;
    assert_eq!(ids(&all["packages"]), ["basic", "pro", "boost", "extra", "draft"]);
    for (variables, expected) in [
        (json!({}), vec!["basic", "pro", "boost", "extra"]),
        (json!({ "status": "PUBLISHED" }), vec!["basic", "pro", "boost", "extra"]),
        (json!({ "status": "DRAFT" }), vec!["draft"]),
        (json!({ "status": "ARCHIVED" }), vec![]),
    ] {
        assert_eq!(ids(&app.data(query, variables).await["packages"]), expected);
    }
    let refusal = app.refused(query, json!({ "status": "published" })).await;
    assert!(refusal.starts_with("BAD_USER_INPUT ValidationError: status "), "{refusal}");
    let features = app.data("{ features { id packages { id } } }", json!({})).await;
    assert_eq!(ids(&features["features"]), ["api-calls", "sso"]);
}

#[tokio::test]
async fn pages_of_users_come_in_order_of_creation_without_gap_or_overlap() {
    let app = TestApp::new().await;
    for index in 0..25 {
        let query = format!(r#"mutation {{ createUser(input: {{id: "u{index}"}}) {{ id }} }}"#);
        app.data(&query, json!({})).await;
    }
    let query = "query ($after: String) { usersConnection(first: 10, after: $after) {
        edges { cursor node { ...one } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }
        fragment one on User { id subs: subscriptions { id } }";
    let (mut after, mut seen) = (Value::Null, Vec::new());
    loop {
        let page = app.data(query, json!({ "after": after })).await["usersConnection"].clone();
        let edges = page["edges"].as_array().unwrap();
        let info = &page["pageInfo"];
        assert_eq!(info["hasPreviousPage"], json!(!after.is_null()));
        assert_eq!(info["startCursor"], edges[0]["cursor"]);
        assert_eq!(info["endCursor"], edges[edges.len() - 1]["cursor"]);
        seen.extend(edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()));
        after = info["endCursor"].clone();
        if info["hasNextPage"] == json!(false) {
            break;
        }
    }
    let expected: Vec<String> = (0..25).map(|index| format!("u{index}")).collect();
    assert_eq!(seen, expected);
    let end = app.data(query, json!({ "after": after })).await["usersConnection"].clone();
    assert_eq!((&end["edges"], &end["pageInfo"]["endCursor"]), (&json!([]), &Value::Null));
    for bad in ["first: 0", "first: 1001", "first: -1", "after: \"no cursor\""] {
        for list in ["usersConnection", "subscriptionsConnection"] {
            let query = format!("{{ {list}({bad}) {{ pageInfo {{ hasNextPage }} }} }}");
            let refusal = app.refused(&query, json!({})).await;
            assert!(refusal.starts_with("BAD_USER_INPUT ValidationError"), "{refusal}");
        }
    }
}

#[tokio::test]
async fn subscriptions_come_newest_first_by_their_start() {
    let app = TestApp::shop().await;
    app.data(
        r#"mutation {
            a: subscribe(packageIds: ["basic"], userId: "124", startedAt: "2023-05-01T00:00:00Z") { id }
            b: subscribe(packageIds: ["extra"], userId: "124", startedAt: "2022-05-01T00:00:00Z") { id }
            createUser(input: {id: "125"}) { id }
            c: subscribe(packageIds: ["basic"], userId: "125", startedAt: "2022-12-01T00:00:00Z") { id }
        }"#,
        json!({}),
    )
    .await;
    let all = app.data("{ subscriptions { userId package { id } } }", json!({})).await;
    let order: Vec<_> = all["subscriptions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["userId"].as_str().unwrap(), one["package"]["id"].as_str().unwrap()))
        .collect();
    assert_eq!(order, [("124", "basic"), ("125", "basic"), ("124", "extra")]);
    let pages = "query ($after: String, $user: String) {
        subscriptionsConnection(first: 1, after: $after, userId: $user) {
            edges { node { package { id } } } pageInfo { hasNextPage endCursor } } }";
    for (user, expected) in
        [(Value::Null, vec!["basic", "basic", "extra"]), (json!("124"), vec!["basic", "extra"])]
    {
        let (mut after, mut seen) = (Value::Null, Vec::new());
        loop {
            let variables = json!({ "after": after, "user": user });
            let page = app.data(pages, variables).await["subscriptionsConnection"].clone();
            seen.push(page["edges"][0]["node"]["package"]["id"].as_str().unwrap().to_owned());
            after = page["pageInfo"]["endCursor"].clone();
            if page["pageInfo"]["hasNextPage"] == json!(false) {
                break;
            }
        }
        assert_eq!(seen, expected);
    }
    assert_eq!(
        app.refused(r#"{ a: subscriptions(userId: "nobody") { id } users { nope } }"#, json!({}))
            .await
            .split(':')
            .next(),
        Some("GRAPHQL_VALIDATION_FAILED GraphQLError")
    );
    let answer = app.graphql(r#"{ subscriptions(userId: "nobody") { id } }"#, json!({}));
    assert_eq!(
        crate::app::only_error(&answer.send().await.ok()),
        "NOT_FOUND UserNotFoundError: User not found: nobody"
    );
}

/// The pages of a list put together, each with its items' ids.
async fn paged(app: &TestApp, list: &str, size: usize) -> Vec<String> {
    let (mut after, mut seen) = (String::new(), Vec::new());
    loop {
        let query = format!(
            "{{ {list}(first: {size}{after}) {{
                edges {{ node {{ id }} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        );
        let data = app.data(&query, json!({})).await;
        let page = &data[list];
        let edges = page["edges"].as_array().unwrap();
        seen.extend(edges.iter().map(|edge| edge["node"]["id"].as_str().unwrap().to_owned()));
        if page["pageInfo"]["hasNextPage"] == json!(false) {
            return seen;
        }
        assert_eq!(edges.len(), size);
        after = format!(", after: {}", page["pageInfo"]["endCursor"]);
    }
}

#[tokio::test]
async fn what_was_made_at_the_same_instant_is_paged_without_gap_or_overlap() {
    let app = TestApp::shop().await;
    let mut made = Vec::new();
    for index in 0..7 {
        // The clock stands still, and all subscriptions are backdated to one start.
        let query = format!(
            r#"mutation {{
                createUser(input: {{id: "u{index}"}}) {{ id }}
                subscribe(packageIds: ["basic", "extra"], userId: "u{index}",
                    startedAt: "2023-05-01T00:00:00Z") {{ id }}
            }}"#
        );
        let data = app.data(&query, json!({})).await;
        made.extend(ids(&data["subscribe"]).into_iter().map(str::to_owned));
    }
    let newest_first: Vec<String> = made.iter().rev().cloned().collect();
    let users: Vec<String> =
        ["124".to_owned()].into_iter().chain((0..7).map(|index| format!("u{index}"))).collect();
    let all = app.data("{ subscriptions { id } users { id } }", json!({})).await;
    assert_eq!(ids(&all["subscriptions"]), newest_first);
    assert_eq!(ids(&all["users"]), users);
    for size in [1, 2, 3, 7, 14, 1000] {
        assert_eq!(paged(&app, "subscriptionsConnection", size).await, newest_first, "{size}");
        assert_eq!(paged(&app, "usersConnection", size).await, users, "{size}");
    }
}
