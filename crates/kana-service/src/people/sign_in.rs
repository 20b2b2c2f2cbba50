//! Signing in with e-mail and password.

use std::sync::Arc;
use std::time::Duration;

use kana_store::people::{Credentials, PasswordHash};

use super::password::Verified;
use super::secret::SessionSecret;
use super::tally::Counted;
use super::visitor::Visitor;
use super::{email, entries, sessions};
use crate::error::Error;
use crate::kana::Kana;
use crate::retry::retry;

/// Why nobody was signed in.
#[derive(Debug)]
pub enum SignInError {
    /// The e-mail is not known, or the password is another one; which of them is not told.
    Wrong,
    /// Too many attempts failed. The next one counts after this time.
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// Too many passwords wait to be hashed.
    Busy,
    /// The service could not answer.
    Other(Error),
}

impl From<Error> for SignInError {
    fn from(error: Error) -> Self {
        match error {
            Error::Overloaded => Self::Busy,
            error => Self::Other(error),
        }
    }
}

impl Kana {
    /// Signs an admin in. The session is new, whatever the visitor brought.
    ///
    /// An e-mail that no admin has takes as long as a wrong password. While the e-mail or the address has
    /// to wait after failures, no password is checked, right or wrong.
    pub async fn sign_in(
        self: &Arc<Self>,
        visitor: &Visitor,
        email: &str,
        password: &str,
    ) -> Result<SessionSecret, SignInError> {
        let folded = email::fold(email);
        let attempt = self.people.throttle.begin(&folded, visitor.address, self.clock.now());
        let attempt = attempt.map_err(|wait| SignInError::TooMany { wait })?;
        match self.sign_in_now(visitor, &folded, password).await {
            Ok(Some(secret)) => {
                self.people.throttle.succeeded(&attempt);
                Ok(secret)
            }
            Ok(None) => Err(SignInError::Wrong),
            Err(error) => {
                self.people.throttle.take_back(&attempt);
                Err(error.into())
            }
        }
    }

    /// Returns `None` if the e-mail or the password is wrong.
    async fn sign_in_now(
        &self,
        visitor: &Visitor,
        folded: &str,
        password: &str,
    ) -> Result<Option<SessionSecret>, Error> {
        let known = match email::may_be_stored(folded) {
            true => retry(|| async { Ok(self.store.credentials(folded).await?) }).await?,
            false => None,
        };
        let hash = known.as_ref().and_then(|known| known.password.clone());
        let verified = self.people.passwords.verify(password, hash).await?;
        let (Some(known), Verified::Yes { is_outdated }) = (&known, verified) else {
            let email = known.map(|known| known.admin.email);
            self.people.tally.count(Counted::FailedSignIn { email });
            return Ok(None);
        };
        let rehashed = match is_outdated {
            true => Some(self.people.passwords.hash(password).await?),
            false => None,
        };
        let secret = SessionSecret::generate()?;
        let begin = || self.begin_session(&secret, known, visitor, rehashed.as_ref());
        let has_begun = retry(begin).await?;
        Ok(has_begun.then_some(secret))
    }

    /// Returns false if the admin or the password is another one since it was verified.
    async fn begin_session(
        &self,
        secret: &SessionSecret,
        known: &Credentials,
        visitor: &Visitor,
        rehashed: Option<&PasswordHash>,
    ) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut transaction = self.store.write().await?;
        transaction.lock_people().await?;
        let current = transaction.locked_credentials(known.admin.id).await?;
        let Some(admin) = current.filter(|current| current.password == known.password) else {
            return Ok(false);
        };
        let admin = admin.admin;
        if let Some(hash) = rehashed {
            transaction.set_password(admin.id, Some(hash)).await?;
        }
        transaction.note_sign_in(admin.id, now).await?;
        transaction.add_session(&sessions::begin(secret, admin.id, visitor, now)).await?;
        let (actor, email) = (entries::actor_of(&admin), Some(admin.email.as_str()));
        let entry = entries::of_person(&actor, now, "signIn", email, (None, None));
        transaction.audit_app(vec![entry]).await?;
        transaction.commit().await?;
        Ok(true)
    }
}
