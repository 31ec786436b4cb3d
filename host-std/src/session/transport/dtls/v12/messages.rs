//! Handshake messages of TLS 1.2 (RFC 5246, 7.4) as far as DTLS-SRTP has them: written, and read from whatever comes.

use dimpl::crypto::Dtls12CipherSuite;
use dimpl::{HashAlgorithm, SrtpProfile};

use super::records::{VERSION, u24};

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const HELLO_VERIFY_REQUEST: u8 = 3;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const SERVER_KEY_EXCHANGE: u8 = 12;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const SERVER_HELLO_DONE: u8 = 14;
pub(super) const CERTIFICATE_VERIFY: u8 = 15;
pub(super) const CLIENT_KEY_EXCHANGE: u8 = 16;
pub(super) const FINISHED: u8 = 20;

const SUPPORTED_GROUPS: u16 = 10;
const EC_POINT_FORMATS: u16 = 11;
const SIGNATURE_ALGORITHMS: u16 = 13;
const USE_SRTP: u16 = 14;
const EXTENDED_MASTER_SECRET: u16 = 23;
const SUPPORTED_VERSIONS: u16 = 43;
const RENEGOTIATION_INFO: u16 = 0xff01;
/// The same information as a cipher suite (RFC 5746, 3.3).
const RENEGOTIATION_SCSV: u16 = 0x00ff;
/// DTLS 1.3.
const VERSION_13: [u8; 2] = [0xfe, 0xfc];

/// A suite: ECDHE, with AES-GCM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) number: u16,
    /// Whether the server's certificate is of RSA.
    pub(super) rsa: bool,
    pub(super) hash: HashAlgorithm,
    /// The one of the engine's whose cipher it has.
    pub(super) cipher: Dtls12CipherSuite,
}

/// The best first.
pub(super) const SUITES: [Suite; 4] = {
    const SHA256: (HashAlgorithm, Dtls12CipherSuite) =
        (HashAlgorithm::SHA256, Dtls12CipherSuite::ECDHE_ECDSA_AES128_GCM_SHA256);
    const SHA384: (HashAlgorithm, Dtls12CipherSuite) =
        (HashAlgorithm::SHA384, Dtls12CipherSuite::ECDHE_ECDSA_AES256_GCM_SHA384);
    [
        Suite { number: 0xc02b, rsa: false, hash: SHA256.0, cipher: SHA256.1 },
        Suite { number: 0xc02c, rsa: false, hash: SHA384.0, cipher: SHA384.1 },
        Suite { number: 0xc02f, rsa: true, hash: SHA256.0, cipher: SHA256.1 },
        Suite { number: 0xc030, rsa: true, hash: SHA384.0, cipher: SHA384.1 },
    ]
};

/// The signatures that are taken, the best first: ECDSA, then RSA by PSS and by PKCS #1 (RFC 8446, 4.2.3 has the numbers).
pub(super) const SIGNATURES: [u16; 8] = [0x0403, 0x0503, 0x0804, 0x0805, 0x0806, 0x0401, 0x0501, 0x0601];
/// Ours: ECDSA with SHA-256, on P-256.
pub(super) const OUR_SIGNATURE: u16 = 0x0403;
/// The groups of the key exchange, the best first: X25519, P-256, P-384.
pub(super) const GROUPS: [u16; 3] = [29, 23, 24];
/// Kinds of certificates that a client may show: of ECDSA and of RSA.
const CERTIFICATE_KINDS: [u8; 2] = [64, 1];
/// The most certificates of a chain that are looked at.
const MAX_CHAIN: usize = 16;

/// Profiles of SRTP, the best first, as RFC 5764 and RFC 7714 number them.
const PROFILES: [(u16, SrtpProfile); 3] = [
    (0x0008, SrtpProfile::AEAD_AES_256_GCM),
    (0x0007, SrtpProfile::AEAD_AES_128_GCM),
    (0x0001, SrtpProfile::AES128_CM_SHA1_80),
];

/// Reads from the front; `None` where there is too little.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        Some(self.take(1)?[0])
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    /// Reads as many bytes as the length before them says, which itself has `len_bytes` bytes.
    fn counted(&mut self, len_bytes: usize) -> Option<&'a [u8]> {
        let len = self.take(len_bytes)?.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        self.take(len)
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u16> + Clone {
    bytes.chunks_exact(2).map(|pair| u16::from_be_bytes([pair[0], pair[1]]))
}

/// Reads extensions, each with its content.
fn extensions(bytes: &[u8]) -> Option<Vec<(u16, &[u8])>> {
    let (mut reader, mut all) = (Reader(bytes), Vec::new());
    while !reader.0.is_empty() {
        all.push((reader.u16()?, reader.counted(2)?));
    }
    Some(all)
}

/// Writes bytes after their length.
fn counted(len_bytes: usize, bytes: &[u8]) -> Vec<u8> {
    let len = (bytes.len() as u32).to_be_bytes();
    [&len[4 - len_bytes..], bytes].concat()
}

fn list(numbers: impl IntoIterator<Item = u16>) -> Vec<u8> {
    let bytes: Vec<u8> = numbers.into_iter().flat_map(u16::to_be_bytes).collect();
    counted(2, &bytes)
}

fn extension(kind: u16, bytes: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &counted(2, bytes)].concat()
}

/// Writes a client's offer.
pub(super) fn client_hello(random: &[u8; 32], cookie: &[u8]) -> Vec<u8> {
    let profiles = [list(PROFILES.map(|(number, _)| number)), vec![0]].concat();
    let extensions = [
        extension(SUPPORTED_GROUPS, &list(GROUPS)),
        extension(EC_POINT_FORMATS, &[1, 0]),
        extension(SIGNATURE_ALGORITHMS, &list(SIGNATURES)),
        extension(USE_SRTP, &profiles),
        extension(EXTENDED_MASTER_SECRET, &[]),
        extension(RENEGOTIATION_INFO, &[0]),
    ];
    let suites = list(SUITES.map(|suite| suite.number));
    [&VERSION[..], random, &[0], &counted(1, cookie), &suites, &[1, 0], &counted(2, &extensions.concat())].concat()
}

/// A client's offer, as far as a server wants to know of it.
#[derive(Debug)]
pub(crate) struct ClientHello {
    pub(super) random: [u8; 32],
    pub(super) suite: Option<Suite>,
    pub(super) group: Option<u16>,
    pub(super) profile: Option<SrtpProfile>,
    pub(super) extended_master_secret: bool,
    /// Whether the client asks for confirmation of secure renegotiation (RFC 5746); below is the format of points.
    renegotiation_info: bool,
    point_formats: bool,
    /// Whether it speaks DTLS 1.3 too.
    pub(super) offers_13: bool,
}

impl ClientHello {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        // 1.0 is fe ff: the higher the lower.
        let is_12 = matches!(*reader.take(2)?, [0xfe, minor] if minor <= VERSION[1]);
        let random = reader.take(32)?.try_into().ok()?;
        let (_session, _cookie) = (reader.counted(1)?, reader.counted(1)?);
        let suites = numbers(reader.counted(2)?);
        let _compression = reader.counted(1)?;
        let extensions = if reader.0.is_empty() { Vec::new() } else { extensions(reader.counted(2)?)? };
        let find = |kind| extensions.iter().find(|(known, _)| *known == kind).map(|(_, bytes)| *bytes);
        let in_list = |kind, wanted: u16| -> Option<bool> {
            let listed = Reader(find(kind)?).counted(2)?;
            Some(numbers(listed).any(|number| number == wanted))
        };
        // Our certificate is of ECDSA.
        let ours = SUITES.iter().find(|suite| !suite.rsa && suites.clone().any(|number| number == suite.number));
        let signs = in_list(SIGNATURE_ALGORITHMS, OUR_SIGNATURE).unwrap_or(true);
        let group = match find(SUPPORTED_GROUPS) {
            Some(_) => GROUPS.into_iter().find(|group| in_list(SUPPORTED_GROUPS, *group) == Some(true)),
            // A client without the extension accepts any group (RFC 8422, 4): the choice is the one that all have.
            None => Some(GROUPS[1]),
        };
        let profile = PROFILES.into_iter().find(|(number, _)| in_list(USE_SRTP, *number) == Some(true));
        Some(Self {
            random,
            suite: ours.filter(|_| is_12 && signs).copied(),
            group,
            profile: profile.map(|(_, profile)| profile),
            extended_master_secret: find(EXTENDED_MASTER_SECRET).is_some(),
            renegotiation_info: find(RENEGOTIATION_INFO).is_some()
                || suites.clone().any(|number| number == RENEGOTIATION_SCSV),
            point_formats: find(EC_POINT_FORMATS).is_some(),
            offers_13: find(SUPPORTED_VERSIONS)
                .is_some_and(|versions| versions.windows(2).any(|two| two == VERSION_13)),
        })
    }
}

/// Writes the server's choices from an offer.
pub(super) fn server_hello(random: &[u8; 32], hello: &ClientHello, suite: Suite, profile: SrtpProfile) -> Vec<u8> {
    let number = PROFILES.into_iter().find(|(_, known)| *known == profile).map_or(0, |(number, _)| number);
    let mut extensions = extension(USE_SRTP, &[list([number]), vec![0]].concat());
    extensions.extend(extension(EXTENDED_MASTER_SECRET, &[]));
    if hello.renegotiation_info {
        extensions.extend(extension(RENEGOTIATION_INFO, &[0]));
    }
    if hello.point_formats {
        extensions.extend(extension(EC_POINT_FORMATS, &[1, 0]));
    }
    [&VERSION[..], random, &[0], &suite.number.to_be_bytes(), &[0], &counted(2, &extensions)].concat()
}

/// The server's choices.
pub(super) struct ServerHello {
    pub(super) random: [u8; 32],
    pub(super) suite: Suite,
    pub(super) profile: Option<SrtpProfile>,
    pub(super) extended_master_secret: bool,
}

impl ServerHello {
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut reader = Reader(body);
        if reader.take(2)? != VERSION {
            return None;
        }
        let random = reader.take(32)?.try_into().ok()?;
        let _session = reader.counted(1)?;
        let number = reader.u16()?;
        let suite = *SUITES.iter().find(|suite| suite.number == number)?;
        if reader.u8()? != 0 {
            return None;
        }
        let extensions = if reader.0.is_empty() { Vec::new() } else { extensions(reader.counted(2)?)? };
        let find = |kind| extensions.iter().find(|(known, _)| *known == kind).map(|(_, bytes)| *bytes);
        let profile = find(USE_SRTP).and_then(|bytes| {
            let mut reader = Reader(bytes);
            let taken = reader.counted(2)?;
            // One, and no identifier of keys: none was offered (RFC 5764, 4.1.3).
            let number = <[u8; 2]>::try_from(taken).ok().map(u16::from_be_bytes)?;
            let plain = reader.counted(1)?.is_empty();
            PROFILES.into_iter().find(|(known, _)| *known == number && plain).map(|(_, profile)| profile)
        });
        let extended_master_secret = find(EXTENDED_MASTER_SECRET).is_some();
        Some(Self { random, suite, profile, extended_master_secret })
    }
}

/// Returns the cookie that a client is to say again (RFC 6347, 4.2.1).
pub(super) fn cookie(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    let _version = reader.take(2)?;
    reader.counted(1)
}

/// Returns a chain of one certificate.
pub(super) fn certificate(der: &[u8]) -> Vec<u8> {
    counted(3, &[&u24(der.len())[..], der].concat())
}

/// Returns the first certificate of a chain; `Some(None)` for an empty one.
pub(super) fn first_certificate(body: &[u8]) -> Option<Option<&[u8]>> {
    let (mut chain, mut first, mut count) = (Reader(Reader(body).counted(3)?), None, 0);
    while !chain.0.is_empty() {
        let der = chain.counted(3)?;
        count += 1;
        if der.is_empty() || count > MAX_CHAIN {
            return None;
        }
        first = first.or(Some(der));
    }
    Some(first)
}

/// Returns the parameters of the key exchange that the server signs: group and public key (RFC 8422, 5.4).
pub(super) fn exchange_params(group: u16, public: &[u8]) -> Vec<u8> {
    [&[3][..], &group.to_be_bytes(), &counted(1, public)].concat()
}

/// Returns a signature with its kind.
pub(super) fn signed(scheme: u16, signature: &[u8]) -> Vec<u8> {
    [&scheme.to_be_bytes()[..], &counted(2, signature)].concat()
}

/// The server's part of the key exchange.
pub(super) struct KeyExchange<'a> {
    /// All that is signed of it.
    pub(super) params: &'a [u8],
    pub(super) group: u16,
    pub(super) public: &'a [u8],
    pub(super) signature: Signature<'a>,
}

/// A signature and its kind.
#[derive(Clone, Copy)]
pub(super) struct Signature<'a> {
    pub(super) scheme: u16,
    pub(super) bytes: &'a [u8],
}

impl<'a> KeyExchange<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        // A curve that has a name.
        if reader.u8()? != 3 {
            return None;
        }
        let (group, public) = (reader.u16()?, reader.counted(1)?);
        let params = &body[..body.len() - reader.0.len()];
        Some(Self { params, group, public, signature: Signature::parse(reader.0)? })
    }
}

impl<'a> Signature<'a> {
    pub(super) fn parse(body: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(body);
        let signature = Self { scheme: reader.u16()?, bytes: reader.counted(2)? };
        reader.0.is_empty().then_some(signature)
    }
}

/// Returns a client's public key.
pub(super) fn client_key(body: &[u8]) -> Option<&[u8]> {
    let mut reader = Reader(body);
    let public = reader.counted(1)?;
    reader.0.is_empty().then_some(public)
}

/// Writes the same message.
pub(super) fn client_key_exchange(public: &[u8]) -> Vec<u8> {
    counted(1, public)
}

/// Asks for a certificate of any kind that can be checked, from any issuer.
pub(super) fn certificate_request() -> Vec<u8> {
    [counted(1, &CERTIFICATE_KINDS), list(SIGNATURES), vec![0, 0]].concat()
}
