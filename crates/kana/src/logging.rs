//! Logs go to standard error: text on a terminal, JSON otherwise (contract: `server.md`).

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Which lines are written, in the filter language of `tracing`, for example `kana=debug`.
const VARIABLE: &str = "KANA_LOG";

/// Starts to write logs, panics among them.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        lines.with_target(false).init();
    } else {
        lines.json().flatten_event(true).with_ansi(false).init();
    }
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%backtrace, "a panic, which is a bug: {panic}");
    }));
}
