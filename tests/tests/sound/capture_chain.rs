//! The capture chain of whole calls: noise, level, the echo suppressor, what is sent in pauses; and what their meters say of
//! microphones that clip, are silent, howl or are heard by nobody.

use std::net::SocketAddr;

use dsp_core::noise::NoiseLevel;
use dsp_core::process::agc::AgcConfig;
use dsp_core::process::echo_suppressor::EchoSuppressorConfig;
use dsp_core::process::voice::VoiceConfig;
use dsp_core::time::{Duration, Instant};
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::CallRecorder;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::Direction;
use host_std::session::{
    Call, CallConfig, CallStats, CaptureConfig, EchoSettings, Fault, Identity, MeasurementPoint, OwnDetector,
};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::room::{AcousticRoom, AcousticRoomConfig};
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavSource;

/// A woman who speaks, at a gain, with pauses of two seconds every four, and even noise of this peak all along.
fn noisy(rate_hz: u32, gain: f64, noise: f64) -> Vec<i16> {
    let woman = include_bytes!("../../../host-std/assets/woman.wav");
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

/// Seconds of a voice, repeated.
fn voice(file: &'static [u8], rate_hz: u32) -> Vec<i16> {
    WavSource::from_bytes("voice", file, rate_hz).unwrap().read_all(Duration::from_secs(60)).unwrap()
}

const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
const MAN: &[u8] = include_bytes!("../../../host-std/assets/man.wav");

/// Of a call that is metered and goes on for so long, with `change` to what it is made of: the numbers of both sides.
fn metered(codec: &CodecFormat, seconds: u64, loss_percent: f64, change: impl Fn(&mut VirtualTime)) -> [CallStats; 2] {
    let side = |port: u16| {
        let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
        Call::new(CallConfig { codecs: vec![codec.clone()], metering: true, ..base }).unwrap()
    };
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let network = NetworkConfig { loss_percent, ..NetworkConfig::default() };
    let mut pair = VirtualTime::connect([side(4_000), side(5_000)], addresses, network, 0.0, 1).unwrap();
    let rate_hz = pair.ends[0].sample_rate_hz();
    pair.ends[0].speech = voice(WOMAN, rate_hz);
    pair.ends[1].speech = voice(MAN, rate_hz);
    change(&mut pair);
    pair.run_until(Instant::from_millis(seconds * 1_000));
    pair.ends.each_ref().map(|end| end.call.stats())
}

/// Names of what is wrong with both sides of a call.
fn names(stats: &[CallStats; 2]) -> [Vec<&'static str>; 2] {
    stats.each_ref().map(|stats| stats.findings().map(|finding| finding.name()).collect())
}

#[test]
fn a_sound_call_has_levels_and_no_findings_whatever_its_codec() {
    for codec in [CodecFormat::pcmu(), CodecFormat::pcma(), CodecFormat::l16(16_000, 1)] {
        for loss in [0.0, 10.0] {
            let stats = metered(&codec, 12, loss, |_| {});
            assert_eq!(names(&stats), [[""; 0]; 2], "{codec}, {loss} %: {stats:?}");
            let sound = stats[0].sound.unwrap();
            let (microphone, sent) = (sound.microphone.unwrap(), sound.sent);
            assert_eq!((microphone.heard_ms, microphone.level), (11_990, sent.level), "nothing is between them");
            // What one sends the other hears: within 1 dB where nothing is lost.
            let heard = stats[1].sound.unwrap().received.level.active.unwrap();
            let said = sent.level.active.unwrap();
            let off = i32::from(heard.hundredths_dbov()) - i32::from(said.hundredths_dbov());
            assert!(off.abs() < if loss > 0.0 { 200 } else { 100 }, "{codec}, {loss} %: {said} {heard}");
        }
    }
    // Who doesn't ask has no meters, and is told of packets all the same.
    let base = CallConfig::with_identity(4_000, Identity::seeded(1));
    assert!(Call::new(base).unwrap().stats().sound.is_none());
}

#[test]
fn a_microphone_that_clips_is_told_with_its_share_and_its_time() {
    let stats = metered(&CodecFormat::pcmu(), 12, 0.0, |pair| {
        // From 6 s on five times too loud.
        let said: Vec<i16> = pair.ends[0].speech.iter().copied().cycle().take(12 * 8_000).collect();
        let louder = |(n, &sample): (usize, &i16)| if n < 48_000 { sample } else { sample.saturating_mul(8) };
        pair.ends[0].speech = said.iter().enumerate().map(louder).collect();
    });
    let [ours, theirs] = names(&stats);
    assert_eq!(ours, ["microphone_clipped"]);
    // Who hears it is told too, mu-law between them or not.
    assert_eq!(theirs, ["received_clipped"]);
    let finding = stats[0].findings().next().unwrap();
    assert_eq!((finding.place, finding.fault), (MeasurementPoint::Microphone, Fault::Clipped));
    assert!((6_000..7_500).contains(&finding.first_ms) && finding.share > 0.01, "{finding:?}");
    let words = finding.to_string();
    assert!(
        words.starts_with("The microphone clipped in ") && words.contains(" % of its 10 ms blocks, from 00:0"),
        "{words}"
    );
}

#[test]
fn a_silent_microphone_and_sound_that_goes_one_way_are_told() {
    // Nothing is said into it: all samples are zeros.
    let stats = metered(&CodecFormat::pcmu(), 6, 0.0, |pair| pair.ends[0].speech.clear());
    let [ours, theirs] = names(&stats);
    assert_eq!((ours, theirs), (vec!["microphone_digitally_silent"], vec!["one_way_nothing_audible_received"]));
    assert_eq!(
        stats[0].findings().next().unwrap().to_string(),
        "The microphone was digital silence (all samples alike) all the time: it is off, muted, or not plugged in"
    );
    // Muted in the call: the microphone has sound, and nothing of it is sent.
    let stats = metered(&CodecFormat::pcmu(), 6, 0.0, |pair| pair.ends[0].front.set_microphone_muted(true));
    assert_eq!(names(&stats)[0], ["one_way_nothing_audible_sent"]);
    // Nothing arrives, in either direction: each sends, and hears nothing.
    let stats = metered(&CodecFormat::pcmu(), 6, 100.0, |_| {});
    assert_eq!(names(&stats), [["one_way_nothing_received"], ["one_way_nothing_received"]]);
    let words = stats[0].findings().next().unwrap().to_string();
    assert!(
        words.starts_with("One-way sound: packets were sent for 00:0") && words.ends_with(", and none came"),
        "{words}"
    );
    // Whoever agreed to hear nothing isn't told so.
    let stats = metered(&CodecFormat::pcmu(), 6, 0.0, |pair| {
        let [ours, theirs] = &mut pair.ends;
        ours.call.set_direction(Direction::SendOnly);
        let offer = ours.call.offer().unwrap();
        let answer = theirs.call.answer(Instant::ZERO, &offer).unwrap();
        ours.call.accept(Instant::ZERO, &answer).unwrap();
    });
    assert_eq!(names(&stats), [[""; 0]; 2], "{stats:?}");
}

#[test]
fn two_loudspeakers_that_are_too_loud_howl() {
    // White noise comes back weaker by 10 dB; at the frequency that both rooms answer best it's louder each time round.
    let stats = metered(&CodecFormat::l16(16_000, 1), 25, 0.0, |pair| {
        for (end, seed) in pair.ends.iter_mut().zip(1..) {
            let config = AcousticRoomConfig {
                echo_return_loss_db: 5.0,
                noise_dbov: Some(-70.0),
                seed,
                ..AcousticRoomConfig::default()
            };
            end.room = Some(AcousticRoom::new(config, 16_000, 1).unwrap());
            end.speech.clear();
        }
    });
    let howling = stats[0].findings().find(|finding| finding.fault == Fault::Howling);
    let howling = howling.unwrap_or_else(|| panic!("{:?}", stats[0].findings().collect::<Vec<_>>()));
    assert!(howling.howling_hz > 300 && howling.total_ms > 2_000, "{howling:?}");
    assert!(howling.to_string().contains(" howled at about "), "{howling}");
    // In rooms as loud as a desk phone's nothing howls.
    let stats = metered(&CodecFormat::l16(16_000, 1), 10, 0.0, |pair| {
        for (end, seed) in pair.ends.iter_mut().zip(1..) {
            end.room = Some(
                AcousticRoom::new(AcousticRoomConfig { seed, ..AcousticRoomConfig::default() }, 16_000, 1).unwrap(),
            );
        }
    });
    assert_eq!(names(&stats), [[""; 0]; 2]);
}

#[test]
fn an_echo_suppressor_turns_down_the_echo_and_not_the_near_end() {
    for codec in [CodecFormat::pcmu(), CodecFormat::l16(16_000, 1)] {
        // What the second side hears of itself while only it speaks, or of the first side while only that does.
        let heard_db = |suppressor: Option<EchoSuppressorConfig>, near: bool| {
            let side = |port: u16| {
                let capture = CaptureConfig { echo_suppressor: suppressor, ..CaptureConfig::default() };
                let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
                Call::new(CallConfig { codecs: vec![codec.clone()], capture, metering: true, ..base }).unwrap()
            };
            let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
            let calls = [side(4_000), side(5_000)];
            let mut pair = VirtualTime::connect(calls, addresses, NetworkConfig::default(), 0.0, 1).unwrap();
            let rate_hz = pair.ends[0].sample_rate_hz();
            pair.ends[0].room = Some(AcousticRoom::new(AcousticRoomConfig::default(), rate_hz, 1).unwrap());
            pair.ends[usize::from(!near)].speech = voice(WOMAN, rate_hz);
            pair.run_until(Instant::from_millis(8_000));
            let end = &mut pair.ends[0];
            assert!(end.front.block(0).is_none_or(|block| block.echo().is_none()), "it is no canceller");
            f64::from(pair.ends[1].call.stats().sound.unwrap().received.level.long_term.hundredths_dbov()) / 100.0
        };
        let some = Some(EchoSuppressorConfig::default());
        let (echo, suppressed) = (heard_db(None, false), heard_db(some, false));
        let (near, kept) = (heard_db(None, true), heard_db(some, true));
        println!("{codec}: echo {echo:.1} and {suppressed:.1} dBov, near end {near:.1} and {kept:.1}");
        assert!(suppressed < echo - 10.0 && (kept - near).abs() < 1.0, "{codec}: {echo} {suppressed} {near} {kept}");
    }
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

/// With the feature `neural`: nets as suppressor and as detector in a call.
#[cfg(feature = "neural")]
mod neural {
    use super::*;
    use host_std::session::CaptureStep;

    #[test]
    fn a_net_takes_noise_out_of_a_call_at_every_rate_and_can_be_switched_off() {
        for rate_hz in [8_000, 16_000, 32_000, 48_000] {
            let codec = CodecFormat::l16(rate_hz, 1);
            let levels = |capture: CaptureConfig| {
                let mut calls = call(&codec, noisy(rate_hz, 0.7, 300.0), |config| CallConfig {
                    capture: capture.clone(),
                    ..config
                });
                let levels = heard_db(&mut calls, rate_hz);
                (levels[levels.len() / 4], levels[levels.len() * 19 / 20])
            };
            let as_it_is = levels(CaptureConfig::default());
            let core = levels(CaptureConfig { noise: Some(NoiseLevel::Strong), ..CaptureConfig::default() });
            let net = levels(CaptureConfig { neural_noise: true, ..CaptureConfig::default() });
            let told = format!("{rate_hz} Hz, pauses and speech: {as_it_is:.1?}, {core:.1?}, {net:.1?} dB");
            println!("{told}");
            assert!(net.0 < as_it_is.0 - 20.0 && (net.1 - as_it_is.1).abs() < 2.0, "{told}");
        }
        // The step is the noise suppressor's, and knows nothing to tell.
        let capture = CaptureConfig { neural_noise: true, ..CaptureConfig::default() };
        let mut front = host_std::session::front_end(16_000, 1, &capture).unwrap();
        let block = front.block(0).unwrap();
        assert!(block.set_step(CaptureStep::Noise, false) && block.noise().is_none());
        assert!(host_std::session::front_end(44_100, 1, &capture).is_err());
    }

    #[test]
    fn a_net_as_detector_sends_words_whole_and_less_of_the_rest_than_the_integer_one() {
        // Clatter: every 300 ms 50 ms of loud noise, and never a voice; then the words of `spurts`.
        for (codec, rate_hz) in [(CodecFormat::pcmu(), 8_000), (CodecFormat::l16(16_000, 1), 16_000)] {
            let mut said = spurts(rate_hz);
            let loud = noisy(rate_hz, 0.0, 4_000.0);
            let second = rate_hz as usize;
            for n in 9 * second..said.len() {
                if n % (3 * second / 10) < second / 20 {
                    said[n] = said[n].saturating_add(loud[n]);
                }
            }
            let run = |neural_detector: bool| {
                call(&codec, said.clone(), |config| CallConfig {
                    comfort_noise: true,
                    capture: CaptureConfig {
                        detector: Some(VoiceConfig { hangover_ms: 40, ..VoiceConfig::default() }),
                        neural_detector,
                        ..CaptureConfig::default()
                    },
                    ..config
                })
            };
            let sound = |calls: &[Call; 2]| {
                let sent = calls[0].stats().sender;
                sent.packets - sent.noise_packets
            };
            let (integer, net) = (run(false), run(true));
            let (integer, net) = (sound(&integer), sound(&net));
            let spoken =
                spurts(rate_hz).chunks(second / 50).filter(|frame| frame.iter().any(|x| x.abs() > 400)).count();
            println!("{codec}: {spoken} frames of speech, {integer} packets by the integer detector, {net} by the net");
            assert!(net as usize >= spoken && net < 500, "{codec}: {spoken} {integer} {net}");
        }
    }
}
