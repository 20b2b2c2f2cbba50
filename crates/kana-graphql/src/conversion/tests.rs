use async_graphql::parser::types::Selection;
use async_graphql_value::Value;
use proptest::prelude::*;

use super::Given;
use crate::document::parse;
use crate::escapes::join_surrogates;

/// The values of the arguments of the first field, and the column and line of its last.
fn read(text: &str) -> Option<(Vec<Value>, async_graphql::Pos)> {
    let document = parse(&join_surrogates(text)).ok()?.document;
    let operation = &document.operation(None).ok()?;
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
        (r#""\u{0}\u{41}\u{00000041}\u{10FFFF}""#, "\0AA\u{10ffff}"),
        (r#""\u00e9\ud83d\ude00""#, "é\u{1f600}"),
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
        let last_line = second.rsplit(['\n', '\r']).next().unwrap();
        let ends = |literal: &str| literal.replace("\r\n", "\n").matches(['\n', '\r']).count();
        let expected = (2 + 2 * ends(literal), last_line.chars().count() + 1);
        assert_eq!((found.line, found.column), expected, "{literal}");
    }
}

#[test]
fn numbers_are_read_as_they_are_written() {
    for (literal, number) in
        [("1", "1"), ("-12", "-12"), ("1.50", "1.5"), ("1e2", "100.0"), ("-0.0", "-0.0")]
    {
        assert_eq!(value_of(literal).unwrap().to_string(), number);
    }
    let max = "18446744073709551615";
    assert_eq!(value_of(max).unwrap().to_string(), max);
    for literal in ["01", "00", "-01", "1.", ".5", "1e", "+1", "0x1", "1_0", "1a", "1.5.5"] {
        assert_eq!(value_of(literal), None, "{literal}");
    }
    for literal in ["18446744073709551616", "1e999", "[1, {a: 0.30000000000000000001}]"] {
        let text = format!("{{ a(b: {literal}) }}");
        let parsed = parse(&text).unwrap();
        let error = parsed.inexact.unwrap();
        assert!(error.message.contains("send it as a string"), "{}", error.message);
    }
}

#[test]
fn the_same_field_twice_in_an_object_is_refused() {
    for text in [
        "{ a(b: { x: 1, x: 2 }) }",
        "{ a(b: { x: 1 y: { x: 2 } x # :\n , : 3 }) }",
        "{ a(b: [{ y: { z: 1 } }, { y: 1, y: 2 }]) }",
        "query ($v: Box = { x: 1, x: 1 }) { a(b: $v) }",
        "{ a { a @include(if: { x: 1, x: 1 }) } }",
    ] {
        let error = parse(text).err().unwrap();
        assert!(error.message.ends_with("more than once"), "{text}: {}", error.message);
        assert_eq!(error.locations.len(), 1);
    }
    let text = "{ x: a x: a a(x: 1, y: [{ x: 1 }, { x: 1 }], z: { x: { x: 1 } }) { x: a } }";
    assert!(parse(text).is_ok());
}

#[test]
fn a_value_is_found_by_its_place() {
    let text = "query ($v: Box = { a: 1 }) { a(b: [2], c: { d: 3 }) @skip(if: 4) }";
    let named_values = parse(text).unwrap().named_values;
    for (found, given) in [
        ("1", Some(Given::ToVariable("v"))),
        ("2", Some(Given::ToArgument("b"))),
        ("3", Some(Given::ToArgument("c"))),
        ("4", Some(Given::ToArgument("if"))),
        ("a(", None),
        ("query", None),
    ] {
        assert_eq!(named_values.around(text.find(found).unwrap()), given, "{found}");
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
            _ => c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        };
        (c, spelling)
    })
}

/// What graphql-js does, line by line, as an opinion of its own.
fn dedented(raw: &str) -> String {
    let unescaped = raw.replace("\\\"\"\"", "\"\"\"");
    let text = unescaped.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines: Vec<Vec<char>> = text.split('\n').map(|line| line.chars().collect()).collect();
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

}
