//! Two calls on the sans-IO `Call` alone: they agree by SDP and talk over SRTP for a second.

use dsp_core::front::Step;
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Channel};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The default answer has Opus where there is Opus.
    let config = |port| {
        let mut config = CallConfig::new(port)?;
        assert_eq!(config.codecs.first() == Some(&CodecFormat::opus()), config.registry.named("opus").is_some());
        config.codecs.retain(|format| *format != CodecFormat::opus());
        Call::new(config)
    };
    let (mut alice, mut bob) = (config(4000)?, config(5000)?);
    let mut now = Instant::ZERO;
    let answer = bob.answer(now, &alice.offer()?)?;
    alice.accept(now, &answer)?;
    let (mut front, mut datagram) = (alice.front_end()?, [0; 1500]);
    let tick = alice.sample_rate_hz().ok_or("no codec")? as usize / 100;
    for _ in 0..100 {
        front.begin(now, tick, true)?;
        while let Some(step) = front.step(&mut alice, &mut datagram) {
            match step {
                Step::Loudspeaker { .. } => {}
                Step::Microphone(microphone) => microphone.pcm.fill(1_000),
                Step::Transmit(transmit) => {
                    bob.receive(now, Channel::Rtp, "127.0.0.1:4000".parse()?, &mut datagram[..transmit.len]);
                }
            }
        }
        now += Duration::from_millis(10);
    }
    let received = bob.stats().receiver.reception.received;
    let codec = answer.lines().find(|line| line.starts_with("a=rtpmap")).unwrap_or("?");
    println!("two calls talked: {received} packets of {codec} came");
    assert_eq!(received, 50);
    Ok(())
}
