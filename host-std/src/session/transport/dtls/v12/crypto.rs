//! Keys of a DTLS 1.2 association (RFC 5246, 8; RFC 7627), their export (RFC 5705), and signatures of ECDSA and RSA.
//!
//! All cryptography but RSA is that of the engine, `dimpl`; RSA is from the crate `rsa`, which here only checks signatures: there
//! is no secret in that.

use ctutils::CtEq;
use dimpl::crypto::prf_hkdf::prf_tls12;
use dimpl::crypto::rust_crypto::default_provider;
use dimpl::crypto::{ActiveKeyExchange, Buf, CryptoProvider, SigningKey};
use dimpl::{HashAlgorithm, NamedGroup, SignatureAlgorithm};
use rsa::pkcs8::DecodePublicKey;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier;
use rsa::traits::PublicKeyParts;
use rsa::{pkcs1v15, pss};
use x509_cert::der::{Decode, Encode};
use zeroize::Zeroizing;

use super::messages::Suite;
use super::records::RecordProtection;

/// RSA keys of fewer bits prove little, and of more take long.
const RSA_BITS: std::ops::RangeInclusive<u32> = 2_048..=8_192;

pub(super) struct DtlsCrypto(CryptoProvider);

/// The keys of both directions.
pub(super) struct DtlsKeyMaterial {
    master: Zeroizing<Vec<u8>>,
    randoms: [[u8; 32]; 2],
    suite: Suite,
}

impl DtlsCrypto {
    pub(super) fn new() -> Self {
        Self(default_provider())
    }

    pub(super) fn random(&self) -> Option<[u8; 32]> {
        let mut bytes = [0; 32];
        self.0.secure_random.fill(&mut bytes).ok()?;
        Some(bytes)
    }

    pub(super) fn exchange(&self, group: u16) -> Option<Box<dyn ActiveKeyExchange>> {
        let group = self.0.kx_groups.iter().find(|known| known.name() == NamedGroup::from_u16(group))?;
        group.start_exchange(Buf::new()).ok()
    }

    pub(super) fn signing_key(&self, der: &[u8]) -> Option<Box<dyn SigningKey>> {
        self.0.key_provider.load_private_key(der).ok()
    }

    /// Returns a signature of ours: ECDSA with SHA-256.
    pub(super) fn sign(key: &mut dyn SigningKey, data: &[u8]) -> Option<Vec<u8>> {
        let mut signature = Buf::new();
        key.sign(data, HashAlgorithm::SHA256, &mut signature).ok()?;
        Some(signature.into_vec())
    }

    pub(super) fn hash(&self, suite: Suite, data: &[u8]) -> Vec<u8> {
        let mut context = self.0.hash_provider.create_hash(suite.hash);
        context.update(data);
        let mut out = Buf::new();
        context.clone_and_finalize(&mut out);
        out.into_vec()
    }

    fn prf(&self, suite: Suite, secret: &[u8], label: &str, seed: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
        let (mut out, mut scratch) = (Buf::new(), Buf::new());
        prf_tls12(self.0.hmac_provider, secret, label, seed, &mut out, len, &mut scratch, suite.hash).ok()?;
        let mut out = out.into_vec();
        out.truncate(len);
        (out.len() == len).then(|| Zeroizing::new(out))
    }

    /// The keys that an exchange comes to. `session`: the hash of all messages up to the client's key.
    pub(super) fn keys(
        &self,
        suite: Suite,
        exchange: Box<dyn ActiveKeyExchange>,
        public: &[u8],
        session: &[u8],
        randoms: [[u8; 32]; 2],
    ) -> Option<DtlsKeyMaterial> {
        let mut secret = Buf::new();
        exchange.complete(public, &mut secret).ok()?;
        let secret = Zeroizing::new(secret.into_vec());
        let master = self.prf(suite, &secret, "extended master secret", session, 48)?;
        Some(DtlsKeyMaterial { master, randoms, suite })
    }

    /// Returns the protection of the client's records, and of the server's.
    pub(super) fn protections(&self, keys: &DtlsKeyMaterial) -> Option<[RecordProtection; 2]> {
        let suite = self.0.cipher_suites.iter().find(|suite| suite.suite() == keys.suite.cipher)?;
        let (_, key_len, _) = suite.key_lengths();
        let [client, server] = keys.randoms;
        let seed = [server, client].concat();
        let block = self.prf(keys.suite, &keys.master, "key expansion", &seed, 2 * key_len + 8)?;
        let (write_keys, salts) = block.split_at(2 * key_len);
        let one = |side: usize| {
            let cipher = suite.create_cipher(&write_keys[side * key_len..][..key_len]).ok()?;
            Some(RecordProtection::new(cipher, salts[side * 4..][..4].try_into().ok()?))
        };
        Some([one(0)?, one(1)?])
    }

    /// Returns the proof that a side saw all the messages with this hash.
    pub(super) fn finished(&self, keys: &DtlsKeyMaterial, client: bool, hash: &[u8]) -> Option<Vec<u8>> {
        let label = if client { "client finished" } else { "server finished" };
        Some(self.prf(keys.suite, &keys.master, label, hash, 12)?.to_vec())
    }

    pub(super) fn is_finished(&self, keys: &DtlsKeyMaterial, client: bool, hash: &[u8], body: &[u8]) -> bool {
        self.finished(keys, client, hash).is_some_and(|expected| expected[..].ct_eq(body).into())
    }

    /// Exports the key material for SRTP (RFC 5764, 4.2).
    pub(super) fn export(&self, keys: &DtlsKeyMaterial, len: usize) -> Option<Zeroizing<Vec<u8>>> {
        self.prf(keys.suite, &keys.master, "EXTRACTOR-dtls_srtp", &keys.randoms.concat(), len)
    }

    /// Returns whether the owner of the certificate has signed this. `rsa`: whether the certificate must be of RSA or of ECDSA;
    /// `None`: either.
    pub(super) fn verify(
        &self,
        certificate: &[u8],
        rsa: Option<bool>,
        scheme: u16,
        data: &[u8],
        signature: &[u8],
    ) -> bool {
        let of_rsa = !matches!(scheme, 0x0403 | 0x0503);
        if rsa.is_some_and(|rsa| rsa != of_rsa) {
            return false;
        }
        let ecdsa = |hash| {
            let verifier = self.0.signature_verification;
            verifier.verify_signature(certificate, data, signature, hash, SignatureAlgorithm::ECDSA).is_ok()
        };
        match scheme {
            0x0403 => ecdsa(HashAlgorithm::SHA256),
            0x0503 => ecdsa(HashAlgorithm::SHA384),
            _ => verify_rsa(certificate, scheme, data, signature).is_some(),
        }
    }
}

/// `Some` if it is the signature of the certificate's owner.
fn verify_rsa(certificate: &[u8], scheme: u16, data: &[u8], signature: &[u8]) -> Option<()> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let key = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
    let key = rsa::PublicKey::from_public_key_der(&key).ok().filter(|key| RSA_BITS.contains(&key.n().bit_width()))?;
    match scheme {
        0x0401..=0x0601 => {
            let signature = pkcs1v15::Signature::try_from(signature).ok()?;
            match scheme {
                0x0401 => pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(data, &signature).ok(),
                0x0501 => pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(data, &signature).ok(),
                0x0601 => pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(data, &signature).ok(),
                _ => None,
            }
        }
        0x0804..=0x0806 => {
            let signature = pss::Signature::try_from(signature).ok()?;
            // The salt is as long as the hash (RFC 8446, 4.2.3).
            match scheme {
                0x0804 => pss::VerifyingKey::<Sha256>::new(key).verify(data, &signature).ok(),
                0x0805 => pss::VerifyingKey::<Sha384>::new(key).verify(data, &signature).ok(),
                _ => pss::VerifyingKey::<Sha512>::new(key).verify(data, &signature).ok(),
            }
        }
        _ => None,
    }
}
