//! Runs: many records, sorted by the hashes of their keys, in blocks. This file has their rows.

use rusqlite::{Row, params};

use super::filter::parts_of;
use super::statements as sql;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It is being written, and is not read yet.
    Writing,
    Whole,
    /// It is being deleted, and is not read any more.
    Deleting,
}

impl State {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Writing, "writing"), (Self::Whole, "whole"), (Self::Deleting, "deleting")];

    fn name(self) -> &'static str {
        Self::ALL.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

/// The row of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) id: i64,
    pub(super) state: State,
    pub(super) level: u32,
    pub(super) period: i64,
    /// When its oldest and its newest record were kept, in milliseconds.
    pub(super) kept: (i64, i64),
    /// The number of records. Those that were forgotten one by one still count.
    pub(super) keys: u32,
    pub(super) first_block: i64,
    pub(super) blocks: u32,
    pub(super) first_part: i64,
    pub(super) lines: u32,
    /// How many blocks have been written or deleted.
    pub(super) done: u32,
    pub(super) merges_into: Option<i64>,
}

/// Reads the rows of all runs, in the order in which they began.
pub(super) fn read_all(connection: &Connection) -> Result<Vec<Run>, StoreError> {
    let mut statement = connection.statement(sql::RUNS)?;
    let mut rows = statement.query([])?;
    let mut runs = Vec::new();
    while let Some(row) = rows.next()? {
        runs.push(read(row)?);
    }
    Ok(runs)
}

fn read(row: &Row<'_>) -> Result<Run, StoreError> {
    let name = row.get_ref(1)?.as_str()?;
    let state = State::ALL.iter().find(|(_, known)| *known == name);
    let (state, _) =
        state.ok_or_else(|| StoreError::Unreadable(format!("the state of a run {name:?}")))?;
    Ok(Run {
        id: row.get(0)?,
        state: *state,
        level: row.get(2)?,
        period: row.get(3)?,
        kept: (row.get(4)?, row.get(5)?),
        keys: row.get(6)?,
        first_block: row.get(7)?,
        blocks: row.get(8)?,
        first_part: row.get(9)?,
        lines: row.get(10)?,
        done: row.get(11)?,
        merges_into: row.get(12)?,
    })
}

impl Run {
    /// Adds the row.
    pub(super) fn insert(&self, connection: &Connection) -> Result<(), StoreError> {
        connection.statement(sql::ADD_RUN)?.execute(params![
            self.id,
            self.state.name(),
            self.level,
            self.period,
            self.kept.0,
            self.kept.1,
            self.keys,
            self.first_block,
            self.blocks,
            self.first_part,
            self.lines,
            self.done,
            self.merges_into,
        ])?;
        Ok(())
    }

    /// Saves what changes of a run.
    pub(super) fn save(&self, connection: &Connection) -> Result<(), StoreError> {
        let row = params![self.id, self.state.name(), self.done, self.merges_into];
        connection.statement(sql::SET_RUN)?.execute(row)?;
        Ok(())
    }

    /// Returns the id of a block's row.
    pub(super) fn block(&self, number: u32) -> i64 {
        self.first_block.saturating_add(number.into())
    }

    /// Returns the id of the row of a part of the filter.
    pub(super) fn part(&self, number: u32) -> i64 {
        self.first_part.saturating_add(number.into())
    }

    /// Deletes up to `blocks_max` blocks with their part of the filter, and at last the row. Returns how
    /// many blocks, and whether all are deleted now.
    pub(super) fn delete_some(
        &mut self,
        connection: &Connection,
        blocks_max: u32,
    ) -> Result<(u32, bool), StoreError> {
        let parts = |blocks: u32| {
            let share = u64::from(parts_of(self.lines)) * u64::from(blocks);
            u32::try_from(share / u64::from(self.blocks.max(1))).unwrap_or(u32::MAX)
        };
        let to = self.done.saturating_add(blocks_max).min(self.blocks);
        let blocks = params![self.block(self.done), self.block(to)];
        connection.statement(sql::DELETE_BLOCKS)?.execute(blocks)?;
        let parts = params![self.part(parts(self.done)), self.part(parts(to))];
        connection.statement(sql::DELETE_FILTER_PARTS)?.execute(parts)?;
        let deleted = to - self.done;
        self.done = to;
        let is_gone = to == self.blocks;
        if is_gone {
            connection.statement(sql::DELETE_RUN)?.execute([self.id])?;
        } else {
            self.save(connection)?;
        }
        Ok((deleted, is_gone))
    }
}
