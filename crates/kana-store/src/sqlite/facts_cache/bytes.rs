//! Reading and writing bytes.

/// Bytes that are read from the front.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn next<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (first, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(first)
    }

    /// Reads what [`add_text`] wrote.
    pub(super) fn text(&mut self) -> Option<&'a str> {
        let length = u16::from_le_bytes(self.next()?);
        str::from_utf8(self.take(usize::from(length))?).ok()
    }
}

/// Adds a text after its length. Returns `None` if it has more than 65535 bytes.
pub(super) fn add_text(bytes: &mut Vec<u8>, text: &str) -> Option<()> {
    bytes.extend(u16::try_from(text.len()).ok()?.to_le_bytes());
    bytes.extend(text.as_bytes());
    Some(())
}
