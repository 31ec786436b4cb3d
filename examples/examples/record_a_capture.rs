//! Records what a call sends and receives on the wire: a capture (pcap) of its datagrams, protected as they are, and
//! the SRTP keys to read it.
//!
//! You learn how a tap looks into a running call without delaying it. `replay_in_ten_lines` and `media-core replay
//! CAPTURE --keys KEYS` play what it records. The files go to the folder that is given as argument, or to the system's
//! folder for temporary files.

use std::env;
use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use dsp_core::front::Step;
use dsp_core::time::{Duration, Instant};
use host_std::device::{AudioIo, FileIo};
use host_std::record::wire::{WireConfig, record_wire};
use host_std::session::{Call, CallConfig, Channel};

/// Somebody who speaks.
const VOICE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../host-std/assets/woman.wav");

fn main() -> Result<(), Box<dyn Error>> {
    let folder = env::args_os().nth(1).map_or_else(env::temp_dir, PathBuf::from);
    let (capture, keys) = (folder.join("media-core-call.pcap"), folder.join("media-core-call.keys"));

    // Two calls that agree, as in `two_calls`.
    let addresses: [SocketAddr; 2] = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
    let sound = Some((48_000, 1));
    let mut anna = Call::new(CallConfig { sound, ..CallConfig::new(4000)? })?;
    let mut bert = Call::new(CallConfig { sound, ..CallConfig::new(5000)? })?;
    let mut now = Instant::ZERO;
    let answer = bert.answer(now, &anna.offer()?)?;
    anna.accept(now, &answer)?;

    // What Bert sends and hears is written from here on, by a thread of its own.
    let at_zero = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let recorder = record_wire(
        &mut bert,
        &WireConfig {
            capture: Some(capture.clone()),
            keys: Some(keys.clone()),
            local: [addresses[1]; 2],
            unix_micros_at_zero: at_zero.as_micros() as u64,
        },
    )?;

    let mut voice = FileIo::null(48_000).capture_from(VOICE, true)?;
    let mut fronts = [anna.front_end()?, bert.front_end()?];
    let (mut datagram, mut sent) = ([0; 1500], 0);
    for tick in 0..800 {
        fronts[0].begin(now, 480, tick > 0)?;
        while let Some(step) = fronts[0].step(&mut anna, &mut datagram) {
            match step {
                Step::Loudspeaker { .. } => {}
                Step::Microphone(frame) => drop(voice.read(frame.pcm)),
                Step::Transmit(transmit) => {
                    sent += 1;
                    // Between the third and the fourth second every other datagram is lost.
                    if !(300..400).contains(&tick) || sent % 2 == 0 {
                        bert.receive(now, Channel::Rtp, addresses[0], &mut datagram[..transmit.len]);
                    }
                }
            }
        }
        fronts[1].begin(now, 480, tick > 0)?;
        while let Some(step) = fronts[1].step(&mut bert, &mut datagram) {
            if let Step::Transmit(transmit) = step {
                anna.receive(now, Channel::Rtp, addresses[1], &mut datagram[..transmit.len]);
            }
        }
        now += Duration::from_millis(10);
    }

    let written = recorder.finish();
    println!("{} datagrams in {}", written.datagrams, capture.display());
    println!("{} lines of keys in {}: whoever has them can hear the call", written.keys, keys.display());
    assert!(written.datagrams > 700 && written.dropped == 0 && written.keys == 2, "{written:?}");
    Ok(())
}
