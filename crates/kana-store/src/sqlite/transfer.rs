//! Everything out of this engine, and into it.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Row as Stored, ToSql, params_from_iter};
use uuid::Uuid;

use super::connection::Connection;
use super::inspected::Imported;
use super::readers::ReaderPool;
use super::replays::{BulkReplays, Columns};
use super::{counter_log, event_transfer, keys, statements as sql, usage_by_day, user_search};
use crate::app::{EnvironmentId, EnvironmentKind};
use crate::check::{self, Finding};
use crate::columns::Named;
use crate::deadlines::Deadlines;
use crate::error::StoreError;
use crate::transfer::batch::{Gathering, Gone, Row, Sender};
use crate::transfer::description::Column;
use crate::transfer::kinds::Kind;
use crate::transfer::sql::{
    ADD_UP_USAGE, Environments, Selected, count, in_scope, owner_id, select, target,
    update_environment,
};
use crate::transfer::value::{Stored as StoredAs, Value};
use crate::transfer::{Batch, Batches, Counts, Export, Import, Scope};

/// How events are read as they arrived.
const ARRIVAL: &str = "ORDER BY id";

/// Begins an export on a connection of its own, whose view lasts until everything is read.
pub(super) fn export(
    pool: &Arc<ReaderPool>,
    scope: &Scope,
    limits: Deadlines,
) -> Result<Export, StoreError> {
    pool.health().noted_read(begin_export(pool, scope, limits))
}

fn begin_export(
    pool: &Arc<ReaderPool>,
    scope: &Scope,
    limits: Deadlines,
) -> Result<Export, StoreError> {
    let mut connection = Connection::open_reader(pool.file(), pool.statements())?;
    connection.set_patience(pool.health().patience_to_read())?;
    connection.read_without_map()?;
    connection.run("BEGIN DEFERRED")?;
    let environments = in_scope(&environments(&connection)?, scope);
    let selected = selected(&environments, scope);
    let mut expected = Counts::default();
    for kind in scope.kinds() {
        if kind == Kind::Event {
            let user = scope.user.map(|user| user.0);
            expected.add(kind, event_transfer::count(&mut connection, &environments, user)?);
            continue;
        }
        let rows: i64 =
            connection
                .sqlite()
                .query_row(&count(kind, kind.table(), &selected), [], |row| row.get(0))?;
        expected.add(kind, rows.unsigned_abs());
    }
    let connection = Arc::new(Mutex::new(connection));
    let batches = read_beside(connection, (environments, scope.clone()), pool, limits)?;
    Ok(Export { expected, batches })
}

fn selected(environments: &Environments, scope: &Scope) -> Selected {
    Selected::new(environments, scope.user.map(|user| format!("x'{}'", user.0.simple())))
}

fn environments(connection: &Connection) -> Result<Environments, StoreError> {
    let mut statement = connection.statement(sql::ENVIRONMENTS)?;
    let mut rows = statement.query([])?;
    let mut environments = Environments::new();
    while let Some(row) = rows.next()? {
        environments.push((row.get(0)?, EnvironmentKind::from_name(row.get_ref(1)?.as_str()?)?));
    }
    Ok(environments)
}

fn lock(connection: &Mutex<Connection>) -> MutexGuard<'_, Connection> {
    connection.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads everything of the scope on a thread of its own.
fn read_beside(
    connection: Arc<Mutex<Connection>>,
    (environments, scope): (Environments, Scope),
    pool: &Arc<ReaderPool>,
    limits: Deadlines,
) -> Result<Batches, StoreError> {
    let pool = Arc::clone(pool);
    let (sender, batches) = Batches::channel(limits.transfer);
    let read = move || {
        let read = read_all(&mut lock(&connection), &environments, &scope, &sender);
        drop(connection);
        sender.end_blocking(pool.health().noted_read(read));
    };
    let thread = std::thread::Builder::new().name("kana-export".into()).spawn(read);
    thread.map_err(|error| StoreError::Engine(Box::new(error)))?;
    Ok(batches)
}

fn read_all(
    connection: &mut Connection,
    environments: &Environments,
    scope: &Scope,
    sender: &Sender,
) -> Result<(), StoreError> {
    let selected = selected(environments, scope);
    for kind in scope.kinds() {
        let mut sending = Sending { gathering: Gathering::of(kind), sender };
        if kind == Kind::Event {
            let user = scope.user.map(|user| user.0);
            let mut send = |row| Ok(sending.send(row)?);
            event_transfer::each(connection, environments, user, &mut send)?;
            sending.end()?;
            continue;
        }
        let mut logged = logged(kind, connection, environments)?;
        if let Some(user) = scope.user {
            logged.retain(|(_, row)| row.values.first() == Some(&Value::Uuid(user.0)));
        }
        let mut logged = logged.iter().peekable();
        let mut statement =
            connection.sqlite().prepare(&select(kind, kind.table(), &selected, ARRIVAL))?;
        let mut rows = statement.query([])?;
        while let Some(stored) = rows.next()? {
            let id: i64 = stored.get(0)?;
            let environment = environments.iter().find(|(known, _)| *known == id);
            let environment = environment.filter(|_| kind.is_of_environment());
            let columns = kind.columns().iter().enumerate();
            let values: Result<_, StoreError> =
                columns.map(|(place, column)| value(stored, place + 1, column)).collect();
            let row = Row { environment: environment.map(|(_, kind)| *kind), values: values? };
            let is_hidden = sending.send_logged(&mut logged, Some((id, &row)))?;
            if !is_hidden {
                sending.send(row)?;
            }
        }
        sending.send_logged(&mut logged, None)?;
        sending.end()?;
    }
    Ok(())
}

/// A value of a column, which stands at `place`.
fn value(row: &Stored<'_>, place: usize, column: &Column) -> Result<Value, StoreError> {
    let stored = row.get_ref(place)?;
    if stored == ValueRef::Null {
        return Ok(Value::Null);
    }
    Ok(match column.form.stored() {
        StoredAs::Text | StoredAs::Json => Value::Text(stored.as_str()?.to_owned()),
        StoredAs::Integer => Value::Integer(stored.as_i64()?),
        StoredAs::Boolean => Value::Boolean(stored.as_i64()? != 0),
        StoredAs::Uuid => {
            let uuid = Uuid::from_slice(stored.as_blob()?);
            Value::Uuid(uuid.map_err(|error| StoreError::Unreadable(error.to_string()))?)
        }
        StoredAs::Bytes => Value::Bytes(stored.as_blob()?.to_vec()),
    })
}

/// A row that is not yet in its table as it is, by the id of its environment.
type Logged = (i64, Row);

/// The place of a counter's usage, which is null for a deleted counter.
const USED: usize = 5;

/// Returns the values that say which row of the table it is: the first columns.
fn key(kind: Kind, row: &Row) -> Option<&[Value]> {
    let columns = match kind {
        Kind::UsageByDay => 2,
        _ => 5,
    };
    row.values.get(..columns)
}

/// Returns what the counter log says of a kind, in the order of its table. It is short.
fn logged(
    kind: Kind,
    connection: &Connection,
    environments: &Environments,
) -> Result<Vec<Logged>, StoreError> {
    let mut logged = match kind {
        Kind::Counter => logged_counters(connection, environments)?,
        Kind::UsageByDay => unfolded_usage(connection, environments)?,
        _ => Vec::new(),
    };
    logged.sort_unstable_by(|(one_id, one), (other_id, other)| {
        (one_id, key(kind, one)).cmp(&(other_id, key(kind, other)))
    });
    Ok(logged)
}

/// Returns the usage of days and features that have deltas which are not folded, with them.
fn unfolded_usage(
    connection: &Connection,
    environments: &Environments,
) -> Result<Vec<Logged>, StoreError> {
    let mut unfolded = Vec::new();
    for (environment, deltas) in usage_by_day::unfolded(connection)? {
        let Some((id, kind)) = environments.iter().find(|(id, _)| *id == environment.0) else {
            continue;
        };
        for (day, feature, totals) in deltas.rows() {
            let mut all = usage_by_day::on(connection, environment, day, feature)?;
            all.add(totals);
            let values = vec![
                Value::Integer(day.number()),
                Value::Text(feature.as_str().to_owned()),
                Value::Integer(all.events),
                Value::Integer(all.amount()),
                Value::Integer(all.uncounted),
            ];
            unfolded.push((*id, Row { environment: Some(*kind), values }));
        }
    }
    Ok(unfolded)
}

fn logged_counters(
    connection: &Connection,
    environments: &Environments,
) -> Result<Vec<Logged>, StoreError> {
    let mut logged = Vec::new();
    for (environment, counters) in counter_log::read(connection)? {
        let Some((id, kind)) = environments.iter().find(|(id, _)| *id == environment.0) else {
            continue;
        };
        for ((user, counter), value) in counters {
            let values = vec![
                Value::Uuid(user.0),
                Value::Uuid(counter.subscription.0),
                Value::Text(counter.feature.as_str().to_owned()),
                Value::Integer(counter.terms.0.into()),
                Value::Integer(counter.period_start.as_ms()),
                // A deleted counter hides its row and becomes no record.
                value.as_ref().map_or(Value::Null, |value| Value::Integer(value.used)),
                value.and_then(|value| value.marks.to_text()).map_or(Value::Null, Value::Text),
            ];
            logged.push((*id, Row { environment: Some(*kind), values }));
        }
    }
    Ok(logged)
}

/// Sends rows of a kind on.
struct Sending<'a> {
    gathering: Gathering,
    sender: &'a Sender,
}

impl Sending<'_> {
    fn send(&mut self, row: Row) -> Result<(), Gone> {
        self.gathering.add(row).map_or(Ok(()), |batch| self.sender.send_blocking(batch))
    }

    fn end(mut self) -> Result<(), Gone> {
        self.gathering.take().map_or(Ok(()), |batch| self.sender.send_blocking(batch))
    }

    /// Sends the logged rows that come before a row of the table, or all. Returns true if the row is
    /// one of them, and so hidden.
    fn send_logged<'l>(
        &mut self,
        logged: &mut Peekable<impl Iterator<Item = &'l Logged>>,
        before: Option<(i64, &Row)>,
    ) -> Result<bool, Gone> {
        let kind = self.gathering.kind();
        let before = before.map(|(id, row)| (id, key(kind, row)));
        let order = |(id, row): &Logged| {
            before.map_or(Ordering::Less, |before| (*id, key(kind, row)).cmp(&before))
        };
        let mut hides = false;
        while let Some(logged) = logged.next_if(|logged| order(logged).is_le()) {
            hides = order(logged).is_eq();
            if logged.1.values.get(USED) != Some(&Value::Null) {
                self.send(logged.1.clone())?;
            }
        }
        Ok(hides)
    }
}

/// An import on a connection of its own, which alone writes until it ends.
pub(super) struct SqliteImport {
    connection: Arc<Mutex<Connection>>,
    /// None before the app has come.
    environments: Environments,
    /// The idempotency records that have come.
    replays: Option<BulkReplays>,
    pool: Arc<ReaderPool>,
    limits: Deadlines,
}

pub(super) fn import(
    pool: &Arc<ReaderPool>,
    limits: Deadlines,
) -> Result<SqliteImport, StoreError> {
    let connection = pool.health().noted_write(begin_import(pool))?;
    let connection = Arc::new(Mutex::new(connection));
    let (environments, pool) = (Environments::new(), Arc::clone(pool));
    Ok(SqliteImport { connection, environments, replays: None, pool, limits })
}

fn begin_import(pool: &ReaderPool) -> Result<Connection, StoreError> {
    let connection = Connection::open_writer(pool.file(), pool.statements())?;
    connection.set_patience(pool.health().patience_to_write())?;
    connection.read_without_map()?;
    connection.run("BEGIN IMMEDIATE")?;
    if keys::app(&connection)?.is_some() {
        return Err(StoreError::NotEmpty);
    }
    Ok(connection)
}

fn commit(connection: &mut Connection) -> Result<(), StoreError> {
    user_search::fill(connection.sqlite())?;
    connection.run(ADD_UP_USAGE)?;
    Ok(connection.run("COMMIT")?)
}

impl SqliteImport {
    fn insert_rows(&mut self, batch: &Batch) -> Result<(), StoreError> {
        if batch.kind == Kind::Replay {
            return self.insert_replays(batch);
        }
        let mut connection = lock(&self.connection);
        if batch.kind == Kind::Event {
            let owned = |row| {
                let owner = owner_id(batch.kind, row, &self.environments)?;
                Ok((EnvironmentId(owner), row))
            };
            return event_transfer::insert(&connection, batch.rows.iter().map(owned));
        }
        let statement = if batch.kind == Kind::Environment {
            update_environment('?')
        } else {
            let marks = vec!["?"; batch.kind.columns().len() + 1].join(", ");
            format!("INSERT INTO {} VALUES ({marks})", target(batch.kind))
        };
        let mut statement = connection.sqlite().prepare_cached(&statement)?;
        for row in &batch.rows {
            let owner = Value::Integer(owner_id(batch.kind, row, &self.environments)?);
            let values = std::iter::once(&owner).chain(&row.values);
            statement.execute(params_from_iter(values.map(Bound)))?;
        }
        drop(statement);
        if batch.kind == Kind::App {
            for kind in EnvironmentKind::ALL {
                connection.statement(sql::CREATE_ENVIRONMENT)?.execute([kind.to_name()])?;
            }
            self.environments = environments(&connection)?;
        }
        Ok(())
    }

    fn insert_replays(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let connection = lock(&self.connection);
        let replays = match &mut self.replays {
            Some(replays) => replays,
            None => self.replays.insert(BulkReplays::begin(&connection)?),
        };
        for row in &batch.rows {
            let environment = owner_id(batch.kind, row, &self.environments)?;
            replays.add(&connection, &replay(environment, &row.values)?)?;
        }
        Ok(())
    }

    /// Writes what was gathered.
    fn finish(&mut self) -> Result<(), StoreError> {
        let connection = lock(&self.connection);
        self.replays.take().map_or(Ok(()), |replays| replays.finish(&connection))
    }
}

/// Returns an idempotency record with the columns of its kind.
fn replay(environment: i64, values: &[Value]) -> Result<Columns<'_>, StoreError> {
    use Value::{Integer, Null, Text, Uuid};
    let [Text(key), Uuid(user), Text(feature), Text(action), rest @ ..] = values else {
        return Err(StoreError::Unreadable("a record of an idempotency key".into()));
    };
    let (delta, occurred_at, answer, kept_at) = match rest {
        [Integer(delta), Integer(at), Text(answer), Integer(kept_at)] => {
            (delta, Some(*at), answer, kept_at)
        }
        [Integer(delta), Null, Text(answer), Integer(kept_at)] => (delta, None, answer, kept_at),
        _ => return Err(StoreError::Unreadable("a record of an idempotency key".into())),
    };
    Ok(Columns {
        environment,
        key: key.into(),
        user: *user,
        feature,
        action,
        delta: *delta,
        occurred_at,
        answer: answer.into(),
        kept_at: *kept_at,
    })
}

#[async_trait]
impl Import for SqliteImport {
    async fn insert(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let inserted = self.insert_rows(batch);
        self.pool.health().noted_write(inserted)
    }

    async fn read_back(&mut self, scope: &Scope) -> Result<Batches, StoreError> {
        let finished = self.finish();
        self.pool.health().noted_write(finished)?;
        let environments = in_scope(&self.environments, scope);
        let connection = Arc::clone(&self.connection);
        read_beside(connection, (environments, scope.clone()), &self.pool, self.limits)
    }

    async fn wrong_draw(&mut self) -> Result<Option<Finding>, StoreError> {
        let checked = check::wrong_draw(&mut Imported(Arc::clone(&self.connection))).await;
        self.pool.health().noted_write(checked)
    }

    async fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let finished = self.finish();
        self.pool.health().noted_write(finished)?;
        let committed = commit(&mut lock(&self.connection));
        self.pool.health().noted_write(committed)?;
        self.pool.note_commit();
        Ok(())
    }
}

/// A value as it is bound to a statement.
struct Bound<'a>(&'a Value);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self.0 {
            Value::Null => ValueRef::Null,
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Integer(number) => ValueRef::Integer(*number),
            Value::Boolean(flag) => ValueRef::Integer((*flag).into()),
            Value::Uuid(uuid) => ValueRef::Blob(uuid.as_bytes()),
            Value::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}
