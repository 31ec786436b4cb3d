//! The capture chain of whole calls: noise, level, and what is sent in pauses.

use std::net::SocketAddr;

use dsp_core::noise::NoiseLevel;
use dsp_core::process::agc::AgcConfig;
use dsp_core::process::voice::VoiceConfig;
use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::CallRecorder;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, CaptureConfig, EchoSettings, Identity, OwnDetector};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavSource;

/// A woman who speaks, at a gain, with pauses of two seconds every four, and even noise of this peak all along.
fn noisy(rate_hz: u32, gain: f64, noise: f64) -> Vec<i16> {
    let woman = include_bytes!("../../host-std/assets/woman.wav");
    let speech = WavSource::from_bytes("woman", woman, rate_hz).unwrap().read_all(Duration::from_secs(60)).unwrap();
    let mut state = 1u32;
    let second = rate_hz as usize;
    (0..12 * second)
        .map(|n| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let speaks = n / second % 4 < 2;
            let said = if speaks { f64::from(speech[n % speech.len()]) } else { 0.0 };
            (said * gain + f64::from(state as i32) / 2f64.powi(31) * noise).round() as i16
        })
        .collect()
}

/// 12 s of a call whose first side says this; the calls afterwards, with recorders.
fn call(codec: &CodecFormat, said: Vec<i16>, config: impl Fn(CallConfig) -> CallConfig) -> [Call; 2] {
    let side = |port: u16| {
        let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
        let mut call = Call::new(config(CallConfig { codecs: vec![codec.clone()], ..base })).unwrap();
        call.set_tap(Box::new(CallRecorder::default()));
        call
    };
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let calls = [side(4_000), side(5_000)];
    let mut pair = VirtualTime::connect(calls, addresses, NetworkConfig::default(), 0.0, 1).unwrap();
    pair.ends[0].speech = said;
    pair.run_until(Instant::from_millis(12_000));
    pair.ends.map(|end| end.call)
}

/// Levels of what the second side heard in frames of 20 ms, from the third second on, in order: dB of full scale.
fn heard_db(calls: &mut [Call; 2], rate_hz: u32) -> Vec<f64> {
    let heard = calls[1].take_tap::<CallRecorder>().unwrap().heard.clone();
    let mut levels: Vec<f64> = heard[3 * rate_hz as usize..]
        .chunks_exact(rate_hz as usize / 50)
        .map(|frame| frame.iter().map(|&x| (f64::from(x) / 32_768.0).powi(2)).sum::<f64>() / frame.len() as f64)
        .map(|power| 10.0 * (power + 1e-10).log10())
        .collect();
    levels.sort_by(f64::total_cmp);
    levels
}

#[test]
fn noise_falls_and_soft_speech_comes_to_its_level_at_every_rate() {
    for rate_hz in [8_000, 16_000, 32_000, 48_000] {
        let codec = CodecFormat::l16(rate_hz, 1);
        let said = || noisy(rate_hz, 0.2, 60.0);
        let levels = |capture: CaptureConfig| {
            let mut calls = call(&codec, said(), |config| CallConfig { capture: capture.clone(), ..config });
            let levels = heard_db(&mut calls, rate_hz);
            // Of the pauses, and of what is loud in speech.
            (levels[levels.len() / 4], levels[levels.len() * 19 / 20])
        };
        let as_it_is = levels(CaptureConfig::default());
        let clean = levels(CaptureConfig { noise: Some(NoiseLevel::Strong), ..CaptureConfig::default() });
        let every = CaptureConfig {
            high_pass_hz: Some(100),
            echo: Some(EchoSettings::default()),
            noise: Some(NoiseLevel::Strong),
            gain: Some(AgcConfig::default()),
            ..CaptureConfig::default()
        };
        let all = levels(every);
        let told = format!("{rate_hz} Hz, pauses and speech: {as_it_is:.1?}, {clean:.1?}, {all:.1?} dB");
        assert!(clean.0 < as_it_is.0 - 12.0 && (clean.1 - as_it_is.1).abs() < 2.0, "{told}");
        // Loud frames lie some dB above the active level of -26 that is aimed at.
        assert!(all.1 > as_it_is.1 + 4.0 && (-30.0..-16.0).contains(&all.1), "{told}");
        assert!(all.0 < as_it_is.0, "{told}");
    }
}

#[test]
fn in_noise_the_voice_detector_sends_less_than_the_energy_gate() {
    // Noise that changes: the gate takes what becomes louder for speech.
    let said: Vec<i16> = noisy(8_000, 0.7, 500.0)
        .iter()
        .zip(noisy(8_000, 0.0, 1_500.0))
        .enumerate()
        .map(|(n, (&said, more))| said + if n / 4_000 % 3 == 0 { more } else { 0 })
        .collect();
    let packets = |detector: Option<OwnDetector>| {
        let calls = call(&CodecFormat::pcmu(), said.clone(), |config| CallConfig {
            comfort_noise: true,
            detector: detector.clone(),
            ..config
        });
        let sent = calls[0].stats().sender;
        sent.packets - sent.noise_packets
    };
    let (always, gate, voice) = (600, packets(None), packets(Some(OwnDetector::voice(2))));
    println!("packets with sound of {always}: {gate} by the energy gate, {voice} by the voice detector");
    assert!(voice > 250 && voice < gate, "{voice} {gate}");
}

/// The same half second or so of a woman who begins to speak, at 2.5, 5.5 and 8.5 s, in little noise.
fn spurts(rate_hz: u32) -> Vec<i16> {
    let (mut said, speech) = (noisy(rate_hz, 0.0, 4.0), noisy(rate_hz, 0.7, 4.0));
    let (begin, length) = (rate_hz as usize * 17 / 2, rate_hz as usize);
    for at in [1, 2, 3] {
        let at = at * 3 * rate_hz as usize - rate_hz as usize / 2;
        said[at..at + length].copy_from_slice(&speech[begin..begin + length]);
    }
    said
}

#[test]
fn pauses_follow_the_chains_detector_in_every_codec_and_no_onset_is_lost() {
    let detector = VoiceConfig { hangover_ms: 40, ..VoiceConfig::default() };
    let opus = OpusEncoderConfig { sample_rate_hz: 16_000, dtx: true, ..OpusEncoderConfig::default() };
    for (codec, rate_hz) in [
        (CodecFormat::pcmu(), 8_000),
        (CodecFormat::g722(), 16_000),
        (CodecFormat::l16(16_000, 1), 16_000),
        (CodecFormat::opus(), 16_000),
    ] {
        let run = |pauses: bool| {
            call(&codec, spurts(rate_hz), |config| CallConfig {
                comfort_noise: pauses,
                registry: Registry::builtin().with(Opus(OpusEncoderConfig { dtx: pauses, ..opus })),
                capture: CaptureConfig { detector: pauses.then_some(detector), ..CaptureConfig::default() },
                ..config
            })
        };
        let [mut every, mut paused] = [run(false), run(true)];
        let packets = |calls: &[Call; 2]| calls[0].stats().sender.packets;
        let (all, sent) = (packets(&every), packets(&paused));
        println!("{codec}: {sent} of {all} packets");
        // Every frame of hers within some 35 dB of her level, and most of the pauses not.
        let said = spurts(rate_hz);
        let loud = said.chunks(rate_hz as usize / 50).filter(|frame| {
            frame.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / frame.len() as f64 > 30.0f64.powi(2)
        });
        let spoken = loud.count();
        println!("{codec}: {spoken} frames of speech");
        assert!(sent as usize >= spoken && sent * 10 < all * 8, "{codec}: {sent} of {all}, {spoken} of speech");
        // Each time that she begins to speak after half a second of none, the first 100 ms are as loud as in the call that sends
        // everything, and come when they come there but for some ms of delay.
        let onsets = |calls: &mut [Call; 2]| {
            let heard = calls[1].take_tap::<CallRecorder>().unwrap().heard.clone();
            let second = rate_hz as usize;
            let (mut last, mut found) = (0, Vec::new());
            for (n, _) in heard.iter().enumerate().filter(|(_, x)| x.unsigned_abs() > 400) {
                if n > last + second / 2 && n + second / 10 < heard.len() {
                    let power = heard[n..n + second / 10].iter().map(|&x| f64::from(x).powi(2)).sum::<f64>();
                    found.push((
                        n as f64 * 1_000.0 / f64::from(rate_hz),
                        10.0 * (power * 10.0 / f64::from(rate_hz)).log10(),
                    ));
                }
                last = n;
            }
            found
        };
        let (whole, paused) = (onsets(&mut every), onsets(&mut paused));
        println!("{codec}: ms and dB {whole:.1?} {paused:.1?}");
        assert!(whole.len() == paused.len() && whole.len() == 3, "{codec}: {whole:.1?} {paused:.1?}");
        for (a, b) in whole.iter().zip(&paused) {
            assert!((a.0 - b.0).abs() < 25.0 && (a.1 - b.1).abs() < 1.5, "{codec}: {a:.1?} {b:.1?}");
        }
    }
}
