//! Everything out of this engine, and into it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use deadpool_postgres::{ClientWrapper, Object};
use futures_util::{FutureExt as _, TryStreamExt as _};
use tokio::time::timeout;
use tokio_postgres::Row as Stored;
use tokio_postgres::binary_copy::BinaryCopyInWriter;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

use super::asking::{only, query};
use super::connections::take;
use super::errors::{cause, says_it_was_not_committed};
use super::inspected::{Connection, Inspection, NOTHING};
use super::reading::distinct;
use super::shared::Shared;
use super::{statements as sql, user_search};
use crate::app::EnvironmentKind;
use crate::check::{self, Finding};
use crate::columns::Named;
use crate::deadlines::{Deadlines, no_answer, within};
use crate::error::StoreError;
use crate::transfer::batch::{Gathering, Row, Sender};
use crate::transfer::description::Column;
use crate::transfer::kinds::Kind;
use crate::transfer::sql::{
    ADD_UP_USAGE, Environments, Selected, count, in_scope, owner_id, select, target_in,
    update_environment,
};
use crate::transfer::value::{Stored as StoredAs, Value};
use crate::transfer::{Batch, Batches, Counts, Export, Import, Scope};

/// Events lie in the order in which they arrived only where one connection wrote all of them, so the server
/// sorts them before it sends the first.
const ARRIVAL: &str = "ORDER BY recorded_at, ctid";

/// The limits of our sessions are for short statements. An export or import takes as long as its
/// file does; only the time without any bytes is limited (`Deadlines::transfer`).
const LONG: &str = "SET LOCAL statement_timeout = 0; \
    SET LOCAL idle_in_transaction_session_timeout = 0";

/// And for statements that find few rows. These read all, and not in pieces by several processes or
/// from anywhere in the middle, which would mix up their order.
const WHOLE: &str = "SET LOCAL enable_seqscan = on; SET LOCAL synchronize_seqscans = off; \
    SET LOCAL max_parallel_workers_per_gather = 0";

/// How many months get a partition of their own. What is beyond, if anything ever is, goes to the
/// default partition: one transaction cannot make any number of them.
const MONTHS_MAX: usize = 600;

/// Where the rows of a kind are read.
fn source(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "current_counters",
        Kind::UsageByDay => "current_usage_by_day",
        _ => kind.table(),
    }
}

/// Returns the table that rows of a kind are written to. In an empty database, `replays_0` takes
/// new idempotency keys.
fn destination(kind: Kind) -> &'static str {
    match kind {
        Kind::Replay => "replays_0",
        _ => kind.table(),
    }
}

/// Returns the types of what is sent for a row of a kind, its owner first.
fn types(kind: Kind) -> Vec<Type> {
    let own = kind.columns().iter().map(|column| match column.form.stored() {
        StoredAs::Text | StoredAs::Json => Type::TEXT,
        StoredAs::Integer => Type::INT8,
        StoredAs::Boolean => Type::BOOL,
        StoredAs::Uuid => Type::UUID,
        StoredAs::Bytes => Type::BYTEA,
    });
    std::iter::once(Type::INT8).chain(own).collect()
}

pub(super) async fn begin(shared: &Shared, transaction: &str) -> Result<Connection, StoreError> {
    let begin = format!("{transaction}{LONG}");
    let beginning = async {
        let connection = Object::take(take(&shared.connections.readers).await?);
        connection.batch_execute(&begin).await?;
        Ok::<_, StoreError>(Arc::new(connection))
    };
    within(shared.connections.deadlines.answer, beginning).await
}

async fn environments(connection: &ClientWrapper) -> Result<Environments, StoreError> {
    let mut environments = Environments::new();
    for row in query(connection, sql::ENVIRONMENTS, &[]).await? {
        environments.push((row.try_get(0)?, EnvironmentKind::from_name(row.try_get(1)?)?));
    }
    Ok(environments)
}

fn selected(environments: &Environments, scope: &Scope) -> Selected {
    Selected::new(environments, scope.user.map(|user| format!("'{}'", user.0)))
}

pub(super) async fn export(shared: &Shared, scope: &Scope) -> Result<Export, StoreError> {
    let limits = shared.connections.deadlines;
    let silence = limits.transfer;
    let connection = begin(shared, &shared.connections.session.begin_read).await?;
    within(silence, connection.batch_execute(WHOLE)).await?;
    let environments = in_scope(&within(silence, environments(&connection)).await?, scope);
    let selected = selected(&environments, scope);
    let mut expected = Counts::default();
    for kind in scope.kinds() {
        let counting = count(kind, source(kind), &selected);
        let rows = within(silence, query(&connection, &counting, &[])).await?;
        let rows: i64 = only(&rows)?.try_get(0)?;
        expected.add(kind, rows.unsigned_abs());
    }
    let batches = read_beside(connection, environments, scope.clone(), limits);
    Ok(Export { expected, batches })
}

/// Reads everything of the scope in a task of its own.
fn read_beside(
    connection: Connection,
    environments: Environments,
    scope: Scope,
    limits: Deadlines,
) -> Batches {
    let (sender, batches) = Batches::channel(limits.transfer);
    tokio::spawn(async move {
        let silence = limits.transfer;
        let read = read_all(&connection, &environments, &scope, silence, &sender).await;
        // Whoever waits for the end may want the connection back.
        drop(connection);
        sender.end(read).await;
    });
    batches
}

async fn read_all(
    connection: &ClientWrapper,
    environments: &Environments,
    scope: &Scope,
    silence: Duration,
    sender: &Sender,
) -> Result<(), StoreError> {
    let selected = selected(environments, scope);
    for kind in scope.kinds() {
        let mut gathering = Gathering::of(kind);
        // The driver takes rows from the server only as fast as they are taken from it.
        let selecting = select(kind, source(kind), &selected, ARRIVAL);
        let rows = within(silence, connection.query_typed_raw(&selecting, NOTHING)).await?;
        let mut rows = pin!(rows);
        loop {
            // Most rows have arrived already and need no timer.
            let next = match rows.try_next().now_or_never() {
                Some(next) => next?,
                None => within(silence, rows.try_next()).await?,
            };
            let Some(stored) = next else {
                break;
            };
            let id: i64 = stored.try_get(0)?;
            let environment = environments.iter().find(|(known, _)| *known == id);
            let environment = environment.filter(|_| kind.is_of_environment());
            let columns = kind.columns().iter().enumerate();
            let values: Result<_, StoreError> =
                columns.map(|(place, column)| value(&stored, place + 1, column)).collect();
            let row = Row { environment: environment.map(|(_, kind)| *kind), values: values? };
            if let Some(batch) = gathering.add(row) {
                sender.send(batch).await?;
            }
        }
        if let Some(batch) = gathering.take() {
            sender.send(batch).await?;
        }
    }
    Ok(())
}

/// A value of a column, which stands at `place`.
fn value(row: &Stored, place: usize, column: &Column) -> Result<Value, StoreError> {
    let value = match column.form.stored() {
        StoredAs::Text | StoredAs::Json => row.try_get::<_, Option<_>>(place)?.map(Value::Text),
        StoredAs::Integer => row.try_get::<_, Option<_>>(place)?.map(Value::Integer),
        StoredAs::Boolean => row.try_get::<_, Option<_>>(place)?.map(Value::Boolean),
        StoredAs::Uuid => row.try_get::<_, Option<_>>(place)?.map(Value::Uuid),
        StoredAs::Bytes => row.try_get::<_, Option<_>>(place)?.map(Value::Bytes),
    };
    Ok(value.unwrap_or(Value::Null))
}

/// An import on a connection of its own.
pub(super) struct PostgresImport {
    connection: Connection,
    limits: Deadlines,
    /// None before the app has come.
    environments: Environments,
    /// The months, from their first instant to the next month's, that have a partition.
    months: Vec<(i64, i64)>,
}

pub(super) async fn import(shared: &Shared) -> Result<PostgresImport, StoreError> {
    let connection = begin(shared, &shared.connections.session.begin_write).await?;
    let limits = shared.connections.deadlines;
    if !within(limits.transfer, query(&connection, sql::APP, &[])).await?.is_empty() {
        return Err(StoreError::NotEmpty);
    }
    Ok(PostgresImport { connection, limits, environments: Vec::new(), months: Vec::new() })
}

impl PostgresImport {
    /// Sees to it that every month of the events has a partition. They are made on this connection,
    /// since another one would wait for what it has locked.
    async fn make_partitions(&mut self, events: &[Row]) -> Result<(), StoreError> {
        let columns = Kind::Event.columns().iter();
        let Some(place) = columns.clone().position(|column| column.name == "recorded_at") else {
            return Ok(());
        };
        for event in events {
            let Some(Value::Integer(at)) = event.values.get(place) else {
                continue;
            };
            let has_one = self.months.iter().rev().any(|(from, to)| (from..to).contains(&at));
            if !has_one && self.months.len() < MONTHS_MAX {
                let month = query(&self.connection, sql::MAKE_EVENTS_PARTITION, &[at]).await?;
                let month = only(&month)?;
                self.months.push((month.try_get(0)?, month.try_get(1)?));
            }
        }
        Ok(())
    }

    /// Notes beside users what was inserted of theirs.
    async fn note(&self, statement: &'static str, batch: &Batch) -> Result<(), StoreError> {
        let column = batch.kind.columns().iter().position(|column| column.name == "user_key");
        for (id, kind) in &self.environments {
            let theirs = batch.rows.iter().filter(|row| row.environment == Some(*kind));
            let users = theirs.filter_map(|row| match row.values.get(column?)? {
                Value::Uuid(user) => Some(*user),
                _ => None,
            });
            let users = distinct(users);
            if !users.is_empty() {
                query(&self.connection, statement, &[id, &users]).await?;
            }
        }
        Ok(())
    }

    async fn copy(&self, batch: &Batch) -> Result<(), StoreError> {
        let target = target_in(destination(batch.kind), batch.kind);
        let copy = format!("COPY {target} FROM STDIN (FORMAT BINARY)");
        // The driver names the statement of a copy, and forgets it at once, within the transaction.
        let sink = self.connection.copy_in::<_, Bytes>(&copy).await?;
        let types = types(batch.kind);
        let mut writer = pin!(BinaryCopyInWriter::new(sink, &types));
        for row in &batch.rows {
            let owner = Value::Integer(owner_id(batch.kind, row, &self.environments)?);
            let values: Vec<Sent<'_>> =
                std::iter::once(&owner).chain(&row.values).map(Sent).collect();
            writer.as_mut().write_raw(values).await?;
        }
        match writer.finish().await {
            Ok(_) => Ok(()),
            // No other writer was faster: there is none.
            Err(error) if error.code() == Some(&SqlState::UNIQUE_VIOLATION) => {
                Err(StoreError::Engine(cause(&error)))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn update_environments(&self, batch: &Batch) -> Result<(), StoreError> {
        for row in &batch.rows {
            let owner = Value::Integer(owner_id(batch.kind, row, &self.environments)?);
            let values: Vec<Sent<'_>> =
                std::iter::once(&owner).chain(&row.values).map(Sent).collect();
            let values: Vec<(&(dyn ToSql + Sync), Type)> =
                values.iter().map(|value| value as _).zip(types(batch.kind)).collect();
            self.connection.query_typed(&update_environment('$'), &values).await?;
        }
        Ok(())
    }
}

impl PostgresImport {
    async fn insert_batch(&mut self, batch: &Batch) -> Result<(), StoreError> {
        match batch.kind {
            Kind::App => {
                self.copy(batch).await?;
                let kinds = EnvironmentKind::ALL.map(Named::to_name).to_vec();
                query(&self.connection, sql::CREATE_ENVIRONMENTS, &[&kinds]).await?;
                self.environments = environments(&self.connection).await?;
                Ok(())
            }
            Kind::Environment => self.update_environments(batch).await,
            Kind::Event => {
                self.make_partitions(&batch.rows).await?;
                self.copy(batch).await
            }
            Kind::Subscription => {
                self.copy(batch).await?;
                self.note(sql::NOTE_RUNNING, batch).await
            }
            Kind::Override => {
                self.copy(batch).await?;
                self.note(sql::NOTE_OVERRIDES, batch).await
            }
            Kind::Grant => {
                self.copy(batch).await?;
                self.note(sql::NOTE_GRANTS, batch).await
            }
            Kind::Hold => {
                self.copy(batch).await?;
                self.note(sql::NOTE_HOLDS, batch).await
            }
            _ => self.copy(batch).await,
        }
    }
}

#[async_trait]
impl Import for PostgresImport {
    async fn insert(&mut self, batch: &Batch) -> Result<(), StoreError> {
        within(self.limits.transfer, self.insert_batch(batch)).await
    }

    async fn read_back(&mut self, scope: &Scope) -> Result<Batches, StoreError> {
        within(self.limits.transfer, self.connection.batch_execute(WHOLE)).await?;
        let environments = in_scope(&self.environments, scope);
        let connection = Arc::clone(&self.connection);
        Ok(read_beside(connection, environments, scope.clone(), self.limits))
    }

    async fn wrong_draw(&mut self) -> Result<Option<Finding>, StoreError> {
        let connection = Arc::clone(&self.connection);
        check::wrong_draw(&mut Inspection { connection, silence: self.limits.transfer }).await
    }

    async fn commit(self: Box<Self>) -> Result<(), StoreError> {
        // Ids that came with the rows are not counted by themselves.
        for table in ["keys", "token_secrets", "admins"] {
            let count_on = format!(
                "SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"
            );
            within(self.limits.transfer, query(&self.connection, &count_on, &[])).await?;
        }
        user_search::fill(&self.connection, self.limits.transfer).await?;
        within(self.limits.transfer, query(&self.connection, ADD_UP_USAGE, &[])).await?;
        let why = match timeout(self.limits.transfer, self.connection.batch_execute("COMMIT")).await
        {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) if says_it_was_not_committed(&error) => return Err(error.into()),
            Ok(Err(error)) => cause(&error).to_string(),
            Err(_) => no_answer(self.limits.transfer).to_string(),
        };
        let problem = format!(
            "it went away while it committed; if `kana keys list` shows keys, everything is there \
             ({why})"
        );
        Err(StoreError::Unavailable(problem.into()))
    }
}

/// A value as it is sent.
#[derive(Debug)]
struct Sent<'a>(&'a Value);

impl ToSql for Sent<'_> {
    fn to_sql(
        &self,
        column: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self.0 {
            Value::Null => Ok(IsNull::Yes),
            Value::Text(text) => text.to_sql(column, out),
            Value::Integer(number) => number.to_sql(column, out),
            Value::Boolean(flag) => flag.to_sql(column, out),
            Value::Uuid(uuid) => uuid.to_sql(column, out),
            Value::Bytes(bytes) => bytes.to_sql(column, out),
        }
    }

    /// The columns are those that the value was checked for.
    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
