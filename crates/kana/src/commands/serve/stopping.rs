//! How a server is told to stop (contract: `operations.md`, "Health and endings").

use std::future::Future;
use std::time::Duration;

use kana_service::Kana;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::supervisor;
use crate::logging;

/// `SIGTERM` and `SIGINT`. One that comes while nobody waits for it is kept.
pub(super) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub(super) fn listen() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self { terminate, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Resolves at the next signal.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Waits for `work`. Returns `None` if the process is told to stop first.
    pub(super) async fn or_stop<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            done = work => Some(done),
            () = self.next() => None,
        }
    }
}

/// Resolves when the server is to take no more connections: `drain` after it was told to stop. Meanwhile
/// only `/readyz` says that it stops. From then on, a second signal ends the process at once.
pub(super) async fn told_to_stop(mut signals: StopSignals, kana: &Kana, drain: Duration) {
    signals.next().await;
    kana.begin_stopping();
    supervisor::tell_stopping(drain);
    tokio::spawn(async move {
        signals.next().await;
        tracing::warn!("told to stop again: stopped at once");
        logging::flush();
        // What was acknowledged is durable, as after a crash.
        std::process::exit(0);
    });
    if !drain.is_zero() {
        let seconds = drain.as_secs();
        tracing::info!("stopping in {seconds} seconds: until then, requests are served");
        tokio::time::sleep(drain).await;
    }
    tracing::info!("stopping: no new connections, finishing what was accepted");
}
