//! Many records at once, in any order: of an import, and of the table of before.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rusqlite::Row;

use super::record::{Columns, Record};
use super::run::State;
use super::stored::{Pace, ReplayOptions, StoredReplays};
use super::twice::twice;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// The maximum number of records in memory: some 20 MB.
const BUFFERED_MAX: usize = 128 * 1024;
/// How many blocks are written at a time.
const STEP_BLOCKS: u32 = 1024;

/// Takes records and writes them as runs, each of one period.
pub(crate) struct BulkReplays {
    stored: StoredReplays,
    /// By the period in which they were kept.
    buffers: BTreeMap<i64, Vec<Record>>,
    buffered: usize,
}

impl BulkReplays {
    pub(crate) fn begin(connection: &Connection) -> Result<Self, StoreError> {
        let stored = StoredReplays::load(connection, ReplayOptions::without_filters())?;
        Ok(Self { stored, buffers: BTreeMap::new(), buffered: 0 })
    }

    /// Adds a record, whose key no other has.
    pub(crate) fn add(
        &mut self,
        connection: &Connection,
        row: &Columns<'_>,
    ) -> Result<(), StoreError> {
        let period = row.kept_at.div_euclid(self.stored.period_ms);
        let record = Record::of_row(&self.stored.hasher, row);
        self.buffers.entry(period).or_default().push(record);
        self.buffered += 1;
        if self.buffered >= BUFFERED_MAX {
            let largest = self.buffers.iter().max_by_key(|(_, records)| records.len());
            if let Some(period) = largest.map(|(period, _)| *period) {
                self.write(connection, period)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, connection: &Connection, period: i64) -> Result<(), StoreError> {
        let mut records = self.buffers.remove(&period).unwrap_or_default();
        self.buffered -= records.len();
        records.sort_unstable_by_key(|record| record.hash);
        let Pace { log_keys, fan_out, .. } = self.stored.options.pace;
        let (mut level, mut larger) = (0, log_keys * fan_out);
        while records.len() >= larger {
            level += 1;
            larger *= fan_out;
        }
        let sorted: Vec<&Record> = records.iter().collect();
        self.stored.add_run(connection, &sorted, level)?;
        Ok(())
    }

    /// Writes what is left, and merges the runs. Fails if two records have one key.
    pub(crate) fn finish(mut self, connection: &Connection) -> Result<(), StoreError> {
        let periods: Vec<i64> = self.buffers.keys().copied().collect();
        for period in periods {
            self.write(connection, period)?;
        }
        let newest = self.stored.runs_in(State::Whole).map(|run| run.period).max();
        self.stored.current_period = newest.unwrap_or(0);
        self.stored.begin_merges(connection)?;
        loop {
            let merged = self.stored.merge_some(connection, STEP_BLOCKS)?;
            if let Some(error) = self.stored.take_failed_merges().pop() {
                return Err(error);
            }
            let deleted = self.stored.delete_some(connection, STEP_BLOCKS)?;
            if merged + deleted == 0 {
                break;
            }
        }
        match twice(connection, &self.stored)? {
            None => Ok(()),
            Some((_, key)) => {
                Err(StoreError::Unreadable(format!("the idempotency key {key:?} is there twice")))
            }
        }
    }
}

/// The rows of before, as they stand in their table.
const ROWS_OF_BEFORE: &str = "
    SELECT environment_id, idempotency_key, user_key, feature_id, action, delta, occurred_at, answer,
        kept_at
    FROM replays_in_rows";
const DROP_TABLE_OF_BEFORE: &str = "DROP TABLE replays_in_rows";

/// Moves the rows of the table of before to runs, and drops that table. Runs within the transaction of
/// the migration.
pub(crate) fn take_over(connection: &Connection) -> Result<(), StoreError> {
    let mut bulk = BulkReplays::begin(connection)?;
    let mut statement = connection.statement(ROWS_OF_BEFORE)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        bulk.add(connection, &columns(row)?)?;
    }
    drop(rows);
    statement.discard();
    bulk.finish(connection)?;
    Ok(connection.run(DROP_TABLE_OF_BEFORE)?)
}

fn columns<'a>(row: &'a Row<'_>) -> Result<Columns<'a>, StoreError> {
    Ok(Columns {
        environment: row.get(0)?,
        key: Cow::Borrowed(row.get_ref(1)?.as_str()?),
        user: row.get(2)?,
        feature: row.get_ref(3)?.as_str()?,
        action: row.get_ref(4)?.as_str()?,
        delta: row.get(5)?,
        occurred_at: row.get(6)?,
        answer: Cow::Borrowed(row.get_ref(7)?.as_str()?),
        kept_at: row.get(8)?,
    })
}
