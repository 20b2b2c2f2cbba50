//! What can be done for one user: record usage, subscribe, cancel.

use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::entitlement::Consumption;
use kana_core::id::{FeatureId, IdempotencyKey, PackageId, UserId};
use kana_core::refusal::InvalidValue;
use kana_core::subscribing::Subscribe;
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_core::usage::{RecordUsage, RecordedUsage, UsageAction};
use kana_core::{Refusal, Timestamp};
use kana_service::{EnvironmentView, Error, to_subscribe};

use super::confirm::ConfirmPage;
use super::suggestions;
use super::user::{Forms, show};
use super::user_form::read_id;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::Place;
use crate::nonce::NotMade;
use crate::number;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        post("/dashboard/{environment}/user/record", record),
        post("/dashboard/{environment}/user/subscribe", subscribe),
        get("/dashboard/{environment}/user/cancel", confirm_cancel),
        post("/dashboard/{environment}/user/cancel", cancel),
    ]
}

async fn record(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let user = read_id(asked.query("id"))?;
    let catalog = environment.catalog().await?;
    let filled = match read_usage(&user, &catalog, &form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok(usage) => {
            let feature = usage.feature.clone();
            match environment.record_usage(usage).await {
                Ok(recorded) => {
                    let done = done(environment, &user, &feature, recorded).await;
                    let address = asked.address("/user")?.with("id", user.as_str());
                    let address = address.with("record", feature.as_str());
                    return Ok(see_other(&address.done(done).at_top()));
                }
                Err(Error::Refused(Refusal::IdempotencyConflict)) => {
                    return Err(Problem::SentBefore);
                }
                Err(error) => Filled::refused(form, error, record_field_names)?,
            }
        }
    };
    show(&asked, environment, &user, Forms { record: filled, ..Forms::default() }).await
}

/// Says what came of usage that was recorded. It is: whether the user is over the limit now is told as far
/// as it can be seen.
async fn done(
    view: &EnvironmentView,
    user: &UserId,
    feature: &FeatureId,
    recorded: RecordedUsage,
) -> Done {
    if !recorded.recorded() {
        return Done::UsageNotRecorded;
    }
    let now = view.can_use_feature(user, feature, 0).await.ok();
    match now.and_then(|entitlement| entitlement.consumption) {
        Some(Consumption { used, budget: Some(budget), .. }) if used > budget => {
            Done::UsageRecordedOver
        }
        _ => Done::UsageRecorded,
    }
}

fn read_usage(
    user: &UserId,
    catalog: &Catalog,
    form: &Form,
) -> Result<RecordUsage, Vec<FieldProblem>> {
    let of_value = |invalid: InvalidValue| FieldProblem::of_value(&invalid, record_field_names);
    let feature: Result<FeatureId, _> =
        suggestions::feature(catalog, form.text("record-feature")).map_err(of_value);
    let delta = number::read(form.text("record-amount"))
        .map_err(|problem| FieldProblem::of("record-amount", problem));
    let action = match form.text("record-action") {
        "add" => Ok(UsageAction::Add),
        "set" => Ok(UsageAction::Set),
        _ => Err(FieldProblem::of("record-action", "Choose Add or Set.")),
    };
    // The nonce of the form makes a second click record nothing more, on whatever node.
    let key = format!("dashboard-{}", form.text("nonce"));
    let idempotency_key = IdempotencyKey::new("nonce", &key).map_err(of_value);
    match (feature, delta, action, idempotency_key) {
        (Ok(feature), Ok(delta), Ok(action), Ok(key)) => Ok(RecordUsage {
            user: user.clone(),
            feature,
            action,
            delta,
            occurred_at: None,
            idempotency_key: Some(key),
            metadata: None,
        }),
        (feature, delta, action, key) => Err([feature.err(), delta.err(), action.err(), key.err()]
            .into_iter()
            .flatten()
            .collect()),
    }
}

fn record_field_names(field: &str) -> Option<&'static str> {
    match field {
        "feature" => Some("record-feature"),
        "delta" => Some("record-amount"),
        _ => None,
    }
}

async fn subscribe(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let user = read_id(asked.query("id"))?;
    let catalog = environment.catalog().await?;
    let command = match read_subscription(&catalog, &user, &form) {
        Ok(command) => command,
        Err(problems) => {
            let subscribe = Filled::with_problems(form, problems);
            return show(&asked, environment, &user, Forms { subscribe, ..Forms::default() }).await;
        }
    };
    let address = asked.address("/user")?.with("id", user.as_str());
    let made = asked.once(&form, async || {
        environment.subscribe_to(command.clone()).await.map_err(NotMade::Service)?;
        Ok(address.done(Done::Subscribed))
    });
    match made.await {
        Ok(address) => Ok(see_other(&address.at_top())),
        Err(NotMade::Page(problem)) => Err(problem),
        Err(NotMade::Service(error)) => {
            let subscribe = Filled::refused(form, error, subscribe_field_names)?;
            show(&asked, environment, &user, Forms { subscribe, ..Forms::default() }).await
        }
    }
}

fn read_subscription(
    catalog: &Catalog,
    user: &UserId,
    form: &Form,
) -> Result<Subscribe, Vec<FieldProblem>> {
    let of_value = |invalid: InvalidValue| FieldProblem::of_value(&invalid, subscribe_field_names);
    let package = suggestions::published_package(catalog, form.text("package")).map_err(of_value);
    let quantity = match form.text("quantity").trim() {
        "" => Ok(1),
        text => read_quantity(text),
    };
    let trial_days = match form.text("trial_days").trim() {
        "" => Ok(None),
        text => {
            number::read(text).map(Some).map_err(|problem| FieldProblem::of("trial_days", problem))
        }
    };
    let instants = (read_instant(form, "started_at"), read_instant(form, "starts_at"));
    match (package, quantity, trial_days, instants) {
        (Ok(package), Ok(quantity), Ok(trial_days), (Ok(started_at), Ok(starts_at))) => {
            Ok(Subscribe {
                quantities: Some(vec![quantity]),
                started_at,
                starts_at,
                trial_days,
                cancel_at_trial_end: form.is("trial_is_all", "1"),
                ..to_subscribe(user.clone(), vec![package])
            })
        }
        (package, quantity, trial_days, (started_at, starts_at)) => {
            let of_fields = [package.err(), started_at.err(), quantity.err(), starts_at.err()];
            Err(of_fields.into_iter().flatten().chain(trial_days.err()).collect())
        }
    }
}

/// Reads an instant as [`as_rfc_3339`] takes it; `None` if the field is empty.
pub(super) fn read_instant(
    form: &Form,
    field: &'static str,
) -> Result<Option<Timestamp>, FieldProblem> {
    match form.text(field).trim() {
        "" => Ok(None),
        text => Timestamp::parse(field, &as_rfc_3339(text)).map(Some).map_err(|_| {
            let message = "Must be like 2026-11-29 09:03:11 UTC, or 2026-11-29.";
            FieldProblem::of(field, message)
        }),
    }
}

/// Reads the field `quantity`, grouped by commas or not.
pub(super) fn read_quantity(text: &str) -> Result<i64, FieldProblem> {
    number::read(text).map_err(|problem| FieldProblem::of("quantity", problem))
}

/// Takes an instant also as the pages show it, `2026-11-29 09:03:11 UTC`, with or without the zone, and a
/// day, which is its beginning.
pub(super) fn as_rfc_3339(text: &str) -> String {
    const DAY_CHARS: usize = "2026-11-29".len();
    let shown = text.strip_suffix(" UTC").unwrap_or(text);
    match shown.split_once(' ') {
        Some((day, time)) => format!("{day}T{time}Z"),
        None if shown.len() == DAY_CHARS => format!("{shown}T00:00:00Z"),
        None => text.to_owned(),
    }
}

fn subscribe_field_names(field: &str) -> Option<&'static str> {
    match field {
        "package" => Some("package"),
        "quantities" => Some("quantity"),
        "startedAt" => Some("started_at"),
        "startsAt" => Some("starts_at"),
        "trialDays" | "cancelAtTrialEnd" => Some("trial_days"),
        _ => None,
    }
}

async fn confirm_cancel(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_cancel(&asked, Filled::default()).await
}

async fn show_cancel(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let environment = &asked.entrance.environment;
    let (catalog, user, subscription) = find(asked).await?;
    if subscription.ended_at.is_some() {
        return Err(Problem::Elsewhere(asked.address("/user")?.with("id", user.as_str())));
    }
    let (_, all) = environment.subscriptions(&user).await?;
    let cancel = asked.address("/user")?.with("id", user.as_str());
    let frame = asked.frame("Cancel the subscription?", Place::Users).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), user.as_str()),
        form,
        text: what_it_does(&catalog, &user, &subscription, &all),
        act: "Cancel subscription",
        is_dangerous: true,
        action: asked
            .address("/user/cancel")?
            .with("id", user.as_str())
            .with("subscription", &subscription.id.to_string()),
        cancel,
    };
    html(status, &page)
}

fn what_it_does(
    catalog: &Catalog,
    user: &UserId,
    subscription: &Subscription,
    all: &[Subscription],
) -> String {
    let name = |id: &PackageId| {
        catalog.package(id).map_or(id.as_str(), |package| package.name.as_str()).to_owned()
    };
    let is_addon = |id: &PackageId| catalog.package(id).is_some_and(|package| package.is_addon());
    let package = name(&subscription.package);
    // One that is billed can be incomplete, too, and grants as little.
    let has_begun = |one: &Subscription| one.status != SubscriptionStatus::Incomplete;
    let mut text = if has_begun(subscription) {
        format!("{user} loses what {package} grants, at once.")
    } else {
        format!("{package} grants {user} nothing yet, and never will.")
    };
    let addons = all.iter().filter(|other| {
        let goes_with_it = !is_addon(&subscription.package) && is_addon(&other.package);
        goes_with_it && other.ended_at.is_none() && has_begun(other) && has_begun(subscription)
    });
    let addons: Vec<String> = addons.map(|addon| name(&addon.package)).collect();
    if !addons.is_empty() {
        text.push_str(" The user’s add-ons end with it: ");
        text.push_str(&addons.join(", "));
        text.push('.');
    }
    text
}

async fn cancel(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (_, user, subscription) = find(&asked).await?;
    let environment = &asked.entrance.environment;
    match environment.cancel_subscription(&subscription.id.to_string()).await {
        Ok(_) => {
            let address = asked.address("/user")?.with("id", user.as_str());
            Ok(see_other(&address.done(Done::SubscriptionCancelled)))
        }
        Err(error) => show_cancel(&asked, Filled::refused(form, error, |_| None)?).await,
    }
}

/// Returns the subscription that the address names, of the user whom it names.
pub(super) async fn find(
    asked: &Asked<Editor>,
) -> Result<(std::sync::Arc<Catalog>, UserId, Subscription), Problem> {
    let found = asked.entrance.environment.subscription(asked.query("subscription")).await?;
    if found.1.as_str() != asked.query("id") {
        return Err(Refusal::SubscriptionNotFound(found.2.id.to_string()).into());
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_taken_as_the_pages_show_it() {
        for text in ["2026-11-29 09:03:11 UTC", "2026-11-29 09:03:11", "2026-11-29T09:03:11Z"] {
            let read = Timestamp::parse("at", &as_rfc_3339(text)).unwrap();
            assert_eq!(read.to_string(), "2026-11-29T09:03:11.000Z");
        }
        let day = Timestamp::parse("at", &as_rfc_3339("2026-11-29")).unwrap();
        assert_eq!(day.to_string(), "2026-11-29T00:00:00.000Z");
        for bad in ["yesterday", "2026-11-29 9 UTC", "29.11.2026", "2026-13-01"] {
            assert!(Timestamp::parse("at", &as_rfc_3339(bad)).is_err(), "{bad}");
        }
    }
}
