//! What every page has around its content: title, bar, environment, and what was done.

use kana_service::{EnvironmentKind, Role};

use crate::address::Address;
use crate::assets::{ICON, SCRIPT, STYLE};
use crate::done::Done;
use crate::forgery;
use crate::problem::Problem;
use crate::visit::Visit;

/// An entry of the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Overview,
    Packages,
    Features,
    Users,
    Integrations,
    AuditLog,
    Documentation,
    Developers,
    Settings,
    Account,
}

impl Place {
    const MAIN: [Self; 6] = [
        Self::Overview,
        Self::Packages,
        Self::Features,
        Self::Users,
        Self::Integrations,
        Self::AuditLog,
    ];
    const TOOLS: [Self; 3] = [Self::Documentation, Self::Developers, Self::Settings];

    fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Packages => "Packages",
            Self::Features => "Features",
            Self::Users => "Users",
            Self::Integrations => "Integrations",
            Self::AuditLog => "Audit log",
            Self::Documentation => "Documentation",
            Self::Developers => "Developers",
            Self::Settings => "Settings",
            Self::Account => "Account",
        }
    }

    /// Returns its path within an environment; `None` outside the environments.
    fn page(self) -> Option<&'static str> {
        Some(match self {
            Self::Overview => "",
            Self::Packages => "/packages",
            Self::Features => "/features",
            Self::Users => "/users",
            Self::Integrations => "/integrations",
            Self::AuditLog => "/audit",
            Self::Documentation => "/documentation",
            Self::Developers => "/developers",
            Self::Settings | Self::Account => return None,
        })
    }

    fn address(self, environment: EnvironmentKind) -> Address {
        match self {
            Self::Settings => Address::outside("/settings"),
            Self::Account => Address::outside("/account"),
            place => Address::of(environment, place.page().unwrap_or_default()),
        }
    }
}

/// A link of the bar.
pub(crate) struct NavLink {
    pub(crate) name: &'static str,
    pub(crate) address: Address,
    pub(crate) is_current: bool,
}

/// The bar for those who are signed in.
pub(crate) struct Bar {
    /// The overview.
    pub(crate) home: Address,
    pub(crate) environments: Vec<NavLink>,
    pub(crate) main: Vec<NavLink>,
    pub(crate) tools: Vec<NavLink>,
    pub(crate) account: NavLink,
    /// The token against forged requests, for every form of the page.
    pub(crate) csrf: String,
    pub(crate) role: Role,
}

/// What every page has around its content.
pub(crate) struct Frame {
    /// The heading.
    pub(crate) title: String,
    /// The app's name.
    pub(crate) app: String,
    /// The environment of the address.
    pub(crate) environment: Option<EnvironmentKind>,
    /// `None` for who is not signed in.
    pub(crate) bar: Option<Bar>,
    /// The page above this one: address and name.
    pub(crate) parent: Option<(Address, String)>,
    /// A sentence under the heading; may be empty.
    pub(crate) lead: &'static str,
    pub(crate) done: Option<Done>,
}

impl Frame {
    /// Frames a page that belongs to an entry of the bar.
    pub(crate) fn new(
        visit: &Visit,
        app: String,
        title: impl Into<String>,
        place: Option<Place>,
    ) -> Result<Self, Problem> {
        let environment = visit.environment().ok();
        let bar = match visit.session() {
            Ok(session) => Some(Bar::new(visit, environment, place, session.role())?),
            Err(_) => None,
        };
        Ok(Self {
            title: title.into(),
            app,
            environment,
            bar,
            parent: None,
            lead: "",
            done: Done::by_code(visit.query.text("done")),
        })
    }

    /// Sets the sentence under the heading.
    pub(crate) fn lead(self, lead: &'static str) -> Self {
        Self { lead, ..self }
    }

    /// Sets the page above this one.
    pub(crate) fn under(self, address: Address, name: impl Into<String>) -> Self {
        Self { parent: Some((address, name.into())), ..self }
    }

    /// Returns the title of the document.
    pub(crate) fn document_title(&self) -> String {
        let Self { title, app, .. } = self;
        match self.environment {
            Some(environment) => format!("{title} · {} · {app}", shown(environment)),
            None => format!("{title} · {app}"),
        }
    }

    /// Returns the environment as people read it; empty outside one.
    pub(crate) fn environment_name(&self) -> &'static str {
        self.environment.map(shown).unwrap_or_default()
    }

    /// Returns the class of the page, by which it has its environment's colour.
    pub(crate) fn class(&self) -> &'static str {
        self.environment.map(EnvironmentKind::name).unwrap_or_default()
    }

    /// Returns true for those who may change features, packages and users.
    pub(crate) fn may_edit(&self) -> bool {
        self.bar.as_ref().is_some_and(|bar| bar.role >= Role::Editor)
    }

    /// Returns the token against forged requests; empty for who is not signed in.
    pub(crate) fn csrf(&self) -> &str {
        self.bar.as_ref().map_or("", |bar| &bar.csrf)
    }

    pub(crate) fn style(&self) -> String {
        STYLE.address()
    }

    pub(crate) fn script(&self) -> String {
        SCRIPT.address()
    }

    pub(crate) fn icon(&self) -> String {
        ICON.address()
    }
}

impl Bar {
    fn new(
        visit: &Visit,
        environment: Option<EnvironmentKind>,
        place: Option<Place>,
        role: Role,
    ) -> Result<Self, Problem> {
        let here = environment.unwrap_or_else(|| visit.last_environment());
        let link = |entry: Place| NavLink {
            name: entry.name(),
            address: entry.address(here),
            is_current: place == Some(entry),
        };
        let environments = EnvironmentKind::ALL.map(|kind| NavLink {
            name: shown(kind),
            address: Address::of(kind, page_in_other(visit, environment, place)),
            is_current: environment == Some(kind),
        });
        let tools = Place::TOOLS.into_iter();
        Ok(Self {
            home: Place::Overview.address(here),
            environments: environments.into(),
            main: Place::MAIN.map(link).into(),
            tools: tools
                .filter(|entry| *entry != Place::Settings || role == Role::Owner)
                .map(link)
                .collect(),
            account: link(Place::Account),
            csrf: forgery::token(&visit.session()?.csrf_secret())?,
            role,
        })
    }
}

/// Returns the page that the links to the environments lead to: the same kind of page, or the list that
/// one item belongs to.
fn page_in_other(
    visit: &Visit,
    environment: Option<EnvironmentKind>,
    place: Option<Place>,
) -> &str {
    let list = place.and_then(Place::page).unwrap_or_default();
    let is_about_one = visit.query.has("id");
    if environment.is_none() || is_about_one { list } else { visit.page_path() }
}

fn shown(kind: EnvironmentKind) -> &'static str {
    match kind {
        EnvironmentKind::Test => "Test",
        EnvironmentKind::Live => "Live",
    }
}
