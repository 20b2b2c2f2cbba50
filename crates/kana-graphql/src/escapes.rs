//! Pairs of surrogates in strings, which the parser reads only at even places among the escapes of
//! a string: `"\u00e9\ud83d\ude00"` is refused. So each pair is written as one escape instead.

use std::borrow::Cow;

/// Returns the document with every escaped pair of surrogates as one escape of the same length.
pub(crate) fn join_surrogates(text: &str) -> Cow<'_, str> {
    let has_surrogate = |lead: &str| text.contains(lead);
    if !["\\ud", "\\uD"].into_iter().any(has_surrogate) {
        return Cow::Borrowed(text);
    }
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(['"', '#']) {
        let (before, token) = rest.split_at(start);
        joined.push_str(before);
        let end = match token {
            token if token.starts_with('#') => token.find(['\n', '\r']).unwrap_or(token.len()),
            token if token.starts_with("\"\"\"") => block_string_end(token),
            token => string_end(token),
        };
        let (token, after) = token.split_at(end);
        if token.starts_with('"') && !token.starts_with("\"\"\"") {
            push_string(&mut joined, token);
        } else {
            joined.push_str(token);
        }
        rest = after;
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}

/// Returns where the block string ends that the text starts with.
fn block_string_end(text: &str) -> usize {
    let mut from = 3;
    while let Some(found) = text[from..].find("\"\"\"") {
        let quotes = from + found;
        from = quotes + 3;
        if !text[..quotes].ends_with('\\') {
            return from;
        }
    }
    text.len()
}

/// Returns where the string ends that the text starts with. An unclosed one ends with its line.
fn string_end(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                chars.next();
            }
            '"' => return at + 1,
            '\n' | '\r' => return at,
            _ => {}
        }
    }
    text.len()
}

fn push_string(joined: &mut String, mut string: &str) {
    while let Some(escape) = string.find('\\') {
        let (before, rest) = string.split_at(escape);
        joined.push_str(before);
        string = match pair(rest) {
            Some((c, after)) => {
                joined.push_str(&format!("\\u{{{:08x}}}", u32::from(c)));
                after
            }
            None => {
                let end = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
                joined.push_str(&rest[..end]);
                &rest[end..]
            }
        };
    }
    joined.push_str(string);
}

/// Returns the character of two surrogates, which the text starts with, and what follows them.
fn pair(text: &str) -> Option<(char, &str)> {
    let (high, after) = unit(text)?;
    let (low, after) = unit(after)?;
    let c = char::decode_utf16([high, low]).next()?.ok()?;
    (c.len_utf16() == 2).then_some((c, after))
}

fn unit(text: &str) -> Option<(u16, &str)> {
    let text = text.strip_prefix("\\u")?;
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, &text[4..]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pair_in_a_string_becomes_one_escape_and_nothing_else_changes() {
        for (text, joined) in [
            (r#"{ a(b: "\u00e9\ud83d\uDE00") }"#, r#"{ a(b: "\u00e9\u{0001f600}") }"#),
            (r#""\uD83D\uDE00\uD83D\uDE00""#, r#""\u{0001f600}\u{0001f600}""#),
            (r#""\\\ud83d\ude00" "\"\ud83d\ude00""#, r#""\\\u{0001f600}" "\"\u{0001f600}""#),
            (r#""\\ud83d\ude00""#, r#""\\ud83d\ude00""#),
            (r#""\ude00\ud83d""#, r#""\ude00\ud83d""#),
            (r#""\ud83d\ud83d\ude00""#, r#""\ud83d\u{0001f600}""#),
            (r#"# "\ud83d\ude00"#, r#"# "\ud83d\ude00"#),
            (r#""""\ud83d\ude00 \""" \ud83d\ude00""""#, r#""""\ud83d\ude00 \""" \ud83d\ude00""""#),
            ("\"\\ud83d\n\\ude00\"", "\"\\ud83d\n\\ude00\""),
            (r#""" "\ud83d\ude00""#, r#""" "\u{0001f600}""#),
        ] {
            assert_eq!(join_surrogates(text), joined, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_text_keeps_its_length(text in "(\"|\\\\|#|\n|\\\\ud83d|\\\\ude00|é|a){0,20}") {
            prop_assert_eq!(join_surrogates(&text).len(), text.len());
        }
    }
}
