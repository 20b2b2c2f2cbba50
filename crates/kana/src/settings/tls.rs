//! TLS for HTTP (contract: `operations.md`, "TLS for HTTP").

use std::path::PathBuf;

use clap::Args;
use kana_http::TlsFiles;

#[derive(Debug, Clone, Args)]
pub(crate) struct TlsSettings {
    /// The file of the certificate, in PEM, with those that vouch for it. With it, only https is spoken. Read
    /// again when it changes. Needs --tls-key
    #[arg(long, env = "KANA_TLS_CERT", value_name = "FILE", global = true)]
    pub(crate) tls_cert: Option<PathBuf>,
    /// The file of the certificate's private key, in PEM. Needs --tls-cert
    #[arg(long, env = "KANA_TLS_KEY", value_name = "FILE", global = true)]
    pub(crate) tls_key: Option<PathBuf>,
}

impl TlsSettings {
    /// Returns the files; `None` for plain HTTP.
    pub(crate) fn files(&self) -> Option<TlsFiles> {
        let (certificate, key) = (self.tls_cert.clone()?, self.tls_key.clone()?);
        Some(TlsFiles { certificate, key })
    }
}
