//! Numbers, texts and UUIDs as bytes: a number takes seven bits a byte, the lowest first.

use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// Returns the UUID that a text is, so that 16 bytes stand for it. Only the spelling that UUIDs mostly have,
/// in lower case with hyphens, can be told from 16 bytes again: any other text is none.
pub(super) fn as_uuid(text: &str) -> Option<Uuid> {
    // Most texts that are no UUID are refused by a look at their length and one byte.
    if text.len() != Hyphenated::LENGTH || text.as_bytes().get(8) != Some(&b'-') {
        return None;
    }
    let uuid = Uuid::try_parse(text).ok()?;
    let mut spelled = Uuid::encode_buffer();
    (*uuid.hyphenated().encode_lower(&mut spelled) == *text).then_some(uuid)
}

/// Appends a number.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a number with a sign: small ones of either sign take few bytes.
pub(super) fn put_signed(out: &mut Vec<u8>, number: i64) {
    put_number(out, ((number << 1) ^ (number >> 63)).cast_unsigned());
}

/// Appends bytes behind their number.
pub(super) fn put_slice(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads what the functions above wrote. Each read returns `None` where the bytes end too early or are
/// no such value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Returns true if everything has been read.
    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns what has not been read.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            number |= bits << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    pub(super) fn signed(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk()?;
        self.rest = rest;
        Some(taken)
    }

    /// Reads bytes behind their number.
    pub(super) fn slice(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.bytes(count)
    }

    /// Reads a text behind its number of bytes.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        str::from_utf8(self.slice()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn numbers_and_texts_are_read_as_they_were_written(
            number: u64, signed: i64, text: String, cut in 0_usize..1_000,
        ) {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            put_signed(&mut bytes, signed);
            put_slice(&mut bytes, text.as_bytes());
            let read = |bytes| {
                let mut reader = Reader::new(bytes);
                let read = (reader.number()?, reader.signed()?, reader.text()?.to_owned());
                reader.is_at_end().then_some(read)
            };
            prop_assert_eq!(read(&bytes), Some((number, signed, text)));
            let cut = cut.min(bytes.len() - 1);
            prop_assert_eq!(read(&bytes[..cut]), None);
        }

        #[test]
        fn other_bytes_are_refused_without_a_panic(bytes: Vec<u8>) {
            let mut reader = Reader::new(&bytes);
            while reader.number().is_some() {}
            let mut reader = Reader::new(&bytes);
            while reader.slice().is_some() {}
        }
    }

    #[test]
    fn a_uuid_in_another_spelling_is_a_text() {
        let uuid = Uuid::from_u128(0xabcd_ef01_2345_6789_abcd_ef01_2345_6789);
        let text = uuid.hyphenated().to_string();
        assert_eq!(as_uuid(&text), Some(uuid));
        let others =
            [text.to_uppercase(), uuid.simple().to_string(), uuid.braced().to_string(), text + "0"];
        for other in others {
            assert_eq!(as_uuid(&other), None, "{other}");
        }
    }

    #[test]
    fn the_ends_of_the_numbers_are_read() {
        for number in [0, 1, 127, 128, u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_number(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).number(), Some(number));
        }
        for number in [0, -1, 1, i64::MIN, i64::MAX] {
            let mut bytes = Vec::new();
            put_signed(&mut bytes, number);
            assert_eq!(Reader::new(&bytes).signed(), Some(number));
        }
        assert_eq!(Reader::new(&[0xff; 11]).number(), None);
    }
}
