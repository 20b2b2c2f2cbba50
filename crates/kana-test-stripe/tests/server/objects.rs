use serde_json::Value;

use crate::client::World;

#[tokio::test]
async fn a_deleted_customer_is_still_answered_and_its_subscriptions_end() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "email=a@b.c").await;
    let price = world.monthly_price().await;
    let form = format!("customer={customer}&items[0][price]={price}");
    let subscription = world.create("/v1/subscriptions", &form).await;
    let path = format!("/v1/customers/{customer}");
    assert_eq!(world.call("DELETE", &path, "").await.status, 200);
    assert_eq!(world.get(&path).await["deleted"], true);
    assert_eq!(world.customers().await, 0);
    assert_eq!(world.call("POST", &path, "name=x").await.status, 404);
    let ended = world.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(ended["status"], "canceled");
    assert!(ended["ended_at"].is_i64());
    assert_eq!(world.call("POST", "/v1/subscriptions", &form).await.error("param"), "customer");
}

#[tokio::test]
async fn prices_have_amounts_tiers_and_custom_amounts() {
    let world = World::new().await;
    let product = world.create("/v1/products", "name=Pro").await;
    let price = async |form: &str| {
        world.post("/v1/prices", &format!("product={product}&currency=GBP&{form}")).await
    };
    let flat = price("unit_amount=500").await;
    assert_eq!((&flat["unit_amount"], &flat["currency"]), (&500.into(), &"gbp".into()));
    assert_eq!((&flat["type"], &flat["recurring"]), (&"one_time".into(), &Value::Null));
    let fraction = price("unit_amount_decimal=0.05").await;
    assert!(fraction["unit_amount"].is_null());
    assert_eq!(fraction["unit_amount_decimal"], "0.05");
    let custom = price("custom_unit_amount[enabled]=true&custom_unit_amount[minimum]=100").await;
    assert_eq!(custom["custom_unit_amount"]["minimum"], 100);
    let form = "billing_scheme=tiered&tiers_mode=volume&recurring[interval]=year\
                &tiers[0][up_to]=5&tiers[0][unit_amount]=9&tiers[1][up_to]=inf&tiers[1][unit_amount]=7";
    let tiered = price(form).await;
    assert!(tiered.get("tiers").is_none() && tiered["unit_amount"].is_null());
    let path =
        format!("/v1/prices/{}?expand[]=tiers&expand[]=product", tiered["id"].as_str().unwrap());
    let expanded = world.get(&path).await;
    assert_eq!(expanded["tiers"][0]["up_to"], 5);
    assert!(expanded["tiers"][1]["up_to"].is_null());
    assert_eq!(expanded["product"]["name"], "Pro");
    let archived = format!("/v1/prices/{}", flat["id"].as_str().unwrap());
    world.post(&archived, "active=false").await;
    let active = world.get(&format!("/v1/prices?active=true&product={product}")).await;
    assert_eq!(active["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_wrong_with_a_price_is_named_and_nothing_is_created() {
    let world = World::new().await;
    let product = "product_data[name]=Pro";
    for (form, param) in [
        (format!("{product}&unit_amount=5"), "currency"),
        (format!("{product}&currency=gbp"), "unit_amount"),
        (format!("{product}&currency=gbp&unit_amount=-5"), "unit_amount"),
        (
            format!("{product}&currency=gbp&unit_amount=5&recurring[interval]=hour"),
            "recurring[interval]",
        ),
        ("product=prod_none&currency=gbp&unit_amount=5".to_owned(), "product"),
        (format!("{product}&currency=gbp&unit_amount=5&colour=red"), "colour"),
    ] {
        let answer = world.call("POST", "/v1/prices", &form).await;
        assert_eq!((answer.status, answer.error("param").as_str()), (400, param), "{form}");
    }
    let form = format!("{product}&currency=gbp&unit_amount=5&expand[]=colour");
    assert_eq!(world.call("POST", "/v1/prices", &form).await.error("param"), "expand");
    for path in ["/v1/prices", "/v1/products", "/v1/events"] {
        assert_eq!(world.get(path).await["data"].as_array().unwrap().len(), 0, "{path}");
    }
}

#[tokio::test]
async fn items_of_a_subscription_are_added_changed_and_taken_out() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "").await;
    let (first, second) = (world.monthly_price().await, world.monthly_price().await);
    let form = format!("customer={customer}&items[0][price]={first}&items[0][quantity]=2");
    let subscription = world.post("/v1/subscriptions", &form).await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    let item = subscription["items"]["data"][0]["id"].as_str().unwrap();
    let form = format!("items[0][id]={item}&items[0][quantity]=5&items[1][price]={second}");
    let changed = world.post(&path, &form).await;
    assert_eq!(changed["items"]["data"][0]["quantity"], 5);
    assert_eq!(changed["items"]["data"][1]["price"]["id"], second.as_str());
    let changed = world.post(&path, &format!("items[0][id]={item}&items[0][deleted]=true")).await;
    assert_eq!(changed["items"]["total_count"], 1);
    let by_price = async |price: &str| {
        let list = world.get(&format!("/v1/subscriptions?price={price}")).await;
        list["data"].as_array().unwrap().len()
    };
    assert_eq!((by_price(&first).await, by_price(&second).await), (0, 1));
    let wrong = world.call("POST", &path, &format!("items[0][id]={item}")).await;
    assert_eq!((wrong.status, wrong.error("param").as_str()), (400, "items[0][id]"));
}

#[tokio::test]
async fn more_than_20_items_are_on_pages() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "").await;
    let price = world.monthly_price().await;
    let items: Vec<_> = (0..25).map(|number| format!("items[{number}][price]={price}")).collect();
    let form = format!("customer={customer}&{}", items.join("&"));
    let subscription = world.post("/v1/subscriptions", &form).await;
    let items = &subscription["items"];
    assert_eq!(items["data"].as_array().unwrap().len(), 20);
    assert_eq!(items["has_more"], true);
    let (url, last) = (items["url"].as_str().unwrap(), items["data"][19]["id"].as_str().unwrap());
    let rest = world.get(&format!("{url}&starting_after={last}")).await;
    assert_eq!(rest["data"].as_array().unwrap().len(), 5);
    assert_eq!(rest["has_more"], false);
}

#[tokio::test]
async fn trials_anchors_and_cancellations_are_shown() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "").await;
    let price = world.monthly_price().await;
    let trial_end = world.server.now() + 1_000_000;
    let form = format!("customer={customer}&items[0][price]={price}&trial_end={trial_end}");
    let subscription = world.post("/v1/subscriptions", &form).await;
    let path = format!("/v1/subscriptions/{}", subscription["id"].as_str().unwrap());
    assert_eq!(subscription["status"], "trialing");
    assert_eq!(subscription["billing_cycle_anchor"], trial_end);
    assert_eq!(subscription["items"]["data"][0]["current_period_end"], trial_end);
    let ending = world.post(&path, "cancel_at_period_end=true").await;
    assert_eq!((&ending["cancel_at"], &ending["status"]), (&trial_end.into(), &"trialing".into()));
    assert!(world.post(&path, "cancel_at_period_end=false").await["cancel_at"].is_null());
    let active = world.post(&path, "trial_end=now").await;
    assert_eq!(active["status"], "active");
    assert!(active["items"]["data"][0]["current_period_end"].as_i64() > Some(trial_end));
    assert_eq!(world.call("DELETE", &path, "").await.json()["status"], "canceled");
    assert_eq!(world.call("DELETE", &path, "").await.status, 404);
    assert_eq!(world.call("POST", &path, "trial_end=now").await.status, 400);
    let lists = async |status: &str| {
        let list = world.get(&format!("/v1/subscriptions{status}")).await;
        list["data"].as_array().unwrap().len()
    };
    assert_eq!(
        (lists("").await, lists("?status=all").await, lists("?status=ended").await),
        (0, 1, 1)
    );
}

#[tokio::test]
async fn a_test_brings_about_what_only_stripe_can() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "").await;
    let price = world.monthly_price().await;
    let form = format!("customer={customer}&items[0][price]={price}");
    let subscription = world.create("/v1/subscriptions", &form).await;
    let path = format!("/_control/subscriptions/{subscription}");
    let answer = world.send("POST", &path, "status=past_due", &[]).await.unwrap();
    assert_eq!(answer.json()["status"], "past_due");
    let event = &world.get("/v1/events?limit=1").await["data"][0];
    assert_eq!(event["type"], "customer.subscription.updated");
    assert_eq!(event["data"]["previous_attributes"]["status"], "active");
}
