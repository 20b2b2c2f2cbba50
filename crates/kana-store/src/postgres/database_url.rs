//! Parses the URL of the database.

use tokio_postgres::Config;
use tokio_postgres::config::SslMode;

use crate::error::StoreError;

/// The options that a URL may have.
const OPTIONS: &[&str] = &[
    "application_name",
    "channel_binding",
    "connect_timeout",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_retries",
    "options",
    "password",
    "port",
    "sslmode",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// The values of `sslmode` that need TLS, which this release does not have.
const TLS_MODES: &[&str] = &["allow", "require", "verify-ca", "verify-full"];

fn wrong(problem: impl Into<String>) -> StoreError {
    StoreError::DatabaseUrl { problem: problem.into() }
}

/// Checks a database URL without connecting. Fails with [`StoreError::DatabaseUrl`] if it is
/// invalid.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    read(url).map(drop)
}

/// Parses the URL. The error repeats nothing that could be part of a password.
pub(super) fn read(url: &str) -> Result<Config, StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it does not begin with postgres://"));
    }
    check_options(url)?;
    // The driver's message can repeat a part of the URL, which can be the password.
    let config: Config = url.parse().map_err(|_| {
        wrong("it has a part that cannot be read (in a password, write %40 for @ and %2F for /)")
    })?;
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host"));
    }
    if config.get_dbname().is_none() {
        return Err(wrong("it names no database"));
    }
    if config.get_ssl_mode() == SslMode::Require {
        return Err(wrong("it asks for TLS (sslmode=require), which this release does not have"));
    }
    Ok(config)
}

/// Fails with the first option that is unknown or has an invalid value.
fn check_options(url: &str) -> Result<(), StoreError> {
    // With a second @, an apparent option may be the rest of a password.
    if url.matches('@').count() > 1 {
        return Ok(());
    }
    let rest = url.split_once('@').map_or(url, |(_, rest)| rest);
    let Some((_, options)) = rest.split_once('?') else {
        return Ok(());
    };
    for option in options.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        if !OPTIONS.contains(&name) {
            return Err(wrong(unknown_option(name)));
        }
        if let Some(allowed) = allowed_values(name)
            && !allowed.contains(&value)
        {
            return Err(wrong(wrong_value(name, value, allowed)));
        }
    }
    Ok(())
}

fn unknown_option(name: &str) -> String {
    let is_a_name = |name: &str| {
        name.len() <= 40 && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let named = match name {
        "schema" | "currentSchema" | "search_path" => {
            format!("it has the option {name}, but Kana's tables are always in the schema kana;")
        }
        _ if !name.is_empty() && is_a_name(name) => format!("it has the unknown option {name};"),
        _ => "it has an unknown option;".to_owned(),
    };
    format!("{named} known are {}", OPTIONS.join(", "))
}

fn allowed_values(option: &str) -> Option<&'static [&'static str]> {
    Some(match option {
        "sslmode" => &["disable", "prefer"],
        "channel_binding" => &["disable", "prefer", "require"],
        "target_session_attrs" => &["read-write"],
        "keepalives" => &["0", "1"],
        _ => return None,
    })
}

fn wrong_value(option: &str, value: &str, allowed: &[&str]) -> String {
    let allowed = allowed.join(" or ");
    if option == "sslmode" && TLS_MODES.contains(&value) {
        return format!(
            "it asks for TLS (sslmode={value}), which this release does not have; allowed is {allowed}"
        );
    }
    format!("its option {option} has a value that is not allowed; allowed is {allowed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(url: &str) -> String {
        read(url).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_url_is_told_without_what_it_holds() {
        for (url, part) in [
            ("", "postgres://"),
            ("mysql://kana:hunter2@db/kana", "postgres://"),
            ("postgres://kana:hunter2@db:nowhere/kana", "cannot be read"),
            ("postgres://kana:hunter2@db", "no database"),
            ("postgres:///kana", "no host"),
            ("postgres://kana:hunter2@db/kana?connect_timeout=hunter2", "cannot be read"),
        ] {
            let problem = problem(url);
            assert!(problem.contains(part), "{url}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn an_option_that_is_unknown_or_has_a_wrong_value_is_named_with_what_is_allowed() {
        for (options, named, allowed) in [
            ("pgbouncer=true", "unknown option pgbouncer", "connect_timeout"),
            ("connect_timeout=3&schema=public", "option schema", "schema kana"),
            ("conect_timeout=hunter2", "unknown option conect_timeout", "connect_timeout"),
            ("sslmode=verify-full", "sslmode=verify-full", "disable or prefer"),
            ("sslmode=require", "sslmode=require", "disable or prefer"),
            ("sslmode=hunter2", "option sslmode", "disable or prefer"),
            ("target_session_attrs=any", "option target_session_attrs", "read-write"),
            ("load_balance_hosts=random", "unknown option load_balance_hosts", "host"),
            ("sslrootcert=/hunter2", "unknown option sslrootcert", "sslmode"),
            ("hunter2!", "an unknown option", "sslmode"),
        ] {
            let problem = problem(&format!("postgres://kana:hunter2@db/kana?{options}"));
            assert!(problem.contains(named), "{options}: {problem}");
            assert!(problem.contains(allowed), "{options}: {problem}");
            assert!(!problem.contains("hunter2"), "{problem}");
        }
    }

    #[test]
    fn a_password_that_is_not_written_as_a_url_wants_it_is_not_told() {
        for password in ["a@b?hunter2=c", "a?hunter2=c", "a/b@c?d=e&hunter2=f", "?hunter2"] {
            let url = format!("postgres://kana:{password}@db/kana?hunter=1");
            let problem = read(&url).map_or_else(|error| error.to_string(), |_| String::new());
            assert!(!problem.contains("hunter2"), "{url}: {problem}");
        }
    }

    #[test]
    fn every_option_that_is_allowed_is_read() {
        for option in OPTIONS {
            let value = match *option {
                "hostaddr" => "127.0.0.1",
                "target_session_attrs" => "read-write",
                "sslmode" | "channel_binding" => "prefer",
                _ => "1",
            };
            let url = format!("postgres://kana@db/kana?{option}={value}");
            assert!(read(&url).is_ok(), "{url}: {}", problem(&url));
        }
    }
}
