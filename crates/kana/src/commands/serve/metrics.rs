//! What the metrics say of the database that must be looked up, and the listener for operators.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kana_api::starting::Starting;
use kana_http::{Limits, Routes, ServerSettings};
use kana_service::Kana;
use kana_store::SqliteStore;
use kana_store::postgres::ConnectionCounts;
use kana_telemetry::metrics::database;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::start_line::Engine;
use crate::settings::DatabaseSettings;
use crate::version::{COMMIT, VERSION};

/// How often the database is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How many connections there may be to the listener for operators.
const CONNECTIONS_MAX: u32 = 100;
/// The file of the embedded database. The others in its directory are logs of it.
const DATA_FILE: &str = "kana.db";

/// The database that the metrics describe.
pub(super) enum Watched {
    /// The embedded one, in this directory.
    Embedded(PathBuf),
    /// A shared one, with a function that counts the connections to it.
    Shared(Box<dyn Fn() -> Option<ConnectionCounts> + Send + Sync>),
}

impl Watched {
    pub(super) fn engine(&self) -> Engine {
        match self {
            Self::Embedded(_) => Engine::Sqlite,
            Self::Shared(_) => Engine::Postgres,
        }
    }

    fn look(&self) {
        match self {
            Self::Embedded(directory) => look_at_files(directory),
            Self::Shared(count) => {
                if let Some(ConnectionCounts { idle, busy, max }) = count() {
                    database::CONNECTIONS_IDLE.set(idle);
                    database::CONNECTIONS_BUSY.set(busy);
                    database::CONNECTIONS_MAX.set(max);
                }
            }
        }
    }
}

/// Sums up the sizes of the files. What cannot be read is left out.
fn look_at_files(directory: &Path) {
    let (mut data, mut logs) = (0_u64, 0_u64);
    for file in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let bytes = file.metadata().map_or(0, |file| if file.is_file() { file.len() } else { 0 });
        *(if file.file_name() == DATA_FILE { &mut data } else { &mut logs }) += bytes;
    }
    database::DATA_BYTES.set(data);
    database::LOG_BYTES.set(logs);
    if let Ok(Some(at)) = SqliteStore::last_backup(directory) {
        database::LAST_BACKUP.set(at.as_ms() / 1000);
    }
    if let Ok(left) = rustix::fs::statvfs(directory) {
        database::FREE_BYTES.set(left.f_bavail.saturating_mul(left.f_frsize));
    }
}

/// Says what is known before the database is open, so that no alert takes a server that starts for one that has
/// never had a backup.
pub(super) fn begin(settings: &DatabaseSettings) {
    let engine = match settings.database_url {
        Some(_) => Engine::Postgres,
        None => Engine::Sqlite,
    };
    database::set_build(database::Build {
        version: VERSION,
        commit: COMMIT,
        engine: engine.name(),
    });
    if engine == Engine::Sqlite {
        look_at_files(&settings.data_dir);
    }
}

/// Looks at the database now and then, as long as there is a Kana.
pub(super) fn watch(kana: &Arc<Kana>, watched: Watched) {
    database::SCHEMA_VERSION.set(watched.engine().schema_version());
    watched.look();
    let kana = Arc::downgrade(kana);
    tokio::spawn(look_regularly(kana, Arc::new(watched)));
}

async fn look_regularly(kana: Weak<Kana>, watched: Arc<Watched>) {
    loop {
        let watched = Arc::clone(&watched);
        // A disk that hangs holds up a thread for that, and no request.
        let looked = tokio::task::spawn_blocking(move || watched.look()).await;
        let Some(kana) = kana.upgrade().filter(|_| looked.is_ok()) else { return };
        kana.observe().await;
        drop(kana);
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A listener for operators that is being served.
pub(super) struct Operators {
    routes: Routes,
    stop: oneshot::Sender<()>,
    served: JoinHandle<bool>,
}

impl Operators {
    /// Serves `/metrics`, `/healthz` and `/readyz` of a server that starts.
    pub(super) fn serve(
        listener: TcpListener,
        starting: &Starting,
        settings: &ServerSettings,
    ) -> Self {
        let limits = Limits { connections_max: CONNECTIONS_MAX, ..settings.limits };
        // Whoever may come here is near.
        let settings = ServerSettings { limits, tls: None, ..settings.clone() };
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            let _ = stopped.await;
        };
        let routes = Routes::from(kana_api::starting::operators_router(starting));
        let drain_time = Duration::from_secs(1);
        let serving = kana_http::serve(listener, routes.clone(), settings, stopped, drain_time);
        Self { routes, stop, served: tokio::spawn(serving) }
    }

    /// Serves those of a server that has started from now on.
    pub(super) fn serve_all(&self, kana: &Arc<Kana>) {
        self.routes.replace(kana_api::operators_router(kana));
    }

    /// Stops, once the others are served.
    pub(super) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = self.served.await;
    }
}
