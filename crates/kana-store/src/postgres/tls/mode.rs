//! The rules of `sslmode`, without a network.

use std::fmt;

/// How the connection to the database is protected: the `sslmode` of the database URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsMode {
    /// Never TLS.
    Disable,
    /// TLS if the server offers it, with any certificate; otherwise plain.
    Prefer,
    /// TLS with any certificate.
    Require,
    /// TLS, with a certificate that an authority of `sslrootcert` has signed.
    VerifyCa,
    /// The same, and the certificate is for the host of the URL.
    VerifyFull,
}

/// The values that `sslmode` can have.
pub(crate) const MODES: &[&str] = &["disable", "prefer", "require", "verify-ca", "verify-full"];

/// The value of `sslrootcert` for the authorities that the machine trusts.
pub(crate) const SYSTEM: &str = "system";

impl TlsMode {
    /// Returns the mode of a URL with these parameters, as libpq does. Fails with what is wrong.
    pub(crate) fn of(sslmode: Option<&str>, sslrootcert: Option<&str>) -> Result<Self, String> {
        let mode = match (sslmode, sslrootcert) {
            (None, Some(SYSTEM)) => Self::VerifyFull,
            (None, _) => Self::Prefer,
            (Some(named), _) => {
                Self::named(named).ok_or_else(|| format!("sslmode must be {}", MODES.join(", ")))?
            }
        };
        match (mode, sslrootcert) {
            (Self::VerifyCa | Self::VerifyFull, None) => Err(format!(
                "sslmode={mode} needs sslrootcert: a PEM file with the certificates of the \
                 authorities to trust{}",
                if mode == Self::VerifyFull { ", or system for those of this machine" } else { "" }
            )),
            (Self::VerifyFull, Some(SYSTEM)) => Ok(mode),
            (_, Some(SYSTEM)) => Err(format!(
                "sslrootcert=system needs sslmode=verify-full, since anybody can have a \
                 certificate of these authorities; it has sslmode={mode}"
            )),
            (Self::Disable | Self::Prefer, Some(_)) => Err(format!(
                "sslrootcert has no effect with sslmode={mode}: use verify-full, verify-ca or \
                 require"
            )),
            (Self::Require, Some(_)) => Ok(Self::VerifyCa),
            (_, _) => Ok(mode),
        }
    }

    fn named(name: &str) -> Option<Self> {
        let all = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];
        all.into_iter().find(|mode| mode.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }

    /// Returns true if a plain connection is acceptable.
    pub(crate) fn allows_plain(self) -> bool {
        matches!(self, Self::Disable | Self::Prefer)
    }

    /// Returns true if an authority must have signed the server's certificate.
    pub(crate) fn checks_authority(self) -> bool {
        matches!(self, Self::VerifyCa | Self::VerifyFull)
    }

    /// Returns true if the server's certificate must be for the host of the URL.
    pub(crate) fn checks_host(self) -> bool {
        self == Self::VerifyFull
    }
}

impl fmt::Display for TlsMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The connection that a mode results in, by the rules above.
    fn outcome(mode: TlsMode, has_tls: bool, is_known: bool, is_for_host: bool) -> &'static str {
        let refuses =
            (mode.checks_authority() && !is_known) || (mode.checks_host() && !is_for_host);
        match (mode, has_tls) {
            (TlsMode::Disable, _) => "plain",
            (_, false) if mode.allows_plain() => "plain",
            (_, false) => "refused",
            (_, true) if refuses => "refused",
            (_, true) => "TLS",
        }
    }

    #[test]
    fn each_mode_accepts_what_libpq_accepts() {
        let table = [
            // No TLS, unknown authority, other host, all right.
            (TlsMode::Disable, ["plain", "plain", "plain", "plain"]),
            (TlsMode::Prefer, ["plain", "TLS", "TLS", "TLS"]),
            (TlsMode::Require, ["refused", "TLS", "TLS", "TLS"]),
            (TlsMode::VerifyCa, ["refused", "refused", "TLS", "TLS"]),
            (TlsMode::VerifyFull, ["refused", "refused", "refused", "TLS"]),
        ];
        for (mode, row) in table {
            let servers = [
                (false, false, false),
                (true, false, true),
                (true, true, false),
                (true, true, true),
            ];
            let outcomes =
                servers.map(|(tls, known, for_host)| outcome(mode, tls, known, for_host));
            assert_eq!(outcomes, row, "{mode}");
        }
    }

    #[test]
    fn the_mode_follows_from_sslmode_and_sslrootcert() {
        for (sslmode, sslrootcert, mode) in [
            (None, None, TlsMode::Prefer),
            (None, Some("system"), TlsMode::VerifyFull),
            (Some("disable"), None, TlsMode::Disable),
            (Some("prefer"), None, TlsMode::Prefer),
            (Some("require"), None, TlsMode::Require),
            (Some("require"), Some("ca.pem"), TlsMode::VerifyCa),
            (Some("verify-ca"), Some("ca.pem"), TlsMode::VerifyCa),
            (Some("verify-full"), Some("ca.pem"), TlsMode::VerifyFull),
            (Some("verify-full"), Some("system"), TlsMode::VerifyFull),
        ] {
            assert_eq!(TlsMode::of(sslmode, sslrootcert), Ok(mode), "{sslmode:?} {sslrootcert:?}");
        }
        for (sslmode, sslrootcert, problem) in [
            (Some("verify-ca"), None, "sslmode=verify-ca needs sslrootcert"),
            (Some("verify-full"), None, "sslmode=verify-full needs sslrootcert"),
            (Some("verify-ca"), Some("system"), "needs sslmode=verify-full"),
            (Some("require"), Some("system"), "needs sslmode=verify-full"),
            (Some("prefer"), Some("system"), "needs sslmode=verify-full"),
            (Some("prefer"), Some("ca.pem"), "no effect with sslmode=prefer"),
            (Some("disable"), Some("ca.pem"), "no effect with sslmode=disable"),
            (None, Some("ca.pem"), "no effect with sslmode=prefer"),
            (Some("allow"), None, "sslmode must be disable"),
        ] {
            let found = TlsMode::of(sslmode, sslrootcert).unwrap_err();
            assert!(found.contains(problem), "{found}");
        }
    }
}
