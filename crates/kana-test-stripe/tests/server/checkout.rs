use serde_json::{Value, json};

use crate::client::World;

const FORM: &str = "mode=subscription&success_url=http://shop.example/done?session={CHECKOUT_SESSION_ID}\
    &cancel_url=http://shop.example/&client_reference_id=u-17\
    &metadata[kana_user_id]=u-17&subscription_data[metadata][kana_user_id]=u-17";

async fn session(world: &World, price: &str, more: &str) -> Value {
    let lines = format!("&line_items[0][price]={price}&line_items[0][quantity]=1");
    world.post("/v1/checkout/sessions", &format!("{FORM}{lines}{more}")).await
}

/// The path of the page to pay on.
fn page(world: &World, session: &Value) -> String {
    session["url"].as_str().unwrap().strip_prefix(&world.server.url()).unwrap().to_owned()
}

async fn types(world: &World) -> Vec<String> {
    let events = world.get("/v1/events?limit=100").await;
    let rows = events["data"].as_array().unwrap().iter().rev();
    rows.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_customer_pays_on_the_page_and_is_subscribed() {
    let world = World::new().await;
    let price = world.monthly_price().await;
    let session = session(&world, &price, "").await;
    assert_eq!(
        (&session["status"], &session["payment_status"]),
        (&json!("open"), &json!("unpaid"))
    );
    assert_eq!((&session["amount_total"], &session["currency"]), (&json!(500), &json!("gbp")));
    let id = session["id"].as_str().unwrap();
    let page = page(&world, &session);
    let shown = world.send("GET", &page, "", &[]).await.unwrap();
    assert!(shown.text.contains("<li>Pro, 500 × 1</li>") && shown.text.contains("name=\"email\""));

    let without = world.send("POST", &page, "email=", &[]).await.unwrap();
    assert_eq!(without.status, 400);
    assert!(without.text.contains("Missing required param: email."), "{}", without.text);
    let paid = world.send("POST", &page, "email=ann%40example.com", &[]).await.unwrap();
    assert_eq!(paid.status, 303);
    assert_eq!(paid.header("location"), format!("http://shop.example/done?session={id}"));

    let path = format!("/v1/checkout/sessions/{id}?expand[]=line_items&expand[]=customer");
    let done = world.get(&path).await;
    assert_eq!((&done["status"], &done["payment_status"]), (&json!("complete"), &json!("paid")));
    assert_eq!(done["customer"]["email"], "ann@example.com");
    assert_eq!(done["line_items"]["data"][0]["price"]["id"], price.as_str());
    let subscription = done["subscription"].as_str().unwrap();
    let subscription = world.get(&format!("/v1/subscriptions/{subscription}")).await;
    assert_eq!(
        (&subscription["status"], &subscription["customer"]),
        (&json!("active"), &done["customer"]["id"])
    );
    assert_eq!(subscription["metadata"], json!({ "kana_user_id": "u-17" }));
    let last = ["customer.created", "customer.subscription.created", "checkout.session.completed"];
    assert!(types(&world).await.ends_with(&last.map(str::to_owned)));

    let again = world.send("POST", &page, "email=ann%40example.com", &[]).await.unwrap();
    assert!(again.text.contains("The session is complete."), "{}", again.text);
    assert_eq!(world.customers().await, 1);
}

#[tokio::test]
async fn money_that_comes_later_makes_the_subscription_active() {
    for (payment, status, told) in [
        ("succeeded", "active", "checkout.session.async_payment_succeeded"),
        ("failed", "incomplete_expired", "checkout.session.async_payment_failed"),
    ] {
        let world = World::new().await;
        let price = world.monthly_price().await;
        let customer = world.create("/v1/customers", "email=ann@example.com").await;
        let session = session(&world, &price, &format!("&customer={customer}")).await;
        let page = page(&world, &session);
        let shown = world.send("GET", &page, "", &[]).await.unwrap();
        assert!(!shown.text.contains("email"), "{}", shown.text);
        assert_eq!(world.send("POST", &page, "later=true", &[]).await.unwrap().status, 303);
        let id = session["id"].as_str().unwrap();
        let of_session = || async {
            world.get(&format!("/v1/checkout/sessions/{id}?expand[]=subscription")).await
        };
        let before = of_session().await;
        assert_eq!(
            (&before["payment_status"], &before["subscription"]["status"]),
            (&json!("unpaid"), &json!("incomplete"))
        );
        let form = format!("payment={payment}");
        let settled =
            world.send("POST", &format!("/_control/checkout_sessions/{id}"), &form, &[]).await;
        assert_eq!(settled.unwrap().status, 200);
        assert_eq!(of_session().await["subscription"]["status"], status);
        assert_eq!(types(&world).await.last().unwrap(), told);
    }
}

#[tokio::test]
async fn a_one_off_payment_makes_no_subscription() {
    let world = World::new().await;
    let price =
        world.create("/v1/prices", "currency=gbp&unit_amount=900&product_data[name]=Pack").await;
    let form = format!(
        "mode=payment&success_url=http://shop.example/&line_items[0][price]={price}&line_items[0][quantity]=3"
    );
    let session = world.post("/v1/checkout/sessions", &form).await;
    assert_eq!(session["amount_total"], 2700);
    let paid = world.send("POST", &page(&world, &session), "email=a%40b.c", &[]).await.unwrap();
    assert_eq!(paid.status, 303);
    let id = session["id"].as_str().unwrap();
    let done = world.get(&format!("/v1/checkout/sessions/{id}")).await;
    assert_eq!((&done["subscription"], &done["payment_status"]), (&Value::Null, &json!("paid")));
    assert!(done["payment_intent"].as_str().unwrap().starts_with("pi_"));
}

#[tokio::test]
async fn a_session_ends_with_its_time_or_when_it_is_ended() {
    let world = World::new().await;
    let price = world.monthly_price().await;
    let [first, second] = [session(&world, &price, "").await, session(&world, &price, "").await];
    let id = |session: &Value| session["id"].as_str().unwrap().to_owned();
    world.post(&format!("/v1/checkout/sessions/{}/expire", id(&first)), "").await;
    world.server.advance(24 * 60 * 60);
    for session in [&first, &second] {
        let now = world.get(&format!("/v1/checkout/sessions/{}", id(session))).await;
        assert_eq!((&now["status"], &now["url"]), (&json!("expired"), &Value::Null));
        let paid = world.send("POST", &page(&world, session), "email=a%40b.c", &[]).await.unwrap();
        assert!(paid.text.contains("The session is expired."), "{}", paid.text);
    }
    let again =
        world.call("POST", &format!("/v1/checkout/sessions/{}/expire", id(&second)), "").await;
    assert_eq!(again.status, 400);
    let open = world.get("/v1/checkout/sessions?status=open").await;
    assert_eq!(open["data"], json!([]));
}

#[tokio::test]
async fn what_cannot_be_sold_is_refused() {
    let world = World::new().await;
    let monthly = world.monthly_price().await;
    let once = world.create("/v1/prices", "currency=gbp&unit_amount=1&product_data[name]=A").await;
    let dollars = "currency=usd&unit_amount=1&recurring[interval]=month&product_data[name]=B";
    let dollars = world.create("/v1/prices", dollars).await;
    let yearly = "currency=gbp&unit_amount=1&recurring[interval]=year&product_data[name]=C";
    let yearly = world.create("/v1/prices", yearly).await;
    let url = "success_url=http://shop.example/";
    let line = |n: usize, price: &str| {
        format!("&line_items[{n}][price]={price}&line_items[{n}][quantity]=1")
    };
    let [of_month, of_once] = [line(0, &monthly), line(0, &once)];
    for (form, param) in [
        (format!("{url}{of_month}"), "mode"),
        (format!("mode=subscription{of_month}"), "success_url"),
        (format!("mode=subscription&success_url=shop{of_month}"), "success_url"),
        (format!("mode=subscription&{url}"), "line_items"),
        (format!("mode=subscription&{url}{of_once}"), "line_items"),
        (format!("mode=payment&{url}{of_month}"), "line_items"),
        (format!("mode=subscription&{url}{of_month}{}", line(1, &dollars)), "line_items"),
        (format!("mode=subscription&{url}{of_month}{}", line(1, &yearly)), "line_items"),
        (
            format!("mode=subscription&{url}&line_items[0][price]={monthly}"),
            "line_items[0][quantity]",
        ),
        (format!("mode=subscription&{url}&line_items[0][price]=no"), "line_items[0][price]"),
        (format!("mode=subscription&{url}{of_month}&customer=no"), "customer"),
        (format!("mode=subscription&{url}{of_month}&expires_at=1"), "expires_at"),
        (format!("mode=subscription&{url}{of_month}&other=1"), "other"),
    ] {
        let answer = world.call("POST", "/v1/checkout/sessions", &form).await;
        assert_eq!((answer.status, answer.error("param")), (400, param.to_owned()), "{form}");
    }
}
