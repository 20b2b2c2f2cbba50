//! An amount that is held for a job of one user: release it.

use axum::response::Response;
use kana_core::Refusal;
use kana_core::decide::ReleaseHold;
use kana_core::id::{FeatureId, HoldId, UserId};
use kana_service::Error;

use super::confirm::ConfirmPage;
use super::user_form::read_id;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::Filled;
use crate::frame::Place;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/user/release-hold", confirm),
        post("/dashboard/{environment}/user/release-hold", release),
    ]
}

async fn confirm(asked: Asked<Editor>) -> Result<Response, Problem> {
    show(&asked, Filled::default()).await
}

async fn show(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let (user, id) = named(asked)?;
    let feature = FeatureId::new("feature", asked.query("feature")).map_err(Refusal::from)?;
    let cancel = asked.address("/user")?.with("id", user.as_str());
    let (holds, _) = asked.entrance.environment.holds(&user, &feature).await?;
    let Some(hold) = holds.iter().find(|hold| hold.id == id) else {
        return Err(Problem::Elsewhere(cancel));
    };
    let frame = asked.frame("Release the hold?", Place::Users).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form,
        text: format!(
            "{amount} of {feature} are held for a job of {user}. They are free at once, and the job \
             cannot settle what it uses any more.",
            amount = grouped(hold.amount),
        ),
        act: "Release hold",
        is_dangerous: true,
        action: asked
            .address("/user/release-hold")?
            .with("id", user.as_str())
            .with("feature", feature.as_str())
            .with("hold", id.as_str()),
        cancel,
    };
    html(status, &page)
}

async fn release(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (user, id) = named(&asked)?;
    let address = asked.address("/user")?.with("id", user.as_str());
    match asked.entrance.environment.release_hold(ReleaseHold { user, id }).await {
        Ok(_) => Ok(see_other(&address.done(Done::HoldReleased))),
        // The job has settled it meanwhile: the page of the user says what was used.
        Err(Error::Refused(Refusal::HoldIsOver { .. })) => Err(Problem::Elsewhere(address)),
        Err(error) => show(&asked, Filled::refused(form, error, |_| None)?).await,
    }
}

/// Returns the user and the hold that the address names.
fn named(asked: &Asked<Editor>) -> Result<(UserId, HoldId), Problem> {
    let hold = HoldId::new("hold", asked.query("hold")).map_err(Refusal::from)?;
    Ok((read_id(asked.query("id"))?, hold))
}
