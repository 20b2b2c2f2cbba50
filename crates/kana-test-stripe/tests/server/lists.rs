use serde_json::Value;

use crate::client::World;

fn ids(list: &Value) -> Vec<&str> {
    list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn lists_are_read_forwards_and_backwards() {
    let world = World::new().await;
    let mut newest_first = Vec::new();
    for number in 0..12 {
        let form = format!("email={number}@example.com");
        newest_first.insert(0, world.create("/v1/customers", &form).await);
    }
    let list = world.get("/v1/customers").await;
    assert_eq!(ids(&list), newest_first[..10]);
    assert_eq!((&list["has_more"], &list["url"]), (&true.into(), &"/v1/customers".into()));
    let after = format!("/v1/customers?limit=5&starting_after={}", newest_first[6]);
    let list = world.get(&after).await;
    assert_eq!(ids(&list), newest_first[7..]);
    assert_eq!(list["has_more"], false);
    let before = format!("/v1/customers?limit=3&ending_before={}", newest_first[6]);
    let list = world.get(&before).await;
    assert_eq!(ids(&list), newest_first[3..6]);
    assert_eq!(list["has_more"], true);
    assert_eq!(ids(&world.get("/v1/customers?email=3@example.com").await), [&newest_first[8]]);
}

#[tokio::test]
async fn wrong_pages_name_the_parameter() {
    let world = World::new().await;
    for (query, param) in [
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=x", "limit"),
        ("starting_after=cus_none", "starting_after"),
        ("color=red", "color"),
        ("created[ge]=1", "created[ge]"),
    ] {
        world.create("/v1/customers", "").await;
        let answer = world.call("GET", &format!("/v1/customers?{query}"), "").await;
        assert_eq!((answer.status, answer.error("param").as_str()), (400, param), "{query}");
    }
}

#[tokio::test]
async fn events_are_listed_by_type_and_for_30_days() {
    let world = World::new().await;
    let customer = world.create("/v1/customers", "").await;
    world.post("/v1/products", "name=Pro").await;
    world.post(&format!("/v1/customers/{customer}"), "name=Ann").await;
    let kinds = async |query: &str| -> Vec<String> {
        let list = world.get(&format!("/v1/events?{query}")).await;
        let rows = list["data"].as_array().unwrap().iter();
        rows.map(|event| event["type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds("").await, ["customer.updated", "product.created", "customer.created"]);
    assert_eq!(kinds("type=customer.*").await, ["customer.updated", "customer.created"]);
    let both = "types[]=product.created&types[]=customer.updated";
    assert_eq!(kinds(both).await, ["customer.updated", "product.created"]);
    let future = world.server.now() + 1000;
    assert!(kinds(&format!("created[gte]={future}")).await.is_empty());
    world.server.advance(30 * 24 * 60 * 60);
    assert!(kinds("").await.is_empty());
}
