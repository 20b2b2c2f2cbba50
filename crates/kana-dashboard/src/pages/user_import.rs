//! Importing users from a file: the file, what it would do, and what it did.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use kana_service::{
    UserImportCounts, UserImportError, UserImportId, UserImportLine, UserImportLineKind,
    UserImportResult, UserImportState, UserImportStatus, UserImportUpload,
};
use serde_json::Value;

use super::list::{Pages, ROWS};
use crate::address::Address;
use crate::answer::{Asked, Posted, Uploaded, html, see_other};
use crate::difference::Difference;
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::number::grouped;
use crate::problem::Problem;
use crate::route::{Route, get, post, upload};
use crate::upload::UploadedFile;

/// How many lines of a kind are shown.
const SHOWN: usize = 100;
/// How many characters of a value are shown.
const VALUE_CHARS_SHOWN: usize = 200;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/users/import", choose),
        upload("/dashboard/{environment}/users/import", read),
        get("/dashboard/{environment}/users/import/preview", preview),
        post("/dashboard/{environment}/users/import/preview", apply),
        get("/dashboard/{environment}/users/import/result", result),
    ]
}

#[derive(Template)]
#[template(path = "user_import.html")]
struct ImportPage {
    frame: Frame,
    form: Filled,
    action: Address,
    cancel: Address,
}

async fn choose(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_form(&asked, Filled::default()).await
}

async fn show_form(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let list = asked.address("/users")?;
    let frame = asked.frame("Import users", Place::Users).await?;
    let status = form.status();
    let page = ImportPage {
        frame: frame
            .under(list.clone(), "Users")
            .lead("A file of users, as the export has them. Nothing changes before you have seen what it would do."),
        form,
        action: asked.address("/users/import")?,
        cancel: list,
    };
    html(status, &page)
}

async fn read(uploaded: Uploaded<Editor>) -> Result<Response, Problem> {
    let Uploaded { asked, form, file } = uploaded;
    let Some(file) = file else {
        let problem = FieldProblem::of("file", "Choose a file.");
        return show_form(&asked, Filled::with_problems(form, vec![problem])).await;
    };
    match store(&asked, &form, file).await {
        Ok(id) => Ok(see_other(&address(&asked, "/users/import/preview", id)?)),
        Err(Unread::Problem(problem)) => Err(problem),
        Err(Unread::Import(UserImportError::Other(error))) => Err(error.into()),
        Err(Unread::Import(error)) => {
            let problem = FieldProblem::of("file", error.to_string());
            show_form(&asked, Filled::with_problems(form, vec![problem])).await
        }
    }
}

/// Why a file did not become a preview.
enum Unread {
    Problem(Problem),
    Import(UserImportError),
}

impl From<Problem> for Unread {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<UserImportError> for Unread {
    fn from(error: UserImportError) -> Self {
        Self::Import(error)
    }
}

/// Makes a file a preview.
async fn store(
    asked: &Asked<Editor>,
    form: &Form,
    file: UploadedFile,
) -> Result<UserImportId, Unread> {
    let clears_empty = form.has("clears_empty");
    let mut import = asked.entrance.environment.begin_user_import(clears_empty).await?;
    match push_all(&mut import, file).await {
        Ok(()) => Ok(import.finish().await?),
        Err(error) => {
            import.discard().await;
            Err(error)
        }
    }
}

async fn push_all(import: &mut UserImportUpload, mut file: UploadedFile) -> Result<(), Unread> {
    while let Some(piece) = file.next().await? {
        import.push(&piece).await?;
    }
    file.end().await?;
    Ok(import.end().await?)
}

/// A line of a table.
struct Row {
    line: String,
    /// Where in the file it is wrong; empty if that is the whole line.
    place: String,
    user: String,
    name: String,
    email: String,
    /// A sentence; empty if there is nothing more to say.
    what: String,
    changes: Vec<Difference>,
}

/// The lines of a kind that are shown.
struct Lines {
    rows: Vec<Row>,
    /// Says how many there are, where that is more than are shown.
    more: Option<String>,
}

#[derive(Template)]
#[template(path = "user_import_preview.html")]
struct PreviewPage {
    frame: Frame,
    /// Each kind with its number of lines.
    summary: [(&'static str, String); 5],
    /// What stands in the way: the anchor of its table, and how many lines.
    in_the_way: Vec<(&'static str, String)>,
    errors: Lines,
    conflicts: Lines,
    warnings: Lines,
    updates: Lines,
    creates: Lines,
    unchanged: Lines,
    clears_empty: bool,
    ignores_packages: bool,
    is_importable: bool,
    /// Whether nobody would be created or changed.
    changes_nothing: bool,
    /// Whether the file has no line but its heading.
    is_empty: bool,
    action: Address,
    again: Address,
    cancel: Address,
}

async fn preview(asked: Asked<Editor>) -> Result<Response, Problem> {
    let id = read_id(asked.query("id"))?;
    let environment = &asked.entrance.environment;
    let status = environment.user_import(id).await.map_err(of_import)?;
    if status.state != UserImportState::Ready {
        return Ok(see_other(&address(&asked, "/users/import/result", id)?));
    }
    let counts = status.counts;
    let mut kinds = Vec::with_capacity(6);
    for (kind, count) in [
        (UserImportLineKind::Error, counts.error),
        (UserImportLineKind::Conflict, counts.conflict),
        (UserImportLineKind::Warning, counts.warning),
        (UserImportLineKind::Update, counts.update),
        (UserImportLineKind::Create, counts.create),
        (UserImportLineKind::Unchanged, counts.unchanged),
    ] {
        let lines = environment.user_import_lines(id, kind, 0, SHOWN).await?;
        kinds.push((lines, count));
    }
    let conflicts: Vec<u32> = kinds[1].0.iter().map(|line| line.line).collect();
    // A line that turned out to be a conflict was something else until then.
    for (lines, _) in &mut kinds[2..] {
        lines.retain(|line| !conflicts.contains(&line.line));
    }
    let mut kinds = kinds.into_iter().map(|(lines, count)| shown(&lines, count));
    let mut next = || kinds.next().unwrap_or(Lines { rows: Vec::new(), more: None });
    let list = asked.address("/users")?;
    let again = asked.address("/users/import")?;
    let frame = asked.frame("Preview", Place::Users).await?;
    let page = PreviewPage {
        frame: frame.under(again.clone(), "Import users").lead("Nothing has been changed yet."),
        summary: summary(&counts),
        in_the_way: in_the_way(&counts),
        errors: next(),
        conflicts: next(),
        warnings: next(),
        updates: next(),
        creates: next(),
        unchanged: next(),
        clears_empty: status.clears_empty,
        ignores_packages: status.ignores_packages,
        is_importable: status.is_importable,
        changes_nothing: counts.create + counts.update == 0,
        is_empty: counts == UserImportCounts::default(),
        action: address(&asked, "/users/import/preview", id)?,
        again,
        cancel: list,
    };
    html(StatusCode::OK, &page)
}

fn summary(counts: &UserImportCounts) -> [(&'static str, String); 5] {
    [
        ("Create", grouped(counts.create)),
        ("Update", grouped(counts.update)),
        ("Unchanged", grouped(counts.unchanged)),
        ("Conflict", grouped(counts.conflict)),
        ("Error", grouped(counts.error)),
    ]
}

fn in_the_way(counts: &UserImportCounts) -> Vec<(&'static str, String)> {
    [
        ("conflict", counts.conflict, "conflict", "conflicts"),
        ("error", counts.error, "error", "errors"),
    ]
    .into_iter()
    .filter(|(_, count, ..)| *count > 0)
    .map(|(anchor, count, one, many)| (anchor, counted(count, one, many)))
    .collect()
}

fn counted(count: u32, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        count => format!("{} {many}", grouped(count)),
    }
}

fn shown(lines: &[UserImportLine], count: u32) -> Lines {
    let rows: Vec<Row> = lines.iter().map(row).collect();
    let more = (count as usize > rows.len() && rows.len() >= SHOWN)
        .then(|| format!("The first {} of {}.", rows.len(), grouped(count)));
    Lines { rows, more }
}

fn row(line: &UserImportLine) -> Row {
    let (before, after) = (line.before_json(), line.after_json());
    let created: Value = after
        .as_deref()
        .filter(|_| before.is_none())
        .and_then(|json| kana_json::parse(json).ok())
        .unwrap_or_default();
    let field = |name: &str| created[name].as_str().unwrap_or_default().to_owned();
    Row {
        line: grouped(line.line),
        place: line.place.map_or_else(String::new, |(at, column)| match at == line.line {
            true => grouped(column),
            false => format!("{} in line {}", grouped(column), grouped(at)),
        }),
        user: line.user.clone().unwrap_or_default(),
        name: field("name"),
        email: field("email"),
        what: line.message.clone(),
        changes: match before {
            Some(before) => {
                Difference::between(Some(&before), after.as_deref()).into_iter().map(cut).collect()
            }
            None => Vec::new(),
        },
    }
}

/// Cuts what is shown of a change: metadata can have 16 KiB, which stand in the file as a whole.
fn cut(change: Difference) -> Difference {
    let cut = |text: String| match text.char_indices().nth(VALUE_CHARS_SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let Difference { field, before, after } = change;
    Difference { field, before: before.map(cut), after: after.map(cut) }
}

async fn apply(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, .. } = posted;
    let id = read_id(asked.query("id"))?;
    asked.entrance.environment.apply_user_import(id).await.map_err(of_import)?;
    Ok(see_other(&address(&asked, "/users/import/result", id)?))
}

#[derive(Template)]
#[template(path = "user_import_result.html")]
struct ResultPage {
    frame: Frame,
    /// How far it is; `None` once it is done.
    progress: Option<String>,
    done: String,
    left_alone: Option<String>,
    left: Vec<Row>,
    pages: Pages,
    here: Address,
    list: Address,
}

async fn result(asked: Asked<Editor>) -> Result<Response, Problem> {
    let id = read_id(asked.query("id"))?;
    let environment = &asked.entrance.environment;
    let status = environment.user_import(id).await.map_err(of_import)?;
    if status.state == UserImportState::Ready {
        return Ok(see_other(&address(&asked, "/users/import/preview", id)?));
    }
    let after: u32 = asked.query("after").parse().unwrap_or(0);
    let kind = UserImportLineKind::LeftAlone;
    let mut left = environment.user_import_lines(id, kind, after, ROWS + 1).await?;
    let has_more = left.len() > ROWS;
    left.truncate(ROWS);
    let last = left.last().filter(|_| has_more);
    let (here, list) = (address(&asked, "/users/import/result", id)?, asked.address("/users")?);
    let frame = asked.frame("Import", Place::Users).await?;
    let page = ResultPage {
        frame: frame.under(list.clone(), "Users"),
        progress: progress(&status),
        done: done(&status.result),
        left_alone: left_alone(&status.result),
        left: left.iter().map(row).collect(),
        pages: Pages {
            order: "50 rows a page, in the order of the file",
            first: (after > 0).then(|| here.clone()),
            next: last.map(|line| here.clone().with("after", &line.line.to_string())),
        },
        here,
        list,
    };
    html(StatusCode::OK, &page)
}

/// Says how far an import is that is not done.
fn progress(status: &UserImportStatus) -> Option<String> {
    let UserImportResult { created, updated, unchanged, left_alone } = status.result;
    let applied = created + updated + unchanged + left_alone;
    let all = status.counts.changes();
    (status.state != UserImportState::Done).then(|| {
        format!(
            "{} of {} users are imported. It goes on by itself, also when you leave.",
            grouped(applied),
            grouped(all)
        )
    })
}

fn done(result: &UserImportResult) -> String {
    format!(
        "Imported: {} created, {} updated, {} unchanged.",
        grouped(result.created),
        grouped(result.updated),
        grouped(result.unchanged)
    )
}

fn left_alone(result: &UserImportResult) -> Option<String> {
    let lines = match result.left_alone {
        0 => return None,
        1 => "1 line no longer fitted and was".to_owned(),
        count => format!("{} lines no longer fitted and were", grouped(count)),
    };
    Some(format!("{lines} left alone, since something changed after the preview."))
}

fn read_id(text: &str) -> Result<UserImportId, Problem> {
    text.parse().map_err(|_| Problem::NotFound)
}

fn address(asked: &Asked<Editor>, page: &str, id: UserImportId) -> Result<Address, Problem> {
    Ok(asked.address(page)?.with("id", &id.to_string()))
}

fn of_import(error: UserImportError) -> Problem {
    match error {
        UserImportError::NotFound => Problem::NotFound,
        UserImportError::Other(error) => error.into(),
        error => Problem::Refused(error.to_string()),
    }
}
