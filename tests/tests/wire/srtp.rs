//! SRTP and SRTCP (RFC 3711) against the shared vectors and, with the feature `oracle-libsrtp`, against libsrtp.

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use media_core_tests::shared;

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn rtp(ssrc: u32, seq: u16, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(seq.to_be_bytes());
    packet.extend((u32::from(seq) * 160).to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn protect(guard: &mut Srtp<4>, packet: &[u8]) -> Vec<u8> {
    let mut buffer = packet.to_vec();
    buffer.resize(packet.len() + guard.max_growth(), 0);
    let len = guard.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(len);
    buffer
}

/// The master key of RFC 3711, B.3, and the session keys derived from it, seen from outside: with SSRC 0, sequence
/// number 0 and ROC 0 the IV is the session salt alone, and a payload of zeros comes out as the keystream.
#[test]
fn session_keys_of_the_vectors() {
    use aes::cipher::{BlockCipherEncrypt, KeyInit};
    use hmac::Mac;

    let Some(path) = shared("data/srtp/srtp_vectors.json") else { return };
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let b3 = &vectors["rfc3711_B3_kdf"];
    let field = |name: &str| hex(b3[name].as_str().unwrap());
    let master = MasterKey::new(
        field("master_key").as_slice().try_into().unwrap(),
        field("master_salt").as_slice().try_into().unwrap(),
    );
    let mut guard =
        Srtp::<4>::new(SrtpProfile::AesCm128HmacSha1_80, &master, &MasterKey::from_bytes(&[0; 30])).unwrap();
    let sealed = protect(&mut guard, &rtp(0, 0, &[0; 32]));

    // The same from the derived keys of the vectors, through the primitives alone.
    let cipher = aes::Aes128Enc::new_from_slice(&field("cipher_key")).unwrap();
    for (n, block) in sealed[12..44].chunks(16).enumerate() {
        let mut expected = [0; 16];
        expected[..14].copy_from_slice(&field("cipher_salt"));
        expected[15] = n as u8;
        let mut expected = expected.into();
        cipher.encrypt_block(&mut expected);
        assert_eq!(block, &expected[..]);
    }
    let mut mac = hmac::Hmac::<sha1::Sha1>::new_from_slice(&field("auth_key_94")[..20]).unwrap();
    mac.update(&sealed[..44]);
    mac.update(&[0; 4]);
    assert_eq!(sealed[44..], mac.finalize().into_bytes()[..10]);
}

#[cfg(feature = "oracle-libsrtp")]
mod libsrtp {
    use super::*;
    use dsp_core::time::Ssrc;
    use srtp::{CryptoPolicy, Session, StreamPolicy};

    /// A key as long as the longest, of which each profile takes what it needs.
    const KEY: [u8; 46] = *b"thirty-two bytes of a master keyfourteen bytes";
    const OTHER: [u8; 46] = *b"another one: 32 bytes of a masterfourteenbytes";

    /// Our sender, our receiver, their sender, their receiver, all under one key.
    fn ends(profile: SrtpProfile) -> (Srtp<4>, Srtp<4>, Session, Session) {
        let (key, other) = (&KEY[..profile.master_bytes()], &OTHER[..profile.master_bytes()]);
        let (ours, theirs) = (MasterKey::of(profile, key).unwrap(), MasterKey::of(profile, other).unwrap());
        let (rtp, rtcp) = match profile {
            SrtpProfile::AesCm128HmacSha1_80 => {
                (CryptoPolicy::aes_cm_128_hmac_sha1_80(), CryptoPolicy::aes_cm_128_hmac_sha1_80())
            }
            SrtpProfile::AesCm128HmacSha1_32 => {
                (CryptoPolicy::aes_cm_128_hmac_sha1_32(), CryptoPolicy::aes_cm_128_hmac_sha1_80())
            }
            SrtpProfile::Aes256CmHmacSha1_80 => {
                (CryptoPolicy::aes_cm_256_hmac_sha1_80(), CryptoPolicy::aes_cm_256_hmac_sha1_80())
            }
            SrtpProfile::Aes256CmHmacSha1_32 => {
                (CryptoPolicy::aes_cm_256_hmac_sha1_32(), CryptoPolicy::aes_cm_256_hmac_sha1_80())
            }
            SrtpProfile::AeadAes128Gcm => (CryptoPolicy::aes_gcm_128_16_auth(), CryptoPolicy::aes_gcm_128_16_auth()),
            SrtpProfile::AeadAes256Gcm => (CryptoPolicy::aes_gcm_256_16_auth(), CryptoPolicy::aes_gcm_256_16_auth()),
            other => panic!("{other:?} has no oracle yet"),
        };
        let policy = StreamPolicy { rtp, rtcp, key, ..Default::default() };
        (
            Srtp::new(profile, &ours, &theirs).unwrap(),
            Srtp::new(profile, &theirs, &ours).unwrap(),
            Session::with_outbound_template(policy).unwrap(),
            Session::with_inbound_template(policy).unwrap(),
        )
    }

    /// A packet with contributing sources, extension and payload of sizes that vary with `n`.
    fn varied(n: u32) -> Vec<u8> {
        let mut packet = rtp(0xcafe_0000 + n % 3, (n / 3 + 65_000) as u16, &[]);
        if n.is_multiple_of(5) {
            packet[0] |= 2;
            packet.extend([7; 8]);
        }
        if n.is_multiple_of(7) {
            packet[0] |= 0x10;
            packet.extend([0xbe, 0xde, 0, 1, 0x10, n as u8, 0, 0]);
        }
        packet.extend((0..n % 301).map(|i| i.wrapping_mul(n) as u8));
        packet
    }

    #[test]
    fn rtp_both_ways_over_wraps() {
        for profile in SrtpProfile::ALL {
            let (mut our_sender, mut our_receiver, mut their_sender, mut their_receiver) = ends(profile);
            for n in 0..3 * ((1 << 17) + 1_000) {
                // Beyond the first wrap most packets are skipped: the counters must still agree.
                if n > 9_000 && n % 97 > 5 {
                    continue;
                }
                let packet = varied(n);
                let ours = protect(&mut our_sender, &packet);
                let mut theirs = packet.clone();
                their_sender.protect(&mut theirs).unwrap();
                assert_eq!(ours, theirs, "packet {n}");
                let mut opened = ours.clone();
                their_receiver.unprotect(&mut opened).unwrap();
                assert_eq!(opened, packet);
                let len = our_receiver.unprotect_rtp(&mut theirs).unwrap();
                assert_eq!(theirs[..len], packet);
            }
            // 65,000 + 132,072 packets a stream.
            assert_eq!(our_receiver.incoming_index(Ssrc(0xcafe_0000)).unwrap() >> 16, 3);
        }
    }

    #[test]
    fn rtcp_both_ways() {
        for profile in SrtpProfile::ALL {
            let (mut our_sender, mut our_receiver, mut their_sender, mut their_receiver) = ends(profile);
            for n in 0..2_000_u32 {
                let words = n % 50;
                let mut packet = vec![0x80, 200, 0, 1 + words as u8];
                packet.extend((0xcafe_0000 + n % 3).to_be_bytes());
                packet.extend((0..4 * words).map(|i| i.wrapping_mul(n) as u8));
                let mut ours = packet.clone();
                ours.resize(packet.len() + our_sender.max_growth(), 0);
                let len = our_sender.protect_rtcp(&mut ours, packet.len()).unwrap();
                assert_eq!(len, ours.len());
                their_receiver.unprotect_rtcp(&mut ours).unwrap();
                assert_eq!(ours, packet);
                let mut theirs = packet.clone();
                their_sender.protect_rtcp(&mut theirs).unwrap();
                let len = our_receiver.unprotect_rtcp(&mut theirs).unwrap();
                assert_eq!(theirs[..len], packet);
            }
        }
    }

    /// Reordered, repeated and damaged packets get the same verdict from both receivers.
    #[test]
    fn verdicts_agree() {
        let mut state = 5_u32;
        let mut dice = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % below
        };
        for profile in SrtpProfile::ALL {
            let (mut sender, mut our_receiver, _, mut their_receiver) = ends(profile);
            let mut sent: Vec<Vec<u8>> = Vec::new();
            let (mut good, mut bad) = (0, 0);
            for n in 0..20_000_u32 {
                sent.push(protect(&mut sender, &rtp(1, (n + 60_000) as u16, &n.to_be_bytes())));
                // Within both windows: libsrtp's has 128 packets too.
                let back = dice(100).min(n);
                let mut packet = sent[(n - back) as usize].clone();
                if dice(4) == 0 {
                    let at = dice(packet.len() as u32) as usize;
                    packet[at] ^= 1 << dice(8);
                }
                let mut theirs = packet.clone();
                let accepted = our_receiver.unprotect_rtp(&mut packet).is_ok();
                assert_eq!(accepted, their_receiver.unprotect(&mut theirs).is_ok(), "packet {n}");
                if accepted {
                    good += 1;
                } else {
                    bad += 1;
                }
            }
            assert!(good > 5_000 && bad > 5_000, "{good} {bad}");
        }
    }
}
