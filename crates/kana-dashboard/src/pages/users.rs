//! The list of users: all, those who are searched for, and the subscribers of a package.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::catalog::Catalog;
use kana_core::id::PackageId;
use kana_core::metadata::Label;
use kana_core::subscription::Subscription;
use kana_core::user::User;
use kana_service::{FoundUsers, UserCursor, UserQuery};

use super::list::{Pages, ROWS};
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Viewer;
use crate::form::{Filled, Form};
use crate::frame::{Frame, Place};
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/users", list)]
}

#[derive(Template)]
#[template(path = "users.html")]
struct UsersPage {
    frame: Frame,
    search: Filled,
    package: Option<PackageFilter>,
    rows: Vec<Row>,
    no_rows: Option<NoRows>,
    pages: Pages,
    list: Address,
    create: Address,
    import_csv: Address,
    export_csv: Address,
    /// Whether there is no user at all.
    is_empty: bool,
}

/// Shows that only the subscribers of a package are listed.
struct PackageFilter {
    id: String,
    name: String,
    address: Address,
    /// The same list without it.
    without: Address,
}

/// A user in the list.
struct Row {
    address: Address,
    id: String,
    name: String,
    email: String,
    billing_id: String,
    packages: String,
}

/// What is said instead of a table without rows.
struct NoRows {
    title: &'static str,
    text: String,
}

async fn list(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let query = read_query(&asked)?;
    let after = UserCursor::parse(asked.query("after"));
    let found = asked.entrance.view.find_users(&query, after.as_ref(), ROWS).await?;
    let list = asked.address("/users")?;
    let package = package_filter(&asked, &query, &found.catalog)?;
    let searched = with_search(list.clone(), &query);
    let filtered = match &package {
        Some(package) => searched.with("package", &package.id),
        None => searched,
    };
    let mut export_csv = with_search(asked.address("/users.csv")?, &query);
    if let Some(package) = &package {
        export_csv = export_csv.with("package", &package.id);
    }
    let next = found.next.as_ref();
    let pages = Pages {
        order: match query.search.as_str() {
            "" => "50 rows a page, oldest first",
            _ => "50 rows a page, by the text that was found",
        },
        first: after.is_some().then(|| filtered.clone()),
        next: next.map(|next| filtered.with("after", &next.to_string())),
    };
    let is_everything = query == UserQuery::default() && after.is_none();
    let page = UsersPage {
        is_empty: is_everything && found.users.is_empty(),
        rows: rows(&asked, &found)?,
        no_rows: found.users.is_empty().then(|| no_rows(&query, package.as_ref(), &pages)),
        search: Form::with([("search", query.search)]).into(),
        package,
        pages,
        frame: asked
            .frame("Users", Place::Users)
            .await?
            .lead("The people, teams or accounts that your product asks about."),
        create: asked.address("/users/new")?,
        list,
        import_csv: asked.address("/users/import")?,
        export_csv,
    };
    html(StatusCode::OK, &page)
}

/// Reads which users are asked for.
pub(super) fn read_query<E>(asked: &Asked<E>) -> Result<UserQuery, Problem> {
    let package = match asked.query("package") {
        "" => None,
        id => Some(PackageId::new("package", id).map_err(|_| Problem::NotFound)?),
    };
    Ok(UserQuery { search: asked.query("search").trim().to_owned(), package })
}

fn with_search(list: Address, query: &UserQuery) -> Address {
    if query.search.is_empty() { list } else { list.with("search", &query.search) }
}

fn package_filter(
    asked: &Asked<Viewer>,
    query: &UserQuery,
    catalog: &Catalog,
) -> Result<Option<PackageFilter>, Problem> {
    let Some(id) = &query.package else { return Ok(None) };
    let package = catalog.package(id).ok_or(Problem::NotFound)?;
    Ok(Some(PackageFilter {
        id: id.as_str().to_owned(),
        name: package.name.as_str().to_owned(),
        address: asked.address("/package")?.with("id", id.as_str()),
        without: with_search(asked.address("/users")?, query),
    }))
}

fn no_rows(query: &UserQuery, package: Option<&PackageFilter>, pages: &Pages) -> NoRows {
    let search = &query.search;
    let (title, text) = match (search.as_str(), package) {
        (_, Some(package)) if pages.next.is_some() => (
            "Nobody found yet",
            format!(
                "None of the users looked at so far has {} now. The next page looks further.",
                package.name
            ),
        ),
        _ if pages.first.is_some() => ("No more users", "The list ends here.".to_owned()),
        ("", Some(package)) => ("No subscribers", format!("Nobody has {} now.", package.name)),
        (_, None) => {
            ("No user found", format!("No id, name, e-mail or billing id begins with “{search}”."))
        }
        (_, Some(package)) => (
            "No user found",
            format!(
                "Nobody who has {} now has an id, name, e-mail or billing id that begins with \
                 “{search}”.",
                package.name
            ),
        ),
    };
    NoRows { title, text }
}

fn rows(asked: &Asked<Viewer>, found: &FoundUsers) -> Result<Vec<Row>, Problem> {
    let row = |(user, subscriptions): &(User, Vec<Subscription>)| {
        Ok(Row {
            address: asked.address("/user")?.with("id", user.id.as_str()),
            id: user.id.as_str().to_owned(),
            name: text(user.name.as_ref()),
            email: text(user.email.as_ref()),
            billing_id: text(user.billing_id.as_ref()),
            packages: packages(&found.catalog, subscriptions),
        })
    };
    found.users.iter().map(row).collect()
}

/// Returns the names of the packages that grant the user something now.
fn packages(catalog: &Catalog, subscriptions: &[Subscription]) -> String {
    let granting = subscriptions.iter().filter(|subscription| subscription.is_granting());
    let packages = granting.filter_map(|subscription| catalog.package(&subscription.package));
    let names: Vec<&str> = packages.map(|package| package.name.as_str()).collect();
    names.join(", ")
}

/// Returns a text that may be absent.
pub(super) fn text(label: Option<&Label>) -> String {
    label.map_or_else(String::new, |label| label.as_str().to_owned())
}
