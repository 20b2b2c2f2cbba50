//! What owners alone may do: people, and the app's name.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::change::AuditKind;
use kana_store::Actor;
use kana_store::app::EnvironmentKind;
use kana_store::people::{Admin, AdminId, Role};

use super::admins::{self, AdminError, WhichAdmin};
use super::app_name::check_app_name;
use super::entries;
use super::secret::WelcomeToken;
use crate::change_log;
use crate::error::Error;
use crate::kana::Kana;

/// An owner, who may change people and the app's name.
pub struct Owner {
    kana: Arc<Kana>,
    actor: Arc<Actor>,
}

impl Owner {
    pub(super) fn new(kana: Arc<Kana>, actor: Arc<Actor>) -> Self {
        Self { kana, actor }
    }

    /// Returns every admin, oldest first.
    pub async fn admins(&self) -> Result<Vec<Admin>, Error> {
        admins::list_admins(self.kana.store.as_ref()).await
    }

    /// Creates an admin and returns the token of the welcome link.
    pub async fn invite(&self, email: &str, role: Role) -> Result<WelcomeToken, AdminError> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        admins::invite_admin(store, clock, &self.actor, email, role).await
    }

    /// Takes an admin's password away and returns the token of the link that sets another.
    pub async fn reset_password(&self, id: AdminId) -> Result<WelcomeToken, AdminError> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        let token = admins::reset_password(store, clock, &self.actor, WhichAdmin::Id(id)).await?;
        self.forget_sessions(id);
        Ok(token)
    }

    /// Gives an admin another role.
    pub async fn set_role(&self, id: AdminId, role: Role) -> Result<(), AdminError> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        admins::set_role(store, clock, &self.actor, WhichAdmin::Id(id), role).await?;
        self.forget_sessions(id);
        Ok(())
    }

    /// Removes an admin.
    pub async fn remove(&self, id: AdminId) -> Result<(), AdminError> {
        let (store, clock) = (self.kana.store.as_ref(), self.kana.clock.as_ref());
        admins::remove_admin(store, clock, &self.actor, WhichAdmin::Id(id)).await?;
        self.forget_sessions(id);
        Ok(())
    }

    /// Forgets what this node knows of an admin's sessions, so that it obeys at once.
    fn forget_sessions(&self, id: AdminId) {
        self.kana.people.sessions.forget_where(|signed_in| signed_in.admin.id == id);
    }

    /// Notes that the owner takes the audit log of an environment away as a file. Returns when.
    pub async fn note_audit_export(
        &self,
        environment: EnvironmentKind,
    ) -> Result<Timestamp, AdminError> {
        let now = self.kana.clock.now();
        let (mut transaction, _) = admins::begin(self.kana.store.as_ref(), &self.actor).await?;
        let entry = entries::audit_log_exported(&self.actor, now, environment);
        transaction.audit_app(vec![entry]).await?;
        transaction.commit().await?;
        Ok(now)
    }

    /// Gives the app another name.
    pub async fn rename_app(&self, name: &str) -> Result<(), AdminError> {
        let (name, now) = (check_app_name(name)?, self.kana.clock.now());
        let (mut transaction, app) = admins::begin(self.kana.store.as_ref(), &self.actor).await?;
        if app.name == name {
            return Ok(());
        }
        transaction.set_app_name(&name).await?;
        let entry = entries::app_renamed(&self.actor, now, &app.name, &name);
        transaction.audit_app(vec![entry]).await?;
        transaction.commit().await?;
        self.kana.people.sessions.forget_where(|_| true);
        self.kana.people.app_name.forget(&());
        change_log::log(&self.actor, "renameApp", AuditKind::Setting, Some("app"));
        Ok(())
    }
}
