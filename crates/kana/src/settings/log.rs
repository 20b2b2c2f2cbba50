//! The settings of the log (contract: `operations.md`, "Settings").

use std::fmt;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

/// How the log is written, and what of it.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogSettings {
    /// How lines of the log are written: text, json, or auto, which is text on a terminal and json otherwise
    #[arg(
        long,
        env = "KANA_LOG_FORMAT",
        default_value = "auto",
        value_name = "FORMAT",
        hide_possible_values = true,
        global = true
    )]
    pub(crate) log_format: LogFormat,
    /// Which lines are logged: error, warn, info, debug, trace or off, or a filter like
    /// info,kana_store=debug
    #[arg(long, env = "KANA_LOG", default_value = "info", value_name = "LEVEL", global = true)]
    pub(crate) log_level: LogFilter,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, and JSON otherwise
    Auto,
    Text,
    Json,
}

/// Which requests `kana serve` logs.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RequestLogSettings {
    /// Number of lines a second about requests that went well or were refused, 0 to 100000. 0 logs none.
    /// Those that failed or were slow are logged beside them
    #[arg(
        long,
        env = "KANA_LOG_REQUESTS_PER_SECOND",
        default_value = "100",
        value_name = "LINES",
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    pub(crate) log_requests_per_second: u32,
    /// Number of milliseconds from which on a request is logged as slow, 1 to 600000
    #[arg(
        long,
        env = "KANA_SLOW_MS",
        default_value = "500",
        value_name = "MILLISECONDS",
        value_parser = clap::value_parser!(u32).range(1..=600_000)
    )]
    pub(crate) slow_ms: u32,
}

/// A filter of the log, in the language of `tracing`, that can be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogFilter(String);

impl LogFilter {
    /// Returns the filter for the library.
    pub(crate) fn filter(&self) -> EnvFilter {
        // It was read before.
        parse(&self.0).unwrap_or_else(|_| EnvFilter::new("info"))
    }
}

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map(|_| Self(text.to_owned())).map_err(|problem| {
            format!(
                "{problem}; use error, warn, info, debug, trace or off, or a filter like \
                 info,kana_store=debug"
            )
        })
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn parse(text: &str) -> Result<EnvFilter, String> {
    // For the library, a lone word that is no level is a target, and only that target is logged. So
    // a misspelt level would result in an empty log.
    let is_level = |part: &str| part.trim().parse::<LevelFilter>().is_ok();
    let is_word = |part: &&str| !part.contains(['=', '[']) && (part.is_empty() || !is_level(part));
    if let Some(word) = text.split(',').find(is_word) {
        return Err(format!("'{word:.64}' is not a level"));
    }
    EnvFilter::builder().parse(text).map_err(|error| error.to_string())
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
            assert!(right.parse::<LogFilter>().is_ok(), "{right}");
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
            assert!(wrong.parse::<LogFilter>().is_err(), "{wrong}");
        }
    }
}
