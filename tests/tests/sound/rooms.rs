//! Calls in rooms: what a demo with loudspeakers says of the echo, and how a canceller's figures get into a report.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration as StdDuration;

use dsp_core::front::{CaptureBlock, FrontError, Near};
use dsp_core::noise::NoiseLevel;
use dsp_core::time::{Duration, Instant};
use host_std::record::call::{CallRecorder, side_report};
use host_std::registry::CodecFormat;
use host_std::report::Report;
use host_std::session::{Call, CallConfig, CaptureConfig, CaptureStep, EchoSettings, OwnBlock};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::room::{AcousticRoom, AcousticRoomConfig};
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavSource;
use media_core_tests::program::{Running, folder, media_core};
use serde_json::Value;

/// A block that has the room itself: it plays what the loudspeaker played, and takes off what is heard of it.
struct KnownRoom(AcousticRoom);

impl CaptureBlock<i16> for KnownRoom {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        let mut far = vec![0; frame.len()];
        near.render.read(near.captured_at, near.channel, &mut far);
        self.0.play(&far);
        let mut echo = vec![0; frame.len()];
        self.0.capture(&mut echo);
        frame.iter_mut().zip(echo).for_each(|(sample, echo)| *sample = sample.saturating_sub(echo));
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

fn call(port: u16, rate_hz: u32, config: impl FnOnce(CallConfig) -> CallConfig) -> Call {
    let codecs = vec![CodecFormat::l16(rate_hz, 1)];
    let mut call = Call::new(config(CallConfig { codecs, ..CallConfig::new(port).unwrap() })).unwrap();
    call.set_tap(Box::new(CallRecorder::default()));
    call
}

fn room(rate_hz: u32) -> AcousticRoom {
    AcousticRoom::new(AcousticRoomConfig { tail_ms: 60.0, ..AcousticRoomConfig::default() }, rate_hz, 1).unwrap()
}

/// Two calls at 16 kHz, the first in a room with this capture chain; a woman speaks at the second.
fn in_a_room(capture: CaptureConfig) -> VirtualTime {
    let calls = [call(4_000, 16_000, |config| CallConfig { capture, ..config }), call(5_000, 16_000, |config| config)];
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut pair = VirtualTime::connect(calls, addresses, NetworkConfig::default(), 0.0, 1).unwrap();
    let woman = include_bytes!("../../../host-std/assets/woman.wav");
    let speech = WavSource::from_bytes("woman", woman, 16_000).unwrap().read_all(Duration::from_secs(60)).unwrap();
    pair.ends[1].speech = speech;
    pair.ends[0].room = Some(room(16_000));
    pair
}

#[test]
fn a_block_that_knows_the_room_takes_out_the_echo_to_the_bit() {
    let own = OwnBlock::new(|rate_hz| Box::new(KnownRoom(room(rate_hz))));
    let mut pair = in_a_room(own.into());
    pair.run_until(Instant::from_millis(5_000));
    let recorder = pair.ends[0].call.take_tap::<CallRecorder>().unwrap();
    // All that the microphone heard was echo, and all of it is gone.
    assert!(recorder.said.len() > 70_000 && recorder.said.iter().all(|&sample| sample == 0));
    assert!(recorder.heard.iter().any(|&sample| sample.unsigned_abs() > 1_000));
}

#[test]
fn the_canceller_takes_the_echo_and_its_figures_are_in_the_report() {
    let mut pair = in_a_room(CaptureConfig { echo: Some(EchoSettings::default()), ..CaptureConfig::default() });
    pair.run_until(Instant::from_millis(8_000));
    let status = pair.ends[0].front.block(0).and_then(|block| block.echo()).unwrap();
    assert!((15.0..25.0).contains(&status.delay_ms.unwrap()) && status.path_changes == 0, "{status:?}");
    let mut calls = pair.ends.map(|end| end.call);
    let recorders = calls.each_mut().map(|call| *call.take_tap::<CallRecorder>().unwrap());
    let side = |n: usize| side_report(["a", "b"], &recorders[n], &recorders[1 - n], &calls[n], "heard.wav");
    let report = Report { sides: vec![side(0), side(1)], ..Report::default() };
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let side = &json["sides"][0];
    assert!(side["echo"]["erle_db"].as_f64().unwrap() > 25.0, "{}", side["echo"]);
    assert_eq!(side["echo"]["path_changes"], 0);
    let seconds = side["echo_per_second"].as_array().unwrap();
    assert_eq!(seconds.len(), 8);
    assert!(seconds[7]["erle_db"].as_f64().unwrap() > 25.0, "{seconds:?}");
    assert_eq!((&seconds[2]["at_ms"], &seconds[2]["echo_delay_ms"]), (&2_000.0.into(), &20.0.into()));
    // The other side has no canceller, and says nothing of one.
    assert!(json["sides"][1].get("echo").is_none() && json["sides"][1].get("echo_per_second").is_none());
    let page = report.to_html();
    assert_eq!(page.matches("ERLE, dB").count(), 1);
    assert!(page.contains("echo after") && page.contains("Path changes"));
    assert!(report.to_string().contains("echo taken out"), "{report}");
}

#[test]
fn steps_are_switched_while_the_call_runs() {
    let config = CaptureConfig {
        high_pass_hz: Some(100),
        echo: Some(EchoSettings::default()),
        noise: Some(NoiseLevel::Mild),
        ..CaptureConfig::default()
    };
    let mut pair = in_a_room(config);
    let on = |pair: &mut VirtualTime, step, on| pair.ends[0].front.block(0).unwrap().set_step(step, on);
    pair.run_until(Instant::from_millis(6_000));
    assert!(on(&mut pair, CaptureStep::Echo, false) && on(&mut pair, CaptureStep::HighPass, false));
    assert!(!on(&mut pair, CaptureStep::Own, false) && !on(&mut pair, CaptureStep::Gain, true));
    assert!(pair.ends[0].front.block(0).unwrap().noise().is_some_and(|noise| noise.noise_level_dbov < -60.0));
    assert!(on(&mut pair, CaptureStep::Noise, false));
    assert!(pair.ends[0].front.block(0).unwrap().noise().is_none());
    pair.run_until(Instant::from_millis(10_000));
    assert!(pair.ends[0].front.block(0).unwrap().echo().is_none());
    on(&mut pair, CaptureStep::Echo, true);
    pair.run_until(Instant::from_millis(14_000));
    let said = pair.ends[0].call.take_tap::<CallRecorder>().unwrap().said.clone();
    let level = |from: usize, to: usize| {
        let part = &said[from * 16_000..(to * 16_000).min(said.len())];
        10.0 * (part.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / part.len() as f64 + 1.0).log10()
    };
    // Gone, there again, and gone at once, since the canceller still knows the room.
    let (first, off, again) = (level(4, 6), level(7, 10), level(11, 14));
    assert!(first < off - 25.0 && again < off - 25.0, "{first} {off} {again}");
}

#[test]
fn a_rate_without_a_canceller_is_refused_in_words() {
    let capture = CaptureConfig { echo: Some(EchoSettings::default()), ..CaptureConfig::default() };
    let refused = host_std::session::front_end(44_100, 1, &capture).err();
    assert_eq!(refused, Some(FrontError::BlockRate { hz: 44_100 }));
    assert_eq!(refused.unwrap().to_string(), "the capture block doesn't have a rate of 44100 Hz");
}

#[test]
fn in_rooms_each_side_of_a_demo_hears_itself() {
    let folder = folder("rooms");
    let demo = |options: &[&str]| -> Value {
        let mut command = Command::new(media_core());
        command.current_dir(&folder).args(["demo", "--json", "--loss", "0", "--jitter", "0"]).args(options);
        let ended = Running::start(&mut command, &folder, "media-core").wait(StdDuration::from_secs(60)).success();
        serde_json::from_str(&ended.stdout).unwrap()
    };
    let back = |report: &Value, side: usize| report["sides"][side]["statistics"]["own_voice_back_db"].as_f64();
    let fast = ["--fast", "--seconds", "20", "--codec", "pcmu"];
    let rooms = demo(&[&fast[..], &["--echo", "128"]].concat());
    for side in 0..2 {
        let level = back(&rooms, side).unwrap();
        assert!((-15.0..-2.0).contains(&level), "{level}");
    }
    let settings = rooms["settings"].as_array().unwrap();
    assert!(settings.iter().any(|pair| pair[0] == "rooms" && pair[1].as_str().unwrap().starts_with("128 ms")));
    // The same seed is the same room, and another one another.
    assert_eq!(rooms, demo(&[&fast[..], &["--echo", "128"]].concat()));
    assert_ne!(back(&rooms, 0), back(&demo(&[&fast[..], &["--echo", "128", "--seed", "2"]].concat()), 0));
    // A canceller takes it out, and tells how well.
    let cancelled = demo(&[&fast[..], &["--echo", "128", "--aec"]].concat());
    for side in 0..2 {
        let level = back(&cancelled, side).unwrap();
        assert!(level < back(&rooms, side).unwrap() - 20.0, "{level}");
        let side = &cancelled["sides"][side];
        assert!(side["echo"]["erle_db"].as_f64().unwrap() > 20.0, "{}", side["echo"]);
        assert_eq!(side["echo_per_second"].as_array().unwrap().len(), 20);
    }
    assert!(rooms["sides"][0].get("echo").is_none());
    // Over sockets too.
    let real = demo(&["--seconds", "4", "--codec", "g722", "--echo", "20"]);
    assert!((-20.0..-2.0).contains(&back(&real, 0).unwrap()), "{real}");
    // Headsets have no echo, so nothing is said of it.
    let headsets = demo(&fast);
    assert!(headsets["sides"][0]["statistics"]["own_voice_back_db"].is_null());
    assert!(headsets["settings"].as_array().unwrap().iter().all(|pair| pair[0] != "rooms"));
    fs::remove_dir_all(folder).unwrap();
}
