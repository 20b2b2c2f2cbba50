//! What is asked about before it is done to an admin.

use askama::Template;
use axum::response::Response;
use kana_service::Role;

use super::confirm::ConfirmPage;
use super::settings::{
    Once, Refused, Shown, ShownLink, about, admin, once, refused, role_name, show,
};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Owner;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::nonce;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/settings/role", choose_role),
        post("/dashboard/settings/role", set_role),
        get("/dashboard/settings/reset-password", confirm_reset),
        post("/dashboard/settings/reset-password", reset),
        get("/dashboard/settings/remove", confirm_remove),
        post("/dashboard/settings/remove", remove),
    ]
}

fn settings() -> Address {
    Address::outside("/settings")
}

async fn framed(asked: &Asked<Owner>, title: String) -> Result<Frame, Problem> {
    Ok(asked.frame(title, Place::Settings).await?.under(settings(), "Settings"))
}

#[derive(Template)]
#[template(path = "change_role.html")]
struct RolePage {
    frame: Frame,
    form: Filled,
    action: Address,
    cancel: Address,
}

async fn choose_role(asked: Asked<Owner>) -> Result<Response, Problem> {
    let admin = admin(&asked, &asked.entrance.ownership).await?;
    show_role(&asked, Form::with([("role", admin.role.name().to_owned())]).into()).await
}

async fn show_role(asked: &Asked<Owner>, form: Filled) -> Result<Response, Problem> {
    let admin = admin(asked, &asked.entrance.ownership).await?;
    let status = form.status();
    let page = RolePage {
        frame: framed(asked, format!("Change the role of {}?", admin.email)).await?,
        form,
        action: about(&admin, "/role"),
        cancel: settings(),
    };
    html(status, &page)
}

async fn set_role(posted: Posted<Owner>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let ownership = &asked.entrance.ownership;
    let id = admin(&asked, ownership).await?.id;
    let Some(role) = Role::named(form.text("role")) else {
        let problem = FieldProblem::of("role", "Choose a role.");
        return show_role(&asked, Filled::with_problems(form, vec![problem])).await;
    };
    match ownership.set_role(id, role).await {
        Ok(()) => Ok(see_other(&settings().done(Done::RoleChanged))),
        Err(error) => show_role(&asked, refused(form, error, |_| None)?).await,
    }
}

#[derive(Template)]
#[template(path = "reset_password.html")]
struct ResetPage {
    frame: Frame,
    form: Filled,
    nonce: String,
    action: Address,
    cancel: Address,
}

async fn confirm_reset(asked: Asked<Owner>) -> Result<Response, Problem> {
    show_reset(&asked, Filled::default()).await
}

async fn show_reset(asked: &Asked<Owner>, form: Filled) -> Result<Response, Problem> {
    let admin = admin(asked, &asked.entrance.ownership).await?;
    let status = form.status();
    let page = ResetPage {
        frame: framed(asked, format!("Reset the password of {}?", admin.email)).await?,
        form,
        nonce: nonce::new()?,
        action: about(&admin, "/reset-password"),
        cancel: settings(),
    };
    html(status, &page)
}

async fn reset(posted: Posted<Owner>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let ownership = &asked.entrance.ownership;
    let admin = admin(&asked, ownership).await?;
    match once(&asked, &form, async || ownership.reset_password(admin.id).await).await {
        Ok(Once::Made(token)) => {
            let link = ShownLink::new(&asked, &token, &admin.email);
            show(&asked, Shown::link(&asked, link, Done::PasswordReset).await?).await
        }
        Ok(Once::Again(address)) => Ok(see_other(&address)),
        Err(Refused::Page(problem)) => Err(problem),
        Err(Refused::Admin(error)) => show_reset(&asked, refused(form, error, |_| None)?).await,
    }
}

async fn confirm_remove(asked: Asked<Owner>) -> Result<Response, Problem> {
    show_remove(&asked, Filled::default()).await
}

async fn show_remove(asked: &Asked<Owner>, form: Filled) -> Result<Response, Problem> {
    let admin = admin(asked, &asked.entrance.ownership).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: framed(asked, format!("Remove {}?", admin.email)).await?,
        form,
        text: format!(
            "{} ({}) is signed out within 5 seconds and can no longer sign in. What the audit log \
             says of them stays.",
            admin.email,
            role_name(admin.role)
        ),
        act: "Remove admin",
        is_dangerous: true,
        action: about(&admin, "/remove"),
        cancel: settings(),
    };
    html(status, &page)
}

async fn remove(posted: Posted<Owner>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let ownership = &asked.entrance.ownership;
    let id = admin(&asked, ownership).await?.id;
    match ownership.remove(id).await {
        Ok(()) => Ok(see_other(&settings().done(Done::AdminRemoved))),
        Err(error) => show_remove(&asked, refused(form, error, |_| None)?).await,
    }
}
