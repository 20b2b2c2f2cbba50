//! The settings of our sessions, and the check that the server has them.

use std::collections::HashMap;
use std::time::Duration;

use super::settings::Pooler;
use crate::deadlines::Deadlines;

/// How sessions get their settings.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) pooler: Pooler,
    limits: Deadlines,
    /// Gives the settings to the transaction that is open. Empty, or ends with `; `.
    pub(super) set_local: String,
    /// Begins a transaction that reads from one snapshot.
    pub(super) begin_read: String,
    /// Begins a transaction that writes.
    pub(super) begin_write: String,
}

impl Session {
    pub(super) fn new(pooler: Pooler, limits: Deadlines) -> Self {
        let set_local = match pooler {
            Pooler::None => String::new(),
            Pooler::Transaction => settings(limits)
                .iter()
                .map(|(name, value)| format!("SET LOCAL {name} = '{value}'; "))
                .collect(),
        };
        let begin_read = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {set_local}");
        let begin_write = format!("BEGIN ISOLATION LEVEL READ COMMITTED; {set_local}");
        Self { pooler, limits, set_local, begin_read, begin_write }
    }

    /// Returns the options with which a connection begins, if it can have some.
    pub(super) fn options(&self) -> Option<String> {
        (self.pooler == Pooler::None).then(|| options(self.limits))
    }

    /// Returns the question for the settings that promises depend on, as a transaction has them.
    pub(super) fn read_back(&self) -> String {
        match self.pooler {
            Pooler::None => READ_BACK.to_owned(),
            Pooler::Transaction => format!("{}{READ_BACK}; COMMIT", self.begin_write),
        }
    }
}

/// Reads back the settings that promises depend on.
const READ_BACK: &str = "SELECT name, setting FROM pg_settings WHERE name IN (
    'search_path', 'synchronous_commit', 'standard_conforming_strings', 'lock_timeout',
    'statement_timeout', 'idle_in_transaction_session_timeout', 'server_encoding')";

/// Returns the settings of each of our sessions, with their values.
///
/// All tables are in a schema of their own, since the database may have others. A commit waits until
/// it is durable, whatever the server's default is.
///
/// Every wait has a limit: for a lock, for a statement, and for a node that froze in the middle of
/// a transaction, which the server then ends, since others wait for its locks.
///
/// Each of our statements finds its rows by an index. So the planner need not look at values
/// (`force_generic_plan`), or choose plans that pay only while a table is small: the cost stays the same
/// as tables grow.
fn settings(limits: Deadlines) -> Vec<(&'static str, String)> {
    let Deadlines { lock, statement, idle, .. } = limits;
    let [lock, statement, idle] =
        [lock, statement, idle].map(|limit| limit.as_millis().to_string());
    let fixed = |(name, value): (&'static str, &str)| (name, value.to_owned());
    let of_promises = [("search_path", "kana"), ("synchronous_commit", "on")];
    let of_plans = [
        ("standard_conforming_strings", "on"),
        ("plan_cache_mode", "force_generic_plan"),
        ("jit", "off"),
        ("enable_seqscan", "off"),
        ("enable_bitmapscan", "off"),
        ("enable_hashjoin", "off"),
        ("enable_mergejoin", "off"),
    ];
    let limits = [
        ("lock_timeout", lock),
        ("statement_timeout", statement),
        ("idle_in_transaction_session_timeout", idle),
    ];
    of_promises.map(fixed).into_iter().chain(limits).chain(of_plans.map(fixed)).collect()
}

/// Settings that only a whole session can have.
const OF_SESSIONS: &[(&str, &str)] = &[
    ("default_transaction_isolation", "read\\ committed"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];

/// Returns the settings in the form in which a connection begins with them.
fn options(limits: Deadlines) -> String {
    let settings = settings(limits);
    let settings = settings.iter().map(|(name, value)| (*name, value.as_str()));
    let all = settings.chain(OF_SESSIONS.iter().copied());
    all.map(|(name, value)| format!("-c {name}={value}")).collect::<Vec<_>>().join(" ")
}

/// Describes the first setting that differs from what promises need, or returns `None`. The URL may
/// shorten a limit, but not lengthen one.
pub(super) fn difference(found: &HashMap<String, String>, limits: Deadlines) -> Option<String> {
    let value = |name: &str| found.get(name).map_or("unknown", String::as_str);
    let differs = |name: &str, needed: &str| {
        Some(format!("{name} is '{}', and must be {needed}", value(name)))
    };
    if value("search_path") != "kana" {
        return differs("search_path", "kana");
    }
    if matches!(value("synchronous_commit"), "off" | "unknown") {
        return differs("synchronous_commit", "on: what is acknowledged could be lost");
    }
    if value("standard_conforming_strings") != "on" {
        return differs("standard_conforming_strings", "on");
    }
    if value("server_encoding") != "UTF8" {
        return differs("server_encoding", "UTF8: create the database with ENCODING 'UTF8'");
    }
    for (name, limit) in [
        ("lock_timeout", limits.lock),
        ("statement_timeout", limits.statement),
        ("idle_in_transaction_session_timeout", limits.idle),
    ] {
        let milliseconds = value(name).parse().unwrap_or(0);
        if !(1..=limit.as_millis()).contains(&milliseconds) {
            return differs(name, &format!("from 1 to {} ms", Duration::as_millis(&limit)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_asked() -> HashMap<String, String> {
        let encoding = ("server_encoding", "UTF8".to_owned());
        let settings = settings(Deadlines::DEFAULT).into_iter().chain([encoding]);
        settings.map(|(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn a_session_begins_with_its_settings() {
        let options = options(Deadlines::DEFAULT);
        assert!(options.starts_with("-c search_path=kana -c synchronous_commit=on "), "{options}");
        assert!(options.contains("-c lock_timeout=5000 -c statement_timeout=7000 "), "{options}");
        assert!(options.contains("default_transaction_isolation=read\\ committed "), "{options}");
    }

    #[test]
    fn a_transaction_begins_with_the_settings_behind_a_pooler() {
        let direct = Session::new(Pooler::None, Deadlines::DEFAULT);
        assert_eq!(direct.begin_write, "BEGIN ISOLATION LEVEL READ COMMITTED; ");
        assert!(direct.options().is_some() && direct.set_local.is_empty());
        let pooled = Session::new(Pooler::Transaction, Deadlines::DEFAULT);
        assert_eq!(pooled.options(), None);
        for begin in [&pooled.begin_read, &pooled.begin_write] {
            assert!(begin.contains("; SET LOCAL search_path = 'kana'; "), "{begin}");
            assert!(begin.contains("; SET LOCAL lock_timeout = '5000'; "), "{begin}");
        }
    }

    #[test]
    fn a_setting_that_differs_is_named() {
        assert_eq!(difference(&as_asked(), Deadlines::DEFAULT), None);
        for (name, value) in [
            ("search_path", "\"$user\", public"),
            ("search_path", ""),
            ("synchronous_commit", "off"),
            ("standard_conforming_strings", "off"),
            ("server_encoding", "LATIN1"),
            ("lock_timeout", "0"),
            ("lock_timeout", "5001"),
            ("statement_timeout", "0"),
            ("statement_timeout", "60000"),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_in_transaction_session_timeout", "5s"),
        ] {
            let mut found = as_asked();
            found.insert(name.to_owned(), value.to_owned());
            let difference = difference(&found, Deadlines::DEFAULT).unwrap();
            assert!(difference.starts_with(&format!("{name} is '{value}'")), "{difference}");
        }
        for name in READ_BACK.split('\'').skip(1).step_by(2) {
            let mut found = as_asked();
            found.remove(name).unwrap();
            assert!(difference(&found, Deadlines::DEFAULT).unwrap().starts_with(name), "{name}");
        }
    }

    #[test]
    fn what_promises_allow_is_no_difference() {
        for (name, value) in [
            ("synchronous_commit", "remote_apply"),
            ("synchronous_commit", "local"),
            ("lock_timeout", "1000"),
            ("statement_timeout", "1"),
        ] {
            let mut found = as_asked();
            found.insert(name.to_owned(), value.to_owned());
            assert_eq!(difference(&found, Deadlines::DEFAULT), None, "{name} {value}");
        }
    }
}
