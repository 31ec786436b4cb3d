//! What both benchmarks of SRTP protect, and by what: a packet of 172 bytes (20 ms of G.711), ours and libsrtp's contexts.

use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};

/// Bytes of a packet.
pub const PACKET: usize = 172;
/// The room that a tag needs.
pub const TAG: usize = 20;
/// As long as the longest; each suite takes what it needs.
const KEY: [u8; MasterKey::LONGEST] = *b"thirty-two bytes of a master keyfourteen bytes";
const OTHER: [u8; MasterKey::LONGEST] = *b"another one: 32 bytes of a masterfourteenbytes";

/// A suite of each kind, and how the measurements are named: the first as it always was.
pub const SUITES: [(&str, SrtpProfile); 4] = [
    ("srtp", SrtpProfile::AesCm128HmacSha1_80),
    ("srtp_aes_256", SrtpProfile::Aes256CmHmacSha1_80),
    ("srtp_gcm_128", SrtpProfile::AeadAes128Gcm),
    ("srtp_gcm_256", SrtpProfile::AeadAes256Gcm),
];

/// A packet with sequence number `seq`, and room for the tag.
pub fn packet(seq: u16) -> [u8; PACKET + TAG] {
    let mut packet = [0x55; PACKET + TAG];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1]);
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet
}

/// The same for libsrtp, which makes the buffer longer itself.
pub fn growing_packet(seq: u16) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(PACKET + 200);
    buffer.extend(&packet(seq)[..PACKET]);
    buffer
}

/// A key of each direction.
pub fn keys(profile: SrtpProfile) -> [MasterKey; 2] {
    [KEY, OTHER].map(|key| MasterKey::of(profile, &key[..profile.master_bytes()]).expect("as long as the profile's"))
}

/// A sender and its receiver.
pub fn guards(profile: SrtpProfile) -> [Srtp<4>; 2] {
    let [key, other] = keys(profile);
    [[&key, &other], [&other, &key]].map(|[out, into]| Srtp::new(profile, out, into).expect("keys of the profile"))
}

/// libsrtp's sender and receiver.
#[cfg(feature = "c-peers")]
pub fn libsrtps(profile: SrtpProfile) -> [srtp::Session; 2] {
    use srtp::{CryptoPolicy, Session, StreamPolicy};
    let policy = match profile {
        SrtpProfile::AesCm128HmacSha1_80 => CryptoPolicy::aes_cm_128_hmac_sha1_80(),
        SrtpProfile::Aes256CmHmacSha1_80 => CryptoPolicy::aes_cm_256_hmac_sha1_80(),
        SrtpProfile::AeadAes128Gcm => CryptoPolicy::aes_gcm_128_16_auth(),
        _ => CryptoPolicy::aes_gcm_256_16_auth(),
    };
    let key = &KEY[..profile.master_bytes()];
    let policy = StreamPolicy { rtp: policy, rtcp: policy, key, ..Default::default() };
    let sender = Session::with_outbound_template(policy).expect("a policy of libsrtp's own");
    [sender, Session::with_inbound_template(policy).expect("a policy of libsrtp's own")]
}
