//! TLS to the server, as the `sslmode` of the database URL asks for.

mod connect;
mod end_point;
mod failure;
mod files;
mod mode;
mod verifier;

use std::path::Path;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::crypto::ring;

use self::files::Authorities;
use self::verifier::Verifier;

pub(super) use self::connect::{Agreed, TlsMaker};
pub(super) use self::failure::is_failure;
pub use self::mode::TlsMode;
pub(super) use self::mode::{MODES, SYSTEM};

/// The parameters of a database URL that are about TLS.
#[derive(Debug, Default, Clone)]
pub(super) struct TlsParameters {
    pub(super) sslmode: Option<String>,
    pub(super) sslrootcert: Option<String>,
    pub(super) sslcert: Option<String>,
    pub(super) sslkey: Option<String>,
}

/// The TLS of the connections to one database, with the files read.
#[derive(Debug, Clone)]
pub(super) struct Tls {
    pub(super) mode: TlsMode,
    config: Arc<ClientConfig>,
}

impl Tls {
    /// Reads the files. Fails with what is wrong, which names the parameter and the file.
    pub(super) fn new(parameters: &TlsParameters) -> Result<Self, String> {
        let TlsParameters { sslmode, sslrootcert, sslcert, sslkey } = parameters;
        let mode = TlsMode::of(sslmode.as_deref(), sslrootcert.as_deref())?;
        let client = match (sslcert, sslkey) {
            (None, None) => None,
            (Some(certificate), Some(key)) => Some((Path::new(certificate), Path::new(key))),
            (Some(_), None) => return Err("sslcert needs sslkey, the file with its key".to_owned()),
            (None, Some(_)) => {
                return Err("sslkey needs sslcert, the file with its certificate".to_owned());
            }
        };
        if client.is_some() && mode == TlsMode::Disable {
            return Err("sslcert has no effect with sslmode=disable".to_owned());
        }
        let authorities = match sslrootcert.as_deref() {
            None => None,
            Some(SYSTEM) => Some(Authorities::of_machine()?),
            Some(file) => Some(Authorities::read(Path::new(file))?),
        };
        Ok(Self { mode, config: Arc::new(config(mode, authorities, client)?) })
    }

    /// Returns what the driver makes TLS connections with. They store in `agreed` what was agreed.
    pub(super) fn maker(&self, agreed: &Agreed) -> TlsMaker {
        TlsMaker::new(Arc::clone(&self.config), Arc::clone(agreed))
    }
}

fn config(
    mode: TlsMode,
    authorities: Option<Authorities>,
    client: Option<(&Path, &Path)>,
) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let verifier = Verifier {
        authorities: authorities.filter(|_| mode.checks_authority()),
        checks_host: mode.checks_host(),
        algorithms: provider.signature_verification_algorithms,
    };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let Some((certificate, key)) = client else {
        return Ok(config.with_no_client_auth());
    };
    let (chain, private_key) = files::client_certificate(certificate, key)?;
    config.with_client_auth_cert(chain, private_key).map_err(|error| {
        let (certificate, key) = (certificate.display(), key.display());
        format!("sslcert {certificate} and sslkey {key} cannot be used together: {error}")
    })
}
