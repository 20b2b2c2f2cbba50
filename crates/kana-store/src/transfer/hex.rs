//! Bytes as hexadecimal digits, lower case, two for each.

const DIGITS: &[u8; 16] = b"0123456789abcdef";

pub(crate) fn write(bytes: &[u8]) -> String {
    let digit = |half: u8| DIGITS.get(usize::from(half)).copied().map_or('0', char::from);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// `None` for anything that [`write`] does not write.
pub(crate) fn parse(text: &str) -> Option<Vec<u8>> {
    let half = |digit: u8| DIGITS.iter().position(|known| *known == digit);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |[high, low]: &[u8; 2]| u8::try_from(half(*high)? << 4 | half(*low)?).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
