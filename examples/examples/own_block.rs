//! Puts a block of your own into the capture chain of a call: it removes from the microphone what the loudspeaker
//! played.
//!
//! You learn how a block knows what was played and when, which every echo canceller needs.
//!
//! The room is a known one: 12 ms after the loudspeaker, the microphone hears a quarter of its sound. The paths of
//! real rooms must be learnt, but what a canceller needs from a call is the same: what was played, when, and when its
//! own frame was captured.

use std::error::Error;

use dsp_core::front::{CaptureBlock, Near, Step};
use dsp_core::time::{Duration, Instant};
use host_std::session::{Call, CallConfig, CaptureConfig, Channel, OwnBlock};

const RATE_HZ: usize = 48_000;
const TICK: usize = RATE_HZ / 100;
/// From the loudspeaker to the microphone.
const ROOM: Duration = Duration::from_millis(12);

struct KnownRoom;

impl CaptureBlock<f32> for KnownRoom {
    fn process(&mut self, frame: &mut [f32], near: &Near<'_>) {
        let mut far = [0; TICK];
        near.render.read(near.captured_at - ROOM, near.channel, &mut far);
        for (near, far) in frame.iter_mut().zip(far) {
            *near -= f32::from(far) / 4.0 / 32_768.0;
        }
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

/// How loud one hears oneself back, in dB below what one said.
fn echo_db(block: Option<OwnBlock>) -> Result<f64, Box<dyn Error>> {
    let mut talker = Call::new(CallConfig::new(4_000)?)?;
    let mut listener = Call::new(CallConfig {
        capture: block.map(CaptureConfig::from).unwrap_or_default(),
        ..CallConfig::new(5_000)?
    })?;
    let mut now = Instant::from_millis(1_000);
    let answer = listener.answer(now, &talker.offer()?)?;
    talker.accept(now, &answer)?;
    let mut fronts = [talker.front_end()?, listener.front_end()?];
    let mut calls = [talker, listener];

    let mut room = vec![0; ROOM.as_samples(RATE_HZ as u32) as usize];
    let (mut said, mut back, mut datagram, mut phase) = (0.0, 0.0, [0; 1_500], 0.0f64);
    for tick in 0..500 {
        for side in 0..2 {
            let mut sent = Vec::new();
            fronts[side].begin(now, TICK, tick > 0)?;
            while let Some(step) = fronts[side].step(&mut calls[side], &mut datagram) {
                match step {
                    // In the listener's room the loudspeaker is heard by the microphone; the talker wears headphones.
                    Step::Loudspeaker { pcm, .. } if side == 1 => room.extend(pcm.iter().map(|sample| sample / 4)),
                    Step::Loudspeaker { pcm, .. } => {
                        back += pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>();
                    }
                    Step::Microphone(microphone) if side == 1 => {
                        microphone.pcm.iter_mut().zip(room.drain(..TICK)).for_each(|(to, from)| *to = from);
                    }
                    Step::Microphone(microphone) => {
                        for sample in microphone.pcm {
                            phase += (200.0 + 300.0 * (phase * 0.001).sin().abs()) / RATE_HZ as f64;
                            *sample = ((phase * std::f64::consts::TAU).sin() * 8_000.0) as i16;
                            said += f64::from(*sample).powi(2);
                        }
                    }
                    Step::Transmit(transmit) => sent.push(datagram[..transmit.len].to_vec()),
                }
            }
            for mut bytes in sent {
                let from = format!("127.0.0.1:{}", 4_000 + 1_000 * side).parse()?;
                calls[1 - side].receive(now, Channel::Rtp, from, &mut bytes);
            }
        }
        now += Duration::from_millis(10);
    }
    Ok(10.0 * (said / back.max(1.0)).log10())
}

fn main() -> Result<(), Box<dyn Error>> {
    let block = OwnBlock::in_float(|_| KnownRoom);
    let (without, with) = (echo_db(None)?, echo_db(Some(block))?);
    println!("the talker's own voice comes back {without:.1} dB lower, and with the block {with:.1} dB lower");
    assert!(without < 20.0 && with > without + 20.0);
    Ok(())
}
