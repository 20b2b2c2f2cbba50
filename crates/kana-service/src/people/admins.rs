//! Changes of who administers Kana, from the command line and the dashboard.

use kana_core::Timestamp;
use kana_core::refusal::InvalidValue;
use kana_store::people::{Admin, AdminId, Invitee, NewAdmin, PasswordHash, Role};
use kana_store::{Actor, App, Store, StoreError, WriteTransaction};

use super::email::{self, Email};
use super::inviting::invite;
use super::secret::WelcomeToken;
use super::{entries, password};
use crate::access::uncommitted::Uncommitted;
use crate::clock::Clock;
use crate::error::Error;

/// The maximum number of admins.
const ADMINS_MAX: usize = 1000;

/// Why people were not changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The database has no app.
    #[error("there is no app yet: run kana init")]
    NoApp,
    /// Nobody has this e-mail or number.
    #[error("there is no such admin: see kana admins list")]
    NotFound,
    /// Another admin has the e-mail.
    #[error("another admin has this e-mail")]
    EmailTaken,
    /// There would be no owner left.
    #[error("this is the last owner: make another admin an owner first")]
    LastOwner,
    /// The caller is no longer an owner.
    #[error("only an owner may do this")]
    NotAllowed,
    /// There are too many admins.
    #[error("there are 1000 admins, which is the maximum: remove one first")]
    TooManyAdmins,
    /// Too many invitations wait to be used.
    #[error("100 invitations wait to be used, which is the maximum: each expires after a day")]
    TooManyInvitations,
    /// A value is invalid.
    #[error(transparent)]
    Invalid(#[from] InvalidValue),
    /// The service could not answer.
    #[error(transparent)]
    Other(#[from] Error),
}

impl From<StoreError> for AdminError {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

/// Begins to change people: no other transaction changes them meanwhile. An owner who asks must still be
/// one.
pub(super) async fn begin(
    store: &dyn Store,
    actor: &Actor,
) -> Result<(Box<dyn WriteTransaction>, App), AdminError> {
    let mut transaction = store.write().await?;
    let app = transaction.lock_people().await?.ok_or(AdminError::NoApp)?;
    if let Actor::Person { id, .. } = actor {
        let asking = transaction.locked_credentials(*id).await?;
        if asking.is_none_or(|asking| asking.admin.role < Role::Owner) {
            return Err(AdminError::NotAllowed);
        }
    }
    Ok((transaction, app))
}

/// Returns every admin, oldest first.
pub async fn list_admins(store: &dyn Store) -> Result<Vec<Admin>, Error> {
    Ok(store.admins().await?)
}

/// Creates an admin and returns the token of the link that sets the password.
pub async fn invite_admin(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    email: &str,
    role: Role,
) -> Result<WelcomeToken, AdminError> {
    Ok(begin_invitation(store, clock, actor, email, role).await?.commit().await?)
}

/// Like [`invite_admin`], without committing it.
pub async fn begin_invitation(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    email: &str,
    role: Role,
) -> Result<Uncommitted<WelcomeToken>, AdminError> {
    let (email, now) = (Email::new(email)?, clock.now());
    let (mut transaction, _) = begin(store, actor).await?;
    let id = add(transaction.as_mut(), actor, &email, role, now).await?;
    let token = invite(transaction.as_mut(), Invitee::Admin(id), now).await?;
    let token = token.ok_or(AdminError::TooManyInvitations)?;
    Ok(Uncommitted::new(token, transaction))
}

/// Creates an admin with a password, who can sign in at once.
pub async fn create_admin(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    (email, role): (&str, Role),
    password: &str,
) -> Result<(), AdminError> {
    let (email, now) = (Email::new(email)?, clock.now());
    password::check(password, &email)?;
    let hash = password::hash(password)?;
    let (mut transaction, _) = begin(store, actor).await?;
    let id = add(transaction.as_mut(), actor, &email, role, now).await?;
    transaction.set_password(id, Some(&hash)).await?;
    transaction.commit().await?;
    Ok(())
}

async fn add(
    transaction: &mut dyn WriteTransaction,
    actor: &Actor,
    email: &Email,
    role: Role,
    now: Timestamp,
) -> Result<AdminId, AdminError> {
    if transaction.locked_admins().await?.len() >= ADMINS_MAX {
        return Err(AdminError::TooManyAdmins);
    }
    let new = NewAdmin {
        email: email.given.clone(),
        email_folded: email.folded.clone(),
        role,
        created_at: now,
    };
    let id = transaction.add_admin(&new).await?.ok_or(AdminError::EmailTaken)?;
    let change = (None, entries::shown(role));
    let entry = entries::of_person(actor, now, "createAdmin", Some(&email.given), change);
    transaction.audit_app(vec![entry]).await?;
    Ok(id)
}

/// Which admin is meant.
#[derive(Debug, Clone, Copy)]
pub enum WhichAdmin<'a> {
    /// The one with this e-mail, whatever the case.
    Email(&'a str),
    /// The one with this number.
    Id(AdminId),
}

async fn find(
    transaction: &mut dyn WriteTransaction,
    which: WhichAdmin<'_>,
) -> Result<(Admin, usize), AdminError> {
    let admins = transaction.locked_admins().await?;
    let owners = admins.iter().filter(|admin| admin.role == Role::Owner).count();
    let is_meant = |admin: &Admin| match which {
        WhichAdmin::Email(text) => email::fold(&admin.email) == email::fold(text),
        WhichAdmin::Id(id) => admin.id == id,
    };
    let admin = admins.into_iter().find(is_meant).ok_or(AdminError::NotFound)?;
    Ok((admin, owners))
}

/// Takes an admin's password away, ends the sessions, and returns the token of the link that sets
/// another.
pub async fn reset_password(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    which: WhichAdmin<'_>,
) -> Result<WelcomeToken, AdminError> {
    Ok(begin_reset(store, clock, actor, which).await?.commit().await?)
}

/// Like [`reset_password`], without committing it.
pub async fn begin_reset(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    which: WhichAdmin<'_>,
) -> Result<Uncommitted<WelcomeToken>, AdminError> {
    let now = clock.now();
    let (mut transaction, _) = begin(store, actor).await?;
    let (admin, _) = find(transaction.as_mut(), which).await?;
    set(transaction.as_mut(), actor, &admin, None, now).await?;
    let token = invite(transaction.as_mut(), Invitee::Admin(admin.id), now).await?;
    let token = token.ok_or(AdminError::TooManyInvitations)?;
    Ok(Uncommitted::new(token, transaction))
}

/// Sets an admin's password and ends the sessions.
pub async fn set_ready_password(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    which: WhichAdmin<'_>,
    password: &str,
) -> Result<(), AdminError> {
    let now = clock.now();
    // Before anything is locked: it takes a while.
    let hash = password::hash(password)?;
    let (mut transaction, _) = begin(store, actor).await?;
    let (admin, _) = find(transaction.as_mut(), which).await?;
    password::check(password, &Email::new(&admin.email)?)?;
    set(transaction.as_mut(), actor, &admin, Some(&hash), now).await?;
    transaction.commit().await?;
    Ok(())
}

async fn set(
    transaction: &mut dyn WriteTransaction,
    actor: &Actor,
    admin: &Admin,
    password: Option<&PasswordHash>,
    now: Timestamp,
) -> Result<(), AdminError> {
    transaction.set_password(admin.id, password).await?;
    transaction.end_sessions(admin.id, None).await?;
    transaction.withdraw_invitations(admin.id).await?;
    let entry = entries::of_person(actor, now, "resetPassword", Some(&admin.email), (None, None));
    transaction.audit_app(vec![entry]).await?;
    Ok(())
}

/// Gives an admin another role. The sessions go on with it.
pub(crate) async fn set_role(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    which: WhichAdmin<'_>,
    role: Role,
) -> Result<(), AdminError> {
    let now = clock.now();
    let (mut transaction, _) = begin(store, actor).await?;
    let (admin, owners) = find(transaction.as_mut(), which).await?;
    if admin.role == role {
        return Ok(());
    }
    if admin.role == Role::Owner && owners == 1 {
        return Err(AdminError::LastOwner);
    }
    transaction.set_role(admin.id, role).await?;
    let change = (entries::shown(admin.role), entries::shown(role));
    let entry = entries::of_person(actor, now, "setRole", Some(&admin.email), change);
    transaction.audit_app(vec![entry]).await?;
    transaction.commit().await?;
    Ok(())
}

/// Removes an admin and ends the sessions.
pub async fn remove_admin(
    store: &dyn Store,
    clock: &dyn Clock,
    actor: &Actor,
    which: WhichAdmin<'_>,
) -> Result<(), AdminError> {
    let now = clock.now();
    let (mut transaction, _) = begin(store, actor).await?;
    let (admin, owners) = find(transaction.as_mut(), which).await?;
    if admin.role == Role::Owner && owners == 1 {
        return Err(AdminError::LastOwner);
    }
    transaction.remove_admin(admin.id).await?;
    let change = (entries::shown(admin.role), None);
    let entry = entries::of_person(actor, now, "removeAdmin", Some(&admin.email), change);
    transaction.audit_app(vec![entry]).await?;
    transaction.commit().await?;
    Ok(())
}
