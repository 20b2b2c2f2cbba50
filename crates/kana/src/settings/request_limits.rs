//! How much requests may ask of the server (contract: `operations.md`, "Limits").

use clap::Args;
use kana_api::RateLimits;

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct RequestLimitSettings {
    /// Number of requests that a private key may send to this server per second, 0 to 1000000. More are
    /// refused with 429. 0: no limit
    #[arg(
        long,
        env = "KANA_RATE_LIMIT",
        default_value = "0",
        value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000)
    )]
    pub(crate) rate_limit: u32,
    /// Number of requests that a private key may send at once, 1 to 2000000. Default: twice --rate-limit
    #[arg(
        long,
        env = "KANA_RATE_BURST",
        value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(1..=2_000_000)
    )]
    pub(crate) rate_burst: Option<u32>,
    /// Number of requests that a user of the Client API may send to this server per second, 0 to 1000000,
    /// and twice as many at once. More are refused with 429. 0: no limit
    #[arg(
        long,
        env = "KANA_CLIENT_RATE_LIMIT",
        default_value = "0",
        value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(0..=1_000_000)
    )]
    pub(crate) client_rate_limit: u32,
    /// Memory for the request bodies of all connections together, in MiB, 8 to 65536. The next body is
    /// refused with 503
    #[arg(
        long,
        env = "KANA_BODY_MEMORY_MIB",
        default_value = "256",
        value_name = "MIB",
        value_parser = clap::value_parser!(u32).range(8..=65_536)
    )]
    pub(crate) body_memory_mib: u32,
}

impl RequestLimitSettings {
    pub(crate) fn rate_limits(self) -> RateLimits {
        let Self { rate_limit, rate_burst, client_rate_limit, .. } = self;
        RateLimits { key: rate_limit, key_burst: rate_burst, client: client_rate_limit }
    }

    /// Returns the limit on the memory of all bodies together, in bytes.
    pub(crate) fn body_memory_bytes(self) -> usize {
        usize::try_from(u64::from(self.body_memory_mib) * 1024 * 1024).unwrap_or(usize::MAX)
    }
}
