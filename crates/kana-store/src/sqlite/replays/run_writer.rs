//! Writes the blocks and the filter of a run, in the order of the hashes.

use rusqlite::{OptionalExtension as _, params};

use super::block::BlockBuilder;
use super::filter::{Filter, Line, OpenPart, PART_LINES};
use super::hash::{first_hash, place};
use super::record::Stored;
use super::run::Run;
use super::statements as sql;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// What is being written of a run, beside the blocks that it has already.
pub(super) struct RunWriter {
    /// The filter as far as it is written, if it is to stay in memory.
    pub(super) filter: Option<Filter>,
    part: OpenPart,
    block: BlockBuilder,
}

impl RunWriter {
    /// Begins a run.
    pub(super) fn new(run: &Run, keeps_filter: bool) -> Self {
        let filter = keeps_filter.then(|| Filter::new(run.lines));
        Self { filter, part: OpenPart::new(0), block: BlockBuilder::default() }
    }

    /// Goes on with a run of which some blocks are written.
    pub(super) fn resume(
        connection: &Connection,
        run: &Run,
        keeps_filter: bool,
    ) -> Result<Self, StoreError> {
        let mut writer = Self::new(run, false);
        if keeps_filter {
            writer.filter = Some(load_filter(connection, run)?);
        }
        // The first hash that is not written is in this part, which has those before it, or in a later one.
        if let Some(next) = first_hash(run.done, run.blocks) {
            let number = OpenPart::number_of(next, run.lines);
            let stored = load_part(connection, run, number)?;
            writer.part = stored.unwrap_or_else(|| OpenPart::new(number));
        }
        Ok(writer)
    }

    /// Adds a record to the block that is being written.
    pub(super) fn add(
        &mut self,
        connection: &Connection,
        run: &Run,
        (hash, record): (u64, Stored<'_>),
    ) -> Result<(), StoreError> {
        let number = OpenPart::number_of(hash, run.lines);
        if number != self.part.number {
            self.save_part(connection, run)?;
            self.part = OpenPart::new(number);
        }
        let bits = Line::of(hash);
        self.part.add((hash, bits), run.lines);
        if let Some(filter) = &mut self.filter {
            filter.add(hash, bits);
        }
        self.block.push(record);
        Ok(())
    }

    /// Ends the block with this number.
    pub(super) fn end_block(
        &mut self,
        connection: &Connection,
        run: &Run,
        number: u32,
    ) -> Result<(), StoreError> {
        if !self.block.is_empty() {
            let row = params![run.block(number), self.block.finish()];
            connection.statement(sql::PUT_BLOCK)?.execute(row)?;
        }
        Ok(())
    }

    /// Saves the part of the filter that is being written, after the last block of a step.
    pub(super) fn save_part(&self, connection: &Connection, run: &Run) -> Result<(), StoreError> {
        let row = params![run.part(self.part.number), self.part.to_bytes()];
        connection.statement(sql::PUT_FILTER_PART)?.execute(row)?;
        Ok(())
    }
}

/// Writes all blocks of a run, and its row. Returns the filter, if it is to stay in memory.
pub(super) fn write<'a>(
    connection: &Connection,
    run: &Run,
    sorted: impl Iterator<Item = (u64, Stored<'a>)>,
    keeps_filter: bool,
) -> Result<Option<Filter>, StoreError> {
    let mut writer = RunWriter::new(run, keeps_filter);
    let mut block = 0;
    for (hash, record) in sorted {
        let number = place(hash, run.blocks);
        if number != block {
            writer.end_block(connection, run, block)?;
            block = number;
        }
        writer.add(connection, run, (hash, record))?;
    }
    writer.end_block(connection, run, block)?;
    writer.save_part(connection, run)?;
    run.insert(connection)?;
    Ok(writer.filter)
}

/// Reads the stored filter of a run.
pub(super) fn load_filter(connection: &Connection, run: &Run) -> Result<Filter, StoreError> {
    let mut filter = Filter::new(run.lines);
    let mut statement = connection.statement(sql::FILTER_PARTS)?;
    let to = run.part(run.lines.div_ceil(PART_LINES));
    let mut rows = statement.query(params![run.first_part, to])?;
    while let Some(row) = rows.next()? {
        let id: i64 = row.get(0)?;
        if let Ok(number) = u32::try_from(id - run.first_part) {
            filter.set_part(number, row.get_ref(1)?.as_blob()?);
        }
    }
    Ok(filter)
}

/// Reads a stored part of the filter of a run; `None` if no key is in it.
pub(super) fn load_part(
    connection: &Connection,
    run: &Run,
    number: u32,
) -> Result<Option<OpenPart>, StoreError> {
    let stored: Option<Vec<u8>> = connection
        .statement(sql::FILTER_PART)?
        .query_row([run.part(number)], |row| row.get(0))
        .optional()?;
    Ok(stored.map(|bytes| OpenPart::read(number, &bytes)))
}
