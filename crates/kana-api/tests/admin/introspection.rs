//! The schema as tools read it.

use serde_json::{Value, json};

use crate::app::TestApp;

#[path = "../../examples/print_schema/reference.rs"]
mod reference;

/// What graphql-js's `getIntrospectionQuery` writes, with descriptions.
const USUAL: &str = "
    query IntrospectionQuery {
      __schema {
        queryType { name }
        mutationType { name }
        subscriptionType { name }
        types {
          ...FullType
        }
        directives {
          name
          description
          isRepeatable
          locations
          args {
            ...InputValue
          }
        }
      }
    }

    fragment FullType on __Type {
      kind
      name
      description
      specifiedByURL
      fields(includeDeprecated: true) {
        name
        description
        args {
          ...InputValue
        }
        type {
          ...TypeRef
        }
        isDeprecated
        deprecationReason
      }
      inputFields {
        ...InputValue
      }
      interfaces {
        ...TypeRef
      }
      enumValues(includeDeprecated: true) {
        name
        description
        isDeprecated
        deprecationReason
      }
      possibleTypes {
        ...TypeRef
      }
    }

    fragment InputValue on __InputValue {
      name
      description
      type { ...TypeRef }
      defaultValue
    }

    fragment TypeRef on __Type {
      kind
      name
      ofType {
        kind
        name
        ofType {
          kind
          name
          ofType {
            kind
            name
            ofType {
              kind
              name
              ofType {
                kind
                name
                ofType {
                  kind
                  name
                  ofType {
                    kind
                    name
                    ofType {
                      kind
                      name
                      ofType {
                        kind
                        name
                      }
                    }
                  }
                }
              }
            }
          }
        }
      }
    }
";

#[tokio::test]
async fn the_usual_introspection_query_passes_the_limits() {
    let app = TestApp::new().await;
    let data = app.data(USUAL, json!({})).await;
    let schema = &data["__schema"];
    assert_eq!(schema["queryType"]["name"], "Query");
    assert_eq!(schema["mutationType"]["name"], "Mutation");
    assert_eq!(schema["subscriptionType"], Value::Null);
    let types: Vec<&str> =
        schema["types"].as_array().unwrap().iter().map(|ty| ty["name"].as_str().unwrap()).collect();
    for ty in ["Feature", "Package", "PackageSubscription", "BigInt", "CreateUsageEventInput"] {
        assert!(types.contains(&ty), "{ty}");
    }
}

#[tokio::test]
async fn the_introspection_query_with_the_deprecation_of_inputs_passes_too() {
    let app = TestApp::new().await;
    let query = USUAL
        .replace("args {", "args(includeDeprecated: true) {")
        .replace("inputFields {", "inputFields(includeDeprecated: true) {")
        .replace("defaultValue", "defaultValue isDeprecated deprecationReason")
        .replace("__schema {", "__schema { description");
    let data = app.data(&query, json!({})).await;
    assert!(data["__schema"]["types"].is_array());
}

#[tokio::test]
async fn a_type_can_be_asked_for_by_its_name() {
    let app = TestApp::new().await;
    let query = r#"{
        __type(name: "CreateUsageEventInput") { inputFields { name defaultValue type { name kind } } }
        __typename
    }"#;
    insta::assert_json_snapshot!(app.data(query, json!({})).await, @r#"
{
  "__type": {
    "inputFields": [
      {
        "name": "userId",
        "defaultValue": null,
        "type": {
          "name": null,
          "kind": "NON_NULL"
        }
      },
      {
        "name": "featureId",
        "defaultValue": null,
        "type": {
          "name": null,
          "kind": "NON_NULL"
        }
      },
      {
        "name": "delta",
        "defaultValue": "1",
        "type": {
          "name": "Int",
          "kind": "SCALAR"
        }
      },
      {
        "name": "action",
        "defaultValue": "ADD",
        "type": {
          "name": "RecordUsageAction",
          "kind": "ENUM"
        }
      },
      {
        "name": "idempotencyKey",
        "defaultValue": null,
        "type": {
          "name": "String",
          "kind": "SCALAR"
        }
      },
      {
        "name": "occurredAt",
        "defaultValue": null,
        "type": {
          "name": "DateTime",
          "kind": "SCALAR"
        }
      },
      {
        "name": "metadata",
        "defaultValue": null,
        "type": {
          "name": "JSON",
          "kind": "SCALAR"
        }
      }
    ]
  },
  "__typename": "Query"
}
"#);
}

#[tokio::test]
async fn scalars_are_described_as_in_the_contract() {
    let app = TestApp::new().await;
    let query = r#"{
        at: __type(name: "DateTime") { description }
        json: __type(name: "JSON") { description }
        big: __type(name: "BigInt") { description }
    }"#;
    let expected = json!({
        "at": { "description": "UTC instant, RFC 3339 with exactly three fractional digits: \
                                2022-08-10T15:07:01.803Z" },
        "json": { "description": "Any JSON value (ECMA-404)" },
        "big": { "description": "Whole number of any size up to 2^63-1, as a JSON string" },
    });
    assert_eq!(app.data(query, json!({})).await, expected);
}

#[test]
fn the_committed_reference_is_what_the_schemas_say() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference");
    for (file, text) in reference::FILES {
        let committed = std::fs::read_to_string(format!("{directory}/{file}")).unwrap();
        let again = format!("cargo run -p kana-api --example print_schema -- {file}");
        assert_eq!(committed, text(), "{file} is not up to date; {again} prints it anew");
    }
}

#[test]
fn everything_in_the_reference_says_what_it_means() {
    for (file, text) in reference::FILES.iter().filter(|(file, _)| file.ends_with(".md")) {
        let text = text();
        let silent: Vec<_> = text.lines().filter(|line| line.ends_with("|  |")).collect();
        assert!(silent.is_empty(), "{file}: {silent:?}");
    }
}
