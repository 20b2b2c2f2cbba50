//! The subscriptions of a user that run, as bytes: they stand in the row that a question finds by the user's
//! id. A function of SQL writes them, for the triggers of that row.
//!
//! For each subscription, in the order of the ids: its id, 16 bytes; the number of its status, a byte; its
//! start; its package; the text of its quantities, empty where it was always for one; and, where the highest bit
//! of the status is set, the text of its timing.

use kana_core::Timestamp;
use kana_core::id::{PackageId, SubscriptionId};
use kana_core::subscription::{Subscription, SubscriptionStatus};
use rusqlite::functions::{Aggregate, Context, FunctionFlags};
use rusqlite::{Connection, Result};
use uuid::Uuid;

use super::bytes::{Reader, put_signed, put_slice};
use crate::columns::Named as _;
use crate::error::StoreError;
use crate::quantities_column::quantities_from_text;
use crate::timing_column::timing_from_text;

/// The function of SQL, an aggregate. Arguments: `id, package_id, status, started_at, quantities, timing`. NULL
/// if they take more than [`BYTES_MAX`], or if one of them cannot be read: the table then says what it is.
const FUNCTION: &str = "running_subscriptions";

/// How many bytes the subscriptions of a user may take: those of about twelve. Much more, and a row would
/// need pages of its own.
const BYTES_MAX: usize = 512;

/// A bit of the status: something was said about the start, the end or the trial, and follows.
const HAS_TIMING: u8 = 1 << 7;

/// Lets a connection create users and change subscriptions: their triggers need the function.
pub(super) fn register(connection: &Connection) -> Result<()> {
    let flags = FunctionFlags::SQLITE_UTF8
        | FunctionFlags::SQLITE_DETERMINISTIC
        | FunctionFlags::SQLITE_INNOCUOUS;
    connection.create_aggregate_function(FUNCTION, 6, flags, Running)
}

struct Running;

impl Aggregate<Option<Vec<u8>>, Option<Vec<u8>>> for Running {
    fn init(&self, _: &mut Context<'_>) -> Result<Option<Vec<u8>>> {
        Ok(Some(Vec::new()))
    }

    fn step(&self, row: &mut Context<'_>, all: &mut Option<Vec<u8>>) -> Result<()> {
        let Some(bytes) = all else { return Ok(()) };
        if append(bytes, row).is_none() || bytes.len() > BYTES_MAX {
            *all = None;
        }
        Ok(())
    }

    fn finalize(
        &self,
        _: &mut Context<'_>,
        all: Option<Option<Vec<u8>>>,
    ) -> Result<Option<Vec<u8>>> {
        Ok(all.unwrap_or(Some(Vec::new())))
    }
}

/// Appends a subscription. `None` if a column is not as it should be.
fn append(bytes: &mut Vec<u8>, row: &Context<'_>) -> Option<()> {
    let status = SubscriptionStatus::from_name(row.get_raw(2).as_str().ok()?).ok()?;
    let quantities = row.get_raw(4).as_str_or_null().ok()?.unwrap_or("");
    bytes.extend_from_slice(row.get::<Uuid>(0).ok()?.as_bytes());
    let timing = row.get_raw(5).as_str_or_null().ok()?;
    bytes.push(number_of(status) | if timing.is_some() { HAS_TIMING } else { 0 });
    put_signed(bytes, row.get(3).ok()?);
    put_slice(bytes, row.get_raw(1).as_str().ok()?.as_bytes());
    put_slice(bytes, quantities.as_bytes());
    if let Some(timing) = timing {
        put_slice(bytes, timing.as_bytes());
    }
    Some(())
}

/// Reads what the function has written.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<Subscription>, StoreError> {
    let mut reader = Reader::new(bytes);
    let mut running = Vec::new();
    while !reader.is_at_end() {
        running.push(read_next(&mut reader)?);
    }
    Ok(running)
}

fn read_next(reader: &mut Reader<'_>) -> Result<Subscription, StoreError> {
    let problem = || StoreError::Unreadable("the running subscriptions of a user".to_owned());
    let id = reader.array().ok_or_else(problem)?;
    let status = reader.byte().ok_or_else(problem)?;
    let has_timing = status & HAS_TIMING != 0;
    let status = status_of(status & !HAS_TIMING).ok_or_else(problem)?;
    let started_at = reader.signed().ok_or_else(problem)?;
    let package = reader.text().ok_or_else(problem)?;
    let quantities = reader.text().ok_or_else(problem)?;
    let timing = if has_timing { Some(reader.text().ok_or_else(problem)?) } else { None };
    Ok(Subscription {
        id: SubscriptionId(Uuid::from_bytes(*id)),
        package: PackageId::new("stored package id", package)?,
        status,
        started_at: Timestamp::from_ms(started_at),
        ended_at: None,
        quantities: quantities_from_text(Some(quantities).filter(|text| !text.is_empty()))?,
        timing: timing_from_text(timing)?,
    })
}

/// Returns the number that stands for a status in the bytes.
fn number_of(status: SubscriptionStatus) -> u8 {
    match status {
        SubscriptionStatus::Active => 0,
        SubscriptionStatus::Trialing => 1,
        SubscriptionStatus::Cancelled => 2,
        SubscriptionStatus::PastDue => 3,
        SubscriptionStatus::Unpaid => 4,
        SubscriptionStatus::Incomplete => 5,
        SubscriptionStatus::IncompleteExpired => 6,
    }
}

fn status_of(number: u8) -> Option<SubscriptionStatus> {
    let statuses = SubscriptionStatus::NAMES.iter().map(|(status, _)| *status);
    statuses.into_iter().find(|status| number_of(*status) == number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::quantities_column::quantities_to_text;
    use crate::timing_column::timing_to_text;

    type Row<'a> = (u128, &'a str, &'a str, i64, Option<&'a str>, Option<&'a str>);

    /// Returns what the function makes of rows of `(id, package, status, start, quantities, timing)`.
    fn written(rows: &[Row<'_>]) -> Option<Vec<u8>> {
        let connection = Connection::open_in_memory().unwrap();
        register(&connection).unwrap();
        connection.execute_batch("CREATE TABLE t (a, b, c, d, e, f)").unwrap();
        for (id, package, status, start, quantities, timing) in rows {
            let row = (Uuid::from_u128(*id), package, status, start, quantities, timing);
            connection.execute("INSERT INTO t VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row).unwrap();
        }
        let all = "SELECT running_subscriptions(a, b, c, d, e, f) FROM t";
        connection.query_row(all, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn subscriptions_are_read_as_they_were_written() {
        assert_eq!(written(&[]), Some(Vec::new()));
        assert_eq!(read(&[]).unwrap(), []);
        let quantities = Some("[2,[[1704067200000,5]]]");
        let rows: Vec<_> = SubscriptionStatus::NAMES
            .iter()
            .enumerate()
            .map(|(n, (_, name))| {
                let quantities = quantities.filter(|_| n == 1);
                let timing = Some("[1,null,1704067200000,-7,-9]").filter(|_| n % 3 == 1);
                (u128::MAX - n as u128, "größer", *name, -5 + n as i64, quantities, timing)
            })
            .collect();
        let bytes = written(&rows).unwrap();
        let running = read(&bytes).unwrap();
        assert_eq!(running.len(), rows.len());
        for (one, (id, package, status, start, quantities, timing)) in running.iter().zip(rows) {
            assert_eq!(one.id.0.as_u128(), id);
            assert_eq!(one.package.as_str(), package);
            assert_eq!(one.status.to_name(), status);
            assert_eq!((one.started_at.as_ms(), one.ended_at), (start, None));
            assert_eq!(quantities_to_text(&one.quantities).as_deref(), quantities);
            assert_eq!(timing_to_text(&one.timing).as_deref(), timing);
        }
        for cut in 1..bytes.len() {
            if let Ok(fewer) = read(&bytes[..cut]) {
                assert!(fewer.len() < running.len());
            }
        }
    }

    #[test]
    fn what_does_not_fit_or_cannot_be_read_is_left_to_the_table() {
        let one = (1, "pro", "ACTIVE", 0, None, None);
        assert!(written(&[one; 12]).is_some());
        assert_eq!(written(&[one; 60]), None);
        assert_eq!(written(&[one, (1, "pro", "NO_STATUS", 0, None, None)]), None);
    }

    proptest! {
        #[test]
        fn other_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }
    }
}
