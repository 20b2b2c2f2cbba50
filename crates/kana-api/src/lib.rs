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
mod scalars;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use kana_graphql::AnswerBudget;
use kana_http::body::BodyMemory;
use kana_service::Kana;

/// Operator settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The web pages that may call the Client API.
    pub client_origins: client::AllowedOrigins,
    /// The limit on the memory of all request bodies together, in bytes.
    pub body_memory_bytes: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            client_origins: client::AllowedOrigins::default(),
            body_memory_bytes: 256 * 1024 * 1024,
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
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(Arc::clone(kana))
        .merge(admin::router(kana, &body_memory, &answers))
        .merge(client::router(kana, &body_memory, &answers, settings.client_origins))
        .merge(events::router(kana, &body_memory))
        .merge(cli::router(kana, &body_memory))
}
