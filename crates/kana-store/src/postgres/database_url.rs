//! Parses the URL of the database.

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{ChannelBinding, SslMode};

use super::tls::{MODES, Tls, TlsMode, TlsParameters};
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
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

fn wrong(problem: impl Into<String>) -> StoreError {
    StoreError::DatabaseUrl { problem: problem.into() }
}

/// What an error says if more of the URL could be a part of the password.
fn unreadable() -> StoreError {
    wrong("it has a part that cannot be read (in a password, write %40 for @ and %2F for /)")
}

/// Checks a database URL without connecting. Reads the files that it names. Fails with
/// [`StoreError::DatabaseUrl`] if it is invalid.
pub fn check_url(url: &str) -> Result<(), StoreError> {
    read(url).map(drop)
}

/// Parses the URL, and reads the files that it names. The error repeats nothing that could be part
/// of a password.
pub(super) fn read(url: &str) -> Result<(Config, Tls), StoreError> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong("it does not begin with postgres://"));
    }
    // With a second @, an apparent option may be the rest of a password.
    let is_ambiguous = url.matches('@').count() > 1;
    if !is_ambiguous {
        check_options(url)?;
    }
    let (url, parameters) = without_tls(url).ok_or_else(unreadable)?;
    // The driver's message can repeat a part of the URL, which can be the password.
    let mut config: Config = url.parse().map_err(|_| unreadable())?;
    if config.get_hosts().is_empty() {
        return Err(wrong("it names no host"));
    }
    if config.get_dbname().is_none() {
        return Err(wrong("it names no database"));
    }
    let tls = match Tls::new(&parameters) {
        Ok(tls) => tls,
        Err(_) if is_ambiguous => return Err(unreadable()),
        Err(problem) => return Err(wrong(problem)),
    };
    if tls.mode == TlsMode::Disable && config.get_channel_binding() == ChannelBinding::Require {
        return Err(wrong("channel_binding=require needs TLS, and it has sslmode=disable"));
    }
    config.ssl_mode(match tls.mode {
        TlsMode::Disable => SslMode::Disable,
        TlsMode::Prefer => SslMode::Prefer,
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => SslMode::Require,
    });
    Ok((config, tls))
}

/// Returns where the options begin, after the `?`, if there are some.
fn options_start(url: &str) -> Option<usize> {
    let host = url.find('@').map_or(0, |at| at + 1);
    url.get(host..)?.find('?').map(|mark| host + mark + 1)
}

/// Takes the parameters about TLS out of a URL, since the driver knows only some of them. Returns
/// `None` if one is not UTF-8.
fn without_tls(url: &str) -> Option<(String, TlsParameters)> {
    let mut parameters = TlsParameters::default();
    let Some((before, options)) = options_start(url).and_then(|start| url.split_at_checked(start))
    else {
        return Some((url.to_owned(), parameters));
    };
    let mut others = Vec::new();
    for option in options.split('&') {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let place = match name {
            "sslmode" => &mut parameters.sslmode,
            "sslrootcert" => &mut parameters.sslrootcert,
            "sslcert" => &mut parameters.sslcert,
            "sslkey" => &mut parameters.sslkey,
            _ => {
                others.push(option);
                continue;
            }
        };
        *place = Some(percent_decode_str(value).decode_utf8().ok()?.into_owned());
    }
    let before = if others.is_empty() { before.trim_end_matches('?') } else { before };
    Some((format!("{before}{}", others.join("&")), parameters))
}

/// Fails with the first option that is unknown or has an invalid value.
fn check_options(url: &str) -> Result<(), StoreError> {
    let Some(options) = options_start(url).and_then(|start| url.get(start..)) else {
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
        if matches!(name, "sslrootcert" | "sslcert" | "sslkey") && value.is_empty() {
            return Err(wrong(format!("its option {name} names no file")));
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
        "sslmode" => MODES,
        "channel_binding" => &["disable", "prefer", "require"],
        "target_session_attrs" => &["read-write"],
        "keepalives" => &["0", "1"],
        _ => return None,
    })
}

fn wrong_value(option: &str, value: &str, allowed: &[&str]) -> String {
    let allowed = allowed.join(" or ");
    if option == "sslmode" && value == "allow" {
        return format!("sslmode=allow is not supported; allowed is {allowed}");
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
            ("sslmode=verify-full", "sslmode=verify-full", "needs sslrootcert"),
            ("sslmode=verify-ca", "sslmode=verify-ca", "needs sslrootcert"),
            ("sslmode=allow", "sslmode=allow", "disable or prefer or require or verify-ca"),
            ("sslmode=hunter2", "option sslmode", "disable or prefer or require or verify-ca"),
            ("sslmode=", "option sslmode", "disable or prefer"),
            ("sslrootcert=", "option sslrootcert", "no file"),
            (
                "sslmode=verify-full&sslrootcert=/nowhere/ca.pem",
                "/nowhere/ca.pem",
                "cannot be read",
            ),
            ("sslmode=verify-full&sslrootcert=/dev/null", "/dev/null", "not a file"),
            ("sslcert=/nowhere/kana.pem", "sslcert", "needs sslkey"),
            ("sslkey=/nowhere/kana.key", "sslkey", "needs sslcert"),
            ("sslcert=/nowhere/a%20b.pem&sslkey=/c", "/nowhere/a b.pem", "cannot be read"),
            ("sslmode=disable&channel_binding=require", "channel_binding=require", "needs TLS"),
            ("sslmode=require&sslpassword=hunter2", "unknown option sslpassword", "sslkey"),
            ("sslmode=require&sslcrl=/hunter2", "unknown option sslcrl", "sslkey"),
            ("target_session_attrs=any", "option target_session_attrs", "read-write"),
            ("load_balance_hosts=random", "unknown option load_balance_hosts", "host"),
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
        for password in [
            "a@b?hunter2=c",
            "a?hunter2=c",
            "a/b@c?d=e&hunter2=f",
            "?hunter2",
            "a@b?sslrootcert=hunter2",
            "a@b?sslcert=hunter2&sslkey=hunter2",
        ] {
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
                // Those that name files have tests with files.
                "sslcert" | "sslkey" | "sslrootcert" => continue,
                _ => "1",
            };
            let url = format!("postgres://kana@db/kana?{option}={value}");
            assert!(read(&url).is_ok(), "{url}: {}", problem(&url));
        }
    }

    #[test]
    fn the_mode_of_tls_is_taken_from_between_the_other_options() {
        for (options, mode) in [
            ("", TlsMode::Prefer),
            ("?sslmode=disable", TlsMode::Disable),
            ("?sslmode=require", TlsMode::Require),
            ("?sslmode=disable&connect_timeout=3&sslmode=require", TlsMode::Require),
            ("?connect_timeout=3&sslmode=require&application_name=a%26b", TlsMode::Require),
        ] {
            let (config, tls) = read(&format!("postgres://kana:a?b@db/kana{options}")).unwrap();
            assert_eq!(tls.mode, mode, "{options}");
            assert_eq!(config.get_password(), Some("a?b".as_bytes()));
            assert_eq!(config.get_connect_timeout().is_some(), options.contains("timeout"));
            let name = options.contains("a%26b").then_some("a&b");
            assert_eq!(config.get_application_name(), name);
        }
    }
}
