//! One feature: what it is, which packages have it, how much of it is used, and how to change or delete it.

use askama::Template;
use axum::response::Response;
use kana_core::Refusal;
use kana_core::catalog::{Catalog, Feature, PackageFeature, PackageStatus, Stacking};
use kana_core::catalog_command::FeatureEdit;
use kana_core::id::FeatureId;
use kana_core::metadata::Label;
use kana_core::period::{Reset, ResetAnchor, ResetPeriod};
use kana_service::EnvironmentView;

use super::confirm::ConfirmPage;
use super::draws;
use super::features::{field_names, kind_name, unit};
use super::metadata;
use super::thresholds;
use super::usage_by_day::{UsageByDay, days_chosen, usage_by_day};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::{Editor, Viewer};
use crate::form::{self, EditedField, FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get, post};

/// The fields that can be changed.
const FIELDS: [EditedField; 6] = [
    EditedField { name: "name", was: "was-name", label: "Name" },
    EditedField { name: "unit", was: "was-unit", label: "Unit" },
    EditedField { name: "units", was: "was-units", label: "Unit, plural" },
    EditedField { name: "thresholds", was: "was-thresholds", label: "Thresholds" },
    EditedField { name: "cost", was: "was-cost", label: "Cost" },
    EditedField { name: "metadata", was: "was-metadata", label: "Metadata" },
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/feature", page),
        post("/dashboard/{environment}/feature", save),
        get("/dashboard/{environment}/feature/delete", confirm_delete),
        post("/dashboard/{environment}/feature/delete", delete),
    ]
}

#[derive(Template)]
#[template(path = "feature.html")]
struct FeaturePage {
    frame: Frame,
    form: Filled,
    packages: Vec<Row>,
    /// The hidden fields: names and values.
    hidden: Vec<(&'static str, String)>,
    identifier: String,
    kind: &'static str,
    is_consumable: bool,
    /// What it draws on; empty if it draws on nothing.
    balance: String,
    may_delete: bool,
    id: String,
    /// Which usage is shown.
    shown: Filled,
    usage: UsageByDay,
    page: Address,
    action: Address,
    delete: Address,
}

/// A package that has the feature.
struct Row {
    address: Address,
    name: String,
    status: Status,
    limit: String,
    resets: String,
}

/// The status of a package as people read it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Status(pub(super) PackageStatus);

impl Status {
    pub(super) fn name(self) -> &'static str {
        match self.0 {
            PackageStatus::Draft => "Draft",
            PackageStatus::Published => "Published",
            PackageStatus::Archived => "Archived",
        }
    }

    /// Returns the class of its badge.
    pub(super) fn class(self) -> &'static str {
        match self.0 {
            PackageStatus::Draft => "info",
            PackageStatus::Published => "good",
            PackageStatus::Archived => "",
        }
    }
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let view = &asked.entrance.view;
    let (catalog, id) = find(view, asked.query("id")).await?;
    let feature = feature(&catalog, &id)?;
    show(&asked, view, &catalog, feature, filled_in(feature).into()).await
}

async fn show<E>(
    asked: &Asked<E>,
    view: &EnvironmentView,
    catalog: &Catalog,
    feature: &Feature,
    form: Filled,
) -> Result<Response, Problem> {
    let list = asked.address("/features")?;
    let rows = catalog.packages().filter_map(|package| {
        let inside = package.features.get(&feature.id)?;
        let address = asked.address("/package").ok()?.with("id", package.id.as_str());
        Some(Row {
            address,
            name: package.name.as_str().to_owned(),
            status: Status(package.status),
            limit: limit(feature, inside),
            resets: resets(feature, inside),
        })
    });
    let packages: Vec<Row> = rows.collect();
    let frame = asked.frame(feature.name.as_str(), Place::Features).await?;
    let is_drawn_on = catalog.drawing_on(|balance| *balance == feature.id).next().is_some();
    let may_delete = frame.may_edit()
        && packages.is_empty()
        && !is_drawn_on
        && !view.feature_is_kept(&feature.id).await?;
    let (id, status) = (feature.id.as_str(), form.status());
    let days = days_chosen(&asked.visit.query);
    let page = FeaturePage {
        frame: frame.under(list, "Features"),
        hidden: FIELDS.iter().map(|field| (field.was, form.text(field.was).to_owned())).collect(),
        form: form.labelled(|field| form::label_of(&FIELDS, field)),
        identifier: id.to_owned(),
        kind: kind_name(feature),
        packages,
        is_consumable: !feature.is_binary(),
        balance: draws::balance_name(catalog, feature),
        may_delete,
        id: id.to_owned(),
        shown: Form::with([("days", days.to_string())]).into(),
        usage: usage_by_day(view, Some(feature), days).await?,
        page: asked.address("/feature")?,
        action: asked.address("/feature")?.with("id", id),
        delete: asked.address("/feature/delete")?.with("id", id),
    };
    html(status, &page)
}

pub(super) fn limit(feature: &Feature, inside: &PackageFeature) -> String {
    match inside.allowance.limit {
        _ if !feature.has_amount() => "–".to_owned(),
        Some(limit) if inside.allowance.stacking == Stacking::Add => {
            format!("{}, added", grouped(limit))
        }
        Some(limit) => grouped(limit),
        None => "Unlimited".to_owned(),
    }
}

pub(super) fn resets(feature: &Feature, inside: &PackageFeature) -> String {
    if !feature.has_amount() {
        return "–".to_owned();
    }
    let mut words = resets_in_words(inside.allowance.reset());
    if let Some(rollover) = inside.allowance.rollover {
        let (periods, s) = (rollover.periods(), if rollover.periods() == 1 { "" } else { "s" });
        words.push_str(&format!(", carried for {periods} period{s}"));
        if let Some(max) = rollover.max() {
            words.push_str(&format!(", at most {}", grouped(max)));
        }
    }
    words
}

/// Returns when usage starts again, as a cell of a table has it.
pub(super) fn resets_in_words(reset: Option<Reset>) -> String {
    let Some(reset) = reset else { return "Never".to_owned() };
    let every = match reset.period {
        ResetPeriod::Minute => "Every minute",
        ResetPeriod::Hour => "Every hour",
        ResetPeriod::Day => "Every day",
        ResetPeriod::Week => "Every week",
        ResetPeriod::Month => "Every month",
        ResetPeriod::Year => "Every year",
    };
    match reset.anchor {
        ResetAnchor::Subscription => every.to_owned(),
        ResetAnchor::Calendar => format!("{every}, by the calendar"),
    }
}

/// Fills the form in with the feature as it is.
fn filled_in(feature: &Feature) -> Form {
    let (unit, units) = feature.unit_labels();
    let values = [
        feature.name.as_str().to_owned(),
        unit.unwrap_or_default().to_owned(),
        units.unwrap_or_default().to_owned(),
        thresholds::written(feature.thresholds()),
        feature.draws().map(|draw| grouped(draw.cost.get())).unwrap_or_default(),
        metadata::written(feature.metadata.as_ref()),
    ];
    let fields = FIELDS.iter().zip(values);
    Form::with(fields.flat_map(|(field, value)| [(field.name, value.clone()), (field.was, value)]))
}

async fn save(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let (catalog, id) = find(environment, asked.query("id")).await?;
    let address = asked.address("/feature")?.with("id", id.as_str());
    let stored = filled_in(feature(&catalog, &id)?);
    let differences = form::differences(&form, &stored, &FIELDS);
    if !differences.is_empty() {
        let filled = Filled::from(form.begun_with(&stored, &FIELDS)).with_conflict(differences);
        return show(&asked, environment, &catalog, feature(&catalog, &id)?, filled).await;
    }
    let filled = match read(&form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok(edit) => match environment.update_feature(id.clone(), edit).await {
            Ok(_) => return Ok(see_other(&address.done(Done::FeatureSaved))),
            Err(error) => Filled::refused(form, error, field_names)?,
        },
    };
    show(&asked, environment, &catalog, feature(&catalog, &id)?, filled).await
}

/// Reads what was changed in the form, so that what somebody else changed meanwhile stays.
fn read(form: &Form) -> Result<FeatureEdit, Vec<FieldProblem>> {
    let [name_field, unit_field, units_field, thresholds_field, cost_field, metadata_field] =
        FIELDS;
    let name = Label::new("name", form.text("name"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
    let (unit_label, unit_label_plural) = (unit(form, "unit"), unit(form, "units"));
    let thresholds = thresholds::read(form.text("thresholds"));
    let cost = cost_field.is_edited(form).then(|| draws::cost(form.text("cost"))).transpose();
    let metadata = metadata::read(form.text("metadata"));
    match (name, unit_label, unit_label_plural, thresholds, cost, metadata) {
        (
            Ok(name),
            Ok(unit_label),
            Ok(unit_label_plural),
            Ok(thresholds),
            Ok(cost),
            Ok(metadata),
        ) => Ok(FeatureEdit {
            name: name_field.is_edited(form).then_some(name),
            unit_label: unit_field.edit(form, unit_label),
            unit_label_plural: units_field.edit(form, unit_label_plural),
            thresholds: thresholds_field.is_edited(form).then_some(thresholds),
            cost,
            metadata: metadata_field.edit(form, metadata),
        }),
        (name, one, other, thresholds, cost, metadata) => {
            let problems =
                [name.err(), one.err(), other.err(), thresholds.err(), cost.err(), metadata.err()];
            Err(problems.into_iter().flatten().collect())
        }
    }
}

async fn confirm_delete(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_delete(&asked, Filled::default()).await
}

async fn show_delete(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let environment = &asked.entrance.environment;
    let (catalog, id) = find(environment, asked.query("id")).await?;
    let feature = feature(&catalog, &id)?;
    let cancel = asked.address("/feature")?.with("id", id.as_str());
    let frame = asked.frame(format!("Delete {}?", feature.name.as_str()), Place::Features).await?;
    let status = form.status();
    let page = ConfirmPage {
        frame: frame.under(cancel.clone(), feature.name.as_str()),
        form,
        text: "The feature goes for good. Only a feature that no package has, that no other draws on and \
               that was never used can be deleted.".to_owned(),
        act: "Delete feature",
        is_dangerous: true,
        action: asked.address("/feature/delete")?.with("id", id.as_str()),
        cancel,
    };
    html(status, &page)
}

async fn delete(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let (_, id) = find(environment, asked.query("id")).await?;
    match environment.delete_feature(id).await {
        Ok(()) => Ok(see_other(&asked.address("/features")?.done(Done::FeatureDeleted))),
        Err(error) => show_delete(&asked, Filled::refused(form, error, |_| None)?).await,
    }
}

/// Returns the catalog and the id of the feature that the address names.
async fn find(
    view: &EnvironmentView,
    id: &str,
) -> Result<(std::sync::Arc<Catalog>, FeatureId), Problem> {
    let id = FeatureId::new("id", id).map_err(|_| Problem::NotFound)?;
    Ok((view.catalog().await?, id))
}

fn feature<'a>(catalog: &'a Catalog, id: &FeatureId) -> Result<&'a Feature, Problem> {
    match catalog.feature(id) {
        Some(feature) => Ok(feature),
        None => Err(Refusal::FeatureNotFound(id.clone()).into()),
    }
}
