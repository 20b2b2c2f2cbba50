//! Parses YAML into values with line and column. Refuses what a configuration has no use for: several
//! documents, keys that are not text, custom tags.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use kana_core::configuration::{Place, Step, quoted};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Value};

use super::scalars::{is_tag_of, scalar, unknown_tag};

/// The maximum number of values, including those that aliases repeat.
const VALUES_MAX: usize = 1_000_000;
/// The maximum size of all text in MiB, including text that aliases repeat: twice the size of a file.
const TEXT_MIB_MAX: usize = 16;
/// The maximum nesting of lists and objects.
const DEPTH_MAX: usize = 64;

/// A place in a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// From 1.
    pub(super) line: usize,
    /// In characters, from 1.
    pub(super) column: usize,
}

/// Why a text cannot be read as YAML.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable {
    pub(super) position: Position,
    pub(super) problem: String,
}

/// A value with its place.
#[derive(Debug)]
pub(super) struct Node {
    /// The start of the value.
    pub(super) position: Position,
    /// The range of characters, from 0. The end of a block can be after the block.
    pub(super) characters: std::ops::Range<usize>,
    /// Whether it was written there, and not repeated by an alias.
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Scalar(Value, ScalarStyle),
    List(Vec<Rc<Node>>),
    Object(Vec<(String, Position, Rc<Node>)>),
    Alias(Rc<Node>),
}

/// A list or object that is not complete yet.
struct Open {
    position: Position,
    start: usize,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Rc<Node>>),
    Object {
        entries: Vec<(String, Position, Rc<Node>)>,
        keys: HashSet<String>,
        key: Option<(String, Position)>,
    },
}

fn at(span: Span) -> Position {
    Position { line: span.start.line(), column: span.start.col() + 1 }
}

/// Parses a text of one document. Returns `None` if it is empty.
pub(super) fn read(text: &str) -> Result<Option<Node>, Unreadable> {
    let mut builder = Builder::default();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let position = Position { line: marker.line(), column: marker.col() + 1 };
            let problem = format!("{}; {}", error.info(), what_stands_at(text, position));
            Unreadable { position, problem }
        })?;
        builder.take(event, span)?;
    }
    let Builder { root, anchors, .. } = builder;
    drop(anchors);
    Ok(root.and_then(Rc::into_inner))
}

/// Describes what a parser found at `position`, as the end of a message.
fn what_stands_at(text: &str, position: Position) -> String {
    let line = text.lines().nth(position.line.saturating_sub(1)).unwrap_or_default();
    let rest: String = line.chars().skip(position.column.saturating_sub(1)).collect();
    if !rest.trim().is_empty() {
        return format!("at {}", quoted(rest.trim()));
    }
    let is_last = text.lines().skip(position.line).all(|line| line.trim().is_empty());
    let what = if is_last { "the file" } else { "the line" };
    format!("{what} ends here")
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Rc<Node>>,
    values: usize,
    documents: usize,
    root: Option<Rc<Node>>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Unreadable> {
        let position = at(span);
        let wrong = |problem: &str| Err(Unreadable { position, problem: problem.to_owned() });
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return wrong("a second document begins here: a file must have one");
                }
                Ok(())
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let kind = Kind::Alias(Rc::clone(node));
                    self.put(position, span.start.index()..span.end.index(), 0, kind)
                }
                None => wrong("an alias cannot stand within what it repeats"),
            },
            Event::Scalar(text, style, anchor, tag) => {
                let value = scalar(&text, style, tag.as_deref())
                    .map_err(|problem| Unreadable { position, problem })?;
                let kind = Kind::Scalar(value, style);
                self.put(position, span.start.index()..span.end.index(), anchor, kind)
            }
            Event::SequenceStart(anchor, tag) => {
                if let Some(tag) = tag.filter(|tag| !is_tag_of(Some(tag), "seq")) {
                    return wrong(&unknown_tag(&tag));
                }
                self.enter(position, span, anchor, Content::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                if let Some(tag) = tag.filter(|tag| !is_tag_of(Some(tag), "map")) {
                    return wrong(&unknown_tag(&tag));
                }
                let content =
                    Content::Object { entries: Vec::new(), keys: HashSet::new(), key: None };
                self.enter(position, span, anchor, content)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let kind = match open.content {
                    Content::List(items) => Kind::List(items),
                    Content::Object { entries, .. } => Kind::Object(entries),
                };
                self.put(open.position, open.start..span.end.index(), open.anchor, kind)
            }
        }
    }

    fn enter(
        &mut self,
        position: Position,
        span: Span,
        anchor: usize,
        content: Content,
    ) -> Result<(), Unreadable> {
        if self.open.len() >= DEPTH_MAX {
            let problem = format!("stands within more than {DEPTH_MAX} lists and objects");
            return Err(Unreadable { position, problem });
        }
        self.open.push(Open { position, start: span.start.index(), anchor, content });
        Ok(())
    }

    fn put(
        &mut self,
        position: Position,
        characters: std::ops::Range<usize>,
        anchor: usize,
        kind: Kind,
    ) -> Result<(), Unreadable> {
        let wrong = |problem: String| Err(Unreadable { position, problem });
        self.values += 1;
        if self.values > VALUES_MAX {
            return wrong(format!("there are more than {VALUES_MAX} values"));
        }
        let node = Rc::new(Node { position, characters, kind });
        if anchor > 0 {
            self.anchors.insert(anchor, Rc::clone(&node));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Object { entries, keys, key }) => match key.take() {
                Some((key, position)) => entries.push((key, position, node)),
                None => {
                    let text = match &node.kind {
                        Kind::Scalar(Value::String(text), _) => text.clone(),
                        Kind::Scalar(other, _) => other.to_string(),
                        Kind::List(_) => return wrong("is a list where a key belongs".to_owned()),
                        Kind::Object(_) => {
                            return wrong("is an object where a key belongs".to_owned());
                        }
                        Kind::Alias(_) => {
                            return wrong("is an alias where a key belongs".to_owned());
                        }
                    };
                    if !keys.insert(text.clone()) {
                        return wrong(format!("the key {} is here twice", quoted(&text)));
                    }
                    *key = Some((text, position));
                }
            },
        }
        Ok(())
    }
}

/// The size of a document so far.
#[derive(Default)]
struct Size {
    values: usize,
    /// In bytes.
    text: usize,
}

impl Size {
    fn too_much(&self) -> Option<String> {
        if self.values > VALUES_MAX {
            return Some(format!("{VALUES_MAX} values"));
        }
        (self.text > TEXT_MIB_MAX << 20).then(|| format!("{TEXT_MIB_MAX} MiB of text"))
    }
}

impl Node {
    /// Converts the value to JSON, with aliases repeated. Fails if that is too large.
    pub(super) fn to_value(&self) -> Result<Value, Unreadable> {
        self.convert(&mut Size::default())
    }

    fn convert(&self, size: &mut Size) -> Result<Value, Unreadable> {
        size.values += 1;
        if let Kind::Scalar(Value::String(text), _) = &self.kind {
            size.text += text.len();
        }
        if let Some(too_much) = size.too_much() {
            let problem = format!("aliases repeat more than {too_much}");
            return Err(Unreadable { position: self.position, problem });
        }
        Ok(match &self.kind {
            Kind::Scalar(value, _) => value.clone(),
            Kind::Alias(node) => node.convert(size)?,
            Kind::List(items) => {
                let items = items.iter().map(|item| item.convert(size));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            Kind::Object(entries) => {
                let mut object = Map::new();
                for (key, _, value) in entries {
                    size.text += key.len();
                    object.insert(key.clone(), value.convert(size)?);
                }
                Value::Object(object)
            }
        })
    }

    /// Returns the position of a place, or of the nearest value around it if it does not exist. The
    /// position of an unknown key is the key, not its value.
    pub(super) fn find(&self, place: &Place) -> Position {
        self.find_steps(place.steps())
    }

    /// Like [`find`](Self::find), by steps.
    pub(super) fn find_steps(&self, steps: &[Step]) -> Position {
        let mut node = self;
        let mut position = self.position;
        for step in steps {
            while let Kind::Alias(repeated) = &node.kind {
                node = repeated;
            }
            let next = match (step, &node.kind) {
                (Step::Item(index), Kind::List(items)) => {
                    items.get(*index).map(|item| (item.position, item))
                }
                (Step::Key(key), Kind::Object(entries)) => {
                    let entry = entries.iter().find(|(known, _, _)| known == key);
                    entry.map(|(_, position, value)| (*position, value))
                }
                _ => None,
            };
            let Some((found, next)) = next else { break };
            (position, node) = (found, next);
        }
        position
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        read(text).unwrap().unwrap().to_value().unwrap()
    }

    fn unreadable(text: &str) -> (usize, usize, String) {
        let error = match read(text) {
            Err(error) => error,
            Ok(node) => node.unwrap().to_value().unwrap_err(),
        };
        (error.position.line, error.position.column, error.problem)
    }

    #[test]
    fn scalars_are_what_the_core_schema_says() {
        let text = "[a, 1, -2, +3, 007, 0x10, 0o10, 1.5, 1e3, .5, true, False, ~, null, , '1', \
                    \"t\\u00e9\", 1.0.0, yes, 1_000, 2024-01-01, -, 0x, 12:30, !!str 5, +, 1-2]";
        let text = text.replace("null, ,", "null,").replace(" -,", " '-',");
        assert_eq!(
            value(&text),
            json!([
                "a",
                1,
                -2,
                3,
                7,
                16,
                8,
                1.5,
                1000.0,
                0.5,
                true,
                false,
                null,
                null,
                "1",
                "té",
                "1.0.0",
                "yes",
                "1_000",
                "2024-01-01",
                "-",
                "0x",
                "12:30",
                "5",
                "+",
                "1-2"
            ])
        );
    }

    #[test]
    fn lists_objects_and_aliases_are_read_in_their_order() {
        let text = "b: &x\n  - 1\n  - {c: 2}\na: *x\n";
        assert_eq!(value(text).to_string(), r#"{"b":[1,{"c":2}],"a":[1,{"c":2}]}"#);
        assert!(read("").unwrap().is_none());
        assert!(read("# nothing\n").unwrap().is_none());
        assert_eq!(value("\u{feff}a: 1"), json!({ "a": 1 }));
        assert_eq!(value("a: 1\r\nb:\r\n- 2\r\n"), json!({ "a": 1, "b": [2] }));
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        let (line, _, _) = unreadable("a: 1\nb: [1, 2\nc: 3\n");
        assert!(line >= 2);
        for (text, line, column, problem) in [
            ("a: 1\nb: 2\na: 3\n", 3, 1, "the key \"a\" is here twice"),
            ("a: 1\n---\nb: 2\n", 2, 1, "a second document begins here: a file must have one"),
            ("a: !mine 1\n", 1, 4, "has the tag \"!mine\", which means nothing here"),
            ("a: !!set {b}\n", 1, 4, "has the tag \"!!set\", which means nothing here"),
            ("a: !!map [1]\n", 1, 4, "has the tag \"!!map\", which means nothing here"),
            ("a: !!int '1'\n", 1, 4, "has the tag \"!!int\", which means nothing here"),
            ("[1]: 2\n", 1, 1, "is a list where a key belongs"),
            ("{a: 1}: 2\n", 1, 1, "is an object where a key belongs"),
            ("a: &x [*x]\n", 1, 8, "an alias cannot stand within what it repeats"),
        ] {
            assert_eq!(unreadable(text), (line, column, problem.to_owned()), "{text}");
        }
        for (text, stands) in [
            ("a: *nope\n", "at \"*nope\""),
            ("a: 'x\n", "at \"'x\""),
            ("a: b: c\n", "at \": c\""),
            ("a: [1\n", "the file ends here"),
            ("{", "the file ends here"),
            ("%YAML 9\n---\n", "; "),
        ] {
            let (_, _, problem) = unreadable(text);
            assert!(problem.contains(stands), "{text}: {problem}");
        }
    }

    #[test]
    fn aliases_that_expand_without_end_are_refused() {
        let mut laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for n in 1..20 {
            let items = vec![format!("*a{}", n - 1); 10].join(", ");
            laughs.push_str(&format!("a{n}: &a{n} [{items}]\n"));
        }
        let (_, _, problem) = unreadable(&laughs);
        assert_eq!(problem, "aliases repeat more than 1000000 values");
    }

    #[test]
    fn aliases_that_repeat_a_long_text_again_and_again_are_refused() {
        for (long, short) in [
            ("x".repeat(1 << 20), "*s".to_owned()),
            ("x".to_owned(), format!("{{{}: *s}}", "k".repeat(1 << 20))),
        ] {
            let repeated = format!("- &o {short}\n").replace("&o *s", "*s");
            let again = if short == "*s" { "*s" } else { "*o" };
            let text = format!("- &s {long}\n{repeated}{}", format!("- {again}\n").repeat(20));
            let (_, _, problem) = unreadable(&text);
            assert_eq!(problem, "aliases repeat more than 16 MiB of text");
        }
    }

    #[test]
    fn what_is_too_deep_or_too_much_is_refused() {
        for text in [
            "[".repeat(100_000),
            "- ".repeat(100_000),
            "{a: ".repeat(100_000),
            "? ".repeat(100_000),
        ] {
            assert!(read(&text).is_err());
        }
        let (_, _, problem) = unreadable(&"- 1\n".repeat(VALUES_MAX + 1));
        assert_eq!(problem, "there are more than 1000000 values");
    }

    #[test]
    fn places_are_found_or_what_they_would_stand_in() {
        let node =
            read("features:\n  - id: a\n    name: 1\npackages: *p\n".replace("*p", "{}").as_str())
                .unwrap()
                .unwrap();
        let find = |steps: &[Step]| {
            let Position { line, column } = node.find_steps(steps);
            (line, column)
        };
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(find(&[]), (1, 1));
        assert_eq!(find(&[key("features"), Step::Item(0)]), (2, 5));
        assert_eq!(find(&[key("features"), Step::Item(0), key("name")]), (3, 5));
        assert_eq!(find(&[key("features"), Step::Item(0), key("type")]), (2, 5));
        assert_eq!(find(&[key("features"), Step::Item(7), key("type")]), (1, 1));
        assert_eq!(find(&[key("packages"), key("draft")]), (4, 1));
    }
}
