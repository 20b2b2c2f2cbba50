use std::collections::HashMap;

use crate::error::ApiError;

/// What a restricted key may do with a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// Retrieve and list.
    Read,
    /// Create, update and delete as well.
    Write,
}

/// The keys that are known. Others are answered with 401.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    /// What a restricted key may do; `None` for a secret key, which may do all.
    permissions: HashMap<String, Option<HashMap<String, Access>>>,
}

impl Keys {
    /// Adds a key that may do all. Answers false if it does not begin as a key does.
    pub(crate) fn add(&mut self, key: &str) -> bool {
        let is_key = livemode(key).is_some();
        if is_key {
            self.permissions.insert(key.to_owned(), None);
        }
        is_key
    }

    /// Adds a key that may do only this. Answers false if it does not begin as a key does.
    pub(crate) fn add_restricted(
        &mut self,
        key: &str,
        permissions: HashMap<String, Access>,
    ) -> bool {
        let is_key = livemode(key).is_some();
        if is_key {
            self.permissions.insert(key.to_owned(), Some(permissions));
        }
        is_key
    }

    /// Answers the mode of the key in the header `Authorization`.
    pub(crate) fn check(
        &self,
        authorization: Option<&str>,
        needed: Option<(&str, Access)>,
    ) -> Result<bool, ApiError> {
        let key = authorization.and_then(|header| header.strip_prefix("Bearer ")).map(str::trim);
        let Some(key) = key.filter(|key| !key.is_empty()) else {
            let message =
                "You did not provide an API key. Send it as `Authorization: Bearer YOUR_KEY`.";
            return Err(ApiError::unauthorized(message));
        };
        let (Some(permissions), Some(livemode)) = (self.permissions.get(key), livemode(key)) else {
            return Err(ApiError::unauthorized(format!(
                "Invalid API Key provided: {}",
                masked(key)
            )));
        };
        if let (Some(permissions), Some((resource, access))) = (permissions, needed)
            && permissions.get(resource).is_none_or(|allowed| *allowed < access)
        {
            let access = if access == Access::Read { "read" } else { "write" };
            return Err(ApiError::forbidden(&masked(key), &format!("{resource}_{access}")));
        }
        Ok(livemode)
    }
}

/// Whether a key is for live objects; `None` if it is no key.
fn livemode(key: &str) -> Option<bool> {
    let begins =
        |beginnings: [&str; 2]| beginnings.iter().any(|beginning| key.starts_with(beginning));
    match () {
        () if begins(["sk_test_", "rk_test_"]) => Some(false),
        () if begins(["sk_live_", "rk_live_"]) => Some(true),
        () => None,
    }
}

/// A key with only its beginning and its last four characters.
fn masked(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    if chars.len() < 16 {
        return "*".repeat(chars.len().min(16));
    }
    let (start, end) = (&chars[..8], &chars[chars.len() - 4..]);
    start.iter().chain(&['*'; 4]).chain(end).collect()
}
