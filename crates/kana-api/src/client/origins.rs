//! The origins of web pages, written as browsers send them: `scheme "://" host [":" port]`, in
//! lower case, without the scheme's own port (WHATWG URL, "Origin").

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use axum::http::HeaderValue;

/// The web pages that may call the Client API.
///
/// Read from `*`, or from origins separated by commas.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum AllowedOrigins {
    /// Those of any origin.
    #[default]
    Any,
    /// Those of these origins.
    These(Vec<Origin>),
}

/// An origin as a browser sends it, like `https://app.example.com`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(HeaderValue);

/// A text that is no origin that a browser would send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidOrigin {
    text: String,
    problem: &'static str,
}

impl fmt::Display for InvalidOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {}; write an origin as https://app.example.com or http://localhost:3000, \
             several with commas between them, or * alone for any",
            self.text, self.problem
        )
    }
}

impl std::error::Error for InvalidOrigin {}

impl FromStr for AllowedOrigins {
    type Err = InvalidOrigin;

    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        if text.trim() == "*" {
            return Ok(Self::Any);
        }
        text.split(',').map(str::parse).collect::<Result<_, _>>().map(Self::These)
    }
}

impl Origin {
    /// The value of the `Origin` header.
    #[must_use]
    pub fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl FromStr for Origin {
    type Err = InvalidOrigin;

    /// What differs from what a browser sends only in its writing is written as a browser would.
    fn from_str(text: &str) -> Result<Self, InvalidOrigin> {
        let text = text.trim();
        let invalid = |problem| InvalidOrigin { text: text.to_owned(), problem };
        let written = written(&text.to_ascii_lowercase()).map_err(invalid)?;
        // It has only letters, digits and a few signs by now.
        let header = HeaderValue::try_from(written).map_err(|_| invalid("has a wrong host"))?;
        Ok(Self(header))
    }
}

fn written(text: &str) -> Result<String, &'static str> {
    match text {
        "" => return Err("is empty"),
        "*" => return Err("stands beside other origins"),
        "null" => return Err("is what pages without an origin send, of which anyone can make one"),
        _ => {}
    }
    let (scheme, rest) = text.split_once("://").ok_or("does not start with https:// or http://")?;
    let own_port = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return Err("does not start with https:// or http://"),
    };
    if rest.contains(['/', '\\', '?', '#']) {
        return Err("goes on after its host and port: leave out the rest, also a slash");
    }
    if rest.contains('@') {
        return Err("has a user's name, which no origin has");
    }
    // A host in brackets has colons of its own.
    let end_of_host = rest.find(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match rest[end_of_host..].split_once(':') {
        Some((host, port)) => (&rest[..end_of_host + host.len()], Some(port)),
        None => (rest, None),
    };
    let host = written_host(host)?;
    match port.map(read_port).transpose()? {
        Some(port) if port != own_port => Ok(format!("{scheme}://{host}:{port}")),
        _ => Ok(format!("{scheme}://{host}")),
    }
}

fn read_port(text: &str) -> Result<u16, &'static str> {
    // The number alone would be read with a plus before it, too.
    let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| all_digits && *port > 0);
    port.ok_or("has a port that is no number from 1 to 65535")
}

fn written_host(host: &str) -> Result<String, &'static str> {
    if host.is_empty() {
        return Err("has no host");
    }
    if let Some(address) = host.strip_prefix('[') {
        let address = address.strip_suffix(']').and_then(|address| address.parse().ok());
        return address.map(written_ipv6).ok_or("has no IPv6 address in its brackets");
    }
    if host.contains('*') {
        return Err("has a * for a part of its host, which no browser sends");
    }
    if !host.is_ascii() {
        return Err("has a host that browsers send in Punycode, with xn--");
    }
    let of_host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    let mut labels = host.split('.');
    if !labels.all(|label| !label.is_empty() && label.bytes().all(of_host)) {
        return Err("has a wrong host");
    }
    // Browsers take a host whose last part is a number for an address, and write it in full.
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_hexadecimal = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last.strip_prefix("0x").is_some_and(is_hexadecimal);
    if is_number && host.parse::<Ipv4Addr>().is_err() {
        return Err("has a wrong IPv4 address");
    }
    Ok(host.to_owned())
}

fn written_ipv6(address: Ipv6Addr) -> String {
    match address.segments() {
        // Browsers write an IPv4 address in it like the rest.
        [0, 0, 0, 0, 0, 0xffff, high, low] => {
            format!("[::ffff:{high:x}:{low:x}]")
        }
        _ => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> Result<Vec<String>, String> {
        match text.parse() {
            Ok(AllowedOrigins::Any) => Ok(vec!["*".to_owned()]),
            Ok(AllowedOrigins::These(origins)) => {
                let text = |origin: &Origin| origin.header().to_str().unwrap().to_owned();
                Ok(origins.iter().map(text).collect())
            }
            Err(InvalidOrigin { text, problem }) => Err(format!("{text}: {problem}")),
        }
    }

    #[test]
    fn a_star_alone_is_any_origin() {
        assert_eq!("*".parse(), Ok(AllowedOrigins::Any));
        assert_eq!(" * ".parse(), Ok(AllowedOrigins::Any));
    }

    #[test]
    fn an_origin_is_written_as_a_browser_sends_it() {
        for (text, origins) in [
            ("https://app.example.com", &["https://app.example.com"][..]),
            ("https://a.co,http://b.co", &["https://a.co", "http://b.co"]),
            ("https://a.co, http://b.co ", &["https://a.co", "http://b.co"]),
            ("HTTPS://App.Example.COM", &["https://app.example.com"]),
            ("https://a.co:443", &["https://a.co"]),
            ("http://a.co:80", &["http://a.co"]),
            ("https://a.co:80", &["https://a.co:80"]),
            ("http://localhost:03000", &["http://localhost:3000"]),
            ("http://my_host-1", &["http://my_host-1"]),
            ("http://127.0.0.1:8080", &["http://127.0.0.1:8080"]),
            ("http://[::1]", &["http://[::1]"]),
            ("http://[0:0:0:0:0:0:0:1]:8080", &["http://[::1]:8080"]),
            ("http://[::FFFF:127.0.0.1]", &["http://[::ffff:7f00:1]"]),
            ("http://[::ffff:0:0]", &["http://[::ffff:0:0]"]),
        ] {
            assert_eq!(written(text).unwrap(), origins, "{text}");
        }
    }

    #[test]
    fn what_no_browser_would_send_is_refused() {
        for (text, problem) in [
            ("", ": is empty"),
            ("https://a.co,,https://b.co", ": is empty"),
            ("https://a.co,", ": is empty"),
            ("*,https://a.co", "*: stands beside other origins"),
            ("foo", "foo: does not start with https:// or http://"),
            ("a.co", "a.co: does not start with https:// or http://"),
            ("a.co:443", "a.co:443: does not start with https:// or http://"),
            ("//a.co", "//a.co: does not start with https:// or http://"),
            ("ftp://x", "ftp://x: does not start with https:// or http://"),
            ("null", "null: is what pages without an origin send, of which anyone can make one"),
            ("https://", "https://: has no host"),
            ("https://:443", "https://:443: has no host"),
            ("https://user@a.co", "https://user@a.co: has a user's name, which no origin has"),
            (
                "https://*.a.co",
                "https://*.a.co: has a * for a part of its host, which no browser sends",
            ),
            (
                "https://bücher.de",
                "https://bücher.de: has a host that browsers send in Punycode, with xn--",
            ),
            ("https://a..co", "https://a..co: has a wrong host"),
            ("https://a co", "https://a co: has a wrong host"),
            ("https://a.co https://b.co", "https://a.co https://b.co: goes on"),
            ("http://127.1", "http://127.1: has a wrong IPv4 address"),
            ("http://0x7f", "http://0x7f: has a wrong IPv4 address"),
            ("http://::1", "http://::1: has no host"),
            ("http://[::1", "http://[::1: has no IPv6 address in its brackets"),
            ("http://[a.co]", "http://[a.co]: has no IPv6 address in its brackets"),
            ("http://[::1]x", "http://[::1]x: has no IPv6 address in its brackets"),
        ] {
            let refusal = written(text).unwrap_err();
            assert!(refusal.starts_with(problem), "{text}: {refusal}");
        }
        for end in ["/", "/path", "?query", "#fragment", "\\"] {
            let refusal = written(&format!("https://a.co{end}")).unwrap_err();
            assert!(refusal.contains("goes on after its host and port"), "{refusal}");
        }
        for port in ["", "0", "65536", "+80", "x", "80:80", "-1"] {
            let refusal = written(&format!("https://a.co:{port}")).unwrap_err();
            assert!(refusal.ends_with("no number from 1 to 65535"), "{refusal}");
        }
    }

    #[test]
    fn a_refusal_says_how_an_origin_is_written() {
        assert_eq!(
            "ftp://x".parse::<Origin>().unwrap_err().to_string(),
            "\"ftp://x\" does not start with https:// or http://; write an origin as \
             https://app.example.com or http://localhost:3000, several with commas between them, \
             or * alone for any"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_it_is(text in "(https?://)?[a-zA-Z0-9.:@/\\[\\]*-]{0,12}") {
            if let Ok(origin) = text.parse::<Origin>() {
                let again = origin.header().to_str().unwrap().parse();
                prop_assert_eq!(again, Ok(origin));
            }
        }
    }
}
