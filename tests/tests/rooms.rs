//! Calls in rooms: what a demo with loudspeakers says of the echo, and how a canceller's figures get into a report.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration as StdDuration;

use dsp_core::front::{CaptureBlock, Near};
use dsp_core::time::{Duration, Instant};
use host_std::record::call::{CallRecorder, side_report};
use host_std::registry::CodecFormat;
use host_std::report::Report;
use host_std::session::{Call, CallConfig, EchoBlock, EchoStatus, OwnBlock};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::room::{Room, RoomConfig};
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavSource;
use media_core_tests::program::{Running, folder, media_core};
use serde_json::Value;

/// A canceller that has the room itself: it plays what the loudspeaker played, and takes off what is heard of it.
struct KnownRoom {
    room: Room,
    erle_db: Option<f32>,
}

impl CaptureBlock<i16> for KnownRoom {
    fn process(&mut self, frame: &mut [i16], near: &Near<'_>) {
        let mut far = vec![0; frame.len()];
        near.render.read(near.captured_at, near.channel, &mut far);
        self.room.play(&far);
        let mut echo = vec![0; frame.len()];
        self.room.capture(&mut echo);
        let power = |pcm: &[i16]| pcm.iter().map(|&sample| f32::from(sample).powi(2)).sum::<f32>();
        let before = power(frame);
        frame.iter_mut().zip(echo).for_each(|(sample, echo)| *sample = sample.saturating_sub(echo));
        self.erle_db = (before > 1e6).then(|| 10.0 * (before / (power(frame) + frame.len() as f32)).log10());
    }

    fn reset(&mut self) {}

    fn delay_samples(&self) -> usize {
        0
    }
}

impl EchoBlock for KnownRoom {
    fn echo(&self) -> EchoStatus {
        EchoStatus { erle_db: self.erle_db, delay_ms: Some(20.0), path_changes: 2, ..EchoStatus::default() }
    }
}

fn call(port: u16, rate_hz: u32, config: impl FnOnce(CallConfig) -> CallConfig) -> Call {
    let codecs = vec![CodecFormat::l16(rate_hz, 1)];
    let mut call = Call::new(config(CallConfig { codecs, ..CallConfig::new(port).unwrap() })).unwrap();
    call.set_tap(Box::new(CallRecorder::default()));
    call
}

#[test]
fn a_canceller_that_knows_the_room_takes_the_echo_and_its_figures_are_in_the_report() {
    let config = RoomConfig { tail_ms: 60.0, ..RoomConfig::default() };
    let capture =
        OwnBlock::echo(move |rate_hz| Ok(KnownRoom { room: Room::new(config, rate_hz, 1).unwrap(), erle_db: None }));
    let calls = [
        call(4_000, 16_000, |config| CallConfig { capture: Some(capture), ..config }),
        call(5_000, 16_000, |config| config),
    ];
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut pair = VirtualTime::connect(calls, addresses, NetworkConfig::default(), 0.0, 1).unwrap();
    let woman = include_bytes!("../../host-std/assets/woman.wav");
    let speech = WavSource::from_bytes("woman", woman, 16_000).unwrap().read_all(Duration::from_secs(60)).unwrap();
    pair.ends[1].speech = speech;
    pair.ends[0].room = Some(Room::new(config, 16_000, 1).unwrap());
    pair.run_until(Instant::from_millis(5_000));
    let status = pair.ends[0].front.block(0).and_then(|block| block.echo()).unwrap();
    assert_eq!((status.delay_ms, status.path_changes), (Some(20.0), 2));
    let mut calls = pair.ends.map(|end| end.call);
    let recorders = calls.each_mut().map(|call| *call.take_tap::<CallRecorder>().unwrap());
    // All that the first side's microphone heard was echo, and all of it is gone.
    assert!(recorders[0].said.len() > 70_000 && recorders[0].said.iter().all(|&sample| sample == 0));
    assert!(recorders[0].heard.iter().any(|&sample| sample.unsigned_abs() > 1_000));
    let side = |n: usize| side_report(["a", "b"], &recorders[n], &recorders[1 - n], &calls[n], "heard.wav");
    let report = Report { sides: vec![side(0), side(1)], ..Report::default() };
    let json: Value = serde_json::from_str(&report.to_json()).unwrap();
    let side = &json["sides"][0];
    assert!(side["echo"]["erle_db"].as_f64().unwrap() > 30.0, "{}", side["echo"]);
    assert_eq!((&side["echo"]["delay_ms"], &side["echo"]["path_changes"]), (&20.0.into(), &2.into()));
    let seconds = side["echo_per_second"].as_array().unwrap();
    assert_eq!(seconds.len(), 5);
    assert!(seconds[1]["erle_db"].as_f64().unwrap() > 30.0, "{seconds:?}");
    assert_eq!((&seconds[2]["at_ms"], &seconds[2]["double_talk"]), (&2_000.0.into(), &0.0.into()));
    // The other side has no canceller, and says nothing of one.
    assert!(json["sides"][1].get("echo").is_none() && json["sides"][1].get("echo_per_second").is_none());
    let page = report.to_html();
    assert_eq!(page.matches("ERLE, dB").count(), 1);
    assert!(page.contains("echo after") && page.contains("Path changes"));
    assert!(report.to_string().contains("echo taken out"), "{report}");
}

#[test]
fn a_canceller_may_refuse_a_rate() {
    let refused = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&refused);
    let capture = OwnBlock::echo(move |_| -> Result<KnownRoom, _> {
        asked.store(true, Ordering::Relaxed);
        Err(dsp_core::front::FrontError::Frame { need: 1, got: 0 })
    });
    let front = host_std::session::front_end(16_000, 1, None, Some(&capture));
    assert!(front.is_err_and(|error| error == dsp_core::front::FrontError::Frame { need: 1, got: 0 }));
    assert!(refused.load(Ordering::Relaxed));
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
