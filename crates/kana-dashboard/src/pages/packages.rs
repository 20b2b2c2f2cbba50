//! The list of packages.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::catalog::{Catalog, Package, PackageStatus};
use kana_core::id::PackageId;

use super::feature::Status;
use super::list::Pages;
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::form::{Filled, Form};
use crate::frame::{Frame, NavLink, Place};
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/packages", list)]
}

#[derive(Template)]
#[template(path = "packages.html")]
struct PackagesPage {
    frame: Frame,
    statuses: Vec<NavLink>,
    filter: Filled,
    /// The status in the address.
    status: String,
    rows: Vec<Row>,
    pages: Pages,
    list: Address,
    create: Address,
    /// Whether there is no package at all.
    is_empty: bool,
    /// Whether something was searched for.
    is_search: bool,
    none_found: String,
}

/// A package in the list.
struct Row {
    status: Status,
    address: Address,
    name: String,
    id: String,
    features: String,
    subscribers: String,
    /// How many add-ons go on it; `None` for an add-on.
    addons: Option<String>,
}

/// A package with the key that it is sorted by.
struct Sorted<'a> {
    key: String,
    package: &'a Package,
    subscribers: u64,
}

/// The statuses that the list can be cut down to: name, and value in the address.
const STATUSES: [(&str, &str); 4] =
    [("Published", ""), ("Drafts", "draft"), ("Archived", "archived"), ("All", "all")];

async fn list(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let catalog = asked.entrance.view.catalog().await?;
    let (query, status, sort) = (asked.query("q"), asked.query("status"), asked.query("sort"));
    let sorted = sorted(&asked, &catalog).await?;
    let list = asked.address("/packages")?;
    let filtered = [("q", query), ("status", status), ("sort", sort)]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .fold(list.clone(), |address, (name, value)| address.with(name, value));
    let order = match sort {
        "name" => "50 rows a page, by name",
        "subscribers" => "50 rows a page, most subscribers first",
        _ => "50 rows a page, newest first",
    };
    let all: Vec<&Sorted<'_>> = sorted.iter().collect();
    let (packages, pages) =
        Pages::cut(all, |row| row.key.as_str(), asked.query("after"), &filtered, order);
    let rows = packages.into_iter().map(|package| row(&asked, &catalog, package));
    let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    let link = |(name, value): (&'static str, &str)| NavLink {
        name,
        address: if value.is_empty() { list.clone() } else { list.clone().with("status", value) },
        is_current: status == value,
    };
    let page = PackagesPage {
        rows,
        frame: asked.frame("Packages", Place::Packages).await?.lead(
            "What users subscribe to: features, how much of each, and when usage starts again.",
        ),
        statuses: STATUSES.map(link).into(),
        filter: Form::with([("q", query.to_owned()), ("sort", sort.to_owned())]).into(),
        status: status.to_owned(),
        pages,
        create: asked.address("/packages/new")?,
        is_empty: catalog.packages().next().is_none(),
        is_search: !query.trim().is_empty(),
        none_found: none_found(query.trim(), status),
        list,
    };
    html(StatusCode::OK, &page)
}

fn none_found(query: &str, status: &str) -> String {
    let which = match status {
        "draft" => "draft",
        "archived" => "archived package",
        "all" => "package",
        _ => "published package",
    };
    if query.is_empty() {
        format!("There is no {which}.")
    } else {
        format!("No name or identifier of a {which} contains “{query}”.")
    }
}

/// Returns the packages that were asked for, in their order. Each key stands once.
async fn sorted<'a>(
    asked: &Asked<Viewer>,
    catalog: &'a Catalog,
) -> Result<Vec<Sorted<'a>>, Problem> {
    let search = asked.query("q").trim().to_lowercase();
    let status = match asked.query("status") {
        "draft" => Some(PackageStatus::Draft),
        "archived" => Some(PackageStatus::Archived),
        "all" => None,
        _ => Some(PackageStatus::Published),
    };
    let packages: Vec<(usize, &Package)> = catalog
        .packages()
        .map(AsRef::as_ref)
        .enumerate()
        .filter(|(_, package)| {
            let is_named = [package.id.as_str(), package.name.as_str()]
                .iter()
                .any(|text| text.to_lowercase().contains(&search));
            is_named && status.is_none_or(|status| package.status == status)
        })
        .collect();
    let ids: Vec<PackageId> = packages.iter().map(|(_, package)| package.id.clone()).collect();
    let counts = asked.entrance.view.recent_subscribers(&ids).await?;
    let sort = asked.query("sort");
    let with_key = packages.into_iter().zip(counts).map(|((index, package), subscribers)| {
        let id = package.id.as_str();
        let key = match sort {
            "name" => format!("{} {id}", package.name.as_str().to_lowercase()),
            "subscribers" => format!("{:020} {id}", u64::MAX - subscribers),
            _ => format!("{:010}", u32::MAX as usize - index),
        };
        Sorted { key, package, subscribers }
    });
    let mut sorted: Vec<Sorted<'_>> = with_key.collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(sorted)
}

fn row(asked: &Asked<Viewer>, catalog: &Catalog, sorted: &Sorted<'_>) -> Result<Row, Problem> {
    let Sorted { package, subscribers, .. } = sorted;
    let addons =
        (!package.is_addon()).then(|| grouped(addons_of(catalog, package).count() as i128));
    Ok(Row {
        status: Status(package.status),
        address: asked.address("/package")?.with("id", package.id.as_str()),
        name: package.name.as_str().to_owned(),
        id: package.id.as_str().to_owned(),
        features: grouped(package.features.len() as i128),
        subscribers: grouped(*subscribers),
        addons,
    })
}

/// Returns the add-ons that go on a base package, those that are archived excepted.
pub(super) fn addons_of<'a>(
    catalog: &'a Catalog,
    base: &'a Package,
) -> impl Iterator<Item = &'a Package> {
    catalog.packages().map(AsRef::as_ref).filter(|addon| {
        let bases = addon.base_packages();
        addon.is_addon()
            && addon.status != PackageStatus::Archived
            && (bases.is_empty() || bases.contains(&base.id))
    })
}
