//! SRTP protect and unprotect of a packet of 172 bytes (20 ms of G.711), under a suite of each kind; with
//! the feature `c-peers` libsrtp beside it.
//!
//! Each iteration handles a packet with the next sequence number: libsrtp and the guard both refuse repeats. Unprotect
//! takes its packets from a ring prepared for one roll-over counter after the other, so that no protection lies in the
//! measured time.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use std::hint::black_box;

const PACKET: usize = 172;
/// As long as the longest; each suite takes what it needs.
const KEY: [u8; MasterKey::LONGEST] = *b"thirty-two bytes of a master keyfourteen bytes";
const OTHER: [u8; MasterKey::LONGEST] = *b"another one: 32 bytes of a masterfourteenbytes";

/// A suite of each kind, and how the measurements are named: the first as it always was.
const SUITES: [(&str, SrtpProfile); 4] = [
    ("srtp", SrtpProfile::AesCm128HmacSha1_80),
    ("srtp_aes_256", SrtpProfile::Aes256CmHmacSha1_80),
    ("srtp_gcm_128", SrtpProfile::AeadAes128Gcm),
    ("srtp_gcm_256", SrtpProfile::AeadAes256Gcm),
];

/// A G.711 packet with sequence number `seq`, and room for the tag.
fn packet(seq: u16) -> [u8; PACKET + 20] {
    let mut packet = [0x55; PACKET + 20];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1]);
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet
}

fn keys(profile: SrtpProfile) -> [MasterKey; 2] {
    [KEY, OTHER].map(|key| MasterKey::of(profile, &key[..profile.master_bytes()]).unwrap())
}

fn guards(profile: SrtpProfile) -> (Srtp<4>, Srtp<4>) {
    let [key, other] = keys(profile);
    (Srtp::new(profile, &key, &other).unwrap(), Srtp::new(profile, &other, &key).unwrap())
}

fn ours(c: &mut Criterion) {
    for (name, profile) in SUITES {
        let (mut sender, _) = guards(profile);
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/protect/ours"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    packet(seq)
                },
                |buffer| sender.protect_rtp(black_box(buffer), PACKET).unwrap(),
                BatchSize::SmallInput,
            );
        });
        let (mut sender, mut receiver) = guards(profile);
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/unprotect/ours"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    let mut buffer = packet(seq);
                    let len = sender.protect_rtp(&mut buffer, PACKET).unwrap();
                    (buffer, len)
                },
                |(buffer, len)| receiver.unprotect_rtp(black_box(&mut buffer[..*len])).unwrap(),
                BatchSize::SmallInput,
            );
        });
        c.bench_function(&format!("{name}/new_key/ours"), |b| {
            let [key, other] = keys(profile);
            b.iter(|| Srtp::<1>::new(profile, black_box(&key), black_box(&other)).unwrap());
        });
    }
}

#[cfg(feature = "c-peers")]
fn libsrtp(c: &mut Criterion) {
    use srtp::{CryptoPolicy, Session, StreamPolicy};
    let raw = |seq| {
        let mut buffer = Vec::with_capacity(PACKET + 200);
        buffer.extend(&packet(seq)[..PACKET]);
        buffer
    };
    for (name, profile) in SUITES {
        let policy = match profile {
            SrtpProfile::AesCm128HmacSha1_80 => CryptoPolicy::aes_cm_128_hmac_sha1_80(),
            SrtpProfile::Aes256CmHmacSha1_80 => CryptoPolicy::aes_cm_256_hmac_sha1_80(),
            SrtpProfile::AeadAes128Gcm => CryptoPolicy::aes_gcm_128_16_auth(),
            _ => CryptoPolicy::aes_gcm_256_16_auth(),
        };
        let key = &KEY[..profile.master_bytes()];
        let policy = StreamPolicy { rtp: policy, rtcp: policy, key, ..Default::default() };
        let mut sender = Session::with_outbound_template(policy).unwrap();
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/protect/libsrtp"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    raw(seq)
                },
                |buffer| sender.protect(black_box(buffer)).unwrap(),
                BatchSize::SmallInput,
            );
        });
        let mut sender = Session::with_outbound_template(policy).unwrap();
        let mut receiver = Session::with_inbound_template(policy).unwrap();
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/unprotect/libsrtp"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    let mut buffer = raw(seq);
                    sender.protect(&mut buffer).unwrap();
                    buffer
                },
                |buffer| receiver.unprotect(black_box(buffer)).unwrap(),
                BatchSize::SmallInput,
            );
        });
    }
}

#[cfg(not(feature = "c-peers"))]
fn libsrtp(_: &mut Criterion) {}

criterion_group!(benches, ours, libsrtp);
criterion_main!(benches);
