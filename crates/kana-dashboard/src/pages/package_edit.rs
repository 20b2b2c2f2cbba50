//! How a package is created and changed.

use askama::Template;
use axum::response::Response;
use kana_core::Refusal;
use kana_core::catalog::{Catalog, CatalogVersion, Package, PackageStatus};
use kana_core::catalog_command::{NewPackage, PackageEdit};
use kana_core::configuration;
use kana_core::id::PackageId;
use kana_service::{Error, PackageReview};

use super::package::{find, subscribers, subscribers_in_words};
use super::package_confirm::{EDIT_PAGE, Question, check_id, is_live, version};
use super::package_form::{FeatureNames, PackageForm, Row, field_names, label};
use crate::address::Address;
use crate::answer::{Asked, Posted, html, see_other};
use crate::done::Done;
use crate::entrance::Editor;
use crate::form::{Difference, FieldProblem, Filled, Form, capitalised};
use crate::frame::{Frame, Place};
use crate::nonce::{self, NotMade};
use crate::problem::Problem;
use crate::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/dashboard/{environment}/packages/new", form),
        post("/dashboard/{environment}/packages/new", create),
        get("/dashboard/{environment}/package/edit", edit_form),
        post("/dashboard/{environment}/package/edit", edit),
    ]
}

#[derive(Template)]
#[template(path = "package_form.html")]
struct FormPage {
    frame: Frame,
    form: Filled,
    rows: Vec<Row>,
    bases: Vec<Base>,
    /// What stands for each feature in the list of suggestions.
    features: Vec<String>,
    is_new: bool,
    is_published: bool,
    is_addon: bool,
    /// How many subscribers a published package has.
    subscribers: String,
    /// What the button does: its value and its name.
    act: (&'static str, &'static str),
    action: Address,
    cancel: Address,
    duplicate: Address,
}

/// A base package that an add-on may be added to.
struct Base {
    field: String,
    id: String,
    name: String,
}

/// What is wrong with a form that is shown.
#[derive(Default)]
struct Wrong {
    problems: Vec<FieldProblem>,
    /// Somebody else changed the package meanwhile: what differs now.
    conflict: Option<Vec<Difference>>,
}

impl From<Vec<FieldProblem>> for Wrong {
    fn from(problems: Vec<FieldProblem>) -> Self {
        Self { problems, conflict: None }
    }
}

async fn form(asked: Asked<Editor>) -> Result<Response, Problem> {
    let catalog = asked.entrance.environment.catalog().await?;
    show(&asked, &catalog, None, PackageForm::empty(nonce::new()?), Wrong::default()).await
}

async fn show(
    asked: &Asked<Editor>,
    catalog: &Catalog,
    package: Option<&Package>,
    form: PackageForm,
    wrong: Wrong,
) -> Result<Response, Problem> {
    let list = asked.address("/packages")?;
    let is_published = package.is_some_and(|package| package.status != PackageStatus::Draft);
    let with_id = |page: &str| {
        let address = asked.address(page)?;
        Ok::<_, Problem>(match package {
            Some(package) => address.with("id", package.id.as_str()),
            None => address,
        })
    };
    let title = package.map_or_else(
        || "Create a package".to_owned(),
        |package| format!("Edit {}", package.name.as_str()),
    );
    let frame = asked.frame(title, Place::Packages).await?;
    let (cancel, frame) = match package {
        Some(package) => {
            let address = with_id("/package")?;
            (address.clone(), frame.under(address, package.name.as_str()))
        }
        None => (list.clone(), frame.under(list, "Packages")),
    };
    let count = match package {
        Some(package) if is_published => {
            subscribers(&asked.entrance.environment, &package.id).await?
        }
        _ => 0,
    };
    let rows = form.shown_rows(&wrong.problems);
    let filled = Filled::with_problems(form.head, wrong.problems);
    let filled = match wrong.conflict {
        Some(differences) => filled.with_conflict(differences),
        None => filled,
    };
    let status = filled.status();
    let page = FormPage {
        frame,
        rows,
        bases: bases(catalog, package),
        features: FeatureNames::of(catalog).all(),
        is_new: package.is_none(),
        is_published,
        is_addon: package.is_some_and(Package::is_addon),
        subscribers: subscribers_in_words(count),
        act: if is_published { ("review", "Review changes") } else { ("save", "Save as draft") },
        action: with_id(if package.is_some() { "/package/edit" } else { "/packages/new" })?,
        cancel,
        duplicate: with_id("/package/duplicate")?,
        form: filled.labelled(label),
    };
    html(status, &page)
}

/// Returns the base packages to choose from: those that are not archived, and those that are chosen.
fn bases(catalog: &Catalog, package: Option<&Package>) -> Vec<Base> {
    let chosen = package.map(Package::base_packages).unwrap_or_default();
    let others = catalog.packages().filter(|base| {
        let is_open = base.status != PackageStatus::Archived || chosen.contains(&base.id);
        !base.is_addon() && is_open && package.is_none_or(|package| package.id != base.id)
    });
    let is_alone = |base: &Package| {
        catalog.packages().filter(|other| other.name == base.name).nth(1).is_none()
    };
    let shown = others.enumerate().map(|(index, base)| Base {
        field: if index == 0 { "f-base".to_owned() } else { format!("f-base-{index}") },
        id: base.id.as_str().to_owned(),
        name: match is_alone(base) {
            true => base.name.as_str().to_owned(),
            false => format!("{} ({})", base.name.as_str(), base.id),
        },
    });
    shown.collect()
}

async fn create(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = posted;
    let environment = &asked.entrance.environment;
    let catalog = environment.catalog().await?;
    let mut typed = PackageForm::of(&form);
    if typed.change_rows() {
        return show(&asked, &catalog, None, typed, Wrong::default()).await;
    }
    let name = asked.visit.environment()?.name();
    let content = typed.read(&FeatureNames::of(&catalog), name, None);
    let id = PackageId::new("id", form.text("id"))
        .map_err(|invalid| FieldProblem::of_value(&invalid, field_names));
    let package = match (id, content) {
        (Ok(id), Ok(content)) => content.into_new(id),
        (id, content) => {
            let problems = id.err().into_iter().chain(content.err().unwrap_or_default());
            let problems: Vec<FieldProblem> = problems.collect();
            return show(&asked, &catalog, None, typed, problems.into()).await;
        }
    };
    let address = asked.address("/package")?.with("id", package.id.as_str());
    match create_once(&asked, &form, package, address.done(Done::DraftSaved)).await? {
        Ok(address) => Ok(see_other(&address)),
        Err(error) => show(&asked, &catalog, None, typed, problems_of(error)?.into()).await,
    }
}

/// Creates a package, once for a form, and returns where that leads.
pub(super) async fn create_once(
    asked: &Asked<Editor>,
    form: &Form,
    package: NewPackage,
    address: Address,
) -> Result<Result<Address, Error>, Problem> {
    let made = asked.once(form, async || {
        asked.entrance.environment.create_package(package).await.map_err(NotMade::Service)?;
        Ok(address)
    });
    match made.await {
        Ok(address) => Ok(Ok(address)),
        Err(NotMade::Page(problem)) => Err(problem),
        Err(NotMade::Service(error)) => Ok(Err(error)),
    }
}

/// Returns what a rule says is wrong. What is no refusal is passed on.
pub(super) fn problems_of(error: Error) -> Result<Vec<FieldProblem>, Problem> {
    if let Error::Refused(Refusal::Configuration(problems)) = error {
        let problem = |it: &configuration::Problem| FieldProblem::of_form(capitalised(&it.message));
        return Ok(problems.iter().map(problem).collect());
    }
    Ok(Filled::refused(Form::default(), error, field_names)?.problems().to_vec())
}

async fn edit_form(asked: Asked<Editor>) -> Result<Response, Problem> {
    let (version, catalog, package) = find(&asked.entrance.environment, asked.query("id")).await?;
    redirect_if_archived(&asked, &package)?;
    let form = PackageForm::filled_in(&package, &FeatureNames::of(&catalog));
    let form = form.with("version", &version.0.to_string());
    show(&asked, &catalog, Some(&package), form, Wrong::default()).await
}

/// Leads to the package if it is archived, which nobody can edit.
fn redirect_if_archived(asked: &Asked<Editor>, package: &Package) -> Result<(), Problem> {
    if package.status != PackageStatus::Archived {
        return Ok(());
    }
    Err(Problem::Elsewhere(asked.address("/package")?.with("id", package.id.as_str())))
}

/// A form of a package that exists, as it was sent.
struct Sent<'a> {
    asked: &'a Asked<Editor>,
    form: &'a Form,
    at: CatalogVersion,
    catalog: &'a Catalog,
    package: &'a Package,
    typed: PackageForm,
}

async fn edit(posted: Posted<Editor>) -> Result<Response, Problem> {
    let Posted { asked, form } = &posted;
    let (at, catalog, package) = find(&asked.entrance.environment, asked.query("id")).await?;
    if package.status == PackageStatus::Archived {
        // The form was made while it was not.
        return Err(Problem::ChangedMeanwhile);
    }
    let mut typed = PackageForm::of(form);
    if package.status != PackageStatus::Draft && package.is_addon() {
        // The box is fixed, and browsers do not send what is.
        typed = typed.with("addon", "1");
    }
    let has_changed_rows = typed.change_rows();
    let sent = Sent { asked, form, at, catalog: &catalog, package: &package, typed };
    if has_changed_rows || form.has("back") {
        return sent.again(Wrong::default()).await;
    }
    let name = asked.visit.environment()?.name();
    let content = sent.typed.read(&FeatureNames::of(&catalog), name, Some(&package));
    let edit = match content {
        Ok(content) => content.into_edit(&package.name),
        Err(problems) => return sent.again(problems.into()).await,
    };
    match package.status {
        PackageStatus::Published if form.is("act", "publish") => sent.publish(edit).await,
        PackageStatus::Published => sent.review(edit).await,
        // An archived one did not get here.
        PackageStatus::Draft | PackageStatus::Archived => sent.save(edit, Done::DraftSaved).await,
    }
}

impl Sent<'_> {
    /// Shows the form again, filled in.
    async fn again(self, wrong: Wrong) -> Result<Response, Problem> {
        show(self.asked, self.catalog, Some(self.package), self.typed, wrong).await
    }

    /// Shows the form again with what others changed meanwhile. Sent once more, it holds.
    async fn conflict(self) -> Result<Response, Problem> {
        let (version, catalog, package) =
            find(&self.asked.entrance.environment, self.asked.query("id")).await?;
        let now = PackageForm::filled_in(&package, &FeatureNames::of(&catalog));
        let conflict = Some(now.differences(&self.typed));
        let typed = self.typed.with("version", &version.0.to_string());
        let wrong = Wrong { problems: Vec::new(), conflict };
        show(self.asked, &catalog, Some(&package), typed, wrong).await
    }

    async fn save(self, edit: PackageEdit, done: Done) -> Result<Response, Problem> {
        let id = self.package.id.clone();
        let address = self.asked.address("/package")?.with("id", id.as_str());
        let environment = &self.asked.entrance.environment;
        match environment.change_package_at(id, edit, version(self.form)).await {
            Ok(()) => Ok(see_other(&address.done(done))),
            Err(Error::Refused(Refusal::StaleCatalog)) => self.conflict().await,
            Err(error) => self.again(problems_of(error)?.into()).await,
        }
    }

    /// Looks at what a change of a published package would do.
    async fn reviewed(&self, edit: &PackageEdit) -> Result<PackageReview, Error> {
        let environment = &self.asked.entrance.environment;
        environment.review_package(&self.package.id, edit).await
    }

    async fn review(self, edit: PackageEdit) -> Result<Response, Problem> {
        let review = match self.reviewed(&edit).await {
            Ok(review) => review,
            Err(error) => return self.again(problems_of(error)?.into()).await,
        };
        let refused = review.findings.iter().filter(|finding| finding.is_refused);
        let refused: Vec<FieldProblem> =
            refused.map(|finding| FieldProblem::of_form(capitalised(&finding.sentence))).collect();
        if !refused.is_empty() {
            return self.again(refused.into()).await;
        }
        if self.at != version(self.form) {
            return self.conflict().await;
        }
        if !review.is_change {
            let problem = FieldProblem::of_form("Nothing has changed.");
            return self.again(vec![problem].into()).await;
        }
        self.ask(&review, Filled::default()).await
    }

    async fn ask(self, review: &PackageReview, form: Filled) -> Result<Response, Problem> {
        let whom = subscribers_in_words(review.active_subscribers);
        let question = Question {
            title: format!("Change {}?", self.package.name.as_str()),
            package: self.package,
            findings: &review.findings,
            sentences: vec![format!(
                "The package has {whom}. Every change holds for them at once."
            )],
            hidden: self
                .typed
                .hidden()
                .into_iter()
                .chain([("act".to_owned(), "publish".to_owned())])
                .collect(),
            asks_for_id: review.takes_from_subscribers && is_live(self.asked)?,
            act: "Publish changes",
            is_dangerous: review.takes_from_subscribers,
            page: EDIT_PAGE,
        };
        question.show(self.asked, form).await
    }

    async fn publish(self, edit: PackageEdit) -> Result<Response, Problem> {
        let review = match self.reviewed(&edit).await {
            Ok(review) => review,
            Err(error) => return self.again(problems_of(error)?.into()).await,
        };
        if review.takes_from_subscribers
            && is_live(self.asked)?
            && let Err(problem) = check_id(self.form, self.package)
        {
            let form = Filled::with_problems(self.form.clone(), vec![problem]);
            return self.ask(&review, form).await;
        }
        self.save(edit, Done::ChangesPublished).await
    }
}
