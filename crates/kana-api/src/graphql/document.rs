//! Documents and what they may cost (contract: `admin-api.md`, "Requests").
//!
//! The limits are held before the document is validated, since validation itself follows every
//! fragment wherever it is used, and takes as long as the document expands to.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::parse_query;
use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, OperationDefinition, Selection, SelectionSet,
};
use async_graphql::{Pos, Positioned, ServerError};

use super::{exact, refusal, server_error};
use crate::error::Told;

/// How deep fields may be nested.
const DEPTH_MAX: usize = 15;
/// How many fields an operation may have, with fragments expanded and every alias counted.
const FIELDS_MAX: usize = 1000;
/// How many variables an operation may declare. Validation takes the square of their number.
const VARIABLES_MAX: usize = 256;
/// How deep brackets of any kind may be nested in the text. The parser and whatever walks its
/// values recurse; metadata is the only thing that nests deeper than fields do.
const BRACKETS_MAX: usize = 100;

pub(super) struct Document(ExecutableDocument);

/// What an operation or a fragment comes to when it is expanded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Extent {
    depth: usize,
    fields: usize,
}

impl Extent {
    /// The larger in each respect, so that the order in which extents come does not matter.
    fn or_larger(self, other: Self) -> Self {
        Self { depth: self.depth.max(other.depth), fields: self.fields.max(other.fields) }
    }
}

impl Document {
    pub(super) fn parse(text: &str) -> Result<Self, ServerError> {
        if deepest_bracket(text) > BRACKETS_MAX {
            return Err(parse_failed(
                &format!("The document nests brackets deeper than {BRACKETS_MAX}"),
                &[],
            ));
        }
        match parse_query(text) {
            Ok(document) => {
                check_fields_unique(text)?;
                Ok(Self(document))
            }
            Err(error) => {
                let positions: Vec<_> = error.positions().collect();
                Err(parse_failed(&without_source(&error), &positions))
            }
        }
    }

    /// The operation to execute: the one that is named, or the only one.
    pub(super) fn operation(
        &self,
        name: Option<&str>,
    ) -> Result<&Positioned<OperationDefinition>, ServerError> {
        let fail = |message: String| Err(refusal(&message, None));
        match (&self.0.operations, name) {
            (DocumentOperations::Single(operation), None) => Ok(operation),
            (DocumentOperations::Multiple(operations), Some(name)) => {
                operations.get(name).map_or_else(|| fail(format!("Unknown operation {name:?}")), Ok)
            }
            (DocumentOperations::Single(_), Some(name)) => {
                fail(format!("Unknown operation {name:?}"))
            }
            (DocumentOperations::Multiple(operations), None) => {
                let mut all = operations.values();
                match (all.next(), all.next()) {
                    (Some(only), None) => Ok(only),
                    _ => fail("operationName must say which operation to execute".to_owned()),
                }
            }
        }
    }

    /// Refuses a document that is too deep or too large once its fragments are expanded. Other
    /// operations, and fragments that none uses, are held against the same limits, since they are
    /// validated too.
    pub(super) fn check_limits(&self) -> Result<(), ServerError> {
        let operations = || self.0.operations.iter().map(|(_, operation)| operation);
        if operations().any(|operation| operation.node.variable_definitions.len() > VARIABLES_MAX) {
            let message = format!("An operation declares more than {VARIABLES_MAX} variables");
            return Err(refusal(&message, None));
        }
        let mut fragments = FragmentExtents { document: &self.0, known: HashMap::new(), open: 0 };
        let mut largest = Extent::default();
        for operation in operations() {
            let extent = fragments.of_selections(&operation.node.selection_set.node)?;
            largest = largest.or_larger(extent);
        }
        for name in self.0.fragments.keys() {
            largest = largest.or_larger(fragments.of_fragment(name)?);
        }
        if largest.depth > DEPTH_MAX {
            let message = format!("The document nests fields deeper than {DEPTH_MAX}");
            return Err(refusal(&message, None));
        }
        if largest.fields > FIELDS_MAX {
            let message = format!(
                "The operation has more than {FIELDS_MAX} fields, with fragments expanded and \
                 every alias counted"
            );
            return Err(refusal(&message, None));
        }
        Ok(())
    }

    pub(super) fn parsed(&self) -> &ExecutableDocument {
        &self.0
    }
}

/// Computes each fragment once, so that fragments that use each other cost no more than their
/// text.
struct FragmentExtents<'a> {
    document: &'a ExecutableDocument,
    /// `None` while it is being computed: to meet it then is a cycle.
    known: HashMap<&'a str, Option<Extent>>,
    /// How many are being computed.
    open: usize,
}

impl<'a> FragmentExtents<'a> {
    fn of_selections(&mut self, selections: &'a SelectionSet) -> Result<Extent, ServerError> {
        let mut extent = Extent::default();
        for selection in &selections.items {
            let inner = match &selection.node {
                Selection::Field(field) => {
                    let inner = self.of_selections(&field.node.selection_set.node)?;
                    Extent { depth: inner.depth + 1, fields: inner.fields.saturating_add(1) }
                }
                Selection::InlineFragment(fragment) => {
                    self.of_selections(&fragment.node.selection_set.node)?
                }
                Selection::FragmentSpread(spread) => {
                    self.of_fragment(&spread.node.fragment_name.node)?
                }
            };
            extent.depth = extent.depth.max(inner.depth);
            extent.fields = extent.fields.saturating_add(inner.fields);
        }
        Ok(extent)
    }

    fn of_fragment(&mut self, name: &'a str) -> Result<Extent, ServerError> {
        match self.known.get(name) {
            Some(Some(extent)) => return Ok(*extent),
            Some(None) => {
                let message = format!("The fragment {name:?} contains itself");
                return Err(refusal(&message, None));
            }
            None => {}
        }
        // A fragment that does not exist is for validation to complain about.
        let Some(fragment) = self.document.fragments.get(name) else {
            return Ok(Extent::default());
        };
        // A chain of fragments recurses as deep as it is long.
        if self.open > BRACKETS_MAX {
            let message = format!("Fragments use each other more than {BRACKETS_MAX} deep");
            return Err(refusal(&message, None));
        }
        self.known.insert(name, None);
        self.open += 1;
        let extent = self.of_selections(&fragment.node.selection_set.node)?;
        self.open -= 1;
        self.known.insert(name, Some(extent));
        Ok(extent)
    }
}

/// The message without the line of the document that it shows, which may be long.
fn without_source(error: &async_graphql::parser::Error) -> String {
    let message = error.to_string();
    let last_line = message.lines().last().unwrap_or_default().trim();
    let position = error.positions().next();
    match (last_line.strip_prefix("= "), position) {
        (Some(problem), Some(at)) => {
            format!("Syntax error in line {}, column {}: {problem}", at.line, at.column)
        }
        _ => message,
    }
}

fn parse_failed(message: &str, positions: &[Pos]) -> ServerError {
    let mut error = server_error(&Told {
        code: "GRAPHQL_PARSE_FAILED",
        name: "GraphQLError",
        message: message.to_owned(),
    });
    error.locations = positions.to_vec();
    error
}

/// How deep brackets nest in the text, outside strings and comments.
fn deepest_bracket(text: &str) -> usize {
    let mut rest = text.as_bytes();
    let (mut depth, mut deepest) = (0_usize, 0);
    while let [first, ..] = rest {
        match first {
            b'{' | b'[' | b'(' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        rest = after_token(rest);
    }
    deepest
}

/// Refuses a number in the text that would not come back as it was sent. Values of the parsed
/// document do not show it: it is rounded in them.
pub(super) fn check_numbers(text: &str) -> Result<(), ServerError> {
    let mut rest = text.as_bytes();
    let mut name: &[u8] = b"";
    while let [first, ..] = rest {
        let after = after_token(rest);
        let token = &rest[..rest.len() - after.len()];
        if is_of_name(*first) && after_ignored(after).starts_with(b":") {
            name = token;
        }
        if matches!(first, b'-' | b'0'..=b'9')
            && let Ok(number) = std::str::from_utf8(token)
            && let Some(problem) = exact::problem_with_number(number)
        {
            let path = vec![String::from_utf8_lossy(name).into_owned()];
            let message = exact::Problem { path, what: problem }.to_string();
            let mut error = server_error(&Told::bad_request(message));
            error.locations.push(position(text, text.len() - rest.len()));
            return Err(error);
        }
        rest = after;
    }
    Ok(())
}

/// Refuses an object literal that has a field twice. The parsed document does not show it: it has
/// the last one only.
fn check_fields_unique(text: &str) -> Result<(), ServerError> {
    let mut rest = text.as_bytes();
    // What is open, with the fields so far where it is an object. Braces are those of an object
    // within parentheses, and those of a selection outside.
    let mut open: Vec<(u8, HashSet<&[u8]>)> = Vec::new();
    let mut parentheses = 0_usize;
    while let [first, ..] = rest {
        let after = after_token(rest);
        match first {
            b'(' | b'[' | b'{' => {
                parentheses += usize::from(*first == b'(');
                open.push((*first, HashSet::new()));
            }
            b')' | b']' | b'}' => {
                if let Some((b'(', _)) = open.pop() {
                    parentheses -= 1;
                }
            }
            first if is_of_name(*first) && parentheses > 0 => {
                let name = &rest[..rest.len() - after.len()];
                if let Some((b'{', fields)) = open.last_mut()
                    && after_ignored(after).starts_with(b":")
                    && !fields.insert(name)
                {
                    let name = String::from_utf8_lossy(name);
                    let message = format!("An object has the field \"{name}\" more than once");
                    return Err(refusal(&message, Some(position(text, text.len() - rest.len()))));
                }
            }
            _ => {}
        }
        rest = after;
    }
    Ok(())
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

fn position(text: &str, offset: usize) -> Pos {
    let before = &text[..offset];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    let line = before.matches('\n').count() + 1;
    Pos { line, column: before[line_start..].chars().count() + 1 }
}

/// What follows the first token, which may be a comment, or a byte that is in no token.
fn after_token(text: &[u8]) -> &[u8] {
    match text {
        [b'#', after @ ..] => after_line(after),
        [b'"', b'"', b'"', after @ ..] => after_block_string(after),
        [b'"', after @ ..] => after_string(after),
        [b'-' | b'0'..=b'9', ..] => exact::split_number(text).1,
        [first, after @ ..] if is_of_name(*first) => {
            let end = after.iter().position(|byte| !is_of_name(*byte)).unwrap_or(after.len());
            &after[end..]
        }
        [_, after @ ..] => after,
        [] => text,
    }
}

fn is_of_name(byte: u8) -> bool {
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
    use super::*;

    #[test]
    fn the_same_field_twice_in_an_object_is_refused() {
        for text in [
            "{ a(b: { x: 1, x: 2 }) }",
            "{ a(b: { x: 1 y: { x: 2 } x # :\n , : 3 }) }",
            "{ a(b: [{ y: { z: 1 } }, { y: 1, y: 2 }]) }",
            "query ($v: Box = { x: 1, x: 1 }) { a(b: $v) }",
            "{ a { a @include(if: { x: 1, x: 1 }) } }",
        ] {
            let error = Document::parse(text).err().unwrap();
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
            assert!(Document::parse(text).is_ok(), "{text}");
        }
    }

    fn extent(text: &str) -> Result<Extent, ServerError> {
        let document = Document::parse(text).unwrap();
        let mut fragments =
            FragmentExtents { document: &document.0, known: HashMap::new(), open: 0 };
        let (_, operation) = document.0.operations.iter().next().unwrap();
        fragments.of_selections(&operation.node.selection_set.node)
    }

    #[test]
    fn fields_are_counted_as_they_expand() {
        for (text, depth, fields) in [
            ("{ a }", 1, 1),
            ("{ a b: a c: a }", 1, 3),
            ("{ a { b { c } } d }", 3, 4),
            ("{ ...f ...f } fragment f on Query { a { b } }", 2, 4),
            ("{ ... on Query { a } ... { b } }", 1, 2),
            ("{ ...missing }", 0, 0),
        ] {
            assert_eq!(extent(text).unwrap(), Extent { depth, fields }, "{text}");
        }
    }

    #[test]
    fn fragments_that_double_each_other_are_counted_without_being_expanded() {
        let mut text = "{ ...f0 }".to_owned();
        for index in 0..90 {
            let next = index + 1;
            text += &format!(" fragment f{index} on Query {{ ...f{next} ...f{next} }}");
        }
        text += " fragment f90 on Query { a }";
        assert_eq!(extent(&text).unwrap().fields, usize::MAX);
    }

    #[test]
    fn a_fragment_that_contains_itself_is_refused() {
        let text = "{ ...f } fragment f on Query { ...g } fragment g on Query { a { ...f } }";
        assert!(extent(text).unwrap_err().message.contains("contains itself"));
    }

    #[test]
    fn a_long_chain_of_fragments_is_refused() {
        let mut text = "{ ...f0 }".to_owned();
        for index in 0..10_000 {
            text += &format!(" fragment f{index} on Query {{ ...f{} }}", index + 1);
        }
        assert!(extent(&text).unwrap_err().message.contains("use each other"));
    }

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
    fn a_document_that_nests_without_end_is_refused_before_it_is_parsed() {
        let text = format!("{{ a(b: {}", "[".repeat(900_000));
        let refused = Document::parse(&text).err().unwrap();
        assert!(refused.message.contains("nests brackets"), "{}", refused.message);
    }
}
