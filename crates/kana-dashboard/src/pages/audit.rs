//! The audit log: who changed what.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_service::{AuditPlace, AuditRow, Role, TrailQuery};
use uuid::Uuid;

use super::list::{Pages, ROWS};
use crate::address::Address;
use crate::answer::{Asked, html};
use crate::difference::Difference;
use crate::entrance::Viewer;
use crate::form::{Filled, Form};
use crate::frame::{Frame, Place};
use crate::instant::Instant;
use crate::problem::Problem;
use crate::route::{Route, get};

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/audit", page)]
}

/// The kinds of things, as people read them.
const KINDS: [(AuditKind, &str); 7] = [
    (AuditKind::Feature, "Features"),
    (AuditKind::Package, "Packages"),
    (AuditKind::Configuration, "Configuration"),
    (AuditKind::Key, "Keys"),
    (AuditKind::Setting, "Settings"),
    (AuditKind::Person, "People"),
    (AuditKind::User, "Users"),
];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditPage {
    frame: Frame,
    filter: Filled,
    kinds: Vec<(&'static str, &'static str)>,
    rows: Vec<Row>,
    pages: Pages,
    list: Address,
    /// The same entries as a file, for owners.
    export: Option<Address>,
    is_filtered: bool,
    /// Until when entries were looked at, where that was not to the end of the page.
    looked_back_to: Option<Instant>,
}

/// An entry of the log.
struct Row {
    at: Instant,
    who: String,
    what: String,
    item: String,
    /// This page with the entry's details, or without them where they are shown.
    details: Address,
    /// Says which details a link leads to.
    details_of: String,
    opened: Option<Vec<Difference>>,
}

async fn page(asked: Asked<Viewer>) -> Result<Response, Problem> {
    let query = TrailQuery { after: read_place(asked.query("after")), ..read_filter(&asked) };
    let trail = asked.entrance.view.audit_trail(&query).await?;
    let list = asked.address("/audit")?;
    let filtered = with_filter(&asked, list.clone());
    let export = with_filter(&asked, asked.address("/audit.csv")?);
    let is_owner = asked.visit.session()?.role() == Role::Owner;
    let here = match query.after {
        Some(after) => filtered.clone().with("after", &written_place(after)),
        None => filtered.clone(),
    };
    let is_filtered = query.kind.is_some() || query.item.is_some() || !query.who.is_empty();
    let looked_back_to = trail.next.filter(|_| trail.is_cut).map(|(at, _)| at.into());
    let opened = asked.query("details").parse::<Uuid>().ok();
    let page = AuditPage {
        frame: asked
            .frame("Audit log", Place::AuditLog)
            .await?
            .lead("Who changed what, from every surface. Entries are never altered."),
        filter: Form::with(
            ["kind", "who", "item"].map(|name| (name, asked.query(name).to_owned())),
        )
        .into(),
        kinds: KINDS.map(|(kind, name)| (kind.name(), name)).into(),
        rows: trail.rows.into_iter().map(|entry| row(entry, &here, opened)).collect(),
        pages: Pages {
            order: "50 rows a page, newest first",
            first: query.after.map(|_| filtered.clone()),
            next: trail.next.map(|next| filtered.with("after", &written_place(next))),
        },
        list,
        export: is_owner.then_some(export),
        is_filtered,
        looked_back_to,
    };
    html(StatusCode::OK, &page)
}

/// Adds the filter that is asked for to an address.
fn with_filter(asked: &Asked<Viewer>, address: Address) -> Address {
    ["kind", "who", "item"]
        .into_iter()
        .filter(|name| !asked.query(name).is_empty())
        .fold(address, |address, name| address.with(name, asked.query(name)))
}

/// Reads which entries are asked for, from the first one.
pub(super) fn read_filter<E>(asked: &Asked<E>) -> TrailQuery {
    let kind = KINDS.into_iter().find(|(kind, _)| kind.name() == asked.query("kind"));
    let (who, item) = (asked.query("who").trim(), asked.query("item").trim());
    TrailQuery {
        after: None,
        limit: ROWS,
        kind: kind.map(|(kind, _)| kind),
        item: (!item.is_empty()).then(|| item.to_owned()),
        who: who.to_owned(),
    }
}

fn row(entry: AuditRow, here: &Address, opened: Option<Uuid>) -> Row {
    let what = what(&entry.action);
    let is_opened = opened == Some(entry.id);
    let details = match is_opened {
        true => here.clone(),
        false => here.clone().with("details", &entry.id.to_string()),
    };
    let differences = || {
        let differences = Difference::between(entry.before.as_deref(), entry.after.as_deref());
        differences.into_iter().map(said).collect()
    };
    let item = item(&entry);
    Row {
        details_of: format!(" of {what}, {}", entry.at),
        opened: is_opened.then(differences),
        at: entry.at.into(),
        who: entry.actor,
        what,
        item,
        details,
    }
}

/// Returns a difference with the name of its field in words.
fn said(difference: Difference) -> Difference {
    Difference { field: in_words(&difference.field), ..difference }
}

/// Returns what an entry is about: its id, and for a key what people know it by.
fn item(entry: &AuditRow) -> String {
    let id = entry.subject.clone().unwrap_or_default();
    if entry.kind != AuditKind::Key.name() {
        return id;
    }
    let key = entry.after.as_deref().or(entry.before.as_deref());
    let key = key.and_then(|json| kana_json::parse(json).ok()).unwrap_or_default();
    match (key["name"].as_str(), key["lastFour"].as_str()) {
        (Some(name), Some(last_four)) => format!("{id} ({name}, …{last_four})"),
        (None, Some(last_four)) => format!("{id} (…{last_four})"),
        _ => id,
    }
}

/// Returns the name of a field in words: `leftAlone` as `Left alone`. What is no such name stays as it is.
fn in_words(name: &str) -> String {
    let is_name = name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !is_name {
        return name.to_owned();
    }
    let mut words = String::with_capacity(name.len() + 4);
    for char in name.chars() {
        match char {
            first if words.is_empty() => words.push(first.to_ascii_uppercase()),
            char if char.is_ascii_uppercase() => words.extend([' ', char.to_ascii_lowercase()]),
            char => words.push(char),
        }
    }
    words
}

/// Returns an action as people read it: `createFeature` as `Created feature`.
pub(super) fn what(action: &str) -> String {
    if action == "failSignIn" {
        return "Sign-in failed".to_owned();
    }
    let start = action.find(|char: char| char.is_ascii_uppercase()).unwrap_or(action.len());
    let (verb, object) = action.split_at(start);
    let past = match verb {
        "create" => "Created",
        "update" | "change" => "Changed",
        "delete" => "Deleted",
        "publish" => "Published",
        "archive" => "Archived",
        "duplicate" => "Duplicated",
        "revoke" => "Revoked",
        "rotate" => "Rotated",
        "set" => "Set",
        "reset" => "Reset",
        "remove" => "Removed",
        "rename" => "Renamed",
        "import" => "Imported",
        "export" => "Exported",
        "erase" => "Erased",
        "cancel" => "Cancelled",
        "subscribe" => "Subscribed",
        "refuse" => "Refused",
        "sign" => "Signed",
        _ => "",
    };
    let mut text = past.to_owned();
    if past.is_empty() {
        let mut chars = verb.chars();
        text.extend(chars.next().into_iter().flat_map(char::to_uppercase).chain(chars));
    }
    for char in object.chars() {
        if char.is_ascii_uppercase() {
            text.push(' ');
        }
        text.push(char.to_ascii_lowercase());
    }
    text
}

fn written_place((at, id): AuditPlace) -> String {
    format!("{}.{id}", at.as_ms())
}

fn read_place(text: &str) -> Option<AuditPlace> {
    let (at, id) = text.split_once('.')?;
    Some((Timestamp::from_ms(at.parse().ok()?), id.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_said_as_something_that_happened() {
        for (action, said) in [
            ("createFeature", "Created feature"),
            ("rotateTokenSecret", "Rotated token secret"),
            ("publish", "Published"),
            ("signIn", "Signed in"),
            ("failSignIn", "Sign-in failed"),
            ("mergeUsers", "Merge users"),
            ("", ""),
        ] {
            assert_eq!(what(action), said);
        }
    }

    #[test]
    fn the_name_of_a_field_is_said_in_words_and_what_is_none_as_it_is() {
        for (name, said) in [
            ("leftAlone", "Left alone"),
            ("name", "Name"),
            ("Value", "Value"),
            ("api-calls", "api-calls"),
            ("", ""),
        ] {
            assert_eq!(in_words(name), said);
        }
    }

    #[test]
    fn a_place_is_read_as_it_was_written_and_nothing_else_is_one() {
        let place = (Timestamp::from_ms(-7), Uuid::from_u128(3));
        assert_eq!(read_place(&written_place(place)), Some(place));
        for bad in ["", ".", "7", "7.x", "x.00000000-0000-0000-0000-000000000003"] {
            assert_eq!(read_place(bad), None, "{bad}");
        }
    }
}
