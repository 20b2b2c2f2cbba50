use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, PKCS_ECDSA_P384_SHA384,
    date_time_ymd,
};

/// Who signs certificates for tests.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// A certificate with its key, both PEM.
pub struct Certificate {
    /// The certificate, without that of its authority.
    pub chain: String,
    /// Its private key.
    pub key: String,
}

impl Authority {
    /// Creates one. It signs with ECDSA and SHA-384.
    #[must_use]
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
        let params = authority_params(name, &[]);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// Its own certificate, in PEM.
    #[must_use]
    pub fn pem(&self) -> &str {
        &self.pem
    }

    /// Signs a certificate for a server of these hosts, or for a client without any. `name` is the
    /// common name, which for a client is the user.
    #[must_use]
    pub fn sign(&self, name: &str, hosts: &[&str]) -> Certificate {
        self.sign_with(&params(name, hosts))
    }

    /// Signs a certificate that has expired.
    #[must_use]
    pub fn sign_expired(&self, name: &str, hosts: &[&str]) -> Certificate {
        let mut params = params(name, hosts);
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(2021, 1, 1);
        self.sign_with(&params)
    }

    fn sign_with(&self, params: &CertificateParams) -> Certificate {
        let key = KeyPair::generate().unwrap();
        let chain = params.signed_by(&key, &self.issuer).unwrap().pem();
        Certificate { chain, key: key.serialize_pem() }
    }
}

impl Certificate {
    /// A server's certificate that it signed itself, as an authority.
    #[must_use]
    pub fn self_signed(name: &str, hosts: &[&str]) -> Self {
        let key = KeyPair::generate().unwrap();
        let chain = authority_params(name, hosts).self_signed(&key).unwrap().pem();
        Self { chain, key: key.serialize_pem() }
    }
}

fn params(name: &str, hosts: &[&str]) -> CertificateParams {
    let hosts: Vec<String> = hosts.iter().map(|host| (*host).to_owned()).collect();
    let mut params = CertificateParams::new(hosts).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

fn authority_params(name: &str, hosts: &[&str]) -> CertificateParams {
    let mut params = params(name, hosts);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}
