//! Connections: the address of the server, the settings of our sessions, and the pools.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_postgres::{
    Hook, HookError, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime,
};
use kana_telemetry::metrics::database::WAITS;
use tokio::time::timeout;
use tokio_postgres::config::TargetSessionAttrs;
use tokio_postgres::{Client, Config, SimpleQueryMessage};

use super::connector::{Connector, NewestProtection};
use super::database_url;
use super::errors::NO_ANSWER;
use super::protection::Protection;
use super::server_sessions::ServerSessions;
use super::session::{self, Session};
use super::settings::{Pooler, Settings};
use super::tls::Tls;
use crate::deadlines::Deadlines;
use crate::error::StoreError;

/// How long a connection can be silent before it counts as broken. So a server that vanishes is
/// noticed in time, and so is a node that holds locks.
const SILENCE: Duration = Duration::from_secs(10);

/// How many connections to a shared database there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ConnectionCounts {
    /// Those that wait for work.
    pub idle: usize,
    /// Those at work.
    pub busy: usize,
    /// How many there may be.
    pub max: usize,
}

/// Two pools, so that questions never take the connections of the writers.
pub(super) struct Connections {
    pub(super) readers: Pool,
    pub(super) writers: Pool,
    pub(super) deadlines: Deadlines,
    pub(super) session: Arc<Session>,
    pub(super) server_sessions: Arc<ServerSessions>,
    newest: NewestProtection,
}

impl Connections {
    /// Creates the pools of a URL. Does not connect yet.
    pub(super) fn new(url: &str, settings: Settings) -> Result<Self, StoreError> {
        let limits = settings.deadlines;
        let session = Arc::new(Session::new(settings.pooler, limits));
        let (config, tls) = config(url, limits, &session)?;
        let newest = NewestProtection::default();
        let server_sessions = Arc::new(ServerSessions::default());
        let watched = (settings.pooler == Pooler::None).then(|| Arc::clone(&server_sessions));
        // Beside the lanes, keys and settings are written now and then.
        let writers = settings.lanes + 1;
        let readers = settings.connections_max.saturating_sub(writers).max(1);
        let pool = |connections_max| {
            let connector = Connector::new(&config, &tls, limits.connect, &newest, watched.clone());
            pool(&config, connector, connections_max, limits, &session, &server_sessions)
        };
        let (readers, writers) = (pool(readers)?, pool(writers)?);
        Ok(Self { readers, writers, deadlines: limits, session, server_sessions, newest })
    }

    /// Returns how many connections wait for work, are at work, and may be open.
    pub(super) fn counts(&self) -> ConnectionCounts {
        let mut counts = ConnectionCounts::default();
        for pool in [&self.readers, &self.writers] {
            let status = pool.status();
            counts.idle += status.available;
            counts.busy += status.size.saturating_sub(status.available);
            counts.max += status.max_size;
        }
        counts
    }

    /// Returns what protects the newest connection, if there was one.
    pub(super) fn protection(&self) -> Option<Protection> {
        self.newest.get()
    }
}

fn pool(
    config: &Config,
    connector: Connector,
    connections_max: usize,
    limits: Deadlines,
    session: &Arc<Session>,
    server_sessions: &Arc<ServerSessions>,
) -> Result<Pool, StoreError> {
    let session = Arc::clone(session);
    let [of_new, of_old] = [(); 2].map(|()| Arc::clone(server_sessions));
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = Manager::from_connect(config.clone(), connector, recycling);
    let pool = Pool::builder(manager)
        .max_size(connections_max)
        .wait_timeout(Some(limits.connect))
        .create_timeout(Some(limits.connect))
        .post_create(Hook::async_fn(move |client, _| {
            let (session, server_sessions) = (Arc::clone(&session), Arc::clone(&of_new));
            Box::pin(async move {
                match timeout(limits.connect, check_session(client, limits, &session)).await {
                    Ok(checked) => checked?,
                    Err(_) => return Err(HookError::message(NO_ANSWER)),
                }
                match server_sessions.check() {
                    Err(StoreError::SessionDiffers { problem }) => Err(HookError::message(problem)),
                    _ => Ok(()),
                }
            })
        }))
        .pre_recycle(Hook::sync_fn(move |_, metrics| match of_old.distrust(metrics.created) {
            // The pool closes it and takes another.
            true => Err(HookError::message("it is a pooler's")),
            false => Ok(()),
        }))
        .runtime(Runtime::Tokio1)
        .build();
    pool.map_err(|error| StoreError::Engine(Box::new(error)))
}

/// Fails if a new session lacks a setting, so that a pooler that drops them costs a start, and no
/// promise. The pool then closes the connection.
async fn check_session(
    client: &Client,
    limits: Deadlines,
    session: &Session,
) -> Result<(), HookError> {
    let messages = client.simple_query(&session.read_back()).await.map_err(HookError::Backend)?;
    let rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())),
        _ => None,
    });
    match session::difference(&rows.collect(), limits) {
        None => Ok(()),
        Some(difference) => Err(HookError::message(difference)),
    }
}

/// Takes a connection out of a pool.
pub(super) async fn take(pool: &Pool) -> Result<Object, StoreError> {
    let since = Instant::now();
    let taken = pool.get().await;
    WAITS.observe(since.elapsed());
    Ok(taken?)
}

fn config(url: &str, limits: Deadlines, session: &Session) -> Result<(Config, Tls), StoreError> {
    let (mut config, tls) = database_url::read(url)?;
    let theirs = config.get_options().unwrap_or_default().to_owned();
    match session.options() {
        // The URL's own options come last, so they win.
        Some(ours) => {
            config.options(format!("{ours} {theirs}"));
        }
        None if theirs.is_empty() => {}
        None => {
            let problem = "its options would not reach a session through a pooler in transaction \
                           mode (--database-pooler transaction): leave them out";
            return Err(StoreError::DatabaseUrl { problem: problem.to_owned() });
        }
    }
    config
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
    Ok((config, tls))
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
    use crate::postgres::settings::Pooler;

    #[test]
    fn what_the_url_says_of_the_session_holds() {
        let url = "postgres://db/kana?options=-c%20lock_timeout%3D1s&application_name=billing";
        let limits = Deadlines::DEFAULT;
        let (config, _) = config(url, limits, &Session::new(Pooler::None, limits)).unwrap();
        let options = config.get_options().unwrap();
        assert!(options.ends_with("-c lock_timeout=1s"), "{options}");
        assert!(options.contains("-c lock_timeout=5000 "), "{options}");
        assert_eq!(config.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
        assert_eq!(config.get_application_name(), Some("billing"));
    }

    #[test]
    fn through_a_pooler_a_session_begins_without_options() {
        let limits = Deadlines::DEFAULT;
        let session = Session::new(Pooler::Transaction, limits);
        let (pooled, _) = config("postgres://db/kana", limits, &session).unwrap();
        assert_eq!(pooled.get_options(), None);
        let url = "postgres://db/kana?options=-c%20lock_timeout%3D1s";
        let error = config(url, limits, &session).unwrap_err();
        assert!(error.to_string().contains("--database-pooler"), "{error}");
    }
}
