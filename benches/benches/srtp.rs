//! SRTP protect and unprotect of a packet of 172 bytes (20 ms of G.711), under a suite of each kind; with
//! the feature `c-peers` libsrtp beside it.
//!
//! Each iteration handles a packet with the next sequence number: libsrtp and the guard both refuse repeats. Unprotect
//! takes its packets from a ring prepared for one roll-over counter after the other, so that no protection lies in the
//! measured time.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::Srtp;
use media_core_benches::protected::{PACKET, SUITES, guards, keys, packet};
use std::hint::black_box;

fn ours(c: &mut Criterion) {
    for (name, profile) in SUITES {
        let [mut sender, _] = guards(profile);
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
        let [mut sender, mut receiver] = guards(profile);
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
    use media_core_benches::protected::{growing_packet, libsrtps};
    for (name, profile) in SUITES {
        let [mut sender, _] = libsrtps(profile);
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/protect/libsrtp"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    growing_packet(seq)
                },
                |buffer| sender.protect(black_box(buffer)).unwrap(),
                BatchSize::SmallInput,
            );
        });
        let [mut sender, mut receiver] = libsrtps(profile);
        let mut seq = 0_u16;
        c.bench_function(&format!("{name}/unprotect/libsrtp"), |b| {
            b.iter_batched_ref(
                || {
                    seq = seq.wrapping_add(1);
                    let mut buffer = growing_packet(seq);
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
