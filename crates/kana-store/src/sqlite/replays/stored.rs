//! All stored idempotency records: the log and the runs.
//!
//! A record is in one place: forgetting it deletes it there. So a key is looked up in any order, and
//! nothing has to be compared by age.

use std::collections::BTreeMap;

use kana_core::id::IdempotencyKey;
use kana_core::idempotency::Replay;
use rusqlite::{OptionalExtension as _, params};

use super::block::{self, Block, BlockBuilder};
use super::filter::{Filter, LINE_BYTES, OpenPart, lines_of};
use super::hash::{Hasher, place};
use super::log::Log;
use super::merge::Merge;
use super::record::{Asked, Record};
use super::run::{self, Run, State};
use super::run_writer::{self, RunWriter};
use super::statements as sql;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// How records are moved from the log to runs, and from run to run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// The number of records that make the log a run.
    pub(crate) log_keys: usize,
    /// The mean number of records of a block.
    pub(crate) block_keys: u32,
    /// How many runs of a level are merged.
    pub(crate) fan_out: usize,
    /// How many records are merged for each that is kept: more than there are levels, so that merges
    /// keep up.
    pub(crate) work_per_key: u64,
    /// How many blocks are written at a time.
    pub(crate) step_blocks: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { log_keys: 8192, block_keys: 128, fan_out: 8, work_per_key: 8, step_blocks: 8 }
    }
}

/// What a store is told about idempotency records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReplayOptions {
    pub(crate) pace: Pace,
    /// How much memory filters may take.
    pub(crate) filter_bytes_max: usize,
}

impl ReplayOptions {
    /// Without filters in memory, for callers that look up few keys.
    pub(crate) fn without_filters() -> Self {
        Self { pace: Pace::default(), filter_bytes_max: 0 }
    }
}

/// A run with its filter, if that is in memory.
pub(super) struct Held {
    pub(super) run: Run,
    pub(super) filter: Option<Filter>,
}

impl Held {
    /// Ends that it is read. Its blocks are deleted later.
    pub(super) fn let_go(&mut self) {
        self.run.state = State::Deleting;
        self.run.done = 0;
        self.run.merges_into = None;
        self.filter = None;
    }
}

/// The log and the runs, as they are in the transaction of the connection that is handed to each call.
pub(crate) struct StoredReplays {
    pub(super) hasher: Hasher,
    pub(super) period_ms: i64,
    pub(super) options: ReplayOptions,
    pub(super) log: Log,
    /// In the order in which they began.
    pub(super) runs: Vec<Held>,
    pub(super) merges: Vec<Merge>,
    /// How many records may be merged now.
    pub(super) credit: u64,
    /// The period of the newest run that came from the log.
    pub(super) current_period: i64,
    /// Errors of merges that met a damaged block.
    pub(super) failed_merges: Vec<StoreError>,
}

impl StoredReplays {
    /// Reads the log, the rows of the runs, and as many filters as may be in memory.
    pub(crate) fn load(
        connection: &Connection,
        options: ReplayOptions,
    ) -> Result<Self, StoreError> {
        let settings = connection
            .statement(sql::SETTINGS)?
            .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let (seed, period_ms) = settings
            .ok_or_else(|| StoreError::Unreadable("no settings of idempotency keys".into()))?;
        let hasher = Hasher::new(&seed);
        let log = load_log(connection, &hasher)?;
        let held = |run| Held { run, filter: None };
        let runs: Vec<_> = run::read_all(connection)?.into_iter().map(held).collect();
        let mut stored = Self {
            hasher,
            period_ms,
            options,
            log,
            current_period: current_period(&runs),
            runs,
            merges: Vec::new(),
            credit: 0,
            failed_merges: Vec::new(),
        };
        stored.load_filters(connection)?;
        stored.resume_merges(connection)?;
        Ok(stored)
    }

    /// Loads the filters of the newest runs.
    fn load_filters(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut room = self.options.filter_bytes_max;
        let mut newest_first: Vec<&mut Held> = self.runs.iter_mut().collect();
        newest_first.sort_by_key(|held| std::cmp::Reverse(held.run.kept.1));
        for held in newest_first {
            let bytes = filter_bytes(&held.run);
            if held.run.state == State::Whole && bytes <= room {
                held.filter = Some(run_writer::load_filter(connection, &held.run)?);
                room -= bytes;
            }
        }
        Ok(())
    }

    fn resume_merges(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let unfinished: Vec<Run> = self.runs_in(State::Writing).cloned().collect();
        for output in unfinished {
            let keeps_filter = self.has_room_for(&output);
            let writer = RunWriter::resume(connection, &output, keeps_filter)?;
            self.merges.push(Merge::new(&output, writer));
        }
        Ok(())
    }

    pub(super) fn runs_in(&self, state: State) -> impl Iterator<Item = &Run> {
        self.runs.iter().map(|held| &held.run).filter(move |run| run.state == state)
    }

    pub(super) fn run_mut(&mut self, id: i64) -> Option<&mut Run> {
        self.runs.iter_mut().map(|held| &mut held.run).find(|run| run.id == id)
    }

    /// Returns the records of keys, in the order of the keys.
    pub(crate) fn replays(
        &self,
        connection: &Connection,
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let asked = |key| Asked::new(&self.hasher, environment, key);
        self.find(connection, &keys.iter().map(asked).collect::<Vec<_>>())
    }

    /// Like [`replays`](Self::replays).
    pub(super) fn find(
        &self,
        connection: &Connection,
        asked: &[Asked<'_>],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let mut found = Vec::with_capacity(asked.len());
        for asked in asked {
            found.push(self.log.find(asked)?.map(|record| record.replay()).transpose()?);
        }
        // A run after the other, so that the processor waits for the lines of many keys at once.
        for Held { run, filter } in &self.runs {
            if run.state != State::Whole {
                continue;
            }
            for (asked, found) in asked.iter().zip(&mut found) {
                let may_have = || match filter {
                    Some(filter) => Ok(filter.may_have(asked.hash, asked.bits)),
                    None => may_have(connection, run, asked),
                };
                if found.is_none() && may_have()? {
                    *found = find_in(connection, run, asked)?;
                }
            }
        }
        Ok(found)
    }

    /// Deletes the record of a key, if there is one. Returns how many rows it changed.
    pub(super) fn forget(
        &mut self,
        connection: &Connection,
        asked: &Asked<'_>,
    ) -> Result<usize, StoreError> {
        if let Some(row) = self.log.remove(asked)? {
            let mut block = BlockBuilder::default();
            self.log.of_row(row).for_each(|record| block.push(record));
            connection.statement(sql::REPLACE_IN_LOG)?.execute(params![row, block.finish()])?;
            return Ok(1);
        }
        let mut changed = 0;
        for Held { run, filter } in &self.runs {
            let is_written = match run.state {
                State::Whole => true,
                State::Writing => place(asked.hash, run.blocks) < run.done,
                State::Deleting => false,
            };
            let may_have =
                filter.as_ref().is_none_or(|filter| filter.may_have(asked.hash, asked.bits));
            if is_written && may_have && delete_from(connection, run, asked)? {
                changed += 1;
            }
        }
        if changed > 0 {
            self.merges.iter_mut().for_each(Merge::read_anew);
        }
        Ok(changed)
    }

    /// Adds the records of a commit to the log, and does the work that they bring. Returns how many rows
    /// it changed.
    pub(super) fn keep(
        &mut self,
        connection: &Connection,
        records: Vec<Record>,
    ) -> Result<usize, StoreError> {
        if records.is_empty() {
            return Ok(0);
        }
        self.credit += self.options.pace.work_per_key * records.len() as u64;
        let mut changed = 0;
        if self.log.len() + records.len() < self.options.pace.log_keys {
            let mut block = BlockBuilder::default();
            records.iter().for_each(|record| block.push(record.stored()));
            let row = connection.statement(sql::APPEND_TO_LOG)?.insert([block.finish()])?;
            records.into_iter().for_each(|record| self.log.add(record, row));
            changed += 1;
        } else {
            // They need no row of their own: the log becomes a run at once.
            records.into_iter().for_each(|record| self.log.add(record, 0));
            changed += self.empty_log(connection)?;
        }
        Ok(changed + self.work(connection)?)
    }

    /// Turns the log into a run. Returns how many rows it changed.
    pub(super) fn empty_log(&mut self, connection: &Connection) -> Result<usize, StoreError> {
        if self.log.is_empty() {
            return Ok(0);
        }
        let log = std::mem::take(&mut self.log);
        // A run is forgotten as a whole, so what was kept long before the rest has one of its own.
        let mut periods: BTreeMap<i64, Vec<&Record>> = BTreeMap::new();
        for record in log.sorted() {
            let period = record.kept_at.div_euclid(self.period_ms);
            periods.entry(period).or_default().push(record);
        }
        let mut blocks = 0;
        for sorted in periods.values() {
            blocks += self.add_run(connection, sorted, 0)?;
        }
        connection.statement(sql::EMPTY_LOG)?.execute([])?;
        self.begin_merges(connection)?;
        Ok(blocks)
    }

    /// Writes a run of records that are sorted by their hashes, and begins no merge. Returns how many
    /// blocks it has.
    pub(super) fn add_run(
        &mut self,
        connection: &Connection,
        sorted: &[&Record],
        level: u32,
    ) -> Result<usize, StoreError> {
        let kept = sorted.iter().fold((i64::MAX, i64::MIN), |(from, to), record| {
            (record.kept_at.min(from), record.kept_at.max(to))
        });
        let keys = u32::try_from(sorted.len()).unwrap_or(u32::MAX);
        let period = kept.1.div_euclid(self.period_ms);
        let run = Run { level, period, kept, ..self.new_run(State::Whole, keys) };
        let records = sorted.iter().map(|record| (record.hash, record.stored()));
        let filter = run_writer::write(connection, &run, records, self.has_room_for(&run))?;
        let blocks = run.blocks as usize;
        self.runs.push(Held { run, filter });
        self.current_period = period;
        self.keep_within_room();
        Ok(blocks)
    }

    /// Returns a run behind all others, of so many records.
    pub(super) fn new_run(&self, state: State, keys: u32) -> Run {
        let runs = || self.runs.iter().map(|held| &held.run);
        let lines = lines_of(keys);
        Run {
            id: runs().map(|run| run.id).max().unwrap_or(0) + 1,
            state,
            level: 0,
            period: 0,
            kept: (0, 0),
            keys,
            first_block: runs().map(|run| run.block(run.blocks)).max().unwrap_or(1),
            blocks: keys.div_ceil(self.options.pace.block_keys).max(1),
            first_part: runs().map(|run| run.part(run.lines)).max().unwrap_or(1),
            lines,
            done: 0,
            merges_into: None,
        }
    }

    fn filter_bytes(&self) -> usize {
        let held: usize = self.runs.iter().flat_map(|held| &held.filter).map(Filter::bytes).sum();
        held + self.merges.iter().map(Merge::filter_bytes).sum::<usize>()
    }

    /// Returns true if the filter of a new run may be in memory, perhaps in the place of older ones.
    pub(super) fn has_room_for(&self, run: &Run) -> bool {
        let writing: usize = self.merges.iter().map(Merge::filter_bytes).sum();
        writing + filter_bytes(run) <= self.options.filter_bytes_max
    }

    /// Drops the filters of the oldest runs, until the others take as little memory as they may.
    pub(super) fn keep_within_room(&mut self) {
        while self.filter_bytes() > self.options.filter_bytes_max {
            let with_filter = self.runs.iter_mut().filter(|held| held.filter.is_some());
            let Some(oldest) = with_filter.min_by_key(|held| held.run.kept.1) else { return };
            oldest.filter = None;
        }
    }
}

/// Returns the period of the newest run, as far as the runs say.
fn current_period(runs: &[Held]) -> i64 {
    let runs = || runs.iter().map(|held| &held.run);
    let from_log = runs().filter(|run| run.level == 0).max_by_key(|run| run.id);
    from_log.or_else(|| runs().max_by_key(|run| run.period)).map_or(0, |run| run.period)
}

fn filter_bytes(run: &Run) -> usize {
    run.lines as usize * LINE_BYTES
}

fn load_log(connection: &Connection, hasher: &Hasher) -> Result<Log, StoreError> {
    let mut log = Log::default();
    let mut statement = connection.statement(sql::LOG)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let id = row.get(0)?;
        let mut block = Block::read(row.get_ref(1)?.as_blob()?)?;
        while let Some(record) = block.next()? {
            log.add(Record::of_stored(hasher, record)?, id);
        }
    }
    Ok(log)
}

/// Asks the stored filter of a run.
fn may_have(connection: &Connection, run: &Run, asked: &Asked<'_>) -> Result<bool, StoreError> {
    let number = OpenPart::number_of(asked.hash, run.lines);
    let part = run_writer::load_part(connection, run, number)?;
    Ok(part.is_some_and(|part| part.may_have((asked.hash, asked.bits), run.lines)))
}

fn find_in(
    connection: &Connection,
    run: &Run,
    asked: &Asked<'_>,
) -> Result<Option<Replay>, StoreError> {
    let mut statement = connection.statement(sql::BLOCK)?;
    let mut rows = statement.query([run.block(place(asked.hash, run.blocks))])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let record = block::find(row.get_ref(0)?.as_blob()?, asked)?;
    record.map(|record| record.replay()).transpose()
}

/// Deletes the record of a key from a run. Returns false if the run does not have it.
fn delete_from(connection: &Connection, run: &Run, asked: &Asked<'_>) -> Result<bool, StoreError> {
    let id = run.block(place(asked.hash, run.blocks));
    let data: Option<Vec<u8>> =
        connection.statement(sql::BLOCK)?.query_row([id], |row| row.get(0)).optional()?;
    let Some(data) = data else { return Ok(false) };
    if block::find(&data, asked)?.is_none() {
        return Ok(false);
    }
    let mut kept = BlockBuilder::default();
    let mut block = Block::read(&data)?;
    while let Some(record) = block.next()? {
        if !record.is_of(asked)? {
            kept.push(record);
        }
    }
    connection.statement(sql::PUT_BLOCK)?.execute(params![id, kept.finish()])?;
    Ok(true)
}
