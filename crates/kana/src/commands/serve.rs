mod metrics;
mod routes;
mod start_line;
mod stopping;
mod supervisor;
mod waiting;
mod while_starting;

use std::future::Future;
use std::net::SocketAddr;
use std::num::NonZero;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use kana_api::starting::Starting;
use kana_http::{Limits, Routes, ServerSettings, Tls};
use kana_service::jobs::{self, JobRunner};
use kana_service::{Kana, SystemClock};
use kana_store::postgres::Protection;
use kana_store::sqlite::FactsCacheLimits;
use kana_store::{Loss, PostgresStore, ServerOptions, SqliteStore, Store, postgres};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use self::metrics::{Operators, Watched};
use self::start_line::Engine;
use self::stopping::StopSignals;
use super::{DashboardPlace, Failure, create_app};
use crate::logging;
use crate::settings::reading::{SettingInForce, read_log_settings};
use crate::settings::{ConnectionSettings, ListenAddress, RequestLogSettings, ServeSettings};
use crate::trace_export::TraceExport;

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
/// How often the files of the certificate are looked at.
const LOOK_AT_CERTIFICATE_EVERY: Duration = Duration::from_secs(5);
/// How long a client has to close its connection after the last answer.
const LINGER_TIME: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
pub(crate) async fn run(
    settings: ServeSettings,
    in_force: &[SettingInForce],
) -> Result<(), Failure> {
    if !SystemClock.is_in_range() {
        return Err(Failure::Clock);
    }
    ignore_signals()?;
    let tls = watched_tls(&settings)?;
    // Listens first, so that a port in use leaves nothing behind.
    let listen = settings.address.listen.at;
    let listener =
        kana_http::listen(&listen.candidates()).map_err(|error| Failure::Listen(listen, error))?;
    let address = listener.local_addr()?;
    let operators = listen_for_operators(settings.metrics_listen)?;
    let mut signals = StopSignals::listen()?;
    let traces = TraceExport::start(&settings.traces)?;
    metrics::begin(&settings.database);

    let (limits, request_log) = (limits(settings.connections), request_log(settings.request_log));
    let served = ServerSettings { limits, request_log, tls };
    let (api, has_tls) = (api_settings(&settings, operators.is_none()), served.tls.is_some());
    let starting = Starting::default();
    let routes = Routes::from(kana_api::starting::router(&starting, &api));
    let operators = operators.map(|listener| Operators::serve(listener, &starting, &served));
    let (stop, stopped) = oneshot::channel::<()>();
    let stopped = async move {
        let _ = stopped.await;
    };
    let mut serving = pin!(kana_http::serve(listener, routes.clone(), served, stopped, DRAIN_TIME));
    let start = start(&settings, address, &mut signals, &starting);
    let Some(started) = while_starting::serve(start, serving.as_mut()).await? else {
        drop(stop);
        signals.or_stop(serving).await;
        return Ok(());
    };

    routes.replace(router(&started.kana, &settings, api, has_tls));
    // What is left of them is dropped with the last connection, and the service with that.
    drop(routes);
    if let Some(operators) = &operators {
        operators.serve_all(&started.kana);
    }
    started.log((address, has_tls), in_force);
    supervisor::tell(&started.kana);
    let drain = Duration::from_secs(settings.connections.drain_seconds.into());
    let lost = started.until_told(serving, (signals, drain), stop).await;
    let Started { kana, jobs, .. } = started;
    jobs.stopped().await;
    if let Some(operators) = operators {
        operators.finish().await;
    }
    finish(kana, traces).await;
    ended(lost)
}

/// A service that has been started.
struct Started {
    kana: Arc<Kana>,
    jobs: JobRunner,
    engine: Engine,
    /// What protects the connections to a shared database.
    protection: Option<Protection>,
}

impl Started {
    /// Logs that the server is ready.
    fn log(&self, address: (SocketAddr, bool), in_force: &[SettingInForce]) {
        let database_tls = self.protection.map(|protection| protection.to_string());
        start_line::log(address, self.engine, database_tls.as_deref(), in_force);
    }

    /// Goes on serving until the process is told to stop, or has lost what it needs, which is returned. Then drops
    /// `stop`, which is to end `serving`, and waits for that.
    async fn until_told(
        &self,
        serving: Pin<&mut impl Future<Output = bool>>,
        (signals, drain): (StopSignals, Duration),
        stop: oneshot::Sender<()>,
    ) -> Option<Loss> {
        let told = async {
            let lost = tokio::select! {
                () = stopping::told_to_stop(signals, &self.kana, drain) => None,
                loss = self.kana.lost() => Some(loss),
            };
            self.jobs.stop();
            drop(stop);
            lost
        };
        let (all_finished, lost) = tokio::join!(serving, told);
        if !all_finished {
            tracing::warn!("some requests were not finished in time, and have no answer");
        }
        lost
    }
}

/// Opens the database, creates the app if there is none, and starts the service. Returns `None` if the process
/// is told to stop before the database is open.
async fn start(
    settings: &ServeSettings,
    address: SocketAddr,
    signals: &mut StopSignals,
    starting: &Starting,
) -> Result<Option<Started>, Failure> {
    let Some(opened) = signals.or_stop(open_for_server(settings, starting)).await else {
        tracing::info!("stopped before the database was open");
        return Ok(None);
    };
    let (store, watched, protection) = opened?;
    let has_dashboard = !settings.dashboard.no_dashboard;
    let dashboard = DashboardPlace { address: &settings.address, bound: Some(address) };
    if create_app(store.as_ref(), "app", has_dashboard.then_some(dashboard)).await? {
        tracing::info!("a new app was made; its keys stand on standard output, and only there");
    }
    let service = service_settings(settings);
    let kana = Kana::start_with(store, Arc::new(SystemClock), service)?;
    let engine = watched.engine();
    metrics::watch(&kana, watched);
    let jobs = JobRunner::start(&kana, jobs::housekeeping(&kana));
    Ok(Some(Started { kana, jobs, engine, protection }))
}

/// Waits for what is written last, and for the last traces meanwhile.
async fn finish(kana: Arc<Kana>, traces: Option<TraceExport>) {
    let exported = async {
        if let Some(traces) = traces {
            traces.finish().await;
        }
    };
    let (written, ()) = tokio::join!(tokio::time::timeout(WRITER_TIME, kana.finish()), exported);
    if written.is_err() {
        tracing::warn!("stopped before everything was written");
    }
}

/// Says how a server has ended.
fn ended(lost: Option<Loss>) -> Result<(), Failure> {
    match lost {
        Some(Loss::Panicked(name)) => Err(Failure::ThreadLost(name)),
        Some(Loss::Damaged(error)) => Err(Failure::CannotWrite(error)),
        None => {
            tracing::info!("stopped");
            Ok(())
        }
    }
}

fn api_settings(settings: &ServeSettings, has_metrics: bool) -> kana_api::Settings {
    kana_api::Settings {
        client_origins: settings.client_origins.clone(),
        body_memory_bytes: settings.request_limits.body_memory_bytes(),
        rate_limits: settings.request_limits.rate_limits(),
        has_metrics,
    }
}

/// Everything that is answered at the main address once the service is there.
fn router(
    kana: &Arc<Kana>,
    settings: &ServeSettings,
    api: kana_api::Settings,
    has_tls: bool,
) -> axum::Router {
    let router = kana_api::router_with(kana, api);
    if settings.dashboard.no_dashboard {
        return router;
    }
    let pages = kana_dashboard::Settings {
        public_url: settings.address.public_url.clone(),
        trusts_proxy: settings.trust_proxy,
        has_tls,
    };
    router.merge(kana_dashboard::router(kana, pages))
}

/// A store, what of it is watched, and what protects its connections, if it has some.
type Opened = (Arc<dyn Store>, Watched, Option<Protection>);

/// Opens the shared database of the settings, or the embedded one for this server alone.
async fn open_for_server(settings: &ServeSettings, starting: &Starting) -> Result<Opened, Failure> {
    let Some(url) = &settings.database.database_url else {
        let directory = settings.database.data_dir.clone();
        let filter_mib = usize::try_from(settings.key_filters_mib).unwrap_or(usize::MAX);
        let options = ServerOptions {
            key_filter_bytes_max: filter_mib.saturating_mul(1024 * 1024),
            ..ServerOptions::default()
        };
        let opening = {
            let directory = directory.clone();
            move || SqliteStore::open_for_server_with(&directory, options)
        };
        let store = tokio::task::spawn_blocking(opening).await.map_err(std::io::Error::other)??;
        let store = store.with_facts_cache(FactsCacheLimits::mib(settings.facts_cache_mib));
        return Ok((Arc::new(store), Watched::Embedded(directory), None));
    };
    let connections_max = usize::try_from(settings.database_connections).unwrap_or(usize::MAX);
    let pooler = settings.database.database_pooler.into();
    let settings = postgres::Settings { connections_max, pooler, ..postgres::Settings::default() };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let settings = settings.with_lanes_of(cores);
    let open = async || PostgresStore::open(url.reveal(), settings).await;
    let store = waiting::open_in_time(open, starting).await?;
    let protection = store.protection();
    if protection == Some(Protection::Plain { leaves_machine: true }) {
        tracing::warn!(
            "the connection to the database has no TLS, and leaves this machine: others on the way can \
             read and change what is sent. Add sslmode=verify-full and sslrootcert to the database URL"
        );
    }
    let watched = Watched::Shared(Box::new(store.connection_counts()));
    Ok((Arc::new(store), watched, protection))
}

fn service_settings(settings: &ServeSettings) -> kana_service::Settings {
    kana_service::Settings {
        user_token_days: settings.tokens.user_token_days,
        idempotency_days: settings.idempotency_days,
        events_days: settings.events_days,
        changes_days: settings.retention.changes_days,
        changes_max: settings.retention.changes_max,
        audit_days: settings.retention.audit_days,
    }
}

/// Listens for operators, if another address is set for them.
fn listen_for_operators(at: Option<ListenAddress>) -> Result<Option<TcpListener>, Failure> {
    let Some(address) = at else { return Ok(None) };
    let listener = kana_http::listen(&address.candidates())
        .map_err(|error| Failure::ListenForMetrics(address, error))?;
    let bound = listener.local_addr()?;
    tracing::info!(metrics_address = %bound, "listening for operators on http://{bound}");
    Ok(Some(listener))
}

fn request_log(settings: RequestLogSettings) -> kana_http::RequestLogSettings {
    let slow = Duration::from_millis(settings.slow_ms.into());
    kana_telemetry::slow::set(slow);
    kana_http::RequestLogSettings {
        surface_of: kana_api::surface_of,
        route_of: routes::route_of,
        is_traced: routes::is_traced,
        slow,
        lines_per_second: settings.log_requests_per_second,
    }
}

fn limits(settings: ConnectionSettings) -> Limits {
    Limits {
        connections_max: kana_http::raise_for_connections(settings.connections_max),
        idle: Duration::from_secs(settings.idle_timeout_seconds.into()),
        head: PATIENCE,
        response: Duration::from_secs(settings.request_timeout_seconds.into()),
        stall: PATIENCE,
        rate_min: RATE_MIN,
        discard: DISCARD_TIME,
        linger: LINGER_TIME,
    }
}

/// Ignores signals that mean nothing to the server. By default, they would end the process.
fn ignore_signals() -> std::io::Result<()> {
    for kind in [SignalKind::user_defined1(), SignalKind::user_defined2()] {
        // The handler stays installed after its listener is dropped.
        drop(signal(kind)?);
    }
    Ok(())
}

/// Loads the certificate, if there is to be TLS, and has it and `--log-level` read anew from now on.
fn watched_tls(settings: &ServeSettings) -> Result<Option<Arc<Tls>>, Failure> {
    let tls = settings.address.tls.files().map(Tls::load).transpose().map_err(Failure::Tls)?;
    if let Some(tls) = &tls {
        look_regularly(Arc::clone(tls));
    }
    reread_at_hangup(tls.clone())?;
    Ok(tls)
}

/// Looks at the files of the certificate now and then.
fn look_regularly(tls: Arc<Tls>) {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK_AT_CERTIFICATE_EVERY).await;
            look_at_certificate(&tls).await;
        }
    });
}

async fn look_at_certificate(tls: &Arc<Tls>) {
    let tls = Arc::clone(tls);
    // A disk that hangs holds up a thread for that, and no request.
    let _ = tokio::task::spawn_blocking(move || tls.look()).await;
}

/// Reads `--log-level` and the certificate anew at each `SIGHUP`.
fn reread_at_hangup(tls: Option<Arc<Tls>>) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if let Some(tls) = &tls {
                look_at_certificate(tls).await;
            }
            match tokio::task::spawn_blocking(read_log_settings).await {
                Ok(Ok(log)) => {
                    logging::set_filter(&log.log_level);
                    tracing::info!(log_level = %log.log_level, "SIGHUP: the log's level was read anew");
                }
                Ok(Err(problems)) => {
                    let problems = problems.join("; ");
                    tracing::error!(problems, "SIGHUP: settings are wrong, and stay as they were");
                }
                Err(_) => {}
            }
        }
    });
    Ok(())
}
