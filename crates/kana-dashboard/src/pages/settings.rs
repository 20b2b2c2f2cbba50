//! The app and those who administer it.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_service::{Admin, AdminError, Owner as Ownership, Role, WelcomeToken};

use super::list::Pages;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Owner;
use crate::form::{FieldProblem, Filled, Form, capitalised};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::nonce;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/settings", page),
        post("/dashboard/settings", save),
        post("/dashboard/settings/invite", invite),
    ]
}

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    /// What stands in the form of the app.
    app: Filled,
    /// What stands in the form that invites.
    invitation: Filled,
    rows: Vec<Row>,
    pages: Pages,
    nonce: String,
    link: Option<ShownLink>,
}

/// An admin in the list.
struct Row {
    email: String,
    role: &'static str,
    last_sign_in_at: Option<Instant>,
    /// Whether the admin has a password.
    is_here: bool,
    change_role: Address,
    reset_password: Address,
    remove: Address,
    /// Names the row within the page.
    id: String,
    /// By which the list is sorted: the oldest admin first.
    order: String,
}

/// A welcome link, which is shown once.
pub(super) struct ShownLink {
    url: String,
    about: String,
}

impl ShownLink {
    pub(super) fn new(asked: &Asked<Owner>, token: &WelcomeToken, email: &str) -> Self {
        let address = Address::outside("/welcome").with("token", token.reveal());
        Self {
            url: format!("{}{address}", asked.visit.server_url()),
            about: format!(
                "It is shown only now and works once, for 24 hours. Send it to {email}."
            ),
        }
    }
}

/// Returns a role as people read it.
pub(super) fn role_name(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Viewer",
        Role::Editor => "Editor",
        Role::Owner => "Owner",
    }
}

/// Returns the address of a page about one admin.
pub(super) fn about(admin: &Admin, page: &str) -> Address {
    Address::outside(&format!("/settings{page}")).with("id", &admin.id.to_string())
}

async fn page(asked: Asked<Owner>) -> Result<Response, Problem> {
    let shown = Shown::new(&asked).await?;
    show(&asked, shown).await
}

/// What the page shows beside the admins.
pub(super) struct Shown {
    app: Filled,
    invitation: Filled,
    link: Option<(ShownLink, Done)>,
}

impl Shown {
    async fn new(asked: &Asked<Owner>) -> Result<Self, Problem> {
        let name = asked.visit.dashboard.kana.app_name().await?;
        Ok(Self {
            app: Form::with([("app", name)]).into(),
            invitation: Form::with([("role", "viewer".to_owned())]).into(),
            link: None,
        })
    }

    /// Shows a link that was just created.
    pub(super) async fn link(
        asked: &Asked<Owner>,
        link: ShownLink,
        done: Done,
    ) -> Result<Self, Problem> {
        Ok(Self { link: Some((link, done)), ..Self::new(asked).await? })
    }
}

pub(super) async fn show(asked: &Asked<Owner>, shown: Shown) -> Result<Response, Problem> {
    let Shown { app, invitation, link } = shown;
    let status = match app.status() {
        StatusCode::OK => invitation.status(),
        status => status,
    };
    let rows: Vec<Row> = asked.entrance.ownership.admins().await?.iter().map(row).collect();
    let orders: Vec<String> = rows.iter().map(|row| row.order.clone()).collect();
    let rows = rows.into_iter().zip(orders.iter().map(String::as_str)).collect();
    let (rows, pages) = Pages::cut(
        rows,
        |(_, order): &(Row, &str)| *order,
        asked.query("after"),
        &Address::outside("/settings"),
        "50 rows a page, oldest first",
    );
    let mut frame = asked
        .frame("Settings", Place::Settings)
        .await?
        .lead("The app and the people who may open this dashboard. Both environments share them.");
    let (link, done) = link.unzip();
    frame.done = done.or(frame.done);
    let page = SettingsPage {
        frame,
        app,
        invitation,
        rows: rows.into_iter().map(|(row, _)| row).collect(),
        pages,
        nonce: nonce::new()?,
        link,
    };
    html(status, &page)
}

fn row(admin: &Admin) -> Row {
    Row {
        email: admin.email.clone(),
        role: role_name(admin.role),
        last_sign_in_at: admin.last_sign_in_at.map(Instant::from),
        is_here: admin.has_password,
        change_role: about(admin, "/role"),
        reset_password: about(admin, "/reset-password"),
        remove: about(admin, "/remove"),
        id: format!("admin-{}", admin.id),
        order: format!("{:019}", admin.id.0),
    }
}

async fn save(posted: Posted<Owner>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let renamed = asked.entrance.ownership.rename_app(form.text("app")).await;
    match renamed {
        Ok(()) => Ok(see_other(&Address::outside("/settings").done(Done::SettingsSaved))),
        Err(error) => {
            let app = refused(form, error, |_| Some("app"))?;
            show(&asked, Shown { app, ..Shown::new(&asked).await? }).await
        }
    }
}

async fn invite(posted: Posted<Owner>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let ownership = &asked.entrance.ownership;
    let Some(role) = Role::named(form.text("role")) else {
        let problem = FieldProblem::of("role", "Choose a role.");
        let invitation = Filled::with_problems(form, vec![problem]);
        return show(&asked, Shown { invitation, ..Shown::new(&asked).await? }).await;
    };
    let email = form.text("email").to_owned();
    match once(&asked, &form, async || ownership.invite(&email, role).await).await {
        Ok(Once::Made(token)) => {
            let link = ShownLink::new(&asked, &token, email.trim());
            show(&asked, Shown::link(&asked, link, Done::InvitationCreated).await?).await
        }
        Ok(Once::Again(address)) => Ok(see_other(&address)),
        Err(Refused::Page(problem)) => Err(problem),
        Err(Refused::Admin(error)) => {
            let names = |field: &str| (field == "email").then_some("email");
            let invitation = refused(form, error, names)?;
            show(&asked, Shown { invitation, ..Shown::new(&asked).await? }).await
        }
    }
}

/// What came of a form that creates a link.
pub(super) enum Once {
    /// The link of this token.
    Made(WelcomeToken),
    /// Nothing: the form was sent before, and leads there.
    Again(Address),
}

/// Why no link was created.
pub(super) enum Refused {
    Page(Problem),
    Admin(AdminError),
}

impl From<Problem> for Refused {
    fn from(problem: Problem) -> Self {
        Self::Page(problem)
    }
}

/// Creates a link once for each form.
pub(super) async fn once(
    asked: &Asked<Owner>,
    form: &Form,
    create: impl AsyncFnOnce() -> Result<WelcomeToken, AdminError>,
) -> Result<Once, Refused> {
    let mut token = None;
    let address = asked
        .once(form, async || {
            token = Some(create().await.map_err(Refused::Admin)?);
            Ok::<_, Refused>(Address::outside("/settings").done(Done::LinkShownBefore))
        })
        .await?;
    Ok(token.map_or(Once::Again(address), Once::Made))
}

/// Returns a form that was refused. What is no refusal is passed on.
pub(super) fn refused(
    form: Form,
    error: AdminError,
    field: fn(&str) -> Option<&'static str>,
) -> Result<Filled, Problem> {
    let problem = match error {
        AdminError::NotFound => return Err(Problem::NotFound),
        AdminError::NotAllowed => return Err(Problem::NotAllowed),
        AdminError::NoApp => {
            return Err(Problem::Service(kana_service::Error::Bug("there is no app")));
        }
        AdminError::Other(error) => return Err(error.into()),
        AdminError::Invalid(invalid) => FieldProblem::of_value(&invalid, field),
        error @ AdminError::EmailTaken => {
            FieldProblem { field: field("email").map(str::to_owned), ..problem_of(&error) }
        }
        error @ (AdminError::LastOwner
        | AdminError::TooManyAdmins
        | AdminError::TooManyInvitations) => problem_of(&error),
    };
    Ok(Filled::with_problems(form, vec![problem]))
}

fn problem_of(error: &AdminError) -> FieldProblem {
    FieldProblem::of_form(capitalised(&error.to_string()))
}

/// Returns the admin that the address names.
pub(super) async fn admin(asked: &Asked<Owner>, ownership: &Ownership) -> Result<Admin, Problem> {
    let admins = ownership.admins().await?;
    let id: i64 = asked.query("id").parse().map_err(|_| Problem::NotFound)?;
    admins.into_iter().find(|admin| admin.id.0 == id).ok_or(Problem::NotFound)
}
