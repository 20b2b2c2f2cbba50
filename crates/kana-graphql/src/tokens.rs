//! The text of a document as tokens, for what its parsed form does not show.

use async_graphql::Pos;

/// A token, with where it starts in the text, in bytes.
pub(crate) struct Token<'a> {
    pub(crate) start: usize,
    pub(crate) text: &'a str,
}

impl Token<'_> {
    pub(crate) fn is_name(&self) -> bool {
        self.text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
    }

    pub(crate) fn is_number(&self) -> bool {
        self.text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
    }

    pub(crate) fn is_string(&self) -> bool {
        self.text.starts_with('"')
    }
}

/// The tokens of a text, without white space, commas and comments. What is in no token comes as one
/// character.
pub(crate) struct Tokens<'a> {
    text: &'a str,
    /// Where the next token starts, or what is ignored before it.
    at: usize,
}

pub(crate) fn tokens(text: &str) -> Tokens<'_> {
    Tokens { text, at: 0 }
}

impl Tokens<'_> {
    /// What follows the last token, with what is ignored before the next.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.text.as_bytes()[self.at..]
    }

    /// Whether the next token starts like this.
    pub(crate) fn next_is(&self, punctuator: &[u8]) -> bool {
        after_ignored(self.rest()).starts_with(punctuator)
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let start = self.text.len() - after_ignored(self.rest()).len();
        let rest = self.text.get(start..)?;
        let end = match rest.as_bytes() {
            // Not within a character.
            [0x80..=0xFF, ..] => start + rest.chars().next().map_or(0, char::len_utf8),
            rest => self.text.len() - after_token(rest).len(),
        };
        self.at = end;
        let text = self.text.get(start..end).filter(|text| !text.is_empty())?;
        Some(Token { start, text })
    }
}

/// The line and column of a place in the text, both from one.
pub(crate) fn position(text: &str, offset: usize) -> Pos {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    Pos { line, column: before[line_start..].chars().count() + 1 }
}

/// What follows white space, commas and comments.
fn after_ignored(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'#', after @ ..] => after_line(after),
            [b' ' | b'\t' | b'\n' | b'\r' | b',', after @ ..] => after,
            [0xEF, 0xBB, 0xBF, after @ ..] => after,
            _ => return text,
        };
    }
}

/// What follows the first token, which may be a byte that is in none.
fn after_token(text: &[u8]) -> &[u8] {
    match text {
        [b'"', b'"', b'"', after @ ..] => after_block_string(after),
        [b'"', after @ ..] => after_string(after),
        [b'-' | b'0'..=b'9', ..] => after_number(text),
        [first, after @ ..] if is_of_name(*first) => {
            let end = after.iter().position(|byte| !is_of_name(*byte)).unwrap_or(after.len());
            &after[end..]
        }
        [_, after @ ..] => after,
        [] => text,
    }
}

fn after_number(text: &[u8]) -> &[u8] {
    let goes_on = |end: &usize| match text[*end] {
        b'0'..=b'9' | b'.' | b'e' | b'E' => true,
        b'+' | b'-' => matches!(text[*end - 1], b'e' | b'E'),
        _ => false,
    };
    let end = (1..text.len()).find(|end| !goes_on(end)).unwrap_or(text.len());
    &text[end..]
}

pub(crate) fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn after_line(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    end.map_or(&[], |end| &text[end..])
}

/// What follows a string; an unclosed one ends with its line, as the parser will say.
fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'\\', _, after @ ..] => after,
            [b'"', after @ ..] => return after,
            [b'\n' | b'\r', ..] | [] => return text,
            [_, after @ ..] => after,
        };
    }
}

fn after_block_string(mut text: &[u8]) -> &[u8] {
    loop {
        text = match text {
            [b'\\', b'"', b'"', b'"', after @ ..] => after,
            [b'"', b'"', b'"', after @ ..] => return after,
            [] => return text,
            [_, after @ ..] => after,
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn found(text: &str) -> Vec<&str> {
        tokens(text).map(|token| token.text).collect()
    }

    #[test]
    fn a_text_falls_into_tokens() {
        for (text, expected) in [
            ("{ a(b: $c1) }", vec!["{", "a", "(", "b", ":", "$", "c1", ")", "}"]),
            ("\u{feff}a,\t# b \"\n c#", vec!["a", "c"]),
            ("-1.5e+3[1 2-0-1]", vec!["-1.5e+3", "[", "1", "2", "-0", "-1", "]"]),
            ("\"a\\\"\" \"\"x", vec!["\"a\\\"\"", "\"\"", "x"]),
            ("\"\"\"a\\\"\"\"\n\"\"\"x", vec!["\"\"\"a\\\"\"\"\n\"\"\"", "x"]),
            ("\"unclosed\nx", vec!["\"unclosed", "x"]),
            ("\"\"\"unclosed x\\\"\"\"", vec!["\"\"\"unclosed x\\\"\"\""]),
            ("...é\u{1f600}a", vec![".", ".", ".", "é", "\u{1f600}", "a"]),
        ] {
            assert_eq!(found(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_character_is_in_one_token_or_ignored(text in "([\"\\\\#\n\r -]|\\PC){0,30}") {
            let mut last = 0;
            for token in tokens(&text) {
                prop_assert!(token.start >= last);
                prop_assert_eq!(&text[token.start..token.start + token.text.len()], token.text);
                last = token.start + token.text.len();
            }
            prop_assert!(after_ignored(&text.as_bytes()[last..]).is_empty());
        }
    }
}
