use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use kana_core::edit::Edit;
use kana_core::metadata::Label;
use kana_core::user::UserEdit;
use kana_service::{ChangesQuery, Environment, StoredChange};

use crate::world::{World, new_user, package_id, user_id};

async fn read(node: &Environment, after: i64) -> Vec<StoredChange> {
    let query = ChangesQuery { after: Some(after), limit: 50, ..ChangesQuery::default() };
    node.changes(&query).await.unwrap().changes
}

/// Creates a user, subscribes and cancels: what each came to, in its order.
async fn live_a_life(node: &Environment, id: String) {
    let user = user_id(&id);
    node.create_user(new_user(&id)).await.unwrap();
    let edit =
        UserEdit { name: Edit::Set(Label::new("name", "Ada").unwrap()), ..UserEdit::default() };
    node.update_user(user.clone(), edit).await.unwrap();
    let (_, subscriptions) =
        node.subscribe(user.clone(), vec![package_id("pro")], None).await.unwrap();
    node.cancel_subscription(&subscriptions[0].id.to_string()).await.unwrap();
}

const LIFE: [&str; 6] = [
    "user.created",
    "user.updated",
    "subscription.started",
    "entitlement.changed",
    "subscription.ended",
    "entitlement.changed",
];

/// Ends connections of the nodes now and again, in the middle of whatever they do.
fn end_connections(world: &World) {
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.3";
    let _ = kana_test_postgres::rows(world.database.url(), end);
}

/// Readers of both nodes follow the feed while both write: whoever has seen a number never finds a
/// new one below it, there are no gaps, and each user's changes come in their order. Connections
/// that break, also within a commit, change nothing of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_feed_has_every_change_once_and_in_order_from_whichever_node() {
    const EACH: usize = 40;
    let Some(world) = World::new(1000).await else {
        return;
    };
    let before = read(&world.nodes[0], 0).await;
    let from = before.last().unwrap().number;
    let done = Arc::new(AtomicBool::new(false));
    let readers = world.nodes.each_ref().map(|node| {
        let (node, done) = (node.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut seen: Vec<StoredChange> = Vec::new();
            loop {
                let is_last = done.load(Ordering::SeqCst);
                let after = seen.last().map_or(from, |change| change.number);
                let page = read(&node, after).await;
                for (expected, change) in (after + 1..).zip(&page) {
                    assert_eq!(change.number, expected, "no gap");
                }
                let is_end = page.is_empty();
                seen.extend(page);
                if is_last && is_end {
                    return seen;
                }
                tokio::task::yield_now().await;
            }
        })
    });
    let writers = world.nodes.iter().enumerate().flat_map(|(number, node)| {
        (0..EACH).map(move |user| {
            let (node, id) = (node.clone(), format!("{number}-{user}"));
            tokio::spawn(async move { live_a_life(&node, id).await })
        })
    });
    let writing = join_all(writers);
    let mut writing = std::pin::pin!(writing);
    loop {
        tokio::select! {
            written = &mut writing => {
                written.into_iter().for_each(|written| written.unwrap());
                break;
            }
            () = tokio::time::sleep(std::time::Duration::from_millis(5)) => end_connections(&world),
        }
    }
    done.store(true, Ordering::SeqCst);
    let [first, second] = join_all(readers).await.try_into().ok().unwrap();
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(first, second);
    let ids: HashSet<_> = first.iter().map(|change| change.id).collect();
    assert_eq!(ids.len(), first.len(), "an id of its own for each");
    let mut lives: HashMap<String, Vec<String>> = HashMap::new();
    for change in first {
        lives.entry(change.user_id.unwrap()).or_default().push(change.type_name);
    }
    assert_eq!(lives.len(), 2 * EACH);
    for (user, life) in lives {
        assert_eq!(life, LIFE, "{user}");
    }
    world.finish().await;
}
