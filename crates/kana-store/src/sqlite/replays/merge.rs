//! Merges runs into one, some blocks at a time. What is done so far stands in the row of the new run, so
//! that a restart goes on there.

use super::cursor::{Batch, Cursor};
use super::filter::Filter;
use super::hash::{Hasher, first_hash};
use super::run::Run;
use super::run_writer::RunWriter;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// A merge that has begun.
pub(super) struct Merge {
    /// The id of the new run.
    pub(super) output: i64,
    writer: RunWriter,
    /// Where it is in each of the other runs; `None` before the first step.
    cursors: Option<Vec<Cursor>>,
    gathered: Batch,
    /// It met a damaged block, and goes on after a restart at the earliest.
    pub(super) is_stuck: bool,
}

impl Merge {
    pub(super) fn new(output: &Run, writer: RunWriter) -> Self {
        let gathered = Batch::default();
        Self { output: output.id, writer, cursors: None, gathered, is_stuck: false }
    }

    /// Reads the runs anew, since a record has been deleted from one.
    pub(super) fn read_anew(&mut self) {
        self.cursors = None;
    }

    /// Writes up to `blocks_max` blocks, and saves how many are done in all.
    pub(super) fn step(
        &mut self,
        connection: &Connection,
        hasher: &Hasher,
        output: &mut Run,
        inputs: &[&Run],
        blocks_max: u32,
    ) -> Result<(), StoreError> {
        if self.cursors.is_none() {
            let from = first_hash(output.done, output.blocks).unwrap_or(u64::MAX);
            let cursor = |run: &&Run| Cursor::new(connection, hasher, run, from);
            self.cursors = Some(inputs.iter().map(cursor).collect::<Result<_, _>>()?);
        }
        let to = output.done.saturating_add(blocks_max).min(output.blocks);
        for number in output.done..to {
            self.gathered.clear();
            let below = first_hash(number + 1, output.blocks);
            for cursor in self.cursors.iter_mut().flatten() {
                cursor.take_below(connection, hasher, below, &mut self.gathered)?;
            }
            self.gathered.sort();
            for record in self.gathered.iter() {
                self.writer.add(connection, output, record)?;
            }
            self.writer.end_block(connection, output, number)?;
        }
        self.writer.save_part(connection, output)?;
        output.done = to;
        output.save(connection)
    }

    /// Returns how much memory its filter takes.
    pub(super) fn filter_bytes(&self) -> usize {
        self.writer.filter.as_ref().map_or(0, Filter::bytes)
    }

    /// Returns the filter of the run that is written, if it is to stay in memory.
    pub(super) fn into_filter(self) -> Option<Filter> {
        self.writer.filter
    }
}
