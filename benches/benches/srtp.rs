//! SRTP protect and unprotect of a packet of 172 bytes (20 ms of G.711), AES-CM with HMAC-SHA1-80; with the feature
//! `c-peers` libsrtp beside it.
//!
//! Each iteration handles a packet with the next sequence number: libsrtp and the guard both refuse repeats. Unprotect
//! takes its packets from a ring prepared for one roll-over counter after the other, so that no protection lies in the
//! measured time.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use std::hint::black_box;

const PACKET: usize = 172;
const KEY: [u8; 30] = *b"sixteen byte keyfourteen bytes";
const OTHER: [u8; 30] = *b"another byte keyfourteen bytes";

/// A G.711 packet with sequence number `seq`, and room for the tag.
fn packet(seq: u16) -> [u8; PACKET + 14] {
    let mut packet = [0x55; PACKET + 14];
    packet[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1]);
    packet[2..4].copy_from_slice(&seq.to_be_bytes());
    packet
}

fn guards() -> (Srtp<4>, Srtp<4>) {
    let (key, other) = (MasterKey::from_bytes(&KEY), MasterKey::from_bytes(&OTHER));
    let profile = SrtpProfile::AesCm128HmacSha1_80;
    (Srtp::new(profile, &key, &other), Srtp::new(profile, &other, &key))
}

fn ours(c: &mut Criterion) {
    let (mut sender, _) = guards();
    let mut seq = 0_u16;
    c.bench_function("srtp/protect/ours", |b| {
        b.iter_batched_ref(
            || {
                seq = seq.wrapping_add(1);
                packet(seq)
            },
            |buffer| sender.protect_rtp(black_box(buffer), PACKET).unwrap(),
            BatchSize::SmallInput,
        );
    });
    let (mut sender, mut receiver) = guards();
    let mut seq = 0_u16;
    c.bench_function("srtp/unprotect/ours", |b| {
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
    c.bench_function("srtp/new_key/ours", |b| {
        let key = MasterKey::from_bytes(&KEY);
        b.iter(|| Srtp::<1>::new(SrtpProfile::AesCm128HmacSha1_80, black_box(&key), black_box(&key)));
    });
}

#[cfg(feature = "c-peers")]
fn libsrtp(c: &mut Criterion) {
    use srtp::{CryptoPolicy, Session, StreamPolicy};
    let policy = CryptoPolicy::aes_cm_128_hmac_sha1_80();
    let policy = StreamPolicy { rtp: policy, rtcp: policy, key: &KEY, ..Default::default() };
    let raw = |seq| {
        let mut buffer = Vec::with_capacity(PACKET + 200);
        buffer.extend(&packet(seq)[..PACKET]);
        buffer
    };
    let mut sender = Session::with_outbound_template(policy).unwrap();
    let mut seq = 0_u16;
    c.bench_function("srtp/protect/libsrtp", |b| {
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
    c.bench_function("srtp/unprotect/libsrtp", |b| {
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

#[cfg(not(feature = "c-peers"))]
fn libsrtp(_: &mut Criterion) {}

criterion_group!(benches, ours, libsrtp);
criterion_main!(benches);
