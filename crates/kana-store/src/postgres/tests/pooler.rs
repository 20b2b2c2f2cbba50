//! PgBouncer in transaction mode. That every promise holds through it, the conformance suite and the
//! histories of the service say.

use super::*;
use crate::deadlines::Deadlines;

fn pooled() -> Settings {
    Settings { pooler: Pooler::Transaction, ..Settings::default() }
}

/// A pooler for the server of all tests, and a database there. `None` where there are none.
fn start(connections: usize, settings: &str) -> Option<(kana_test_postgres::Pooler, Database)> {
    if !is_here() {
        return None;
    }
    let server = std::env::var("KANA_TEST_POSTGRES_URL").unwrap();
    let pooler = kana_test_postgres::Pooler::start_with(&server, connections, settings)?;
    Some((pooler, Database::new()))
}

#[tokio::test]
async fn a_pooler_that_refuses_or_drops_the_options_is_answered_with_the_setting() {
    let Some((pooler, database)) = start(2, "") else {
        return;
    };
    let error = wrong(&pooler.url(database.name())).await;
    assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
    assert!(error.to_string().contains("--database-pooler transaction"), "{error}");
    drop(PostgresStore::open(&pooler.url(database.name()), pooled()).await.unwrap());

    let Some((pooler, _other)) = start(2, "ignore_startup_parameters = options") else {
        return;
    };
    let error = wrong(&pooler.url(database.name())).await;
    assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
    assert!(error.to_string().contains("search_path is '\"$user\", public'"), "{error}");
    drop(PostgresStore::open(&pooler.url(database.name()), pooled()).await.unwrap());
}

/// Every setting can reach a session through a pooler in transaction mode, if the database or the
/// role has them.
#[tokio::test]
async fn a_pooler_in_transaction_mode_that_kana_was_not_told_of_is_refused() {
    let Some((pooler, database)) = start(4, "ignore_startup_parameters = options") else {
        return;
    };
    for setting in [
        "search_path = kana",
        "lock_timeout = 5000",
        "statement_timeout = 7000",
        "idle_in_transaction_session_timeout = 5000",
    ] {
        run(database.url(), &format!("ALTER DATABASE {} SET {setting}", database.name()));
    }
    let url = pooler.url(database.name());
    let error = wrong(&url).await;
    assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
    assert!(error.to_string().contains("--database-pooler transaction"), "{error}");
    let error = PostgresStore::survey(&url, Settings::default()).await.unwrap_err();
    assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
    PostgresStore::survey(&url, pooled()).await.unwrap();
    drop(PostgresStore::open(&url, pooled()).await.unwrap());
    // A pooler that leaves a connection its session is none that matters.
    let Some((pooler, _other)) =
        start(4, "ignore_startup_parameters = options\npool_mode = session")
    else {
        return;
    };
    let url = pooler.url(database.name());
    PostgresStore::survey(&url, Settings::default()).await.unwrap();
    open(&url).await.check_ready().await.unwrap();
}

#[tokio::test]
async fn a_wrong_password_or_database_behind_a_pooler_has_an_error_of_its_own() {
    let Some((pooler, database)) = start(2, "auth_type = scram-sha-256") else {
        return;
    };
    let url = pooler.url(database.name()).replace("kana@", "kana:secret@");
    drop(PostgresStore::open(&url, pooled()).await.unwrap());
    let refused = async |url: &str| PostgresStore::open(url, pooled()).await.err().unwrap();
    for wrong in ["kana:wrong@", "nobody:secret@"] {
        let error = refused(&url.replace("kana:secret@", wrong)).await;
        assert!(matches!(error, StoreError::AccessDenied(_)), "{error:?}");
    }
    let error = refused(&url.replace(database.name(), "kana_test_nowhere")).await;
    assert!(matches!(error, StoreError::NoDatabase(_)), "{error:?}");
}

#[tokio::test]
async fn what_a_pooler_says_of_a_server_that_is_away_is_shown_in_full() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let Some(pooler) = kana_test_postgres::Pooler::start(&cluster.url(), 1) else {
        return;
    };
    let deadlines = Deadlines { connect: Duration::from_secs(1), ..Deadlines::DEFAULT };
    let hasty = Settings { deadlines, ..pooled() };
    let url = pooler.url("kana");
    let open = || PostgresStore::open(&url, hasty);
    drop(open().await.unwrap());
    cluster.kill();
    // The pooler lets us wait while it tries to connect; once that has failed, it says so.
    let errors = [open().await.err().unwrap(), open().await.err().unwrap()];
    for error in &errors {
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        assert!(error.to_string().contains("SHOW POOLS"), "{error}");
        assert!(!error.to_string().contains("object"), "the words of a library: {error}");
    }
    let last = errors[1].to_string();
    assert!(last.contains("FATAL: ") && last.contains("(SQLSTATE 08P01)"), "{last}");
    assert!(last.contains("server_login_retry"), "{last}");
}

#[tokio::test]
async fn a_new_database_is_migrated_through_a_pooler() {
    let Some((pooler, _)) = start(1, "") else {
        return;
    };
    let database = Database::bare();
    let url = pooler.url(database.name());
    let opening = (0..3).map(|_| PostgresStore::open(&url, pooled()));
    for opened in join_all(opening).await {
        let store = opened.unwrap();
        store.check_ready().await.unwrap();
    }
    let store = PostgresStore::open_existing(&url, pooled()).await.unwrap();
    make_app(&store).await;
}

/// More callers than sessions: they take turns, and the server keeps nothing of them.
#[tokio::test]
async fn nothing_outlives_a_transaction() {
    let Some((pooler, database)) = start(2, "") else {
        return;
    };
    let store = PostgresStore::open(&pooler.url(database.name()), pooled()).await.unwrap();
    let environment = make_app(&store).await;
    write(&store, environment, &[create_user(1), create_user(2)]).await;
    let reads = (0..200).map(async |number| {
        let mut transaction = store.read().await.unwrap();
        let user = user_id(1 + number % 3);
        let facts = transaction.facts(environment, &[user]).await.unwrap();
        (number, facts.users[0].is_some())
    });
    for (number, is_there) in join_all(reads).await {
        assert_eq!(is_there, number % 3 != 2, "{number} got the answer of another");
    }

    let left = "SELECT count(*), current_setting('search_path'), current_setting('lock_timeout')
        FROM pg_prepared_statements";
    let direct = rows(&pooler.url(database.name()), left);
    assert_eq!(direct, [["0", "\"$user\", public", "0"]]);
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
        WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    assert_eq!(rows(database.url(), locks), [["0"]]);
}
