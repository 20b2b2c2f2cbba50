//! The way of every request: who sent it, whether they may, whether a page of ours sent the form, and
//! the page or the problem as the answer.

use std::sync::Arc;
use std::time::Instant;

use askama::Template;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use cookie::{Cookie, SameSite};
use futures_util::future::BoxFuture;
use kana_http::body::RequestBody;
use kana_service::{EnvironmentKind, SessionSecret};
use tokio::sync::SemaphorePermit;

use crate::address::Address;
use crate::async_page::AsyncPage;
use crate::dashboard::Dashboard;
use crate::entrance::{Access, Entrance};
use crate::forgery;
use crate::form::{self, Form};
use crate::frame::{Frame, Place};
use crate::nonce::{self, Content, NonceKey};
use crate::problem::Problem;
use crate::upload::{FormReader, UploadedFile};
use crate::visit::{ENVIRONMENT_COOKIE, SESSION_COOKIE, Visit};

/// The media type of an export.
pub(crate) const CSV: &str = "text/csv; charset=utf-8";

/// A page that is asked for, by somebody who may see it.
pub(crate) struct Asked<E> {
    /// What the visitor may do.
    pub(crate) entrance: E,
    pub(crate) visit: Arc<Visit>,
}

/// A form that was sent by a page of ours, by somebody who may send it.
pub(crate) struct Posted<E> {
    pub(crate) asked: Asked<E>,
    pub(crate) form: Form,
}

/// A form with a file that was sent by a page of ours, by somebody who may send it. The file arrives while
/// it is read.
pub(crate) struct Uploaded<E> {
    pub(crate) asked: Asked<E>,
    /// The fields before the file.
    pub(crate) form: Form,
    /// `None` if the form has none.
    pub(crate) file: Option<UploadedFile>,
}

impl<E> Asked<E> {
    /// Frames a page.
    pub(crate) async fn frame(
        &self,
        title: impl Into<String>,
        place: Place,
    ) -> Result<Frame, Problem> {
        let app = self.visit.app_name().await?;
        Frame::new(&self.visit, app, title, Some(place))
    }

    /// Frames a page that belongs to no entry of the bar.
    pub(crate) async fn bare_frame(&self, title: impl Into<String>) -> Result<Frame, Problem> {
        let app = self.visit.app_name().await?;
        Frame::new(&self.visit, app, title, None)
    }

    /// Returns the address of another page of the same environment.
    pub(crate) fn address(&self, page: &str) -> Result<Address, Problem> {
        Ok(Address::of(self.visit.environment()?, page))
    }

    /// Does `work` once for a form that makes something, also when the form is sent again meanwhile, and
    /// returns where that led. What failed may be sent again.
    pub(crate) async fn once<X: From<Problem>>(
        &self,
        form: &Form,
        work: impl AsyncFnOnce() -> Result<Address, X>,
    ) -> Result<Address, X> {
        let session = self.visit.session()?;
        let key = NonceKey::new(session, &self.visit.path, form)?;
        let dashboard = &self.visit.dashboard;
        let claimed = async || nonce::claimed(&dashboard.kana, &key, work).await;
        dashboard.used_nonces.once(&key, Content::of(form), claimed).await
    }

    /// Returns a parameter of the address; empty if it is not there.
    pub(crate) fn query(&self, name: &str) -> &str {
        self.visit.query.text(name)
    }
}

/// Answers a GET.
pub(crate) async fn answer_get<E: Entrance>(
    dashboard: Arc<Dashboard>,
    request: Request,
    page: impl AsyncPage<Asked<E>>,
) -> Response {
    let work = move |visit: Arc<Visit>, _| -> BoxFuture<'static, _> {
        Box::pin(async move {
            let (asked, _turn) = enter::<E>(&visit).await?;
            page.call(asked).await
        })
    };
    answer(dashboard, request, Box::new(work)).await
}

/// Answers a POST.
pub(crate) async fn answer_post<E: Entrance>(
    dashboard: Arc<Dashboard>,
    request: Request,
    page: impl AsyncPage<Posted<E>>,
) -> Response {
    let work = move |visit: Arc<Visit>, body| -> BoxFuture<'static, _> {
        Box::pin(async move {
            let (posted, _turn) = enter_with_form::<E>(&visit, body).await?;
            page.call(posted).await
        })
    };
    answer(dashboard, request, Box::new(work)).await
}

/// Answers a POST with a file. Nothing of the file is read before the form's token is the session's.
pub(crate) async fn answer_upload<E: Entrance>(
    dashboard: Arc<Dashboard>,
    request: Request,
    page: impl AsyncPage<Uploaded<E>>,
) -> Response {
    let work = move |visit: Arc<Visit>, body| -> BoxFuture<'static, _> {
        Box::pin(async move {
            let entrance = E::enter(&visit)?;
            check_origin(&visit)?;
            let mut reader = FormReader::new(&visit.headers, body)?;
            check_token(&visit, &reader.first("csrf").await?)?;
            let _place = visit.dashboard.upload_place()?;
            let (form, file) = reader.up_to_file().await?;
            let asked = Asked { entrance, visit: Arc::clone(&visit) };
            page.call(Uploaded { asked, form, file }).await
        })
    };
    answer(dashboard, request, Box::new(work)).await
}

/// What a page does for a request whose sender is known.
type Work = Box<
    dyn FnOnce(Arc<Visit>, RequestBody) -> BoxFuture<'static, Result<Response, Problem>> + Send,
>;

/// Looks up who sent a request, and answers with what `work` makes of it. The work is boxed so that this is
/// compiled once and not for each page.
async fn answer(dashboard: Arc<Dashboard>, request: Request, work: Work) -> Response {
    let began_at = Instant::now();
    let (parts, body) = request.into_parts();
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let visit = match Visit::of(&dashboard, parts).await {
        Ok(visit) => Arc::new(visit),
        Err(problem) => {
            return show_problem(&Visit::unknown(&dashboard, method, path), problem).await;
        }
    };
    let body = RequestBody::new(body, &dashboard.body_memory);
    let answer = work(Arc::clone(&visit), body).await;
    finish(&visit, answer, began_at).await
}

/// Lets a visitor in who may see a page, in their turn, which lasts until the page is made.
async fn enter<E: Entrance>(
    visit: &Arc<Visit>,
) -> Result<(Asked<E>, Option<SemaphorePermit<'_>>), Problem> {
    let entrance = E::enter(visit)?;
    let turn = turn::<E>(&visit.dashboard).await?;
    Ok((Asked { entrance, visit: Arc::clone(visit) }, turn))
}

/// Lets a visitor in who may send a form, if a page of ours sent it.
async fn enter_with_form<E: Entrance>(
    visit: &Arc<Visit>,
    mut body: RequestBody,
) -> Result<(Posted<E>, Option<SemaphorePermit<'_>>), Problem> {
    let entrance = E::enter(visit)?;
    check_origin(visit)?;
    check_media_type(visit)?;
    let bytes = body.whole(form::BYTES_MAX).await.map_err(|error| Problem::from(&error))?;
    let form = Form::read(&bytes)?;
    if E::ACCESS != Access::Anyone {
        check_token(visit, form.text("csrf"))?;
    }
    let turn = turn::<E>(&visit.dashboard).await?;
    let asked = Asked { entrance, visit: Arc::clone(visit) };
    Ok((Posted { asked, form }, turn))
}

/// Fails if another site may have sent the request.
fn check_origin(visit: &Visit) -> Result<(), Problem> {
    let public_url = visit.dashboard.settings.public_url.as_ref();
    let is_from_here = forgery::is_from_here(&visit.headers, public_url);
    is_from_here.then_some(()).ok_or(Problem::Forged)
}

/// Fails for anything but what a browser makes of a form without a file: no page of ours sends another.
fn check_media_type(visit: &Visit) -> Result<(), Problem> {
    let media_type = visit.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = media_type.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(form::MEDIA_TYPE).then_some(()).ok_or(Problem::Forged)
}

/// Fails if the form's token is not the session's.
fn check_token(visit: &Visit, token: &str) -> Result<(), Problem> {
    let secret = visit.session()?.csrf_secret();
    forgery::is_token(token, &secret).then_some(()).ok_or(Problem::Forged)
}

/// Waits for a turn to read the database. Signing in has a queue of its own.
async fn turn<E: Entrance>(dashboard: &Dashboard) -> Result<Option<SemaphorePermit<'_>>, Problem> {
    match E::ACCESS {
        Access::Anyone => Ok(None),
        _ => dashboard.turn().await.map(Some),
    }
}

async fn finish(visit: &Visit, answer: Result<Response, Problem>, began_at: Instant) -> Response {
    let mut response = match answer {
        Ok(response) => response,
        Err(problem) => show_problem(visit, problem).await,
    };
    if visit.session().is_ok() {
        let micros = began_at.elapsed().as_micros();
        let took = format!("total;dur={}.{:03}", micros / 1000, micros % 1000);
        if let Ok(took) = HeaderValue::from_str(&took) {
            response.headers_mut().insert(HeaderName::from_static("server-timing"), took);
        }
        if let Ok(environment) = visit.environment() {
            remember_environment(visit, environment, &mut response);
        }
    }
    response
}

/// A page of the router for what has no route.
pub(crate) async fn not_found(
    State(dashboard): State<Arc<Dashboard>>,
    request: Request,
) -> Response {
    answer_get(dashboard, request, async |_: Asked<crate::entrance::SignedIn>| {
        Err(Problem::NotFound)
    })
    .await
}

/// Returns a page.
pub(crate) fn html(status: StatusCode, page: &impl Template) -> Result<Response, Problem> {
    let text = page.render().map_err(|error| {
        tracing::error!(%error, "a template failed");
        Problem::Service(kana_service::Error::Bug("a page could not be written"))
    })?;
    let headers = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    Ok((status, headers, text).into_response())
}

/// Leads to another page after a change.
pub(crate) fn see_other(address: &Address) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, address.as_str())]).into_response()
}

/// Gives the browser the cookie of a new session.
pub(crate) fn set_session(visit: &Visit, secret: &SessionSecret, response: &mut Response) {
    set_cookie(visit, SESSION_COOKIE, secret.reveal().to_owned(), response);
}

/// Takes the cookie of the session from the browser.
pub(crate) fn clear_session(visit: &Visit, response: &mut Response) {
    let mut cookie = cookie(visit, SESSION_COOKIE, String::new());
    cookie.make_removal();
    append_cookie(&cookie, response);
}

fn remember_environment(visit: &Visit, environment: EnvironmentKind, response: &mut Response) {
    if visit.method == Method::GET && visit.last_environment() != environment {
        set_cookie(visit, ENVIRONMENT_COOKIE, environment.name().to_owned(), response);
    }
}

fn set_cookie(visit: &Visit, name: &'static str, value: String, response: &mut Response) {
    append_cookie(&cookie(visit, name, value), response);
}

fn cookie(visit: &Visit, name: &'static str, value: String) -> Cookie<'static> {
    Cookie::build((name, value))
        .path("/dashboard")
        .http_only(true)
        .same_site(SameSite::Lax)
        .secure(visit.dashboard.settings.is_https())
        .build()
}

fn append_cookie(cookie: &Cookie<'_>, response: &mut Response) {
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage {
    frame: Frame,
    text: String,
    is_refusal: bool,
    /// Where to go on, if the session has ended.
    sign_in: Option<Address>,
}

/// Shows a problem within the frame where the session is known.
async fn show_problem(visit: &Visit, problem: Problem) -> Response {
    match (&problem, &visit.method) {
        (Problem::Elsewhere(address), _) => return see_other(address),
        (Problem::NotSignedIn, &Method::GET | &Method::HEAD) => {
            let next = Address::outside("/sign-in").with("next", &address_of(visit));
            return see_other(&next);
        }
        _ => {}
    }
    let sign_in = matches!(problem, Problem::NotSignedIn)
        .then(|| Address::outside("/sign-in").with("next", &address_of(visit)));
    // If the database has just not answered, it is not asked again: the page can be shown without it.
    let app = match &problem {
        Problem::Service(_) if visit.session().is_err() => None,
        _ => visit.app_name().await.ok(),
    };
    let app = app.unwrap_or_else(|| "Kana".to_owned());
    let said = problem.say();
    let page = Frame::new(visit, app, said.title, None).and_then(|frame| {
        let (text, is_refusal) = (said.text.clone(), said.is_refusal);
        html(said.status, &ProblemPage { frame, text, is_refusal, sign_in })
    });
    let mut response = page.unwrap_or_else(|_| (said.status, said.text).into_response());
    if said.status == StatusCode::SERVICE_UNAVAILABLE {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

/// Returns path and query as they were asked for.
fn address_of(visit: &Visit) -> String {
    if visit.raw_query.is_empty() {
        visit.path.clone()
    } else {
        format!("{}?{}", visit.path, visit.raw_query)
    }
}
