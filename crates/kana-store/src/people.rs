//! Who administers Kana: admins, their sessions, and invitations (contract: `dashboard.md`, "Getting
//! in").
//!
//! They belong to the app and to no environment. Which of them may do what, and when a session or an
//! invitation ends, is decided above the store.

use std::fmt;

use async_trait::async_trait;
use kana_core::Timestamp;

use crate::app::App;
use crate::error::StoreError;
use crate::feed::{AuditPage, AuditQuery, NewAuditEntry};

/// How long it is remembered that a form was sent, in milliseconds: as long as a session that is not used
/// lasts.
pub const FORM_KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// The maximum number of sessions of an admin. One more ends the oldest.
pub const SESSIONS_MAX: usize = 20;

/// The maximum number of invitations that can still be used.
pub const INVITATIONS_MAX: usize = 100;

/// The number of an admin. It is never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AdminId(pub i64);

impl fmt::Display for AdminId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How much an admin may do. Each role may do what the ones before it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Changes features, packages, users and usage.
    Editor,
    /// Changes everything, admins included.
    Owner,
}

impl Role {
    /// All roles, the least powerful first.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Editor, Self::Owner];

    /// Returns the name on the command line and in forms.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Owner => "owner",
        }
    }

    /// Returns the role with this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An admin as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The admin's number.
    pub id: AdminId,
    /// The e-mail, as it was given.
    pub email: String,
    /// How much the admin may do.
    pub role: Role,
    /// Whether a password is set. Without one, nobody can sign in.
    pub has_password: bool,
    /// When the admin was created.
    pub created_at: Timestamp,
    /// When the admin last signed in; `None` if never.
    pub last_sign_in_at: Option<Timestamp>,
}

/// An admin to be stored, without a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAdmin {
    /// The e-mail, as it was given.
    pub email: String,
    /// The form of the e-mail that is compared. No two admins have the same.
    pub email_folded: String,
    /// How much the admin may do.
    pub role: Role,
    /// When the admin is created.
    pub created_at: Timestamp,
}

/// The hash of a password, as a PHC string (`$argon2id$…`). Its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// An admin with the hash of the password, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The admin.
    pub admin: Admin,
    /// The hash of the password.
    pub password: Option<PasswordHash>,
}

/// The SHA-256 hash of the secret of a session or invitation. The secret itself is not stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash(pub [u8; 32]);

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// A session, both to be stored and as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The hash of its secret.
    pub hash: SecretHash,
    /// Whose it is.
    pub admin: AdminId,
    /// When the admin signed in.
    pub created_at: Timestamp,
    /// When it was last used, with an error of some minutes.
    pub last_seen_at: Timestamp,
    /// When it ends if it is not used again.
    pub ends_at: Timestamp,
    /// The address that the admin signed in from.
    pub address: String,
    /// The browser that the admin signed in with, as it names itself.
    pub browser: String,
}

/// A session with what every page needs to know, from one instant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedIn {
    /// The session.
    pub session: Session,
    /// Whose it is.
    pub admin: Admin,
    /// The app.
    pub app: App,
}

/// Who may use an invitation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Invitee {
    /// This admin, to set a password.
    Admin(AdminId),
    /// Whoever has it, to become an admin with this role: the invitation of the first start.
    Anyone(Role),
}

/// An invitation to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInvitation {
    /// The hash of its token.
    pub hash: SecretHash,
    /// Who may use it.
    pub invitee: Invitee,
    /// When it is created.
    pub created_at: Timestamp,
    /// When it can no longer be used.
    pub expires_at: Timestamp,
}

/// An invitation that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenInvitation {
    /// The admin that it is for; `None` if anyone may use it.
    pub admin: Option<Admin>,
    /// The role of whoever uses it.
    pub role: Role,
}

/// Reads and shortens what is stored of people. Changes go through [`PeopleTransaction`].
#[async_trait]
pub trait People: Send + Sync {
    /// Returns every admin, oldest first.
    async fn admins(&self) -> Result<Vec<Admin>, StoreError>;

    /// Returns the admin whose e-mail folds to this.
    async fn credentials(&self, email_folded: &str) -> Result<Option<Credentials>, StoreError>;

    /// Returns a session, also when it has ended but is not deleted yet.
    async fn session(&self, hash: SecretHash) -> Result<Option<SignedIn>, StoreError>;

    /// Returns an admin's sessions, newest first, also those that have ended but are not deleted yet.
    async fn sessions_of(&self, admin: AdminId) -> Result<Vec<Session>, StoreError>;

    /// Notes that a session was used, if it is still there.
    async fn note_seen(
        &self,
        hash: SecretHash,
        at: Timestamp,
        ends_at: Timestamp,
    ) -> Result<(), StoreError>;

    /// Returns an invitation that can be used at `now`.
    async fn invitation(
        &self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError>;

    /// Claims a form for the one who sends it first, at `at`, and returns `None`. For all others, returns the
    /// address that it led to; an empty one while that is not known.
    async fn claim_form(
        &self,
        form: SecretHash,
        at: Timestamp,
    ) -> Result<Option<String>, StoreError>;

    /// Notes the address that a claimed form led to. Without one, the claim is given up, and the form may be
    /// sent again.
    async fn settle_form(&self, form: SecretHash, led_to: Option<&str>) -> Result<(), StoreError>;

    /// Deletes sessions that ended and invitations that expired by `now`, and forms that were sent
    /// [`FORM_KEPT_MS`] before, at most `at_most` of each. Returns how many it deleted.
    async fn forget_ended(&self, now: Timestamp, at_most: usize) -> Result<usize, StoreError>;

    /// Returns a page of the audit log's entries that belong to no environment, newest first.
    async fn audit_log_of_app(&self, query: &AuditQuery) -> Result<AuditPage, StoreError>;

    /// Deletes entries of the audit log that belong to no environment from before `before`, oldest
    /// first, at most `at_most`. Returns how many it deleted.
    async fn forget_audit_log_of_app(
        &self,
        before: Timestamp,
        at_most: usize,
    ) -> Result<usize, StoreError>;
}

/// Changes what is stored of people. What is read through it is what the changes are made on: call
/// [`lock_people`](Self::lock_people) first, and no other transaction changes people until this one
/// ends.
#[async_trait]
pub trait PeopleTransaction: Send {
    /// Waits until no other transaction changes people, and keeps others from it. Returns the app;
    /// `None` on an empty database.
    async fn lock_people(&mut self) -> Result<Option<App>, StoreError>;

    /// Returns every admin, oldest first.
    async fn locked_admins(&mut self) -> Result<Vec<Admin>, StoreError>;

    /// Returns an admin with the hash of the password.
    async fn locked_credentials(&mut self, id: AdminId) -> Result<Option<Credentials>, StoreError>;

    /// Stores an admin. Returns `None`, and stores nothing, if another admin's e-mail folds to the
    /// same.
    async fn add_admin(&mut self, admin: &NewAdmin) -> Result<Option<AdminId>, StoreError>;

    /// Sets the hash of an admin's password, or takes the password away.
    async fn set_password(
        &mut self,
        id: AdminId,
        password: Option<&PasswordHash>,
    ) -> Result<(), StoreError>;

    /// Sets how much an admin may do.
    async fn set_role(&mut self, id: AdminId, role: Role) -> Result<(), StoreError>;

    /// Deletes an admin with all sessions and invitations.
    async fn remove_admin(&mut self, id: AdminId) -> Result<(), StoreError>;

    /// Notes when an admin signed in last.
    async fn note_sign_in(&mut self, id: AdminId, at: Timestamp) -> Result<(), StoreError>;

    /// Stores a session. The admin's oldest sessions beyond [`SESSIONS_MAX`] end.
    async fn add_session(&mut self, session: &Session) -> Result<(), StoreError>;

    /// Ends an admin's sessions, but for the one to `keep`.
    async fn end_sessions(
        &mut self,
        admin: AdminId,
        keep: Option<SecretHash>,
    ) -> Result<(), StoreError>;

    /// Ends one session.
    async fn end_session(&mut self, hash: SecretHash) -> Result<(), StoreError>;

    /// Stores an invitation. Deletes those that the admin had before. Returns false, and stores
    /// nothing, if there are [`INVITATIONS_MAX`] others that can be used.
    async fn add_invitation(&mut self, invitation: &NewInvitation) -> Result<bool, StoreError>;

    /// Uses an invitation up. Returns it; `None` if it cannot be used at `now`.
    async fn use_invitation(
        &mut self,
        hash: SecretHash,
        now: Timestamp,
    ) -> Result<Option<OpenInvitation>, StoreError>;

    /// Deletes an admin's invitations.
    async fn withdraw_invitations(&mut self, admin: AdminId) -> Result<(), StoreError>;

    /// Sets the name of the app.
    async fn set_app_name(&mut self, name: &str) -> Result<(), StoreError>;

    /// Adds entries that belong to no environment to the audit log.
    async fn audit_app(&mut self, entries: Vec<NewAuditEntry>) -> Result<(), StoreError>;
}
