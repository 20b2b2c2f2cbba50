//! Documents that graphql-core, which ports the reference implementation, has judged: each is taken
//! or refused as it says.
//!
//! They are some of 70,000 that a generator made from the two schemas, most of them with a change
//! that makes them subtly invalid; those in which graphql-core departs from the specification (it
//! takes an empty selection set) are left out. `docs/decisions/2026-11-29-graphql-validation.md`
//! tells the rest.

use axum::http::{Method, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::app::TestApp;

const DOCUMENTS: &str = include_str!("judged/documents.jsonl");

#[derive(Deserialize)]
struct Judged {
    schema: String,
    verdict: Verdict,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Valid,
    Invalid,
    /// It is no document.
    Parse,
}

impl Judged {
    async fn answer(&self, app: &TestApp, token: &str) -> Value {
        let request = match self.schema.as_str() {
            "admin" => app.graphql("", json!({})),
            _ => app.request(Method::POST, "/client/graphql").with(header::AUTHORIZATION, token),
        };
        let name = first_operation(&self.text);
        let body = json!({ "query": self.text, "operationName": name });
        request.body(body.to_string()).send().await.json()
    }
}

/// The name of the first operation, if it has one.
fn first_operation(text: &str) -> Option<&str> {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    words.windows(2).find_map(|words| {
        let is_operation = matches!(words[0], "query" | "mutation" | "subscription");
        (is_operation && words[1].starts_with("Op")).then_some(words[1])
    })
}

/// What an answer says about its document. Variables are coerced only once that is valid.
fn verdict(answer: &Value) -> Verdict {
    let errors = answer["errors"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is = |error: &Value, code: &str| error["extensions"]["code"] == code;
    let lacks_variable = |error: &Value| {
        let message = error["message"].as_str().unwrap();
        message.starts_with("Variable \"$") && message.ends_with("is missing")
    };
    if errors.iter().any(|error| is(error, "GRAPHQL_PARSE_FAILED")) {
        Verdict::Parse
    } else if errors
        .iter()
        .any(|error| is(error, "GRAPHQL_VALIDATION_FAILED") && !lacks_variable(error))
    {
        Verdict::Invalid
    } else {
        Verdict::Valid
    }
}

#[tokio::test]
async fn documents_are_taken_and_refused_as_the_reference_implementation_does() {
    let app = TestApp::shop().await;
    let token =
        app.data("mutation { generateUserToken(userId: \"124\") { token } }", json!({})).await;
    let token = token["generateUserToken"]["token"].as_str().unwrap().to_owned();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for line in DOCUMENTS.lines() {
        let judged: Judged = serde_json::from_str(line).unwrap();
        let answer = judged.answer(&app, &token).await;
        // Whether something is no document or an invalid one may be told differently.
        let found = verdict(&answer);
        if (found == Verdict::Valid) != (judged.verdict == Verdict::Valid) {
            wrong.push(format!("{:?} {:?}: {}: {answer}", judged.verdict, found, judged.text));
        }
        seen += 1;
    }
    assert!(seen > 500, "{seen}");
    assert!(wrong.is_empty(), "{} of {seen}: {}", wrong.len(), wrong.join("\n"));
}
