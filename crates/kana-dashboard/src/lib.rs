//! The dashboard: web pages for people (contract: `dashboard.md`).
//!
//! HTML from the server, without a build step and without a script for anything that matters. A page is
//! a handler in `pages/`, a template, and a line in [`routes`]. What its handler gets says who may come
//! in (`entrance`): those who may not have no [`Environment`](kana_service::Environment) to change. The
//! pages hold no rule and no clock: they ask the service, and show its sentences word for word.

mod address;
mod answer;
mod assets;
mod async_page;
mod chart;
mod dashboard;
mod difference;
mod done;
mod entrance;
mod forgery;
mod form;
mod frame;
mod headers;
mod instant;
mod meter;
mod nonce;
mod number;
mod pages;
mod problem;
mod public_url;
mod route;
mod routes;
mod settings;
mod stacked;
mod upload;
mod visit;

use std::sync::Arc;

use axum::Router;
use kana_service::Kana;

pub use crate::entrance::Access;
pub use crate::number::grouped;
pub use crate::public_url::PublicUrl;
pub use crate::route::RouteSummary;
pub use crate::routes::ASSETS_ROUTE;
pub use crate::settings::Settings;

/// Every route of the dashboard, `/` for browsers included.
pub fn router(kana: &Arc<Kana>, settings: Settings) -> Router {
    routes::router(dashboard::Dashboard::new(kana, settings))
}

/// Lists every route with who may use it. Tests hold each against what the contract says of roles and
/// forgery.
#[must_use]
pub fn routes() -> Vec<RouteSummary> {
    routes::summaries()
}
