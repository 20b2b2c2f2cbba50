//! Metrics in the text formats of Prometheus (contract: `operations.md`, "Metrics").
//!
//! Each metric is a static of the module of its subject, so that whatever a number counts can count it
//! without knowing who reads it. Counting is an addition to an atomic: it takes no lock and no memory, and
//! labels are places in an array. [`text`] writes them all.

pub mod access;
pub mod cache;
pub mod connections;
pub mod database;
mod format;
pub mod http;
pub mod jobs;
pub mod log;
mod number;
pub mod operations;
mod process;
mod snapshot;
pub mod spans;
pub mod tls;
pub mod usage;
pub mod writer;

pub use self::format::Format;
use self::format::Page;
pub use self::number::{Counter, Gauge, Histogram, SECONDS, Seconds};
pub use self::snapshot::Snapshot;

/// Returns all metrics in this format.
#[must_use]
pub fn text(format: Format, snapshot: &Snapshot) -> String {
    let mut page = Page::new(format);
    http::write(&mut page, snapshot);
    connections::write(&mut page);
    operations::write(&mut page);
    usage::write(&mut page);
    writer::write(&mut page, snapshot);
    database::write(&mut page);
    cache::write(&mut page);
    access::write(&mut page);
    tls::write(&mut page);
    jobs::write(&mut page);
    log::write(&mut page);
    spans::write(&mut page);
    process::write(&mut page);
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_from_the_start_and_there_is_not_too_much() {
        let page = text(Format::Text, &Snapshot { lanes: vec![0; 4], ..Snapshot::default() });
        let samples = page.lines().filter(|line| !line.starts_with('#')).count();
        // As many operations more as the schemas have fields come to 32 series each.
        assert!((300..1000).contains(&samples), "{samples}");
        for line in [
            "kana_http_requests_in_flight{surface=\"admin\"} 0",
            "kana_operations_total{operation=\"events\",environment=\"live\",outcome=\"ok\"} 0",
            "kana_connections_closed_total{reason=\"idle\"} 0",
            "# TYPE kana_writer_batch_commands histogram",
            "kana_writer_queue_depth{lane=\"3\"} 0",
        ] {
            assert!(page.lines().any(|written| written == line), "{line} is missing in {page}");
        }
        assert!(!page.contains("# EOF"));
    }

    #[test]
    fn open_metrics_differ_in_names_of_counters_bounds_and_the_end() {
        let page = text(Format::OpenMetrics, &Snapshot::default());
        assert!(page.ends_with("\n# EOF\n"));
        assert!(page.contains("# TYPE kana_operations counter\n"), "{page}");
        assert!(page.contains("\nkana_operations_total{"));
        assert!(page.contains("le=\"1.0\"") && !page.contains("le=\"1\""));
    }
}
