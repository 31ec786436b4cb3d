//! The certificate that one side of a call shows in DTLS-SRTP (RFC 5763): self-signed, by an ECDSA key on P-256.
//!
//! The other side knows it by its fingerprint alone, which the description carries (RFC 8122). A call without one makes one for
//! itself; keep one in a file ([`Certificate::to_pem`]) where the fingerprint has to stay the same.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use p256::SecretKey;
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use p256::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use pem_rfc7468::LineEnding;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, PKCS_ECDSA_P256_SHA256, SignatureAlgorithm,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::CallError;
use crate::sdp::{Fingerprint, FingerprintHash, LocalDtls};

/// The most bytes of a certificate's file.
const MAX_PEM_BYTES: usize = 64 * 1024;
/// Labels of the two parts of a file (RFC 7468, 5 and 10).
const CERTIFICATE: &str = "CERTIFICATE";
const PRIVATE_KEY: &str = "PRIVATE KEY";

/// The origin of the SRTP keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Keying {
    /// The keys are in the descriptions, by `a=crypto` (SDES, RFC 4568). Anyone who reads the signalling can hear the call.
    #[default]
    Described,
    /// The keys are from a DTLS handshake on the media path (DTLS-SRTP, RFC 5763), with certificates whose fingerprints are in
    /// the descriptions.
    Dtls,
    /// Our offers have DTLS. Our answers have DTLS if the offer has it, else keys in the description.
    Either,
}

/// The certificate that one side of a call shows in DTLS-SRTP (RFC 5763), with its private key: self-signed, by an ECDSA key on P-256.
///
/// The other side knows it only by its fingerprint, which the description carries (RFC 8122). A call without a certificate makes
/// one for itself; make one for a whole server, or keep it in a file, where the fingerprint is to
/// stay the same.
///
/// A certificate that is kept between two runs of a program, so that the other side knows it again:
///
/// ```
/// use host_std::session::{Call, CallConfig, Certificate, Keying};
///
/// let text = Certificate::generate()?.to_pem(); // into a file that nobody else can read
/// let certificate = Certificate::from_pem(&text)?;
/// let fingerprint = certificate.fingerprint().to_string();
/// assert!(fingerprint.starts_with("sha-256 "));
///
/// let config = CallConfig { keying: Keying::Dtls, certificate: Some(certificate), ..CallConfig::new(4000)? };
/// assert!(Call::new(config)?.offer()?.contains(&format!("a=fingerprint:{fingerprint}")));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Certificate(Arc<Parts>);

struct Parts {
    /// Certificate and private key (PKCS #8), in DER form.
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
}

/// The reason why there is no certificate.
#[derive(Debug)]
#[non_exhaustive]
pub enum CertificateError {
    /// The operating system gave no randomness.
    Randomness(getrandom::Error),
    /// It can't be written in DER form.
    Encoding(rcgen::Error),
    /// The text has no part of this name, or it's damaged.
    Pem(&'static str),
    /// The private key is none on the curve P-256, as PKCS #8 has it.
    Key,
    /// More bytes than a certificate and its key have.
    TooLarge(usize),
}

impl Certificate {
    /// Generates a new certificate.
    ///
    /// # Errors
    /// [`CertificateError::Randomness`] when the operating system has no randomness to give.
    pub fn generate() -> Result<Self, CertificateError> {
        Self::for_names(&[])
    }

    /// Generates a new certificate of a server, for these names and addresses: for a page over TLS.
    ///
    /// # Errors
    /// [`CertificateError::Randomness`], and [`CertificateError::Encoding`] for a text that is no name of a server.
    pub fn for_names(names: &[String]) -> Result<Self, CertificateError> {
        let key = loop {
            let mut bytes = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *bytes).map_err(CertificateError::Randomness)?;
            // One of 2^32 numbers is none of the curve.
            if let Ok(key) = SecretKey::from_slice(&*bytes) {
                break key;
            }
        };
        let mut serial = [0; 16];
        getrandom::fill(&mut serial).map_err(CertificateError::Randomness)?;
        let mut params = CertificateParams::new(names).map_err(CertificateError::Encoding)?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "media-core");
        // RFC 5280, 4.1.2.2: positive. Browsers want no number twice.
        serial[0] = serial[0] & 0x7f | 1;
        if !names.is_empty() {
            // Of a server's certificate browsers also require its use, and at most 398 days. Other clocks may be slow, so it
            // begins a day earlier.
            let day = Duration::from_secs(86_400);
            let now = SystemTime::now();
            (params.not_before, params.not_after) = ((now - day).into(), (now + 396 * day).into());
            params.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        params.serial_number = Some(serial.to_vec().into());
        let signer = Signatory::new(&key);
        let certificate = params.self_signed(&signer).map_err(CertificateError::Encoding)?.der().to_vec();
        let key = Zeroizing::new(key.to_pkcs8_der().map_err(|_| CertificateError::Key)?.as_bytes().to_vec());
        Ok(Self(Arc::new(Parts { certificate, key })))
    }

    /// Reads the text that [`to_pem`](Self::to_pem) returns: a certificate and its private key, in either order. Whether they
    /// belong together is not checked here: a handshake with others fails.
    ///
    /// # Errors
    /// A [`CertificateError`] with the fault of the text: a part is missing or damaged, the key isn't on the curve P-256, or it
    /// doesn't belong to the certificate. The text may be anything.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        if text.len() > MAX_PEM_BYTES {
            return Err(CertificateError::TooLarge(text.len()));
        }
        let certificate = part(text, CERTIFICATE)?;
        let key = Zeroizing::new(part(text, PRIVATE_KEY)?);
        SecretKey::from_pkcs8_der(&key).map_err(|_| CertificateError::Key)?;
        Ok(Self(Arc::new(Parts { certificate, key })))
    }

    /// Returns certificate and private key as text (RFC 7468). Anyone who has it can impersonate us.
    pub fn to_pem(&self) -> Zeroizing<String> {
        let part = |label, der: &[u8]| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap_or_default();
        Zeroizing::new(part(CERTIFICATE, &self.0.certificate) + &*Zeroizing::new(part(PRIVATE_KEY, &self.0.key)))
    }

    /// Returns the fingerprint, by which the other side knows the certificate.
    pub fn fingerprint(&self) -> Fingerprint {
        sha256(&self.0.certificate)
    }

    /// Returns the certificate for a description, with a fresh name for the association.
    pub(super) fn local(&self) -> Result<LocalDtls, CallError> {
        Ok(LocalDtls { fingerprint: self.fingerprint(), tls_id: tls_id()?, active: None })
    }

    pub(super) fn to_dimpl(&self) -> dimpl::DtlsCertificate {
        dimpl::DtlsCertificate { certificate: self.0.certificate.clone(), private_key: self.0.key.to_vec() }
    }
}

/// Returns a name for an association, of 128 random bits (RFC 8842, 4: 120 at least, 20 characters at least).
pub(super) fn tls_id() -> Result<String, CallError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(CallError::Randomness)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn sha256(der: &[u8]) -> Fingerprint {
    Fingerprint::new(FingerprintHash::Sha256, &Sha256::digest(der)).expect("32 bytes, as that hash has")
}

/// Returns the first part with this label.
fn part(text: &str, label: &'static str) -> Result<Vec<u8>, CertificateError> {
    let wrong = || CertificateError::Pem(label);
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let (_, after) = text.split_once(&begin).ok_or_else(wrong)?;
    let (body, _) = after.split_once(&end).ok_or_else(wrong)?;
    let (_, der) = pem_rfc7468::decode_vec(format!("{begin}{body}{end}").as_bytes()).map_err(|_| wrong())?;
    Ok(der)
}

/// The key that signs, and its public half.
struct Signatory {
    key: SigningKey,
    /// The point, uncompressed.
    public: Vec<u8>,
}

impl Signatory {
    fn new(key: &SecretKey) -> Self {
        let key = SigningKey::from(key);
        let public = key.verifying_key().to_sec1_point(false).as_bytes().to_vec();
        Self { key, public }
    }
}

impl rcgen::PublicKeyData for Signatory {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signatory {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: DerSignature = self.key.try_sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.as_bytes().to_vec())
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.fingerprint())
    }
}

impl fmt::Display for CertificateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Randomness(_) => f.write_str("the operating system has no randomness"),
            Self::Encoding(_) => f.write_str("the certificate can't be written"),
            Self::Pem(label) => write!(f, "there is no whole part {label}"),
            Self::Key => f.write_str("the private key is none on the curve P-256, as PKCS #8 has it"),
            Self::TooLarge(bytes) => write!(f, "{bytes} bytes are too many; at most {MAX_PEM_BYTES} are read"),
        }
    }
}

impl std::error::Error for CertificateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Randomness(error) => Some(error),
            Self::Encoding(error) => Some(error),
            Self::Pem(_) | Self::Key | Self::TooLarge(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_keeps_the_fingerprint() {
        let certificate = Certificate::generate().unwrap();
        let read = Certificate::from_pem(&certificate.to_pem()).unwrap();
        assert_eq!(read.fingerprint(), certificate.fingerprint());
        assert_eq!(read.0.key, certificate.0.key);
        assert_ne!(Certificate::generate().unwrap().fingerprint(), certificate.fingerprint());
    }

    #[test]
    fn what_is_no_certificate_is_said_in_words() {
        let text = Certificate::generate().unwrap().to_pem();
        let (certificate, key) = text.split_at(text.find("-----BEGIN PRIVATE").unwrap());
        let error = |text: &str| Certificate::from_pem(text).unwrap_err().to_string();
        assert_eq!(error(certificate), "there is no whole part PRIVATE KEY");
        assert_eq!(error(key), "there is no whole part CERTIFICATE");
        assert_eq!(error(&format!("{certificate}{}", &key[..60])), "there is no whole part PRIVATE KEY");
        assert!(error(&" ".repeat(70_000)).contains("70000 bytes"));
        let other = certificate.replace("CERTIFICATE", PRIVATE_KEY);
        assert!(error(&format!("{certificate}{other}")).contains("P-256"));
    }

    #[test]
    fn debug_shows_no_key() {
        let certificate = Certificate::generate().unwrap();
        assert!(format!("{certificate:?}").starts_with("Certificate(sha-256 "));
    }
}
