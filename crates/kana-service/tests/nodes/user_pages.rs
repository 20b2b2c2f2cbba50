use kana_service::{Environment, UserQuery};

use crate::world::{World, api_calls, new_user, package_id, record_one, user_id};

async fn found(node: &Environment, search: &str, package: Option<&str>) -> Vec<String> {
    let query = UserQuery { search: search.to_owned(), package: package.map(package_id) };
    let page = node.find_users(&query, None, 50).await.unwrap();
    assert_eq!(page.next, None);
    page.users.into_iter().map(|(user, _)| user.id.to_string()).collect()
}

#[tokio::test]
async fn each_node_shows_what_another_has_written() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let [node, other] = &world.nodes;
    node.create_user(new_user("Adam")).await.unwrap();
    node.record_usage(record_one("ada", Some("k"))).await.unwrap();
    node.record_usage(record_one("Adam", None)).await.unwrap();

    assert_eq!(found(other, "", None).await, ["ada", "bob", "Adam"]);
    assert_eq!(found(other, "AD", None).await, ["ada", "Adam"]);
    assert_eq!(found(other, "ad", Some("pro")).await, ["ada"]);
    assert_eq!(found(other, "", Some("pro")).await, ["ada", "bob"]);

    let shown = other.user_overview(&user_id("ada"), Some(api_calls())).await.unwrap();
    let answer = other.can_use_feature(&user_id("ada"), &api_calls(), 1).await.unwrap();
    assert_eq!(shown.entitlements[0].entitlement, answer);
    assert_eq!(answer.consumption.unwrap().used, 1);
    assert_eq!(shown.usage.unwrap().1.current.unwrap().consumption, answer.consumption.unwrap());
    assert_eq!((shown.subscriptions.len(), shown.user.id), (1, user_id("ada")));

    let events = other.user_events(&user_id("ada"), None, 50).await.unwrap();
    let [event] = &events.events[..] else { panic!("{events:?}") };
    assert_eq!((&event.package, events.next), (&Some(package_id("pro")), None));
    let events = other.user_events(&user_id("Adam"), None, 50).await.unwrap();
    assert_eq!((events.events.len(), &events.events[0].package), (1, &None));
    assert_eq!(other.recent_subscribers(&[package_id("pro")]).await.unwrap(), [2]);
    world.finish().await;
}
