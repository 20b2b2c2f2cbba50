//! Housekeeping, and the audit log.

use super::format::{Kind, Page};
use super::number::{Counter, Gauge};

/// The jobs without which tables grow.
const TASKS: [&str; 6] = ["replays", "events", "partitions", "changes", "audit", "counters"];
const AUDIT_KINDS: [&str; 7] =
    ["feature", "package", "key", "setting", "configuration", "user", "person"];
/// A task that does not run on this engine.
const ABSENT: i64 = -1;

static LAST_SUCCESS: [Gauge; TASKS.len()] = [const { Gauge::new(ABSENT) }; TASKS.len()];
static AUDIT_ENTRIES: [Counter; AUDIT_KINDS.len()] = [const { Counter::new() }; AUDIT_KINDS.len()];

/// Notes that a kind of job exists. Those that are no housekeeping are not counted.
pub fn exists(kind: &str) {
    if let Some(gauge) = task(kind).filter(|gauge| gauge.value() == ABSENT) {
        gauge.set(0);
    }
}

/// Notes that a job has succeeded, at this Unix time in seconds.
pub fn succeeded(kind: &str, at: i64) {
    if let Some(gauge) = task(kind) {
        gauge.set(at);
    }
}

fn task(kind: &str) -> Option<&'static Gauge> {
    LAST_SUCCESS.get(TASKS.iter().position(|task| *task == kind)?)
}

/// Counts an entry of the audit log of this kind.
pub fn audited(kind: &str) {
    let place = AUDIT_KINDS.iter().position(|known| *known == kind);
    if let Some(counter) = place.and_then(|place| AUDIT_ENTRIES.get(place)) {
        counter.count();
    }
}

pub(super) fn write(page: &mut Page) {
    let help = "When a task last succeeded on this node, in Unix time; 0 is not yet.";
    page.family("kana_housekeeping_last_success_seconds", Kind::Gauge, help);
    for (task, gauge) in TASKS.into_iter().zip(&LAST_SUCCESS) {
        if gauge.value() != ABSENT {
            page.sample(&[("task", task)], gauge.value());
        }
    }
    page.family("kana_audit_entries_total", Kind::Counter, "Entries of the audit log.");
    for (kind, counter) in AUDIT_KINDS.into_iter().zip(&AUDIT_ENTRIES) {
        page.sample(&[("kind", kind)], counter.value());
    }
}
