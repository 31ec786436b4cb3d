//! Fuzzing of the SRTP guard: arbitrary datagrams never panic and never pass, and a changed packet never passes.

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{FormerKeys, KeyTerms, MasterKey, Mki, Srtp, SrtpProfile};

/// A short tag would let one in 2^32 arbitrary packets pass.
const PROFILES: [SrtpProfile; 4] = [
    SrtpProfile::AesCm128HmacSha1_80,
    SrtpProfile::Aes256CmHmacSha1_80,
    SrtpProfile::AeadAes128Gcm,
    SrtpProfile::AeadAes256Gcm,
];

/// With an identifier in each packet, or without.
fn key(profile: SrtpProfile, fill: u8, mki: bool) -> MasterKey {
    let terms = KeyTerms { mki: if mki { Mki::new(fill.into(), 2) } else { None }, ..KeyTerms::default() };
    MasterKey::of(profile, &vec![fill; profile.master_bytes()]).unwrap().with_terms(terms)
}

fn ends(profile: SrtpProfile, mki: bool) -> (Srtp<2>, Srtp<2>) {
    let (ours, theirs) = (key(profile, 1, mki), key(profile, 2, mki));
    (Srtp::new(profile, &ours, &theirs).unwrap(), Srtp::new(profile, &theirs, &ours).unwrap())
}

/// Arbitrary bytes as RTP and RTCP into one guard, which has a live stream and is in the overlap of two keys.
#[test]
fn fuzz_srtp_unprotect() {
    let receivers: [Srtp<2>; 8] = std::array::from_fn(|n| {
        let (profile, mki) = (PROFILES[n % 4], n >= 4);
        let (mut sender, mut receiver) = ends(profile, mki);
        let mut live = [0; 64];
        live[..12].copy_from_slice(&[0x80, 0, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 0, 1]);
        let len = sender.protect_rtp(&mut live, 40).unwrap();
        receiver.unprotect_rtp(&mut live[..len]).unwrap();
        receiver.set_incoming(profile, &key(profile, 9, mki), &mut FormerKeys::<4>::new()).unwrap();
        receiver
    });
    let receivers = std::sync::Mutex::new(receivers);
    bolero::check!().for_each(|input: &[u8]| {
        let mut receivers = receivers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let receiver = &mut receivers[usize::from(input.last().copied().unwrap_or_default()) % 8];
        let mut packet = input.to_vec();
        assert!(receiver.unprotect_rtp(&mut packet).is_err());
        assert!(receiver.unprotect_rtcp(&mut packet).is_err());
        assert_eq!(packet, input);
        // Most random bytes are no RTP at all: the same as version 2 of the live stream.
        if packet.len() >= 12 {
            packet[0] = packet[0] & 0x3f | 0x80;
            packet[8..12].copy_from_slice(&[0, 0, 0, 1]);
            assert!(receiver.unprotect_rtp(&mut packet).is_err());
            packet[4..8].copy_from_slice(&[0, 0, 0, 1]);
            assert!(receiver.unprotect_rtcp(&mut packet).is_err());
        }
    });
}

/// A valid packet with any change to its bytes or length fails, and the packet itself still passes afterwards.
#[test]
fn fuzz_srtp_mutate() {
    bolero::check!().with_type::<(u16, bool, Vec<(u16, u8)>, u8, u8)>().for_each(
        |(seq, report, changes, cut, which)| {
            let (mut sender, mut receiver) = ends(PROFILES[usize::from(*which) % 4], which & 4 != 0);
            let mut sealed = [0x80; 64];
            sealed[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
            sealed[2..4].copy_from_slice(&seq.to_be_bytes());
            let protect = if *report { Srtp::protect_rtcp } else { Srtp::protect_rtp };
            let open = if *report { Srtp::unprotect_rtcp } else { Srtp::unprotect_rtp };
            let len = protect(&mut sender, &mut sealed, 40).unwrap();
            let sealed = &mut sealed[..len];
            let mut forged = sealed.to_vec();
            for (at, with) in changes {
                let at = usize::from(*at) % forged.len();
                forged[at] ^= with;
            }
            forged.truncate(forged.len() - usize::from(*cut) % forged.len());
            if forged != sealed {
                assert!(open(&mut receiver, &mut forged).is_err());
            }
            assert_eq!(open(&mut receiver, sealed), Ok(40));
        },
    );
}
