//! The hash of a server's certificate that binds a password check to its TLS connection
//! (`tls-server-end-point`, RFC 5929): a hash of the whole certificate, by the algorithm of its
//! signature, or SHA-256 where that is MD5 or SHA-1.

use sha2::{Digest as _, Sha256, Sha384, Sha512};

/// The tag of a sequence, and of the first element of `RSASSA-PSS-params`.
const SEQUENCE: u8 = 0x30;
const HASH_OF_PSS: u8 = 0xa0;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// Identifiers of signature algorithms and hashes, as DER has them.
const RSA_PSS: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a];
const TO_SHA256: &[&[u8]] = &[
    // RSA with MD5, SHA-1, SHA-256.
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x04],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x05],
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b],
    // ECDSA with SHA-1, SHA-256.
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02],
    // SHA-1, SHA-256.
    &[0x2b, 0x0e, 0x03, 0x02, 0x1a],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01],
];
const TO_SHA384: &[&[u8]] = &[
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02],
];
const TO_SHA512: &[&[u8]] = &[
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d],
    &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04],
    &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03],
];

/// Returns the hash, or `None` for an algorithm without one (Ed25519), which PostgreSQL cannot bind
/// to either.
pub(super) fn hash(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = algorithm(certificate)?;
    if TO_SHA256.contains(&algorithm) {
        Some(Sha256::digest(certificate).to_vec())
    } else if TO_SHA384.contains(&algorithm) {
        Some(Sha384::digest(certificate).to_vec())
    } else if TO_SHA512.contains(&algorithm) {
        Some(Sha512::digest(certificate).to_vec())
    } else {
        None
    }
}

/// Returns the identifier of the signature's algorithm, or of its hash for RSA-PSS.
fn algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (inside, _) = element(certificate, SEQUENCE)?;
    let (_signed, after) = element(inside, SEQUENCE)?;
    let (algorithm, _) = element(after, SEQUENCE)?;
    let (identifier, parameters) = element(algorithm, OBJECT_IDENTIFIER)?;
    if identifier != RSA_PSS {
        return Some(identifier);
    }
    let (parameters, _) = element(parameters, SEQUENCE)?;
    let (hash, _) = element(parameters, HASH_OF_PSS)?;
    let (hash, _) = element(hash, SEQUENCE)?;
    let (identifier, _) = element(hash, OBJECT_IDENTIFIER)?;
    Some(identifier)
}

/// Splits DER after its first element: the content of that one, which must have `tag`, and the rest.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, der) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, der) = der.split_first()?;
    let (length, der) = match first {
        0..=0x7f => (usize::from(*first), der),
        // At most three bytes: a certificate has less than 16 MiB.
        0x81..=0x83 => {
            let (bytes, der) = der.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte)), der)
        }
        _ => return None,
    };
    der.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A certificate with nothing but an algorithm.
    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let wrap = |tag: u8, content: &[u8]| {
            let length = u8::try_from(content.len()).unwrap();
            [&[tag, 0x81, length], content].concat()
        };
        wrap(SEQUENCE, &[wrap(SEQUENCE, &[0; 100]), wrap(SEQUENCE, algorithm)].concat())
    }

    fn identifier(bytes: &[u8]) -> Vec<u8> {
        [&[OBJECT_IDENTIFIER, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn the_hash_is_that_of_the_signature_and_at_least_sha_256() {
        for (algorithms, bytes) in [(TO_SHA256, 32), (TO_SHA384, 48), (TO_SHA512, 64)] {
            for algorithm in algorithms {
                let certificate = certificate(&identifier(algorithm));
                assert_eq!(hash(&certificate).unwrap().len(), bytes, "{algorithm:x?}");
            }
        }
        let pss = |hash: &[u8]| {
            let hash = identifier(hash);
            let length = u8::try_from(hash.len()).unwrap();
            let inner = [&[SEQUENCE, length][..], &hash].concat();
            let inner = [&[HASH_OF_PSS, length + 2][..], &inner].concat();
            let parameters = [&[SEQUENCE, length + 4][..], &inner].concat();
            [identifier(RSA_PSS), parameters].concat()
        };
        assert_eq!(hash(&certificate(&pss(TO_SHA384[2]))).unwrap().len(), 48);
        // Ed25519.
        assert_eq!(hash(&certificate(&identifier(&[0x2b, 0x65, 0x70]))), None);
    }

    #[test]
    fn what_is_no_certificate_has_no_hash() {
        let whole = certificate(&identifier(TO_SHA256[0]));
        for length in 0..whole.len() {
            assert_eq!(hash(&whole[..length]), None, "{length}");
        }
        for first in 0..=u8::MAX {
            let _ = hash(&[SEQUENCE, first, 0xff, 0xff, 0xff, 0xff]);
        }
    }
}
