//! What a change of a package asks before it is made: what it does, and whom it touches.

use askama::Template;
use axum::response::Response;
use kana_core::catalog::{CatalogVersion, Package};
use kana_core::configuration_plan::{Finding, Severity};
use kana_service::EnvironmentKind;

use crate::address::Address;
use crate::answer::{Asked, html};
use crate::entrance::Editor;
use crate::form::{FieldProblem, Filled, Form};
use crate::frame::{Frame, Place};
use crate::problem::Problem;

/// Where a package is edited, below the environment.
pub(super) const EDIT_PAGE: &str = "/package/edit";

/// A finding as people read it.
struct Said {
    class: &'static str,
    severity: &'static str,
    sentence: String,
}

#[derive(Template)]
#[template(path = "package_confirm.html")]
struct ConfirmPage {
    frame: Frame,
    form: Filled,
    findings: Vec<Said>,
    sentences: Vec<String>,
    hidden: Vec<(String, String)>,
    asks_for_id: bool,
    act: &'static str,
    is_dangerous: bool,
    /// Whether there is a form to go back to, with what was typed.
    can_go_back: bool,
    action: Address,
    cancel: Address,
}

/// A question about a package.
pub(super) struct Question<'a> {
    pub(super) title: String,
    pub(super) package: &'a Package,
    pub(super) findings: &'a [Finding],
    /// What it does, beside the findings.
    pub(super) sentences: Vec<String>,
    /// What its form carries.
    pub(super) hidden: Vec<(String, String)>,
    /// Whether the package's id has to be written.
    pub(super) asks_for_id: bool,
    /// What the button is called.
    pub(super) act: &'static str,
    pub(super) is_dangerous: bool,
    /// Where the form goes, below the environment.
    pub(super) page: &'static str,
}

impl Question<'_> {
    /// Shows the question, with what was wrong with the last answer.
    pub(super) async fn show(
        self,
        asked: &Asked<Editor>,
        form: Filled,
    ) -> Result<Response, Problem> {
        let id = self.package.id.as_str();
        let cancel = asked.address("/package")?.with("id", id);
        let frame = asked.frame(self.title, Place::Packages).await?;
        let status = form.status();
        let page = ConfirmPage {
            frame: frame.under(cancel.clone(), self.package.name.as_str()),
            form,
            findings: self.findings.iter().map(said).collect(),
            sentences: self.sentences,
            hidden: self.hidden,
            asks_for_id: self.asks_for_id,
            act: self.act,
            is_dangerous: self.is_dangerous,
            can_go_back: self.page == EDIT_PAGE,
            action: asked.address(self.page)?.with("id", id),
            cancel,
        };
        html(status, &page)
    }
}

fn said(finding: &Finding) -> Said {
    let (class, severity) = match finding.severity {
        Severity::Information => ("", "Info"),
        Severity::Warning => ("warn", "Warning"),
        // It can be published all the same; what cannot does not get this far.
        Severity::Error if !finding.is_refused => ("bad", "Breaking"),
        Severity::Error => ("bad", "Error"),
    };
    Said { class, severity, sentence: finding.sentence.clone() }
}

/// Returns true in live, where a change that takes something from subscribers is named by its id.
pub(super) fn is_live(asked: &Asked<Editor>) -> Result<bool, Problem> {
    Ok(asked.visit.environment()? == EnvironmentKind::Live)
}

/// Checks that the package's id was written.
pub(super) fn check_id(form: &Form, package: &Package) -> Result<(), FieldProblem> {
    if form.text("confirm").trim() == package.id.as_str() {
        return Ok(());
    }
    let message = format!("Write {} to confirm.", package.id);
    Err(FieldProblem::of("confirm", message))
}

/// The version of the catalog that a form carries. One that cannot be read is no version that ever was.
pub(super) fn version(form: &Form) -> CatalogVersion {
    CatalogVersion(form.text("version").parse().unwrap_or(i64::MIN))
}
