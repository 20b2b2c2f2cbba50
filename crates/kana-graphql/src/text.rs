//! What is wrong with the text of a document that its parsed form does not show.

use std::collections::HashSet;

use async_graphql::{Pos, ServerError};

use crate::error::{ErrorBody, parse_failed, refusal, server_error};
use crate::exact;
use crate::tokens::{position, tokens};

/// How deep brackets nest in the text, outside strings and comments.
pub(crate) fn deepest_bracket(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokens(text) {
        match token.text {
            "{" | "[" | "(" => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Refuses a number in the text that would not come back as it was sent. Values of the parsed
/// document do not show it: it is rounded in them.
pub(crate) fn check_numbers(text: &str) -> Result<(), ServerError> {
    let mut tokens = tokens(text);
    let mut name = "";
    while let Some(token) = tokens.next() {
        if token.is_name() && tokens.next_is(b":") {
            name = token.text;
        }
        if token.is_number()
            && let Some(problem) = exact::problem_with_number(token.text)
        {
            let path = vec![name.to_owned()];
            let message = exact::Problem { path, what: problem }.to_string();
            let mut error = server_error(&ErrorBody::bad_request(message));
            error.locations.push(position(text, token.start));
            return Err(error);
        }
    }
    Ok(())
}

/// Refuses what the parser lets through: an object literal that has a field twice, of which the
/// parsed document has the last one only, and parentheses with nothing between them.
pub(crate) fn check_brackets(text: &str) -> Result<(), ServerError> {
    let mut tokens = tokens(text);
    // What is open, with the fields so far where it is an object. Braces are those of an object
    // within parentheses, and those of a selection outside.
    let mut open: Vec<(&str, HashSet<&str>)> = Vec::new();
    let mut parentheses = 0_usize;
    while let Some(token) = tokens.next() {
        match token.text {
            "(" if tokens.next_is(b")") => {
                let at = position(text, token.start);
                return Err(parse_failed("The document has empty parentheses", &[at]));
            }
            "(" | "[" | "{" => {
                parentheses += usize::from(token.text == "(");
                open.push((token.text, HashSet::new()));
            }
            ")" | "]" | "}" => {
                if let Some(("(", _)) = open.pop() {
                    parentheses -= 1;
                }
            }
            name if token.is_name() && parentheses > 0 => {
                if let Some(("{", fields)) = open.last_mut()
                    && tokens.next_is(b":")
                    && !fields.insert(name)
                {
                    let message = format!("An object has the field \"{name}\" more than once");
                    return Err(refusal(&message, Some(position(text, token.start))));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Where the first definition of a type system starts, if there is one.
pub(crate) fn type_definition(text: &str) -> Option<Pos> {
    const WORDS: [&str; 9] =
        ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend"];
    let mut depth = 0_usize;
    // At the beginning, and after a definition that ends in a brace.
    let mut may_start = true;
    let mut description = None;
    for token in tokens(text) {
        if may_start && token.is_string() {
            description = description.or(Some(token.start));
            continue;
        }
        if may_start && WORDS.contains(&token.text) {
            return Some(position(text, description.unwrap_or(token.start)));
        }
        match token.text {
            "{" | "[" | "(" => depth += 1,
            "}" | "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        may_start = depth == 0 && token.text == "}";
        description = None;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        for (text, deepest) in [
            ("{ a(b: [1, {c: 2}]) }", 4),
            ("{ a(b: \"[[[[\\\"[[[\") }", 2),
            ("{ a(b: \"\"\"[[[ \\\"\"\" [[\"\"\") }", 2),
            ("{ a } # {{{{{\n", 1),
            ("# {{{{{", 0),
            ("}}}}{", 1),
            ("{ \"unclosed [[[[", 1),
        ] {
            assert_eq!(deepest_bracket(text), deepest, "{text}");
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
            let error = check_brackets(text).err().unwrap();
            assert!(error.message.ends_with("more than once"), "{text}: {}", error.message);
            assert_eq!(error.locations.len(), 1);
        }
    }

    #[test]
    fn the_same_name_in_different_places_is_no_field_twice() {
        for text in [
            "{ x: a x: a a(x: 1, y: [{ x: 1 }, { x: 1 }], z: { x: { x: 1 } }) { x: a x: a } }",
            "{ a(b: { x: \"x: 1, x: 2\", y: x, z: \"\"\"x: 1 x: 2\"\"\" }) }",
            "{ a(b: { x: x, # x: 1\n y: $x }) b(b: { x: 1 }) }",
        ] {
            assert!(check_brackets(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn empty_parentheses_are_refused() {
        for text in ["query () { a }", "query q(# $x: Int\n,) { a }"] {
            let error = check_brackets(text).err().unwrap();
            assert_eq!(error.message, "The document has empty parentheses", "{text}");
        }
        assert!(check_brackets("{ a(b: \"()\") } # ()").is_ok());
    }

    #[test]
    fn a_definition_of_a_type_is_found_where_a_definition_may_start() {
        for (text, at) in [
            ("scalar X", Some((1, 1))),
            ("{ a } # type\n  type X { a: Int }", Some((2, 3))),
            ("query q { a { b } } \"an X\" extend schema @x", Some((1, 21))),
            ("query type { scalar enum(input: { type: union }) { schema } }", None),
            ("fragment type on X { a } query extend { a }", None),
            ("\"described\" query { a }", None),
            ("{ a(b: \"} type\") } # } type", None),
        ] {
            let found = type_definition(text).map(|pos| (pos.line, pos.column));
            assert_eq!(found, at, "{text}");
        }
    }
}
