//! Logs go to standard error: text on a terminal and JSON otherwise, unless the format is set (contract:
//! `operations.md`, "Logs").
//!
//! Lines go into a [queue](line_queue), and a thread writes them. So if the reader of the log is
//! slow or gone, or the disk is full, lines are lost and nothing else happens.

mod line_queue;

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use kana_telemetry::metrics;
use kana_telemetry::metrics::log::PANICS;
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, reload};

use self::line_queue::LineQueue;
use crate::settings::{LogFilter, LogFormat, LogSettings};

/// How long the process waits at its end for lines that are not written yet.
const FLUSH_TIME: Duration = Duration::from_secs(1);

static LINES: OnceLock<LineQueue> = OnceLock::new();

/// What changes the filter while the log is written.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Writes the lines that this filter lets through from now on.
pub(crate) fn set_filter(filter: &LogFilter) {
    if let Some(handle) = FILTER.get() {
        // It fails only once nothing is logged any more.
        let _ = handle.reload(filter.filter());
    }
}

/// Flushes the log on drop.
#[must_use]
pub(crate) struct Flush;

impl Drop for Flush {
    fn drop(&mut self) {
        flush();
    }
}

/// Waits until all lines are written, for a second at most. To be called before the process ends.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_TIME);
    }
}

/// Counts the lines of the log by their levels.
struct LineCounter;

impl<S: Subscriber> Layer<S> for LineCounter {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        metrics::log::written(*event.metadata().level());
    }
}

/// Starts to write logs, panics among them.
pub(crate) fn start(settings: &LogSettings) -> std::io::Result<Flush> {
    // A handle of its own, so that a blocked write holds no lock that others need.
    let standard_error = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
    let lines = LINES.get_or_init(LineQueue::default);
    let report =
        |dropped| tracing::warn!(dropped, "log lines were dropped: they could not be written");
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || lines.write_to(standard_error, report))?;
    // The library would report its own errors on standard error, and panic if that fails.
    let log = fmt::layer().log_internal_errors(false).with_writer(move || lines);
    let (filter, handle) = reload::Layer::new(settings.log_level.filter());
    let _ = FILTER.set(handle);
    let counted = tracing_subscriber::registry().with(filter).with(LineCounter);
    let is_terminal = std::io::stderr().is_terminal();
    let is_text = match settings.log_format {
        LogFormat::Auto => is_terminal,
        LogFormat::Text => true,
        LogFormat::Json => false,
    };
    if is_text {
        counted.with(log.with_target(false).with_ansi(is_terminal)).init();
    } else {
        counted.with(log.json().flatten_event(true).with_ansi(false)).init();
    }
    std::panic::set_hook(Box::new(|panic| {
        PANICS.count();
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%backtrace, "a panic, which is a bug: {panic}");
    }));
    Ok(Flush)
}
