//! Stereo, from WAV file to WAV file: in calls over bad networks, in captures played again, and in coded files.
//!
//! A woman speaks on the left, a man on the right: what one hears of the other says what became of the channels.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use dsp_core::time::Instant;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, Identity};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::{WavFrames, WavSink, mean_of_channels};
use media_core_tests::program::{Running, folder, media_core};
use media_core_tests::score::score;
use media_core_tests::tick::Device;
use media_core_tests::{recorded, recorder};

const LIMIT: std::time::Duration = std::time::Duration::from_secs(60);
const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
const MAN: &[u8] = include_bytes!("../../../host-std/assets/man.wav");

/// Both voices for eight seconds at this rate, interleaved.
fn voices(rate_hz: u32) -> Vec<i16> {
    let voice = |bytes| {
        let source = WavFrames::from_bytes("voice", bytes, rate_hz, 1).unwrap();
        source.read_all(dsp_core::time::Duration::from_secs(60)).unwrap()
    };
    let (left, right) = (voice(WOMAN), voice(MAN));
    (0..8 * rate_hz as usize).flat_map(|n| [left[n % left.len()], right[n % right.len()]]).collect()
}

fn channel(pcm: &[i16], which: usize) -> Vec<i16> {
    pcm.iter().skip(which).step_by(2).copied().collect()
}

/// At 16 kHz, where voices are told apart as well and sooner.
fn thinner(pcm: &[i16], rate_hz: u32) -> Vec<i16> {
    let step = rate_hz as usize / 16_000;
    let mean = |part: &[i16]| (part.iter().map(|&sample| i32::from(sample)).sum::<i32>() / step as i32) as i16;
    pcm.chunks_exact(step).map(mean).collect()
}

fn alike(said: &[i16], heard: &[i16], rate_hz: u32) -> f64 {
    score(&thinner(said, rate_hz), &thinner(heard, rate_hz), 16_000).median
}

/// How much of each channel that was said is in each that is heard: `[left in left, right in right, right in left, left in
/// right]`.
fn likeness(said: &[i16], heard: &[i16], rate_hz: u32) -> [f64; 4] {
    [(0, 0), (1, 1), (1, 0), (0, 1)].map(|(from, to)| alike(&channel(said, from), &channel(heard, to), rate_hz))
}

const ADDRESSES: [u16; 2] = [4_000, 5_000];

/// A call in virtual time, of which each side may have stereo Opus; both say the same.
fn call(
    codec: &CodecFormat,
    opus_channels: [u8; 2],
    rate_hz: u32,
    network: NetworkConfig,
    drift_ppm: f64,
) -> VirtualTime {
    let calls = [0, 1].map(|side| {
        let channels = opus_channels[side];
        let opus = OpusEncoderConfig {
            sample_rate_hz: rate_hz,
            channels,
            bitrate_bps: 32_000 * u32::from(channels),
            ..OpusEncoderConfig::default()
        };
        let config = CallConfig {
            codecs: vec![codec.clone()],
            registry: Registry::builtin().with(Opus(opus)),
            ..CallConfig::with_identity(ADDRESSES[side], Identity::seeded(side as u64 + 1))
        };
        Call::new(config).unwrap()
    });
    let addresses = ADDRESSES.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut simulation = VirtualTime::connect(calls.map(recorded), addresses, network, drift_ppm, 3).unwrap();
    for end in &mut simulation.ends {
        let said = voices(rate_hz);
        end.speech = if end.channels() == 2 { said } else { mean_of_channels(&said, 2) };
    }
    simulation.run_until(Instant::from_millis(8_000));
    simulation
}

/// Losses, jitter, and packets that overtake others or come twice.
fn bad() -> NetworkConfig {
    NetworkConfig {
        loss_percent: 5.0,
        burst: 2.0,
        jitter_ms: 30.0,
        reorder_percent: 1.0,
        duplicate_percent: 1.0,
        ..NetworkConfig::default()
    }
}

#[test]
fn a_perfect_network_gives_both_channels_bit_by_bit() {
    let simulation = call(&CodecFormat::l16(16_000, 2), [1, 1], 16_000, NetworkConfig::default(), 0.0);
    for end in &simulation.ends {
        let said = voices(16_000);
        assert_eq!((end.call.channels(), end.call.sample_rate_hz()), (Some(2), Some(16_000)));
        let begin = recorder(&end.call).heard.iter().position(|&sample| sample != 0).unwrap();
        let first = said.iter().position(|&sample| sample != 0).unwrap();
        // Back to where the first sample said is heard.
        let heard = &recorder(&end.call).heard[begin - first..];
        assert!(heard.len() > 7 * 2 * 16_000);
        assert!(heard == &said[..heard.len()]);
        // And 8 s take 8 s.
        assert_eq!(recorder(&end.call).heard.len(), recorder(&end.call).said.len() + 320);
    }
}

#[test]
fn a_bad_network_leaves_the_channels_apart() {
    for (codec, rate_hz) in
        [(CodecFormat::l16(48_000, 2), 48_000), (CodecFormat::opus(), 48_000), (CodecFormat::opus(), 16_000)]
    {
        let simulation = call(&codec, [2, 2], rate_hz, bad(), 200.0);
        let end = &simulation.ends[1];
        let stats = end.call.stats();
        let receiver = stats.receiver;
        let [left, right, right_in_left, left_in_right] =
            likeness(&voices(rate_hz), &recorder(&end.call).heard, rate_hz);
        println!("{codec} at {rate_hz} Hz: {left:.3} {right:.3}, crosstalk {right_in_left:.3} {left_in_right:.3}");
        assert_eq!(end.call.channels(), Some(2));
        assert!(receiver.concealed_samples > 0 && receiver.inserted_samples + receiver.removed_samples > 0);
        let least = if codec.is_named("opus") { 0.7 } else { 0.95 };
        assert!(left > least && right > least, "{codec} at {rate_hz} Hz: {left} {right}");
        assert!(right_in_left < 0.5 && left_in_right < 0.5, "{codec}: {right_in_left} {left_in_right}");
        // Every sample has its place, counted a channel.
        let played = (recorder(&end.call).heard.len() / 2) as u64;
        assert_eq!(receiver.played_samples, played);
        let made = receiver.decoded_samples
            + receiver.recovered_samples
            + receiver.concealed_samples
            + receiver.noise_samples
            + receiver.silence_samples
            + receiver.inserted_samples;
        assert_eq!(made - receiver.removed_samples - u64::from(receiver.queued_samples), played);
    }
}

#[test]
fn stereo_talks_with_mono() {
    let simulation = call(&CodecFormat::opus(), [2, 1], 48_000, NetworkConfig::default(), 0.0);
    let [stereo, mono] = &simulation.ends;
    assert_eq!((stereo.call.channels(), mono.call.channels()), (Some(2), Some(1)));
    let said = mean_of_channels(&voices(48_000), 2);
    assert!(alike(&said, &recorder(&mono.call).heard, 48_000) > 0.85);
    for which in [0, 1] {
        assert!(alike(&said, &channel(&recorder(&stereo.call).heard, which), 48_000) > 0.85);
    }
}

#[test]
fn another_number_of_channels_in_a_running_call() {
    let mut simulation = call(&CodecFormat::l16(16_000, 2), [1, 1], 16_000, NetworkConfig::default(), 0.0);
    let now = Instant::from_millis(8_000);
    let [a, b] = &mut simulation.ends;
    for end in [&mut *a, &mut *b] {
        end.call.set_codecs(&[CodecFormat::l16(16_000, 1)]).unwrap();
        // The sound is the codec's, and not what the simulation's devices have.
        end.call.set_sound(None).unwrap();
    }
    let offer = a.call.offer().unwrap();
    let answer = b.call.answer(now, &offer).unwrap();
    a.call.accept(now, &answer).unwrap();
    assert_eq!([a.call.channels(), b.call.channels()], [Some(1); 2]);
    // A second in mono, by hand.
    let said = mean_of_channels(&voices(16_000), 2);
    let (mut heard, mut now) = (Vec::new(), now);
    let mut devices = [&a.call, &b.call].map(Device::new);
    let from = SocketAddr::from(([127, 0, 0, 1], ADDRESSES[0]));
    for frame in said[..32_000].chunks(160) {
        let speech = |pcm: &mut [i16]| pcm.copy_from_slice(frame);
        devices[0].tick(&mut a.call, now, speech, |_, bytes| {
            b.call.receive(now, host_std::session::Channel::Rtp, from, bytes);
        });
        heard.extend(devices[1].listen(&mut b.call, now, |_, _| {}).1);
        now += dsp_core::time::Duration::from_millis(10);
    }
    let score = score(&said, &heard, 16_000);
    assert!(score.median > 0.95 && score.segments >= 3, "{score:?}");
}

fn read(path: &Path, rate_hz: u32) -> Vec<i16> {
    let source = host_std::wav::WavSource::open(path, rate_hz).unwrap();
    assert_eq!(source.spec().channels, 2, "{}", path.display());
    let source = WavFrames::open(path, rate_hz, 2).unwrap();
    source.read_all(dsp_core::time::Duration::from_secs(60)).unwrap()
}

fn run(folder: &Path, name: &str, arguments: &[&str]) -> media_core_tests::program::Ended {
    let mut command = Command::new(media_core());
    Running::start(command.current_dir(folder).args(arguments), folder, name).wait(LIMIT)
}

/// The demo in stereo; its capture, of which nobody says that it is stereo; and a coded file with losses.
#[test]
fn the_command_line_in_stereo() {
    let folder = folder("stereo");
    let said = voices(48_000);
    let mut sink = WavSink::create_with(folder.join("said.wav"), 48_000, 2).unwrap();
    sink.write(&said).unwrap();
    sink.finish().unwrap();
    let apart = |what: &str, heard: &[i16], least: f64| {
        let [left, right, right_in_left, left_in_right] = likeness(&said, heard, 48_000);
        println!("{what}: {left:.3} {right:.3}, crosstalk {right_in_left:.3} {left_in_right:.3}");
        assert!(left > least && right > least, "{what}: {left} {right}");
        assert!(right_in_left < 0.5 && left_in_right < 0.5, "{what}: {right_in_left} {left_in_right}");
    };
    for codec in ["opus", "l16"] {
        let demo =
            ["demo", "--fast", "--codec", codec, "--channels", "2", "--seconds", "8", "--no-srtp", "--out", codec];
        let demo: Vec<_> = demo.into_iter().chain(["--input", "said.wav", "--input", "said.wav"]).collect();
        run(&folder, &format!("demo-{codec}"), &demo).success();
        apart(&format!("demo, {codec}"), &read(&folder.join(codec).join("b-heard.wav"), 48_000), 0.7);

        let capture = format!("{codec}/call.pcap");
        let map = ["--payload-map", "96=l16/48000/2"];
        let replay: Vec<_> = ["replay", &capture, "--out", "replay"].into_iter().chain(map).collect();
        let replay = if codec == "l16" { &replay[..] } else { &replay[..4] };
        run(&folder, &format!("replay-{codec}"), replay).success();
        apart(&format!("replay, {codec}"), &read(&folder.join("replay/stream-1.wav"), 48_000), 0.7);
    }
    run(&folder, "encode", &["encode", "--codec", "opus", "--channels", "2", "said.wav", "said.opus"]).success();
    run(&folder, "decode", &["decode", "--codec", "opus", "--lose", "5", "said.opus", "heard.wav"]).success();
    let heard = read(&folder.join("heard.wav"), 48_000);
    apart("decode", &heard, 0.7);
    assert_eq!(heard.len(), said.len());

    let refused = run(&folder, "refused", &["demo", "--codec", "g722", "--channels", "2"]);
    assert!(!refused.status.success() && refused.stderr.contains("--channels 2: g722 is mono"), "{}", refused.stderr);
}
