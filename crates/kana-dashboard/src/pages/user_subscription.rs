//! What can be changed of a subscription that is not over: its quantity, its end and the end of its trial.

use askama::Template;
use axum::response::Response;
use kana_core::Timestamp;
use kana_core::decide::UpdateSubscription;
use kana_core::id::UserId;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_service::no_update;

use super::ahead::Ahead;
use super::user_changes::{find, read_instant, read_quantity};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{self, EditedField, FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::problem::Problem;
use crate::route::{Route, get, post};

const QUANTITY: EditedField =
    EditedField { name: "quantity", was: "was-quantity", label: "Quantity" };
const ENDS: EditedField = EditedField { name: "ends", was: "was-ends", label: "Ends" };
const ENDS_AT: EditedField =
    EditedField { name: "ends_at", was: "was-ends_at", label: "Time of the end" };
const TRIAL_ENDS_AT: EditedField =
    EditedField { name: "trial_ends_at", was: "was-trial_ends_at", label: "Trial ends at" };

/// The fields that can be changed.
const FIELDS: [EditedField; 4] = [QUANTITY, ENDS, ENDS_AT, TRIAL_ENDS_AT];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/user/subscription", page),
        post("/dashboard/{environment}/user/subscription", change),
    ]
}

#[derive(Template)]
#[template(path = "user_subscription.html")]
struct SubscriptionPage {
    frame: Frame,
    form: Filled,
    /// The hidden fields: names and values.
    hidden: Vec<(&'static str, String)>,
    ends_help: String,
    action: Address,
    /// Where its package is changed; `None` before it has begun.
    package: Option<Address>,
    cancel: Address,
}

async fn page(asked: Asked<Editor>) -> Result<Response, Problem> {
    show(&asked, None).await
}

/// Shows the form as it was sent, or else with the subscription as it is.
async fn show(asked: &Asked<Editor>, sent: Option<Filled>) -> Result<Response, Problem> {
    let (catalog, user, subscription) = find(asked).await?;
    let cancel = of_user(asked, &user)?;
    if subscription.ended_at.is_some() {
        return Err(Problem::Elsewhere(cancel));
    }
    let package = catalog
        .package(&subscription.package)
        .map_or(subscription.package.as_str(), |package| package.name.as_str());
    let form = sent.unwrap_or_else(|| filled_in(&subscription).into());
    let status = form.status();
    let of_it = |path: &str| {
        let address = asked.address(path)?.with("id", user.as_str());
        Ok::<_, Problem>(address.with("subscription", &subscription.id.to_string()))
    };
    let has_begun = subscription.status != SubscriptionStatus::Incomplete;
    let to_package = of_it("/user/package")?;
    let frame = asked.frame(format!("Change {package}"), Place::Users).await?;
    let page = SubscriptionPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        hidden: FIELDS.iter().map(|field| (field.was, form.text(field.was).to_owned())).collect(),
        form: form.labelled(|field| form::label_of(&FIELDS, field)),
        ends_help: ends_help(&subscription),
        action: of_it("/user/subscription")?,
        package: has_begun.then_some(to_package),
        cancel,
    };
    html(status, &page)
}

/// Fills the form in with the subscription as it is.
fn filled_in(subscription: &Subscription) -> Form {
    let shown = |at: Option<Timestamp>| {
        at.map(Instant::from).map_or(String::new(), |at| at.as_text().to_owned())
    };
    let timing = &subscription.timing;
    let ends = if timing.end_asked.is_some() { "at" } else { "" };
    let values = [
        subscription.quantities.current().get().to_string(),
        ends.to_owned(),
        shown(timing.end_asked),
        shown(timing.trial_ends_at),
    ];
    let fields = FIELDS.iter().zip(values);
    Form::with(fields.flat_map(|(field, value)| [(field.name, value.clone()), (field.was, value)]))
}

/// Says when the subscription ends if its base ends before the end that was asked for.
fn ends_help(subscription: &Subscription) -> String {
    let timing = &subscription.timing;
    match timing.end.filter(|_| timing.end != timing.end_asked) {
        Some(end) => format!("Its base ends on {}, and it with it.", Instant::from(end).as_text()),
        None => "It grants until then. Not set: it goes on.".to_owned(),
    }
}

async fn change(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (_, user, subscription) = find(&asked).await?;
    let stored = filled_in(&subscription);
    let differences = form::differences(&form, &stored, &FIELDS);
    if !differences.is_empty() {
        let filled = Filled::from(form.begun_with(&stored, &FIELDS)).with_conflict(differences);
        return show(&asked, Some(filled)).await;
    }
    let changes = match read(&form) {
        Ok(changes) => changes,
        Err(problems) => {
            return show(&asked, Some(Filled::with_problems(form, problems))).await;
        }
    };
    let id = subscription.id.to_string();
    match asked.entrance.environment.update_subscription(&id, changes).await {
        Ok(_) => Ok(see_other(&of_user(&asked, &user)?.done(Done::SubscriptionChanged))),
        Err(error) => show(&asked, Some(Filled::refused(form, error, field_names)?)).await,
    }
}

/// Reads what was changed in the form: the rest stays as it is.
fn read(form: &Form) -> Result<UpdateSubscription, Vec<FieldProblem>> {
    let quantity =
        QUANTITY.is_edited(form).then(|| read_quantity(form.text(QUANTITY.name))).transpose();
    let is_new = |at: &str| ENDS_AT.is_edited(form) && !at.is_empty();
    let ends = (ENDS.is_edited(form) || ENDS_AT.is_edited(form))
        .then(|| Ahead::read(form, (ENDS.name, ENDS_AT.name), is_new));
    let trial =
        TRIAL_ENDS_AT.is_edited(form).then(|| read_instant(form, TRIAL_ENDS_AT.name)).transpose();
    match (quantity, ends.transpose(), trial) {
        (Ok(quantity), Ok(end), Ok(trial_ends_at)) => {
            let (cancel_at, cancel_at_end_of) = match end {
                None => (None, None),
                Some(Ahead::Unsaid) => (Some(None), None),
                Some(Ahead::At(at)) => (Some(Some(at)), None),
                Some(Ahead::EndOf(period)) => (None, Some(period)),
            };
            Ok(UpdateSubscription {
                quantity,
                cancel_at,
                cancel_at_end_of,
                trial_ends_at,
                ..no_update()
            })
        }
        (quantity, end, trial) => {
            Err([quantity.err(), end.err(), trial.err()].into_iter().flatten().collect())
        }
    }
}

fn field_names(field: &str) -> Option<&'static str> {
    match field {
        "quantity" => Some(QUANTITY.name),
        "cancelAt" => Some(ENDS_AT.name),
        "cancelAtEndOf" => Some(ENDS.name),
        "trialEndsAt" => Some(TRIAL_ENDS_AT.name),
        _ => None,
    }
}

fn of_user(asked: &Asked<Editor>, user: &UserId) -> Result<Address, Problem> {
    Ok(asked.address("/user")?.with("id", user.as_str()))
}
