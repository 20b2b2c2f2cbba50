//! The collector, and what is done when it does not take what it is sent.

use std::time::{Duration, Instant};

use kana_telemetry::metrics::spans::{DROPPED, EXPORTED};
use kana_telemetry::spans::{self, Span};
use ureq::Agent;
use ureq::http::{HeaderName, HeaderValue, StatusCode, header};
use ureq::tls::{RootCerts, TlsConfig};

use super::messages;
use super::surroundings::Surroundings;
use crate::settings::{OtlpEndpoint, without_passwords};

/// The time limit of a request to the collector.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often spans are sent that the collector asks for again, or that did not reach it.
const TRIES_MAX: u32 = 5;
/// The pause before the second try. Each further one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);
/// The longest pause, whatever the collector asks for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// The most that is read of an answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 64 * 1024;
/// How often it is logged at most that spans were dropped.
const LOG_INTERVAL: Duration = Duration::from_secs(60);

/// The collector that spans are sent to.
pub(super) struct Collector {
    agent: Agent,
    url: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    resource: Vec<(String, String)>,
    lost: Lost,
}

/// Spans that were dropped since that was last logged.
#[derive(Debug, Default)]
struct Lost {
    logged_at: Option<Instant>,
    /// Spans that the collector did not take.
    unsent: u64,
    /// Why it did not take the last of them.
    why: Option<String>,
    /// Spans that found no room in the queue.
    without_room: u64,
}

/// What became of a request.
enum Sent {
    /// The collector took all but so many spans.
    Taken { rejected: u64 },
    /// It may take them later, after a pause that it may ask for.
    Later { why: String, after: Option<Duration> },
    /// It will never take them.
    Refused { why: String },
}

impl Collector {
    pub(super) fn new(endpoint: &OtlpEndpoint, surroundings: Surroundings) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            // Headers must not go to another server.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(PATIENCE))
            .user_agent(concat!("kana/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build();
        let Surroundings { headers, resource } = surroundings;
        Self {
            agent: config.into(),
            url: endpoint.reveal(),
            headers,
            resource,
            lost: Lost::default(),
        }
    }

    /// Sends spans until the collector has them, does not want them, or has not taken them for too often.
    pub(super) fn export(&mut self, spans: &[Span]) {
        let (body, count) = (messages::request(&self.resource, spans), spans.len() as u64);
        let mut pause = PAUSE;
        let mut tries_left = TRIES_MAX;
        let why = loop {
            tries_left -= 1;
            match self.send(&body) {
                Sent::Taken { rejected } => {
                    let rejected = rejected.min(count);
                    EXPORTED.add(count - rejected);
                    if rejected > 0 {
                        self.note_dropped(rejected, "the collector rejected some of them");
                    }
                    return;
                }
                Sent::Refused { why } => break why,
                Sent::Later { why, .. } if tries_left == 0 => break why,
                Sent::Later { why, after } => {
                    if spans::wait_for_stop(after.unwrap_or_else(|| about(pause)).min(PAUSE_MAX)) {
                        break why;
                    }
                    pause *= 2;
                }
            }
        };
        self.note_dropped(count, &why);
    }

    fn send(&self, body: &[u8]) -> Sent {
        let mut request = self.agent.post(&self.url);
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.header(header::CONTENT_TYPE, "application/x-protobuf");
        let mut answer = match request.send(body) {
            Ok(answer) => answer,
            Err(error) => {
                let why = without_passwords(&error.to_string(), [self.url.as_str()]);
                return Sent::Later { why, after: None };
            }
        };
        let status = answer.status();
        if status.is_success() {
            let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
            return Sent::Taken { rejected: body.map_or(0, |body| messages::rejected(&body)) };
        }
        let why = format!("the collector answered {}", status.as_u16());
        let may_pass = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS
                | StatusCode::BAD_GATEWAY
                | StatusCode::SERVICE_UNAVAILABLE
                | StatusCode::GATEWAY_TIMEOUT
        );
        if !may_pass {
            return Sent::Refused { why };
        }
        let after = answer.headers().get(header::RETRY_AFTER).and_then(seconds);
        Sent::Later { why, after }
    }

    fn note_dropped(&mut self, spans: u64, why: &str) {
        DROPPED.add(spans);
        self.lost.unsent += spans;
        self.lost.why = Some(why.to_owned());
    }

    /// Logs how many spans were dropped, and why, at most once in [`LOG_INTERVAL`] unless no more are to come.
    pub(super) fn report_dropped(&mut self, is_last: bool) {
        self.lost.without_room += spans::take_without_room();
        let Lost { logged_at, unsent, without_room, .. } = self.lost;
        let is_due = is_last || logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if unsent + without_room == 0 || !is_due {
            return;
        }
        let why = self.lost.why.take();
        let why = why.as_deref().unwrap_or("they came faster than the collector took them");
        self.lost = Lost { logged_at: Some(Instant::now()), ..Lost::default() };
        tracing::warn!(
            spans = unsent + without_room,
            without_room,
            why,
            "spans of traces were dropped: they could not be exported"
        );
    }
}

/// Returns a pause from half to one and a half as long, so that many servers do not come back at once.
fn about(pause: Duration) -> Duration {
    pause / 2 + pause.saturating_mul(fastrand::u32(..1000)) / 1000
}

/// Reads `Retry-After` in seconds. Its other form, a date, is as if it were not there.
fn seconds(value: &HeaderValue) -> Option<Duration> {
    value.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}
