//! A browser of an admin who is signed in to the dashboard.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};

use super::http::{Response, exchange, get, post_form};

/// Long enough, and none of the commonest.
const PASSWORD: &str = "measured in milliseconds";

/// A session of an admin.
#[derive(Debug, Clone)]
pub(crate) struct Browser {
    address: SocketAddr,
    cookie: String,
}

/// A page that was answered.
pub(crate) struct Page {
    /// How long the server took, as it says itself, in milliseconds.
    pub(crate) server_ms: f64,
    pub(crate) bytes: usize,
}

impl Browser {
    /// Sets the password of an invited admin, which signs in.
    pub(crate) fn welcome(address: SocketAddr, link: &str) -> Result<Self> {
        let (_, token) = link.trim().split_once("token=").context("a welcome link has a token")?;
        let fields = [("token", token), ("password", PASSWORD), ("repeated", PASSWORD)];
        let cookie = exchange(address, &post_form("/dashboard/welcome", &fields), |response| {
            let cookie = response.header(b"set-cookie").context("nobody was signed in")?;
            let cookie = String::from_utf8_lossy(cookie);
            Ok(cookie.split(';').next().unwrap_or_default().to_owned())
        })?;
        Ok(Self { address, cookie })
    }

    /// Asks for a page, which must be there.
    pub(crate) fn look_at(&self, path: &str) -> Result<Page> {
        exchange(self.address, &get(path, &self.cookie), |response| {
            ensure!(response.status == 200, "{path} answers {}", response.status);
            Ok(Page { server_ms: server_ms(&response)?, bytes: response.body.len() })
        })
    }
}

/// Reads `Server-Timing: total;dur=1.234`.
fn server_ms(response: &Response<'_>) -> Result<f64> {
    let timing = response.header(b"server-timing").context("a page without Server-Timing")?;
    let timing = std::str::from_utf8(timing)?;
    let (_, ms) = timing.split_once("total;dur=").context("a Server-Timing without a total")?;
    ms.parse().with_context(|| format!("{ms} is no duration"))
}
