//! The app, its environments and its keys (contract: `server.md`, `admin-api.md`).

use std::fmt;

use kana_core::Timestamp;

/// Names one environment in every query.
///
/// Only this crate makes one: for the environment of a key that was presented, or for the app's
/// own tools. Code that forgets to ask whose data it may touch so does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub(crate) i64);

/// The two environments of an app, which share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvironmentKind {
    /// For development.
    Test,
    /// For real users.
    Live,
}

impl EnvironmentKind {
    /// Both of them: an app has one of each.
    pub const ALL: [Self; 2] = [Self::Test, Self::Live];

    /// The name as it stands in keys and on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Live => "live",
        }
    }
}

impl fmt::Display for EnvironmentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a key opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The Admin API, for back ends.
    Private,
    /// The Client API, for browsers.
    Public,
}

impl KeyKind {
    /// The name as it stands on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Private => "private",
            Self::Public => "public",
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One product whose pricing is kept here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its name.
    pub name: String,
}

/// The SHA-256 hash of a key: all that is stored of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// How an environment lets browsers in (contract: `client-api.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAccess {
    /// The environment. Nobody has shown a key for it yet: only who has shown a token that one of
    /// the secrets signed may use it.
    pub environment: EnvironmentId,
    /// Whether a public key and a user's id in a header are enough.
    pub simple_mode: bool,
    /// What user tokens may be signed with, the newest first.
    pub token_secrets: Vec<TokenSecret>,
}

/// What user tokens are signed with.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// The secret itself.
    pub secret: Vec<u8>,
    /// Until when its tokens are good; `None` for the one that signs new tokens.
    pub valid_until: Option<Timestamp>,
}

impl fmt::Debug for TokenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSecret")
            .field("valid_until", &self.valid_until)
            .finish_non_exhaustive()
    }
}

/// A key to be stored.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// The environment that it opens.
    pub environment: EnvironmentKind,
    /// What it opens there.
    pub kind: KeyKind,
    /// Its hash.
    pub hash: KeyHash,
    /// Its last four characters, by which a person tells it from others.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl NewKey {
    /// Returns the key as it is once it is stored.
    pub(crate) fn stored(&self, id: i64, environment: EnvironmentId) -> Key {
        Key {
            id,
            environment,
            environment_kind: self.environment,
            kind: self.kind,
            last_four: self.last_four.clone(),
            created_at: self.created_at,
            revoked_at: None,
        }
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// By which it is revoked.
    pub id: i64,
    /// The environment that it opens.
    pub environment: EnvironmentId,
    /// Which of the two that is.
    pub environment_kind: EnvironmentKind,
    /// What it opens there.
    pub kind: KeyKind,
    /// Its last four characters.
    pub last_four: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was revoked; it opens nothing since.
    pub revoked_at: Option<Timestamp>,
}
