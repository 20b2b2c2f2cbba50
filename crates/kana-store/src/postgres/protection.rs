//! What protects a connection to the server.

use std::fmt;
use std::net::IpAddr;

use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::tls::TlsMode;

/// What protects a connection to the database. Shown as `TLSv1.3, verify-full`, or `plain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// TLS.
    Tls {
        /// The protocol, like `TLSv1.3`.
        version: &'static str,
        /// What was checked of the server's certificate.
        mode: TlsMode,
    },
    /// Nothing: others on the way can read and change what is sent.
    Plain {
        /// Whether it leaves this machine: it is neither a socket nor a loopback address.
        leaves_machine: bool,
    },
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls { version, mode } => write!(f, "{version}, {mode}"),
            Self::Plain { .. } => f.write_str("plain"),
        }
    }
}

/// Returns true if connections to a server leave this machine. `server` has one host.
pub(super) fn leaves_machine(server: &Config) -> bool {
    if let Some(address) = server.get_hostaddrs().first() {
        return !address.is_loopback();
    }
    !server.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => is_loopback(name),
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn is_loopback(host: &str) -> bool {
    let name = host.trim_start_matches('[').trim_end_matches(']');
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        // RFC 6761: these names never lead elsewhere.
        Err(_) => name.eq_ignore_ascii_case("localhost"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_sockets_stay_on_the_machine() {
        for (host, expected) in [
            ("localhost", false),
            ("127.0.0.1", false),
            ("127.8.8.8", false),
            ("[::1]", false),
            ("%2Fvar%2Frun%2Fpostgresql", false),
            ("db.example.com", true),
            ("10.0.0.7", true),
            ("localhost.example.com", true),
        ] {
            let url = format!("postgres://kana@{host}/kana");
            assert_eq!(leaves_machine(&url.parse().unwrap()), expected, "{host}");
        }
        let address = "postgres://kana@localhost/kana?hostaddr=10.0.0.7".parse().unwrap();
        assert!(leaves_machine(&address));
    }

    #[test]
    fn it_is_shown_in_a_few_words() {
        let tls = Protection::Tls { version: "TLSv1.3", mode: TlsMode::VerifyFull };
        assert_eq!(tls.to_string(), "TLSv1.3, verify-full");
        assert_eq!(Protection::Plain { leaves_machine: true }.to_string(), "plain");
    }
}
