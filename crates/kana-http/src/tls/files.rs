use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::validity;

/// The only protocol that is spoken.
const ALPN: &[u8] = b"http/1.1";
/// The most bytes of a file: chains of certificates have a few thousand.
const BYTES_MAX: u64 = 1024 * 1024;

/// The files of a certificate, with those that vouch for it, and of its key, both PEM.
#[derive(Debug, Clone)]
pub struct TlsFiles {
    /// The file of the certificate.
    pub certificate: PathBuf,
    /// The file of the key.
    pub key: PathBuf,
}

/// What stands in the files: the certificate's, and the key's.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Contents {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// A certificate and its key, ready to be used.
pub(super) struct Pair {
    pub(super) config: Arc<ServerConfig>,
    /// When the certificate expires, in seconds since 1970.
    pub(super) not_after: i64,
}

/// Why files cannot be used, with the name of the file.
#[derive(Debug)]
pub struct TlsProblem(String);

impl fmt::Display for TlsProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TlsFiles {
    pub(super) fn read(&self) -> Result<Contents, TlsProblem> {
        Ok(Contents { certificate: read(&self.certificate)?, key: read(&self.key)? })
    }

    pub(super) fn pair(&self, contents: &Contents) -> Result<Pair, TlsProblem> {
        let of_certificate = |problem: &str| about(&self.certificate, problem);
        let chain: Result<Vec<CertificateDer<'static>>, _> =
            CertificateDer::pem_slice_iter(&contents.certificate).collect();
        let chain = chain.map_err(|_| of_certificate("is not PEM"))?;
        let first = chain.first().ok_or_else(|| of_certificate("has no certificate in PEM"))?;
        let not_after = validity::not_after(first)
            .ok_or_else(|| of_certificate("has a certificate that cannot be read"))?;
        let key = PrivateKeyDer::from_pem_slice(&contents.key)
            .map_err(|_| about(&self.key, "has no private key in PEM"))?;
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| of_certificate(&format!("cannot be used: {error}")))?;
        let config = builder.with_no_client_auth().with_single_cert(chain, key);
        let mut config = config.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => {
                about(&self.key, &format!("is not the key of {}", self.certificate.display()))
            }
            error => of_certificate(&format!("cannot be used: {error}")),
        })?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Pair { config: Arc::new(config), not_after })
    }

    pub(super) fn expired(&self) -> TlsProblem {
        about(&self.certificate, "has a certificate that has expired")
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsProblem> {
    let size = std::fs::metadata(path).map_err(|error| about(path, &error.to_string()))?;
    if size.len() > BYTES_MAX {
        return Err(about(path, "is larger than 1 MiB, and no certificate or key is"));
    }
    std::fs::read(path).map_err(|error| about(path, &error.to_string()))
}

fn about(path: &Path, problem: &str) -> TlsProblem {
    TlsProblem(format!("{}: {problem}", path.display()))
}
