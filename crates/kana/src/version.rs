//! What this build is (contract: `operations.md`, "Upgrade and downgrade").

use std::ops::RangeInclusive;

use kana_store::{PostgresStore, SqliteStore};
use serde_json::{Value, json};

/// The release.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// The commit that it was built from, its first ten digits, or `unknown`.
pub(crate) const COMMIT: &str = env!("KANA_COMMIT");
/// The day of the commit, or `unknown`.
const DATE: &str = env!("KANA_DATE");
/// All three, for people: `0.1.0 (1a2b3c4d5e, 2026-11-29)`.
pub(crate) const FULL_VERSION: &str =
    concat!(env!("CARGO_PKG_VERSION"), " (", env!("KANA_COMMIT"), ", ", env!("KANA_DATE"), ")");

/// Returns the line of JSON that `kana --version --json` prints.
pub(crate) fn as_json() -> String {
    let answer = json!({
        "version": VERSION,
        "commit": COMMIT,
        "date": DATE,
        "engines": {
            "sqlite": {
                "version": SqliteStore::engine_version(),
                "schema": schema(&SqliteStore::SCHEMA_VERSIONS),
            },
            "postgres": { "schema": schema(&PostgresStore::SCHEMA_VERSIONS) },
        },
    });
    format!("{answer}\n")
}

fn schema(versions: &RangeInclusive<usize>) -> Value {
    json!({ "oldest": versions.start(), "newest": versions.end() })
}
