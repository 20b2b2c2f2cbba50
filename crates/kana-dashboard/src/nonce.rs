//! Forms that make something carry a nonce: sent twice, as by a second click, they make one.

use std::sync::Arc;

use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kana_service::{AdminSession, Kana};
use quick_cache::sync::Cache;
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;

use crate::address::Address;
use crate::form::Form;
use crate::problem::Problem;

/// How many nonces are remembered: those of some hours of busy people.
const REMEMBERED_MAX: usize = 10_000;

const NONCE_BYTES: usize = 16;

/// A new nonce for a form.
pub(crate) fn new() -> Result<String, getrandom::Error> {
    let mut bytes = [0; NONCE_BYTES];
    getrandom::fill(&mut bytes)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// Why a form made nothing.
pub(crate) enum NotMade {
    Page(Problem),
    /// The service refused, or could not.
    Service(kana_service::Error),
}

impl From<Problem> for NotMade {
    fn from(problem: Problem) -> Self {
        Self::Page(problem)
    }
}

/// A form that was sent: whose session, at which path, with which nonce.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct NonceKey {
    session: [u8; 32],
    path: String,
    nonce: [u8; NONCE_BYTES],
}

/// What stands in a form that was sent, hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Content([u8; 32]);

impl Content {
    /// Hashes all fields but the token against forged requests, which is different in each page.
    pub(crate) fn of(form: &Form) -> Self {
        let mut hash = Sha256::new();
        for (name, value) in form.fields().filter(|(name, _)| *name != "csrf") {
            for text in [name, value] {
                hash.update(text.len().to_be_bytes());
                hash.update(text);
            }
        }
        Self(hash.finalize().into())
    }
}

impl NonceKey {
    /// Fails if a page of ours cannot have sent this nonce.
    pub(crate) fn new(session: &AdminSession, path: &str, form: &Form) -> Result<Self, Problem> {
        let bytes = URL_SAFE_NO_PAD.decode(form.text("nonce")).ok();
        let Some(nonce) = bytes.and_then(|bytes| bytes.try_into().ok()) else {
            let sentence =
                "The field nonce is missing. Open the page again and repeat your change.";
            return Err(Problem::Unreadable(StatusCode::BAD_REQUEST, sentence.to_owned()));
        };
        Ok(Self { session: session.csrf_secret(), path: path.to_owned(), nonce })
    }

    fn hash(&self) -> [u8; 32] {
        let Self { session, path, nonce } = self;
        Sha256::new().chain_update(session).chain_update(nonce).chain_update(path).finalize().into()
    }
}

/// Where the forms led whose nonces were used on this node. What was used on another, or before the last
/// start, the database knows.
pub(crate) struct UsedNonces(Cache<NonceKey, Arc<OnceCell<(Content, Address)>>>);

impl Default for UsedNonces {
    fn default() -> Self {
        Self(Cache::new(REMEMBERED_MAX))
    }
}

impl UsedNonces {
    /// Does `work` once for a nonce, also when the form is sent again meanwhile, and returns where that
    /// led. What failed may be sent again. Fails with [`Problem::SentBefore`] if the form made something
    /// already, and something else stands in it now.
    pub(crate) async fn once<E: From<Problem>>(
        &self,
        key: &NonceKey,
        content: Content,
        work: impl AsyncFnOnce() -> Result<Address, E>,
    ) -> Result<Address, E> {
        let cell = self.0.get_or_insert_with(key, || Ok::<_, Problem>(Arc::default()))?;
        let made = cell.get_or_try_init(async || Ok::<_, E>((content, work().await?))).await?;
        let (made_of, address) = made;
        if *made_of == content { Ok(address.clone()) } else { Err(Problem::SentBefore.into()) }
    }
}

/// Does `work` for the form's first sender among all servers. For later ones, returns where it led; fails
/// with [`Problem::SentBefore`] if another server is at it, or ended in the middle of it.
pub(crate) async fn claimed<E: From<Problem>>(
    kana: &Kana,
    key: &NonceKey,
    work: impl AsyncFnOnce() -> Result<Address, E>,
) -> Result<Address, E> {
    let form = key.hash();
    if let Some(led_to) = kana.claim_form(form).await.map_err(Problem::from)? {
        return Address::stored(&led_to).ok_or_else(|| Problem::SentBefore.into());
    }
    let made = work().await;
    let led_to = made.as_ref().ok().map(Address::as_str);
    if let Err(error) = kana.settle_form(form, led_to).await {
        // What was made is made. Sent to another node, the form is then only known to have been sent.
        tracing::debug!(%error, "where a form led could not be noted");
    }
    made
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use kana_service::EnvironmentKind;

    use super::*;

    #[tokio::test]
    async fn a_form_that_is_sent_twice_makes_one_and_one_that_failed_may_be_sent_again() {
        let (used, made) = (UsedNonces::default(), AtomicUsize::new(0));
        let key = |nonce| NonceKey { session: [1; 32], path: "/a".to_owned(), nonce: [nonce; 16] };
        let (first, second) = (key(1), key(2));
        let address = Address::of(EnvironmentKind::Test, "/features");
        let make = async || {
            tokio::task::yield_now().await;
            match made.fetch_add(1, Ordering::Relaxed) {
                0 => Err(Problem::Busy),
                _ => Ok(address.clone()),
            }
        };
        let content = Content([0; 32]);
        assert!(used.once(&first, Content([9; 32]), make).await.is_err());
        let (one, other) =
            tokio::join!(used.once(&first, content, make), used.once(&first, content, make));
        assert_eq!((one.unwrap(), other.unwrap()), (address.clone(), address.clone()));
        assert_eq!(made.load(Ordering::Relaxed), 2);
        used.once(&second, content, make).await.unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 3);
        let changed = used.once(&first, Content([9; 32]), make).await;
        assert!(matches!(changed, Err(Problem::SentBefore)));
        assert_eq!(made.load(Ordering::Relaxed), 3);
    }

    #[test]
    fn the_content_of_a_form_is_what_somebody_filled_in() {
        let content = |form: &[u8]| Content::of(&Form::read(form).unwrap());
        assert_eq!(content(b"csrf=1&name=a"), content(b"csrf=2&name=a"));
        assert_ne!(content(b"name=a&id=b"), content(b"name=a&id=c"));
        assert_ne!(content(b"name=ab"), content(b"namea=b"));
    }
}
