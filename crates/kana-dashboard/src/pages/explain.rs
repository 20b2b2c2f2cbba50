//! Why a user may or may not use a feature: the answer, what counts, and the parts of the budget.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::Refusal;
use kana_core::catalog::Catalog;
use kana_core::entitlement::Consumption;
use kana_core::explain::{BudgetPart, BudgetPartKind, Explanation, PartId, Source};
use kana_core::grant::Grant;
use kana_core::id::{FeatureId, SubscriptionId};
use kana_core::subscription::Subscription;

use super::user_form::read_id;
use super::users::text;
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get};
use crate::stacked::{Stacked, colour};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/user/explain", page)]
}

#[derive(Template)]
#[template(path = "explain.html")]
struct ExplainPage {
    frame: Frame,
    access: bool,
    reason: &'static str,
    code: &'static str,
    /// What counts; `None` if nothing does.
    source: Option<SourceShown>,
    amounts: Option<Amounts>,
    parts: Vec<PartRow>,
    /// The parts as a bar; `None` if there is no budget.
    stacked: Option<Stacked>,
    period: Option<(Instant, Option<Instant>)>,
    feature: Address,
    /// What the feature draws on, and how much of it was asked for; `None` if it draws on nothing.
    balance: Option<Balance>,
}

struct Balance {
    name: String,
    address: Address,
    amount: String,
}

struct SourceShown {
    kind: &'static str,
    name: String,
    address: Option<Address>,
}

struct Amounts {
    used: String,
    /// Empty if nothing is held.
    held: String,
    budget: String,
    left: String,
    overage: &'static str,
}

struct PartRow {
    colour: usize,
    kind: &'static str,
    from: String,
    amount: String,
    /// What stands below the bar; empty for a part that is not seen there.
    legend: String,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let view = &asked.entrance.view;
    let user = read_id(asked.query("id"))?;
    let feature = FeatureId::new("feature", asked.query("feature")).map_err(Refusal::from)?;
    let explained = view.explain_feature(&user, &feature, 1).await?;
    let known = view.user(&user).await?;
    let (catalog, subscriptions) = view.subscriptions(&user).await?;
    let (grants, _) = view.grants(&user, &explained.balance).await?;
    let overrides = view.overrides(&user).await?;
    let is_overridden = overrides.iter().any(|known| known.feature == explained.balance);
    let source = explained.source.map(|source| shown(&asked, &catalog, &subscriptions, source));
    let source = source.transpose()?;
    let consumption = explained.entitlement.consumption;
    let name = text(known.name.as_ref());
    let parent = asked.address("/user")?.with("id", user.as_str());
    let title = catalog.feature(&feature).map_or(feature.as_str(), |it| it.name.as_str());
    let page = ExplainPage {
        access: explained.entitlement.access,
        reason: explained.entitlement.reason.sentence(),
        code: explained.entitlement.reason.code(),
        amounts: consumption.map(amounts),
        parts: parts(
            &asked,
            &catalog,
            &subscriptions,
            &Explained { explained: &explained, grants: &grants, is_overridden },
        )?,
        stacked: stacked(&explained),
        period: explained.period.map(|at| (at.start.into(), at.end.map(Instant::from))),
        feature: asked.address("/feature")?.with("id", feature.as_str()),
        balance: balance(&asked, &catalog, &feature, &explained)?,
        source,
        frame: asked
            .frame(title, Place::Users)
            .await?
            .under(parent, if name.is_empty() { user.as_str().to_owned() } else { name })
            .lead("Whether the user may use one more, and what that follows from."),
    };
    html(StatusCode::OK, &page)
}

fn balance(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    feature: &FeatureId,
    explained: &Explanation,
) -> Result<Option<Balance>, Problem> {
    let id = &explained.balance;
    if id == feature {
        return Ok(None);
    }
    Ok(Some(Balance {
        name: catalog.feature(id).map_or(id.as_str(), |known| known.name.as_str()).to_owned(),
        address: asked.address("/feature")?.with("id", id.as_str()),
        amount: grouped(explained.amount),
    }))
}

fn shown(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    subscriptions: &[Subscription],
    source: Source,
) -> Result<SourceShown, Problem> {
    match source {
        Source::Subscription(subscription) => {
            let found = subscriptions.iter().find(|known| known.id == subscription);
            let package = found.and_then(|found| catalog.package(&found.package));
            let address = package.map(|package| {
                Ok::<_, Problem>(asked.address("/package")?.with("id", package.id.as_str()))
            });
            let mut name = match package {
                Some(package) => package.name.as_str().to_owned(),
                None => subscription.to_string(),
            };
            let quantity = found.map_or(1, |found| found.quantities.current().get());
            if quantity != 1 {
                name.push_str(&format!(" × {}", grouped(i64::from(quantity))));
            }
            Ok(SourceShown { kind: "Subscription", name, address: address.transpose()? })
        }
        Source::Override(_) => Ok(override_shown()),
        Source::Grants(_) => {
            Ok(SourceShown { kind: "Grants", name: "of this user".to_owned(), address: None })
        }
    }
}

fn override_shown() -> SourceShown {
    SourceShown { kind: "Override", name: "of this user".to_owned(), address: None }
}

fn amounts(consumption: Consumption) -> Amounts {
    let or_unlimited = |amount: Option<i64>| amount.map_or("Unlimited".to_owned(), grouped);
    Amounts {
        used: grouped(consumption.used),
        held: if consumption.held() > 0 { grouped(consumption.held()) } else { String::new() },
        budget: or_unlimited(consumption.budget),
        left: or_unlimited(consumption.remaining()),
        overage: if consumption.overage_enabled { "Allowed" } else { "Not allowed" },
    }
}

/// An explanation, with what is known of its parts.
struct Explained<'a> {
    explained: &'a Explanation,
    /// The user's grants of the feature that counts.
    grants: &'a [Grant],
    /// Whether the user has an override of it, whose limit counts in the place of a subscription's.
    is_overridden: bool,
}

fn parts(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    subscriptions: &[Subscription],
    &Explained { explained, grants, is_overridden }: &Explained<'_>,
) -> Result<Vec<PartRow>, Problem> {
    let row = |(place, part): (usize, &BudgetPart)| {
        let (kind, source) = match part.kind {
            BudgetPartKind::Allowance => ("Allowance", explained.source),
            BudgetPartKind::Carried => ("Carried", None),
            BudgetPartKind::Added => ("Added", added(&part.id)),
            BudgetPartKind::Grant => ("Grant", None),
        };
        let shown = |source| match source {
            Source::Subscription(_) if is_overridden => Ok(override_shown()),
            source => shown(asked, catalog, subscriptions, source),
        };
        let (from, name) = match source.map(shown).transpose()? {
            Some(source) => (format!("{} {}", source.kind, source.name), kind.to_owned()),
            None if part.kind == BudgetPartKind::Carried => {
                ("Earlier periods".to_owned(), kind.to_owned())
            }
            None => {
                let name = name_of_grant(grants, &part.id);
                (name.clone(), name)
            }
        };
        let amount = part.amount.map_or("Unlimited".to_owned(), grouped);
        let legend = match part.amount {
            Some(0) => String::new(),
            _ => format!("{name}: {amount}"),
        };
        Ok(PartRow { colour: colour(place), kind, from, amount, legend })
    };
    explained.parts.iter().enumerate().map(row).collect()
}

/// Returns what people know a grant by: the reason or, without one, its start.
fn name_of_grant(grants: &[Grant], id: &PartId) -> String {
    let found = grants.iter().find(|grant| *id == PartId::Grant(grant.id.clone()));
    match found.map(|grant| (&grant.reason, grant.starts_at)) {
        Some((Some(reason), _)) => reason.as_str().to_owned(),
        Some((None, starts_at)) => format!("From {}", Instant::from(starts_at).as_text()),
        None => "No longer kept".to_owned(),
    }
}

fn added(id: &PartId) -> Option<Source> {
    match id {
        PartId::Source(id) => Some(Source::Subscription(SubscriptionId(*id))),
        PartId::Grant(_) | PartId::ForgottenGrant(_) => None,
    }
}

/// Returns `None` for a budget without a limit, which no bar can show.
fn stacked(explained: &Explanation) -> Option<Stacked> {
    let consumption = explained.entitlement.consumption?;
    let (used, held) = (consumption.used, consumption.held());
    let parts: Option<Vec<i64>> = explained.parts.iter().map(|part| part.amount).collect();
    parts.filter(|parts| !parts.is_empty()).map(|parts| Stacked { parts, used, held })
}
