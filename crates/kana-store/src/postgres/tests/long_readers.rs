//! A long reader, such as an export or a query by hand, does not hold up recording.

use std::time::Instant;

use super::*;

/// More than recording takes, and less than any wait for a reader.
const RECORDS_WITHIN: Duration = Duration::from_millis(1500);

/// Opens a session that reads all events in a transaction that stays open.
async fn reader(database: &Database) -> (PostgresStore, deadpool_postgres::Object) {
    let other = open(database.url()).await;
    let reader = take(&other.shared.connections.readers).await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM events;
        SET LOCAL idle_in_transaction_session_timeout = 0";
    reader.batch_execute(begin).await.unwrap();
    (other, reader)
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse("time", text).unwrap()
}

/// Returns the partitions that have events, each with the number of events.
fn partitions(database: &Database) -> Vec<Vec<String>> {
    let counts = "SELECT tableoid::regclass, count(*) FROM kana.events GROUP BY tableoid
        ORDER BY tableoid::regclass::text";
    rows(database.url(), counts)
}

/// Records events until `done` resolves, and returns how long the slowest took.
async fn slowest_recording(
    store: &PostgresStore,
    environment: EnvironmentId,
    recorded_at: Timestamp,
    done: impl Future<Output = ()>,
) -> Duration {
    let mut slowest = Duration::ZERO;
    let mut done = std::pin::pin!(done);
    loop {
        let since = Instant::now();
        timeout(SOON, write(store, environment, &[log(1, recorded_at)])).await.unwrap();
        slowest = slowest.max(since.elapsed());
        if timeout(Duration::from_millis(1), &mut done).await.is_ok() {
            return slowest;
        }
    }
}

#[tokio::test]
async fn months_are_forgotten_without_holding_up_recording_behind_a_long_reader() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let (old, now) = (at("2024-01-31T00:00:00Z"), at("2024-03-15T00:00:00Z"));
    make_partitions(&database, old).await;
    make_partitions(&database, now).await;
    write(&store, environment, &[create_user(1), log(1, old), log(1, now)]).await;
    let (_other, reading) = reader(&database).await;

    // Forgetting may wait for the reader, but recording does not wait for forgetting.
    let forgetting = async {
        for _ in 0..3 {
            assert!(
                !store.forget_events(now, 1).await.unwrap(),
                "it would be tried without a pause"
            );
        }
    };
    let slowest = slowest_recording(&store, environment, now, forgetting).await;
    assert!(slowest < RECORDS_WITHIN, "{slowest:?}");
    let counts = partitions(&database);
    assert_eq!(counts[0], ["kana.events_2024_01", "1"], "somebody reads it");

    reading.batch_execute("COMMIT").await.unwrap();
    assert!(!store.forget_events(now, 1).await.unwrap());
    assert_eq!(partitions(&database).len(), 1, "{:?}", partitions(&database));
    // The empty partition is dropped once the events are not in use.
    assert!(!store.forget_events(now, 1).await.unwrap());
    let gone = "SELECT to_regclass('kana.events_2024_01') IS NULL,
        to_regclass('kana.events_2024_03') IS NULL";
    assert_eq!(rows(database.url(), gone), [["t", "f"]]);
}

#[tokio::test]
async fn a_month_is_begun_without_holding_up_recording_behind_a_long_reader() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    let (_other, reading) = reader(&database).await;
    // After a jump of the clock, the month has no partition, and the reader keeps it from getting
    // one.
    let march = at("2031-03-15T00:00:00Z");
    let slowest = slowest_recording(&store, environment, march, std::future::ready(())).await;
    assert!(slowest < RECORDS_WITHIN, "{slowest:?}");
    assert_eq!(partitions(&database), [["kana.events_default", "1"]]);
    reading.batch_execute("COMMIT").await.unwrap();
    // Without the reader, the events move out of the default partition.
    make_partitions(&database, march).await;
    assert_eq!(partitions(&database), [["kana.events_2031_03", "1"]]);
}

#[tokio::test]
async fn stray_events_of_old_months_are_forgotten_in_pieces() {
    if !is_here() {
        return;
    }
    let (store, _environment, database) = store_with_app().await;
    run(
        database.url(),
        "INSERT INTO kana.events
         SELECT e.id, gen_random_uuid(), 'f', 'ADD', 1, n, n, NULL, NULL, NULL
         FROM kana.environments e, generate_series(1, 45000) n WHERE e.kind = 'test'",
    );
    let now = at("2024-03-15T00:00:00Z");
    assert!(store.forget_events(now, 1).await.unwrap());
    assert_eq!(partitions(&database), [["kana.events_default", "25000"]]);
    assert!(store.forget_events(now, 1).await.unwrap());
    assert!(!store.forget_events(now, 1).await.unwrap());
    assert_eq!(partitions(&database), Vec::<Vec<String>>::new());
}

#[tokio::test]
async fn partitions_are_made_ahead_and_one_that_cannot_be_is_told() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    drop(open(database.url()).await);
    let partitions = "SELECT relname FROM pg_class WHERE relname ~ '^events_[0-9]{4}_[0-9]{2}$'";
    let made = rows(database.url(), partitions);
    assert_eq!(made.len(), 2, "of this month and the next: {made:?}");
    for partition in &made {
        run(database.url(), &format!("DROP TABLE kana.{}", partition[0]));
    }
    // Nodes that have not looked yet.
    let node = || {
        let connections = connections::Connections::new(database.url(), Settings::DEFAULT);
        PostgresStore::new(connections.unwrap(), Settings::DEFAULT)
    };
    let store = node();
    let writer = take(&store.shared.connections.writers).await.unwrap();
    writer.batch_execute("BEGIN; SELECT count(*) FROM events").await.unwrap();
    let error = store.make_partitions().await.unwrap_err();
    assert!(matches!(error, StoreError::Conflict(_)), "{error:?}");
    assert!(error.to_string().contains("partition"), "{error}");
    writer.batch_execute("COMMIT").await.unwrap();
    node().make_partitions().await.unwrap();
    assert_eq!(rows(database.url(), partitions), made);
}
