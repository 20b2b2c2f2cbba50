//! Connections: where the server is, what every session of ours wants, and how many there are.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use super::connector::Connector;
use super::patience::Patience;
use super::{Settings, database_url};
use crate::error::StoreError;

/// After how long without a sign of the other side a connection counts as broken. A server that
/// vanishes without a word is noticed in time, and so is a node that holds locks.
const SILENCE: Duration = Duration::from_secs(10);

/// What holds for every session of ours.
///
/// All tables are in a schema of their own, beside whatever else the database has. A commit waits
/// until it is durable, whatever the server's default is.
///
/// Every wait has a limit: for a lock, for a statement, and for a node that froze in the middle of
/// a transaction, which the server then ends, since others wait for its locks. The limits of the
/// server are shorter than the deadlines in [`Patience`], so that others get the locks before their
/// own deadline has passed.
///
/// Every statement of ours finds its rows by an index, so the planner need not look at the values
/// (`force_generic_plan`), nor choose what only pays while a table is small: what it costs stays the
/// same as tables grow.
const SESSION: &str = "-c search_path=kana -c synchronous_commit=on \
    -c default_transaction_isolation=read\\ committed \
    -c lock_timeout=6s -c statement_timeout=8s -c idle_in_transaction_session_timeout=5s \
    -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 \
    -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off \
    -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off";

/// Two pools, so that questions never take the connections that the writers need.
pub(super) struct Connections {
    pub(super) readers: Pool,
    pub(super) writers: Pool,
    pub(super) patience: Patience,
}

impl Connections {
    /// Reads the URL. Connects nowhere yet.
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let patience = settings.patience;
        let config = config(url, patience)?;
        // Beside the lanes, keys and the like are written now and then.
        let writers = settings.lanes + 1;
        let readers = settings.connections_max.saturating_sub(writers).max(1);
        let (readers, writers) =
            (pool(&config, readers, patience)?, pool(&config, writers, patience)?);
        Ok(Self { readers, writers, patience })
    }
}

fn pool(config: &Config, connections_max: usize, patience: Patience) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let connector = Connector::new(config, patience.connect);
    let manager = Manager::from_connect(config.clone(), connector, recycling);
    let pool = Pool::builder(manager)
        .max_size(connections_max)
        .wait_timeout(Some(patience.connect))
        .create_timeout(Some(patience.connect))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|error| StoreError::Engine(Box::new(error)))
}

/// Takes a connection that nobody else has meanwhile.
pub(super) async fn take(pool: &Pool) -> Result<Object, StoreError> {
    Ok(pool.get().await?)
}

fn config(url: &str, patience: Patience) -> Result<Config, StoreError> {
    let mut config = database_url::read(url)?;
    let theirs = config.get_options().unwrap_or_default();
    // What stands in the URL comes last, and so holds.
    let options = format!("{SESSION} {theirs}");
    config
        .options(options)
        .target_session_attrs(TargetSessionAttrs::ReadWrite)
        .keepalives_idle(SILENCE / 2)
        .keepalives_interval(SILENCE / 5)
        .keepalives_retries(3)
        .tcp_user_timeout(SILENCE);
    if config.get_application_name().is_none() {
        config.application_name("kana");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(patience.connect);
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says_of_the_session_holds() {
        let url = "postgres://db/kana?options=-c%20lock_timeout%3D1s&application_name=billing";
        let config = config(url, Patience::DEFAULT).unwrap();
        assert!(config.get_options().unwrap().ends_with("-c lock_timeout=1s"));
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_application_name(), Some("billing"));
    }
}
