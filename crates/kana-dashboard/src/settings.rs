use crate::public_url::PublicUrl;

/// Operator settings.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Where people reach the dashboard. Without it, the `Host` of each request says so.
    pub public_url: Option<PublicUrl>,
    /// Whether all requests come through a proxy that adds the address it sees to `X-Forwarded-For`. Its
    /// last address is then the visitor's, and without it that of the connection is.
    pub trusts_proxy: bool,
    /// Whether this server speaks TLS itself.
    pub has_tls: bool,
}

impl Settings {
    /// Returns true if people reach the dashboard by https.
    pub(crate) fn is_https(&self) -> bool {
        self.public_url.as_ref().map_or(self.has_tls, PublicUrl::is_https)
    }
}
