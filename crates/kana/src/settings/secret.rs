//! Hides passwords in database URLs and in texts that may repeat them.

use std::fmt;
use std::str::FromStr;

use kana_store::{StoreError, postgres};

/// The replacement for a password.
const HIDDEN: &str = "***";
/// The parameter of a URL that precedes a password.
const PARAMETER: &str = "password=";

/// The URL of a PostgreSQL database. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct DatabaseUrl(String);

impl DatabaseUrl {
    /// Returns the URL with its password.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl FromStr for DatabaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match postgres::check_url(text) {
            Ok(()) => Ok(Self(text.to_owned())),
            Err(StoreError::DatabaseUrl { problem }) => {
                Err(format!("{problem}; it is like postgres://user:password@host:5432/database"))
            }
            Err(error) => Err(error.to_string()),
        }
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_password(&self.0))
    }
}

/// Hides the passwords of `values` in a message that may repeat them.
pub(crate) fn without_passwords<'a>(
    message: &str,
    values: impl IntoIterator<Item = &'a str>,
) -> String {
    let mut message = message.to_owned();
    for value in values {
        let hidden = without_password(value);
        if hidden != value {
            message = message.replace(value, &hidden);
        }
    }
    message
}

/// Hides the password of a value that looks like a URL: `postgres://kana:***@db/kana`. Also hides
/// parts that may belong to the password.
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else {
        // A URL whose scheme was forgotten, or is wrong.
        let before_host = value.rsplit_once('@');
        let parts = before_host.and_then(|(user, host)| Some((user.split_once(':')?.0, host)));
        return match parts {
            Some((user, host)) => format!("{user}:{HIDDEN}@{}", without_parameter(host)),
            None => without_parameter(value),
        };
    };
    let Some((user, host)) = rest.rsplit_once('@') else {
        // Without an @, the part after a colon is a port, or a password without a host.
        let (authority, _) = rest.split_once(['/', '?']).unwrap_or((rest, ""));
        let may_be_password = authority.rsplit_once(':').is_some_and(|(_, port)| {
            !authority.ends_with(']') && !port.bytes().all(|byte| byte.is_ascii_digit())
        });
        return if may_be_password {
            format!("{scheme}://{HIDDEN}")
        } else {
            without_parameter(value)
        };
    };
    let host = without_parameter(host);
    match user.split_once(':') {
        Some((user, _)) => format!("{scheme}://{user}:{HIDDEN}@{host}"),
        None => without_parameter(value),
    }
}

/// Hides the value after `password=`.
fn without_parameter(value: &str) -> String {
    let Some(start) = value.to_ascii_lowercase().find(PARAMETER) else {
        return value.to_owned();
    };
    let (before, rest) = value.split_at(start + PARAMETER.len());
    let after = rest.find('&').map_or("", |end| rest.split_at(end).1);
    format!("{before}{HIDDEN}{after}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_hidden_also_in_what_is_no_right_url() {
        for (value, shown) in [
            ("postgres://kana:hunter2@db/kana", "postgres://kana:***@db/kana"),
            ("postgres://kana:hun@ter2/2@db/kana", "postgres://kana:***@db/kana"),
            ("postgres://kana:hun'ter 2@db:5432", "postgres://kana:***@db:5432"),
            ("postgres://:hunter2@db", "postgres://:***@db"),
            ("mysql://kana:hunter2@db:port/x?y=z", "mysql://kana:***@db:port/x?y=z"),
            (
                "postgres://db/k?user=u&password=hunter2&x=y",
                "postgres://db/k?user=u&password=***&x=y",
            ),
            ("postgres://a@db/k?PASSWORD=hunter2", "postgres://a@db/k?PASSWORD=***"),
            ("host=db password=hunter2 dbname=kana", "host=db password=***"),
            ("postgres://kana:hunter2", "postgres://***"),
            ("postgres://kana:hunter2/db", "postgres://***"),
            ("postgres://db:5432/kana", "postgres://db:5432/kana"),
            ("postgres://kana@db/kana", "postgres://kana@db/kana"),
            ("https://[::1]/", "https://[::1]/"),
            ("https://kana.example.com", "https://kana.example.com"),
            ("plain text", "plain text"),
            ("kana:hunter2@db", "kana:***@db"),
            ("http:/kana:hun@ter2@db/x", "http:***@db/x"),
            ("ada@example.com", "ada@example.com"),
        ] {
            assert_eq!(without_password(value), shown);
        }
        let message = "invalid value 'postgres://kana:hunter2@db'";
        let shown = without_passwords(message, ["serve", "postgres://kana:hunter2@db"]);
        assert_eq!(shown, "invalid value 'postgres://kana:***@db'");
    }

    #[test]
    fn a_database_url_shows_no_password_when_it_is_printed() {
        let url: DatabaseUrl = "postgres://kana:hunter2@db/kana".parse().unwrap();
        assert_eq!(format!("{url:?}"), r#""postgres://kana:***@db/kana""#);
        assert_eq!(url.reveal(), "postgres://kana:hunter2@db/kana");
    }
}
