//! Holds two calls in one program, without sockets: offer, answer, SRTP, and a second of speech in each direction.
//!
//! You learn the whole of a call in one loop: how two sides agree, what a tick asks for step by step, and where to
//! find the statistics of a call.

use std::error::Error;
use std::net::SocketAddr;

use dsp_core::front::Step;
use dsp_core::time::{Duration, Instant};
use host_std::session::{Call, CallConfig, Channel};

fn main() -> Result<(), Box<dyn Error>> {
    let addresses: [SocketAddr; 2] = ["127.0.0.1:4000".parse()?, "127.0.0.1:5000".parse()?];
    let mut calls = [Call::new(CallConfig::new(4000)?)?, Call::new(CallConfig::new(5000)?)?];

    let mut now = Instant::ZERO;
    let offer = calls[0].offer()?;
    let answer = calls[1].answer(now, &offer)?;
    calls[0].accept(now, &answer)?;
    let codec = calls[0].codec().map(|codec| codec.to_rtpmap());
    println!("agreed on {codec:?} at {:?} Hz", calls[0].sample_rate_hz());

    // Each side has a front end, with gains, meters and the capture chain; its `step` says what to do next.
    let mut fronts = [calls[0].front_end()?, calls[1].front_end()?];
    let mut datagram = [0; 1500];
    for tick in 0..100 {
        for side in 0..2 {
            fronts[side].begin(now, 480, true)?;
            while let Some(step) = fronts[side].step(&mut calls[side], &mut datagram) {
                match step {
                    Step::Loudspeaker { .. } => {} // `pcm` would go to a sound card.
                    Step::Microphone(microphone) => tone(tick * 480, microphone.pcm),
                    Step::Transmit(transmit) => {
                        calls[1 - side].receive(now, Channel::Rtp, addresses[side], &mut datagram[..transmit.len]);
                    }
                }
            }
        }
        now += Duration::from_millis(10);
    }
    for call in &calls {
        let stats = call.stats().receiver;
        println!("{} packets received, {} samples concealed", stats.reception.received, stats.concealed_samples);
    }
    Ok(())
}

/// 440 Hz at 48 kHz, from sample `begin` on.
fn tone(begin: u32, pcm: &mut [i16]) {
    for (n, sample) in (begin..).zip(pcm) {
        let t = f64::from(n) / 48_000.0;
        *sample = ((t * 440.0 * std::f64::consts::TAU).sin() * 8_000.0) as i16;
    }
}
