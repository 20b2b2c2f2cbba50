//! How many requests a private key, and a user of the Client API, may send to this server (contract:
//! `operations.md`, "Limits"). A surface without a limit has no layer, and pays nothing.

mod bucket;
mod limiter;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use kana_core::id::UserId;
use kana_service::{EnvironmentKind, Kana};
use kana_telemetry::metrics::access::Limited;

use self::bucket::Rate;
use self::limiter::{Admission, Limiter};
use crate::authorisation::{client_user, uncounted};
use crate::http_error::HttpError;

/// The most keys and users whose requests are counted at a time.
const KEYS_MAX: usize = 10_000;
const USERS_MAX: usize = 100_000;

/// How many requests each may send. A limit of 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RateLimits {
    /// Requests per second of each private key.
    pub key: u32,
    /// How many requests of a private key may come at once; `None` for twice its limit.
    pub key_burst: Option<u32>,
    /// Requests per second of each user of the Client API.
    pub client: u32,
}

/// Writes the refusal of a request with these headers.
type Refuse = fn(&HeaderMap, HttpError) -> Response;

/// The limits of a server, for all its surfaces together.
#[derive(Clone, Default)]
pub(crate) struct RateLimiting {
    keys: Option<Arc<Limiter<i64>>>,
    users: Option<Arc<Limiter<(EnvironmentKind, UserId)>>>,
}

impl RateLimiting {
    pub(crate) fn new(limits: RateLimits) -> Self {
        let RateLimits { key, key_burst, client } = limits;
        let rate = |per_second: u32, burst: Option<u32>| {
            let burst = burst.unwrap_or(per_second.saturating_mul(2)).max(1);
            (per_second > 0).then_some(Rate { per_second, burst })
        };
        let keys = rate(key, key_burst).map(|rate| Limiter::new(rate, Limited::Key, KEYS_MAX));
        let users = rate(client, None).map(|rate| Limiter::new(rate, Limited::Client, USERS_MAX));
        Self { keys: keys.map(Arc::new), users: users.map(Arc::new) }
    }

    /// Limits the routes of a surface for private keys.
    pub(crate) fn of_keys(&self, kana: &Arc<Kana>, refuse: Refuse, routes: Router) -> Router {
        let Some(limiter) = &self.keys else { return routes };
        let limit = Limit { kana: Arc::clone(kana), limiter: Arc::clone(limiter), refuse };
        routes.layer(from_fn_with_state(Arc::new(limit), limit_key))
    }

    /// Limits the routes of the Client API for users.
    pub(crate) fn of_users(&self, kana: &Arc<Kana>, refuse: Refuse, routes: Router) -> Router {
        let Some(limiter) = &self.users else { return routes };
        let limit = Limit { kana: Arc::clone(kana), limiter: Arc::clone(limiter), refuse };
        routes.layer(from_fn_with_state(Arc::new(limit), limit_user))
    }
}

/// What a layer holds.
struct Limit<K> {
    kana: Arc<Kana>,
    limiter: Arc<Limiter<K>>,
    refuse: Refuse,
}

/// Who has no valid key is refused by the surface itself.
async fn limit_key(State(limit): State<Arc<Limit<i64>>>, request: Request, next: Next) -> Response {
    let environment = uncounted(&limit.kana, request.headers()).await.ok();
    let id = environment.and_then(|environment| environment.key_id());
    let admission = id.map(|id| limit.limiter.admit(&id));
    answer(&limit, admission, request, next).await
}

async fn limit_user(
    State(limit): State<Arc<Limit<(EnvironmentKind, UserId)>>>,
    request: Request,
    next: Next,
) -> Response {
    let user = client_user(&limit.kana, request.headers()).await.ok();
    let admission = user.map(|user| limit.limiter.admit(&(user.kind(), user.id().clone())));
    answer(&limit, admission, request, next).await
}

async fn answer<K: Eq + std::hash::Hash + Clone>(
    limit: &Limit<K>,
    admission: Option<Admission>,
    request: Request,
    next: Next,
) -> Response {
    let Some(admission) = admission else { return next.run(request).await };
    let mut response = match admission.retry_in_s {
        Some(_) => (limit.refuse)(request.headers(), limit.limiter.refusal()),
        None => next.run(request).await,
    };
    admission.add_headers(&mut response);
    response
}
