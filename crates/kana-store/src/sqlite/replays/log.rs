//! The log in memory: the newest records, each with its row.

use super::by_hash::ByHash;
use super::record::{Asked, Record, Stored};
use crate::error::StoreError;

/// Records that are in no run.
#[derive(Default)]
pub(super) struct Log {
    /// Nearly always one of a hash.
    records: ByHash<SameHash>,
    count: usize,
}

/// A record, and perhaps others with the same hash.
struct SameHash {
    first: Logged,
    others: Vec<Logged>,
}

struct Logged {
    record: Record,
    row: i64,
}

impl SameHash {
    fn iter(&self) -> impl Iterator<Item = &Logged> {
        std::iter::once(&self.first).chain(&self.others)
    }
}

impl Log {
    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Adds a record of the row with the id `row`.
    pub(super) fn add(&mut self, record: Record, row: i64) {
        self.count += 1;
        let hash = record.hash;
        let logged = Logged { record, row };
        match self.records.get_mut(&hash) {
            Some(same) => same.others.push(logged),
            None => {
                self.records.insert(hash, SameHash { first: logged, others: Vec::new() });
            }
        }
    }

    pub(super) fn find(&self, asked: &Asked<'_>) -> Result<Option<Stored<'_>>, StoreError> {
        let same = self.records.get(&asked.hash);
        for logged in same.into_iter().flat_map(SameHash::iter) {
            let stored = logged.record.stored();
            if stored.is_of(asked)? {
                return Ok(Some(stored));
            }
        }
        Ok(None)
    }

    /// Removes the record of a key. Returns its row.
    pub(super) fn remove(&mut self, asked: &Asked<'_>) -> Result<Option<i64>, StoreError> {
        if self.find(asked)?.is_none() {
            return Ok(None);
        }
        let Some(SameHash { first, others }) = self.records.remove(&asked.hash) else {
            return Ok(None);
        };
        let mut removed = None;
        self.count -= 1 + others.len();
        for logged in std::iter::once(first).chain(others) {
            if logged.record.stored().is_of(asked)? {
                removed = Some(logged.row);
            } else {
                self.add(logged.record, logged.row);
            }
        }
        Ok(removed)
    }

    fn logged(&self) -> impl Iterator<Item = &Logged> {
        self.records.values().flat_map(SameHash::iter)
    }

    /// Returns all records.
    pub(super) fn into_records(self) -> Vec<Record> {
        let same = |SameHash { first, others }| std::iter::once(first).chain(others);
        self.records.into_values().flat_map(same).map(|logged| logged.record).collect()
    }

    /// Returns the records of a row.
    pub(super) fn of_row(&self, row: i64) -> impl Iterator<Item = Stored<'_>> {
        let records = self.logged().filter(move |logged| logged.row == row);
        records.map(|logged| logged.record.stored())
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.logged().map(|logged| &logged.record)
    }

    /// Returns the records in the order of their hashes.
    pub(super) fn sorted(&self) -> Vec<&Record> {
        let mut records: Vec<_> = self.iter().collect();
        records.sort_unstable_by_key(|record| record.hash);
        records
    }
}
