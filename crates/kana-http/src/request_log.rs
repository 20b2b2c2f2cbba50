//! The line about a request in the log (contract: `operations.md`, "Logs"), its id, and its span.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode};
use kana_telemetry::metrics::http::{self, InFlight};
use kana_telemetry::operation::Operation;
use kana_telemetry::request::{Outcome, RequestRecord};
use kana_telemetry::{
    RequestId, Surface, TraceId, TraceParent, TraceState, failures, sampling, slow, spans,
};

use crate::activity::Activity;
use crate::per_second::PerSecond;

/// The header with a request's id, in the request and in its answer.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The header with the caller's trace (W3C Trace Context).
const TRACE_PARENT: HeaderName = HeaderName::from_static("traceparent");
/// The header with what the caller's tracing systems say of it.
const TRACE_STATE: HeaderName = HeaderName::from_static("tracestate");
/// How often it is reported how many requests have no line.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Which requests have a line in the log.
#[derive(Debug, Clone, Copy)]
pub struct RequestLogSettings {
    /// The part of the server that answers a path. Requests of [`Surface::Health`] have no line
    /// and no span.
    pub surface_of: fn(&str) -> Surface,
    /// The route of a path: the template that it fits, with a name in braces for each segment that varies. Only
    /// asked for spans.
    pub route_of: fn(&str) -> Option<&'static str>,
    /// Returns true if requests of a path may have a span. Only asked while tracing is on.
    pub is_traced: fn(&str) -> bool,
    /// A request that takes this long is logged as a warning.
    pub slow: Duration,
    /// How many lines a second there are about requests that went well or were refused; 0 for none. The
    /// rest is counted.
    pub lines_per_second: u32,
}

/// Logs requests.
#[derive(Debug)]
pub(crate) struct RequestLog {
    settings: RequestLogSettings,
    /// `http` or `https`.
    scheme: &'static str,
    lines: PerSecond,
}

impl RequestLog {
    pub(crate) fn new(settings: RequestLogSettings, is_https: bool) -> Arc<Self> {
        let lines = PerSecond::new(settings.lines_per_second, Instant::now());
        let scheme = if is_https { "https" } else { "http" };
        Arc::new(Self { settings, scheme, lines })
    }

    /// Notes that a request has begun: its head has been read.
    pub(crate) fn begin(self: &Arc<Self>, activity: &Arc<Activity>, path: &str) -> RequestWatch {
        let surface = (self.settings.surface_of)(path);
        RequestWatch {
            surface,
            _in_flight: InFlight::begin(surface),
            since: activity.take_head_began(),
            activity: Arc::clone(activity),
            log: Arc::clone(self),
        }
    }

    /// Notes a request whose head could not be read, the status and code that it is answered with, and the
    /// bytes of that answer's body.
    pub(crate) fn note_unread_head(
        &self,
        id: RequestId,
        status: StatusCode,
        code: &'static str,
        body_bytes: usize,
    ) {
        http::answered(Surface::Other, status.as_u16(), Duration::ZERO);
        let record = RequestRecord::new(id, None);
        record.set_error(code);
        self.write(&Ended {
            surface: Surface::Other,
            record: &record,
            status,
            outcome: Outcome::of_status(status.as_u16()),
            at: Instant::now(),
            duration: Duration::ZERO,
            bytes_in: 0,
            bytes_out: body_bytes as u64,
        });
    }

    /// Reports, once a second, how many requests and failures have no line. Never returns.
    pub(crate) async fn report_regularly(&self) {
        let report_requests = async {
            loop {
                tokio::time::sleep(REPORT_INTERVAL).await;
                let more = self.lines.take_held_back();
                if more > 0 && self.settings.lines_per_second > 0 {
                    tracing::info!(more, "requests without a line of their own");
                }
            }
        };
        tokio::join!(report_requests, failures::report_regularly());
    }

    /// Returns how serious a request is, if it is to have a line.
    fn level(&self, ended: &Ended<'_>) -> Option<tracing::Level> {
        let is_slow = ended.duration >= self.settings.slow;
        let (level, kind) = match ended.outcome {
            Outcome::Error => (tracing::Level::ERROR, "failed"),
            Outcome::Overloaded => (tracing::Level::WARN, "was not answered for overload"),
            _ if is_slow => (tracing::Level::WARN, "was slow"),
            Outcome::Ok | Outcome::Refused => {
                // Without a subscriber at this level, nothing need be counted.
                let is_written =
                    tracing::enabled!(tracing::Level::INFO) && self.lines.allows(ended.at);
                return is_written.then_some(tracing::Level::INFO);
            }
        };
        let (surface, code) = (ended.surface.name(), ended.record.code().unwrap_or_default());
        failures::is_written(format_args!("a request {kind}: {surface} {code}")).then_some(level)
    }

    fn write(&self, ended: &Ended<'_>) {
        let Some(level) = self.level(ended) else { return };
        let record = ended.record;
        let operations: Vec<&str> = record.operations().map(Operation::name).collect();
        let operations = (!operations.is_empty()).then(|| operations.join(","));
        macro_rules! write_at {
            ($level:expr) => {
                tracing::event!(
                    $level,
                    request_id = record.id.as_str(),
                    trace_id = record.trace_id.as_ref().map(TraceId::as_str),
                    surface = ended.surface.name(),
                    operations,
                    environment = record.environment().name(),
                    key_id = record.key_id(),
                    status = ended.status.as_u16(),
                    outcome = ended.outcome.name(),
                    code = record.code(),
                    duration_ms = slow::milliseconds(ended.duration),
                    bytes_in = ended.bytes_in,
                    bytes_out = ended.bytes_out,
                    "request"
                )
            };
        }
        match level {
            tracing::Level::ERROR => write_at!(tracing::Level::ERROR),
            tracing::Level::WARN => write_at!(tracing::Level::WARN),
            _ => write_at!(tracing::Level::INFO),
        }
    }
}

/// Returns the record of a request with these headers.
pub(crate) fn record(headers: &HeaderMap) -> RequestRecord {
    let id = headers.get(REQUEST_ID).and_then(|id| RequestId::of_caller(id.as_bytes()));
    let trace_id = trace_parent(headers).map(|parent| parent.context.trace_id);
    RequestRecord::new(id.unwrap_or_default(), trace_id)
}

fn trace_parent(headers: &HeaderMap) -> Option<TraceParent> {
    let parent = headers.get(TRACE_PARENT)?;
    // Of two, none is valid.
    let is_alone = headers.get_all(TRACE_PARENT).iter().nth(1).is_none();
    TraceParent::read(parent.as_bytes()).filter(|_| is_alone)
}

fn trace_state(headers: &HeaderMap) -> Option<TraceState> {
    TraceState::read(headers.get_all(TRACE_STATE).iter().map(HeaderValue::as_bytes))
}

/// Returns a method as spans have it; `None` for one that is not HTTP's.
fn method_name(method: &Method) -> Option<&'static str> {
    let known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.into_iter().find(|known| method == known)
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct RequestWatch {
    surface: Surface,
    _in_flight: InFlight,
    /// When the first byte of its head was read.
    since: Instant,
    activity: Arc<Activity>,
    log: Arc<RequestLog>,
}

impl RequestWatch {
    /// Has the request traced, if it is chosen. Only asked while tracing is on.
    #[cold]
    pub(crate) fn sample<B>(&self, request: &Request<B>, record: &mut RequestRecord) {
        let path = request.uri().path();
        if self.surface == Surface::Health || !(self.log.settings.is_traced)(path) {
            return;
        }
        let parent = trace_parent(request.headers());
        if let Some(mut trace) = sampling::sample(parent.as_ref()) {
            trace.state = parent.and_then(|_| trace_state(request.headers()));
            trace.method = method_name(request.method());
            trace.route = (self.log.settings.route_of)(path);
            record.set_trace(trace);
        }
    }
}

/// A request whose answer is being sent. It ends when this is dropped, which logs it.
#[derive(Debug)]
pub(crate) struct Answering {
    watch: RequestWatch,
    record: Option<RequestRecord>,
    status: StatusCode,
    /// Bytes of the answer's body that were handed to the connection.
    bytes_out: u64,
}

/// A request that has ended.
struct Ended<'a> {
    surface: Surface,
    record: &'a RequestRecord,
    status: StatusCode,
    outcome: Outcome,
    /// When it ended.
    at: Instant,
    duration: Duration,
    bytes_in: u64,
    bytes_out: u64,
}

impl Answering {
    pub(crate) fn new(
        watch: RequestWatch,
        record: Option<RequestRecord>,
        status: StatusCode,
    ) -> Self {
        Self { watch, record, status, bytes_out: 0 }
    }

    /// Notes that bytes of the answer's body were handed to the connection.
    pub(crate) fn note_sent(&mut self, bytes: usize) {
        self.bytes_out += bytes as u64;
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        let RequestWatch { surface, since, activity, log, .. } = &self.watch;
        let at = Instant::now();
        let duration = at.saturating_duration_since(*since);
        http::answered(*surface, self.status.as_u16(), duration);
        let Some(record) = &self.record else { return };
        if *surface == Surface::Health {
            return;
        }
        if record.trace().is_some() {
            spans::record_request(record, log.scheme, self.status.as_u16(), *since);
        }
        let of_status = Outcome::of_status(self.status.as_u16());
        log.write(&Ended {
            surface: *surface,
            record,
            status: self.status,
            outcome: record.outcome().map_or(of_status, |outcome| outcome.max(of_status)),
            at,
            duration,
            bytes_in: activity.body_read(),
            bytes_out: self.bytes_out,
        });
    }
}
