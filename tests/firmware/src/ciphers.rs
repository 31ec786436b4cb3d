//! What SRTP takes: a packet of 20 ms of G.711 protected and unprotected, under each kind of suite.

use core::hint::black_box;

use dsp_core::guard::PacketGuard;
use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};

use crate::{meter, semihosting};

/// Bytes of a packet: 160 of sound.
const PACKET: usize = 172;
const PACKETS: u16 = 16;

/// Prints instructions of a new guard, of a packet each way and of both, and the guard's size.
pub fn measure() {
    for (name, profile) in [
        ("AES-128, HMAC", SrtpProfile::AesCm128HmacSha1_80),
        ("AES-256, HMAC", SrtpProfile::Aes256CmHmacSha1_80),
        ("AES-128, GCM", SrtpProfile::AeadAes128Gcm),
        ("AES-256, GCM", SrtpProfile::AeadAes256Gcm),
    ] {
        let [ours, theirs] = [1, 2].map(|fill| {
            let bytes = [fill; MasterKey::LONGEST];
            MasterKey::of(profile, &bytes[..profile.master_bytes()]).ok()
        });
        let (Some(ours), Some(theirs)) = (ours, theirs) else { panic!("no key") };
        let start = meter::instructions();
        let (Ok(mut sender), Ok(mut receiver)) =
            (Srtp::<1>::new(profile, &ours, &theirs), Srtp::<1>::new(profile, &theirs, &ours))
        else {
            panic!("no guard")
        };
        semihosting::print("srtp new ", name, (meter::instructions() - start) / 2);
        let (mut protect, mut unprotect) = (0, 0);
        for seq in 0..PACKETS {
            let mut buffer = [0x55; PACKET + 20];
            buffer[..12].copy_from_slice(&[0x80, 0, 0, 0, 0, 0, 0, 0, 0xca, 0xfe, 0, 1]);
            buffer[2..4].copy_from_slice(&seq.to_be_bytes());
            let start = meter::instructions();
            let len = black_box(&mut sender).protect_rtp(black_box(&mut buffer), PACKET).unwrap_or(0);
            let between = meter::instructions();
            let plain = black_box(&mut receiver).unprotect_rtp(black_box(&mut buffer[..len]));
            unprotect += meter::instructions() - between;
            protect += between - start;
            assert!(plain == Ok(PACKET), "a packet was not accepted");
        }
        semihosting::print("srtp protect ", name, protect / u32::from(PACKETS));
        semihosting::print("srtp unprotect ", name, unprotect / u32::from(PACKETS));
        semihosting::print("srtp both ", name, (protect + unprotect) / u32::from(PACKETS));
        semihosting::print("srtp bytes ", name, size_of::<Srtp<1>>() as u32);
    }
}
