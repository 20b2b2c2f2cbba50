//! Reads runs in the order of the hashes.

use rusqlite::OptionalExtension as _;

use super::block::Block;
use super::hash::{Hasher, first_hash, place};
use super::record::Stored;
use super::run::Run;
use super::statements as sql;
use crate::error::StoreError;
use crate::sqlite::connection::Connection;

/// Records with their hashes.
#[derive(Default)]
pub(super) struct Batch {
    bytes: Vec<u8>,
    spans: Vec<Span>,
}

/// Where a record stands: first the origin, then the body.
#[derive(Clone, Copy)]
struct Span {
    hash: u64,
    from: usize,
    body: usize,
    to: usize,
}

impl Batch {
    pub(super) fn push(&mut self, hash: u64, record: Stored<'_>) {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(record.origin);
        let body = self.bytes.len();
        self.bytes.extend_from_slice(record.body);
        self.spans.push(Span { hash, from, body, to: self.bytes.len() });
    }

    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.spans.clear();
    }

    pub(super) fn sort(&mut self) {
        self.spans.sort_unstable_by_key(|span| span.hash);
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn get(&self, index: usize) -> Option<(u64, Stored<'_>)> {
        let Span { hash, from, body, to } = *self.spans.get(index)?;
        let (origin, body) = (self.bytes.get(from..body)?, self.bytes.get(body..to)?);
        Some((hash, Stored { origin, body }))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, Stored<'_>)> {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// A place in a run.
pub(super) struct Cursor {
    run: Run,
    /// The block behind the one that is loaded.
    next: u32,
    loaded: Batch,
    at: usize,
}

impl Cursor {
    /// Begins with the first record whose hash is at least `from`.
    pub(super) fn new(
        connection: &Connection,
        hasher: &Hasher,
        run: &Run,
        from: u64,
    ) -> Result<Self, StoreError> {
        let next = place(from, run.blocks);
        let mut cursor = Self { run: run.clone(), next, loaded: Batch::default(), at: 0 };
        cursor.load(connection, hasher)?;
        while cursor.loaded.get(cursor.at).is_some_and(|(hash, _)| hash < from) {
            cursor.at += 1;
        }
        Ok(cursor)
    }

    /// Appends all records whose hash is less than `below`, or all that are left.
    pub(super) fn take_below(
        &mut self,
        connection: &Connection,
        hasher: &Hasher,
        below: Option<u64>,
        out: &mut Batch,
    ) -> Result<(), StoreError> {
        let is_below = |hash: u64| below.is_none_or(|below| hash < below);
        loop {
            while let Some((hash, record)) = self.loaded.get(self.at) {
                if !is_below(hash) {
                    return Ok(());
                }
                out.push(hash, record);
                self.at += 1;
            }
            match first_hash(self.next, self.run.blocks) {
                Some(first) if is_below(first) => self.load(connection, hasher)?,
                _ => return Ok(()),
            }
        }
    }

    /// Loads the next block, which must be what it should be.
    fn load(&mut self, connection: &Connection, hasher: &Hasher) -> Result<(), StoreError> {
        self.loaded.clear();
        self.at = 0;
        let number = self.next;
        self.next = number.saturating_add(1);
        let data: Option<Vec<u8>> = connection
            .statement(sql::BLOCK)?
            .query_row([self.run.block(number)], |row| row.get(0))
            .optional()?;
        let Some(data) = data else { return Ok(()) };
        let mut block = Block::read(&data)?;
        let mut last = 0;
        while let Some(record) = block.next()? {
            let hash = record.hash(hasher)?;
            if hash < last || place(hash, self.run.blocks) != number {
                let why = "a block of idempotency keys is not where it belongs";
                return Err(StoreError::Unreadable(why.into()));
            }
            last = hash;
            self.loaded.push(hash, record);
        }
        Ok(())
    }
}
