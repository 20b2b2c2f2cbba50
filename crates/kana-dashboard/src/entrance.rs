//! Who may come in, and what they get.
//!
//! A handler names its entrance, and so its role: only [`Editor`] holds an
//! [`Environment`](kana_service::Environment) to change, only [`Developer`] keys, only [`Owner`] people.
//! A handler that forgets its role has nothing to change.

use kana_service::{Developer as KeyHolder, Environment, EnvironmentView, Owner as Ownership};

use crate::problem::Problem;
use crate::visit::Visit;

/// Who may use a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anyone: no session is needed.
    Anyone,
    /// Every role, outside an environment.
    SignedIn,
    /// Every role, in an environment.
    Viewer,
    /// Editors and owners.
    Editor,
    /// Owners, and editors in test.
    Developer,
    /// Owners only.
    Owner,
}

/// What a handler gets once its visitor has come in.
pub(crate) trait Entrance: Sized + Send + 'static {
    /// Who comes in.
    const ACCESS: Access;

    /// Lets the visitor in, or says why not.
    fn enter(visit: &Visit) -> Result<Self, Problem>;
}

/// Anyone, signed in or not.
pub(crate) struct Anyone;

/// Every role, outside an environment.
pub(crate) struct SignedIn;

/// Every role, in the environment of the address.
pub(crate) struct Viewer {
    pub(crate) view: EnvironmentView,
}

/// Editors and owners, in the environment of the address.
pub(crate) struct Editor {
    pub(crate) environment: Environment,
}

/// Owners, and editors in test: those who may see and change keys.
pub(crate) struct Developer {
    pub(crate) developer: KeyHolder,
}

/// Owners, outside an environment.
pub(crate) struct Owner {
    pub(crate) ownership: Ownership,
}

/// Owners, in the environment of the address.
pub(crate) struct OwnerInside {
    pub(crate) view: EnvironmentView,
    pub(crate) ownership: Ownership,
}

impl Entrance for Anyone {
    const ACCESS: Access = Access::Anyone;

    fn enter(_visit: &Visit) -> Result<Self, Problem> {
        Ok(Self)
    }
}

impl Entrance for SignedIn {
    const ACCESS: Access = Access::SignedIn;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        visit.session()?;
        Ok(Self)
    }
}

impl Entrance for Viewer {
    const ACCESS: Access = Access::Viewer;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        Ok(Self { view: visit.session()?.view(visit.environment()?) })
    }
}

impl Entrance for Editor {
    const ACCESS: Access = Access::Editor;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        Ok(Self { environment: visit.session()?.editor(visit.environment()?)? })
    }
}

impl Entrance for Developer {
    const ACCESS: Access = Access::Developer;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        Ok(Self { developer: visit.session()?.developer(visit.environment()?)? })
    }
}

impl Entrance for Owner {
    const ACCESS: Access = Access::Owner;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        Ok(Self { ownership: visit.session()?.owner()? })
    }
}

impl Entrance for OwnerInside {
    const ACCESS: Access = Access::Owner;

    fn enter(visit: &Visit) -> Result<Self, Problem> {
        let session = visit.session()?;
        Ok(Self { ownership: session.owner()?, view: session.view(visit.environment()?) })
    }
}
