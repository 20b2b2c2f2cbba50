//! What the library cannot read, or reads as something else, in a spelling that it reads right.
//!
//! It knows no `\u{…}` and no pair of surrogates in a string, it keeps the backslash of `\"""` and
//! the indentation of blank lines in a block string, and it takes `-0` for no whole number. Each such
//! token is written in another way and filled up, so that what follows keeps its line, and wherever
//! that is possible its column, in messages. What is wrong stays as it is, for the parser to refuse.

use std::borrow::Cow;

use crate::tokens::{Token, is_of_name, tokens};

/// The document in the library's spelling. It has the same tokens, with the same values.
pub(crate) fn respell(text: &str) -> Cow<'_, str> {
    let mut respelled = String::new();
    let mut copied = 0;
    if !["\\u", "\"\"\"", "-0"].iter().any(|seldom| text.contains(seldom)) {
        return Cow::Borrowed(text);
    }
    let mut tokens = tokens(text);
    while let Some(token) = tokens.next() {
        let end = token.start + token.text.len();
        let ends_here = !tokens.rest().first().is_some_and(|next| is_of_name(*next));
        let spelling = match &token {
            token if token.is_string() => string_or_block(token),
            Token { text: "-0", .. } if ends_here => Some("0".to_owned()),
            _ => None,
        };
        if let Some(spelling) = spelling {
            respelled += &text[copied..token.start];
            respelled += &spelling;
            fill_up(&mut respelled, token.text, &spelling);
            copied = end;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    respelled += &text[copied..];
    Cow::Owned(respelled)
}

/// Adds white space, so that the text goes on where it went on after the token that was replaced.
fn fill_up(respelled: &mut String, token: &str, spelling: &str) {
    let is_end = |c: char| matches!(c, '\n' | '\r');
    respelled.extend(token.chars().filter(|c| is_end(*c)));
    let spaces = match token.rfind(is_end) {
        Some(end) => token[end + 1..].chars().count(),
        None => token.chars().count().saturating_sub(spelling.chars().count()),
    };
    respelled.extend(std::iter::repeat_n(' ', spaces));
}

/// The string, if it needs another spelling.
fn string_or_block(token: &Token<'_>) -> Option<String> {
    let content = |quotes| token.text.strip_prefix(quotes)?.strip_suffix(quotes);
    match content("\"\"\"") {
        // A backslash before the last quotes escapes them: the string is not closed.
        Some(raw) => (!raw.ends_with('\\')).then(|| quote(&block_value(raw))),
        None if token.text.starts_with("\"\"\"") => None,
        None => content("\"").and_then(string),
    }
}

/// A string with this content, in which every escape is one that the library knows; `None` where
/// every one is already.
fn string(content: &str) -> Option<String> {
    let mut spelling = "\"".to_owned();
    let mut rest = content;
    let mut is_needed = false;
    while let Some(at) = rest.find('\\') {
        spelling += &rest[..at];
        rest = &rest[at..];
        if let Some((c, after)) = wide_escape(rest) {
            push_escaped(&mut spelling, c);
            is_needed = true;
            rest = after;
        } else {
            let escape = rest.char_indices().nth(2).map_or(rest.len(), |(end, _)| end);
            spelling += &rest[..escape];
            rest = &rest[escape..];
        }
    }
    is_needed.then(|| spelling + rest + "\"")
}

/// The character of an escape in braces or of two surrogates, which the text starts with, and what
/// follows it.
fn wide_escape(text: &str) -> Option<(char, &str)> {
    let digits = text.strip_prefix("\\u")?;
    if let Some(digits) = digits.strip_prefix('{') {
        let end = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
        let after = digits[end..].strip_prefix('}')?;
        // Zeros before it do not count; a number without digits is none.
        let significant = digits[..end].trim_start_matches('0');
        let code = u32::from_str_radix(significant, 16);
        let code = if end > 0 && significant.is_empty() { 0 } else { code.ok()? };
        return Some((char::from_u32(code)?, after));
    }
    let (high, after) = four_digits(digits)?;
    let (low, after) = four_digits(after.strip_prefix("\\u")?)?;
    // Two that are no pair are one character each, or none.
    let both = char::decode_utf16([high, low]).next()?.ok()?;
    (both.len_utf16() == 2).then_some((both, after))
}

fn four_digits(text: &str) -> Option<(u16, &str)> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    Some((u16::from_str_radix(digits, 16).ok()?, &text[4..]))
}

/// A string with this value.
fn quote(value: &str) -> String {
    let mut spelling = "\"".to_owned();
    value.chars().for_each(|c| push_escaped(&mut spelling, c));
    spelling + "\""
}

/// Adds a character of a string's value. The shortest escape is never longer than what it stands
/// for here.
fn push_escaped(spelling: &mut String, c: char) {
    match c {
        '"' => *spelling += "\\\"",
        '\\' => *spelling += "\\\\",
        '\n' => *spelling += "\\n",
        '\r' => *spelling += "\\r",
        c => spelling.push(c),
    }
}

/// The value of a block string (GraphQL specification, "BlockStringValue"), from what stands
/// between its quotes.
fn block_value(raw: &str) -> String {
    let raw = raw.replace("\\\"\"\"", "\"\"\"");
    let lines: Vec<&str> = raw.split("\r\n").flat_map(|lines| lines.split(['\n', '\r'])).collect();
    let indent = |line: &str| line.len() - line.trim_start_matches([' ', '\t']).len();
    let is_blank = |line: &&str| indent(line) == line.len();
    let indented = lines.iter().skip(1).filter(|line| !is_blank(line));
    let common = indented.map(|line| indent(line)).min().unwrap_or(0);

    let first = lines.iter().position(|line| !is_blank(line)).unwrap_or(lines.len());
    let end = lines.iter().rposition(|line| !is_blank(line)).map_or(first, |last| last + 1);
    let without_indent = |(index, line): (usize, &&str)| match index {
        0 => (*line).to_owned(),
        _ => line.get(common..).unwrap_or_default().to_owned(),
    };
    let kept: Vec<String> =
        lines.iter().enumerate().take(end).skip(first).map(without_indent).collect();
    kept.join("\n")
}

#[cfg(test)]
mod tests {
    use async_graphql::parser::parse_query;
    use async_graphql::parser::types::{DocumentOperations, Selection};
    use async_graphql_value::Value;
    use proptest::prelude::*;

    use super::*;

    /// The values of the arguments of the first field, and the column and line of its last.
    fn read(text: &str) -> Option<(Vec<Value>, async_graphql::Pos)> {
        let document = parse_query(respell(text)).ok()?;
        let DocumentOperations::Single(operation) = document.operations else { return None };
        let Selection::Field(field) = &operation.node.selection_set.node.items.first()?.node else {
            return None;
        };
        let arguments = &field.node.arguments;
        let values = arguments.iter().map(|(_, value)| value.node.clone()).collect();
        Some((values, arguments.last()?.0.pos))
    }

    /// The value that a literal is read as; `None` when it is refused.
    fn value_of(literal: &str) -> Option<Value> {
        let (mut values, _) = read(&format!("{{ a(b: {literal}, c: 1) }}"))?;
        Some(values.remove(0))
    }

    fn string_of(literal: &str) -> Option<String> {
        match value_of(literal)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    #[test]
    fn escapes_beyond_16_bits_are_read() {
        for (literal, value) in [
            (r#""\uD83D\uDE00""#, "\u{1f600}"),
            (r#""a\ud83d\ude00b\u00e9""#, "a\u{1f600}bé"),
            (r#""\u{1F600}""#, "\u{1f600}"),
            (r#""\u{0}\u{41}\u{0000000041}\u{10FFFF}""#, "\0AA\u{10ffff}"),
            (r#""\u{22}\u{5c}\u{A}\u{d}\u{2028}""#, "\"\\\n\r\u{2028}"),
            (r#""\\u{41}\\\u{41}\"\u{41}""#, "\\u{41}\\A\"A"),
            (r#""\u0041\n\/\b""#, "A\n/\u{8}"),
            (r#""\u0041\u{41}\uFFFF""#, "AA\u{ffff}"),
            ("\"é\\u{e9}é\"", "ééé"),
        ] {
            assert_eq!(string_of(literal).as_deref(), Some(value), "{literal}");
        }
    }

    #[test]
    fn escapes_that_name_no_character_are_refused() {
        for literal in [
            r#""\uD83D""#,
            r#""\uDE00\uD83D""#,
            r#""\uD83Dx\uDE00""#,
            r#""\uD83D\u0041""#,
            r#""\uD83D\u{DE00}""#,
            r#""\u{D83D}\u{DE00}""#,
            r#""\u{110000}""#,
            r#""\u{100000041}""#,
            r#""\u{}""#,
            r#""\u{41""#,
            r#""\u{ 41}""#,
            r#""\u{+41}""#,
            r#""\u+041""#,
            r#""\u{4é}""#,
            r#""\u00é""#,
            r#""\x""#,
            r#""\u{41}\""#,
            "\"\\u{41}\n\"",
            "\"\\u{41}\\\n\"",
            r#""""\u{41}\""""#,
        ] {
            assert_eq!(value_of(literal), None, "{literal}");
        }
    }

    #[test]
    fn a_block_string_is_read_as_the_specification_says() {
        for (literal, value) in [
            (r#""""x \""" y""""#, "x \"\"\" y"),
            (r#""""\"""""""#, "\"\"\""),
            (r#""""a\\""" \" \n\u{41}""""#, "a\\\"\"\" \\\" \\n\\u{41}"),
            ("\"\"\"\"\"\"", ""),
            ("\"\"\" \n \n \"\"\"", ""),
            (
                "\"\"\"\n    Hello,\n      World!\n\n    Yours,\n      GraphQL.\n  \"\"\"",
                "Hello,\n  World!\n\nYours,\n  GraphQL.",
            ),
            ("\"\"\"  a\n   b\n  c\"\"\"", "  a\n b\nc"),
            ("\"\"\"\n    a\n  \n    b\n\"\"\"", "a\n\nb"),
            ("\"\"\"a\r\nb\rc\n\n\r\n\"\"\"", "a\nb\nc"),
            ("\"\"\"\n\t\ta\n\té\"\"\"", "\ta\né"),
        ] {
            assert_eq!(string_of(literal).as_deref(), Some(value), "{literal}");
        }
    }

    #[test]
    fn minus_zero_is_the_whole_number_zero() {
        assert_eq!(value_of("-0"), Some(Value::Number(0.into())));
        assert_eq!(value_of("[-0-0,-0]"), Some(Value::List(vec![Value::Number(0.into()); 3])));
        for (literal, kept) in [("-0.0", "-0.0"), ("-10", "-10"), ("\"-0\"", "\"-0\"")] {
            assert_eq!(value_of(literal).unwrap().to_string(), kept);
        }
        for literal in ["-0a", "-00", "-0.", "-0e"] {
            assert_eq!(value_of(literal), None, "{literal}");
        }
    }

    #[test]
    fn what_the_library_reads_right_is_not_copied() {
        for text in ["{ a }", "{ a(b: \"2024-01-02 é\\n\\\"\\u0041\") } # \"\"\""] {
            assert!(matches!(respell(text), Cow::Borrowed(_)), "{text}");
        }
    }

    #[test]
    fn what_follows_keeps_its_place() {
        for literal in [
            r#""\u{1F600}\uD83D\uDE00""#,
            r#""\u{5c}\u{41}é""#,
            r#""""x""""#,
            r#""""x \""" y""""#,
            "\"\"\"\n\n  x \\\"\"\"\\\"\"\"\\\"\"\"\\\"\"\"\n é \"\"\"",
            "\"\"\"a\rb\"\"\"",
            "\"\"\"a\r\nb\n\"\"\"",
            "-0",
        ] {
            let second = format!("b: {literal}, c: \"é\", ");
            let (_, found) = read(&format!("{{ a(a: {literal}, # é\n{second}d: 1) }}")).unwrap();
            // A carriage return alone starts a new column for the parser, but no line.
            let last_line = second.rsplit(['\n', '\r']).next().unwrap();
            let line = 2 + 2 * literal.matches('\n').count();
            let expected = (line, last_line.chars().count() + 1);
            assert_eq!((found.line, found.column), expected, "{literal}");
        }
    }

    /// One character of a string, as a literal may write it.
    fn spelled() -> impl Strategy<Value = (char, String)> {
        let c = prop_oneof![any::<char>(), proptest::char::range(' ', '~')];
        (c, 0..4_usize).prop_map(|(c, way)| {
            let mut units = [0; 2];
            let spelling = match way {
                0 => format!("\\u{{{:x}}}", u32::from(c)),
                1 => format!("\\u{{{:08X}}}", u32::from(c)),
                2 if c >= ' ' && !matches!(c, '"' | '\\') => c.to_string(),
                _ => {
                    c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
                }
            };
            (c, spelling)
        })
    }

    /// What graphql-js does, line by line, as an opinion of its own.
    fn dedented(raw: &str) -> String {
        let unescaped = raw.replace("\\\"\"\"", "\"\"\"");
        let text = unescaped.replace("\r\n", "\n").replace('\r', "\n");
        let mut lines: Vec<Vec<char>> =
            text.split('\n').map(|line| line.chars().collect()).collect();
        let leading = |line: &[char]| line.iter().take_while(|c| matches!(c, ' ' | '\t')).count();
        let mut common = usize::MAX;
        for line in &lines[1..] {
            if leading(line) < line.len() {
                common = common.min(leading(line));
            }
        }
        for line in &mut lines[1..] {
            line.drain(..common.min(line.len()));
        }
        while lines.first().is_some_and(|line| leading(line) == line.len()) {
            lines.remove(0);
        }
        while lines.last().is_some_and(|line| leading(line) == line.len()) {
            lines.pop();
        }
        lines.into_iter().map(String::from_iter).collect::<Vec<_>>().join("\n")
    }

    proptest! {
        #[test]
        fn every_string_is_read_however_it_is_spelled(
            spelled in proptest::collection::vec(spelled(), 0..12),
        ) {
            let value: String = spelled.iter().map(|(c, _)| c).collect();
            let literal: String = spelled.iter().map(|(_, spelling)| spelling.as_str()).collect();
            prop_assert_eq!(string_of(&format!("\"{literal}\"")), Some(value));
        }

        #[test]
        fn every_block_string_has_its_value(
            parts in proptest::collection::vec("[ \t\n\r]{1,3}|[a\\\\é]|\\\\\"\"\"", 0..16),
        ) {
            let raw = parts.concat();
            // A backslash at the end would escape the quotes.
            let raw = raw.trim_end_matches('\\');
            prop_assert_eq!(string_of(&format!("\"\"\"{raw}\"\"\"")), Some(dedented(raw)));
        }

        #[test]
        fn no_text_is_too_strange(text in "([\"\\\\u{}D8-]|[0\n\r ]|\\PC){0,30}") {
            let _ = respell(&text);
        }
    }
}
