//! Traces (contract: `operations.md`, "Traces").

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use ureq::http::Uri;

use super::without_passwords;

/// What is added to the base, as OTLP asks.
const PATH: &str = "/v1/traces";

#[derive(Debug, Clone, Args)]
pub(crate) struct TraceSettings {
    /// The collector that traces are sent to by OTLP over HTTP, like `http://127.0.0.1:4318`; /v1/traces is
    /// added. OTEL_EXPORTER_OTLP_ENDPOINT counts where KANA_OTLP_ENDPOINT is not set. Default: none, and no
    /// traces
    #[arg(long, env = "KANA_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<OtlpEndpoint>,
    /// A file with the URL of --otlp-endpoint, instead of that setting
    #[arg(long, env = "KANA_OTLP_ENDPOINT_FILE", value_name = "FILE")]
    pub(crate) otlp_endpoint_file: Option<PathBuf>,
    /// The share of requests that are traced, 0 to 1. A request that comes with a traceparent is traced if
    /// its caller traces it
    #[arg(long, env = "KANA_TRACE_RATIO", default_value = "0.01", value_name = "RATIO")]
    pub(crate) trace_ratio: TraceRatio,
}

/// The base URL of a collector. Its `Debug` hides the password.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct OtlpEndpoint(String);

impl OtlpEndpoint {
    /// Returns the URL that spans are sent to, with its password.
    pub(crate) fn reveal(&self) -> String {
        format!("{}{PATH}", self.0)
    }
}

impl FromStr for OtlpEndpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let problem = || {
            "must be the base of an http or https URL, without ? and #, like http://127.0.0.1:4318"
                .to_owned()
        };
        let url: Uri = text.parse().map_err(|_| problem())?;
        let is_http = matches!(url.scheme_str(), Some("http" | "https"));
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        if !is_http || !has_host || !has_right_port(&url) || text.contains(['?', '#']) {
            return Err(problem());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

/// Returns true if the URL has no port, or one that there is. What reads URLs takes any digits.
fn has_right_port(url: &Uri) -> bool {
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host_and_port = authority.rsplit('@').next().unwrap_or_default();
    // The colons of an IPv6 address stand in brackets.
    let after_address = host_and_port.rsplit(']').next().unwrap_or_default();
    !after_address.contains(':') || url.port_u16().is_some_and(|port| port > 0)
}

impl fmt::Debug for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", without_passwords(&self.0, [self.0.as_str()]))
    }
}

/// A share, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TraceRatio(f64);

impl TraceRatio {
    /// Returns the share.
    pub(crate) fn value(self) -> f64 {
        self.0
    }
}

impl FromStr for TraceRatio {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or_else(|| "must be a number from 0 to 1, like 0.05".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_base_that_the_path_is_added_to() {
        for (text, url) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
            ("http://127.0.0.1:4318/", "http://127.0.0.1:4318/v1/traces"),
            ("https://otlp.example.com/otlp", "https://otlp.example.com/otlp/v1/traces"),
            ("https://kana:hunter2@[::1]", "https://kana:hunter2@[::1]/v1/traces"),
            ("https://[::1]:4318", "https://[::1]:4318/v1/traces"),
        ] {
            assert_eq!(text.parse::<OtlpEndpoint>().unwrap().reveal(), url);
        }
        for wrong in [
            "",
            "127.0.0.1:4318",
            "/v1/traces",
            "grpc://collector:4317",
            "http://",
            "http://collector?key=1",
            "http://collector#x",
            "http://a b",
            "http://collector:99999",
            "http://collector:0",
            "http://collector:",
            "http://kana:hunter2@collector:x",
            "http://[::1]:70000",
        ] {
            let problem = wrong.parse::<OtlpEndpoint>().unwrap_err();
            assert!(problem.contains("http://127.0.0.1:4318"), "{wrong}: {problem}");
        }
        let secret: OtlpEndpoint = "https://kana:hunter2@collector".parse().unwrap();
        assert_eq!(format!("{secret:?}"), r#""https://kana:***@collector""#);
    }

    #[test]
    fn a_ratio_is_from_0_to_1() {
        for (text, ratio) in [("0", 0.0), ("1", 1.0), ("0.01", 0.01), ("1e-3", 0.001)] {
            assert_eq!(text.parse(), Ok(TraceRatio(ratio)));
        }
        for wrong in ["", "1.01", "-0.1", "NaN", "inf", "1%", "a"] {
            assert!(wrong.parse::<TraceRatio>().is_err(), "{wrong}");
        }
    }
}
