//! Logs go to standard error: text on a terminal, JSON otherwise (contract: `server.md`).
//!
//! A line goes into a [queue](line_queue), from which a thread writes it. So a reader that is slow or
//! gone, or a disk that is full, costs lines and nothing else.

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
/// How long the end of the process waits for lines that are not written yet.
const FLUSH_TIME: Duration = Duration::from_secs(1);

static LINES: OnceLock<LineQueue> = OnceLock::new();

/// Writes the lines that wait when it is dropped.
#[must_use]
pub(crate) struct Flush;

impl Drop for Flush {
    fn drop(&mut self) {
        flush();
    }
}

/// Waits until the lines so far are written, for a second at most. Needed before the process ends.
pub(crate) fn flush() {
    if let Some(lines) = LINES.get() {
        lines.flush(FLUSH_TIME);
    }
}

/// The filter that the variable asks for, or what is wrong with it.
pub(crate) fn filter() -> Result<EnvFilter, String> {
    let text = match variable::read(VARIABLE) {
        None => DEFAULT.to_owned(),
        Some(value) => value.to_string_lossy().into_owned(),
    };
    read_filter(&text).map_err(|problem| {
        let problem = format!(
            "{problem}; it is error, warn, info, debug, trace or off, or a filter like \
             info,kana_store=debug"
        );
        invalid_value(&text, &format!(", from {VARIABLE}"), &problem)
    })
}

fn read_filter(text: &str) -> Result<EnvFilter, String> {
    // A lone word is a target for the library, of which everything is written, and nothing of
    // anything else: a level that is misspelt would mean a log without a line.
    let is_level = |part: &str| part.trim().parse::<tracing::level_filters::LevelFilter>().is_ok();
    let is_word = |part: &&str| !part.contains(['=', '[']) && (part.is_empty() || !is_level(part));
    if let Some(word) = text.split(',').find(is_word) {
        return Err(format!("'{word:.64}' is not a level"));
    }
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())
}

/// Starts to write logs, panics among them.
pub(crate) fn start(filter: EnvFilter) -> std::io::Result<Flush> {
    // A handle of its own, so that nobody else waits for a lock that its writer holds.
    let standard_error = File::from(std::io::stderr().as_fd().try_clone_to_owned()?);
    let lines = LINES.get_or_init(LineQueue::default);
    let report =
        |dropped| tracing::warn!(dropped, "log lines were dropped: they could not be written");
    std::thread::Builder::new()
        .name("log".to_owned())
        .spawn(move || lines.write_to(standard_error, report))?;
    // The library would write what goes wrong to standard error itself, and panic if it cannot.
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
