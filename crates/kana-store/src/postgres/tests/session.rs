//! What a node finds when it connects, and refuses to start with.

use super::*;

#[tokio::test]
async fn a_session_with_other_settings_is_refused_by_name() {
    if !is_here() {
        return;
    }
    let database = Database::new();
    let with = |options: &str| {
        let mark = if database.url().contains('?') { '&' } else { '?' };
        format!("{}{mark}options={}", database.url(), options.replace(' ', "%20"))
    };
    for (options, name) in [
        ("-c search_path=public", "search_path is 'public'"),
        ("-c synchronous_commit=off", "synchronous_commit is 'off'"),
        ("-c standard_conforming_strings=off", "standard_conforming_strings is 'off'"),
        ("-c lock_timeout=0", "lock_timeout is '0'"),
        ("-c statement_timeout=1h", "statement_timeout is '3600000'"),
        ("-c idle_in_transaction_session_timeout=0", "idle_in_transaction_session_timeout is '0'"),
    ] {
        let error = wrong(&with(options)).await;
        assert!(matches!(error, StoreError::SessionDiffers { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
    // What keeps every promise.
    drop(open(&with("-c lock_timeout=1s -c synchronous_commit=remote_apply")).await);
}

#[tokio::test]
async fn a_node_does_not_start_without_a_table_or_a_right() {
    let Some(cluster) = Cluster::start() else {
        return;
    };
    drop(open(&cluster.url()).await);
    let administrate = |statement: &str| run(&cluster.administrator_url("kana"), statement);
    administrate("REVOKE INSERT ON kana.events FROM kana");
    let error = wrong(&cluster.url()).await;
    assert!(matches!(error, StoreError::NotPermitted { .. }), "{error:?}");
    assert!(error.to_string().contains("kana.events"), "{error}");
    administrate("GRANT INSERT ON kana.events TO kana");
    administrate("ALTER TABLE kana.counters RENAME TO elsewhere");
    let error = wrong(&cluster.url()).await;
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains("kana.counters"), "{error}");
    administrate("ALTER TABLE kana.elsewhere RENAME TO counters");

    cluster.administrate("ALTER DATABASE kana SET default_transaction_read_only = on");
    let error = wrong(&cluster.url()).await;
    assert!(matches!(error, StoreError::ReadOnly), "{error:?}");
}
