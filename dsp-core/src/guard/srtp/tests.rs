//! Properties of the whole guard: what comes back, what is refused, and that refusals change nothing.

mod key_changes;

use super::*;
use crate::time::Ssrc;
use proptest::prelude::*;
use std::vec::Vec;

const PROFILES: [SrtpProfile; 6] = SrtpProfile::ALL;

/// A key for the profiles with 30 bytes.
fn key(seed: u8) -> MasterKey {
    key_of(SrtpProfile::AesCm128HmacSha1_80, seed)
}

fn key_of(profile: SrtpProfile, seed: u8) -> MasterKey {
    let bytes: Vec<u8> =
        (0..profile.master_bytes() as u8).map(|i| seed.wrapping_mul(31).wrapping_add(i.wrapping_mul(7))).collect();
    MasterKey::of(profile, &bytes).unwrap()
}

/// Two ends of a call.
fn pair<const N: usize>(profile: SrtpProfile) -> (Srtp<N>, Srtp<N>) {
    pair_of(profile, &key_of(profile, 1), &key_of(profile, 2))
}

fn pair_of<const N: usize>(profile: SrtpProfile, alice: &MasterKey, bob: &MasterKey) -> (Srtp<N>, Srtp<N>) {
    (Srtp::new(profile, alice, bob).unwrap(), Srtp::new(profile, bob, alice).unwrap())
}

fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = Vec::from([0x80, 0]);
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn rtcp(ssrc: u32, fill: u8) -> Vec<u8> {
    let mut packet = Vec::from([0x80, 200, 0, 6]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend([fill; 20]);
    packet
}

type Protect<const N: usize> = fn(&mut Srtp<N>, &mut [u8], usize) -> Result<usize, GuardError>;

fn seal_with<const N: usize>(guard: &mut Srtp<N>, packet: &[u8], protect: Protect<N>) -> Result<Vec<u8>, GuardError> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + guard.max_growth(), 0xee);
    let len = protect(guard, &mut buffer, packet.len())?;
    buffer.truncate(len);
    Ok(buffer)
}

fn seal<const N: usize>(guard: &mut Srtp<N>, packet: &[u8]) -> Result<Vec<u8>, GuardError> {
    seal_with(guard, packet, Srtp::protect_rtp)
}

fn seal_rtcp<const N: usize>(guard: &mut Srtp<N>, packet: &[u8]) -> Result<Vec<u8>, GuardError> {
    seal_with(guard, packet, Srtp::protect_rtcp)
}

fn open<const N: usize>(guard: &mut Srtp<N>, packet: &[u8]) -> Result<Vec<u8>, GuardError> {
    let mut buffer = packet.to_vec();
    match guard.unprotect_rtp(&mut buffer) {
        Ok(len) => Ok(buffer[..len].to_vec()),
        Err(error) => {
            assert_eq!(buffer, packet, "a refused packet is left as it came");
            Err(error)
        }
    }
}

fn open_rtcp<const N: usize>(guard: &mut Srtp<N>, packet: &[u8]) -> Result<Vec<u8>, GuardError> {
    let mut buffer = packet.to_vec();
    match guard.unprotect_rtcp(&mut buffer) {
        Ok(len) => Ok(buffer[..len].to_vec()),
        Err(error) => {
            assert_eq!(buffer, packet, "a refused packet is left as it came");
            Err(error)
        }
    }
}

struct Dice(u32);

impl Dice {
    fn roll(&mut self, below: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % below
    }
}

#[test]
fn header_stays_clear_and_payload_comes_back() {
    // Two contributing sources, an extension of two words, four bytes of padding.
    let mut packet = Vec::from([0xb2, 0x80, 0x12, 0x34, 0, 0, 0, 1, 0xde, 0xad, 0xbe, 0xef]);
    packet.extend([1; 8]);
    packet.extend([0xbe, 0xde, 0, 2, 0x10, 0xaa, 0, 0, 0, 0, 0, 0]);
    let header = packet.len();
    packet.extend(b"the payload\x00\x00\x00\x04");
    for profile in PROFILES {
        let (mut alice, mut bob) = pair::<1>(profile);
        let sealed = seal(&mut alice, &packet).unwrap();
        assert_eq!(sealed.len(), packet.len() + profile.rtp_tag_bytes());
        assert_eq!(sealed[..header], packet[..header]);
        assert_ne!(sealed[header..packet.len()], packet[header..]);
        assert_eq!(open(&mut bob, &sealed).unwrap(), packet);
        assert_eq!(open(&mut bob, &sealed), Err(GuardError::Replayed));
        assert_eq!(open(&mut alice, &sealed), Err(GuardError::Authentication), "reflected");
    }
}

#[test]
fn reorder_loss_and_two_wraps() {
    let (mut alice, mut bob) = pair::<2>(SrtpProfile::AesCm128HmacSha1_80);
    let mut dice = Dice(9);
    let mut flight: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let (mut delivered, mut lost) = (0, 0);
    for n in 0..(1_u32 << 17) + 5_000 {
        let packet = rtp(77, (n + 60_000) as u16, &n.to_be_bytes());
        let sealed = seal(&mut alice, &packet).unwrap();
        // The first packet opens the stream; later ones may be lost or overtaken by up to 40 others.
        if n > 0 && dice.roll(10) == 0 {
            lost += 1;
            continue;
        }
        flight.push((packet, sealed));
        if n == 0 || flight.len() > 40 {
            let (packet, sealed) = flight.swap_remove(dice.roll(flight.len() as u32) as usize);
            // Some packets stay in the flight so long that they leave the window; then they are refused.
            match open(&mut bob, &sealed) {
                Ok(plain) => {
                    assert_eq!(plain, packet);
                    delivered += 1;
                    assert_eq!(open(&mut bob, &sealed), Err(GuardError::Replayed));
                }
                Err(error) => assert_eq!(error, GuardError::Replayed),
            }
        }
    }
    assert!(lost > 10_000);
    assert!(delivered > 100_000, "{delivered}");
    assert_eq!(alice.outgoing_index(Ssrc(77)), Some(60_000 + (1 << 17) + 4_999));
    assert!(bob.incoming_index(Ssrc(77)).unwrap() >> 16 == 2);
}

#[test]
fn every_flipped_bit_is_refused_and_changes_nothing() {
    for profile in PROFILES {
        let (mut alice, mut bob) = pair::<1>(profile);
        for seq in [65_534, 65_535, 0, 1] {
            let packet = rtp(5, seq, b"0123456789abcdef");
            let sealed = seal(&mut alice, &packet).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(open(&mut bob, &forged).is_err(), "bit {bit}");
            }
            assert_eq!(open(&mut bob, &sealed).unwrap(), packet);
            let report = rtcp(5, seq as u8);
            let sealed = seal_rtcp(&mut alice, &report).unwrap();
            for bit in 0..sealed.len() * 8 {
                let mut forged = sealed.clone();
                forged[bit / 8] ^= 1 << (bit % 8);
                assert!(open_rtcp(&mut bob, &forged).is_err(), "bit {bit}");
            }
            assert_eq!(open_rtcp(&mut bob, &sealed).unwrap(), report);
        }
    }
}

#[test]
fn forged_packets_far_ahead_do_not_move_the_counter() {
    let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    for seq in 0..200_u16 {
        let sealed = seal(&mut alice, &rtp(5, seq, b"speech")).unwrap();
        for jump in [1_000, 30_000, 33_000, 65_000] {
            let mut forged = sealed.clone();
            forged[2..4].copy_from_slice(&seq.wrapping_add(jump).to_be_bytes());
            assert!(open(&mut bob, &forged).is_err());
            // A foreign SSRC neither takes the only context.
            forged[8] ^= 1;
            assert_eq!(open(&mut bob, &forged), Err(GuardError::Authentication));
        }
        assert!(open(&mut bob, &sealed).is_ok());
        assert_eq!(bob.incoming_index(Ssrc(5)), Some(seq.into()));
    }
}

#[test]
fn first_packet_may_have_any_sequence_number() {
    for first in [0, 1, 0x7fff, 0x8000, 0x8001, 0xffff] {
        let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
        for n in 0..10 {
            assert!(open(&mut bob, &seal(&mut alice, &rtp(1, n + first, b"x")).unwrap()).is_ok());
            if u32::from(n) + u32::from(first) == 0xffff {
                break;
            }
        }
    }
    // All packets before the wrap are lost.
    let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    let early = seal(&mut alice, &rtp(1, 65_535, b"early")).unwrap();
    let late = seal(&mut alice, &rtp(1, 3, b"late")).unwrap();
    assert!(open(&mut bob, &late).is_ok());
    assert_eq!(bob.incoming_index(Ssrc(1)), Some(1 << 16 | 3));
    assert!(open(&mut bob, &early).is_ok(), "overtaken across the wrap");
    assert_eq!(open(&mut bob, &early), Err(GuardError::Replayed));
}

#[test]
fn streams_come_go_and_return_without_replay() {
    let (mut alice, mut bob) = pair::<2>(SrtpProfile::AesCm128HmacSha1_80);
    let mut old = Vec::new();
    for ssrc in 0..12 {
        for seq in 100..110 {
            let sealed = seal(&mut alice, &rtp(ssrc, seq, b"speech")).unwrap();
            assert!(open(&mut bob, &sealed).is_ok());
            old.push(sealed);
        }
        for sealed in &old {
            assert_eq!(open(&mut bob, sealed), Err(GuardError::Replayed));
        }
    }
    // Ours too: a stream that lost its context never repeats an index.
    assert_eq!(seal(&mut alice, &rtp(0, 105, b"other")), Err(GuardError::Replayed));
    let again = seal(&mut alice, &rtp(0, 110, b"other")).unwrap();
    assert!(open(&mut bob, &again).is_ok());
}

#[test]
fn outgoing_index_is_used_once() {
    let (mut alice, _) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    assert!(seal(&mut alice, &rtp(1, 10, b"a")).is_ok());
    assert!(seal(&mut alice, &rtp(1, 12, b"a")).is_ok());
    assert!(seal(&mut alice, &rtp(1, 11, b"a")).is_ok());
    let packet = rtp(1, 11, b"b");
    let mut buffer = [0; 64];
    buffer[..packet.len()].copy_from_slice(&packet);
    assert_eq!(alice.protect_rtp(&mut buffer, packet.len()), Err(GuardError::Replayed));
    assert_eq!(buffer[..packet.len()], packet, "left as it came, in the clear: not to be sent");
}

#[test]
fn rtcp_counts_from_zero_and_may_be_unencrypted() {
    for profile in PROFILES {
        let (mut alice, mut bob) = pair::<1>(profile);
        for n in 0..300_u32 {
            let report = rtcp(9, n as u8);
            let sealed = seal_rtcp(&mut alice, &report).unwrap();
            let tag = if profile.is_aead() { 16 } else { 10 };
            assert_eq!(sealed.len(), report.len() + 4 + tag, "the same tag whatever RTP has");
            let index_at = if profile.is_aead() { sealed.len() - 4 } else { report.len() };
            assert_eq!(sealed[index_at..index_at + 4], (n | 1 << 31).to_be_bytes());
            assert_eq!(sealed[..8], report[..8]);
            assert_ne!(sealed[8..report.len()], report[8..]);
            assert_eq!(open_rtcp(&mut bob, &sealed).unwrap(), report);
            assert_eq!(open_rtcp(&mut bob, &sealed), Err(GuardError::Replayed));
        }
        // E = 0: authenticated in the clear.
        let terms = KeyTerms { clear_rtcp: true, ..KeyTerms::default() };
        let alices = key_of(profile, 1).with_terms(terms);
        alice.set_outgoing(profile, &alices, Rollover::Continues, &mut FormerKeys::<1>::new()).unwrap();
        let clear = seal_rtcp(&mut alice, &rtcp(9, 0x77)).unwrap();
        assert_eq!(clear[..28], rtcp(9, 0x77));
        assert_eq!(open_rtcp(&mut bob, &clear).unwrap(), rtcp(9, 0x77));
        let mut clear_too = seal_rtcp(&mut alice, &rtcp(9, 0x77)).unwrap();
        clear_too[20] ^= 1;
        assert_eq!(open_rtcp(&mut bob, &clear_too), Err(GuardError::Authentication));
        // Neither can be made of the other.
        let flag_at = if profile.is_aead() { clear.len() - 4 } else { 28 };
        clear_too[20] ^= 1;
        clear_too[flag_at] ^= 0x80;
        assert_eq!(open_rtcp(&mut bob, &clear_too), Err(GuardError::Authentication));
    }
}

#[test]
fn rtp_in_the_clear_is_authenticated_all_the_same() {
    let terms = KeyTerms { clear_rtp: true, ..KeyTerms::default() };
    for profile in PROFILES {
        let [alices, bobs] = [1, 2].map(|seed| key_of(profile, seed).with_terms(terms));
        let (mut alice, mut bob) = pair_of::<1>(profile, &alices, &bobs);
        let packet = rtp(9, 1, b"not a secret");
        let mut sealed = seal(&mut alice, &packet).unwrap();
        assert_eq!(sealed[..packet.len()], packet);
        sealed[14] ^= 1;
        assert_eq!(open(&mut bob, &sealed), Err(GuardError::Authentication));
        sealed[14] ^= 1;
        assert_eq!(open(&mut bob, &sealed).unwrap(), packet);
    }
}

#[test]
fn small_buffers_and_short_packets() {
    let (mut alice, mut bob) = pair::<1>(SrtpProfile::AesCm128HmacSha1_80);
    let mut packet = rtp(1, 1, b"abc");
    let len = packet.len();
    assert_eq!(alice.protect_rtp(&mut packet, len), Err(GuardError::OutputTooSmall { need: 25, got: 15 }));
    assert_eq!(
        alice.protect_rtp(&mut packet, usize::MAX),
        Err(GuardError::OutputTooSmall { need: usize::MAX, got: 15 })
    );
    assert_eq!(alice.protect_rtcp(&mut packet, len), Err(GuardError::OutputTooSmall { need: 29, got: 15 }));
    let mut buffer = [0x80; 40];
    for len in 0..12 {
        assert_eq!(alice.protect_rtp(&mut buffer, len), Err(GuardError::Malformed));
    }
    for len in 0..8 {
        assert_eq!(alice.protect_rtcp(&mut buffer, len), Err(GuardError::Malformed));
    }
    for len in 0..22 {
        assert_eq!(bob.unprotect_rtp(&mut buffer[..len]), Err(GuardError::Malformed));
        assert_eq!(bob.unprotect_rtcp(&mut buffer[..len]), Err(GuardError::Malformed));
    }
    let mut long = std::vec![0x80; 70_000];
    assert_eq!(alice.protect_rtp(&mut long, 69_000), Err(GuardError::Malformed));
    assert_eq!(bob.unprotect_rtp(&mut long), Err(GuardError::Malformed));
    // An empty payload, and a header that says more than there is.
    let sealed = seal(&mut alice, &rtp(1, 1, b"")).unwrap();
    assert_eq!(open(&mut bob, &sealed).unwrap().len(), 12);
    let mut packet = rtp(1, 2, &[0; 8]);
    packet[0] |= 0x13;
    assert_eq!(seal(&mut alice, &packet), Err(GuardError::Malformed));
}

proptest! {
    #[test]
    fn any_packets_in_any_order(
        start in any::<u16>(),
        ssrc in any::<u32>(),
        profile in 0..PROFILES.len(),
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..60),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..90),
    ) {
        let (mut alice, mut bob) = pair::<1>(PROFILES[profile]);
        let mut sealed = Vec::new();
        for (n, payload) in payloads.iter().enumerate() {
            sealed.push(seal(&mut alice, &rtp(ssrc, start.wrapping_add(n as u16), payload)).unwrap());
        }
        let mut heard = std::collections::BTreeSet::new();
        for pick in order {
            let n = pick.index(sealed.len());
            let result = open(&mut bob, &sealed[n]);
            if heard.insert(n) {
                prop_assert_eq!(result.unwrap(), rtp(ssrc, start.wrapping_add(n as u16), &payloads[n]));
            } else {
                prop_assert_eq!(result, Err(GuardError::Replayed));
            }
        }
    }

    #[test]
    fn any_bytes_do_not_panic(
        mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        len in 0_usize..220,
        profile in 0..PROFILES.len(),
    ) {
        let (mut alice, mut bob) = pair::<1>(PROFILES[profile]);
        prop_assert!(bob.unprotect_rtp(&mut bytes).is_err());
        prop_assert!(bob.unprotect_rtcp(&mut bytes).is_err());
        let _ = alice.protect_rtp(&mut bytes, len);
        let _ = alice.protect_rtcp(&mut bytes, len);
    }
}
