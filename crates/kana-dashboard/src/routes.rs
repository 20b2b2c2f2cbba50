//! Every route. The list is what the router is made of, so that a page that is missing here does not
//! exist, and what tests walk.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Redirect, Response};

use crate::answer::not_found;
use crate::dashboard::Dashboard;
use crate::route::RouteSummary;
use crate::{assets, headers, pages};

/// The route of files that pages need.
pub const ASSETS_ROUTE: &str = "/dashboard/assets/{name}";

pub(crate) fn summaries() -> Vec<RouteSummary> {
    pages::routes().into_iter().map(|route| route.summary).collect()
}

pub(crate) fn router(dashboard: Arc<Dashboard>) -> Router {
    let mut router: Router<Arc<Dashboard>> = Router::new();
    for route in pages::routes() {
        router = router.route(route.summary.path, route.handler);
    }
    let is_https = dashboard.settings.is_https();
    let add_headers = move |request: Request, next: Next| async move {
        let mut response = next.run(request).await;
        headers::add(response.headers_mut(), is_https);
        response
    };
    router
        .route(ASSETS_ROUTE, axum::routing::get(assets::serve))
        .method_not_allowed_fallback(leads_to_the_page)
        .route("/", axum::routing::get(root))
        .layer(middleware::from_fn(add_headers))
        .fallback(move |state, request| fallback(state, request, is_https))
        .with_state(dashboard)
}

/// Answers what has no route: with a page below `/dashboard`, and elsewhere with nothing but the status,
/// since that is no place for people.
async fn fallback(state: State<Arc<Dashboard>>, request: Request, is_https: bool) -> Response {
    if !request.uri().path().starts_with("/dashboard/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    if let Some(page) = request.uri().path().strip_suffix('/').filter(|_| is_read) {
        let mut response = Redirect::to(page).into_response();
        headers::add(response.headers_mut(), is_https);
        return response;
    }
    let mut response = not_found(state, request).await;
    headers::add(response.headers_mut(), is_https);
    response
}

/// Some addresses only take forms. After a refusal the browser stays at such an address, and opening it
/// again leads to the page that has the form: the address without its last segment.
async fn leads_to_the_page(request: Request) -> Response {
    let is_read = [Method::GET, Method::HEAD].contains(request.method());
    let parent = request.uri().path().rsplit_once('/').map(|(parent, _)| parent);
    match parent.filter(|parent| is_read && parent.starts_with("/dashboard")) {
        Some(parent) => {
            let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
            Redirect::to(&format!("{parent}{query}")).into_response()
        }
        None => StatusCode::METHOD_NOT_ALLOWED.into_response(),
    }
}

/// `/` leads a browser to the dashboard, and is nothing for a client.
async fn root(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    match accept {
        Some(accept) if accept.contains("text/html") => Redirect::to("/dashboard").into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
