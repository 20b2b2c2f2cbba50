use std::hash::Hash;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use kana_graphql::ErrorBody;
use kana_telemetry::metrics::access::{self, Limited};
use quick_cache::sync::Cache;
use tokio::time::Instant;

use super::bucket::{Bucket, Rate};
use crate::http_error::HttpError;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");

/// One bucket for each of those whose requests are counted. Of more than it remembers, those that asked
/// least lately begin with a full one.
pub(super) struct Limiter<K> {
    rate: Rate,
    /// Who is limited, as the headers name the policy: `key` or `client`.
    policy: &'static str,
    counted_as: Limited,
    buckets: Cache<K, Arc<Bucket>>,
    begun_at: Instant,
}

/// Whether a request may go on, and what its answer says of the limit.
pub(super) struct Admission {
    /// Seconds after which the next request may, where this one may not.
    pub(super) retry_in_s: Option<u64>,
    policy: HeaderValue,
    left: HeaderValue,
}

impl<K: Eq + Hash + Clone> Limiter<K> {
    pub(super) fn new(rate: Rate, counted_as: Limited, remembered_max: usize) -> Self {
        let (policy, begun_at) = (counted_as.name(), Instant::now());
        Self { rate, policy, counted_as, buckets: Cache::new(remembered_max), begun_at }
    }

    /// Counts a request.
    pub(super) fn admit(&self, who: &K) -> Admission {
        let new = || Ok::<_, std::convert::Infallible>(Arc::default());
        let Ok(bucket) = self.buckets.get_or_insert_with(who, new);
        let now_ns = u64::try_from(self.begun_at.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let (left, full_in_s, retry_in_s) = match bucket.take(self.rate, now_ns) {
            Ok(left) => (left.requests, left.full_in_s, None),
            Err(empty) => {
                access::limited(self.counted_as);
                (0, empty.full_in_s, Some(empty.retry_in_s))
            }
        };
        let (name, burst, window) = (self.policy, self.rate.burst, self.rate.window_s());
        Admission {
            retry_in_s,
            policy: value(&format!("\"{name}\";q={burst};w={window}")),
            left: value(&format!("\"{name}\";r={left};t={full_in_s}")),
        }
    }

    /// Says why a request is refused.
    pub(super) fn refusal(&self) -> HttpError {
        let Rate { per_second, burst } = self.rate;
        let whom = if self.policy == "key" { "this key" } else { "this user" };
        let message = format!(
            "Too many requests: {whom} may send {per_second} a second, and {burst} at once. Nothing \
             was recorded; try again after the seconds in Retry-After"
        );
        let body = ErrorBody { code: "RATE_LIMITED", name: "RateLimitError", message };
        HttpError { status: StatusCode::TOO_MANY_REQUESTS, body }
    }
}

impl Admission {
    /// Adds what the answer says of the limit.
    pub(super) fn add_headers(self, response: &mut Response) {
        let headers: &mut HeaderMap = response.headers_mut();
        headers.insert(POLICY, self.policy);
        headers.insert(LEFT, self.left);
        if let Some(seconds) = self.retry_in_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }
}

/// Makes a header of text that has no other characters than it may have.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
