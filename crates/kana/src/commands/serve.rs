mod waiting;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kana_http::Limits;
use kana_service::jobs::{self, JobRunner};
use kana_service::{Kana, SystemClock};
use kana_store::{PostgresStore, SqliteStore, Store, postgres};
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, create_app};
use crate::settings::{ConnectionSettings, ServeSettings};

/// How long requests in flight may take once the server is told to stop. Jobs may take a second
/// longer. With what the writer needs, the process ends within ten seconds.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const WRITER_TIME: Duration = Duration::from_secs(2);

/// How long a client may keep the server waiting in the middle of a request: for the rest of its
/// head, for the next byte of its body, or until it takes the next byte of the answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes per second that a client must at least send or take on average, beside that.
const RATE_MIN: u32 = 500;
/// How long the unread rest of a body is read and dropped after the answer.
const DISCARD_TIME: Duration = Duration::from_secs(30);
/// How long a client has to close its connection after the last answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
pub(crate) async fn run(settings: ServeSettings) -> Result<(), Failure> {
    if !SystemClock.is_in_range() {
        return Err(Failure::Clock);
    }
    ignore_signals()?;
    // Listens first, so that a port in use leaves nothing behind.
    let listener = kana_http::listen(&settings.listen.candidates())
        .map_err(|error| Failure::Listen(settings.listen, error))?;
    let Some(store) = open_for_server(&settings).await? else {
        tracing::info!("stopped while waiting for the database");
        return Ok(());
    };
    if create_app(store.as_ref(), "app").await? {
        tracing::info!("a new app was made; its keys stand on standard output, and only there");
    }
    let service = kana_service::Settings {
        user_token_days: settings.tokens.user_token_days,
        idempotency_days: settings.idempotency_days,
        events_days: settings.events_days,
        changes_days: settings.logs.changes_days,
        changes_max: settings.logs.changes_max,
        audit_days: settings.logs.audit_days,
    };
    let kana = Kana::start_with(store, Arc::new(SystemClock), service)?;
    let jobs = JobRunner::start(&kana, jobs::housekeeping(&kana));
    let address = listener.local_addr()?;
    let limits = limits(settings.connections);
    let (stop, lost) = (stop_signal()?, kana.thread_lost());
    let mut lost_thread = None;
    let stop = async {
        tokio::select! {
            () = stop => {}
            name = lost => lost_thread = Some(name),
        }
        jobs.stop();
    };
    let settings = kana_api::Settings {
        client_origins: settings.client_origins,
        ..kana_api::Settings::default()
    };
    let router = kana_api::router_with(&kana, settings);
    tracing::info!(%address, "ready: listening on http://{address}");
    if !kana_http::serve(listener, router, limits, stop, DRAIN_TIME).await {
        tracing::warn!("some requests were not finished in time, and have no answer");
    }
    jobs.stopped().await;
    if tokio::time::timeout(WRITER_TIME, kana.finish()).await.is_err() {
        tracing::warn!("stopped before everything was written");
    }
    if let Some(name) = lost_thread {
        return Err(Failure::ThreadLost(name));
    }
    tracing::info!("stopped");
    Ok(())
}

/// Opens the shared database of the settings, or the embedded one for this server alone. Returns
/// `None` if the process is told to stop while it waits for the database.
async fn open_for_server(settings: &ServeSettings) -> Result<Option<Arc<dyn Store>>, Failure> {
    let Some(url) = &settings.database.database_url else {
        return Ok(Some(Arc::new(SqliteStore::open_for_server(&settings.database.data_dir)?)));
    };
    let connections_max = usize::try_from(settings.database_connections).unwrap_or(usize::MAX);
    let settings = postgres::Settings { connections_max, ..postgres::Settings::default() };
    let opened =
        waiting::open_unless_stopped(async || PostgresStore::open(url.reveal(), settings).await)
            .await?;
    Ok(opened.map(|store| Arc::new(store) as _))
}

fn limits(settings: ConnectionSettings) -> Limits {
    Limits {
        connections_max: kana_http::raise_for_connections(settings.connections_max),
        idle: Duration::from_secs(settings.idle_timeout_seconds.into()),
        head: PATIENCE,
        stall: PATIENCE,
        rate_min: RATE_MIN,
        discard: DISCARD_TIME,
        linger: LINGER_TIME,
    }
}

/// Ignores signals that mean nothing to the server. By default, they would end the process.
fn ignore_signals() -> std::io::Result<()> {
    for kind in [SignalKind::hangup(), SignalKind::user_defined1(), SignalKind::user_defined2()] {
        // The handler stays installed after its listener is dropped.
        drop(signal(kind)?);
    }
    Ok(())
}

/// Resolves at `SIGTERM` or `SIGINT`.
fn stop_signal() -> std::io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new connections, finishing what was accepted");
    })
}
