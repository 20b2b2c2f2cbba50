//! The app, its environments and its keys (contract: `server.md`, `admin-api.md`).

use std::fmt;

use kana_core::Timestamp;

/// The id of an environment. Every query takes one.
///
/// Only this crate creates it, for a valid key or for the app's own tools. So code that does not
/// know whose data it may touch does not compile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnvironmentId(pub(crate) i64);

impl EnvironmentId {
    /// Stands where an entry of the audit log belongs to no environment. No environment has it.
    pub(crate) const NONE: Self = Self(0);
}

/// The two environments of an app, which share nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EnvironmentKind {
    /// For development.
    Test,
    /// For real users.
    Live,
}

impl EnvironmentKind {
    /// Both environments of an app.
    pub const ALL: [Self; 2] = [Self::Test, Self::Live];

    /// Returns the name that keys and the command line use.
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

/// The kind of a key: which API it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The Admin API, for back ends.
    Private,
    /// The Client API, for browsers.
    Public,
}

impl KeyKind {
    /// Returns the name that the command line uses.
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

/// The SHA-256 hash of a key. The key itself is not stored.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash(…)")
    }
}

/// Who may use the Client API of an environment (contract: `client-api.md`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAccess {
    /// The environment. Use it only after a user token was verified with one of the secrets.
    pub environment: EnvironmentId,
    /// Whether a public key and a user's id in a header are enough.
    pub simple_mode: bool,
    /// The secrets that user tokens may be signed with, newest first.
    pub token_secrets: Vec<TokenSecret>,
}

/// A secret that signs user tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSecret {
    /// The secret itself.
    pub secret: Vec<u8>,
    /// When its tokens stop being valid; `None` for the secret that signs new tokens.
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
    /// Which API it opens.
    pub kind: KeyKind,
    /// Its hash.
    pub hash: KeyHash,
    /// The name that people know it by.
    pub name: Option<String>,
    /// Its last four characters, by which people recognise it.
    pub last_four: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it, as the audit log shows it.
    pub created_by: Option<String>,
    /// When it stops being good; `None` for one that never does.
    pub expires_at: Option<Timestamp>,
}

impl NewKey {
    /// Returns the key as it is once it is stored.
    pub(crate) fn stored(&self, id: i64, environment: EnvironmentId) -> Key {
        Key {
            id,
            environment,
            environment_kind: self.environment,
            kind: self.kind,
            name: self.name.clone(),
            last_four: self.last_four.clone(),
            created_at: self.created_at,
            created_by: self.created_by.clone(),
            last_used_at: None,
            expires_at: self.expires_at,
            revoked_at: None,
        }
    }
}

/// A key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its number, which `kana keys revoke` takes.
    pub id: i64,
    /// The environment that it opens.
    pub environment: EnvironmentId,
    /// Test or live.
    pub environment_kind: EnvironmentKind,
    /// Which API it opens.
    pub kind: KeyKind,
    /// The name that people know it by.
    pub name: Option<String>,
    /// Its last four characters.
    pub last_four: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// Who created it, as the audit log shows it; `None` for a key from before that was kept.
    pub created_by: Option<String>,
    /// The minute of its last use, which nodes write once a minute; `None` before the first.
    pub last_used_at: Option<Timestamp>,
    /// When it stops being good; `None` for one that never does.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked; `None` for one that was not.
    pub revoked_at: Option<Timestamp>,
}

/// Whether a key opens anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It does.
    Active,
    /// Its time is over.
    Expired,
    /// Somebody revoked it.
    Revoked,
}

impl Key {
    /// Returns whether the key opens anything at an instant.
    #[must_use]
    pub fn state(&self, now: Timestamp) -> KeyState {
        match (self.revoked_at, self.expires_at) {
            (Some(_), _) => KeyState::Revoked,
            (None, Some(at)) if at <= now => KeyState::Expired,
            (None, _) => KeyState::Active,
        }
    }
}
