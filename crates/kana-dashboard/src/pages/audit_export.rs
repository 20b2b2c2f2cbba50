//! The audit log as a file.

use axum::body::Body;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use kana_service::user_csv::write_row;
use kana_service::{AdminError, AuditRow, EnvironmentView, Error, TrailQuery};

use super::audit::read_filter;
use crate::answer::{Asked, CSV};
use crate::entrance::OwnerInside;
use crate::problem::Problem;
use crate::route::{Route, get};

/// How many entries are read at once.
const AT_ONCE: usize = 500;

const COLUMNS: [&str; 7] = ["time", "who", "what", "kind", "item", "before", "after"];

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/audit.csv", export)]
}

async fn export(asked: Asked<OwnerInside>) -> Result<Response, Problem> {
    if asked.visit.method == Method::HEAD {
        // Nothing is exported, so nothing is noted.
        let body = Body::from_stream(stream::empty::<Result<Bytes, Error>>());
        return Ok(([(header::CONTENT_TYPE, CSV)], body).into_response());
    }
    let environment = asked.visit.environment()?;
    let OwnerInside { view, ownership } = &asked.entrance;
    let exported_at =
        ownership.note_audit_export(environment).await.map_err(|error| match error {
            AdminError::NotAllowed => Problem::NotAllowed,
            AdminError::Other(error) => error.into(),
            _ => Problem::Service(Error::Bug("an export could not be noted")),
        })?;
    let date = exported_at.to_string().split('T').next().unwrap_or_default().to_owned();
    let file = format!("attachment; filename=\"kana-{environment}-audit-log-{date}.csv\"");
    let query = TrailQuery { limit: AT_ONCE, ..read_filter(&asked) };
    let headers = [(header::CONTENT_TYPE, CSV.to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((headers, Body::from_stream(chunks(view.clone(), query))).into_response())
}

/// Where the file goes on.
enum Place {
    Head(TrailQuery),
    Rows(TrailQuery),
    End,
}

/// Returns the file, a page of the log at a time. It breaks off where the database fails.
fn chunks(
    view: EnvironmentView,
    query: TrailQuery,
) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
    stream::unfold((view, Place::Head(query)), async |(view, place)| match place {
        Place::Head(query) => {
            let mut text = String::new();
            write_row(&mut text, COLUMNS);
            Some((Ok(text.into()), (view, Place::Rows(query))))
        }
        Place::Rows(query) => match view.audit_trail(&query).await {
            Ok(trail) => {
                let mut text = String::new();
                trail.rows.iter().for_each(|row| write(&mut text, row));
                let next = match trail.next {
                    Some(after) => Place::Rows(TrailQuery { after: Some(after), ..query }),
                    None => Place::End,
                };
                Some((Ok(text.into()), (view, next)))
            }
            Err(error) => Some((Err(error), (view, Place::End))),
        },
        Place::End => None,
    })
}

fn write(text: &mut String, row: &AuditRow) {
    let at = row.at.to_string();
    let optional = |cell: &'_ Option<String>| cell.clone().unwrap_or_default();
    let (item, before, after) =
        (optional(&row.subject), optional(&row.before), optional(&row.after));
    let cells = [&at, &row.actor, &row.action, &row.kind, &item, &before, &after];
    write_row(text, cells.map(String::as_str));
}
