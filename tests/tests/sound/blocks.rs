//! Blocks of the core in whole calls: a high-pass at one side's microphone, and tones that are measured at the other side.

use dsp_core::front::FrontError;
use dsp_core::process::biquad::BiquadError;
use dsp_core::process::goertzel::{Goertzel, GoertzelDesign};
use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, CaptureConfig, Identity};
use media_core_tests::tick::Device;

/// Two calls that have agreed on a codec; the first has this high-pass.
fn agreed(codec: &CodecFormat, high_pass_hz: Option<u32>) -> [Call; 2] {
    let config = |port: u16| CallConfig {
        codecs: vec![codec.clone()],
        ..CallConfig::with_identity(port, Identity::seeded(port.into()))
    };
    let capture = CaptureConfig { high_pass_hz, ..CaptureConfig::default() };
    let mut first = Call::new(CallConfig { capture, ..config(4_000) }).unwrap();
    let mut second = Call::new(config(5_000)).unwrap();
    let offer = first.offer().unwrap();
    let answer = second.answer(Instant::ZERO, &offer).unwrap();
    first.accept(Instant::ZERO, &answer).unwrap();
    [first, second]
}

/// Three seconds of a call, interleaved: what was said at one side, and what was heard at the other.
struct Heard {
    rate_hz: u32,
    said: Vec<i16>,
    heard: Vec<i16>,
}

/// The last three of four seconds. `said` is of a channel at a time in seconds.
fn heard(calls: [Call; 2], said: impl Fn(usize, f64) -> f64) -> Heard {
    let [mut first, mut second] = calls;
    let (mut speaker, mut listener) = (Device::new(&first), Device::new(&second));
    let (rate_hz, channels) = (first.sample_rate_hz().unwrap(), usize::from(first.channels().unwrap()));
    let (mut said_all, mut heard_all, mut n) = (Vec::new(), Vec::new(), 0u32);
    for tick in 0..400 {
        let now = Instant::from_millis(1_000 + 10 * tick);
        let mut datagrams = Vec::new();
        let microphone = |pcm: &mut [i16]| {
            for frame in pcm.chunks_exact_mut(channels) {
                for (channel, sample) in frame.iter_mut().enumerate() {
                    *sample = said(channel, f64::from(n) / f64::from(rate_hz)).round() as i16;
                    said_all.push(*sample);
                }
                n += 1;
            }
        };
        speaker.tick(&mut first, now, microphone, |transmit, datagram| datagrams.push((transmit, datagram.to_vec())));
        for (transmit, mut datagram) in datagrams {
            let _ = second.receive(now + Duration::from_millis(5), transmit.channel, transmit.from, &mut datagram);
        }
        let (_, pcm) = listener.listen(&mut second, now + Duration::from_millis(10), |_, _| {});
        heard_all.extend(pcm);
    }
    let last = 3 * rate_hz as usize * channels;
    let said = said_all.split_off(said_all.len() - last);
    Heard { rate_hz, said, heard: heard_all.split_off(heard_all.len() - last) }
}

fn tone(hz: f64, peak: f64, time: f64) -> f64 {
    (time * hz * core::f64::consts::TAU).sin() * peak
}

/// One of interleaved channels.
fn channel(pcm: &[i16], channel: usize, channels: usize) -> Vec<i16> {
    pcm.iter().skip(channel).step_by(channels).copied().collect()
}

fn mean(pcm: &[i16]) -> f64 {
    pcm.iter().map(|&x| f64::from(x)).sum::<f64>() / pcm.len() as f64
}

/// The level of a frequency in dBov, the mean of stretches of 100 ms.
fn level(pcm: &[i16], rate_hz: u32, hz: u32) -> f64 {
    let mut goertzel = Goertzel::<i16>::new(GoertzelDesign::new(rate_hz, hz, rate_hz / 10).unwrap());
    let mut levels = Vec::new();
    for frame in pcm.chunks(rate_hz as usize / 100) {
        goertzel.hear(frame, |level| levels.push(f64::from(level.hundredths_dbov()) / 100.0));
    }
    assert_eq!(levels.len(), 30);
    levels.iter().sum::<f64>() / 30.0
}

#[test]
fn rumble_and_dc_of_a_microphone_are_not_heard_at_the_other_side() {
    for (codec, channels) in [(CodecFormat::pcmu(), 1), (CodecFormat::l16(48_000, 2), 2)] {
        let offsets = [4_000.0, -700.0];
        let said = |channel: usize, time| offsets[channel] + tone(60.0, 6_000.0, time) + tone(1_000.0, 5_000.0, time);
        let with = heard(agreed(&codec, Some(240)), said);
        let without = heard(agreed(&codec, None), said);
        let rate_hz = with.rate_hz;
        for (side, offset) in offsets.into_iter().enumerate().take(channels) {
            let [with, without] = [&with, &without].map(|call| channel(&call.heard, side, channels));
            assert!((mean(&without) - offset).abs() < 60.0, "{side}: {}", mean(&without));
            assert!(mean(&with).abs() < 8.0, "{side}: {}", mean(&with));
            // Two octaves below the corner: 24 dB.
            let fallen = level(&without, rate_hz, 60) - level(&with, rate_hz, 60);
            assert!((fallen - 24.1).abs() < 0.5, "{side}: {fallen} dB");
            let kept = level(&with, rate_hz, 1_000) - level(&without, rate_hz, 1_000);
            assert!(kept.abs() < 0.1, "{side}: {kept} dB");
        }
    }
}

#[test]
fn a_corner_that_the_rate_has_no_room_for_is_an_error() {
    for corner_hz in [0, 4_000] {
        let [first, _] = agreed(&CodecFormat::pcmu(), Some(corner_hz));
        let error = BiquadError { corner_hz, sample_rate_hz: 8_000 };
        assert_eq!(first.front_end().err(), Some(FrontError::HighPass(error)));
    }
}

#[test]
fn a_pair_of_tones_leaves_a_call_as_it_came_in() {
    for codec in [CodecFormat::pcmu(), CodecFormat::pcma(), CodecFormat::g722()] {
        // "5", the higher tone 2 dB louder (ITU-T Q.23).
        let call =
            heard(agreed(&codec, Some(100)), |_, time| tone(770.0, 5_000.0, time) + tone(1_336.0, 6_300.0, time));
        let mut present = Vec::new();
        for hz in [697, 770, 852, 941, 1_209, 1_336, 1_477, 1_633] {
            let (heard, said) = (level(&call.heard, call.rate_hz, hz), level(&call.said, call.rate_hz, hz));
            if heard > -30.0 {
                assert!((heard - said).abs() < 0.2, "{} {hz}: {heard} and {said} dBov", codec.name);
                present.push(hz);
            } else {
                assert!(heard < -45.0, "{} {hz}: {heard} dBov", codec.name);
            }
        }
        assert_eq!(present, [770, 1_336]);
    }
}
