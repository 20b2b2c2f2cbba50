//! Reads the usage of an environment again, user by user. The log has the order of arrival, so SQLite sorts it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kana_core::id::UserKey;
use kana_core::usage::LoggedAction;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Error, params};

use super::connection::Connection;
use super::readers::ReaderPool;
use crate::app::EnvironmentId;
use crate::columns::Named as _;
use crate::error::StoreError;
use crate::transfer::Batches;
use crate::usage_by_user::{
    AHEAD_MS, Entries, LoggedRow, UsageByUser, UsageSender, UsageWindow, gone,
};

/// The columns are those of the view `events`, which does not show when a block was recorded. [`READ_ON`] is asked
/// before each block.
const ENTRIES: &str = "
    SELECT usage_event_column(e.value, 0) AS user_key, usage_event_column(e.value, 1),
        usage_event_column(e.value, 2) AS action, usage_event_column(e.value, 3),
        usage_event_column(e.value, 4) AS occurred_at, usage_event_column(e.value, 7)
    FROM event_blocks b, rarray(usage_events_of(b.id, b.events, b.recorded_from, b.users, b.data)) e
    WHERE b.environment_id = ?1 AND b.recorded_to >= ?2 - ?4 AND usage_read_on(b.id)
        AND usage_event_column(e.value, 4) >= ?2 AND usage_event_column(e.value, 4) < ?3
    ORDER BY user_key, action <> 'VOID', b.id, e.rowid";

/// Returns true after a pause. Fails once the receiver is gone.
const READ_ON: &str = "usage_read_on";

/// How many times as long as it works the thread rests, so that requests have most of the processor.
const REST: u32 = 4;

/// The longest work that it rests for, if it had to wait itself.
const WORK_MAX: Duration = Duration::from_millis(20);

/// Begins to read on a thread and a connection of its own.
pub(super) fn usage_by_user(
    pool: &Arc<ReaderPool>,
    environment: EnvironmentId,
    window: UsageWindow,
) -> Result<UsageByUser, StoreError> {
    let (sender, batches) = Batches::channel(window.limit);
    let sender = Arc::new(sender);
    let pool = Arc::clone(pool);
    let read = move || {
        let read = read(&pool, environment, &window, &sender);
        let Some(sender) = Arc::into_inner(sender) else { return };
        sender.end_blocking(pool.health().noted_read(read));
    };
    let thread = std::thread::Builder::new().name("kana-simulation".into()).spawn(read);
    thread.map_err(|error| StoreError::Engine(Box::new(error)))?;
    Ok(batches)
}

fn read(
    pool: &Arc<ReaderPool>,
    environment: EnvironmentId,
    window: &UsageWindow,
    sender: &Arc<UsageSender>,
) -> Result<(), StoreError> {
    let mut connection = Connection::open_reader(pool.file(), pool.statements())?;
    connection.set_patience(pool.health().patience_to_read())?;
    connection.read_without_map()?;
    rest_now_and_then(&mut connection, sender, window.limit)?;
    let mut statement = connection.statement(ENTRIES)?;
    let (from, to) = (window.occurred.start.as_ms(), window.occurred.end.as_ms());
    let mut rows = statement.query(params![environment.0, from, to, AHEAD_MS])?;
    let mut entries = Entries::default();
    while let Some(row) = rows.next()? {
        let text = |column| Ok::<_, StoreError>(row.get_ref(column)?.as_str()?);
        let logged = LoggedRow {
            feature: text(1)?,
            action: LoggedAction::from_name(text(2)?)?,
            delta: row.get(3)?,
            occurred_at: row.get(4)?,
            key: row.get_ref(5)?.as_str_or_null()?,
        };
        if let Some(batch) = entries.add(UserKey(row.get(0)?), logged)? {
            sender.send_blocking(batch).map_err(gone)?;
        }
    }
    sender.send_blocking(entries.rest()).map_err(gone)
}

/// Lets the connection's statements ask whether to read on. They rest meanwhile.
fn rest_now_and_then(
    connection: &mut Connection,
    sender: &Arc<UsageSender>,
    limit: Duration,
) -> Result<(), StoreError> {
    let sender = Arc::downgrade(sender);
    let begun = Instant::now();
    let since = Mutex::new(begun);
    let read_on = move |_: &mut Context<'_>| {
        let mut since = since.lock().unwrap_or_else(PoisonError::into_inner);
        std::thread::sleep(since.elapsed().min(WORK_MAX) * REST);
        *since = Instant::now();
        let is_wanted = sender.upgrade().is_some_and(|sender| !sender.is_closed());
        if is_wanted && begun.elapsed() < limit {
            return Ok(true);
        }
        Err(Error::UserFunctionError("what is read is not taken any more".into()))
    };
    let flags = FunctionFlags::SQLITE_UTF8;
    Ok(connection.sqlite().create_scalar_function(READ_ON, 1, flags, read_on)?)
}
