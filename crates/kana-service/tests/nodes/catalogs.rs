use futures_util::future::join_all;

use crate::world::{World, new_user, package, package_id, user_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_package_that_one_node_publishes_is_on_offer_at_the_other_at_once() {
    let Some(world) = World::new(10).await else {
        return;
    };
    let [one, other] = &world.nodes;
    for round in 0..20 {
        let (id, user) = (format!("package {round}"), format!("user {round}"));
        one.create_package(package(&id, 1)).await.unwrap();
        one.publish_package(package_id(&id)).await.unwrap();
        assert!(other.catalog().await.unwrap().package(&package_id(&id)).is_some());
        other.create_user(new_user(&user)).await.unwrap();
        other.subscribe(user_id(&user), vec![package_id(&id)], None).await.unwrap();
        other.archive_package(package_id(&id)).await.unwrap();
        let late = one.subscribe(user_id("bob"), vec![package_id(&id)], None).await;
        assert!(late.is_err(), "{late:?}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn changes_of_one_catalog_by_two_nodes_at_once_are_all_made() {
    const EACH: usize = 25;
    let Some(world) = World::new(10).await else {
        return;
    };
    let making =
        (0..EACH).flat_map(|number| world.nodes.iter().enumerate().map(move |node| (number, node)));
    let making = making.map(|(number, (which, node))| {
        node.create_package(package(&format!("package {which}-{number}"), 1))
    });
    for made in join_all(making).await {
        made.unwrap();
    }
    for node in &world.nodes {
        assert_eq!(node.catalog().await.unwrap().packages().count(), 1 + 2 * EACH);
    }
    world.finish().await;
}
