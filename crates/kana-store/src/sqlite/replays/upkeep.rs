//! What is done with runs between requests: merging, deleting, forgetting what is old.

use kana_core::Timestamp;

use super::merge::Merge;
use super::merge_plan::{self, Plan};
use super::run::{Run, State};
use super::run_writer::RunWriter;
use super::statements as sql;
use super::stored::{Held, Pace, StoredReplays};
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// How many periods the time has for which records are kept.
const PERIODS: i64 = 8;
/// The shortest period.
const PERIOD_MS_MIN: i64 = 60_000;

impl StoredReplays {
    /// Begins all merges for which there are runs.
    pub(super) fn begin_merges(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let pace = self.options.pace;
        let plans =
            merge_plan::plans(self.runs_in(State::Whole), self.current_period, pace.fan_out);
        for Plan { inputs, level } in plans {
            let chosen = || self.runs_in(State::Whole).filter(|run| inputs.contains(&run.id));
            let keys = chosen().fold(0, |sum: u32, run| sum.saturating_add(run.keys));
            let period = chosen().map(|run| run.period).max().unwrap_or(0);
            let from = chosen().map(|run| run.kept.0).min().unwrap_or(0);
            let to = chosen().map(|run| run.kept.1).max().unwrap_or(0);
            let output =
                Run { level, period, kept: (from, to), ..self.new_run(State::Writing, keys) };
            output.insert(connection)?;
            for held in self.runs.iter_mut().filter(|held| inputs.contains(&held.run.id)) {
                held.run.merges_into = Some(output.id);
                held.run.save(connection)?;
            }
            let writer = RunWriter::new(&output, self.has_room_for(&output));
            self.merges.push(Merge::new(&output, writer));
            self.runs.push(Held { run: output, filter: None });
        }
        Ok(())
    }

    /// Merges and deletes as many blocks as there is credit for. Returns how many.
    pub(super) fn work(&mut self, connection: &Connection) -> Result<usize, StoreError> {
        let Pace { block_keys, step_blocks, .. } = self.options.pace;
        let cost = u64::from(step_blocks) * u64::from(block_keys);
        let mut changed = 0;
        while self.credit >= cost {
            self.credit -= cost;
            let merged = self.merge_some(connection, step_blocks)?;
            // Twice as fast as blocks become old.
            let deleted = self.delete_some(connection, 2 * step_blocks)?;
            if merged + deleted == 0 {
                self.credit = 0;
            }
            changed += merged + deleted;
        }
        Ok(changed)
    }

    /// Takes the merge of the smallest runs a step further. Returns how many blocks it wrote.
    pub(super) fn merge_some(
        &mut self,
        connection: &Connection,
        blocks: u32,
    ) -> Result<usize, StoreError> {
        let size = |merge: &Merge| self.runs.iter().find(|held| held.run.id == merge.output);
        let places = 0..self.merges.len();
        let Some(at) = places
            .filter(|at| !self.merges[*at].is_stuck)
            .min_by_key(|at| size(&self.merges[*at]).map(|held| held.run.keys))
        else {
            return Ok(0);
        };
        let merge = &mut self.merges[at];
        let Some(found) = self.runs.iter().find(|held| held.run.id == merge.output) else {
            return Err(StoreError::Unreadable("a run that is being written is gone".into()));
        };
        let mut output = found.run.clone();
        let before = output.done;
        let inputs = self.runs.iter().map(|held| &held.run);
        let inputs: Vec<&Run> = inputs.filter(|run| run.merges_into == Some(output.id)).collect();
        match merge.step(connection, &self.hasher, &mut output, &inputs, blocks) {
            // Requests go on: all records are still where they were.
            Err(error @ (StoreError::Unreadable(_) | StoreError::Damaged { .. })) => {
                merge.is_stuck = true;
                self.failed_merges.push(error);
                return Ok(0);
            }
            stepped => stepped?,
        }
        let written = (output.done - before) as usize;
        if output.done == output.blocks {
            let merge = self.merges.swap_remove(at);
            self.finish_merge(connection, &output, merge)?;
        } else if let Some(run) = self.run_mut(output.id) {
            *run = output;
        }
        Ok(written)
    }

    /// Puts a new run in the place of those that it was written from.
    fn finish_merge(
        &mut self,
        connection: &Connection,
        output: &Run,
        merge: Merge,
    ) -> Result<(), StoreError> {
        let mut filter = merge.into_filter();
        for held in &mut self.runs {
            if held.run.id == output.id {
                held.run = Run { state: State::Whole, done: 0, ..output.clone() };
                held.filter = filter.take();
            } else if held.run.merges_into == Some(output.id) {
                held.let_go();
            } else {
                continue;
            }
            held.run.save(connection)?;
        }
        self.keep_within_room();
        self.begin_merges(connection)
    }

    /// Deletes up to `blocks` blocks of runs that are no longer read. Returns how many it came by.
    pub(crate) fn delete_some(
        &mut self,
        connection: &Connection,
        blocks: u32,
    ) -> Result<usize, StoreError> {
        let mut left = blocks;
        while left > 0 {
            let is_old = |held: &Held| held.run.state == State::Deleting;
            let Some(at) = self.runs.iter().position(is_old) else { break };
            let (deleted, is_gone) = self.runs[at].run.delete_some(connection, left)?;
            left = left.saturating_sub(deleted.max(1));
            if is_gone {
                self.runs.remove(at);
            }
        }
        Ok((blocks - left) as usize)
    }

    /// Forgets what was kept before `before`, as far as whole runs are that old: they are deleted later.
    /// A log with records from more than a period ago becomes runs first, one for each period. Returns how
    /// many rows it changed.
    pub(crate) fn forget_old(
        &mut self,
        connection: &Connection,
        before: Timestamp,
        now: Timestamp,
    ) -> Result<usize, StoreError> {
        let kept_ms = now.as_ms().saturating_sub(before.as_ms());
        let mut changed = self.set_period(connection, (kept_ms / PERIODS).max(PERIOD_MS_MIN))?;
        let period_ago = now.as_ms().saturating_sub(self.period_ms);
        if self.log.iter().any(|record| record.kept_at < period_ago) {
            changed += self.empty_log(connection)?;
        }
        Ok(changed + self.let_go(connection, before.as_ms())?)
    }

    /// Lets go of all runs whose records were kept before `before`, to be deleted. Returns how many.
    fn let_go(&mut self, connection: &Connection, before: i64) -> Result<usize, StoreError> {
        let is_old = |run: &Run| run.state != State::Deleting && run.kept.1 < before;
        let runs = self.runs.iter().map(|held| &held.run);
        let old: Vec<i64> = runs.filter(|run| is_old(run)).map(|run| run.id).collect();
        let mut changed = 0;
        for held in &mut self.runs {
            // What is being merged goes together: all of it, or nothing yet.
            let whole = held.run.merges_into.unwrap_or(held.run.id);
            if held.run.state != State::Deleting && old.contains(&whole) {
                held.let_go();
                held.run.save(connection)?;
                changed += 1;
            }
        }
        self.merges.retain(|merge| !old.contains(&merge.output));
        Ok(changed)
    }

    /// Sets the length of periods, if it is another one. Returns how many rows it changed.
    fn set_period(&mut self, connection: &Connection, period_ms: i64) -> Result<usize, StoreError> {
        if period_ms == self.period_ms {
            return Ok(0);
        }
        self.period_ms = period_ms;
        Ok(connection.statement(sql::SET_PERIOD)?.execute([period_ms])?)
    }

    /// Returns the errors of merges that met a damaged block since this was last called.
    pub(crate) fn take_failed_merges(&mut self) -> Vec<StoreError> {
        std::mem::take(&mut self.failed_merges)
    }
}
