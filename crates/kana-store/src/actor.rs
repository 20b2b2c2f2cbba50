//! Who asks.

use std::fmt;
use std::sync::Arc;

use crate::people::AdminId;

/// Whoever changes something: stored with each change and each entry of the audit log
/// (contract: `operations.md`, "Audit log"). The rules never see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Whoever holds this private key.
    Key {
        /// Its number.
        id: i64,
        /// The name that it was given.
        name: Option<Arc<str>>,
        /// Its last four characters.
        last_four: Arc<str>,
    },
    /// Somebody who is signed in to the dashboard.
    Person {
        /// The admin's number.
        id: AdminId,
        /// The admin's e-mail.
        email: Arc<str>,
    },
    /// Whoever runs `kana` where the database is.
    CommandLine,
    /// Kana itself, in the background.
    Job,
}

impl Actor {
    /// Returns true if the audit log has what this actor does to users and subscriptions. What keys
    /// do to them is in the changes feed only.
    #[must_use]
    pub fn is_audited_for_users(&self) -> bool {
        match self {
            Self::Person { .. } | Self::CommandLine => true,
            Self::Key { .. } | Self::Job => false,
        }
    }
}

/// Formats the actor as the audit log shows it, like `key 7 (CI, …3f9a)`.
impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key { id, name: Some(name), last_four } => {
                write!(f, "key {id} ({name}, …{last_four})")
            }
            Self::Key { id, name: None, last_four } => write!(f, "key {id} (…{last_four})"),
            Self::Person { email, .. } => f.write_str(email),
            Self::CommandLine => f.write_str("command line"),
            Self::Job => f.write_str("job"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_is_named_as_the_audit_log_shows_it() {
        let key = |name: Option<&str>| {
            Actor::Key { id: 7, name: name.map(Arc::from), last_four: "3f9a".into() }.to_string()
        };
        assert_eq!(key(Some("CI")), "key 7 (CI, …3f9a)");
        assert_eq!(key(None), "key 7 (…3f9a)");
        assert_eq!(Actor::CommandLine.to_string(), "command line");
        let person = Actor::Person { id: AdminId(1), email: "ada@example.com".into() };
        assert_eq!(person.to_string(), "ada@example.com");
    }
}
