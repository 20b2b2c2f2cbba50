//! Documents: what a request asks for, parsed.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, FragmentDefinition, InlineFragment,
    OperationDefinition, Selection, SelectionSet,
};
use async_graphql::parser::{Error, parse_query};
use async_graphql::{Name, Positioned, ServerError};

use crate::error::{parse_failed, refusal};
use crate::spelling::respell;
use crate::text;

/// How deep brackets of any kind may be nested in the text. The parser and whatever walks its
/// values recurse; metadata is the only thing that nests deeper than fields do.
const BRACKETS_MAX: usize = 100;

pub(crate) struct Document(ExecutableDocument);

impl Document {
    pub(crate) fn parse(text: &str) -> Result<Self, ServerError> {
        if text::deepest_bracket(text) > BRACKETS_MAX {
            return Err(parse_failed(
                &format!("The document nests brackets deeper than {BRACKETS_MAX}"),
                &[],
            ));
        }
        let mut document = parse_query(respell(text)).map_err(|error| refuse(text, &error))?;
        text::check_brackets(text)?;
        if let Some(fragment) = document.fragments.get("on") {
            return Err(parse_failed("A fragment cannot have the name \"on\"", &[fragment.pos]));
        }
        each_selection_set(&mut document, wrap_typenames);
        Ok(Self(document))
    }

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

/// Says why the parser has no document of this text. Some of its reasons are none of grammar: the
/// text is a document, but not a valid one.
fn refuse(text: &str, error: &Error) -> ServerError {
    let (message, positions) = match error {
        Error::MultipleOperations { anonymous, .. } => (
            "An operation without a name must be the only one of its document".to_owned(),
            vec![*anonymous],
        ),
        Error::OperationDuplicated { operation, first, second } => (
            format!("There are two operations with the name \"{operation}\""),
            vec![*first, *second],
        ),
        Error::FragmentDuplicated { fragment, first, second } => {
            (format!("There are two fragments with the name \"{fragment}\""), vec![*first, *second])
        }
        Error::MissingOperation => ("The document has no operation".to_owned(), vec![]),
        Error::Syntax { start, .. } if text::type_definition(text) == Some(*start) => (
            "The document defines a type system: only operations and fragments can be executed"
                .to_owned(),
            vec![*start],
        ),
        _ => {
            let positions: Vec<_> = error.positions().collect();
            return parse_failed(&without_source(error), &positions);
        }
    };
    let mut refused = refusal(&message, None);
    refused.locations = positions;
    refused
}

/// The message without the line of the document that it shows, which may be long.
fn without_source(error: &Error) -> String {
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

/// The selections of every operation and fragment.
fn each_selection_set(document: &mut ExecutableDocument, change: fn(&mut SelectionSet)) {
    let of_operation = |operation: &mut Positioned<OperationDefinition>| {
        change(&mut operation.node.selection_set.node);
    };
    match &mut document.operations {
        DocumentOperations::Single(operation) => of_operation(operation),
        DocumentOperations::Multiple(operations) => operations.values_mut().for_each(of_operation),
    }
    for fragment in document.fragments.values_mut() {
        change(&mut fragment.node.selection_set.node);
    }
}

/// Puts each `__typename` that has directives into an inline fragment that has them instead, which
/// means the same. The library looks at no directive of `__typename` when it validates.
fn wrap_typenames(selections: &mut SelectionSet) {
    for selection in &mut selections.items {
        match &mut selection.node {
            Selection::Field(field)
                if field.node.name.node == "__typename" && !field.node.directives.is_empty() =>
            {
                let directives = std::mem::take(&mut field.node.directives);
                let bare = Selection::Field(field.clone());
                let items = vec![Positioned::new(bare, selection.pos)];
                let selection_set = Positioned::new(SelectionSet { items }, selection.pos);
                let fragment = InlineFragment { type_condition: None, directives, selection_set };
                let fragment = Positioned::new(fragment, selection.pos);
                selection.node = Selection::InlineFragment(fragment);
            }
            Selection::Field(field) => wrap_typenames(&mut field.node.selection_set.node),
            Selection::InlineFragment(fragment) => {
                wrap_typenames(&mut fragment.node.selection_set.node);
            }
            Selection::FragmentSpread(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (String, String) {
        let error = Document::parse(text).err().unwrap();
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
    fn a_typename_with_directives_becomes_a_fragment_with_them() {
        for (text, same) in [
            ("{ x: __typename @a(b: $c) @d }", "{ ... @a(b: $c) @d { x: __typename } }"),
            ("{ b @a { __typename @a } }", "{ b @a { ... @a { __typename } } }"),
            (
                "{ ... @a { __typename @a } ...f } fragment f on A { __typename @b __typename }",
                "{ ... @a { ... @a { __typename } } ...f } fragment f on A { ... @b { __typename } __typename }",
            ),
        ] {
            let shown =
                |text: &str| without_places(&format!("{:?}", Document::parse(text).unwrap().0));
            assert_eq!(shown(text), shown(same), "{text}");
        }
    }

    fn without_places(shown: &str) -> String {
        let mut parts = shown.split("Pos(");
        let first = parts.next().unwrap().to_owned();
        parts.fold(first, |text, part| text + part.split_once(')').unwrap().1)
    }

    #[test]
    fn operations_and_fragments_come_in_the_order_of_the_text() {
        let text: String =
            (0..50).map(|n| format!("query q{n} {{ a }} fragment f{n} on A {{ a }}\n")).collect();
        let document = Document::parse(&text).unwrap();
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
        let refused = Document::parse(&text).err().unwrap();
        assert!(refused.message.contains("nests brackets"), "{}", refused.message);
    }
}
