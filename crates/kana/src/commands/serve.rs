use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use kana_service::{Kana, SystemClock};
use kana_store::{SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, check_database_url, print_keys};
use crate::settings::ServeSettings;

/// How long requests in flight may take once the server is told to stop. With what the writer
/// needs, the process ends within ten seconds.
const DRAIN_TIME: Duration = Duration::from_secs(5);
const WRITER_TIME: Duration = Duration::from_secs(2);

/// Runs the server until it is told to stop.
pub(crate) async fn run(settings: ServeSettings) -> Result<(), Failure> {
    check_database_url(&settings.database)?;
    let store = SqliteStore::open_for_server(&settings.database.data_dir)?;
    if let Some(keys) = kana_service::init(&store, &SystemClock, "app").await? {
        print_keys(&keys)?;
        tracing::info!("a new app was made; its keys stand on standard output, and only there");
    }
    let store: Arc<dyn Store> = Arc::new(store);
    let kana = Kana::start_with(store, Arc::new(SystemClock), settings.tokens.into())?;
    let listen_failed = |error| Failure::Listen(settings.listen, error);
    let listener = TcpListener::bind(settings.listen).await.map_err(listen_failed)?;
    let address = listener.local_addr().map_err(listen_failed)?;
    let stop = stop_signal()?;
    let settings = kana_api::Settings { client_origins: settings.client_origins };
    let router = kana_api::router_with(&kana, settings);
    tracing::info!(%address, "ready: listening on http://{address}");
    serve(listener, router, stop).await?;
    let finished = tokio::time::timeout(WRITER_TIME, kana.finish()).await;
    if finished.is_err() {
        tracing::warn!("stopped before every connection had ended");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Serves until `stop`, then takes no more connections and finishes the requests in flight.
async fn serve(
    listener: TcpListener,
    router: axum::Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Failure> {
    let (stopping, stopped) = tokio::sync::oneshot::channel();
    let server = axum::serve(listener, router).with_graceful_shutdown(async move {
        stop.await;
        tracing::info!("stopping: no new connections, finishing what was accepted");
        let _ = stopping.send(());
    });
    let deadline = async {
        // Without a signal there is no deadline.
        if stopped.await.is_err() {
            std::future::pending::<()>().await;
        }
        tokio::time::sleep(DRAIN_TIME).await;
    };
    tokio::select! {
        served = server => Ok(served?),
        () = deadline => Ok(()),
    }
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
    })
}
