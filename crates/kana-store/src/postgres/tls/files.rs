//! Reads certificates and keys from PEM files.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The largest file that is read.
const BYTES_MAX: u64 = 4 << 20;

/// What a client proves itself with.
pub(super) type ClientCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// The authorities that are trusted.
#[derive(Debug, Clone)]
pub(super) struct Authorities {
    pub(super) roots: RootCertStore,
    /// The certificates of a file, one of which may be the server's own.
    pub(super) certificates: Vec<CertificateDer<'static>>,
}

impl Authorities {
    /// Reads a PEM file. Fails with what is wrong, which names the file.
    pub(super) fn read(file: &Path) -> Result<Self, String> {
        let certificates = certificates("sslrootcert", file)?;
        let mut roots = RootCertStore::empty();
        for certificate in &certificates {
            roots
                .add(certificate.clone())
                .map_err(|error| problem("sslrootcert", file, &error.to_string()))?;
        }
        Ok(Self { roots, certificates })
    }

    /// Reads those that the machine trusts. Fails if there are none.
    pub(super) fn of_machine() -> Result<Self, String> {
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(found.certs);
        if added == 0 {
            let why = found.errors.first().map(|error| format!(": {error}")).unwrap_or_default();
            return Err(format!(
                "sslrootcert=system: this machine has no certificates of authorities (Debian: \
                 install ca-certificates){why}"
            ));
        }
        Ok(Self { roots, certificates: Vec::new() })
    }
}

/// Reads the client's certificate with those between it and the authority, and its key. Fails with
/// what is wrong, which names the file.
pub(super) fn client_certificate(
    certificate: &Path,
    key: &Path,
) -> Result<ClientCertificate, String> {
    Ok((certificates("sslcert", certificate)?, private_key(key)?))
}

fn certificates(option: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let (text, _) = read(option, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let found = found.map_err(|error| problem(option, file, &format!("is not PEM: {error}")))?;
    if found.is_empty() {
        return Err(problem(option, file, "has no certificate in PEM (BEGIN CERTIFICATE)"));
    }
    Ok(found)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let (text, metadata) = read("sslkey", file)?;
    if others_can_read(metadata.mode(), metadata.uid(), is_root()) {
        let why = "can be read by other users of this machine: chmod 600 it";
        return Err(problem("sslkey", file, why));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        let is_encrypted = text.windows(9).any(|part| part == b"ENCRYPTED");
        let why = if is_encrypted {
            "is encrypted; Kana needs the key without a passphrase"
        } else {
            "has no private key in PEM (BEGIN PRIVATE KEY)"
        };
        problem("sslkey", file, why)
    })
}

/// Returns true if a key with this mode is not private. Like libpq, lets a group read the key of
/// root, which is how a key is given to the user that a service runs as.
fn others_can_read(mode: u32, owner: u32, are_we_root: bool) -> bool {
    let not_for = if owner == 0 && !are_we_root { 0o037 } else { 0o077 };
    mode & not_for != 0
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Reads a file. The metadata is that of the file that was read.
fn read(option: &str, file: &Path) -> Result<(Vec<u8>, Metadata), String> {
    use std::io::Read as _;

    let cannot = |error: std::io::Error| problem(option, file, &format!("cannot be read: {error}"));
    let metadata = std::fs::metadata(file).map_err(cannot)?;
    // To open a pipe would wait for its other end.
    if !metadata.is_file() {
        return Err(problem(option, file, "is not a file"));
    }
    let opened = std::fs::File::open(file).map_err(cannot)?;
    let metadata = opened.metadata().map_err(cannot)?;
    let mut text = Vec::new();
    opened.take(BYTES_MAX + 1).read_to_end(&mut text).map_err(cannot)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(problem(option, file, "is too large"));
    }
    Ok((text, metadata))
}

fn problem(option: &str, file: &Path, what: &str) -> String {
    format!("{option}: {} {what}", file.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_private_if_nobody_else_can_read_it() {
        for (mode, owner, are_we_root, expected) in [
            (0o600, 1000, false, false),
            (0o400, 1000, false, false),
            (0o640, 1000, false, true),
            (0o604, 1000, false, true),
            (0o644, 0, true, true),
            (0o640, 0, true, true),
            (0o600, 0, true, false),
            (0o640, 0, false, false),
            (0o440, 0, false, false),
            (0o660, 0, false, true),
            (0o644, 0, false, true),
        ] {
            let found = others_can_read(mode, owner, are_we_root);
            assert_eq!(found, expected, "{mode:o} {owner} {are_we_root}");
        }
    }
}
