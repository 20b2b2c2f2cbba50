//! The writer: its queues and commits.

use super::format::{Kind, Page};
use super::number::{Counter, Histogram, Seconds};
use super::snapshot::Snapshot;

const COMMANDS: [(u64, &str); 13] = [
    (1, "1"),
    (2, "2"),
    (4, "4"),
    (8, "8"),
    (16, "16"),
    (32, "32"),
    (64, "64"),
    (128, "128"),
    (256, "256"),
    (512, "512"),
    (1024, "1024"),
    (2048, "2048"),
    (4096, "4096"),
];

/// How long commands waited in the queue.
pub static WAITS: Seconds = Seconds::of_seconds();
/// How long commits took.
pub static COMMITS: Seconds = Seconds::of_seconds();
/// How many commands were in a commit.
pub static BATCHES: Histogram<{ COMMANDS.len() }> = Histogram::new(&COMMANDS);

static RETRIES: [Counter; Retry::ALL.len()] = [const { Counter::new() }; Retry::ALL.len()];

/// Why a batch is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// The database was away.
    Connection,
    /// Another writer was faster.
    Conflict,
    /// Two writers waited for each other.
    Deadlock,
}

impl Retry {
    const ALL: [Self; 3] = [Self::Connection, Self::Conflict, Self::Deadlock];

    fn name(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Conflict => "conflict",
            Self::Deadlock => "deadlock",
        }
    }
}

/// Counts a batch that is tried again.
pub fn retried(reason: Retry) {
    RETRIES[reason as usize].count();
}

pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    page.family("kana_writer_queue_depth", Kind::Gauge, "What waits in a lane of the writer.");
    for (lane, depth) in snapshot.lanes.iter().enumerate() {
        page.sample(&[("lane", &lane.to_string())], depth);
    }
    page.family("kana_writer_queue_max", Kind::Gauge, "How much may wait in a lane of the writer.");
    for lane in 0..snapshot.lanes.len() {
        page.sample(&[("lane", &lane.to_string())], snapshot.lane_max);
    }
    page.family("kana_writer_wait_seconds", Kind::Histogram, "Time of a command in the queue.");
    WAITS.write(page, &[]);
    page.family("kana_writer_commit_duration_seconds", Kind::Histogram, "Time of a commit.");
    COMMITS.write(page, &[]);
    page.family("kana_writer_batch_commands", Kind::Histogram, "Commands in a commit.");
    BATCHES.write_values(page, &[]);
    let help = "Batches that were tried again, by the reason.";
    page.family("kana_writer_retries_total", Kind::Counter, help);
    for reason in Retry::ALL {
        page.sample(&[("reason", reason.name())], RETRIES[reason as usize].value());
    }
}
