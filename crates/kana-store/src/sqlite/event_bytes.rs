//! The numbers, texts and ids in a block of usage events.

use uuid::Uuid;

const MORE: u8 = 0x80;

/// Why a block cannot be read. The text continues a sentence about the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct BlockError(pub(super) &'static str);

/// Appends a number: seven bits a byte, the lowest first.
pub(super) fn put_varint(to: &mut Vec<u8>, mut number: u64) {
    while number >= u64::from(MORE) {
        to.push(number.to_le_bytes()[0] | MORE);
        number >>= 7;
    }
    to.push(number.to_le_bytes()[0]);
}

/// Appends a signed number, of which small ones are short.
pub(super) fn put_signed(to: &mut Vec<u8>, number: i64) {
    put_varint(to, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

pub(super) fn put_text(to: &mut Vec<u8>, text: &str) {
    put_varint(to, text.len() as u64);
    to.extend_from_slice(text.as_bytes());
}

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

/// Bytes that are read from their beginning.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], BlockError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(BlockError("it is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn varint(&mut self) -> Result<u64, BlockError> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(BlockError("it is cut"))?;
            self.0 = rest;
            number |= u64::from(byte & !MORE) << shift;
            if byte & MORE == 0 {
                return Ok(number);
            }
        }
        Err(BlockError("it has a number without an end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, BlockError> {
        let number = self.varint()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn text(&mut self) -> Result<&'a str, BlockError> {
        let length = usize::try_from(self.varint()?).unwrap_or(usize::MAX);
        let text = self.take(length)?;
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
