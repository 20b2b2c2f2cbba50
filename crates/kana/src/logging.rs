//! Logs go to standard error: text on a terminal, JSON otherwise (contract: `server.md`).
//!
//! Lines go into a [queue](line_queue), and a thread writes them. So if the reader of the log is
//! slow or gone, or the disk is full, lines are lost and nothing else happens.

mod line_queue;

use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use self::line_queue::LineQueue;
use crate::settings::reading::invalid_value;
use crate::settings::variable;

/// Which lines are written, in the filter language of `tracing`, for example `kana=debug`.
const VARIABLE: &str = "KANA_LOG";
const DEFAULT: &str = "info";
/// How long the process waits at its end for lines that are not written yet.
const FLUSH_TIME: Duration = Duration::from_secs(1);

static LINES: OnceLock<LineQueue> = OnceLock::new();

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

/// Returns the filter that the variable sets, or the message about an invalid one.
pub(crate) fn filter() -> Result<EnvFilter, String> {
    let text = match variable::read(VARIABLE) {
        None => DEFAULT.to_owned(),
        Some(value) => value.to_string_lossy().into_owned(),
    };
    read_filter(&text).map_err(|problem| {
        let problem = format!(
            "{problem}; use error, warn, info, debug, trace or off, or a filter like \
             info,kana_store=debug"
        );
        invalid_value(&text, &format!(", from {VARIABLE}"), &problem)
    })
}

fn read_filter(text: &str) -> Result<EnvFilter, String> {
    // For the library, a lone word that is no level is a target, and only that target is logged. So
    // a misspelt level would result in an empty log.
    let is_level = |part: &str| part.trim().parse::<tracing::level_filters::LevelFilter>().is_ok();
    let is_word = |part: &&str| !part.contains(['=', '[']) && (part.is_empty() || !is_level(part));
    if let Some(word) = text.split(',').find(is_word) {
        return Err(format!("'{word:.64}' is not a level"));
    }
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())
}

/// Starts to write logs, panics among them.
pub(crate) fn start(filter: EnvFilter) -> std::io::Result<Flush> {
    // A handle of its own, so that a blocked write holds no lock that others need.
    let standard_error = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
    let lines = LINES.get_or_init(LineQueue::default);
    let report =
        |dropped| tracing::warn!(dropped, "log lines were dropped: they could not be written");
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || lines.write_to(standard_error, report))?;
    // The library would report its own errors on standard error, and panic if that fails.
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .log_internal_errors(false)
        .with_writer(move || lines);
    if std::io::stderr().is_terminal() {
        log.with_target(false).init();
    } else {
        log.json().flatten_event(true).with_ansi(false).init();
    }
    std::panic::set_hook(Box::new(|panic| {
        let backtrace = std::backtrace::Backtrace::capture();
        tracing::error!(%backtrace, "a panic, which is a bug: {panic}");
    }));
    Ok(Flush)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_levels() {
        for right in [
            "info",
            "WARN",
            "off",
            "kana=debug",
            "info,kana_store=trace",
            "hyper=off,warn",
            "kana[span]=trace",
        ] {
            assert!(read_filter(right).is_ok(), "{right}");
        }
        for wrong in [
            "inof",
            "warning",
            "kana=loud",
            "info,nonsense",
            "kana=debug=x",
            "[",
            ",",
            "info;debug",
        ] {
            assert!(read_filter(wrong).is_err(), "{wrong}");
        }
    }
}
