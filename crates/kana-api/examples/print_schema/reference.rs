//! The files under `docs/reference`, made from what the schemas say of themselves.

use std::collections::HashMap;
use std::fmt::Write;

use async_graphql::Positioned;
use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{
    BaseType, FieldDefinition, InputValueDefinition, Type, TypeDefinition, TypeKind,
    TypeSystemDefinition,
};

/// Makes a file's text.
type Make = fn() -> String;
/// Whether a type belongs to a section.
type Belongs = fn(&TypeKind) -> bool;

/// Each file by its name, and what makes it.
pub(crate) const FILES: [(&str, Make); 4] = [
    ("admin.graphql", kana_api::admin::sdl),
    ("client.graphql", kana_api::client::sdl),
    ("admin-api.md", admin_reference),
    ("client-api.md", client_reference),
];

fn admin_reference() -> String {
    let intro = "`POST /graphql`, authorised by a private key in the `Authorization` header. The \
                 key decides the environment.\n\nErrors stand in `errors[i]`, with \
                 `extensions.code` and `extensions.exception.name` for programs. Besides those \
                 that a field names, any field can answer `AuthenticationError`, `ValidationError` \
                 and `InternalError`.\n\nAn answer has at most 32 MiB. A larger one is refused \
                 while it is built, with `AnswerTooLargeError` and the code `ANSWER_TOO_LARGE`: ask \
                 for pages, or for fewer fields. What a mutation did before that stays recorded, and \
                 the message says so. All answers that the server is building or sending share a \
                 limit; beyond it, a request with a list is answered with 503 and `OVERLOADED`.";
    reference("Admin API", intro, &kana_api::admin::sdl())
}

fn client_reference() -> String {
    let intro = "`POST /client/graphql`, read-only, called from web pages. Authorised by a user \
                 token (`Authorization: Bearer <token>`, made by the Admin API's \
                 `generateUserToken`), or by a public key in the `Authorization` header with the \
                 user's id in `X-User-ID`, unless the environment has that mode switched off.";
    reference("Client API", intro, &kana_api::client::sdl())
}

fn reference(title: &str, intro: &str, sdl: &str) -> String {
    let mut page = format!(
        "# {title}: reference\n\n\
         <!-- Made by `cargo run -p kana-api --example print_schema`; change the descriptions in \
         the schema instead. -->\n\n{intro}\n"
    );
    let definitions = parse_schema(sdl).expect("the server's own schema").definitions;
    let mut types: Vec<TypeDefinition> = definitions
        .into_iter()
        .filter_map(|definition| match definition {
            TypeSystemDefinition::Type(definition) => Some(definition.node),
            _ => None,
        })
        .collect();
    types.sort_by(|a, b| a.name.node.cmp(&b.name.node));
    let described = |ty: &TypeDefinition| (ty.name.node.to_string(), sentence(&ty.description));
    let page_of = Page { known: types.iter().map(described).collect() };

    for (name, heading) in [("Query", "Queries"), ("Mutation", "Mutations")] {
        let root = types.iter().find(|ty| ty.name.node.as_str() == name);
        if let Some(TypeKind::Object(root)) = root.map(|ty| &ty.kind) {
            writeln!(page, "\n## {heading}").unwrap();
            for field in &root.fields {
                page.push_str(&page_of.operation(&field.node));
            }
        }
    }
    let of_kind = |kind: Belongs| {
        let is_root = |name: &str| matches!(name, "Query" | "Mutation");
        types.iter().filter(move |ty| kind(&ty.kind) && !is_root(ty.name.node.as_str()))
    };
    let sections: [(&str, Belongs); 4] = [
        ("Types", |kind| matches!(kind, TypeKind::Object(_))),
        ("Inputs", |kind| matches!(kind, TypeKind::InputObject(_))),
        ("Enums", |kind| matches!(kind, TypeKind::Enum(_))),
        ("Scalars", |kind| matches!(kind, TypeKind::Scalar)),
    ];
    for (heading, kind) in sections {
        let mut types = of_kind(kind).peekable();
        if types.peek().is_some() {
            writeln!(page, "\n## {heading}").unwrap();
        }
        for ty in types {
            page.push_str(&page_of.definition(ty));
        }
    }
    page
}

/// A page that links to the types that it describes.
struct Page {
    /// The types' descriptions by their names.
    known: HashMap<String, String>,
}

impl Page {
    fn operation(&self, field: &FieldDefinition) -> String {
        let mut text = format!("\n### {}\n\n{}\n", field.name.node, sentence(&field.description));
        writeln!(text, "\nAnswers {}.", self.link(&field.ty.node)).unwrap();
        if !field.arguments.is_empty() {
            text.push_str(&self.inputs("argument", &field.arguments));
        }
        text
    }

    fn definition(&self, ty: &TypeDefinition) -> String {
        // A field and a type may have the same name but for its first letter, which no anchor
        // tells apart.
        let name = &ty.name.node;
        let mut text = format!(
            "\n<a id=\"type-{}\"></a>\n\n### {name}\n\n{}\n",
            name.to_lowercase(),
            sentence(&ty.description)
        );
        match &ty.kind {
            TypeKind::Object(object) => {
                text.push_str("\n| field | type | meaning |\n|---|---|---|\n");
                for field in object.fields.iter().map(|field| &field.node) {
                    let mut name = field.name.node.to_string();
                    let arguments = field.arguments.iter().map(|argument| {
                        format!("{}: {}", argument.node.name.node, argument.node.ty.node)
                    });
                    let arguments: Vec<_> = arguments.collect();
                    if !arguments.is_empty() {
                        name = format!("{name}({})", arguments.join(", "));
                    }
                    let meaning = sentence(&field.description);
                    let ty = self.link(&field.ty.node);
                    writeln!(text, "| `{name}` | {ty} | {meaning} |").unwrap();
                }
            }
            TypeKind::InputObject(input) => text.push_str(&self.inputs("field", &input.fields)),
            TypeKind::Enum(values) => {
                text.push_str("\n| value | meaning |\n|---|---|\n");
                for value in values.values.iter().map(|value| &value.node) {
                    let meaning = sentence(&value.description);
                    writeln!(text, "| `{}` | {meaning} |", value.value.node).unwrap();
                }
            }
            TypeKind::Scalar | TypeKind::Interface(_) | TypeKind::Union(_) => {}
        }
        text
    }

    fn inputs(&self, what: &str, inputs: &[Positioned<InputValueDefinition>]) -> String {
        let mut text = format!("\n| {what} | type | default | meaning |\n|---|---|---|---|\n");
        for input in inputs.iter().map(|input| &input.node) {
            let default = input.default_value.as_ref();
            let default = default.map_or(String::new(), |value| format!("`{}`", value.node));
            let mut meaning = sentence(&input.description);
            if meaning.is_empty() {
                let ty = self.known.get(innermost(&input.ty.node));
                meaning = ty.cloned().unwrap_or_default();
            }
            let (name, ty) = (&input.name.node, self.link(&input.ty.node));
            writeln!(text, "| `{name}` | {ty} | {default} | {meaning} |").unwrap();
        }
        text
    }

    fn link(&self, ty: &Type) -> String {
        let name = innermost(ty);
        if self.known.contains_key(name) {
            format!("[`{ty}`](#type-{})", name.to_lowercase())
        } else {
            format!("`{ty}`")
        }
    }
}

fn innermost(ty: &Type) -> &str {
    match &ty.base {
        BaseType::Named(name) => name.as_str(),
        BaseType::List(inner) => innermost(inner),
    }
}

/// A description in one line, as a table needs it.
fn sentence(description: &Option<Positioned<String>>) -> String {
    let text = description.as_ref().map_or("", |text| text.node.as_str());
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}
