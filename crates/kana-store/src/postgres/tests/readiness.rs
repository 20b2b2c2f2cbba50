//! Reasons for a node not to be ready.

use super::*;

async fn ready(store: &PostgresStore) -> Result<(), StoreError> {
    timeout(SOON, store.check_ready()).await.unwrap()
}

#[tokio::test]
async fn a_node_is_not_ready_while_its_database_lacks_a_table_or_a_right_or_takes_no_changes() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    let store = open(&cluster.url()).await;
    make_app(&store).await;
    ready(&store).await.unwrap();

    let administrate = |statement: &str| run(&cluster.administrator_url("kana"), statement);
    for (right, table) in [
        ("INSERT", "events"),
        ("INSERT", "changes"),
        ("UPDATE", "change_heads"),
        ("INSERT", "audit_log"),
        ("UPDATE", "jobs"),
        ("INSERT", "usage_deltas"),
        ("UPDATE", "limit_crossings"),
    ] {
        administrate(&format!("REVOKE {right} ON kana.{table} FROM kana"));
        let error = ready(&store).await.unwrap_err();
        assert!(matches!(error, StoreError::NotPermitted { .. }), "{error:?}");
        assert!(error.to_string().contains(&format!("kana.{table}")), "{error}");
        administrate(&format!("GRANT {right} ON kana.{table} TO kana"));
        ready(&store).await.unwrap();
    }

    administrate("ALTER TABLE kana.counters RENAME TO elsewhere");
    let error = ready(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("kana.counters"), "{error}");
    administrate("ALTER TABLE kana.elsewhere RENAME TO counters");
    ready(&store).await.unwrap();

    // Set by another session, since a read-only database cannot be changed from within.
    cluster.administrate("ALTER DATABASE kana SET default_transaction_read_only = on");
    store.shared.connections.forget_idle();
    let error = ready(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
    cluster.administrate("ALTER DATABASE kana RESET default_transaction_read_only");
    ready(&store).await.unwrap();

    cluster.kill();
    let error = ready(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

/// Connections of a store that write, all that it can have.
async fn writers(store: &PostgresStore) -> Vec<deadpool_postgres::Object> {
    let pool = &store.shared.connections.writers;
    let taken = (0..pool.status().max_size).map(|_| take(pool));
    join_all(taken).await.into_iter().map(Result::unwrap).collect()
}

async fn make_user(store: &PostgresStore, at: EnvironmentId, n: u128) -> Result<(), StoreError> {
    let mut writer = store.write().await?;
    writer.facts(at, &[user_id(n)]).await?;
    writer.change_facts(at, &[create_user(n)]).await?;
    writer.commit().await
}

/// The retry got a connection that was still in the transaction that had failed.
#[tokio::test]
async fn a_write_to_a_read_only_database_says_so_and_leaves_no_transaction_that_has_failed() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    let set_all = async |value: &str| {
        for writer in writers(&store).await {
            let set = format!("SET default_transaction_read_only = {value}");
            writer.batch_execute(&set).await.unwrap();
        }
    };
    for _ in 0..3 {
        set_all("on").await;
        let mut jobs_and_writes = Vec::new();
        jobs_and_writes.push(make_user(&store, environment, 1).await.unwrap_err());
        set_all("on").await;
        let room = crate::jobs::Room { kind: "any", jobs: 1 };
        let claimed = crate::jobs::JobStore::claim_jobs(&store, &[room], 1, NOW).await;
        jobs_and_writes.push(claimed.unwrap_err());
        for error in jobs_and_writes {
            assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
        }
    }
    // No connection is in a transaction, or it would not take the setting.
    set_all("off").await;
    make_user(&store, environment, 1).await.unwrap();
}

#[tokio::test]
async fn a_write_goes_to_the_server_that_takes_changes_once_the_other_takes_none() {
    if !is_here() {
        return;
    }
    let (store, environment, _database) = store_with_app().await;
    let writers = writers(&store).await;
    for writer in writers.iter().take(2) {
        writer.batch_execute("SET default_transaction_read_only = on").await.unwrap();
    }
    drop(writers);
    make_user(&store, environment, 1).await.unwrap();
}

#[tokio::test]
async fn a_prepared_statement_that_is_gone_is_a_poolers_doing() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    for (n, forget) in [
        (1, "DEALLOCATE ALL"),
        // Another program's in place of ours.
        (2, "DO $$ DECLARE s record; BEGIN FOR s IN SELECT name FROM pg_prepared_statements LOOP
            EXECUTE format('DEALLOCATE %I', s.name); EXECUTE format('PREPARE %I AS SELECT 1', s.name);
            END LOOP; END $$"),
    ] {
        let store = open(database.url()).await;
        make_user(&store, environment, 10 * n).await.unwrap();
        ready(&store).await.unwrap();
        for writer in writers(&store).await {
            writer.batch_execute(forget).await.unwrap();
        }
        let error = make_user(&store, environment, n).await.unwrap_err();
        assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
        let said = error.to_string();
        assert!(said.contains("prepared statement"), "{said}");
        assert!(said.contains("--database-pooler transaction"), "{said}");
        // Until the connections are known to be ours, nothing is asked on any.
        let error = make_user(&store, environment, n).await.unwrap_err();
        assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
        assert_eq!(ready(&store).await.unwrap_err().summary(), "wrong session settings");
    }
    let made = "SELECT count(*) FROM kana.users WHERE id IN ('1', '2')";
    assert_eq!(rows(database.url(), made), [["0"]], "nothing was recorded");
    drop(store);
}

#[tokio::test]
async fn a_change_that_failed_for_a_lasting_reason_counts_until_one_succeeds() {
    if !is_here() {
        return;
    }
    let (store, environment, database) = store_with_app().await;
    // A trigger fails in a way that the rights on tables do not show.
    let raise = |code: &str| {
        let fails = format!(
            "CREATE OR REPLACE FUNCTION kana.fails() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$;
             CREATE OR REPLACE TRIGGER fails BEFORE INSERT ON kana.users
             EXECUTE FUNCTION kana.fails()"
        );
        run(database.url(), &fails);
    };
    let mut users = 0..;
    let mut change = async || {
        let new = create_user(users.next().unwrap());
        let mut writer = store.write().await.unwrap();
        writer.change_facts(environment, &[new]).await?;
        writer.commit().await
    };
    for (code, summary) in
        [("53100", "disk full"), ("XX001", "damaged"), ("42501", "not permitted")]
    {
        raise(code);
        let failed = change().await.unwrap_err();
        assert_eq!(failed.summary(), summary, "{failed:?}");
        assert_eq!(ready(&store).await.unwrap_err().summary(), summary);
        run(database.url(), "DROP TRIGGER fails ON kana.users");
        change().await.unwrap();
        ready(&store).await.unwrap();
    }
    // The node finds out that the disk has room again without any further change.
    raise("53100");
    change().await.unwrap_err();
    let again = async {
        while ready(&store).await.is_err() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    timeout(SOON, again).await.unwrap();
}

#[tokio::test]
async fn a_node_is_not_ready_while_any_of_our_tables_is_missing() {
    if !is_here() {
        return;
    }
    let (store, _, database) = store_with_app().await;
    // But for the partitions of single months, which are made when they are missing.
    let tables = "SELECT relname FROM pg_class WHERE relnamespace = 'kana'::regnamespace
        AND relkind IN ('r', 'p') AND relname <> 'schema_version'
        AND (NOT relispartition OR relname = 'events_default') ORDER BY relname";
    let tables = rows(database.url(), tables);
    assert!(tables.len() > 20, "{tables:?}");
    for table in tables.iter().map(|row| &row[0]) {
        run(database.url(), &format!("ALTER TABLE kana.{table} RENAME TO elsewhere"));
        let error = ready(&store).await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{table}: {error:?}");
        assert!(error.to_string().contains(&format!("kana.{table}:")), "{table}: {error}");
        run(database.url(), &format!("ALTER TABLE kana.elsewhere RENAME TO {table}"));
    }
    ready(&store).await.unwrap();
}
