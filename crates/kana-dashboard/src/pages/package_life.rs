//! How a package is published, archived, deleted and duplicated.

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use kana_core::Refusal;
use kana_core::catalog::{Catalog, Package, PackageStatus};
use kana_core::catalog_command::{NewPackage, NewPackageFeature};
use kana_core::id::{ID_CHARS_MAX, PackageId};
use kana_core::metadata::Label;
use kana_service::Error;

use super::package::{find, subscribers, subscribers_in_words};
use super::package_confirm::{Question, check_id, is_live, version};
use super::package_edit::{create_once, problems_of};
use super::package_form::{field_names, label};
use super::packages::addons_of;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::nonce;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/package/publish", ask_publish),
        post("/dashboard/{environment}/package/publish", publish),
        get("/dashboard/{environment}/package/archive", ask_archive),
        post("/dashboard/{environment}/package/archive", archive),
        get("/dashboard/{environment}/package/delete", ask_delete),
        post("/dashboard/{environment}/package/delete", delete),
        get("/dashboard/{environment}/package/duplicate", ask_duplicate),
        post("/dashboard/{environment}/package/duplicate", duplicate),
    ]
}

async fn ask_publish(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_publish(&asked, Filled::default()).await
}

async fn show_publish(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let environment = &asked.entrance.environment;
    let (_, catalog, package) = find(environment, asked.query("id")).await?;
    only_if(asked, &package, PackageStatus::Draft)?;
    let review = environment.review_publication(&package.id).await?;
    let mut sentences = vec![
        "A published package never becomes a draft again. Later changes hold at once for everyone \
         who is subscribed; you see whom they touch before they are made."
            .to_owned(),
    ];
    if package.features.is_empty() {
        sentences.insert(0, "It has no features yet, so it cannot be published.".to_owned());
    }
    if package.is_addon() {
        let count = could_take(asked, &catalog, &package).await?;
        let users = if count == 1 { "user" } else { "users" };
        sentences.insert(0, format!("{} {users} could take it now.", grouped(count)));
    }
    let question = Question {
        title: format!("Publish {}?", package.name.as_str()),
        package: &package,
        findings: &review.findings,
        sentences,
        hidden: vec![("version".to_owned(), review.version.0.to_string())],
        asks_for_id: false,
        act: "Publish package",
        is_dangerous: false,
        page: "/package/publish",
    };
    question.show(asked, form).await
}

/// Counts the users who have a base package that the add-on goes on. Nobody has two.
async fn could_take(
    asked: &Asked<Editor>,
    catalog: &Catalog,
    addon: &Package,
) -> Result<u64, Problem> {
    let goes_on = |base: &&Arc<Package>| {
        let bases = addon.base_packages();
        !base.is_addon() && (bases.is_empty() || bases.contains(&base.id))
    };
    let bases: Vec<PackageId> =
        catalog.packages().filter(goes_on).map(|base| base.id.clone()).collect();
    Ok(asked.entrance.environment.count_subscribers(&bases).await?.into_iter().sum())
}

async fn publish(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let (_, _, package) = find(environment, asked.query("id")).await?;
    let address = asked.address("/package")?.with("id", package.id.as_str());
    match environment.publish_package_at(package.id.clone(), version(&form)).await {
        Ok(()) => Ok(see_other(&address.done(Done::PackagePublished))),
        Err(error) => show_publish(&asked, refused(form, error)?).await,
    }
}

async fn ask_archive(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_archive(&asked, Filled::default()).await
}

async fn show_archive(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let environment = &asked.entrance.environment;
    let (at, catalog, package) = find(environment, asked.query("id")).await?;
    only_if(asked, &package, PackageStatus::Published)?;
    let count = subscribers(environment, &package.id).await?;
    let keep = if count == 1 { "keeps" } else { "keep" };
    let mut sentences = vec![
        format!("{} {keep} it.", subscribers_in_words(count)),
        "Nobody else can subscribe to it any more, and it never comes back.".to_owned(),
    ];
    sentences.extend(named_by(&catalog, &package));
    let question = Question {
        title: format!("Archive {}?", package.name.as_str()),
        package: &package,
        findings: &[],
        sentences,
        hidden: vec![("version".to_owned(), at.0.to_string())],
        asks_for_id: count > 0 && is_live(asked)?,
        act: "Archive package",
        is_dangerous: true,
        page: "/package/archive",
    };
    question.show(asked, form).await
}

async fn archive(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let (_, _, package) = find(environment, asked.query("id")).await?;
    if is_live(&asked)?
        && let Err(problem) = check_id(&form, &package)
        && subscribers(environment, &package.id).await? > 0
    {
        return show_archive(&asked, Filled::with_problems(form, vec![problem])).await;
    }
    let address = asked.address("/package")?.with("id", package.id.as_str());
    match environment.archive_package_at(package.id.clone(), version(&form)).await {
        Ok(()) => Ok(see_other(&address.done(Done::PackageArchived))),
        Err(error) => show_archive(&asked, refused(form, error)?).await,
    }
}

async fn ask_delete(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_delete(&asked, Filled::default()).await
}

async fn show_delete(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let (at, catalog, package) = find(&asked.entrance.environment, asked.query("id")).await?;
    only_if(asked, &package, PackageStatus::Draft)?;
    let mut sentences = vec!["The draft goes for good. Nobody ever subscribed to it.".to_owned()];
    sentences.extend(named_by(&catalog, &package));
    let question = Question {
        title: format!("Delete {}?", package.name.as_str()),
        package: &package,
        findings: &[],
        sentences,
        hidden: vec![("version".to_owned(), at.0.to_string())],
        asks_for_id: false,
        act: "Delete draft",
        is_dangerous: true,
        page: "/package/delete",
    };
    question.show(asked, form).await
}

async fn delete(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let (_, _, package) = find(environment, asked.query("id")).await?;
    match environment.delete_package_at(package.id.clone(), version(&form)).await {
        Ok(()) => Ok(see_other(&asked.address("/packages")?.done(Done::DraftDeleted))),
        Err(error) => show_delete(&asked, refused(form, error)?).await,
    }
}

/// Leads to the package if it is no longer what the question is about.
fn only_if(asked: &Asked<Editor>, package: &Package, status: PackageStatus) -> Result<(), Problem> {
    if package.status == status {
        return Ok(());
    }
    Err(Problem::Elsewhere(asked.address("/package")?.with("id", package.id.as_str())))
}

/// Names the add-ons that name the package.
fn named_by(catalog: &Catalog, package: &Package) -> Option<String> {
    let addons: Vec<&str> = addons_of(catalog, package)
        .filter(|addon| addon.base_packages().contains(&package.id))
        .map(|addon| addon.name.as_str())
        .collect();
    (!addons.is_empty()).then(|| format!("Add-ons that name it: {}.", addons.join(", ")))
}

fn refused(form: Form, error: Error) -> Result<Filled, Problem> {
    // The page has no field for the id that the sentence begins with, so it says it whole.
    if let Error::Refused(Refusal::Invalid(invalid)) = &error {
        let problem = FieldProblem::of_form(invalid.to_string());
        return Ok(Filled::with_problems(form, vec![problem]));
    }
    if let Error::Refused(Refusal::StaleCatalog) = error {
        return Ok(Filled::default().with_conflict(Vec::new()));
    }
    Ok(Filled::with_problems(form, problems_of(error)?))
}

#[derive(Template)]
#[template(path = "package_duplicate.html")]
struct DuplicatePage {
    frame: Frame,
    form: Filled,
    nonce: String,
    action: Address,
    cancel: Address,
}

async fn ask_duplicate(asked: Asked<Editor>) -> Result<Response, Problem> {
    let (_, catalog, package) = find(&asked.entrance.environment, asked.query("id")).await?;
    let fields =
        [("name", package.name.as_str().to_owned()), ("id", free_id(&catalog, &package.id))];
    show_duplicate(&asked, &package, Form::with(fields).into()).await
}

/// Returns the first id that is free: the package's own with a number.
fn free_id(catalog: &Catalog, id: &PackageId) -> String {
    let stem: String = id.as_str().chars().take(ID_CHARS_MAX - 12).collect();
    let taken =
        |text: &str| PackageId::new("id", text).is_ok_and(|id| catalog.package(&id).is_some());
    let mut number = 2;
    loop {
        let text = format!("{stem}-{number}");
        if !taken(&text) {
            return text;
        }
        number += 1;
    }
}

async fn show_duplicate(
    asked: &Asked<Editor>,
    package: &Package,
    form: Filled,
) -> Result<Response, Problem> {
    let cancel = asked.address("/package")?.with("id", package.id.as_str());
    let title = format!("Duplicate {}", package.name.as_str());
    let frame = asked.frame(title, Place::Packages).await?;
    let nonce = match form.text("nonce") {
        "" => nonce::new()?,
        nonce => nonce.to_owned(),
    };
    let status = form.status();
    let page = DuplicatePage {
        frame: frame.under(cancel.clone(), package.name.as_str()),
        form: form.labelled(label),
        nonce,
        action: asked.address("/package/duplicate")?.with("id", package.id.as_str()),
        cancel,
    };
    html(status, &page)
}

async fn duplicate(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let (_, catalog, package) = find(&asked.entrance.environment, asked.query("id")).await?;
    let id = PackageId::new("id", form.text("id"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
    let name = Label::new("name", form.text("name"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
    let copy = match (id, name) {
        (Ok(id), Ok(name)) => copy_of(&catalog, &package, id, name),
        (id, name) => {
            let problems = [id.err(), name.err()].into_iter().flatten().collect();
            let filled = Filled::with_problems(form, problems);
            return show_duplicate(&asked, &package, filled).await;
        }
    };
    let address = asked.address("/package/edit")?.with("id", copy.id.as_str());
    match create_once(&asked, &form, copy, address.done(Done::DraftCreated)).await? {
        Ok(address) => Ok(see_other(&address)),
        Err(error) => {
            let filled = Filled::with_problems(form, problems_of(error)?);
            show_duplicate(&asked, &package, filled).await
        }
    }
}

fn copy_of(catalog: &Catalog, package: &Package, id: PackageId, name: Label) -> NewPackage {
    let features = package.features.iter().map(|(id, inside)| {
        let has_amount = catalog.feature(id).is_some_and(|feature| feature.has_amount());
        NewPackageFeature {
            feature: id.clone(),
            name: inside.name.clone(),
            allowance: has_amount.then_some(inside.allowance),
        }
    });
    NewPackage {
        id,
        name: Some(name),
        is_addon: package.is_addon(),
        features: features.collect(),
        base_packages: package.base_packages().to_vec(),
        metadata: package.metadata.clone(),
    }
}
