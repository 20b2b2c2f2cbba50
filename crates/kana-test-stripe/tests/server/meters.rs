use serde_json::{Value, json};

use crate::client::World;

const METER: &str = "display_name=Calls&event_name=calls&default_aggregation[formula]=sum";

/// A meter, and a customer.
async fn metered() -> (World, String, String) {
    let world = World::new().await;
    let meter = world.create("/v1/billing/meters", METER).await;
    let customer = world.create("/v1/customers", "email=ann@example.com").await;
    (world, meter, customer)
}

fn event(customer: &str, value: &str, more: &str) -> String {
    format!("event_name=calls&payload[stripe_customer_id]={customer}&payload[value]={value}{more}")
}

/// What the customer has used in the last day.
async fn used(world: &World, meter: &str, customer: &str) -> Value {
    let end = world.server.now() / 60 * 60 + 60;
    let path = format!(
        "/v1/billing/meters/{meter}/event_summaries?customer={customer}&start_time={}&end_time={end}",
        end - 86_400
    );
    world.get(&path).await["data"][0]["aggregated_value"].clone()
}

#[tokio::test]
async fn events_add_up_and_an_identifier_counts_once() {
    let (world, meter, customer) = metered().await;
    let before = world.server.now() - 3600;
    for more in ["&identifier=one".to_owned(), format!("&identifier=two&timestamp={before}")] {
        let taken = world.post("/v1/billing/meter_events", &event(&customer, "25", &more)).await;
        assert_eq!(taken["object"], "billing.meter_event");
    }
    assert_eq!(used(&world, &meter, &customer).await, json!(50.0));
    let again = world
        .call("POST", "/v1/billing/meter_events", &event(&customer, "25", "&identifier=one"))
        .await;
    assert_eq!(again.status, 400);
    assert_eq!(again.error("message"), "An event already exists with identifier one.");
    assert_eq!(used(&world, &meter, &customer).await, json!(50.0));
    world.server.advance(24 * 60 * 60);
    world.post("/v1/billing/meter_events", &event(&customer, "3", "&identifier=one")).await;
    assert_eq!(used(&world, &meter, &customer).await, json!(3.0));
}

#[tokio::test]
async fn a_price_is_metered_by_a_meter_that_there_is() {
    let (world, meter, _) = metered().await;
    let form = |meter: &str| {
        format!(
            "currency=gbp&unit_amount_decimal=0.5&product_data[name]=Calls&recurring[interval]=month\
             &recurring[usage_type]=metered&recurring[meter]={meter}"
        )
    };
    let price =
        world.post("/v1/prices", &format!("{}&expand[]=recurring.meter", form(&meter))).await;
    assert_eq!(price["recurring"]["meter"]["event_name"], "calls");
    let unknown = world.call("POST", "/v1/prices", &form("mtr_no")).await;
    assert_eq!(unknown.error("param"), "recurring[meter]");
}

#[tokio::test]
async fn events_too_old_or_of_a_malformed_identifier_are_refused() {
    let (world, meter, customer) = metered().await;
    let now = world.server.now();
    let long = format!("&identifier={}", "x".repeat(101));
    for (more, param) in [
        (format!("&timestamp={}", now - 36 * 86_400), "timestamp"),
        (format!("&timestamp={}", now + 400), "timestamp"),
        ("&identifier=".to_owned(), "identifier"),
        (long, "identifier"),
    ] {
        let answer =
            world.call("POST", "/v1/billing/meter_events", &event(&customer, "1", &more)).await;
        assert_eq!((answer.status, answer.error("param")), (400, param.to_owned()), "{more}");
    }
    assert_eq!(used(&world, &meter, &customer).await, Value::Null);
}

#[tokio::test]
async fn what_a_meter_cannot_take_is_told_by_a_thin_event() {
    let (world, meter, customer) = metered().await;
    world.post("/v1/billing/meter_events", &event("cus_no", "1", "")).await;
    world.post("/v1/billing/meter_events", &event(&customer, "many", "")).await;
    world.post(&format!("/v1/billing/meters/{meter}/deactivate"), "").await;
    world.post("/v1/billing/meter_events", &event(&customer, "1", "")).await;
    assert_eq!(used(&world, &meter, &customer).await, Value::Null);
    // Such events are in no list. The webhook gets their ids.
    assert!(world.server.thin_events(false).iter().all(|event| event.get("data").is_none()));
    let mut codes = Vec::new();
    for event in world.server.thin_events(false) {
        let path = format!("/v2/core/events/{}", event["id"].as_str().unwrap());
        let whole = world.get(&path).await;
        codes.push(whole["data"]["reason"]["error_types"][0]["code"].as_str().unwrap().to_owned());
    }
    assert_eq!(codes, ["meter_event_customer_not_found", "meter_event_invalid_value", "no_meter"]);
}

#[tokio::test]
async fn a_meter_counts_by_its_formula_and_the_keys_of_its_own() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "email=ann@example.com").await;
    for (formula, expected) in [("sum", 7.5), ("count", 2.0), ("last", 2.5)] {
        let form = format!(
            "display_name=X&event_name={formula}&default_aggregation[formula]={formula}\
             &customer_mapping[event_payload_key]=who&customer_mapping[type]=by_id\
             &value_settings[event_payload_key]=much"
        );
        let meter = world.create("/v1/billing/meters", &form).await;
        for value in ["5", "2.5"] {
            let form =
                format!("event_name={formula}&payload[who]={customer}&payload[much]={value}");
            world.post("/v1/billing/meter_events", &form).await;
        }
        assert_eq!(used(&world, &meter, &customer).await, json!(expected), "{formula}");
        let again = world.call("POST", "/v1/billing/meters", &form).await;
        assert_eq!(again.error("param"), "event_name");
    }
    assert_eq!(
        world.get("/v1/billing/meters?status=active").await["data"].as_array().unwrap().len(),
        3
    );
}
