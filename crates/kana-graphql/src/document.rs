//! Documents: what a request asks for, parsed.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};
use bluejay_parser::ast::executable as parsed;
use bluejay_parser::ast::{Parse as _, ParseOptions};

use crate::conversion::{NamedValues, convert};
use crate::error::{parse_failed, refusal};

/// How deep a document may nest, of whatever kind. The parser, and whatever walks a document
/// afterwards, recurses; metadata is the only thing that nests deeper than fields do.
const DEPTH_MAX: usize = 100;
/// What a definition of a type system starts with.
const TYPE_SYSTEM: [&str; 9] =
    ["schema", "scalar", "type", "interface", "union", "enum", "input", "directive", "extend"];

/// A document in the form that the executor takes.
pub(crate) struct Document(ExecutableDocument);

/// A document that was parsed and is not validated yet.
pub(crate) struct Parsed<'t> {
    pub(crate) text: &'t str,
    /// The form that the validator takes.
    pub(crate) syntax: parsed::ExecutableDocument<'t>,
    pub(crate) document: Document,
    pub(crate) named_values: NamedValues<'t>,
    /// The error of the first number that would be rounded.
    pub(crate) inexact: Option<ServerError>,
}

/// Parses a document. Fails for a text that is not one, and if the executor's form cannot hold it.
pub(crate) fn parse(text: &str) -> Result<Parsed<'_>, ServerError> {
    let options = ParseOptions { max_depth: DEPTH_MAX, ..ParseOptions::default() };
    let syntax = parsed::ExecutableDocument::parse_with_options(text, options)
        .result
        .map_err(|errors| unparsed(text, errors))?;
    let converted = convert(text, &syntax)?;
    Ok(Parsed {
        text,
        document: Document(converted.document),
        named_values: converted.named_values,
        inexact: converted.inexact,
        syntax,
    })
}

impl Document {
    /// All operations, with their names, in the order of the text.
    pub(crate) fn operations(&self) -> Vec<(Option<&Name>, &Positioned<OperationDefinition>)> {
        let mut operations: Vec<_> = self.0.operations.iter().collect();
        operations.sort_by_key(|(_, operation)| operation.pos);
        operations
    }

    /// All fragments, with their names, in the order of the text.
    pub(crate) fn fragments(&self) -> Vec<(&Name, &Positioned<FragmentDefinition>)> {
        let mut fragments: Vec<_> = self.0.fragments.iter().collect();
        fragments.sort_by_key(|(_, fragment)| fragment.pos);
        fragments
    }

    /// The operation to execute: the one that is named, or the only one.
    pub(crate) fn operation(
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

    pub(crate) fn parsed(&self) -> &ExecutableDocument {
        &self.0
    }
}

/// Returns the error of a text that is not a document.
fn unparsed(text: &str, errors: Vec<bluejay_parser::Error>) -> ServerError {
    let first = errors.into_iter().next();
    let Some(error) = bluejay_parser::Error::into_graphql_errors(text, first).pop() else {
        return parse_failed("The document cannot be parsed", &[]);
    };
    let Some(at) = error.locations.first() else {
        return match error.message.as_ref() {
            "Max depth exceeded" => {
                parse_failed(&format!("The document nests deeper than {DEPTH_MAX}"), &[])
            }
            message => parse_failed(message, &[]),
        };
    };
    let at = Pos { line: at.line, column: at.col };
    if defines_types(text, at) {
        let message =
            "The document defines a type system: only operations and fragments can be executed";
        return refusal(message, Some(at));
    }
    let message =
        format!("Syntax error in line {}, column {}: {}", at.line, at.column, error.message);
    parse_failed(&message, &[at])
}

/// Returns true if a definition of a type system starts in this place.
fn defines_types(text: &str, at: Pos) -> bool {
    let lines = text.split_inclusive('\n').take(at.line.saturating_sub(1));
    let (_, rest) = text.split_at(lines.map(str::len).sum());
    let column = rest.char_indices().nth(at.column.saturating_sub(1));
    let rest = column.map_or("", |(column, _)| &rest[column..]);
    let before = &text[..text.len() - rest.len()];
    // A description may come first.
    let line = rest.lines().next().unwrap_or_default();
    let word = line.rsplit('"').next().unwrap_or_default().trim_start();
    let is_word = |after: &str| !after.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    matches!(before.trim_end().chars().last(), None | Some('}'))
        && TYPE_SYSTEM.iter().any(|start| word.strip_prefix(start).is_some_and(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, String) {
        let error = parse(text).err().unwrap();
        let extensions = error.extensions.unwrap();
        (extensions.get("code").unwrap().to_string(), error.message)
    }

    #[test]
    fn a_document_that_is_grammar_but_invalid_says_so_by_its_code() {
        for (text, message) in [
            ("query a { a } query a { b }", "two operations with the name \"a\""),
            ("query a { a } mutation a { b }", "two operations with the name \"a\""),
            (
                "fragment f on A { a } { a } fragment f on A { b }",
                "two fragments with the name \"f\"",
            ),
            ("{ a } query b { a }", "must be the only one"),
            ("query b { a } query c { a } { a }", "must be the only one"),
            ("{ a } { a }", "must be the only one"),
            ("fragment f on A { a }", "has no operation"),
            ("{ a } type A { a: Int }", "defines a type system"),
            ("\"An A\" extend type A @a { a }", "defines a type system"),
            ("scalar A", "defines a type system"),
        ] {
            for _ in 0..12 {
                let (code, found) = refused(text);
                assert_eq!(code, "\"GRAPHQL_VALIDATION_FAILED\"", "{text}: {found}");
                assert!(found.contains(message), "{text}: {found}");
                assert_eq!(refused(text), (code, found));
            }
        }
        for text in [
            "{ a } types",
            "{ a( } type A { a: Int }",
            "query type",
            "query () { a }",
            "{ ...on } fragment on on A { a }",
        ] {
            assert_eq!(refused(text).0, "\"GRAPHQL_PARSE_FAILED\"", "{text}");
        }
    }

    #[test]
    fn operations_and_fragments_come_in_the_order_of_the_text() {
        let text: String =
            (0..50).map(|n| format!("query q{n} {{ a }} fragment f{n} on A {{ a }}\n")).collect();
        let document = parse(&text).unwrap().document;
        let names: Vec<_> =
            document.operations().into_iter().map(|(name, _)| name.unwrap().to_string()).collect();
        assert_eq!(names, (0..50).map(|n| format!("q{n}")).collect::<Vec<_>>());
        let names: Vec<_> =
            document.fragments().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, (0..50).map(|n| format!("f{n}")).collect::<Vec<_>>());
    }

    #[test]
    fn a_document_that_nests_without_end_is_refused_before_it_is_parsed() {
        let text = format!("{{ a(b: {}", "[".repeat(900_000));
        let refused = parse(&text).err().unwrap();
        assert!(refused.message.contains("nests deeper"), "{}", refused.message);
    }
}
