//! The users as a file.

use axum::body::Body;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use kana_service::user_csv::{write_user, write_user_header};
use kana_service::{Environment, Error, FoundUsers, UserCursor, UserQuery};

use super::users::read_query;
use crate::answer::{Asked, CSV};
use crate::entrance::Editor;
use crate::problem::Problem;
use crate::route::{Route, get};

/// How many users are read at once.
const AT_ONCE: usize = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/dashboard/{environment}/users.csv", export)]
}

async fn export(asked: Asked<Editor>) -> Result<Response, Problem> {
    if asked.visit.method == Method::HEAD {
        // Nothing is exported, so nothing is noted.
        let body = Body::from_stream(stream::empty::<Result<Bytes, Error>>());
        return Ok(([(header::CONTENT_TYPE, CSV)], body).into_response());
    }
    let query = read_query(&asked)?;
    let kind = asked.visit.environment()?;
    let environment = asked.entrance.environment;
    if let Some(package) = &query.package
        && environment.catalog().await?.package(package).is_none()
    {
        return Err(Problem::NotFound);
    }
    let exported_at = environment.note_user_export().await?;
    let date = exported_at.to_string().split('T').next().unwrap_or_default().to_owned();
    let headers = [
        (header::CONTENT_TYPE, CSV.to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"kana-{kind}-users-{date}.csv\""),
        ),
    ];
    Ok((headers, Body::from_stream(chunks(environment, query))).into_response())
}

/// Where the file goes on.
enum Place {
    Head,
    Users { after: Option<UserCursor> },
    End,
}

/// Returns the file, a page of users at a time, in the order of the list. It breaks off where the
/// database fails.
fn chunks(
    environment: Environment,
    query: UserQuery,
) -> impl Stream<Item = Result<Bytes, Error>> + use<> {
    let start = (environment, query, Place::Head);
    stream::unfold(start, async |(environment, query, place)| match place {
        Place::Head => {
            let mut text = String::new();
            write_user_header(&mut text);
            Some((Ok(text.into()), (environment, query, Place::Users { after: None })))
        }
        Place::Users { after } => {
            match environment.find_users(&query, after.as_ref(), AT_ONCE).await {
                Ok(found) => {
                    let text = written(&found);
                    let next = found.next.map(|next| Place::Users { after: Some(next) });
                    let next = next.unwrap_or(Place::End);
                    Some((Ok(text.into()), (environment, query, next)))
                }
                Err(error) => Some((Err(error), (environment, query, Place::End))),
            }
        }
        Place::End => None,
    })
}

fn written(found: &FoundUsers) -> String {
    let mut text = String::new();
    for (user, subscriptions) in &found.users {
        write_user(&mut text, user, subscriptions);
    }
    text
}
