use std::borrow::Cow;

/// The text of a header. Browsers and Node send Latin-1 where they can, everyone else sends UTF-8; a
/// text in Latin-1 that has any letter beyond ASCII is hardly ever valid UTF-8.
pub(crate) fn decoded(header: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(header) {
        Ok(text) => text.into(),
        Err(_) => header.iter().copied().map(char::from).collect::<String>().into(),
    }
}
