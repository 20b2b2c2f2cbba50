//! The session of an admin, and what the role opens.

use std::sync::Arc;
use std::time::Duration;

use kana_core::Timestamp;
use kana_core::refusal::InvalidValue;
use kana_store::people::{AdminId, Role, SecretHash, SignedIn};
use kana_store::{Actor, EnvironmentId, EnvironmentKind};
use tokio::time::Instant;

use super::developer::Developer;
use super::email::Email;
use super::owner::Owner;
use super::password::Verified;
use super::secret::{SessionSecret, csrf_secret, hash_of_session};
use super::tally::Counted;
use super::visitor::Visitor;
use super::{entries, password, sessions};
use crate::environment::Environment;
use crate::environment::view::EnvironmentView;
use crate::error::Error;
use crate::kana::Kana;
use crate::retry::retry;

/// The role does not suffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAllowed;

/// Somebody who is signed in: the only way in for people.
#[derive(Clone)]
pub struct AdminSession {
    kana: Arc<Kana>,
    signed_in: Arc<SignedIn>,
    csrf_secret: [u8; 32],
    actor: Arc<Actor>,
    test: EnvironmentId,
    live: EnvironmentId,
}

/// A session of an admin, for its owner to look at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to five minutes.
    pub last_seen_at: Timestamp,
    /// The address that it began from.
    pub address: String,
    /// The browser, as it names itself.
    pub browser: String,
    /// Whether it is the one that asks.
    pub is_this: bool,
}

/// Why a password was not changed.
#[derive(Debug)]
pub enum ChangePasswordError {
    /// The current password is another one.
    Wrong,
    /// Too many attempts failed.
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// The new password cannot be taken.
    Invalid(InvalidValue),
    /// Too many passwords wait to be hashed.
    Busy,
    /// The service could not answer.
    Other(Error),
}

impl From<Error> for ChangePasswordError {
    fn from(error: Error) -> Self {
        match error {
            Error::Overloaded => Self::Busy,
            error => Self::Other(error),
        }
    }
}

impl Kana {
    /// Returns the session with this secret; `None` if it has ended or never was. Obeys within five seconds
    /// what another process ended.
    pub async fn admin_session(
        self: &Arc<Self>,
        presented: &str,
    ) -> Result<Option<AdminSession>, Error> {
        let Some(hash) = hash_of_session(presented) else { return Ok(None) };
        let now = self.clock.now();
        let Some(signed_in) = self.signed_in(hash).await? else { return Ok(None) };
        if !sessions::is_open(&signed_in.session, now) {
            return Ok(None);
        }
        let signed_in = self.note_seen(signed_in, now).await;
        let test = self.access.environment_id(EnvironmentKind::Test).await?;
        let live = self.access.environment_id(EnvironmentKind::Live).await?;
        Ok(Some(AdminSession {
            kana: Arc::clone(self),
            csrf_secret: csrf_secret(presented),
            actor: Arc::new(entries::actor_of(&signed_in.admin)),
            signed_in,
            test,
            live,
        }))
    }

    async fn signed_in(&self, hash: SecretHash) -> Result<Option<Arc<SignedIn>>, Error> {
        if let Some(signed_in) = self.people.sessions.get(&hash) {
            return Ok(Some(signed_in));
        }
        let asked_at = Instant::now();
        let found = retry(|| async move { Ok(self.store.session(hash).await?) }).await?;
        let Some(found) = found.map(Arc::new) else {
            self.people.sessions.forget(&hash);
            return Ok(None);
        };
        self.people.sessions.remember(hash, Arc::clone(&found), asked_at);
        Ok(Some(found))
    }

    /// Notes now and then that a session was used. That it cannot is no reason to refuse a page.
    async fn note_seen(&self, signed_in: Arc<SignedIn>, now: Timestamp) -> Arc<SignedIn> {
        let session = &signed_in.session;
        if !sessions::is_seen_anew(session, now) {
            return signed_in;
        }
        let ends_at = sessions::end_after_use(session.created_at, now);
        // Before the store is asked: if the session ends meanwhile, it is not remembered again.
        let asked_at = Instant::now();
        if let Err(error) = self.store.note_seen(session.hash, now, ends_at).await {
            tracing::debug!(%error, "the use of a session could not be noted");
            return signed_in;
        }
        let mut seen = SignedIn::clone(&signed_in);
        (seen.session.last_seen_at, seen.session.ends_at) = (now, ends_at);
        let seen = Arc::new(seen);
        self.people.sessions.remember(seen.session.hash, Arc::clone(&seen), asked_at);
        seen
    }
}

impl AdminSession {
    /// Returns the admin's number.
    #[must_use]
    pub fn admin_id(&self) -> AdminId {
        self.signed_in.admin.id
    }

    /// Returns the admin's e-mail.
    #[must_use]
    pub fn email(&self) -> &str {
        &self.signed_in.admin.email
    }

    /// Returns the admin's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.signed_in.admin.role
    }

    /// Returns the app's name.
    #[must_use]
    pub fn app_name(&self) -> &str {
        &self.signed_in.app.name
    }

    /// Returns what the session's own forms are known by.
    #[must_use]
    pub fn csrf_secret(&self) -> [u8; 32] {
        self.csrf_secret
    }

    fn environment_id(&self, kind: EnvironmentKind) -> EnvironmentId {
        match kind {
            EnvironmentKind::Test => self.test,
            EnvironmentKind::Live => self.live,
        }
    }

    /// Opens an environment to read, which every role may.
    #[must_use]
    pub fn view(&self, kind: EnvironmentKind) -> EnvironmentView {
        EnvironmentView::new(Arc::clone(&self.kana), self.environment_id(kind), kind)
    }

    /// Opens an environment to change features, packages, users, subscriptions and usage.
    pub fn editor(&self, kind: EnvironmentKind) -> Result<Environment, NotAllowed> {
        self.require(Role::Editor, Some(kind))?;
        let (kana, actor) = (Arc::clone(&self.kana), Arc::clone(&self.actor));
        Ok(Environment::new(kana, self.environment_id(kind), kind, actor))
    }

    /// Returns whether the role opens an environment's keys. Unlike [`developer`](Self::developer), it
    /// leaves no entry in the audit log, so it can decide what a page offers.
    #[must_use]
    pub fn may_develop(&self, kind: EnvironmentKind) -> bool {
        self.role() >= needed_to_develop(kind)
    }

    /// Opens an environment's keys and its settings for browsers.
    pub fn developer(&self, kind: EnvironmentKind) -> Result<Developer, NotAllowed> {
        self.require(needed_to_develop(kind), Some(kind))?;
        let (kana, actor) = (Arc::clone(&self.kana), Arc::clone(&self.actor));
        Ok(Developer::new(kana, kind, self.view(kind), actor))
    }

    /// Opens people and the app's name.
    pub fn owner(&self) -> Result<Owner, NotAllowed> {
        self.require(Role::Owner, None)?;
        Ok(Owner::new(Arc::clone(&self.kana), Arc::clone(&self.actor)))
    }

    /// Fails if the role is less powerful, and counts that for the audit log.
    fn require(&self, needs: Role, environment: Option<EnvironmentKind>) -> Result<(), NotAllowed> {
        let (admin, email, role) = (self.admin_id(), self.email().to_owned(), self.role());
        if role >= needs {
            return Ok(());
        }
        let refused = Counted::Refused { admin, email, role, needs, environment };
        self.kana.people.tally.count(refused);
        Err(NotAllowed)
    }

    /// Returns the admin's sessions that have not ended, newest first.
    pub async fn sessions(&self) -> Result<Vec<SessionRow>, Error> {
        let now = self.kana.clock.now();
        let all = retry(|| async { Ok(self.kana.store.sessions_of(self.admin_id()).await?) });
        let open = all.await?.into_iter().filter(|session| sessions::is_open(session, now));
        let this = self.signed_in.session.hash;
        let shown = open.map(|session| SessionRow {
            is_this: session.hash == this,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            address: session.address,
            browser: session.browser,
        });
        Ok(shown.collect())
    }

    /// Ends this session.
    pub async fn sign_out(&self) -> Result<(), Error> {
        let hash = self.signed_in.session.hash;
        let mut transaction = self.kana.store.write().await?;
        transaction.lock_people().await?;
        transaction.end_session(hash).await?;
        transaction.commit().await?;
        self.kana.people.sessions.forget(&hash);
        Ok(())
    }

    /// Ends every other session of the admin.
    pub async fn sign_out_everywhere_else(&self) -> Result<(), Error> {
        let mut transaction = self.kana.store.write().await?;
        transaction.lock_people().await?;
        let (admin, this) = (self.admin_id(), self.signed_in.session.hash);
        transaction.end_sessions(admin, Some(this)).await?;
        transaction.commit().await?;
        self.kana.people.sessions.forget_where(|signed_in| signed_in.admin.id == admin);
        Ok(())
    }

    /// Changes the admin's password, ends all sessions, and begins a new one.
    pub async fn change_password(
        &self,
        visitor: &Visitor,
        current: &str,
        new: &str,
    ) -> Result<SessionSecret, ChangePasswordError> {
        let email = Email::new(self.email()).map_err(ChangePasswordError::Invalid)?;
        password::check(new, &email).map_err(ChangePasswordError::Invalid)?;
        let throttle = &self.kana.people.throttle;
        let attempt = throttle.begin(&email.folded, visitor.address, self.kana.clock.now());
        let attempt = attempt.map_err(|wait| ChangePasswordError::TooMany { wait })?;
        match self.change_password_now(visitor, &email, (current, new)).await {
            Ok(Some(secret)) => {
                throttle.succeeded(&attempt);
                Ok(secret)
            }
            Ok(None) => Err(ChangePasswordError::Wrong),
            Err(error) => {
                throttle.take_back(&attempt);
                Err(error.into())
            }
        }
    }

    /// Returns `None` if the current password is wrong.
    async fn change_password_now(
        &self,
        visitor: &Visitor,
        email: &Email,
        (current, new): (&str, &str),
    ) -> Result<Option<SessionSecret>, Error> {
        let (kana, admin) = (&self.kana, self.admin_id());
        let known = retry(|| async { Ok(kana.store.credentials(&email.folded).await?) }).await?;
        let known = known.and_then(|known| known.password);
        let Verified::Yes { .. } = kana.people.passwords.verify(current, known.clone()).await?
        else {
            return Ok(None);
        };
        let hash = kana.people.passwords.hash(new).await?;
        let (secret, now) = (SessionSecret::generate()?, kana.clock.now());
        let mut transaction = kana.store.write().await?;
        transaction.lock_people().await?;
        // Somebody may have removed the admin, or the password, since it was verified.
        let stored = transaction.locked_credentials(admin).await?;
        if stored.and_then(|stored| stored.password) != known {
            return Ok(None);
        }
        transaction.set_password(admin, Some(&hash)).await?;
        transaction.end_sessions(admin, None).await?;
        transaction.withdraw_invitations(admin).await?;
        transaction.add_session(&sessions::begin(&secret, admin, visitor, now)).await?;
        let email = Some(self.email());
        let entry = entries::of_person(&self.actor, now, "changePassword", email, (None, None));
        transaction.audit_app(vec![entry]).await?;
        transaction.commit().await?;
        kana.people.sessions.forget_where(|signed_in| signed_in.admin.id == admin);
        Ok(Some(secret))
    }
}

fn needed_to_develop(kind: EnvironmentKind) -> Role {
    match kind {
        EnvironmentKind::Test => Role::Editor,
        EnvironmentKind::Live => Role::Owner,
    }
}
