//! A GraphQL document with variables, as the Admin API gets them.
//!
//! The input is a document and, after a line `#`, the JSON of its variables.
#![no_main]

use kana_fuzz::{Answer, Server, with_server};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Ok(input) = std::str::from_utf8(input) else { return };
    let (document, variables) = input.split_once("\n#\n").unwrap_or((input, "null"));
    with_server(|server| run(server, document, variables));
});

fn run(server: &Server, document: &str, variables: &str) {
    let first = server.graphql(document, variables);
    assert!(first.body.get("data").is_some() || first.body.get("errors").is_some());
    if document.contains("mutation") {
        return;
    }
    // By now the document is remembered.
    let again = server.graphql(document, variables);
    assert_eq!((first.status, &first.body), (again.status, &again.body));
    // In this form, no operation plan reads the request.
    let query = Value::from(document);
    let body = format!(r#"{{ "variables" : {variables} , "query" : {query} }}"#);
    let spaced = server.post("/graphql", &[("Content-Type", "application/json")], body);
    assert_eq!(gist(&first), gist(&spaced));
}

/// Data and the codes of the errors: messages can name a place in the request.
fn gist(answer: &Answer) -> (Option<&Value>, Vec<&Value>) {
    let errors = answer.body.get("errors").and_then(Value::as_array);
    let codes = errors.into_iter().flatten().map(|error| &error["extensions"]["code"]);
    (answer.body.get("data"), codes.collect())
}
