//! Connects to the first of several servers that accepts changes.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Connect;
use rustls::ProtocolVersion;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::{SslMode, TargetSessionAttrs};
use tokio_postgres::{Client, Config, Error};

use super::errors::{cause, is_standby};
use super::protection::{Protection, leaves_machine};
use super::server_sessions::ServerSessions;
use super::tls::{Agreed, Tls, is_failure};

/// Tries each server in turn, each for a share of the time, so that a server that accepts a
/// connection and never answers does not block the next one. The pool limits the time of all of
/// them together.
pub(super) struct Connector {
    /// A configuration for each server of the URL.
    servers: Vec<Config>,
    /// The time limit of each server but the last.
    share: Duration,
    tls: Tls,
    newest: NewestProtection,
    /// `None` behind a pooler that may give each transaction another session.
    sessions: Option<Arc<ServerSessions>>,
}

/// What protects the newest connection, if there was one.
#[derive(Debug, Default, Clone)]
pub(super) struct NewestProtection(Arc<Mutex<Option<Protection>>>);

impl NewestProtection {
    pub(super) fn get(&self) -> Option<Protection> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, protection: Protection) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(protection);
    }
}

type Connecting<'a> =
    Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + 'a>>;

impl Connector {
    pub(super) fn new(
        config: &Config,
        tls: &Tls,
        limit: Duration,
        newest: &NewestProtection,
        sessions: Option<Arc<ServerSessions>>,
    ) -> Self {
        let servers = servers(config);
        let share = limit / u32::try_from(servers.len().max(1)).unwrap_or(u32::MAX);
        Self { servers, share, tls: tls.clone(), newest: newest.clone(), sessions }
    }

    /// Connects to a server. If TLS fails and plain is acceptable, connects plainly.
    async fn connect_to(&self, server: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        match self.connect_once(server).await {
            Err(error) if self.tls.mode.allows_plain() && is_failure(&error) => {
                let mut plain = server.clone();
                plain.ssl_mode(SslMode::Disable);
                self.connect_once(&plain).await
            }
            connected => connected,
        }
    }

    async fn connect_once(&self, server: &Config) -> Result<(Client, JoinHandle<()>), Error> {
        let agreed = Agreed::default();
        let (client, connection) = match server.connect(self.tls.maker(&agreed)).await {
            Ok(connected) => connected,
            Err(error) if error.is_closed() => {
                return Err(self.reason(server).await.unwrap_or(error));
            }
            Err(error) => return Err(error),
        };
        self.newest.set(match agreed.get() {
            Some(version) => Protection::Tls { version: name(*version), mode: self.tls.mode },
            None => Protection::Plain { leaves_machine: leaves_machine(server) },
        });
        let alive = Arc::new(());
        let is_alive = Arc::clone(&alive);
        let task = tokio::spawn(async move {
            if let Err(error) = connection.await {
                let error = cause(&error);
                tracing::warn!(%error, "lost a connection to the database");
            }
            drop(is_alive);
        });
        if let Some(sessions) = &self.sessions {
            sessions.add(&client, &alive).await?;
        }
        Ok((client, task))
    }

    /// Returns what a server says before it closes a new connection. The driver loses that where it
    /// comes in place of the answer to the driver's own question, as from PgBouncer without a server.
    async fn reason(&self, server: &Config) -> Option<Error> {
        let mut any = server.clone();
        any.target_session_attrs(TargetSessionAttrs::Any);
        let (client, connection) = any.connect(self.tls.maker(&Agreed::default())).await.ok()?;
        let task = tokio::spawn(connection);
        let reason = client.simple_query("SELECT 1").await.err();
        task.abort();
        reason.filter(|reason| !reason.is_closed())
    }
}

/// Returns the name that PostgreSQL has for a version of TLS.
fn name(version: ProtocolVersion) -> &'static str {
    match version {
        ProtocolVersion::TLSv1_3 => "TLSv1.3",
        ProtocolVersion::TLSv1_2 => "TLSv1.2",
        _ => "TLS",
    }
}

impl Connect for Connector {
    fn connect(&self, config: &Config) -> Connecting<'_> {
        let whole = config.clone();
        Box::pin(async move {
            let Some((last, others)) = self.servers.split_last() else {
                return self.connect_to(&whole).await;
            };
            let mut failed = None;
            for server in others {
                match timeout(self.share, self.connect_to(server)).await {
                    Ok(Ok(connected)) => return Ok(connected),
                    // The error of a server that is away is more useful than that of a standby.
                    Ok(Err(error)) if !is_standby(&error) => failed = Some(error),
                    Ok(Err(_)) | Err(_) => {}
                }
            }
            self.connect_to(last).await.map_err(|error| match failed {
                Some(failed) if is_standby(&error) => failed,
                _ => error,
            })
        })
    }
}

/// Returns a configuration for each server. The driver can add servers to a configuration but not
/// remove them, so each is built anew.
fn servers(config: &Config) -> Vec<Config> {
    let (hosts, addresses) = (config.get_hosts(), config.get_hostaddrs());
    let port = |place| config.get_ports().get(place).or_else(|| config.get_ports().first());
    let one = |place: usize| {
        let mut server = without_servers(config);
        match hosts.get(place) {
            #[cfg(unix)]
            Some(tokio_postgres::config::Host::Unix(path)) => {
                // As for libpq, there is no TLS on a socket, whatever sslmode says.
                server.host_path(path).ssl_mode(SslMode::Disable);
            }
            Some(tokio_postgres::config::Host::Tcp(name)) => {
                server.host(name);
            }
            None => {}
        }
        if let Some(address) = addresses.get(place) {
            server.hostaddr(*address);
        }
        if let Some(port) = port(place) {
            server.port(*port);
        }
        server
    };
    (0..hosts.len().max(addresses.len())).map(one).collect()
}

/// Copies everything but the servers.
fn without_servers(config: &Config) -> Config {
    let mut server = Config::new();
    server
        .ssl_mode(config.get_ssl_mode())
        .ssl_negotiation(config.get_ssl_negotiation())
        .channel_binding(config.get_channel_binding())
        .target_session_attrs(config.get_target_session_attrs())
        .keepalives(config.get_keepalives())
        .keepalives_idle(config.get_keepalives_idle());
    if let Some(user) = config.get_user() {
        server.user(user);
    }
    if let Some(password) = config.get_password() {
        server.password(password);
    }
    if let Some(database) = config.get_dbname() {
        server.dbname(database);
    }
    if let Some(options) = config.get_options() {
        server.options(options);
    }
    if let Some(name) = config.get_application_name() {
        server.application_name(name);
    }
    if let Some(limit) = config.get_connect_timeout() {
        server.connect_timeout(*limit);
    }
    if let Some(limit) = config.get_tcp_user_timeout() {
        server.tcp_user_timeout(*limit);
    }
    if let Some(interval) = config.get_keepalives_interval() {
        server.keepalives_interval(interval);
    }
    if let Some(retries) = config.get_keepalives_retries() {
        server.keepalives_retries(retries);
    }
    server
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_server_has_its_own_port_and_all_else_in_common() {
        let url = "postgres://ada:secret@one:1,%2Frun:2/kana?connect_timeout=3&keepalives_retries=4\
            &options=-c%20lock_timeout%3D1s&channel_binding=disable&sslmode=require\
            &tcp_user_timeout=7&keepalives_interval=8&keepalives_idle=9&application_name=us\
            &target_session_attrs=read-write";
        let whole: Config = url.parse().unwrap();
        let parts = servers(&whole);
        let single =
            |server: &str| -> Config { url.replace("one:1,%2Frun:2", server).parse().unwrap() };
        let mut socket = single("%2Frun:2");
        socket.ssl_mode(SslMode::Disable);
        assert_eq!(parts, [single("one:1"), socket], "there is no TLS on a socket");
    }
}
