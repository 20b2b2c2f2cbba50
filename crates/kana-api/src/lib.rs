//! The HTTP surfaces of Kana, a module each, and what they share.
//!
//! Surfaces hold no rule: they read what was asked, ask the [`Environment`] that the key opens,
//! and write the answer as the contract fixes it.
//!
//! [`Environment`]: kana_service::Environment

pub mod admin;
mod authorisation;
mod cli;
pub mod client;
mod counter;
mod error;
mod events;
mod graphql;
mod health;
mod http_error;
mod metrics;
mod rate_limit;
mod reason_code;
mod scalars;
pub mod starting;
mod surface;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use kana_graphql::AnswerBudget;
use kana_http::body::BodyMemory;
use kana_service::Kana;

use self::rate_limit::RateLimiting;
pub use self::rate_limit::RateLimits;
pub use surface::{ROUTES, surface_of};

/// Operator settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The web pages that may call the Client API.
    pub client_origins: client::AllowedOrigins,
    /// The limit on the memory of all request bodies together, in bytes.
    pub body_memory_bytes: usize,
    /// How many requests a key and a user of the Client API may send.
    pub rate_limits: RateLimits,
    /// Whether `/metrics` is among the routes. Otherwise it is only among [`operators_router`]'s.
    pub has_metrics: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_origins: client::AllowedOrigins::default(),
            body_memory_bytes: 256 * 1024 * 1024,
            rate_limits: RateLimits::default(),
            has_metrics: true,
        }
    }
}

/// Every route of the server, with the settings that most need.
pub fn router(kana: &Arc<Kana>) -> Router {
    router_with(kana, Settings::default())
}

/// Every route of the server (contract: `server.md`).
pub fn router_with(kana: &Arc<Kana>, settings: Settings) -> Router {
    let body_memory = BodyMemory::new(settings.body_memory_bytes);
    let answers = AnswerBudget::new();
    let limits = RateLimiting::new(settings.rate_limits);
    let operators = if settings.has_metrics { operators_router(kana) } else { health_router(kana) };
    operators
        .merge(admin::router(kana, &body_memory, &answers, &limits))
        .merge(client::router(kana, &body_memory, &answers, &limits, settings.client_origins))
        .merge(events::router(kana, &body_memory, &limits))
        .merge(cli::router(kana, &body_memory, &limits))
}

/// The routes for operators alone: `/metrics`, `/healthz` and `/readyz` (contract: `operations.md`).
pub fn operators_router(kana: &Arc<Kana>) -> Router {
    let metrics = Router::new().route("/metrics", get(metrics::all)).with_state(Arc::clone(kana));
    health_router(kana).merge(metrics)
}

fn health_router(kana: &Arc<Kana>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(Arc::clone(kana))
}
