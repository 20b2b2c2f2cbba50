//! Creating a user, and changing what is known of one.

use askama::Template;
use axum::response::Response;
use kana_core::id::UserId;
use kana_core::metadata::{Label, Metadata};
use kana_core::user::{User, UserEdit};
use kana_service::Error;

use super::metadata;
use super::users::text;
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{self, EditedField, FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::nonce::{self, NotMade};
use crate::problem::Problem;
use crate::route::{Route, get, post};

/// The fields that can be changed.
const FIELDS: [EditedField; 5] = [
    EditedField { name: "id", was: "was-id", label: "Id" },
    EditedField { name: "name", was: "was-name", label: "Name" },
    EditedField { name: "email", was: "was-email", label: "E-mail" },
    EditedField { name: "billing_id", was: "was-billing_id", label: "Billing id" },
    EditedField { name: "metadata", was: "was-metadata", label: "Metadata" },
];

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/users/new", new),
        post("/dashboard/{environment}/users/new", create),
        get("/dashboard/{environment}/user/edit", edit),
        post("/dashboard/{environment}/user/edit", save),
    ]
}

#[derive(Template)]
#[template(path = "user_form.html")]
struct UserFormPage {
    frame: Frame,
    form: Filled,
    /// The hidden fields: names and values.
    hidden: Vec<(&'static str, String)>,
    act: &'static str,
    id_help: String,
    action: Address,
    cancel: Address,
}

async fn new(asked: Asked<Editor>) -> Result<Response, Problem> {
    show_new(&asked, Filled::default()).await
}

async fn show_new(asked: &Asked<Editor>, form: Filled) -> Result<Response, Problem> {
    let list = asked.address("/users")?;
    let frame = asked.frame("Create a user", Place::Users).await?;
    let status = form.status();
    let page = UserFormPage {
        frame: frame.under(list.clone(), "Users"),
        form: form.labelled(|field| form::label_of(&FIELDS, field)),
        hidden: vec![("nonce", nonce::new()?)],
        act: "Create user",
        id_help: "Your product’s own id of the user.".to_owned(),
        action: asked.address("/users/new")?,
        cancel: list,
    };
    html(status, &page)
}

async fn create(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let user = match Fields::read(&form) {
        Ok(fields) => fields.user(),
        Err(problems) => return show_new(&asked, Filled::with_problems(form, problems)).await,
    };
    let address = asked.address("/user")?.with("id", user.id.as_str());
    let environment = &asked.entrance.environment;
    let made = asked.once(&form, async || {
        environment.create_user(user).await.map_err(NotMade::Service)?;
        Ok(address.done(Done::UserCreated))
    });
    match made.await {
        Ok(address) => Ok(see_other(&address)),
        Err(NotMade::Page(problem)) => Err(problem),
        Err(NotMade::Service(error)) => {
            show_new(&asked, Filled::refused(form, error, field_names)?).await
        }
    }
}

async fn edit(asked: Asked<Editor>) -> Result<Response, Problem> {
    let id = read_id(asked.query("id"))?;
    let user = asked.entrance.environment.user(&id).await?;
    show_edit(&asked, &id, filled_in(&user).into()).await
}

/// Fills the form in with the user as it is.
fn filled_in(user: &User) -> Form {
    let values = [
        user.id.as_str().to_owned(),
        text(user.name.as_ref()),
        text(user.email.as_ref()),
        text(user.billing_id.as_ref()),
        metadata::written(user.metadata.as_ref()),
    ];
    let fields = FIELDS.iter().zip(values);
    Form::with(fields.flat_map(|(field, value)| [(field.name, value.clone()), (field.was, value)]))
}

async fn show_edit(asked: &Asked<Editor>, id: &UserId, form: Filled) -> Result<Response, Problem> {
    let user = asked.address("/user")?.with("id", id.as_str());
    let frame = asked.frame(format!("Edit {id}"), Place::Users).await?;
    let status = form.status();
    let page = UserFormPage {
        frame: frame.under(user.clone(), id.as_str()),
        hidden: FIELDS.iter().map(|field| (field.was, form.text(field.was).to_owned())).collect(),
        form: form.labelled(|field| form::label_of(&FIELDS, field)),
        act: "Save",
        id_help: "With a new id, subscriptions and usage stay with the user.".to_owned(),
        action: asked.address("/user/edit")?.with("id", id.as_str()),
        cancel: user,
    };
    html(status, &page)
}

async fn save(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let id = read_id(asked.query("id"))?;
    let stored = match asked.entrance.environment.user(&id).await {
        Ok(user) => filled_in(&user),
        Err(error) => return renamed_before(&asked, &form, error).await,
    };
    let differences = form::differences(&form, &stored, &FIELDS);
    if !differences.is_empty() {
        let filled = Filled::from(form.begun_with(&stored, &FIELDS)).with_conflict(differences);
        return show_edit(&asked, &id, filled).await;
    }
    let filled = match Fields::read(&form) {
        Err(problems) => Filled::with_problems(form, problems),
        Ok(fields) => {
            let edit = fields.edit(&form);
            match asked.entrance.environment.update_user(id.clone(), edit).await {
                Ok(user) => {
                    let address = asked.address("/user")?.with("id", user.id.as_str());
                    return Ok(see_other(&address.done(Done::UserSaved)));
                }
                Err(error) => Filled::refused(form, error, field_names)?,
            }
        }
    };
    show_edit(&asked, &id, filled).await
}

/// Answers a form about a user who is not there: by its second click, if its first one gave the user the
/// new id and everything else that it says.
async fn renamed_before(
    asked: &Asked<Editor>,
    form: &Form,
    not_found: Error,
) -> Result<Response, Problem> {
    let id = UserId::new("id", form.text("id")).map_err(|_| Problem::NotFound)?;
    if !FIELDS[0].is_edited(form) || !matches!(not_found, Error::Refused(_)) {
        return Err(not_found.into());
    }
    let user = asked.entrance.environment.user(&id).await?;
    let stored = filled_in(&user);
    if FIELDS.iter().any(|field| form.text(field.name) != stored.text(field.name)) {
        return Err(not_found.into());
    }
    let address = asked.address("/user")?.with("id", user.id.as_str());
    Ok(see_other(&address.done(Done::UserSaved)))
}

/// Reads the id in an address. What cannot be an id is not found.
pub(super) fn read_id(text: &str) -> Result<UserId, Problem> {
    UserId::new("id", text).map_err(|_| Problem::NotFound)
}

/// What the form says of a user.
struct Fields {
    id: UserId,
    name: Option<Label>,
    email: Option<Label>,
    billing_id: Option<Label>,
    metadata: Option<Metadata>,
}

impl Fields {
    fn read(form: &Form) -> Result<Self, Vec<FieldProblem>> {
        let id = UserId::new("id", form.text("id"))
            .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
        let (name, email) = (label(form, "name"), label(form, "email"));
        let (billing_id, metadata) =
            (label(form, "billing_id"), metadata::read(form.text("metadata")));
        match (id, name, email, billing_id, metadata) {
            (Ok(id), Ok(name), Ok(email), Ok(billing_id), Ok(metadata)) => {
                Ok(Self { id, name, email, billing_id, metadata })
            }
            (id, name, email, billing_id, metadata) => {
                Err([id.err(), name.err(), email.err(), billing_id.err(), metadata.err()]
                    .into_iter()
                    .flatten()
                    .collect())
            }
        }
    }

    /// A new user.
    fn user(self) -> User {
        let Self { id, name, email, billing_id, metadata } = self;
        User { name, email, billing_id, metadata, ..User::named(id) }
    }

    /// Changes what was changed in the form, so that what somebody else changed meanwhile stays.
    fn edit(self, form: &Form) -> UserEdit {
        let [id, name, email, billing_id, metadata] = FIELDS;
        UserEdit {
            id: id.is_edited(form).then_some(self.id),
            name: name.edit(form, self.name),
            email: email.edit(form, self.email),
            billing_id: billing_id.edit(form, self.billing_id),
            metadata: metadata.edit(form, self.metadata),
        }
    }
}

/// Reads a text that may be absent.
fn label(form: &Form, field: &'static str) -> Result<Option<Label>, FieldProblem> {
    match form.text(field) {
        "" => Ok(None),
        text => Label::new(field, text)
            .map(Some)
            .map_err(|invalid| FieldProblem::of_value(&invalid, field_names)),
    }
}

/// Translates the API's names of a user's fields to the form's.
fn field_names(field: &str) -> Option<&'static str> {
    Some(match field {
        "id" => "id",
        "name" => "name",
        "email" => "email",
        "billing_id" | "billingId" => "billing_id",
        "metadata" => "metadata",
        _ => return None,
    })
}
