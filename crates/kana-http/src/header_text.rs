use std::borrow::Cow;

/// Decodes a header as UTF-8, or else as Latin-1. Browsers and Node send Latin-1 where they can,
/// other clients send UTF-8. Text in Latin-1 with a letter beyond ASCII is hardly ever valid UTF-8.
#[must_use]
pub fn decoded(header: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(header) {
        Ok(text) => text.into(),
        Err(_) => header.iter().copied().map(char::from).collect::<String>().into(),
    }
}
