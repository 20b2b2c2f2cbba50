//! Users of an older release are found with one look-up once a job has seen them.

use kana_service::jobs::housekeeping;
use kana_store::sqlite::register_functions;

use crate::world::{World, used};

#[tokio::test]
async fn a_job_adds_the_facts_of_users_of_before() {
    let world = World::subscribed().await;
    let before = world.stored().remove("user_facts").unwrap();
    assert_eq!(before.len(), 1);
    let sqlite = rusqlite::Connection::open(world.dir().join("kana.db")).unwrap();
    register_functions(&sqlite).unwrap();
    sqlite
        .execute_batch(
            "DELETE FROM user_facts;
             INSERT INTO user_facts_to_gather SELECT id, '' FROM environments",
        )
        .unwrap();
    let world = world.restart().await;
    assert_eq!(used(&world.test().await, "124").await, 0);
    assert_eq!(world.count("user_facts"), 0);

    housekeeping(&world.kana).run_now().await.unwrap();
    assert_eq!(world.stored()["user_facts"], before);
    assert_eq!(world.count("user_facts_to_gather"), 0);
}
