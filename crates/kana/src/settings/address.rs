//! Where people reach the server, and whether there is a dashboard.

use std::net::SocketAddr;

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Args};
use kana_dashboard::PublicUrl;

use super::{ListenAddress, TlsSettings};

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct ListenSettings {
    /// The address to listen on: an IP address and a port, localhost:4000, or :4000 for all
    /// addresses of the machine. Port 0 picks a free port
    #[arg(
        id = "listen",
        long = "listen",
        env = "KANA_LISTEN",
        default_value = "127.0.0.1:4000",
        value_name = "ADDRESS",
        global = true
    )]
    pub(crate) at: ListenAddress,
}

#[derive(Debug, Args)]
pub(crate) struct AddressSettings {
    #[command(flatten)]
    pub(crate) listen: ListenSettings,
    /// The URL at which people reach the dashboard, if that is not --listen:
    /// `https://kana.example.com`, without a path. Links and forms go by it
    #[arg(long, env = "KANA_PUBLIC_URL", value_name = "URL", global = true)]
    pub(crate) public_url: Option<PublicUrl>,
    #[command(flatten)]
    pub(crate) tls: TlsSettings,
}

impl AddressSettings {
    /// Returns the welcome link with a token. `bound` is the address that the server listens on, if it
    /// does.
    pub(crate) fn welcome_link(&self, bound: Option<SocketAddr>, token: &str) -> String {
        let scheme = if self.tls.files().is_some() { "https" } else { "http" };
        let base = match &self.public_url {
            Some(url) => url.to_string(),
            None => format!("{scheme}://{}", self.listen.at.as_host(bound)),
        };
        format!("{base}/dashboard/welcome?token={token}")
    }
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct DashboardSettings {
    /// Serve no dashboard, and print no link to it
    #[arg(
        long,
        env = "KANA_NO_DASHBOARD",
        action = ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_value = "false",
        default_missing_value = "true",
        hide_default_value = true,
        hide_possible_values = true,
        value_name = "true|false",
        value_parser = BoolishValueParser::new()
    )]
    pub(crate) no_dashboard: bool,
}
