//! Idempotency records in the transaction of a writer.

use kana_core::id::IdempotencyKey;
use kana_core::idempotency::Replay;

use super::by_hash::Hashes;
use super::log::Log;
use super::record::{Asked, Record};
use super::stored::StoredReplays;
use crate::app::EnvironmentId;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// What a transaction knows and changes of idempotency records.
#[derive(Default)]
pub(crate) struct ReplaysInUse {
    /// What it keeps.
    kept: Log,
    /// The hashes of keys that have no record.
    absent: Hashes,
}

impl ReplaysInUse {
    /// Returns the records of keys, in the order of the keys.
    pub(crate) fn find(
        &mut self,
        (stored, connection): (&StoredReplays, &Connection),
        environment: EnvironmentId,
        keys: &[IdempotencyKey],
    ) -> Result<Vec<Option<Replay>>, StoreError> {
        let asked: Vec<_> =
            keys.iter().map(|key| Asked::new(&stored.hasher, environment, key)).collect();
        let mut found = stored.find(connection, &asked)?;
        self.absent.reserve(asked.len());
        for (asked, found) in asked.iter().zip(&mut found) {
            if let Some(kept) = self.kept.find(asked)? {
                *found = Some(kept.replay()?);
            }
            if found.is_none() {
                self.absent.insert(asked.hash);
            }
        }
        Ok(found)
    }

    /// Keeps a record. Fails if its key has one.
    pub(crate) fn keep(
        &mut self,
        (stored, connection): (&StoredReplays, &Connection),
        environment: EnvironmentId,
        key: &IdempotencyKey,
        replay: &Replay,
    ) -> Result<(), StoreError> {
        let record = Record::new(&stored.hasher, environment, key, replay);
        // A caller looks a key up before it keeps a record.
        if !self.absent.remove(&record.hash)
            && self.find((stored, connection), environment, std::slice::from_ref(key))?
                != [const { None }]
        {
            let why = "the idempotency key has a record already";
            return Err(StoreError::Engine(why.into()));
        }
        self.absent.remove(&record.hash);
        self.kept.add(record, 0);
        Ok(())
    }

    /// Forgets the record of a key. Returns how many rows it changed.
    pub(crate) fn forget(
        &mut self,
        (stored, connection): (&mut StoredReplays, &Connection),
        environment: EnvironmentId,
        key: &IdempotencyKey,
    ) -> Result<usize, StoreError> {
        let asked = Asked::new(&stored.hasher, environment, key);
        self.kept.remove(&asked)?;
        stored.forget(connection, &asked)
    }

    /// Returns true if it keeps no record.
    pub(crate) fn keeps_none(&self) -> bool {
        self.kept.is_empty()
    }

    /// Writes what was kept, in the transaction that is about to be committed. Returns how many rows it
    /// changed.
    pub(crate) fn write(
        &mut self,
        (stored, connection): (&mut StoredReplays, &Connection),
    ) -> Result<usize, StoreError> {
        stored.keep(connection, std::mem::take(&mut self.kept).into_records())
    }
}
