/// The part of the server that answers a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// The Admin API.
    Admin,
    /// The Client API.
    Client,
    /// Usage in bulk.
    Events,
    /// Pricing as code.
    Cli,
    /// The pages for people.
    Dashboard,
    /// Whether the server is alive and ready.
    Health,
    /// Everything else.
    Other,
}

impl Surface {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Admin,
        Self::Client,
        Self::Events,
        Self::Cli,
        Self::Dashboard,
        Self::Health,
        Self::Other,
    ];

    /// Returns the name in metrics and the log.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Client => "client",
            Self::Events => "events",
            Self::Cli => "cli",
            Self::Dashboard => "dashboard",
            Self::Health => "health",
            Self::Other => "other",
        }
    }
}
