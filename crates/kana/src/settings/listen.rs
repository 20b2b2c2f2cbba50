//! The address to listen on, as given by `--listen`.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;

/// The address that a server listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListenAddress {
    /// An IP address and a port.
    At(SocketAddr),
    /// `localhost:4000`: the loopback address that the name resolves to first.
    Localhost(u16),
    /// `:4000`: every IPv6 and IPv4 address of the machine.
    Everywhere(u16),
}

impl ListenAddress {
    /// Returns the addresses to try in order. The next one is tried if the machine does not have
    /// one.
    pub(crate) fn candidates(self) -> Vec<SocketAddr> {
        match self {
            Self::At(address) => vec![address],
            Self::Everywhere(port) => vec![
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)),
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)),
            ],
            Self::Localhost(port) => {
                let resolved = ("localhost", port).to_socket_addrs();
                let loopback = |address: &SocketAddr| address.ip().is_loopback();
                let mut addresses: Vec<SocketAddr> =
                    resolved.map(|them| them.filter(loopback).collect()).unwrap_or_default();
                if addresses.is_empty() {
                    addresses.push(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
                }
                addresses
            }
        }
    }
}

impl ListenAddress {
    /// Returns the port; 0 if a free one is to be picked.
    pub(crate) fn port(self) -> u16 {
        match self {
            Self::At(address) => address.port(),
            Self::Localhost(port) | Self::Everywhere(port) => port,
        }
    }

    /// Returns host and port as a program on this machine reaches them.
    pub(crate) fn as_local_host(self) -> String {
        match self {
            Self::At(SocketAddr::V4(address)) if address.ip().is_unspecified() => {
                SocketAddr::from((Ipv4Addr::LOCALHOST, address.port())).to_string()
            }
            Self::At(SocketAddr::V6(address)) if address.ip().is_unspecified() => {
                SocketAddr::from((Ipv6Addr::LOCALHOST, address.port())).to_string()
            }
            _ => self.as_host(None),
        }
    }

    /// Returns host and port as a browser on this machine reaches them. `bound` has the port if it was
    /// picked.
    pub(crate) fn as_host(self, bound: Option<SocketAddr>) -> String {
        let port = |asked: u16| bound.map_or(asked, |bound| bound.port());
        match self {
            Self::At(address) if !address.ip().is_unspecified() => {
                SocketAddr::new(address.ip(), port(address.port())).to_string()
            }
            Self::At(address) => format!("localhost:{}", port(address.port())),
            Self::Localhost(asked) | Self::Everywhere(asked) => {
                format!("localhost:{}", port(asked))
            }
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let host_and_port =
            text.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
        match host_and_port {
            Some(("", port)) => Ok(Self::Everywhere(port)),
            Some((host, port)) if host.eq_ignore_ascii_case("localhost") => {
                Ok(Self::Localhost(port))
            }
            _ => Err("must be an IP address and a port like 127.0.0.1:4000 or [::1]:4000, \
                      localhost:4000, or :4000 for all addresses of the machine"
                .to_owned()),
        }
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => address.fmt(f),
            Self::Localhost(port) => write!(f, "localhost:{port}"),
            Self::Everywhere(port) => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_be_a_name_for_the_machine_itself_or_left_out() {
        for (text, address) in [
            ("127.0.0.1:4000", ListenAddress::At("127.0.0.1:4000".parse().unwrap())),
            ("[::1]:0", ListenAddress::At("[::1]:0".parse().unwrap())),
            ("localhost:4000", ListenAddress::Localhost(4000)),
            ("LocalHost:4000", ListenAddress::Localhost(4000)),
            (":4000", ListenAddress::Everywhere(4000)),
        ] {
            assert_eq!(text.parse(), Ok(address), "{text}");
        }
        for wrong in [
            "",
            ":",
            "4000",
            "localhost",
            "localhost:",
            "localhost:70000",
            "::1:4000",
            "kana.example.com:4000",
            ":-1",
            "127.0.0.1",
            "nowhere",
        ] {
            let problem = wrong.parse::<ListenAddress>().unwrap_err();
            assert!(problem.contains("127.0.0.1:4000"), "{wrong}: {problem}");
        }
    }

    #[test]
    fn a_browser_on_the_machine_is_led_to_an_address_that_it_can_open() {
        let bound = Some("127.0.0.1:1234".parse().unwrap());
        for (text, unbound, of_bound) in [
            ("127.0.0.1:4000", "127.0.0.1:4000", "127.0.0.1:1234"),
            ("[::1]:0", "[::1]:0", "[::1]:1234"),
            ("localhost:4000", "localhost:4000", "localhost:1234"),
            (":4000", "localhost:4000", "localhost:1234"),
            ("0.0.0.0:4000", "localhost:4000", "localhost:1234"),
        ] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.as_host(None), unbound, "{text}");
            assert_eq!(address.as_host(bound), of_bound, "{text}");
        }
    }

    #[test]
    fn a_program_on_the_machine_reaches_an_address_of_all_by_loopback() {
        for (text, host) in [
            ("127.0.0.1:4000", "127.0.0.1:4000"),
            ("192.0.2.1:4000", "192.0.2.1:4000"),
            ("0.0.0.0:4000", "127.0.0.1:4000"),
            ("[::]:4000", "[::1]:4000"),
            (":4000", "localhost:4000"),
            ("localhost:4000", "localhost:4000"),
        ] {
            assert_eq!(text.parse::<ListenAddress>().unwrap().as_local_host(), host, "{text}");
        }
    }

    #[test]
    fn localhost_is_never_an_address_that_others_reach() {
        let addresses = ListenAddress::Localhost(4000).candidates();
        assert!(!addresses.is_empty());
        assert!(addresses.iter().all(|address| address.ip().is_loopback()), "{addresses:?}");
        let everywhere = ListenAddress::Everywhere(4000).candidates();
        let everywhere: Vec<String> = everywhere.iter().map(SocketAddr::to_string).collect();
        assert_eq!(everywhere, ["[::]:4000", "0.0.0.0:4000"]);
    }
}
