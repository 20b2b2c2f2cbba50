//! Welcome links: the first password of an admin, and the first admin.

use std::sync::Arc;

use kana_core::Timestamp;
use kana_core::refusal::InvalidValue;
use kana_store::people::{Admin, NewAdmin, OpenInvitation, PasswordHash, Role};
use kana_store::{StoreError, WriteTransaction};

use super::email::Email;
use super::secret::{SessionSecret, hash_of_token};
use super::visitor::Visitor;
use super::{entries, password, sessions};
use crate::error::Error;
use crate::kana::Kana;
use crate::retry::retry;

/// A link that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Whom it is for; `None` for that of the first start, which anyone may use.
    pub email: Option<String>,
    /// The role that it gives.
    pub role: Role,
}

/// Why a link did not let anybody in.
#[derive(Debug)]
pub enum AcceptError {
    /// It was used, has expired, or never was.
    Gone,
    /// The e-mail or the password cannot be taken. The link can still be used.
    Invalid(InvalidValue),
    /// Too many passwords wait to be hashed.
    Busy,
    /// The service could not answer.
    Other(Error),
}

impl From<Error> for AcceptError {
    fn from(error: Error) -> Self {
        match error {
            Error::Overloaded => Self::Busy,
            error => Self::Other(error),
        }
    }
}

impl From<StoreError> for AcceptError {
    fn from(error: StoreError) -> Self {
        Error::from(error).into()
    }
}

impl From<InvalidValue> for AcceptError {
    fn from(invalid: InvalidValue) -> Self {
        Self::Invalid(invalid)
    }
}

impl Kana {
    /// Returns what a link invites to; `None` if it can no longer be used. Uses nothing up.
    pub async fn invitation(&self, token: &str) -> Result<Option<Invitation>, Error> {
        let Some(hash) = hash_of_token(token) else { return Ok(None) };
        let now = self.clock.now();
        let open = retry(|| async { Ok(self.store.invitation(hash, now).await?) }).await?;
        let shown = |open: OpenInvitation| Invitation {
            email: open.admin.map(|admin| admin.email),
            role: open.role,
        };
        Ok(open.map(shown))
    }

    /// Uses a link up: sets the password, ends the admin's other sessions, and signs in.
    pub async fn accept_invitation(
        self: &Arc<Self>,
        visitor: &Visitor,
        token: &str,
        email: &str,
        password: &str,
    ) -> Result<SessionSecret, AcceptError> {
        let hash = hash_of_token(token).ok_or(AcceptError::Gone)?;
        let open = self.invitation(token).await?.ok_or(AcceptError::Gone)?;
        let email = Email::new(open.email.as_deref().unwrap_or(email))?;
        password::check(password, &email)?;
        let hashed = self.people.passwords.hash(password).await?;
        let secret = SessionSecret::generate().map_err(Error::from)?;
        let now = self.clock.now();
        let mut transaction = self.store.write().await?;
        transaction.lock_people().await?;
        let used = transaction.use_invitation(hash, now).await?.ok_or(AcceptError::Gone)?;
        let admin = invited(transaction.as_mut(), used, &email, now).await?;
        let session = sessions::begin(&secret, admin.id, visitor, now);
        set_first_password(transaction.as_mut(), &admin, &hashed, now).await?;
        transaction.note_sign_in(admin.id, now).await?;
        transaction.add_session(&session).await?;
        transaction.commit().await?;
        self.people.sessions.forget_where(|signed_in| signed_in.admin.id == admin.id);
        Ok(secret)
    }
}

/// Returns the admin of a link, who is new if it was for anyone.
async fn invited(
    transaction: &mut dyn WriteTransaction,
    used: OpenInvitation,
    email: &Email,
    now: Timestamp,
) -> Result<Admin, AcceptError> {
    if let Some(admin) = used.admin {
        return Ok(admin);
    }
    let new = NewAdmin {
        email: email.given.clone(),
        email_folded: email.folded.clone(),
        role: used.role,
        created_at: now,
    };
    let Some(id) = transaction.add_admin(&new).await? else {
        return Err(InvalidValue::new("email", "belongs to another admin").into());
    };
    let admin = Admin {
        id,
        email: new.email,
        role: new.role,
        has_password: false,
        created_at: now,
        last_sign_in_at: None,
    };
    let actor = entries::actor_of(&admin);
    let change = (None, entries::shown(admin.role));
    let entry = entries::of_person(&actor, now, "createAdmin", Some(&admin.email), change);
    transaction.audit_app(vec![entry]).await?;
    Ok(admin)
}

async fn set_first_password(
    transaction: &mut dyn WriteTransaction,
    admin: &Admin,
    hash: &PasswordHash,
    now: Timestamp,
) -> Result<(), AcceptError> {
    transaction.set_password(admin.id, Some(hash)).await?;
    transaction.end_sessions(admin.id, None).await?;
    transaction.withdraw_invitations(admin.id).await?;
    let actor = entries::actor_of(admin);
    let entry = entries::of_person(&actor, now, "setPassword", Some(&admin.email), (None, None));
    transaction.audit_app(vec![entry]).await?;
    Ok(())
}
