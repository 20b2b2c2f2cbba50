//! Who may come in, and keys.

use super::format::{Kind, Page};
use super::number::{Counter, Gauge};
use crate::request::Environment;
use crate::surface::Surface;

/// What became of an authentication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authentication {
    /// The key or token is valid.
    Ok,
    /// None was sent.
    Missing,
    /// There is no such key, or it was revoked, which is not told apart; or a token that is invalid.
    Unknown,
    /// It was revoked.
    Revoked,
    /// It has expired.
    Expired,
    /// It is valid, and of another kind than is needed here.
    WrongKind,
}

const RESULTS: [Authentication; 6] = [
    Authentication::Ok,
    Authentication::Missing,
    Authentication::Unknown,
    Authentication::Revoked,
    Authentication::Expired,
    Authentication::WrongKind,
];
/// The surfaces that ask for a key or a token.
const SURFACES: [Surface; 4] = [Surface::Admin, Surface::Client, Surface::Events, Surface::Cli];
const ENVIRONMENTS: [Environment; 2] = [Environment::Test, Environment::Live];
const KEY_KINDS: [&str; 2] = ["private", "public"];
const KEY_STATES: [&str; 4] = ["active", "expiring", "expired", "revoked"];

static AUTHENTICATIONS: [[Counter; RESULTS.len()]; Surface::ALL.len()] =
    [const { [const { Counter::new() }; RESULTS.len()] }; Surface::ALL.len()];
static KEYS: [[[Gauge; KEY_STATES.len()]; KEY_KINDS.len()]; ENVIRONMENTS.len()] =
    [const { [const { [const { Gauge::new(0) }; KEY_STATES.len()] }; KEY_KINDS.len()] };
        ENVIRONMENTS.len()];

impl Authentication {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Revoked => "revoked",
            Self::Expired => "expired",
            Self::WrongKind => "wrong_kind",
        }
    }
}

/// Counts an authentication.
pub fn authenticated(surface: Surface, result: Authentication) {
    AUTHENTICATIONS[surface as usize][result as usize].count();
}

/// Which limit on requests a request was over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limited {
    /// That of a private key.
    Key,
    /// That of a user of the Client API.
    Client,
}

const LIMITS: [Limited; 2] = [Limited::Key, Limited::Client];

static LIMITED: [Counter; LIMITS.len()] = [const { Counter::new() }; LIMITS.len()];

impl Limited {
    /// Returns its name, as metrics and headers have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Client => "client",
        }
    }
}

/// Counts a request that was refused, since it was over a limit.
pub fn limited(limit: Limited) {
    LIMITED[limit as usize].count();
}

/// Keys of an environment and a kind, by their states. Each is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyCounts {
    /// Those that are valid, and for more than 14 days.
    pub active: i64,
    /// Those that expire within 14 days.
    pub expiring: i64,
    /// Those that have expired.
    pub expired: i64,
    /// Those that were revoked.
    pub revoked: i64,
}

/// Sets how many keys there are.
pub fn set_keys(environment: Environment, is_public: bool, counts: KeyCounts) {
    let place = ENVIRONMENTS.iter().position(|known| *known == environment);
    if let Some(kinds) = place.and_then(|place| KEYS.get(place)) {
        let states = &kinds[usize::from(is_public)];
        let [active, expiring, expired, revoked] = states;
        active.set(counts.active);
        expiring.set(counts.expiring);
        expired.set(counts.expired);
        revoked.set(counts.revoked);
    }
}

pub(super) fn write(page: &mut Page) {
    let help = "Keys and tokens that were presented, or should have been.";
    page.family("kana_authentications_total", Kind::Counter, help);
    for surface in SURFACES {
        for result in RESULTS {
            let labels = [("surface", surface.name()), ("result", result.name())];
            page.sample(&labels, AUTHENTICATIONS[surface as usize][result as usize].value());
        }
    }
    let help = "Requests that were refused, since a key or a user sent too many.";
    page.family("kana_rate_limited_total", Kind::Counter, help);
    for limit in LIMITS {
        page.sample(&[("limit", limit.name())], LIMITED[limit as usize].value());
    }
    page.family("kana_keys", Kind::Gauge, "Keys.");
    for (environment, kinds) in ENVIRONMENTS.into_iter().zip(&KEYS) {
        for (kind, states) in KEY_KINDS.into_iter().zip(kinds) {
            for (state, gauge) in KEY_STATES.into_iter().zip(states) {
                let labels =
                    [("environment", environment.name()), ("kind", kind), ("state", state)];
                page.sample(&labels, gauge.value());
            }
        }
    }
}
