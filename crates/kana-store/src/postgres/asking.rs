//! How statements reach the server: prepared once for each connection, or, through a pooler that
//! gives each transaction another session, without a name and anew each time.

use std::time::Instant;

use bytes::{BufMut as _, BytesMut};
use deadpool_postgres::Object;
use futures_util::future::join;
use kana_telemetry::slow;
use kana_telemetry::spans::{self, StatementSpan};
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Error, Row, Statement};

use super::session::Session;
use super::settings::Pooler;
use super::statements;
use crate::error::StoreError;

/// A statement that can be sent without waiting for anything.
pub(super) enum Ready {
    /// With its text.
    Prepared(Statement, &'static str),
    Unnamed(&'static str),
}

impl Ready {
    /// Gets a statement ready on a connection.
    pub(super) async fn new(
        connection: &Object,
        pooler: Pooler,
        statement: &'static str,
    ) -> Result<Self, Error> {
        Ok(match pooler {
            Pooler::None => Self::Prepared(connection.prepare_cached(statement).await?, statement),
            Pooler::Transaction => Self::Unnamed(statement),
        })
    }

    /// Sends the statement when it is polled first, and returns the rows.
    pub(super) async fn query(
        &self,
        connection: &Client,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Error> {
        let since = Instant::now();
        let (Self::Prepared(_, text) | Self::Unnamed(text)) = self;
        let span = spans::begin_statement(|| statements::name_of(text));
        let rows = match self {
            Self::Prepared(statement, _) => connection.query(statement, parameters).await,
            Self::Unnamed(text) => query(connection, text, parameters).await,
        };
        slow::note_statement(|| statements::name_of(text), since.elapsed());
        end(span, &rows);
        rows
    }
}

/// Ends the span of a statement with what became of it.
pub(super) fn end<T>(span: StatementSpan, answer: &Result<T, Error>) {
    match answer {
        Ok(_) => span.end(),
        Err(error) => span.fail(error.code().map(SqlState::code)),
    }
}

/// Runs a statement that is not prepared, in one round trip. Sends it when it is polled first.
pub(super) async fn query(
    connection: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    let encoded: Vec<(Encoded, Type)> =
        parameters.iter().map(|parameter| encode(*parameter)).collect();
    let typed: Vec<(&(dyn ToSql + Sync), Type)> =
        encoded.iter().map(|(encoded, kind)| (encoded as _, kind.clone())).collect();
    connection.query_typed(statement, &typed).await
}

/// Asks one question in a transaction of its own.
pub(super) async fn ask_alone(
    connection: &Object,
    session: &Session,
    statement: &'static str,
    parameters: &[&(dyn ToSql + Sync)],
) -> Result<Vec<Row>, Error> {
    let ready = Ready::new(connection, session.pooler, statement).await?;
    let asking = ready.query(connection, parameters);
    match session.pooler {
        Pooler::None => asking.await,
        Pooler::Transaction => {
            let asking = join(connection.batch_execute(&session.begin_write), asking);
            let ((begun, rows), committed) = join(asking, connection.batch_execute("COMMIT")).await;
            begun?;
            let rows = rows?;
            committed?;
            Ok(rows)
        }
    }
}

/// Returns the only row of an answer.
pub(super) fn only(rows: &[Row]) -> Result<&Row, StoreError> {
    rows.first().ok_or_else(|| StoreError::Engine("a question has no answer".into()))
}

/// The types that parameters of statements have. Apart from text, a type of Rust goes with one of
/// them only, so the server need not be asked which one a statement wants.
const TYPES: &[Type] = &[
    Type::INT8,
    Type::TEXT,
    Type::UUID,
    Type::BOOL,
    Type::INT4,
    Type::BYTEA,
    Type::INT8_ARRAY,
    Type::TEXT_ARRAY,
    Type::UUID_ARRAY,
    Type::BOOL_ARRAY,
    Type::INT4_ARRAY,
    Type::BYTEA_ARRAY,
];

/// A parameter in the form in which it is sent. `None` if it has none of the [`TYPES`].
#[derive(Debug)]
struct Encoded(Option<(BytesMut, bool)>);

fn encode(parameter: &(dyn ToSql + Sync)) -> (Encoded, Type) {
    for kind in TYPES {
        let mut bytes = BytesMut::new();
        if let Ok(is_null) = parameter.to_sql_checked(kind, &mut bytes) {
            let is_null = matches!(is_null, IsNull::Yes);
            return (Encoded(Some((bytes, is_null))), kind.clone());
        }
    }
    (Encoded(None), Type::UNKNOWN)
}

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match &self.0 {
            Some((_, true)) => Ok(IsNull::Yes),
            Some((bytes, false)) => {
                out.put_slice(bytes);
                Ok(IsNull::No)
            }
            None => Err("a parameter has a type that Kana does not send".into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn the_type_of_a_parameter_follows_from_that_of_rust() {
        let parameters: [(&(dyn ToSql + Sync), Type); 14] = [
            (&1_i64, Type::INT8),
            (&None::<i64>, Type::INT8),
            (&1_i32, Type::INT4),
            (&"text", Type::TEXT),
            (&Some("text".to_owned()), Type::TEXT),
            (&true, Type::BOOL),
            (&Uuid::nil(), Type::UUID),
            (&vec![1_u8], Type::BYTEA),
            (&vec![1_i64], Type::INT8_ARRAY),
            (&Vec::<Option<i64>>::new(), Type::INT8_ARRAY),
            (&vec!["text"], Type::TEXT_ARRAY),
            (&vec![Uuid::nil()], Type::UUID_ARRAY),
            (&vec![true], Type::BOOL_ARRAY),
            (&vec![vec![1_u8]], Type::BYTEA_ARRAY),
        ];
        for (place, (parameter, expected)) in parameters.into_iter().enumerate() {
            assert_eq!(encode(parameter).1, expected, "{place}");
        }
    }
}
