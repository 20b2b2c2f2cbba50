//! Events are forgotten when they are older than the settings want them.

use std::sync::Arc;

use kana_service::jobs::housekeeping;
use kana_service::{ChangesQuery, Kana, Settings};
use kana_store::Store;

use crate::world::{World, record, time, usage, used};

#[tokio::test]
async fn events_are_kept_for_as_long_as_the_settings_say_and_counters_stay() {
    let world = World::subscribed().await;
    let test = world.test().await;
    assert!(record(&test, usage()).await.recorded());
    let settings = Settings { events_days: Some(5), ..Settings::default() };
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let kana = Kana::start_with(store, Arc::clone(&world.clock) as _, settings).unwrap();

    // `World` begins on 2024-01-15 at noon.
    world.clock.set(time("2024-01-20T11:59:59.999Z"));
    assert!(record(&test, usage()).await.recorded());
    housekeeping(&kana).run_now().await.unwrap();
    assert_eq!(world.count("events"), 2);

    world.clock.set(time("2024-01-20T12:00:00.001Z"));
    housekeeping(&world.kana).run_now().await.unwrap();
    assert_eq!(world.count("events"), 2, "without the setting they are kept for ever");
    housekeeping(&kana).run_now().await.unwrap();
    assert_eq!(world.count("events"), 1);
    assert_eq!(used(&test, "124").await, 2);
}

#[tokio::test]
async fn changes_and_the_audit_log_are_kept_for_as_long_as_the_settings_say() {
    let world = World::subscribed().await;
    let settings = Settings { changes_days: 5, audit_days: 9, ..Settings::default() };
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let kana = Kana::start_with(store, Arc::clone(&world.clock) as _, settings).unwrap();
    let (changes, entries) = (world.count("changes"), world.count("audit_log"));
    assert!(changes > 4 && entries > 2);

    // `World` begins on 2024-01-15 at noon.
    for (now, changes, entries) in [
        ("2024-01-20T12:00:00.000Z", changes, entries),
        ("2024-01-20T12:00:00.001Z", 0, entries),
        ("2024-01-24T12:00:00.001Z", 0, 0),
    ] {
        world.clock.set(time(now));
        housekeeping(&kana).run_now().await.unwrap();
        assert_eq!((world.count("changes"), world.count("audit_log")), (changes, entries), "{now}");
    }
    // What comes next has the next number.
    let page = world.test().await.changes(&ChangesQuery::default()).await.unwrap();
    assert_eq!((page.newest, page.oldest), (i64::try_from(changes).unwrap(), page.newest + 1));
}

#[tokio::test]
async fn the_oldest_changes_go_when_there_are_too_many() {
    let world = World::subscribed().await;
    let settings = Settings { changes_max: 3, ..Settings::default() };
    let store = Arc::clone(&world.store) as Arc<dyn Store>;
    let kana = Kana::start_with(store, Arc::clone(&world.clock) as _, settings).unwrap();
    housekeeping(&kana).run_now().await.unwrap();
    assert_eq!(world.count("changes"), 3);
    let query = ChangesQuery { limit: 10, ..ChangesQuery::default() };
    let page = world.test().await.changes(&query).await.unwrap();
    assert_eq!(page.oldest, page.newest - 2);
}
