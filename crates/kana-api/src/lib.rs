//! The HTTP surfaces of Kana, a module each, and what they share.
//!
//! Surfaces hold no rule: they read what was asked, ask the [`Environment`] that the key opens,
//! and write the answer as the contract fixes it.
//!
//! [`Environment`]: kana_service::Environment

pub mod admin;
mod cli;
pub mod client;
mod counter;
mod error;
mod events;
mod exact;
mod failure_log;
mod graphql;
mod health;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use kana_service::Kana;

/// What whoever runs the server may choose.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The web pages that may call the Client API.
    pub client_origins: client::AllowedOrigins,
}

/// Every route of the server, with the settings that most need.
pub fn router(kana: &Arc<Kana>) -> Router {
    router_with(kana, Settings::default())
}

/// Every route of the server (contract: `server.md`).
pub fn router_with(kana: &Arc<Kana>, settings: Settings) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(Arc::clone(kana))
        .merge(admin::router(kana))
        .merge(client::router(kana, settings.client_origins))
        .merge(events::router(kana))
        .merge(cli::router(kana))
}
