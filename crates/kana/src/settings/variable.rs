//! Reads environment variables for settings.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Returns the value of an environment variable; `None` if it is unset or empty.
///
/// Trailing line ends are removed, since a secret that comes from a file often has one.
pub(crate) fn read(name: &str) -> Option<OsString> {
    clean(std::env::var_os(name)?)
}

/// Like [`read`], but as text. Returns `None` if the value is not UTF-8.
pub(crate) fn read_text(name: &str) -> Option<String> {
    read(name)?.into_string().ok()
}

fn clean(value: OsString) -> Option<OsString> {
    let bytes = value.as_bytes();
    let is_line_end = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let length = bytes.iter().rposition(|byte| !is_line_end(byte)).map_or(0, |last| last + 1);
    let mut bytes = value.into_vec();
    bytes.truncate(length);
    (!bytes.is_empty()).then(|| OsString::from_vec(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_value_is_none_and_a_line_end_is_cut() {
        for (value, cleaned) in [
            ("", None),
            ("\n", None),
            ("\r\n", None),
            ("a", Some("a")),
            ("a\n", Some("a")),
            ("a\r\n", Some("a")),
            (" a b ", Some(" a b ")),
            ("a\nb\n", Some("a\nb")),
        ] {
            assert_eq!(clean(value.into()), cleaned.map(OsString::from), "{value:?}");
        }
        let not_text = OsString::from_vec(vec![b'/', 0xff, b'\n']);
        assert_eq!(clean(not_text), Some(OsString::from_vec(vec![b'/', 0xff])));
    }
}
