//! The database, and what is built here.

use std::sync::OnceLock;

use super::format::{Kind, Page};
use super::number::{Counter, Gauge, Seconds};

/// Whether it answers questions and accepts changes, as was last found out: 1 or 0.
pub static UP: Gauge = Gauge::new(1);
/// How long checkpoints of the embedded engine took.
pub static CHECKPOINTS: Seconds = Seconds::of_seconds();
/// How long a connection to a shared database was waited for.
pub static WAITS: Seconds = Seconds::of_seconds();
/// The sizes of the embedded database's data and of its logs, and what is left on its file system, in
/// bytes.
pub static DATA_BYTES: Gauge = Gauge::new(0);
/// See [`DATA_BYTES`].
pub static LOG_BYTES: Gauge = Gauge::new(0);
/// See [`DATA_BYTES`].
pub static FREE_BYTES: Gauge = Gauge::new(0);
/// When the last backup of the embedded database ended well, in seconds since 1970; 0 for never.
pub static LAST_BACKUP: Gauge = Gauge::new(0);
/// Connections to a shared database that wait for work, those at work, and how many there may be.
pub static CONNECTIONS_IDLE: Gauge = Gauge::new(0);
/// See [`CONNECTIONS_IDLE`].
pub static CONNECTIONS_BUSY: Gauge = Gauge::new(0);
/// See [`CONNECTIONS_IDLE`].
pub static CONNECTIONS_MAX: Gauge = Gauge::new(0);

/// The version of the database's schema; 0 before it is open.
pub static SCHEMA_VERSION: Gauge = Gauge::new(0);

static BUILD: OnceLock<Build> = OnceLock::new();
static ERRORS: [Counter; Failure::ALL.len()] = [const { Counter::new() }; Failure::ALL.len()];

/// What runs.
#[derive(Debug, Clone)]
pub struct Build {
    /// The version of the program.
    pub version: &'static str,
    /// The commit that it was built from.
    pub commit: &'static str,
    /// `sqlite` or `postgres`.
    pub engine: &'static str,
}

/// The kind of a failure of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// It cannot be reached.
    Unavailable,
    /// It did not answer in time.
    Timeout,
    /// The disk is full.
    Full,
    /// A page or a table is damaged.
    Damaged,
    /// Something is not permitted.
    Permission,
    /// Something else.
    Other,
}

impl Failure {
    const ALL: [Self; 6] = [
        Self::Unavailable,
        Self::Timeout,
        Self::Full,
        Self::Damaged,
        Self::Permission,
        Self::Other,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Damaged => "damaged",
            Self::Permission => "permission",
            Self::Other => "other",
        }
    }
}

/// Counts a call of the database that failed.
pub fn failed(kind: Failure) {
    ERRORS[kind as usize].count();
}

/// Says what runs, once.
pub fn set_build(build: Build) {
    let _ = BUILD.set(build);
}

pub(super) fn write(page: &mut Page) {
    let build = BUILD.get();
    if let Some(Build { version, commit, engine }) = build {
        page.family("kana_build_info", Kind::Gauge, "What runs; always 1.");
        page.sample(&[("version", version), ("commit", commit), ("engine", engine)], 1);
    }
    page.family("kana_schema_version", Kind::Gauge, "The version of the database's schema.");
    page.sample(&[], SCHEMA_VERSION.value());
    let help = "1 if the database last answered questions and accepted changes, else 0.";
    page.family("kana_database_up", Kind::Gauge, help);
    page.sample(&[], UP.value());
    page.family("kana_database_errors_total", Kind::Counter, "Calls of the database that failed.");
    for kind in Failure::ALL {
        page.sample(&[("kind", kind.name())], ERRORS[kind as usize].value());
    }
    match build.map(|build| build.engine) {
        Some("postgres") => write_shared(page),
        _ => write_embedded(page),
    }
}

fn write_shared(page: &mut Page) {
    page.family("kana_database_connections", Kind::Gauge, "Connections to the database.");
    page.sample(&[("state", "idle")], CONNECTIONS_IDLE.value());
    page.sample(&[("state", "busy")], CONNECTIONS_BUSY.value());
    let help = "How many connections to the database there may be.";
    page.family("kana_database_connections_max", Kind::Gauge, help);
    page.sample(&[], CONNECTIONS_MAX.value());
    let help = "Time until a connection to the database was free.";
    page.family("kana_database_wait_seconds", Kind::Histogram, help);
    WAITS.write(page, &[]);
}

fn write_embedded(page: &mut Page) {
    page.family("kana_database_size_bytes", Kind::Gauge, "The size of the database's files.");
    page.sample(&[("part", "data")], DATA_BYTES.value());
    page.sample(&[("part", "log")], LOG_BYTES.value());
    let help = "What is left on the file system of the data directory.";
    page.family("kana_database_free_bytes", Kind::Gauge, help);
    page.sample(&[], FREE_BYTES.value());
    let help = "Time to write the log of commits to the database's file.";
    page.family("kana_database_checkpoint_duration_seconds", Kind::Histogram, help);
    CHECKPOINTS.write(page, &[]);
    let help = "When the last kana backup ended well, in Unix time; 0 = never.";
    page.family("kana_last_backup_seconds", Kind::Gauge, help);
    page.sample(&[], LAST_BACKUP.value());
}
