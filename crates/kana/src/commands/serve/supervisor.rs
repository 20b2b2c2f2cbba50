//! Tells systemd that the server is ready, alive and stopping (contract: `operations.md`, "Packaging"). Where
//! no supervisor listens, nothing is told.

use std::sync::Arc;
use std::time::Duration;

use kana_service::Kana;
use sd_notify::NotifyState;

/// How long after a database that was not ready it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// How long a stop may take once the server has drained: twice what it takes at most.
const STOP_TIME: Duration = Duration::from_secs(20);

/// Says `READY=1` once `/readyz` would answer 200, and from then on that the server is alive, as often as the
/// supervisor wants to hear it.
pub(super) fn tell(kana: &Arc<Kana>) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let kana = Arc::downgrade(kana);
    tokio::spawn(async move {
        loop {
            // Held only while it is asked: the server ends once nobody holds it.
            let Some(kana) = kana.upgrade() else { return };
            if kana.check_ready().await.is_ok() {
                break;
            }
            drop(kana);
            tokio::time::sleep(ASK_AGAIN).await;
        }
        send(&[NotifyState::Ready]);
        let Some(within) = sd_notify::watchdog_enabled() else { return };
        // A thread that is lost ends the process by itself. What this shows is that tasks still run.
        let mut ticks = tokio::time::interval(within / 3);
        loop {
            ticks.tick().await;
            send(&[NotifyState::Watchdog]);
        }
    });
}

/// Says that the server stops, and how much time that may take at most, so that it is not taken for one that hangs
/// (systemd kills one after `TimeoutStopSec`, which knows nothing of `--drain-seconds`).
pub(super) fn tell_stopping(drain: Duration) {
    let at_most = u32::try_from((drain + STOP_TIME).as_micros()).unwrap_or(u32::MAX);
    send(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(at_most)]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the supervisor cannot be told how the server is");
    }
}
