//! Runs a server's calls: a thousand calls with SRTP, ticked in one batch on one thread, without a task or a timer for
//! each.
//!
//! You learn how to run calls on a server without an async runtime, and what each costs in time and memory.
//!
//! Every second call talks with the one before it. The program prints what a tick costs and how much memory a call
//! takes. With the argument `plain` the calls talk without SRTP.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Instant as Clock;

use dsp_core::front::{FrontConfig, FrontEnd, NoBlock, Step};
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel};

const CALLS: usize = 1_000;
const TICKS: u32 = 250;
/// 20 ms of G.711.
const TICK: usize = 160;

/// The device side of a call on a server: no block, so no history of what was played.
type Front = FrontEnd<NoBlock, TICK>;

fn main() -> Result<(), Box<dyn Error>> {
    let mut now = Instant::ZERO;
    let srtp = if std::env::args().any(|arg| arg == "plain") { SrtpPolicy::Off } else { SrtpPolicy::Required };
    let mut calls = Vec::with_capacity(CALLS);
    for n in 0..CALLS as u16 {
        let mut call =
            Call::new(CallConfig { codecs: vec![CodecFormat::pcmu()], srtp, ..CallConfig::new(10_000 + 2 * n)? })?;
        if let Some(offerer) = calls.pop_if(|_| n % 2 == 1) {
            let mut offerer: Call = offerer;
            let answer = call.answer(now, &offerer.offer()?)?;
            offerer.accept(now, &answer)?;
            calls.push(offerer);
        }
        calls.push(call);
    }
    let mut fronts = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        // 8 kHz, mono.
        fronts.push(Front::new(FrontConfig::default(), [None, None], [])?);
    }
    println!("{CALLS} calls, {} bytes each and {} for the front end", calls[0].memory_bytes(), size_of::<Front>());

    let from: SocketAddr = "127.0.0.1:9".parse()?;
    let mut datagram = [0; 1_500];
    let begin = Clock::now();
    for tick in 0..TICKS {
        let sawtooth: [i16; TICK] = std::array::from_fn(|n| ((tick as usize * TICK + n) % 64) as i16 * 200);
        for (pair, fronts) in calls.chunks_mut(2).zip(fronts.chunks_mut(2)) {
            for side in 0..2 {
                fronts[side].begin(now, TICK, true)?;
                while let Some(step) = fronts[side].step(&mut pair[side], &mut datagram) {
                    match step {
                        // A conference bridge would mix `pcm` here.
                        Step::Loudspeaker { .. } => {}
                        Step::Microphone(microphone) => microphone.pcm.copy_from_slice(&sawtooth),
                        Step::Transmit(transmit) => {
                            pair[1 - side].receive(now, Channel::Rtp, from, &mut datagram[..transmit.len]);
                        }
                    }
                }
            }
        }
        now += Duration::from_millis(20);
    }
    let micros = begin.elapsed().as_micros() as f64 / f64::from(TICKS);
    println!("a tick of all: {micros:.0} us of the 20,000 there are, {:.2} us a call", micros / CALLS as f64);

    // A source that SRTP doesn't vouch for is heard from its second packet on.
    let received: u64 = calls.iter().map(|call| call.stats().receiver.reception.received).sum();
    println!("{received} of {} packets received", CALLS as u64 * u64::from(TICKS));
    Ok(())
}
