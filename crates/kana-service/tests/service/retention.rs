//! Events are forgotten when they are older than the settings want them.

use std::sync::Arc;

use kana_service::jobs::housekeeping;
use kana_service::{Kana, Settings};
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
