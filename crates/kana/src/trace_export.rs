//! Exports spans to a collector (contract: `operations.md`, "Traces").
//!
//! A thread takes what requests have recorded, in batches, and sends it. It may hang as long as it likes:
//! meanwhile the queue fills to its bound, and what finds no room is dropped and counted.

mod collector;
mod messages;
mod surroundings;

use std::time::Duration;

use kana_telemetry::{sampling, spans};
use tokio::sync::oneshot;
use tokio::time::timeout;

use self::collector::Collector;
use self::surroundings::Surroundings;
use crate::settings::{TraceSettings, variable};

/// The most spans of a request to the collector.
const BATCH_MAX: usize = 512;
/// How long a span waits for others to be sent with it.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// How long the process waits at its end for the last spans to be sent.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// The thread that exports spans.
pub(crate) struct TraceExport {
    ended: oneshot::Receiver<()>,
}

impl TraceExport {
    /// Starts tracing and exporting, if the settings name a collector.
    pub(crate) fn start(settings: &TraceSettings) -> std::io::Result<Option<Self>> {
        let Some(endpoint) = &settings.otlp_endpoint else { return Ok(None) };
        let surroundings = Surroundings::read(&variable::read_text);
        let collector = Collector::new(endpoint, surroundings);
        let (ends, ended) = oneshot::channel();
        std::thread::Builder::new().name("kana-traces".to_owned()).spawn(move || {
            export(collector);
            let _ = ends.send(());
        })?;
        sampling::turn_on(settings.trace_ratio.value());
        Ok(Some(Self { ended }))
    }

    /// Waits until what was recorded is sent, for [`FLUSH_TIME`] at most.
    pub(crate) async fn finish(self) {
        spans::stop();
        let _ = timeout(FLUSH_TIME, self.ended).await;
    }
}

fn export(mut collector: Collector) {
    while let Some(taken) = spans::take(BATCH_MAX, GATHER_TIME) {
        if !taken.spans().is_empty() {
            collector.export(taken.spans());
        }
        collector.report_dropped(false);
    }
    collector.report_dropped(true);
}
