//! The spans of a batch (contract: `operations.md`, "Traces"). Its requests share its work, so each that is traced
//! has a `decide`; the commit is one, below the first of them and linked to all.

use std::collections::HashSet;

use kana_store::EnvironmentId;
use kana_telemetry::spans::{self, OpenSpan, Value};
use kana_telemetry::{SpanContext, SpanId};

use super::queue::Asked;

/// The traced requests of a batch, each once. Without any, it takes no memory.
pub(super) struct TracedRequests {
    requests: Vec<SpanContext>,
    commands: usize,
}

impl TracedRequests {
    pub(super) fn of(commands: &[(EnvironmentId, Vec<Asked>)]) -> Self {
        let count = commands.iter().map(|(_, commands)| commands.len()).sum();
        let mut requests: Vec<SpanContext> = Vec::new();
        let mut seen: HashSet<SpanId> = HashSet::new();
        let asked = commands.iter().flat_map(|(_, commands)| commands);
        for span in asked.filter_map(|asked| asked.span.as_deref()) {
            if seen.insert(span.span_id) {
                requests.push(*span);
            }
        }
        Self { requests, commands: count }
    }

    /// Runs the work up to the commit. What it asks of the database is below the first request's span.
    pub(super) async fn deciding<T, E>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let open = |request: &SpanContext| spans::begin_below("decide", Some(*request));
        let mut open: Vec<OpenSpan> = self.requests.iter().map(open).collect();
        let decided = spans::scope(open.first().and_then(OpenSpan::context), work).await;
        open.iter_mut().for_each(|span| span.set_failed(decided.is_err()));
        decided
    }

    /// Runs the commit.
    pub(super) async fn committing<T, E>(
        &self,
        commit: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let mut span = spans::begin_below("commit", self.requests.first().copied());
        span.link(&self.requests);
        let commands = i64::try_from(self.commands).unwrap_or(i64::MAX);
        span.set("kana.batch.commands", || Value::Number(commands));
        within(span, commit).await
    }
}

/// Runs a commit for the request that is being answered.
pub(super) async fn committing<T, E>(commit: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    within(spans::begin("commit"), commit).await
}

async fn within<T, E>(
    mut span: OpenSpan,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = spans::scope(span.context(), work).await;
    span.set_failed(done.is_err());
    done
}
