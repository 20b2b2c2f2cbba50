use std::time::Duration;

use kana_service::jobs::{JobRunner, housekeeping};
use kana_test_postgres::rows;

use crate::world::World;

#[tokio::test]
async fn a_running_node_changes_the_table_of_idempotency_keys_by_itself() {
    let Some(world) = World::new(1).await else {
        return;
    };
    let jobs = JobRunner::start(&world.running[0], housekeeping(&world.running[0]));
    let table = "SELECT DISTINCT replays_table FROM kana.environments";
    let changing = async {
        // A new database moves on to the next table at once.
        while rows(world.database.url(), table) != [["1"]] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), changing).await.unwrap();
    jobs.stopped().await;
    world.finish().await;
}
