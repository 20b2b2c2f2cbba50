//! The list of features, and how to create one.

use std::borrow::Cow;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::catalog::{Catalog, Feature, FeatureKind};
use kana_core::id::FeatureId;
use kana_core::metadata::Label;

use super::draws;
use super::list::{self, Pages};
use super::metadata;
use super::suggestions::{self, Suggestion};
use super::thresholds;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::{Editor, Viewer};
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::nonce::{self, NotMade};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/features", list),
        get("/dashboard/{environment}/features/new", form),
        post("/dashboard/{environment}/features/new", create),
    ]
}

#[derive(Template)]
#[template(path = "features.html")]
struct FeaturesPage {
    frame: Frame,
    filter: Filled,
    rows: Vec<Row>,
    /// What was searched for, where nothing was found.
    searched: String,
    pages: Pages,
    list: Address,
    create: Address,
    /// Whether there is no feature at all.
    is_empty: bool,
}

/// A feature in the list.
struct Row {
    address: Address,
    name: String,
    kind: &'static str,
    /// What it draws on, if it does.
    balance: String,
    id: String,
    packages: String,
}

async fn list(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let catalog = asked.entrance.view.catalog().await?;
    let (search, kind) = (asked.query("q").trim().to_lowercase(), asked.query("type"));
    let mut features: Vec<&Feature> = catalog
        .features()
        .map(AsRef::as_ref)
        .filter(|feature| {
            let is_named = [feature.id.as_str(), feature.name.as_str()]
                .iter()
                .any(|text| text.to_lowercase().contains(&search));
            let is_of_kind = match kind {
                "binary" => feature.is_binary(),
                "consumable" => !feature.is_binary(),
                _ => true,
            };
            is_named && is_of_kind
        })
        .collect();
    features.sort_by(|one, other| one.id.cmp(&other.id));
    let list = asked.address("/features")?;
    let filtered = [("q", asked.query("q")), ("type", kind)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(list.clone(), |address, (name, value)| address.with(name, value));
    let (features, pages) = Pages::cut(
        features,
        |feature| feature.id.as_str(),
        asked.query("after"),
        &filtered,
        "50 rows a page, by identifier",
    );
    let rows = features.into_iter().map(|feature| row(&asked, &catalog, feature));
    let page = FeaturesPage {
        rows: rows.collect::<Result<_, _>>()?,
        frame: asked
            .frame("Features", Place::Features)
            .await?
            .lead("What packages grant: rights that are on or off, and things that are counted."),
        filter: Form::with([("q", asked.query("q").to_owned()), ("type", kind.to_owned())]).into(),
        searched: format!("No name or identifier contains “{}”.", asked.query("q")),
        pages,
        list,
        create: asked.address("/features/new")?,
        is_empty: catalog.features().next().is_none(),
    };
    html(StatusCode::OK, &page)
}

fn row(asked: &Asked<Viewer>, catalog: &Catalog, feature: &Feature) -> Result<Row, Problem> {
    let packages = catalog.packages().filter(|package| package.features.contains_key(&feature.id));
    let names: Vec<&str> = packages.map(|package| package.name.as_str()).collect();
    Ok(Row {
        address: asked.address("/feature")?.with("id", feature.id.as_str()),
        name: feature.name.as_str().to_owned(),
        kind: kind_name(feature),
        balance: draws::balance_name(catalog, feature),
        id: feature.id.as_str().to_owned(),
        packages: list::as_many_as_fit(&names),
    })
}

/// Returns the type of a feature as people read it.
pub(super) fn kind_name(feature: &Feature) -> &'static str {
    if feature.is_binary() { "Binary" } else { "Consumable" }
}

#[derive(Template)]
#[template(path = "feature_new.html")]
struct NewFeaturePage {
    frame: Frame,
    form: Filled,
    features: Vec<Suggestion>,
    nonce: String,
    action: Address,
    list: Address,
}

async fn form(asked: Asked<Editor>) -> Result<Response, Problem> {
    let catalog = asked.entrance.environment.catalog().await?;
    show_form(&asked, &catalog, Form::with([("type", "binary".to_owned())]).into()).await
}

async fn show_form(
    asked: &Asked<Editor>,
    catalog: &Catalog,
    form: Filled,
) -> Result<Response, Problem> {
    let list = asked.address("/features")?;
    let frame = asked.frame("Create a feature", Place::Features).await?;
    let status = form.status();
    let page = NewFeaturePage {
        frame: frame.under(list.clone(), "Features"),
        form: form.labelled(label),
        features: suggestions::features(catalog),
        nonce: nonce::new()?,
        action: asked.address("/features/new")?,
        list,
    };
    html(status, &page)
}

async fn create(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let catalog = asked.entrance.environment.catalog().await?;
    let feature = match read(&form, &catalog) {
        Ok(feature) => feature,
        Err(problems) => {
            return show_form(&asked, &catalog, Filled::with_problems(form, problems)).await;
        }
    };
    let address = asked.address("/feature")?.with("id", feature.id.as_str());
    let environment = &asked.entrance.environment;
    let made = asked.once(&form, async || {
        environment.create_feature(feature).await.map_err(NotMade::Service)?;
        Ok(address.done(Done::FeatureCreated))
    });
    match made.await {
        Ok(address) => Ok(see_other(&address)),
        Err(NotMade::Page(problem)) => Err(problem),
        Err(NotMade::Service(error)) => {
            show_form(&asked, &catalog, Filled::refused(form, error, field_names)?).await
        }
    }
}

/// Returns what people call the fields.
fn label(field: &str) -> Option<Cow<'static, str>> {
    let label = match field {
        "id" => "Identifier",
        "name" => "Name",
        "type" => "Type",
        "unit" => "Unit",
        "units" => "Unit, plural",
        "thresholds" => "Thresholds",
        "draws" => "Draws on",
        "cost" => "Cost",
        "metadata" => "Metadata",
        _ => return None,
    };
    Some(label.into())
}

/// Reads a new feature.
fn read(form: &Form, catalog: &Catalog) -> Result<Feature, Vec<FieldProblem>> {
    let mut problems = Vec::new();
    let id = FeatureId::new("id", form.text("id"));
    let name = match form.text("name") {
        name if name.trim().is_empty() => id.as_ref().map(Label::from).map_err(Clone::clone),
        name => Label::new("name", name),
    };
    let amount_fields = ["unit", "units", "thresholds", "draws", "cost"];
    let given = amount_fields.into_iter().find(|field| !form.text(field).is_empty());
    let kind = match (form.text("type"), given) {
        ("binary", None) => Some(FeatureKind::Binary),
        ("binary", Some(field)) => {
            let sentence = match field {
                "thresholds" => {
                    "Only a consumable feature has thresholds. Choose Consumable, or leave them empty."
                }
                "draws" | "cost" => {
                    "Only a consumable feature draws on another. Choose Consumable, or leave it empty."
                }
                _ => "Only a consumable feature has a unit. Choose Consumable, or leave it empty.",
            };
            problems.push(FieldProblem::of(field, sentence));
            None
        }
        ("consumable", _) => {
            let thresholds = thresholds::read(form.text("thresholds"));
            let draws = draws::read(form, catalog);
            match (unit(form, "unit"), unit(form, "units"), thresholds, draws) {
                (Ok(unit_label), Ok(unit_label_plural), Ok(thresholds), Ok(draws)) => {
                    Some(FeatureKind::Consumable {
                        unit_label,
                        unit_label_plural,
                        thresholds,
                        draws,
                    })
                }
                (one, other, thresholds, draws) => {
                    let found = [one.err(), other.err(), thresholds.err(), draws.err()];
                    problems.extend(found.into_iter().flatten());
                    None
                }
            }
        }
        _ => {
            problems.push(FieldProblem::of("type", "Choose Binary or Consumable."));
            None
        }
    };
    let metadata = metadata::read(form.text("metadata"));
    problems.extend(id.as_ref().err().map(|invalid| FieldProblem::of_value(invalid, field_names)));
    if id.is_ok() {
        let invalid = name.as_ref().err();
        problems.extend(invalid.map(|invalid| FieldProblem::of_value(invalid, field_names)));
    }
    problems.extend(metadata.as_ref().err().cloned());
    match (id, name, kind, metadata) {
        (Ok(id), Ok(name), Some(kind), Ok(metadata)) => Ok(Feature { id, name, kind, metadata }),
        _ => Err(problems),
    }
}

/// Reads a unit, which may be absent.
pub(super) fn unit(form: &Form, field: &'static str) -> Result<Option<Label>, FieldProblem> {
    match form.text(field) {
        "" => Ok(None),
        text => Label::new(field, text)
            .map(Some)
            .map_err(|invalid| FieldProblem::of_value(&invalid, field_names)),
    }
}

/// Translates the API's names of a feature's fields to the form's.
pub(super) fn field_names(field: &str) -> Option<&'static str> {
    Some(match field {
        "id" => "id",
        "name" => "name",
        "unit" | "unitLabel" => "unit",
        "units" | "unitLabelPlural" => "units",
        "thresholds" => "thresholds",
        "draws" | "drawsOn" => "draws",
        "cost" => "cost",
        "metadata" => "metadata",
        _ => return None,
    })
}
