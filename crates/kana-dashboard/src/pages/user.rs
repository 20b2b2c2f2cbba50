//! One user: subscriptions, what the user may use and why, and usage by period.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::entitlement::{Consumption, Entitlement};
use kana_core::id::{FeatureId, UserId};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use kana_service::{EnvironmentView, FeatureEntitlement, UserOverview};

use super::draws;
use super::grant_rows::{self, GrantRow};
use super::hold_rows::{self, HoldRow};
use super::list::Pages;
use super::metadata;
use super::override_rows::{self, OverrideRow, first_override};
use super::suggestions::{self, Suggestion};
use super::usage_by_period::usage_by_period;
use super::user_form::read_id;
use super::users::text;
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::chart::Chart;
use crate::entrance::Viewer;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::meter::Meter;
use crate::nonce;
use crate::number::{self, grouped};
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/user", page)]
}

#[derive(Template)]
#[template(path = "user.html")]
struct UserPage {
    frame: Frame,
    facts: Vec<Fact>,
    metadata: String,
    subscriptions: Vec<SubscriptionRow>,
    /// Whether one of them was ever for more than one of its package.
    has_quantities: bool,
    has_more_subscriptions: bool,
    entitlements: Vec<EntitlementRow>,
    overrides: Vec<OverrideRow>,
    grants: Vec<GrantRow>,
    holds: Vec<HoldRow>,
    has_more_holds: bool,
    pages: Pages,
    /// Usage by period, if the user has used anything that is counted.
    usage: Option<Chart>,
    forms: Forms,
    features: Vec<Suggestion>,
    packages: Vec<Suggestion>,
    nonces: [String; 3],
    user_id: String,
    addresses: Addresses,
}

/// The forms of the page, each as it is to be shown.
pub(super) struct Forms {
    pub(super) check: Filled,
    /// What the check was answered.
    pub(super) answer: Option<Entitlement>,
    pub(super) record: Filled,
    pub(super) subscribe: Filled,
    /// Sets an override.
    pub(super) overriding: Filled,
    /// Gives a grant.
    pub(super) granting: Filled,
    /// Chooses the feature whose usage is shown.
    pub(super) usage: Filled,
}

impl Forms {
    /// Returns true if a field of the form Subscribe was used that is folded away.
    fn more_of_subscribe(&self) -> bool {
        let is_used = |field: &&str| {
            !self.subscribe.text(field).is_empty() || !self.subscribe.problem(field).is_empty()
        };
        ["quantity", "starts_at", "trial_days", "trial_is_all"].iter().any(is_used)
    }
}

/// Where the forms and links of the page lead.
struct Addresses {
    page: Address,
    edit: Address,
    events: Address,
    record: Address,
    subscribe: Address,
    overriding: Address,
    granting: Address,
}

/// Something under the heading.
struct Fact {
    /// Empty where the value says what it is.
    name: &'static str,
    value: String,
    is_id: bool,
}

struct SubscriptionRow {
    package: String,
    address: Address,
    quantity: String,
    status: Status,
    started_at: Instant,
    ended_at: Option<Instant>,
    /// When its trial ends, while it is on trial.
    trial_ends_at: Option<Instant>,
    /// When it ends, if that lies ahead.
    cancel_at: Option<Instant>,
    /// Where it is changed and where it is cancelled; `None` if it has ended.
    change: Option<[Address; 2]>,
}

/// The status of a subscription as people read it.
#[derive(Debug, Clone, Copy)]
struct Status(SubscriptionStatus);

struct EntitlementRow {
    /// Its place in the table: what is granted comes first.
    key: String,
    feature: String,
    /// What it draws on; empty if it draws on nothing.
    balance: String,
    address: Address,
    explain: Address,
    access: bool,
    used: Option<String>,
    /// What is held for jobs; empty if nothing is.
    held: String,
    meter: Option<Meter>,
    budget: Option<String>,
    resets: Resets,
    reason: &'static str,
}

enum Resets {
    Never,
    At(Instant),
    /// There is no usage.
    Nothing,
}

impl Default for Forms {
    fn default() -> Self {
        let check = Form::with([("check-amount", "1".to_owned())]);
        Self {
            check: check.into(),
            answer: None,
            record: Form::with(first_record()).into(),
            subscribe: Filled::default(),
            overriding: first_override().into(),
            granting: Filled::default(),
            usage: Filled::default(),
        }
    }
}

/// Returns what stands in the form that records usage to begin with.
fn first_record() -> [(&'static str, String); 2] {
    [("record-amount", "1".to_owned()), ("record-action", "add".to_owned())]
}

impl Forms {
    /// Returns the status of a page with these forms.
    fn status(&self) -> StatusCode {
        let all = [
            &self.check,
            &self.record,
            &self.subscribe,
            &self.overriding,
            &self.granting,
            &self.usage,
        ];
        let statuses = all.into_iter().map(Filled::status);
        statuses.max().unwrap_or(StatusCode::OK)
    }
}

impl Status {
    fn name(self) -> &'static str {
        match self.0 {
            SubscriptionStatus::Active => "Active",
            SubscriptionStatus::Trialing => "Trialing",
            SubscriptionStatus::Cancelled => "Cancelled",
            SubscriptionStatus::PastDue => "Past due",
            SubscriptionStatus::Unpaid => "Unpaid",
            SubscriptionStatus::Incomplete => "Incomplete",
            SubscriptionStatus::IncompleteExpired => "Incomplete, expired",
        }
    }

    /// Returns the class of its badge.
    fn class(self) -> &'static str {
        match self.0 {
            SubscriptionStatus::Active => "good",
            SubscriptionStatus::Trialing => "info",
            SubscriptionStatus::Cancelled | SubscriptionStatus::IncompleteExpired => "",
            SubscriptionStatus::PastDue | SubscriptionStatus::Incomplete => "warn",
            SubscriptionStatus::Unpaid => "bad",
        }
    }
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let view = &asked.entrance.view;
    let user = read_id(asked.query("id"))?;
    let mut forms = Forms::default();
    if let Ok(feature) = FeatureId::new("feature", asked.query("record"))
        && view.catalog().await?.feature(&feature).is_some()
    {
        let feature = ("record-feature", feature.as_str().to_owned());
        forms.record = Form::with(first_record().into_iter().chain([feature])).into();
    }
    if asked.visit.query.has("check-feature") {
        (forms.check, forms.answer) = check(&asked, view, &user).await?;
    }
    show(&asked, view, &user, forms).await
}

/// Answers the form that checks access. It changes nothing, so it is a part of the address.
async fn check(
    asked: &Asked<Viewer>,
    view: &EnvironmentView,
    user: &UserId,
) -> Result<(Filled, Option<Entitlement>), Problem> {
    let fields = ["check-feature", "check-amount"];
    let form = Form::with(fields.map(|name| (name, asked.query(name).to_owned())));
    let feature = suggestions::feature(&*view.catalog().await?, form.text("check-feature"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, check_field_names));
    let amount = number::read(form.text("check-amount"))
        .map_err(|problem| FieldProblem::of("check-amount", problem));
    let (feature, amount) = match (feature, amount) {
        (Ok(feature), Ok(amount)) => (feature, amount),
        (feature, amount) => {
            let problems = [feature.err(), amount.err()].into_iter().flatten().collect();
            return Ok((Filled::with_problems(form, problems), None));
        }
    };
    match view.can_use_feature(user, &feature, amount).await {
        Ok(entitlement) => Ok((form.into(), Some(entitlement))),
        Err(error) => Ok((Filled::refused(form, error, check_field_names)?, None)),
    }
}

fn check_field_names(field: &str) -> Option<&'static str> {
    match field {
        "feature" => Some("check-feature"),
        "delta" => Some("check-amount"),
        _ => None,
    }
}

/// Shows the page with these forms.
pub(super) async fn show<E>(
    asked: &Asked<E>,
    view: &EnvironmentView,
    id: &UserId,
    mut forms: Forms,
) -> Result<Response, Problem> {
    let usage_of = match asked.query("usage-of").trim() {
        "" => None,
        text => {
            let form = Form::with([("usage-of", text.to_owned())]);
            let (filled, feature) = read_usage_of(view, form).await?;
            forms.usage = filled;
            feature
        }
    };
    let overview = view.user_overview(id, usage_of).await?;
    let user = &overview.user;
    let page = asked.address("/user")?.with("id", user.id.as_str());
    let name = text(user.name.as_ref());
    let title = if name.is_empty() { user.id.as_str().to_owned() } else { name };
    let frame = asked.frame(title, Place::Users).await?;
    let frame = frame.under(asked.address("/users")?, "Users");
    let (entitlements, pages) = entitlements(asked, &overview, &page)?;
    if let (Some((feature, _)), false) = (&overview.usage, asked.visit.query.has("usage-of")) {
        forms.usage = Form::with([("usage-of", feature.as_str().to_owned())]).into();
    }
    let status = forms.status();
    let may_edit = frame.may_edit();
    let overrides = overview
        .overrides
        .iter()
        .map(|known| override_rows::row(asked, &overview.catalog, &user.id, (known, may_edit)));
    let grants = overview
        .grants
        .iter()
        .map(|known| (known, overview.now, may_edit))
        .map(|of| grant_rows::row(asked, &overview.catalog, &user.id, of));
    let holds = overview
        .holds
        .iter()
        .take(hold_rows::LISTED)
        .map(|known| hold_rows::row(asked, &overview.catalog, &user.id, (known, may_edit)));
    let page = UserPage {
        facts: facts(&overview),
        metadata: metadata::written(user.metadata.as_ref()),
        subscriptions: subscriptions(asked, &overview, frame.may_edit())?,
        has_quantities: overview
            .subscriptions
            .iter()
            .any(|subscription| !subscription.quantities.is_always_one()),
        has_more_subscriptions: overview.has_more_subscriptions,
        entitlements,
        overrides: overrides.collect::<Result<_, _>>()?,
        grants: grants.collect::<Result<_, _>>()?,
        holds: holds.collect::<Result<_, _>>()?,
        has_more_holds: overview.holds.len() > hold_rows::LISTED,
        pages,
        usage: overview.usage.as_ref().and_then(|(feature, history)| {
            // The usage of a feature that draws on another is that of its balance.
            let balance = overview.catalog.feature(feature)?.balance();
            usage_by_period(overview.catalog.feature(balance)?, history)
        }),
        forms,
        features: suggestions::features(&overview.catalog),
        packages: match frame.may_edit() {
            true => suggestions::published_packages(&overview.catalog),
            false => Vec::new(),
        },
        nonces: [nonce::new()?, nonce::new()?, nonce::new()?],
        addresses: Addresses::of(asked, page, &user.id)?,
        user_id: user.id.as_str().to_owned(),
        frame,
    };
    html(status, &page)
}

/// Reads the feature whose usage is to be shown.
async fn read_usage_of(
    view: &EnvironmentView,
    form: Form,
) -> Result<(Filled, Option<FeatureId>), Problem> {
    let catalog = view.catalog().await?;
    let names = |_: &str| Some("usage-of");
    let problem = match suggestions::feature(&catalog, form.text("usage-of")) {
        Ok(feature) if catalog.feature(&feature).is_some() => {
            return Ok((form.into(), Some(feature)));
        }
        Ok(feature) => {
            let refusal = kana_core::Refusal::FeatureNotFound(feature);
            return Ok((Filled::refused(form, refusal.into(), names)?, None));
        }
        Err(invalid) => FieldProblem::of_value(&invalid, names),
    };
    Ok((Filled::with_problems(form, vec![problem]), None))
}

impl Addresses {
    fn of<E>(asked: &Asked<E>, page: Address, id: &UserId) -> Result<Self, Problem> {
        let of_user = |path: &str| Ok::<_, Problem>(asked.address(path)?.with("id", id.as_str()));
        Ok(Self {
            page,
            edit: of_user("/user/edit")?,
            events: of_user("/user/events")?,
            record: of_user("/user/record")?,
            subscribe: of_user("/user/subscribe")?,
            overriding: of_user("/user/override")?,
            granting: of_user("/user/grant")?,
        })
    }
}

fn facts(overview: &UserOverview) -> Vec<Fact> {
    let user = &overview.user;
    let fact = |name, value, is_id| Fact { name, value, is_id };
    let facts = [
        fact("", user.id.as_str().to_owned(), true),
        fact("", text(user.email.as_ref()), false),
        fact("Billing id", text(user.billing_id.as_ref()), true),
    ];
    facts.into_iter().filter(|fact| !fact.value.is_empty()).collect()
}

fn subscriptions<E>(
    asked: &Asked<E>,
    overview: &UserOverview,
    may_edit: bool,
) -> Result<Vec<SubscriptionRow>, Problem> {
    let row = |subscription: &Subscription| {
        let package = overview.catalog.package(&subscription.package);
        let id = subscription.id.to_string();
        let of_it = |path: &str| {
            let address = asked.address(path)?.with("id", overview.user.id.as_str());
            Ok::<_, Problem>(address.with("subscription", &id))
        };
        let change = [of_it("/user/subscription")?, of_it("/user/cancel")?];
        Ok(SubscriptionRow {
            package: package
                .map_or(subscription.package.as_str(), |package| package.name.as_str())
                .to_owned(),
            address: asked.address("/package")?.with("id", subscription.package.as_str()),
            quantity: grouped(i64::from(subscription.quantities.current().get())),
            status: Status(subscription.status),
            started_at: subscription.started_at.into(),
            ended_at: subscription.ended_at.map(Instant::from),
            trial_ends_at: subscription
                .timing
                .trial_ends_at
                .filter(|_| subscription.status == SubscriptionStatus::Trialing)
                .map(Instant::from),
            cancel_at: subscription.cancel_at().map(Instant::from),
            change: (may_edit && subscription.ended_at.is_none()).then_some(change),
        })
    };
    overview.subscriptions.iter().map(row).collect()
}

/// Returns a page of the user's entitlements: what is granted comes first, then the rest, each by id.
fn entitlements<E>(
    asked: &Asked<E>,
    overview: &UserOverview,
    page: &Address,
) -> Result<(Vec<EntitlementRow>, Pages), Problem> {
    let rows = overview.entitlements.iter().map(|entitled| entitlement(asked, overview, entitled));
    let mut rows = rows.collect::<Result<Vec<_>, Problem>>()?;
    rows.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Pages::cut(
        rows,
        |row| row.key.as_str(),
        asked.query("after"),
        page,
        "50 features a page, those that are granted first",
    ))
}

fn entitlement<E>(
    asked: &Asked<E>,
    overview: &UserOverview,
    FeatureEntitlement { feature: id, entitlement, resets_at }: &FeatureEntitlement,
) -> Result<EntitlementRow, Problem> {
    let is_granted = entitlement.access || entitlement.consumption.is_some();
    let feature = overview.catalog.feature(id);
    let consumption = entitlement.consumption;
    Ok(EntitlementRow {
        key: format!("{} {id}", if is_granted { "1" } else { "2" }),
        feature: feature.map_or(id.as_str(), |feature| feature.name.as_str()).to_owned(),
        balance: feature
            .map(|feature| draws::balance_name(&overview.catalog, feature))
            .unwrap_or_default(),
        address: asked.address("/feature")?.with("id", id.as_str()),
        explain: asked
            .address("/user/explain")?
            .with("id", overview.user.id.as_str())
            .with("feature", id.as_str()),
        access: entitlement.access,
        used: consumption.map(|consumption| grouped(consumption.used)),
        held: consumption
            .map(|consumption| consumption.held())
            .filter(|held| *held > 0)
            .map(grouped)
            .unwrap_or_default(),
        meter: consumption.and_then(|Consumption { used, budget, .. }| {
            budget.map(|budget| Meter { used, budget })
        }),
        budget: consumption.map(|consumption| match consumption.budget {
            Some(budget) => grouped(budget),
            None => "Unlimited".to_owned(),
        }),
        resets: match (consumption, resets_at) {
            (None, _) => Resets::Nothing,
            (Some(_), None) => Resets::Never,
            (Some(_), Some(at)) => Resets::At((*at).into()),
        },
        reason: entitlement.reason.sentence(),
    })
}
