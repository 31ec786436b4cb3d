//! Gives a call a guard of your own: SRTP whose keys come later, and not from the description.
//!
//! You learn how keys from elsewhere get into a call, and what the call does until they are there: it sends nothing,
//! and it refuses what comes.

use std::error::Error;

use dsp_core::guard::srtp::{MasterKey, Srtp, SrtpProfile};
use dsp_core::time::{Duration, Instant};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, OwnGuard};

/// What a provisioning server might have told both sides.
const KEYS: [&[u8; MasterKey::LEN]; 2] = [b"the key of the offering side..", b"the key of the answering side."];

fn main() -> Result<(), Box<dyn Error>> {
    let config = |port| -> Result<CallConfig, Box<dyn Error>> {
        let waiting = OwnGuard::new(|| None);
        Ok(CallConfig { srtp: SrtpPolicy::Off, guard: Some(waiting), ..CallConfig::new(port)? })
    };
    let mut calls = [Call::new(config(4_000)?)?, Call::new(config(5_000)?)?];
    let mut now = Instant::ZERO;
    let offer = calls[0].offer()?;
    let answer = calls[1].answer(now, &offer)?;
    calls[0].accept(now, &answer)?;

    let mut datagram = [0; 1_500];
    for tick in 0..200 {
        if tick == 100 {
            let stats = calls.each_ref().map(|call| call.stats());
            println!("without keys: {} packets sent", stats[0].sender.packets);
            assert!(stats.iter().all(|stats| stats.sender.packets == 0 && stats.datagrams == 0));
            for side in 0..2 {
                let [ours, theirs] = [KEYS[side], KEYS[1 - side]].map(MasterKey::from_bytes);
                let profile = SrtpProfile::AesCm128HmacSha1_80;
                assert!(calls[side].set_guard(Box::new(Srtp::<4>::new(profile, &ours, &theirs)?)));
            }
        }
        for side in 0..2 {
            calls[side].play(now, &mut [0; 480]);
            calls[side].capture(now, &[1_000; 480]);
            while let Some(transmit) = calls[side].transmit(now, &mut datagram) {
                let from = format!("127.0.0.1:{}", 4_000 + 1_000 * side).parse()?;
                calls[1 - side].receive(now, Channel::Rtp, from, &mut datagram[..transmit.len]);
            }
        }
        now += Duration::from_millis(10);
    }
    for call in &calls {
        let stats = call.stats();
        println!("{} packets heard, {} refused", stats.receiver.reception.received, stats.refused);
        assert!(stats.receiver.reception.received >= 49 && stats.refused == 0);
    }
    Ok(())
}
