//! Keys and addresses for programs.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_service::{
    BrowserSettings, EnvironmentKind, EnvironmentView, Key, KeyKind, KeyState, key_name,
};

use super::list::Pages;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::{Developer, Viewer};
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::nonce;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/developers", page),
        post("/dashboard/{environment}/developers", create),
        post("/dashboard/{environment}/developers/simple-mode", set_simple_mode),
    ]
}

#[derive(Template)]
#[template(path = "developers.html")]
struct DevelopersPage {
    frame: Frame,
    form: Filled,
    rows: Vec<Row>,
    pages: Pages,
    /// Where this server is reached.
    server: String,
    environment: EnvironmentKind,
    browsers: BrowserSettings,
    may_change: bool,
    nonce: String,
    action: Address,
    rotate: Address,
    simple_mode: Address,
}

/// A key in the list.
struct Row {
    revoke: Address,
    name: String,
    kind: &'static str,
    last_four: String,
    created_at: Instant,
    created_by: String,
    last_used_at: Option<Instant>,
    state: KeyState,
    /// By which the list is sorted: the newest key first.
    order: String,
}

/// Returns the kind of a key as people read it.
pub(super) fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Private => "Admin API key",
        KeyKind::Public => "Client API key",
    }
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let form = Form::with([("kind", "admin".to_owned())]).into();
    show(&asked, &asked.entrance.view, form).await
}

async fn show<E>(
    asked: &Asked<E>,
    view: &EnvironmentView,
    form: Filled,
) -> Result<Response, Problem> {
    let (environment, list) = (asked.visit.environment()?, asked.address("/developers")?);
    let keys = view.keys().await?;
    let rows: Result<Vec<Row>, Problem> =
        keys.into_iter().rev().map(|key| row(asked, key)).collect();
    let (rows, pages) = cut(rows?, asked.query("after"), &list);
    let lead = match environment {
        EnvironmentKind::Test => {
            "Keys and addresses for programs. They belong to test and open nothing in live."
        }
        EnvironmentKind::Live => {
            "Keys and addresses for programs. They belong to live and open nothing in test."
        }
    };
    let status = form.status();
    let page = DevelopersPage {
        frame: asked.frame("Developers", Place::Developers).await?.lead(lead),
        form,
        rows,
        pages,
        server: asked.visit.server_url(),
        environment,
        browsers: view.browser_settings().await?,
        may_change: asked.visit.session()?.may_develop(environment),
        nonce: nonce::new()?,
        action: list,
        rotate: asked.address("/developers/rotate")?,
        simple_mode: asked.address("/developers/simple-mode")?,
    };
    html(status, &page)
}

fn row<E>(asked: &Asked<E>, (key, state): (Key, KeyState)) -> Result<Row, Problem> {
    Ok(Row {
        revoke: asked.address("/developers/revoke")?.with("id", &key.id.to_string()),
        name: key.name.unwrap_or_default(),
        kind: kind_name(key.kind),
        last_four: key.last_four,
        created_at: key.created_at.into(),
        created_by: key.created_by.unwrap_or_default(),
        last_used_at: key.last_used_at.map(Instant::of_minute),
        state,
        order: format!("{:019}", i64::MAX.saturating_sub(key.id)),
    })
}

fn cut(rows: Vec<Row>, after: &str, list: &Address) -> (Vec<Row>, Pages) {
    let orders: Vec<String> = rows.iter().map(|row| row.order.clone()).collect();
    let numbered: Vec<(Row, &str)> =
        rows.into_iter().zip(orders.iter().map(String::as_str)).collect();
    let (rows, pages) =
        Pages::cut(numbered, |(_, order)| *order, after, list, "50 rows a page, newest first");
    (rows.into_iter().map(|(row, _)| row).collect(), pages)
}

#[derive(Template)]
#[template(path = "new_key.html")]
struct NewKeyPage {
    frame: Frame,
    key: String,
    /// What the key is, as a sentence.
    about: String,
    done: Address,
}

async fn create(posted: Posted<Developer>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let developer = &asked.entrance.developer;
    let kind = match form.text("kind") {
        "admin" => Ok(KeyKind::Private),
        "client" => Ok(KeyKind::Public),
        _ => Err(FieldProblem::of("kind", "Choose Admin API key or Client API key.")),
    };
    let name = key_name(form.text("name"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, |_| Some("name")));
    let (kind, name) = match (kind, name) {
        (Ok(kind), Ok(name)) => (kind, name),
        (kind, name) => {
            let problems = [kind.err(), name.err()].into_iter().flatten().collect();
            let form = Filled::with_problems(form, problems);
            return show(&asked, developer.view(), form).await;
        }
    };
    let list = asked.address("/developers")?;
    let mut secret = None;
    let created_before = asked
        .once(&form, async || {
            secret = Some(developer.create_key(kind, name.as_ref()).await?);
            Ok::<_, Problem>(list.clone().done(Done::KeyCreatedBefore))
        })
        .await?;
    // Who sends the form again gets no second key, and does not see the first one again.
    let Some(secret) = secret else { return Ok(see_other(&created_before)) };
    let named = name.map(|name| format!(" “{}”", name.as_str())).unwrap_or_default();
    let page = NewKeyPage {
        frame: asked.frame("New key", Place::Developers).await?.under(list.clone(), "Developers"),
        key: secret.reveal().to_owned(),
        about: format!(
            "{}{named}. Put it where your program keeps its secrets. It works within 5 seconds.",
            kind_name(kind)
        ),
        done: list,
    };
    html(StatusCode::OK, &page)
}

async fn set_simple_mode(posted: Posted<Developer>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let on = form.text("mode") == "on";
    asked.entrance.developer.set_simple_mode(on).await?;
    let done = if on { Done::SimpleModeOn } else { Done::SimpleModeOff };
    Ok(see_other(&asked.address("/developers")?.done(done)))
}
