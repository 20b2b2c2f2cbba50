//! TLS for HTTP (contract: `operations.md`, "TLS for HTTP"): a certificate and its key from files, which are
//! looked at again while the server runs.

mod files;
mod handshake;
mod validity;

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use kana_telemetry::metrics::tls::{self as metrics, Done};
use rustls::ServerConfig;
use rustls::pki_types::UnixTime;

use self::files::{Contents, Pair};
pub use self::files::{TlsFiles, TlsProblem};

/// How the answer to a client that speaks no TLS begins.
pub const SPEAKS_TLS: &str = "This port speaks TLS";

/// What new connections are protected by. Connections that are open keep what they have.
pub struct Tls {
    files: TlsFiles,
    config: ArcSwap<ServerConfig>,
    seen: Mutex<Seen>,
}

/// What the files were when they were last looked at.
struct Seen {
    contents: Contents,
    /// Whether what was seen could be used.
    is_usable: bool,
}

impl Tls {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Fails if one cannot be read or is not PEM, or if the key is not the certificate's. A certificate that
    /// has expired is taken, with an error in the log: a server that runs is of more use than one that does
    /// not.
    pub fn load(files: TlsFiles) -> Result<Arc<Self>, TlsProblem> {
        let contents = files.read()?;
        let Pair { config, not_after } = files.pair(&contents)?;
        if not_after <= now() {
            let certificate = files.certificate.display();
            tracing::error!(%certificate, "the certificate has expired: clients will refuse it");
        }
        metrics::set_not_after(not_after);
        let seen = Mutex::new(Seen { contents, is_usable: true });
        Ok(Arc::new(Self { files, config: ArcSwap::new(config), seen }))
    }

    /// Reads the files, and returns when the certificate expires, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// As [`load`](Self::load).
    pub fn end_of(files: &TlsFiles) -> Result<i64, TlsProblem> {
        Ok(files.pair(&files.read()?)?.not_after)
    }

    /// Looks at the files, and protects new connections by what stands there if that has changed. What cannot
    /// be used, or has expired, changes nothing and is an error in the log, once; it is counted at each look, so
    /// that metrics show it for as long as it stands there. Reads from the disk.
    pub fn look(&self) {
        let read = self.files.read();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = match &read {
            Ok(contents) => contents.clone(),
            Err(_) => Contents::default(),
        };
        if contents == seen.contents {
            if !seen.is_usable {
                metrics::reloaded(Done::Failed);
            }
            return;
        }
        let usable = read.and_then(|contents| self.files.pair(&contents)).and_then(|pair| {
            let is_good = pair.not_after > now();
            is_good.then_some(pair).ok_or_else(|| self.files.expired())
        });
        *seen = Seen { contents, is_usable: usable.is_ok() };
        match usable {
            Ok(Pair { config, not_after }) => {
                self.config.store(config);
                metrics::set_not_after(not_after);
                metrics::reloaded(Done::Ok);
                tracing::info!("another certificate is in use for new connections");
            }
            Err(problem) => {
                metrics::reloaded(Done::Failed);
                tracing::error!(%problem, "the certificate that was in use stays in use");
            }
        }
    }
}

/// Seconds since 1970, by the clock that TLS itself goes by.
fn now() -> i64 {
    i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX)
}
