//! The overview: where a new environment begins, how much is used, by whom too much, and what happened
//! lately.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::id::FeatureId;
use kana_service::{AuditRow, EnvironmentKind, FeatureUsage, FirstSteps, NearLimit, TrailQuery};

use super::audit;
use super::suggestions::{self, Suggestion};
use super::usage_by_day::{UsageByDay, days_chosen, usage_by_day};
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::meter::Meter;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get};

/// How many changes are shown, and among how many entries of the audit log they are looked for.
const RECENT: usize = 5;
const RECENT_ENTRIES: usize = 50;
/// The entries that tell of no change.
const NO_CHANGES: [&str; 5] = ["signIn", "failSignIn", "refuse", "exportUsers", "exportAuditLog"];
/// How many features that are used most are shown, and in how many days.
const TOP: (u32, usize) = (30, 6);
/// How many users near a limit are shown.
const NEAR: usize = 50;
/// The width of a bar that compares features, in the drawing's unit.
const RANK_WIDTH: i128 = 240;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}", page)]
}

#[derive(Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    form: Filled,
    usage: UsageByDay,
    near: Vec<NearRow>,
    top: Vec<Rank>,
    recent: Vec<RecentChange>,
    features: Vec<Suggestion>,
    page: Address,
    audit_log: Address,
}

#[derive(Template)]
#[template(path = "overview_empty.html")]
struct FirstStepsPage {
    frame: Frame,
    steps: Vec<Step>,
    done: usize,
    is_test: bool,
}

/// A step of a newcomer.
struct Step {
    name: &'static str,
    text: &'static str,
    state: StepState,
    address: Address,
    link: &'static str,
}

/// How far a newcomer is with a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StepState {
    Done,
    /// It comes next.
    Next,
    Later,
}

impl Step {
    fn class(&self) -> &'static str {
        match self.state {
            StepState::Done => "done",
            StepState::Next => "next",
            StepState::Later => "",
        }
    }
}

/// A user near a limit.
struct NearRow {
    user: String,
    address: Address,
    feature: String,
    used: String,
    budget: String,
    meter: Meter,
}

/// A feature among those that are used most.
struct Rank {
    name: String,
    /// `None` for a feature that is gone.
    address: Option<Address>,
    number: String,
    /// Up to 240.
    width: i128,
}

/// A change as a line.
struct RecentChange {
    what: String,
    item: String,
    who: String,
    at: Instant,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let view = &asked.entrance.view;
    let frame = asked.frame("Overview", Place::Overview).await?;
    let steps = view.first_steps().await?;
    if !steps.has_usage {
        let steps = first_steps(&asked, steps, frame.may_edit())?;
        let page = FirstStepsPage {
            done: steps.iter().filter(|step| step.state == StepState::Done).count(),
            frame: frame.lead("These five steps lead to the first answer."),
            steps,
            is_test: asked.visit.environment()? == EnvironmentKind::Test,
        };
        return html(StatusCode::OK, &page);
    }
    let catalog = view.catalog().await?;
    let (form, feature) = usage_shown(&asked, &catalog);
    let feature = feature.as_ref().and_then(|id| catalog.feature(id));
    let days = days_chosen(&asked.visit.query);
    let entries = TrailQuery { limit: RECENT_ENTRIES, ..TrailQuery::default() };
    let entries = view.audit_trail(&entries).await?;
    let status = form.status();
    let page = OverviewPage {
        frame,
        form,
        usage: usage_by_day(view, feature.map(AsRef::as_ref), days).await?,
        near: near(&asked, &catalog, view.near_limits(NEAR).await?)?,
        top: top(&asked, &catalog, &view.top_features(TOP.0, TOP.1).await?)?,
        recent: recent_changes(entries.rows),
        features: suggestions::features(&catalog),
        page: asked.address("")?,
        audit_log: asked.address("/audit")?,
    };
    html(status, &page)
}

/// Reads which usage is asked for; without a feature, that of all features.
fn usage_shown(asked: &Asked<Viewer>, catalog: &Catalog) -> (Filled, Option<FeatureId>) {
    let text = asked.query("feature").trim();
    let days = days_chosen(&asked.visit.query).to_string();
    let form = Form::with([("feature", text.to_owned()), ("days", days)]);
    match suggestions::feature(catalog, text) {
        Ok(feature) if catalog.feature(&feature).is_some() => (form.into(), Some(feature)),
        _ if text.is_empty() => (form.into(), None),
        Ok(feature) => {
            let refusal = kana_core::Refusal::FeatureNotFound(feature);
            let problem = FieldProblem::of("feature", refusal.to_string());
            (Filled::with_problems(form, vec![problem]), None)
        }
        Err(invalid) => {
            let problem = FieldProblem::of_value(&invalid, |_| Some("feature"));
            (Filled::with_problems(form, vec![problem]), None)
        }
    }
}

/// Returns the name of a feature, or its id if it is gone.
fn feature_name(catalog: &Catalog, id: &FeatureId) -> String {
    catalog.feature(id).map_or(id.as_str(), |feature| feature.name.as_str()).to_owned()
}

fn near(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    near: Vec<NearLimit>,
) -> Result<Vec<NearRow>, Problem> {
    let row = |it: NearLimit| {
        // Without a budget nobody is near it.
        let (used, budget) = (it.consumption.used, it.consumption.budget.unwrap_or(0));
        Ok(NearRow {
            address: asked.address("/user")?.with("id", it.user.as_str()),
            user: it.user.as_str().to_owned(),
            feature: feature_name(catalog, &it.feature),
            used: grouped(used),
            budget: grouped(budget),
            meter: Meter { used, budget },
        })
    };
    near.into_iter().map(row).collect()
}

fn top(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    features: &[FeatureUsage],
) -> Result<Vec<Rank>, Problem> {
    let most = features.first().map_or(1, |first| i128::from(first.events).max(1));
    let rank = |usage: &FeatureUsage| {
        let is_there = catalog.feature(&usage.feature).is_some();
        let address = asked.address("/feature")?.with("id", usage.feature.as_str());
        Ok(Rank {
            name: feature_name(catalog, &usage.feature),
            address: is_there.then_some(address),
            number: grouped(usage.events),
            // What is there can be seen.
            width: (i128::from(usage.events) * RANK_WIDTH / most).max(2),
        })
    };
    features.iter().map(rank).collect()
}

impl From<AuditRow> for RecentChange {
    fn from(row: AuditRow) -> Self {
        Self {
            what: audit::what(&row.action),
            item: row.subject.unwrap_or_default(),
            who: row.actor,
            at: row.at.into(),
        }
    }
}

fn recent_changes(entries: Vec<AuditRow>) -> Vec<RecentChange> {
    let changes = entries.into_iter().filter(|row| !NO_CHANGES.contains(&row.action.as_str()));
    changes.take(RECENT).map(RecentChange::from).collect()
}

fn first_steps(
    asked: &Asked<Viewer>,
    steps: FirstSteps,
    may_edit: bool,
) -> Result<Vec<Step>, Problem> {
    let address =
        |editing: &str, reading: &str| asked.address(if may_edit { editing } else { reading });
    let all = [
        (
            steps.has_feature,
            "Create a feature",
            "A feature is what a package grants: a right that is on or off, or something counted.",
            (address("/features/new", "/features")?, "Create a feature"),
        ),
        (
            steps.has_package,
            "Create a package",
            "A package says who may use which features, and how much of them.",
            (address("/packages/new", "/packages")?, "Create a package"),
        ),
        (
            steps.has_published,
            "Publish the package",
            "Users can subscribe to published packages only.",
            (asked.address("/packages")?.with("status", "draft"), "Publish a package"),
        ),
        (
            steps.has_user,
            "Create a user",
            "With the ids of your product: one at a time here, or by your back end.",
            (address("/users/new", "/users")?, "Create a user"),
        ),
        (
            steps.has_usage,
            "Record first usage",
            "Your back end calls recordUsage. To try it, use the form on a user’s page.",
            (asked.address("/documentation")?, "See how"),
        ),
    ];
    let next = all.iter().position(|(is_done, ..)| !is_done);
    let step = |(index, (is_done, name, text, (address, link)))| Step {
        name,
        text,
        state: match is_done {
            true => StepState::Done,
            false if next == Some(index) => StepState::Next,
            false => StepState::Later,
        },
        address,
        link,
    };
    Ok(all.into_iter().enumerate().map(step).collect())
}
