use serde_json::json;

use crate::client::World;

const DAY: u32 = 24 * 60 * 60;

#[tokio::test]
async fn subscriptions_are_renewed_and_end_as_time_passes() {
    let world = World::new().await;
    let price = world.monthly_price().await;
    let customer = world.create("/v1/customers", "email=ann@example.com").await;
    let form = |more: &str| format!("customer={customer}&items[0][price]={price}{more}");
    let renewed = world.post("/v1/subscriptions", &form("&trial_period_days=10")).await;
    let ends = world.post("/v1/subscriptions", &form("&cancel_at_period_end=true")).await;
    let now = |subscription: &serde_json::Value| {
        let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
        async {
            let path = path;
            world.get(&path).await
        }
    };
    let first_end = renewed["items"]["data"][0]["current_period_end"].as_i64().unwrap();
    assert_eq!(renewed["trial_end"], first_end);
    world.server.advance(11 * DAY);
    let after = now(&renewed).await;
    assert_eq!(after["status"], "active");
    assert_eq!(after["items"]["data"][0]["current_period_start"], first_end);
    assert_eq!(now(&ends).await["status"], "active");
    world.server.advance(21 * DAY);
    let over = now(&ends).await;
    assert_eq!(
        (&over["status"], &over["cancel_at_period_end"]),
        (&json!("canceled"), &json!(true))
    );
    let events = world.get("/v1/events?type=customer.subscription.deleted").await;
    assert_eq!(events["data"].as_array().unwrap().len(), 1);
}
