//! Fuzzing of the SRTP guard: arbitrary datagrams never panic and never pass, and a changed packet never passes.

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{FormerKeys, MasterKey, Srtp, SrtpProfile};

const OURS: [u8; 30] = *b"sixteen byte keyfourteen bytes";
const THEIRS: [u8; 30] = *b"another byte keyfourteen bytes";
/// The short tag would let one in 2^32 arbitrary packets pass.
const PROFILE: SrtpProfile = SrtpProfile::AesCm128HmacSha1_80;

fn guard(outgoing: &[u8; 30], incoming: &[u8; 30]) -> Srtp<2> {
    Srtp::new(PROFILE, &MasterKey::from_bytes(outgoing), &MasterKey::from_bytes(incoming))
}

/// Arbitrary bytes as RTP and RTCP into one guard, which has a live stream and is in the overlap of two keys.
#[test]
fn fuzz_srtp_unprotect() {
    let mut sender = guard(&OURS, &THEIRS);
    let mut receiver = guard(&THEIRS, &OURS);
    let mut live = [0; 64];
    live[..12].copy_from_slice(&[0x80, 0, 0xff, 0xf0, 0, 0, 0, 0, 0, 0, 0, 1]);
    let len = sender.protect_rtp(&mut live, 40).unwrap();
    receiver.unprotect_rtp(&mut live[..len]).unwrap();
    receiver.set_incoming(PROFILE, &MasterKey::from_bytes(&[9; 30]), &mut FormerKeys::<4>::new()).unwrap();
    let receiver = std::sync::Mutex::new(receiver);
    bolero::check!().for_each(|input: &[u8]| {
        let mut receiver = receiver.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
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
    bolero::check!().with_type::<(u16, bool, Vec<(u16, u8)>, u8)>().for_each(|(seq, report, changes, cut)| {
        let mut sender = guard(&OURS, &THEIRS);
        let mut receiver = guard(&THEIRS, &OURS);
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
    });
}
