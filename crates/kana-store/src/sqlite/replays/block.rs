//! A block: records in one row, whether of the log or of a run.
//!
//! A byte for the version, a checksum of the rest, the number of records, the origins, and the records:
//! the place of the origin, and the body. What takes space in a body are random bytes, which no
//! compression makes shorter.

use std::collections::HashMap;

use siphasher::sip::SipHasher13;

use super::record::{Asked, Stored};
use crate::error::StoreError;
use crate::sqlite::bytes::{Reader, put_number, put_slice};

const VERSION: u8 = 1;
const CHECKSUM_BYTES: usize = 8;

/// How many origins are looked through before others are looked up.
const FIRST: usize = 8;

/// Gathers the records of a block.
#[derive(Default)]
pub(super) struct BlockBuilder {
    /// The first origins, in their order. Most blocks have no others.
    first: Vec<Box<[u8]>>,
    /// The places of the others.
    places: HashMap<Box<[u8]>, u64>,
    origins: Vec<u8>,
    records: Vec<u8>,
    count: u64,
}

impl BlockBuilder {
    pub(super) fn push(&mut self, record: Stored<'_>) {
        let place = self.place(record.origin);
        put_number(&mut self.records, place);
        put_slice(&mut self.records, record.body);
        self.count += 1;
    }

    /// Returns the place of an origin, which it gets if it has none.
    fn place(&mut self, origin: &[u8]) -> u64 {
        if let Some(place) = self.first.iter().position(|first| **first == *origin) {
            return place as u64;
        }
        if let Some(place) = self.places.get(origin) {
            return *place;
        }
        let place = (self.first.len() + self.places.len()) as u64;
        put_slice(&mut self.origins, origin);
        if self.first.len() < FIRST {
            self.first.push(origin.into());
        } else {
            self.places.insert(origin.into(), place);
        }
        place
    }

    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Returns the block, and begins another one.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut block = vec![VERSION];
        block.resize(1 + CHECKSUM_BYTES, 0);
        put_number(&mut block, self.count);
        put_number(&mut block, (self.first.len() + self.places.len()) as u64);
        block.append(&mut self.origins);
        block.append(&mut self.records);
        let sum = checksum(&block);
        block[1..=CHECKSUM_BYTES].copy_from_slice(&sum);
        self.first.clear();
        self.places.clear();
        self.count = 0;
        block
    }
}

fn checksum(block: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let sealed = block.get(1 + CHECKSUM_BYTES..).unwrap_or_default();
    SipHasher13::new().hash(sealed).to_le_bytes()
}

fn damaged() -> StoreError {
    StoreError::Unreadable("a block of idempotency keys is damaged".into())
}

/// A block that is read.
pub(super) struct Block<'a> {
    origins: Vec<&'a [u8]>,
    count: u64,
    records: Reader<'a>,
}

impl<'a> Block<'a> {
    /// Reads a block whose checksum must be right.
    pub(super) fn read(data: &'a [u8]) -> Result<Self, StoreError> {
        let sum = data.get(1..=CHECKSUM_BYTES).ok_or_else(damaged)?;
        if sum != checksum(data) {
            return Err(damaged());
        }
        Self::read_unchecked(data)
    }

    /// Reads a block without a look at its checksum, to look for a key.
    fn read_unchecked(data: &'a [u8]) -> Result<Self, StoreError> {
        let mut reader = Reader::new(data);
        if reader.byte() != Some(VERSION) {
            let why = "a block of idempotency keys is of a format that this release does not know";
            return Err(StoreError::Unreadable(why.into()));
        }
        let mut parse = || {
            reader.array::<CHECKSUM_BYTES>()?;
            let count = reader.number()?;
            let mut origins = Vec::new();
            for _ in 0..reader.number()? {
                origins.push(reader.slice()?);
            }
            Some((count, origins))
        };
        let (count, origins) = parse().ok_or_else(damaged)?;
        Ok(Self { origins, count, records: reader })
    }

    /// Returns the next record; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<Stored<'a>>, StoreError> {
        if self.count == 0 {
            return if self.records.is_at_end() { Ok(None) } else { Err(damaged()) };
        }
        self.count -= 1;
        let mut parse = || {
            let place = usize::try_from(self.records.number()?).ok()?;
            Some(Stored { origin: self.origins.get(place)?, body: self.records.slice()? })
        };
        parse().map(Some).ok_or_else(damaged)
    }
}

/// Returns the record of a key in a block, if it has one.
pub(super) fn find<'a>(
    data: &'a [u8],
    asked: &Asked<'_>,
) -> Result<Option<Stored<'a>>, StoreError> {
    let mut block = Block::read_unchecked(data)?;
    while let Some(record) = block.next()? {
        if record.is_of(asked)? {
            // What is answered is right, and most look-ups find nothing.
            Block::read(data)?;
            return Ok(Some(record));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
