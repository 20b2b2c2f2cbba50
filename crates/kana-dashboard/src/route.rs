//! A route: its path, its handler, and who may use it, which the handler itself says.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

use crate::answer::{Asked, Posted, Uploaded, answer_get, answer_post, answer_upload};
use crate::async_page::AsyncPage;
use crate::dashboard::Dashboard;
use crate::entrance::{Access, Entrance};

/// A route, and who may use it.
#[derive(Debug, Clone)]
pub struct RouteSummary {
    /// `GET` or `POST`.
    pub method: Method,
    /// Its path; `{environment}` stands for `test` and `live`.
    pub path: &'static str,
    /// Who may use it.
    pub access: Access,
}

/// A route with its handler.
pub(crate) struct Route {
    pub(crate) summary: RouteSummary,
    pub(crate) handler: MethodRouter<Arc<Dashboard>>,
}

/// A page that is asked for.
pub(crate) fn get<E, F>(path: &'static str, page: F) -> Route
where
    E: Entrance,
    F: AsyncPage<Asked<E>>,
{
    let handler = move |State(dashboard): State<Arc<Dashboard>>, request: Request| {
        answer_get(dashboard, request, page)
    };
    let summary = RouteSummary { method: Method::GET, path, access: E::ACCESS };
    Route { summary, handler: on(MethodFilter::GET, handler) }
}

/// A form that is sent.
pub(crate) fn post<E, F>(path: &'static str, page: F) -> Route
where
    E: Entrance,
    F: AsyncPage<Posted<E>>,
{
    let handler = move |State(dashboard): State<Arc<Dashboard>>, request: Request| {
        answer_post(dashboard, request, page)
    };
    let summary = RouteSummary { method: Method::POST, path, access: E::ACCESS };
    Route { summary, handler: on(MethodFilter::POST, handler) }
}

/// A form with a file that is sent.
pub(crate) fn upload<E, F>(path: &'static str, page: F) -> Route
where
    E: Entrance,
    F: AsyncPage<Uploaded<E>>,
{
    let handler = move |State(dashboard): State<Arc<Dashboard>>, request: Request| {
        answer_upload(dashboard, request, page)
    };
    let summary = RouteSummary { method: Method::POST, path, access: E::ACCESS };
    Route { summary, handler: on(MethodFilter::POST, handler) }
}
