//! Connections of clients.

use super::format::{Kind, Page};
use super::number::{Counter, Gauge};

/// Open connections.
pub static OPEN: Gauge = Gauge::new(0);
/// How many may be open.
pub static MAX: Gauge = Gauge::new(0);

static CLOSED: [Counter; Closed::ALL.len()] = [const { Counter::new() }; Closed::ALL.len()];

/// Why a connection was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// The client has closed it, or asked for that.
    Client,
    /// It waited too long for a request.
    Idle,
    /// The client sent or read too slowly.
    Slow,
    /// It waited for a request, and there was no room for more connections.
    Full,
    /// The client sent what is no HTTP.
    Protocol,
    /// There was no TLS with the client.
    Tls,
    /// The server stops.
    Shutdown,
}

impl Closed {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Client,
        Self::Idle,
        Self::Slow,
        Self::Full,
        Self::Protocol,
        Self::Tls,
        Self::Shutdown,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Idle => "idle",
            Self::Slow => "slow",
            Self::Full => "full",
            Self::Protocol => "protocol",
            Self::Tls => "tls",
            Self::Shutdown => "shutdown",
        }
    }
}

/// Counts a connection that was closed.
pub fn closed(reason: Closed) {
    CLOSED[reason as usize].count();
}

pub(super) fn write(page: &mut Page) {
    page.family("kana_connections_open", Kind::Gauge, "Open connections of clients.");
    page.sample(&[], OPEN.value());
    page.family("kana_connections_max", Kind::Gauge, "How many connections may be open.");
    page.sample(&[], MAX.value());
    let help = "Connections that were closed, by the reason.";
    page.family("kana_connections_closed_total", Kind::Counter, help);
    for reason in Closed::ALL {
        page.sample(&[("reason", reason.name())], CLOSED[reason as usize].value());
    }
}
