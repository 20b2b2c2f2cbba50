//! One package: what it is and gives, who has it, and what can be done with it.

use std::sync::Arc;

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::Refusal;
use kana_core::catalog::{Catalog, CatalogVersion, Package, PackageFeature, PackageStatus};
use kana_core::id::{FeatureId, PackageId};
use kana_core::metadata::Label;
use kana_service::EnvironmentView;

use super::feature::{Status, limit, resets};
use super::metadata;
use super::packages::addons_of;
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/package", page)]
}

#[derive(Template)]
#[template(path = "package.html")]
struct PackagePage {
    frame: Frame,
    status: Status,
    identifier: String,
    kind: &'static str,
    features: Vec<Row>,
    subscribers: String,
    users: Address,
    actions: Vec<Action>,
    is_addon: bool,
    bases: Vec<Linked>,
    addons: Vec<Linked>,
    changed: Instant,
    metadata: String,
}

/// A feature in the package.
struct Row {
    address: Address,
    feature: String,
    limit: String,
    resets: String,
    overage: &'static str,
    name: String,
}

/// Something that can be done with the package.
struct Action {
    name: &'static str,
    address: Address,
    class: &'static str,
}

/// Another package.
struct Linked {
    name: String,
    address: Address,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let view = &asked.entrance.view;
    let (_, catalog, package) = find(view, asked.query("id")).await?;
    let id = package.id.as_str();
    let frame = asked.frame(package.name.as_str(), Place::Packages).await?;
    let actions = if frame.may_edit() { actions(&asked, &package)? } else { Vec::new() };
    let features = package.features.iter().map(|(id, inside)| row(&asked, &catalog, id, inside));
    let bases = package.base_packages().iter().map(|id| {
        let name = catalog.package(id).map_or(id.as_str(), |base| base.name.as_str());
        linked(&asked, id, name)
    });
    let addons = addons_of(&catalog, &package).filter(|_| !package.is_addon());
    let addons = addons.map(|addon| linked(&asked, &addon.id, addon.name.as_str()));
    let page = PackagePage {
        features: features.collect::<Result<_, _>>()?,
        bases: bases.collect::<Result<_, _>>()?,
        addons: addons.collect::<Result<_, _>>()?,
        frame: frame.under(asked.address("/packages")?, "Packages"),
        status: Status(package.status),
        identifier: id.to_owned(),
        kind: if package.is_addon() { "Add-on" } else { "Base package" },
        subscribers: grouped(subscribers(view, &package.id).await?),
        users: asked.address("/users")?.with("package", id),
        actions,
        is_addon: package.is_addon(),
        changed: package.updated_at.into(),
        metadata: metadata::written(package.metadata.as_ref()),
    };
    html(StatusCode::OK, &page)
}

fn actions(asked: &Asked<Viewer>, package: &Package) -> Result<Vec<Action>, Problem> {
    let pages: &[(&str, &str, &str)] = match package.status {
        PackageStatus::Draft => &[
            ("Delete", "/package/delete", " danger"),
            ("Duplicate", "/package/duplicate", ""),
            ("Edit", "/package/edit", ""),
            ("Publish", "/package/publish", " act"),
        ],
        PackageStatus::Published => &[
            ("Edit", "/package/edit", ""),
            ("Duplicate", "/package/duplicate", ""),
            ("Archive", "/package/archive", " danger"),
        ],
        PackageStatus::Archived => &[("Duplicate", "/package/duplicate", "")],
    };
    let action = |(name, page, class): &(&'static str, &str, &'static str)| {
        let address = asked.address(page)?.with("id", package.id.as_str());
        Ok(Action { name, address, class })
    };
    pages.iter().map(action).collect()
}

fn row(
    asked: &Asked<Viewer>,
    catalog: &Catalog,
    id: &FeatureId,
    inside: &PackageFeature,
) -> Result<Row, Problem> {
    let feature = catalog.feature(id).ok_or_else(|| Refusal::FeatureNotFound(id.clone()))?;
    let allowance = inside.allowance;
    Ok(Row {
        address: asked.address("/feature")?.with("id", id.as_str()),
        feature: feature.name.as_str().to_owned(),
        limit: limit(feature, inside),
        resets: resets(feature, inside),
        overage: match allowance.overage_enabled {
            _ if !feature.has_amount() || allowance.limit.is_none() => "–",
            true => "Allowed",
            false => "Not allowed",
        },
        name: inside.name.as_ref().map(Label::as_str).unwrap_or_default().to_owned(),
    })
}

fn linked(asked: &Asked<Viewer>, id: &PackageId, name: &str) -> Result<Linked, Problem> {
    let address = asked.address("/package")?.with("id", id.as_str());
    Ok(Linked { name: name.to_owned(), address })
}

/// Returns the catalog with its version, and the package that the address names.
pub(super) async fn find(
    view: &EnvironmentView,
    id: &str,
) -> Result<(CatalogVersion, Arc<Catalog>, Arc<Package>), Problem> {
    let id = PackageId::new("id", id).map_err(|_| Problem::NotFound)?;
    let (version, catalog) = view.versioned_catalog().await?;
    let package = catalog.package(&id).cloned().ok_or(Problem::NotFound)?;
    Ok((version, catalog, package))
}

/// Counts the users who have the package now.
pub(super) async fn subscribers(view: &EnvironmentView, id: &PackageId) -> Result<u64, Problem> {
    let counted = view.count_subscribers(std::slice::from_ref(id)).await?;
    Ok(counted.first().copied().unwrap_or(0))
}

/// Writes how many subscribers: `1 subscriber`, `1,204 subscribers`.
pub(super) fn subscribers_in_words(count: u64) -> String {
    if count == 1 { "1 subscriber".to_owned() } else { format!("{} subscribers", grouped(count)) }
}
