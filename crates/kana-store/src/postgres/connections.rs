//! Connections: the address of the server, the settings of our sessions, and the pools.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Config;
use tokio_postgres::config::TargetSessionAttrs;

use super::connector::Connector;
use super::database_url;
use super::settings::Settings;
use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// How long a connection can be silent before it counts as broken. So a server that vanishes is
/// noticed in time, and so is a node that holds locks.
const SILENCE: Duration = Duration::from_secs(10);

/// The settings of each of our sessions.
///
/// All tables are in a schema of their own, since the database may have others. A commit waits until
/// it is durable, whatever the server's default is.
///
/// Every wait has a limit: for a lock, for a statement, and for a node that froze in the middle of
/// a transaction, which the server then ends, since others wait for its locks.
///
/// Each of our statements finds its rows by an index. So the planner need not look at values
/// (`force_generic_plan`), or choose plans that pay only while a table is small: the cost stays the same
/// as tables grow.
fn session(limits: Deadlines) -> String {
    let Deadlines { lock, statement, idle, .. } = limits;
    let [lock, statement, idle] = [lock, statement, idle].map(|limit| limit.as_millis());
    format!(
        "-c search_path=kana -c synchronous_commit=on \
        -c default_transaction_isolation=read\\ committed \
        -c lock_timeout={lock} -c statement_timeout={statement} \
        -c idle_in_transaction_session_timeout={idle} \
        -c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 \
        -c plan_cache_mode=force_generic_plan -c jit=off -c enable_seqscan=off \
        -c enable_bitmapscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
    )
}

/// Two pools, so that questions never take the connections of the writers.
pub(super) struct Connections {
    pub(super) readers: Pool,
    pub(super) writers: Pool,
    pub(super) deadlines: Deadlines,
}

impl Connections {
    /// Creates the pools of a URL. Does not connect yet.
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let limits = settings.deadlines;
        let config = config(url, limits)?;
        // Beside the lanes, keys and settings are written now and then.
        let writers = settings.lanes + 1;
        let readers = settings.connections_max.saturating_sub(writers).max(1);
        let (readers, writers) = (pool(&config, readers, limits)?, pool(&config, writers, limits)?);
        Ok(Self { readers, writers, deadlines: limits })
    }
}

fn pool(config: &Config, connections_max: usize, limits: Deadlines) -> Result<Pool, StoreError> {
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let connector = Connector::new(config, limits.connect);
    let manager = Manager::from_connect(config.clone(), connector, recycling);
    let pool = Pool::builder(manager)
        .max_size(connections_max)
        .wait_timeout(Some(limits.connect))
        .create_timeout(Some(limits.connect))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|error| StoreError::Engine(Box::new(error)))
}

/// Takes a connection out of a pool.
pub(super) async fn take(pool: &Pool) -> Result<Object, StoreError> {
    Ok(pool.get().await?)
}

fn config(url: &str, limits: Deadlines) -> Result<Config, StoreError> {
    let mut config = database_url::read(url)?;
    let theirs = config.get_options().unwrap_or_default();
    // The URL's own options come last, so they win.
    let options = format!("{} {theirs}", session(limits));
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
        config.connect_timeout(limits.connect);
    }
    Ok(config)
}

impl Connections {
    /// Closes the idle connections. If one connection fell silent, the others most likely did too,
    /// and each would cost a caller a whole deadline to find out.
    pub(super) fn forget_idle(&self) {
        for pool in [&self.readers, &self.writers] {
            pool.retain(|_, _| false);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_says_of_the_session_holds() {
        let url = "postgres://db/kana?options=-c%20lock_timeout%3D1s&application_name=billing";
        let config = config(url, Deadlines::DEFAULT).unwrap();
        let options = config.get_options().unwrap();
        assert!(options.ends_with("-c lock_timeout=1s"), "{options}");
        assert!(options.contains("-c lock_timeout=5000 -c statement_timeout=7000 "), "{options}");
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_application_name(), Some("billing"));
    }
}
