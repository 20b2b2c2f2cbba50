//! The numbers, texts and ids in a block of usage events.

use uuid::Uuid;

use super::bytes::Reader;

/// Why a block cannot be read. The text continues a sentence about the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct BlockError(pub(super) &'static str);

const CUT: BlockError = BlockError("it is cut");
const NO_NUMBER: BlockError = BlockError("it is cut, or has a number without an end");

/// Appends the first bytes of all ids, then the second ones, and so on: ids of one time begin alike.
pub(super) fn put_planes(to: &mut Vec<u8>, ids: &[Uuid]) {
    if let [id] = ids {
        to.extend_from_slice(id.as_bytes());
        return;
    }
    for place in 0..16 {
        to.extend(ids.iter().filter_map(|id| id.as_bytes().get(place)));
    }
}

/// Bytes that are read from their beginning, and say what is wrong with them.
pub(super) struct Bytes<'a>(Reader<'a>);

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(Reader::new(bytes))
    }

    /// Returns what has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.0.rest()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BlockError> {
        self.0.bytes(count).ok_or(CUT)
    }

    pub(super) fn number(&mut self) -> Result<u64, BlockError> {
        self.0.number().ok_or(NO_NUMBER)
    }

    pub(super) fn signed(&mut self) -> Result<i64, BlockError> {
        self.0.signed().ok_or(NO_NUMBER)
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BlockError> {
        let text = self.0.slice().ok_or(CUT)?;
        std::str::from_utf8(text).map_err(|_| BlockError("it has a text that is not UTF-8"))
    }

    /// Reads ids as [`put_planes`] writes them.
    pub(super) fn planes(&mut self, count: usize) -> Result<Vec<Uuid>, BlockError> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let planes = self.take(count.saturating_mul(16))?;
        let mut ids = vec![[0_u8; 16]; count];
        for (place, plane) in planes.chunks_exact(count).enumerate() {
            for (id, byte) in ids.iter_mut().zip(plane) {
                if let Some(at) = id.get_mut(place) {
                    *at = *byte;
                }
            }
        }
        Ok(ids.into_iter().map(Uuid::from_bytes).collect())
    }
}
