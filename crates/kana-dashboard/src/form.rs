//! Forms: what was sent, and what is wrong with it.

use std::borrow::Cow;

use axum::http::StatusCode;
use kana_core::Refusal;
use kana_core::edit::Edit;
use kana_core::refusal::{InvalidValue, SubscribeRefusal};
use kana_service::Error;
use percent_encoding::percent_decode;

use crate::problem::Problem;

/// What browsers make of a form without a file.
pub(crate) const MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// The most bytes of a form.
pub(crate) const BYTES_MAX: usize = 1024 * 1024;
/// The most fields of a form.
const FIELDS_MAX: usize = 10_000;

/// The fields of a form or a query, in the order in which they were sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// Reads a form or a query. Fails if it is not UTF-8 or has too many fields.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Problem> {
        // Valid as a whole if each piece is: what separates them is ASCII.
        if percent_decode(bytes).decode_utf8().is_err() {
            let sentence = "What it says is not UTF-8.".to_owned();
            return Err(Problem::Unreadable(StatusCode::BAD_REQUEST, sentence));
        }
        let fields: Vec<_> =
            form_urlencoded::parse(bytes).into_owned().take(FIELDS_MAX + 1).collect();
        if fields.len() > FIELDS_MAX {
            return Err(Problem::Unreadable(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("A form has at most {FIELDS_MAX} fields."),
            ));
        }
        Ok(Self(fields))
    }

    /// Creates a form that is filled in with these fields.
    pub(crate) fn with<'a>(fields: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        Self(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// Iterates over the fields, in the order in which they were sent.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns what was written into a field; empty if it was not sent.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns every value of a field, as of check boxes.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// Returns the form with what is stored as the values that it began with, so that sent again it
    /// replaces them.
    pub(crate) fn begun_with(&self, stored: &Self, fields: &[EditedField]) -> Self {
        let others = self.0.iter().filter(|(name, _)| fields.iter().all(|field| field.was != name));
        let begun = fields.iter().map(|field| (field.was, stored.text(field.name)));
        let begun = begun.map(|(was, value)| (was.to_owned(), value.to_owned()));
        Self(others.cloned().chain(begun).collect())
    }

    /// Returns true if the field was sent with this value.
    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.all(name).any(|sent| sent == value)
    }

    /// Returns true if the field was sent, as a check box that is ticked.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }
}

/// A form as a page shows it: what stands in its fields, and what is wrong with them.
#[derive(Debug, Default)]
pub(crate) struct Filled {
    form: Form,
    problems: Vec<FieldProblem>,
    conflict: Option<Vec<Difference>>,
    labels: Option<FieldLabels>,
}

/// What people call a field, by its name; `None` where the form has no such field.
pub(crate) type FieldLabels = fn(&str) -> Option<Cow<'static, str>>;

/// A value that two people changed at the same time: its name, what is stored, and what was typed.
pub(crate) type Difference = [String; 3];

/// A field of a form about something that exists.
pub(crate) struct EditedField {
    pub(crate) name: &'static str,
    /// The hidden field with the value that the form began with.
    pub(crate) was: &'static str,
    /// What people call it.
    pub(crate) label: &'static str,
}

impl EditedField {
    /// Returns whether somebody changed the value in the form.
    pub(crate) fn is_edited(&self, form: &Form) -> bool {
        form.text(self.name) != form.text(self.was)
    }

    /// Returns the change that the form asks for: none where the value is the one that it began with, so
    /// that what somebody else changed meanwhile stays.
    pub(crate) fn edit<T>(&self, form: &Form, value: Option<T>) -> Edit<T> {
        if self.is_edited(form) { Edit::to(value) } else { Edit::Keep }
    }
}

/// Returns what people call a field.
pub(crate) fn label_of(fields: &[EditedField], name: &str) -> Option<Cow<'static, str>> {
    fields.iter().find(|field| field.name == name).map(|field| field.label.into())
}

/// Returns the fields that were changed in a form and, to something else, in what is stored.
pub(crate) fn differences(form: &Form, stored: &Form, fields: &[EditedField]) -> Vec<Difference> {
    let changed = fields.iter().filter(|field| {
        let (typed, now) = (form.text(field.name), stored.text(field.name));
        field.is_edited(form) && now != form.text(field.was) && now != typed
    });
    let both = changed.map(|field| {
        [
            field.label.to_owned(),
            stored.text(field.name).to_owned(),
            form.text(field.name).to_owned(),
        ]
    });
    both.collect()
}

/// What is wrong with a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldProblem {
    /// The name of the field; `None` for what concerns the form as a whole.
    pub(crate) field: Option<String>,
    /// A sentence.
    pub(crate) message: String,
    /// Whether the sentence needs the field's name to be understood away from the field.
    pub(crate) is_about_field: bool,
}

impl FieldProblem {
    pub(crate) fn of(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), message: message.into(), is_about_field: true }
    }

    /// A problem of the form as a whole.
    pub(crate) fn of_form(message: impl Into<String>) -> Self {
        Self { field: None, message: message.into(), is_about_field: false }
    }

    /// Returns the problem of a value. `field` translates the API's name of the field.
    pub(crate) fn of_value(invalid: &InvalidValue, field: FieldNames) -> Self {
        match field(invalid.field) {
            Some(name) => Self::of(name, capitalised(&invalid.problem)),
            None => Self::of_form(invalid.to_string()),
        }
    }
}

/// Translates the API's name of a field to the form's; `None` where the form has no such field.
pub(crate) type FieldNames = fn(&str) -> Option<&'static str>;

impl Filled {
    /// A form as it was sent, with what is wrong with it.
    pub(crate) fn with_problems(form: Form, problems: Vec<FieldProblem>) -> Self {
        Self { form, problems, conflict: None, labels: None }
    }

    /// A form about something that somebody else changed meanwhile.
    pub(crate) fn with_conflict(self, differences: Vec<Difference>) -> Self {
        Self { conflict: Some(differences), ..self }
    }

    /// Says what people call the fields, so that the list of what is wrong names them.
    pub(crate) fn labelled(self, labels: FieldLabels) -> Self {
        Self { labels: Some(labels), ..self }
    }

    /// A form that was refused by a rule. What is no refusal is passed on.
    pub(crate) fn refused(form: Form, error: Error, field: FieldNames) -> Result<Self, Problem> {
        let Error::Refused(refusal) = error else { return Err(error.into()) };
        Ok(Self::with_problems(form, vec![of_refusal(&refusal, field)]))
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.form.text(name)
    }

    pub(crate) fn is(&self, name: &str, value: &str) -> bool {
        self.form.is(name, value)
    }

    pub(crate) fn problems(&self) -> &[FieldProblem] {
        &self.problems
    }

    /// Returns what is wrong with a field; empty if nothing is.
    pub(crate) fn problem(&self, name: &str) -> &str {
        let problem = self.problems.iter().find(|problem| problem.field.as_deref() == Some(name));
        problem.map_or("", |problem| &problem.message)
    }

    /// Returns what people call the field of a problem, if the list of what is wrong should name it.
    pub(crate) fn label(&self, problem: &FieldProblem) -> Option<Cow<'static, str>> {
        let field = problem.field.as_deref().filter(|_| problem.is_about_field)?;
        self.labels.and_then(|labels| labels(field))
    }

    /// Returns what differs if somebody else changed the same thing meanwhile.
    pub(crate) fn conflict(&self) -> Option<&[Difference]> {
        self.conflict.as_deref()
    }

    /// Returns the status of a page with this form.
    pub(crate) fn status(&self) -> StatusCode {
        match (&self.conflict, self.problems.is_empty()) {
            (Some(_), _) => StatusCode::CONFLICT,
            (None, false) => StatusCode::UNPROCESSABLE_ENTITY,
            (None, true) => StatusCode::OK,
        }
    }
}

impl From<Form> for Filled {
    fn from(form: Form) -> Self {
        Self::with_problems(form, Vec::new())
    }
}

fn of_refusal(refusal: &Refusal, field: FieldNames) -> FieldProblem {
    let of = |name: &str| FieldProblem {
        field: field(name).map(str::to_owned),
        ..FieldProblem::of_form(refusal.to_string())
    };
    match refusal {
        Refusal::Invalid(invalid) => FieldProblem::of_value(invalid, field),
        Refusal::FeatureIdTaken(_) | Refusal::PackageIdTaken(_) | Refusal::UserIdTaken(_) => {
            of("id")
        }
        Refusal::FeatureNotFound(_) => of("feature"),
        Refusal::PackageNotFound(_)
        | Refusal::SubscribePackageNotFound(_)
        | Refusal::Subscribe(SubscribeRefusal::NotPublished { .. }) => of("package"),
        other => FieldProblem::of_form(other.to_string()),
    }
}

/// Makes a sentence of the rest of one: `must not be empty` becomes `Must not be empty.`
pub(crate) fn capitalised(rest: &str) -> String {
    let mut chars = rest.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", chars.as_str().trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_is_read_in_its_order_and_has_a_bound() {
        let form = Form::read(b"name=a+b%26&base=1&base=2&empty=").unwrap();
        assert_eq!(form.text("name"), "a b&");
        assert_eq!(form.all("base").collect::<Vec<_>>(), ["1", "2"]);
        assert!(form.has("empty") && !form.has("absent"));
        assert!(form.is("base", "2") && !form.is("base", "3"));
        assert!(Form::read("a=1&".repeat(FIELDS_MAX).as_bytes()).is_ok());
        assert!(Form::read("a=1&".repeat(FIELDS_MAX + 1).as_bytes()).is_err());
        assert_eq!(Form::read(b"a=%C3%A9%EF%BF%BD").unwrap().text("a"), "é\u{fffd}");
        assert!(Form::read(b"a=%C3&b=%A9").is_err());
        assert!(Form::read(b"a=\xff").is_err());
    }

    #[test]
    fn fields_differ_that_two_people_changed_to_different_values() {
        let fields = [EditedField { name: "name", was: "was-name", label: "Name" }];
        for (was, typed, stored, differ) in [
            ("a", "a", "b", false),
            ("a", "b", "a", false),
            ("a", "b", "b", false),
            ("a", "b", "c", true),
        ] {
            let form = Form::with([("name", typed.to_owned()), ("was-name", was.to_owned())]);
            let stored = Form::with([("name", stored.to_owned())]);
            assert_eq!(!differences(&form, &stored, &fields).is_empty(), differ);
        }
    }

    #[test]
    fn the_problem_of_a_field_is_a_sentence_and_of_another_names_it() {
        let invalid = InvalidValue::new("metadata", "must be a JSON object");
        let here = FieldProblem::of_value(&invalid, |_| Some("metadata"));
        assert_eq!(here, FieldProblem::of("metadata", "Must be a JSON object."));
        let elsewhere = FieldProblem::of_value(&invalid, |_| None);
        assert_eq!(elsewhere.message, "metadata must be a JSON object");
    }
}
