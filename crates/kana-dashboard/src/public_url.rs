//! Where people reach the dashboard.

use std::fmt;
use std::str::FromStr;

use axum::http::Uri;

/// The public URL of the server, without a path (contract: `dashboard.md`, `--public-url`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    is_https: bool,
    /// Host and port, without a port that the scheme implies.
    authority: String,
}

impl PublicUrl {
    /// Returns true if people reach the server by HTTPS only.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// Returns true if a browser on a page of this URL sends this `Origin`.
    #[must_use]
    pub fn is_origin(&self, origin: &str) -> bool {
        origin.parse::<Self>().is_ok_and(|origin| origin == *self)
    }
}

impl FromStr for PublicUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem =
            || format!("{text:?} is not a URL like https://kana.example.com, without a path");
        let uri: Uri = text.parse().map_err(|_| problem())?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(problem()),
        };
        let authority = uri.authority().ok_or_else(problem)?;
        let is_bare = uri.path() == "/" && uri.query().is_none() && !text.contains(['@', '#']);
        if !is_bare || authority.host().is_empty() {
            return Err(problem());
        }
        let host = authority.host().to_ascii_lowercase();
        let implied = if is_https { 443 } else { 80 };
        let authority = match authority.port_u16().filter(|port| *port != implied) {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
        Ok(Self { is_https, authority })
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}", self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_url_is_scheme_host_and_port() {
        for (text, shown) in [
            ("https://kana.example.com", "https://kana.example.com"),
            ("https://kana.example.com/", "https://kana.example.com"),
            ("https://Kana.Example.com:443", "https://kana.example.com"),
            ("http://127.0.0.1:4000", "http://127.0.0.1:4000"),
            ("http://[::1]:4000", "http://[::1]:4000"),
        ] {
            assert_eq!(text.parse::<PublicUrl>().unwrap().to_string(), shown);
        }
        for bad in [
            "",
            "kana.example.com",
            "ftp://a.b",
            "https://a.b/c",
            "https://u:p@a.b",
            "https://a.b?c",
        ] {
            assert!(bad.parse::<PublicUrl>().is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_compared_with_host_port_and_scheme() {
        let url: PublicUrl = "https://kana.example.com".parse().unwrap();
        assert!(url.is_origin("https://kana.example.com"));
        for other in ["http://kana.example.com", "https://kana.example.com.evil", "null", ""] {
            assert!(!url.is_origin(other), "{other}");
        }
    }
}
