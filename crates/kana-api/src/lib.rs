//! The HTTP surfaces of Kana, a module each, and what they share.
//!
//! Surfaces hold no rule: they read what was asked, ask the [`Environment`] that the key opens,
//! and write the answer as the contract fixes it.
//!
//! [`Environment`]: kana_service::Environment

pub mod admin;
mod error;
mod graphql;
mod health;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use kana_service::Kana;

/// Every route of the server (contract: `server.md`).
pub fn router(kana: &Arc<Kana>) -> Router {
    Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .with_state(Arc::clone(kana))
        .merge(admin::router(kana))
}
