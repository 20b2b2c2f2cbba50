//! Passwords: which are good enough, and how they are hashed.

use std::collections::HashSet;
use std::sync::{Arc, LazyLock};

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use kana_core::refusal::InvalidValue;
use kana_store::people::PasswordHash;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::email::Email;
use crate::error::Error;

const CHARS_MIN: usize = 12;
const CHARS_MAX: usize = 256;
/// 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// How many passwords are hashed at once, and how many may wait.
const HASHING_MAX: usize = 2;
const WAITING_MAX: usize = 16;

static COMMONEST: LazyLock<HashSet<&str>> =
    LazyLock::new(|| include_str!("commonest_passwords.txt").lines().collect());

/// The hash of no admin, so that an e-mail that is not known takes as long as one that is.
static NOBODYS: LazyLock<Option<PasswordHash>> = LazyLock::new(|| hash("").ok());

/// Checks a new password. Fails if it is too short or too long, the e-mail, or one of the commonest.
pub(super) fn check(password: &str, email: &Email) -> Result<(), InvalidValue> {
    let chars = password.chars().count();
    let folded = password.to_lowercase();
    let problem = if chars < CHARS_MIN {
        "must have at least 12 characters"
    } else if chars > CHARS_MAX {
        "must have at most 256 characters"
    } else if folded == email.folded {
        "must not be the e-mail"
    } else if COMMONEST.contains(folded.as_str()) {
        "is one of the commonest passwords: choose another"
    } else {
        return Ok(());
    };
    Err(InvalidValue::new("password", problem))
}

/// Hashes passwords off the threads that answer requests, a few at a time.
pub(super) struct Passwords {
    turns: Arc<Semaphore>,
    places: Arc<Semaphore>,
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(HASHING_MAX)),
            places: Arc::new(Semaphore::new(HASHING_MAX + WAITING_MAX)),
        }
    }
}

/// Whether a password is the one that was hashed.
pub(super) enum Verified {
    No,
    Yes {
        /// Whether it should be hashed anew, since the parameters have changed.
        is_outdated: bool,
    },
}

impl Passwords {
    /// Hashes a password. Fails with [`Error::Overloaded`] if too many wait.
    pub(super) async fn hash(&self, password: &str) -> Result<PasswordHash, Error> {
        let password = password.to_owned();
        self.work(move || hash(&password)).await?
    }

    /// Verifies a password. Takes as long where there is no hash.
    pub(super) async fn verify(
        &self,
        password: &str,
        hash: Option<PasswordHash>,
    ) -> Result<Verified, Error> {
        let is_known = hash.is_some();
        let password = password.chars().take(CHARS_MAX + 1).collect::<String>();
        let verified = self.work(move || {
            let hash = hash.or_else(|| NOBODYS.clone());
            hash.map_or(Verified::No, |hash| verify(&password, &hash))
        });
        let verified = verified.await?;
        Ok(if is_known { verified } else { Verified::No })
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| Error::Overloaded)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await;
        let done = spawn_blocking(move || {
            // Both are kept until the work is done, also if nobody waits for it any more.
            let (_place, _turn) = (place, turn);
            work()
        });
        done.await.map_err(|_| Error::Bug("a password could not be hashed"))
    }
}

fn argon2() -> Result<Argon2<'static>, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None);
    let params = params.map_err(|_| Error::Bug("the parameters of argon2 are invalid"))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// Hashes a password on this thread.
pub(super) fn hash(password: &str) -> Result<PasswordHash, Error> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt)?;
    let hash: Phc = argon2()?
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|_| Error::Bug("a password cannot be hashed"))?;
    Ok(PasswordHash(hash.to_string()))
}

fn verify(password: &str, hash: &PasswordHash) -> Verified {
    let Ok(argon2) = argon2() else { return Verified::No };
    let Ok(hash) = Phc::new(&hash.0) else { return Verified::No };
    // An import may bring parameters that would take all the memory.
    let is_affordable = |params: &Params| {
        params.m_cost() <= 4 * MEMORY_KIB && params.t_cost() <= 8 * PASSES && params.p_cost() <= 8
    };
    if !Params::try_from(&hash).is_ok_and(|params| is_affordable(&params)) {
        return Verified::No;
    }
    // It takes the parameters of the hash.
    if argon2.verify_password(password.as_bytes(), &hash).is_err() {
        return Verified::No;
    }
    let current = format!("m={MEMORY_KIB},t={PASSES},p={LANES}");
    let is_current = hash.algorithm.as_str() == "argon2id" && hash.params.to_string() == current;
    Verified::Yes { is_outdated: !is_current }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(password: &str) -> Option<String> {
        let email = Email::new("ada.lovelace@example.com").unwrap();
        check(password, &email).err().map(|invalid| invalid.problem)
    }

    #[test]
    fn a_password_is_long_enough_and_nothing_that_others_would_try_first() {
        assert_eq!(problem("correct horse"), None);
        assert_eq!(problem(&"é".repeat(12)), None);
        assert_eq!(problem(&"é".repeat(256)), None);
        for bad in ["", "short", &"é".repeat(11), &"é".repeat(257), "Ada.Lovelace@example.com"] {
            assert!(problem(bad).is_some(), "{bad}");
        }
        assert_eq!(COMMONEST.len(), 1000);
        let long = COMMONEST.iter().find(|password| password.len() >= CHARS_MIN).unwrap();
        assert!(problem(&long.to_uppercase()).unwrap().contains("commonest"));
    }

    #[tokio::test]
    async fn a_password_is_verified_by_its_hash_and_an_old_hash_is_replaced() {
        let passwords = Passwords::default();
        let hash = passwords.hash("correct horse").await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        let verified = passwords.verify("correct horse", Some(hash.clone())).await.unwrap();
        assert!(matches!(verified, Verified::Yes { is_outdated: false }));
        for (password, hash) in [("Correct horse", Some(hash)), ("", None), ("correct horse", None)]
        {
            assert!(matches!(passwords.verify(password, hash).await.unwrap(), Verified::No));
        }
        let weak = Argon2::new(
            Algorithm::Argon2id,
            Version::V0x13,
            Params::new(8 * 1024, 1, 1, None).unwrap(),
        );
        let hash: Phc = weak.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap();
        let hash = PasswordHash(hash.to_string());
        let verified = passwords.verify("correct horse", Some(hash)).await.unwrap();
        assert!(matches!(verified, Verified::Yes { is_outdated: true }));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused() {
        let passwords = Passwords::default();
        let all = (0..HASHING_MAX + WAITING_MAX + 4).map(|_| passwords.hash("correct horse"));
        let answers = futures_util::future::join_all(all).await;
        let refused = answers.iter().filter(|answer| matches!(answer, Err(Error::Overloaded)));
        assert_eq!(refused.count(), 4);
    }
}
