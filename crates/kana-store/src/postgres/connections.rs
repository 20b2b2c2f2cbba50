//! Connections: where the server is, what every session of ours wants, and how many there are.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Config, NoTls};

use super::Settings;
use crate::error::StoreError;

/// How long to wait for a connection to be made, and for one of ours to be free.
const PATIENCE: Duration = Duration::from_secs(5);

/// After how long without a sign of the other side a connection counts as broken. A server that
/// vanishes without a word is noticed in time, and so is a node that holds locks.
const SILENCE: Duration = Duration::from_secs(10);

/// What holds for every session of ours.
///
/// All tables lie in a schema of their own, beside whatever else the database has. A commit waits
/// until it is durable, whatever the server's default is. Nothing waits for ever: not for a lock,
/// not in a statement, and a node that was stopped in the middle of a transaction loses it, since
/// others wait for its locks. Every statement of ours finds its rows by an index, so the planner
/// need not look at the values (`force_generic_plan`), nor choose what only pays while a table is
/// small: what it costs stays the same as tables grow.
const SESSION: &str = "-c search_path=kana -c synchronous_commit=on \
    -c default_transaction_isolation=read\\ committed \
    -c lock_timeout=10s -c statement_timeout=30s -c idle_in_transaction_session_timeout=10s \
    -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 \
    -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off \
    -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// Two pools, so that questions never take the connections that the writers need.
pub(super) struct Connections {
    pub(super) readers: Pool,
    pub(super) writers: Pool,
}

impl Connections {
    /// Reads the URL. Connects nowhere yet.
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let config = config(url)?;
        // Beside the lanes, keys and the like are written now and then.
        let writers = settings.lanes + 1;
        let readers = settings.connections_max.saturating_sub(writers).max(1);
        Ok(Self { readers: pool(&config, readers)?, writers: pool(&config, writers)? })
    }
}

fn pool(config: &Config, connections_max: usize) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_config(config.clone(), NoTls, recycling);
    let pool = Pool::builder(manager)
        .max_size(connections_max)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|error| StoreError::Engine(Box::new(error)))
}

/// Takes a connection that nobody else has meanwhile.
pub(super) async fn take(pool: &Pool) -> Result<Object, StoreError> {
    Ok(pool.get().await?)
}

pub(super) fn config(url: &str) -> Result<Config, StoreError> {
    let wrong = |problem: &str| StoreError::DatabaseUrl { problem: problem.to_owned() };
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it does not begin with postgres://"));
    }
    // What the driver says of a URL can repeat a part of it, and that part can be a password.
    let mut config: Config = url.parse().map_err(|_| {
        wrong("it has a part that cannot be read (in a password, write %40 for @ and %2F for /)")
    })?;
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host"));
    }
    if config.get_dbname().is_none() {
        return Err(wrong("it names no database"));
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(wrong("it asks for TLS (sslmode=require), which this release does not have"));
    }
    let theirs = config.get_options().unwrap_or_default();
    // What stands in the URL comes last, and so holds.
    let options = format!("{SESSION} {theirs}");
    config
        .options(options)
        .application_name("kana")
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .keepalives_idle(SILENCE / 2)
        .keepalives_interval(SILENCE / 5)
        .keepalives_retries(3)
        .tcp_user_timeout(SILENCE);
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(PATIENCE);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_told_without_what_it_holds() {
        for (url, problem) in [
            ("", "postgres://"),
            ("mysql://kana:hunter2@db/kana", "postgres://"),
            ("postgres://kana:hunter2@db:nowhere/kana", "cannot be read"),
            ("postgres://kana:hunter2@db/kana?conect_timeout=hunter2", "cannot be read"),
            ("postgres://kana:hunter2@db", "no database"),
            ("postgres:///kana", "no host"),
            ("postgres://kana:hunter2@db/kana?sslmode=require", "TLS"),
        ] {
            let error = config(url).unwrap_err().to_string();
            assert!(error.contains(problem), "{url}: {error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn what_the_url_says_of_the_session_holds() {
        let config = config("postgres://db/kana?options=-c%20lock_timeout%3D1s").unwrap();
        assert!(config.get_options().unwrap().ends_with("-c lock_timeout=1s"));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
    }
}
