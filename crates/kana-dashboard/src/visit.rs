//! A request, and who sent it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use cookie::Cookie;
use kana_http::PeerAddress;
use kana_service::{AdminSession, EnvironmentKind, Visitor};

use crate::dashboard::Dashboard;
use crate::form::Form;
use crate::problem::Problem;
use crate::public_url::PublicUrl;

/// The cookie that holds the secret of a session.
pub(crate) const SESSION_COOKIE: &str = "kana_session";
/// The cookie that says which environment was seen last.
pub(crate) const ENVIRONMENT_COOKIE: &str = "kana_environment";
/// The most bytes of the browser's name that are kept.
const BROWSER_BYTES_MAX: usize = 300;

/// A request, and who sent it.
pub(crate) struct Visit {
    pub(crate) dashboard: Arc<Dashboard>,
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: Form,
    /// The query as it was sent.
    pub(crate) raw_query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) visitor: Visitor,
    session: Option<AdminSession>,
}

impl Visit {
    /// Looks up the session of a request.
    pub(crate) async fn of(dashboard: &Arc<Dashboard>, parts: Parts) -> Result<Self, Problem> {
        let session = match cookie(&parts.headers, SESSION_COOKIE) {
            Some(presented) => dashboard.kana.admin_session(&presented).await?,
            None => None,
        };
        let raw_query = parts.uri.query().unwrap_or_default().to_owned();
        let query = Form::read(raw_query.as_bytes())?;
        let forwarded = dashboard.settings.trusts_proxy.then(|| forwarded_for(&parts.headers));
        let peer = parts.extensions.get::<PeerAddress>().map(|peer| peer.0);
        let address = forwarded.flatten().or(peer);
        let visitor = Visitor {
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            browser: browser(&parts.headers),
        };
        Ok(Self {
            dashboard: Arc::clone(dashboard),
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query,
            raw_query,
            headers: parts.headers,
            visitor,
            session,
        })
    }

    /// A request that could not be read, of which only the address is known.
    pub(crate) fn unknown(dashboard: &Arc<Dashboard>, method: Method, path: String) -> Self {
        let address = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            dashboard: Arc::clone(dashboard),
            method,
            path,
            query: Form::default(),
            raw_query: String::new(),
            headers: HeaderMap::new(),
            visitor: Visitor { address, browser: String::new() },
            session: None,
        }
    }

    /// Returns who is signed in.
    pub(crate) fn session(&self) -> Result<&AdminSession, Problem> {
        self.session.as_ref().ok_or(Problem::NotSignedIn)
    }

    /// Returns the app's name, which may be two seconds old.
    pub(crate) async fn app_name(&self) -> Result<String, Problem> {
        match &self.session {
            Some(session) => Ok(session.app_name().to_owned()),
            None => Ok(self.dashboard.kana.recent_app_name().await?),
        }
    }

    /// Returns the environment of the address.
    pub(crate) fn environment(&self) -> Result<EnvironmentKind, Problem> {
        let name = self.path.split('/').nth(2).unwrap_or_default();
        kind_by_name(name).ok_or(Problem::NotFound)
    }

    /// Returns where this server is reached: its public URL, else what the request calls it.
    pub(crate) fn server_url(&self) -> String {
        if let Some(url) = &self.dashboard.settings.public_url {
            return url.to_string();
        }
        let host = self.headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let scheme = if self.dashboard.settings.is_https() { "https" } else { "http" };
        let asked: Option<PublicUrl> =
            host.and_then(|host| format!("{scheme}://{host}").parse().ok());
        asked.map_or_else(|| format!("{scheme}://localhost:4000"), |url| url.to_string())
    }

    /// Returns the path within the environment of the address, like `/features/new`.
    pub(crate) fn page_path(&self) -> &str {
        let mut slashes = self.path.match_indices('/').skip(2);
        slashes.next().map_or("", |(start, _)| &self.path[start..])
    }

    /// Returns the environment that was seen last, else test.
    pub(crate) fn last_environment(&self) -> EnvironmentKind {
        let seen = cookie(&self.headers, ENVIRONMENT_COOKIE);
        seen.and_then(|name| kind_by_name(&name)).unwrap_or(EnvironmentKind::Test)
    }
}

fn kind_by_name(name: &str) -> Option<EnvironmentKind> {
    EnvironmentKind::ALL.into_iter().find(|kind| kind.name() == name)
}

/// Returns the address that the last proxy saw: those before it anybody can write.
fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    let last = headers.get_all("x-forwarded-for").iter().next_back()?.to_str().ok()?;
    let last = last.rsplit(',').next()?.trim();
    // Some proxies add the port.
    let with_port = || last.parse::<SocketAddr>().ok().map(|address| address.ip());
    last.parse().ok().or_else(with_port)
}

fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let headers =
        headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    headers
        .flat_map(Cookie::split_parse)
        .flatten()
        .find(|cookie| cookie.name() == name)
        .map(|cookie| cookie.value().to_owned())
}

fn browser(headers: &HeaderMap) -> String {
    let name = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    name.unwrap_or_default().chars().take(BROWSER_BYTES_MAX).collect()
}
