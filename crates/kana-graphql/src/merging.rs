//! Fields of one name in one place are one field of the answer, and so must ask for the same
//! (GraphQL specification, "Field Selection Merging"). The library compares them within one
//! selection, but not what is selected below two that merge.
//!
//! The schemas have neither interfaces nor unions, so that what stands in one place is always of
//! one type.

use std::collections::HashSet;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Positioned, ServerError};
use indexmap::IndexMap;

use crate::document::Document;
use crate::error::refusal;

/// Refuses a document in which fields that merge differ in their name or their arguments.
pub(crate) fn check(document: &Document) -> Result<(), ServerError> {
    for (_, operation) in document.operations() {
        check_merged(document.parsed(), &[&operation.node.selection_set.node])?;
    }
    Ok(())
}

/// Checks the selections of one place.
fn check_merged(
    document: &ExecutableDocument,
    selections: &[&SelectionSet],
) -> Result<(), ServerError> {
    let mut merged = Merged { document, fragments: HashSet::new(), fields: IndexMap::new() };
    for selection in selections {
        merged.add(selection)?;
    }
    for fields in merged.fields.values() {
        let below: Vec<_> = fields.iter().map(|field| &field.node.selection_set.node).collect();
        if below.iter().any(|selection| !selection.items.is_empty()) {
            check_merged(document, &below)?;
        }
    }
    Ok(())
}

/// The fields of one place by their names in the answer, in the order of the text.
struct Merged<'a> {
    document: &'a ExecutableDocument,
    /// What was added already. A fragment adds nothing the second time.
    fragments: HashSet<&'a str>,
    fields: IndexMap<&'a str, Vec<&'a Positioned<Field>>>,
}

impl<'a> Merged<'a> {
    fn add(&mut self, selections: &'a SelectionSet) -> Result<(), ServerError> {
        for selection in &selections.items {
            match &selection.node {
                Selection::Field(field) => {
                    let fields = self.fields.entry(&field.node.response_key().node).or_default();
                    if let Some(first) = fields.first()
                        && !ask_for_the_same(&first.node, &field.node)
                    {
                        return Err(conflict(first, field));
                    }
                    fields.push(field);
                }
                Selection::InlineFragment(fragment) => {
                    self.add(&fragment.node.selection_set.node)?;
                }
                Selection::FragmentSpread(spread) => {
                    let name = spread.node.fragment_name.node.as_str();
                    if let Some(fragment) = self.document.fragments.get(name)
                        && self.fragments.insert(name)
                    {
                        self.add(&fragment.node.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn ask_for_the_same(one: &Field, other: &Field) -> bool {
    one.name.node == other.name.node
        && one.arguments.len() == other.arguments.len()
        && one.arguments.iter().all(|(name, value)| {
            other.get_argument(&name.node).is_some_and(|other| other.node == value.node)
        })
}

fn conflict(first: &Positioned<Field>, second: &Positioned<Field>) -> ServerError {
    let message = format!(
        "The fields \"{}\" conflict: they have one name in the answer and ask for different \
         things; give one of them an alias",
        first.node.response_key().node
    );
    let mut error = refusal(&message, Some(first.pos));
    error.locations.push(second.pos);
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_in(text: &str) -> Result<(), String> {
        check(&Document::parse(text).unwrap()).map_err(|error| error.message)
    }

    #[test]
    fn fields_that_merge_and_differ_are_refused() {
        for text in [
            "{ a b: a(x: 1) b: a }",
            "{ a { b { x: c } } a { b { x: d } } }",
            "{ a { b { c(y: 1) } } a { b { c(y: 2) } } }",
            "{ a { ...f } a { x: c } } fragment f on A { x: d }",
            "{ ... { a { x: c } } ...g } fragment g on Query { a { x: d } }",
            "query one { a } query two { a { x: c } a { x: d } }",
        ] {
            let message = check_in(text).unwrap_err();
            assert!(message.contains("conflict"), "{text}: {message}");
        }
    }

    #[test]
    fn the_first_conflict_is_the_one_that_is_told() {
        for (text, name) in [
            ("{ a: b { x: c } a: b { x: d } e: f { y: c } e: f { y: d } }", "x"),
            ("query one { a { x: c x: d } } query two { a { y: c y: d } }", "x"),
        ] {
            for _ in 0..20 {
                let message = check_in(text).unwrap_err();
                assert!(message.contains(&format!("\"{name}\" conflict")), "{text}: {message}");
            }
        }
    }

    #[test]
    fn fields_that_ask_for_the_same_merge() {
        for text in [
            "{ a(x: 1, y: { p: 1, q: $v }) a(y: { q: $v, p: 1 }, x: 1) }",
            "{ a { x: c } b: a { x: d } }",
            "{ a { b { x: c } } a { b { x: c y: d } } }",
            "{ a { ...f ...f } a { ...f } } fragment f on A { x: d }",
            "{ a @include(if: $v) a @skip(if: $v) }",
        ] {
            assert_eq!(check_in(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn fragments_that_double_each_other_cost_no_more_than_their_text() {
        let mut text = "{ a { ...f0 } a { ...f0 } }".to_owned();
        for index in 0..90 {
            let next = index + 1;
            text += &format!(" fragment f{index} on A {{ ...f{next} ...f{next} ...missing }}");
        }
        text += " fragment f90 on A { x }";
        assert_eq!(check_in(&text), Ok(()));
    }
}
