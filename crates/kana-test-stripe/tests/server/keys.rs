use kana_test_stripe::Access;

use crate::client::World;

#[tokio::test]
async fn unknown_and_missing_keys_are_unauthorized() {
    let world = World::new().await;
    for key in ["Bearer sk_test_other_key_of_somebody", "Bearer ", "Basic x"] {
        let answer =
            world.send("GET", "/v1/customers", "", &[("authorization", key)]).await.unwrap();
        assert_eq!((answer.status, answer.error("type").as_str()), (401, "invalid_request_error"));
        assert!(!answer.text.contains("other_key"), "{}", answer.text);
    }
    assert!(!world.server.add_key("pk_test_published"));
}

#[tokio::test]
async fn live_and_test_objects_are_apart() {
    let world = World::new().await;
    world.server.add_key("sk_live_1");
    let live = [("authorization", "Bearer sk_live_1")];
    let made = world.send("POST", "/v1/customers", "email=a@b.c", &live).await.unwrap().json();
    assert_eq!(made["livemode"], true);
    assert_eq!(world.customers().await, 0);
    let path = format!("/v1/customers/{}", made["id"].as_str().unwrap());
    assert_eq!(world.call("GET", &path, "").await.status, 404);
    assert_eq!(world.send("GET", &path, "", &live).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_restricted_key_may_do_what_it_is_allowed() {
    let world = World::new().await;
    let allowed = [("customers", Access::Write), ("prices", Access::Read)];
    world.server.add_restricted_key("rk_test_1", &allowed);
    let key = [("authorization", "Bearer rk_test_1")];
    for (method, path, status) in [
        ("GET", "/v1/customers", 200),
        ("POST", "/v1/customers", 200),
        ("GET", "/v1/prices", 200),
        ("POST", "/v1/prices", 403),
        ("GET", "/v1/subscriptions", 403),
        ("GET", "/v1/account", 403),
    ] {
        let answer = world.send(method, path, "", &key).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {}", answer.text);
    }
}
