//! What is kept of a call of two, recorded or forked to a second destination, and what is announced in it.

use std::sync::{Arc, Mutex};

use dsp_core::receive::Played;
use dsp_core::time::Instant;
use host_std::opus_file::OpusFile;
use host_std::player::{Blend, Player};
use host_std::record::call::CallRecorder;
use host_std::record::fork::{Forked, Party, fork};
use host_std::record::recorder::{Layout, RecorderConfig, record_call};
use host_std::record::rtp_fork::{RtpFork, RtpForkConfig};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity, Tap};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::{WavFrames, WavSource};
use media_core_tests::program::{folder, installed, media_core};

use super::conference::{call, likeness, murmur};

/// A call of G.722 in virtual time; the second side's clock is 200 ppm fast.
fn two(network: NetworkConfig) -> VirtualTime {
    let calls = [call(&CodecFormat::g722(), 4_000, 1), call(&CodecFormat::g722(), 5_000, 2)];
    let addresses = [4_000, 5_000].map(|port| std::net::SocketAddr::from(([127, 0, 0, 1], port)));
    let mut two = VirtualTime::connect(calls, addresses, network, 200.0, 3).unwrap();
    two.ends[0].speech = murmur(0, 16_000, 20);
    two.ends[1].speech = murmur(1, 16_000, 20);
    two
}

/// By how many ms `sound` comes after `other`, both at 16 kHz, within 300 ms.
fn delay_ms(other: &[i16], sound: &[i16]) -> f64 {
    let product = |lag: usize| -> f64 {
        let pairs = sound[lag..].iter().zip(other).step_by(3);
        pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
    };
    let best = (0..4_800).max_by(|&a, &b| product(a).total_cmp(&product(b))).unwrap();
    best as f64 / 16.0
}

/// One channel of two.
fn pcm_of(pcm: &[i16], channel: usize) -> Vec<i16> {
    pcm.iter().skip(channel).step_by(2).copied().collect()
}

/// All that a call plays.
struct Heard(Arc<Mutex<Vec<i16>>>);

impl Tap for Heard {
    fn played(&mut self, _: Instant, _: usize, _: &Played, pcm: &[i16]) {
        self.0.lock().unwrap().extend_from_slice(pcm);
    }
}

/// By how many ms `recorded` lies apart from where `heard` has it, which begins 30 ms before; of the same samples.
fn apart_ms(heard: &[i16], recorded: &[i16]) -> f64 {
    let differ = |at: usize| heard[at..].iter().zip(recorded).filter(|(a, b)| a != b).count();
    let best = (0..960).min_by_key(|&at| differ(at)).unwrap();
    assert!(differ(best) < recorded.len() / 100, "another sound");
    (best as f64 - 480.0) / 16.0
}

/// Runs a call for so long with a recording, and tells by how much each party's sound in the file lies behind what was said,
/// at its beginning and at its end.
fn recorded_delays(seconds: u64) -> [[f64; 2]; 2] {
    let path = std::env::temp_dir().join(format!("media-core-{}-call-{seconds}.wav", std::process::id()));
    let mut two = two(NetworkConfig { loss_percent: 1.0, jitter_ms: 5.0, ..NetworkConfig::default() });
    let heard = Arc::new(Mutex::new(Vec::new()));
    two.ends[0].call.add_tap(Box::new(Heard(heard.clone())));
    two.run_until(Instant::from_millis(500));
    let config = RecorderConfig { layout: Layout::Channels, ..RecorderConfig::new(&path) };
    let recorder = record_call(&mut two.ends[0].call, Instant::from_millis(500), config).unwrap();
    for second in 1..=seconds {
        two.run_until(Instant::from_millis(500 + 1_000 * second));
        // A call in virtual time is faster than any disk.
        while recorder.status().frames + 32_000 < 16_000 * second {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    }
    let status = recorder.stop().unwrap();
    assert_eq!((status.refused_samples, status.late_samples), (0, 0));
    assert!(status.frames.abs_diff(16_000 * seconds) <= 320, "{status:?}");
    let mut file = WavFrames::open(&path, 16_000, 2).unwrap();
    let mut delays = [[0.0; 2]; 2];
    let mut at = 0u64;
    // Four seconds at the beginning and at the end, beside what was said then by the first side's clock.
    for (end, begin) in [0, 16_000 * (seconds - 5)].into_iter().enumerate() {
        let mut skipped = vec![0; 2 * (begin - at) as usize];
        file.read(&mut skipped).unwrap();
        let mut pcm = vec![0; 2 * 64_000];
        file.read(&mut pcm).unwrap();
        at = begin + 64_000;
        for (party, delay) in delays[end].iter_mut().enumerate() {
            let recorded = pcm_of(&pcm, party);
            if party == 1 {
                let played = heard.lock().unwrap();
                let apart =
                    apart_ms(&played[8_000 + begin as usize + 16_000 - 480..], &pcm_of(&pcm, 1)[16_000..48_000]);
                println!("the far side lies {apart} ms from where it was heard");
                assert!(apart.abs() <= 20.0);
            }
            // 200 ppm, of the side that is recorded from afar.
            let ahead = if party == 1 { (begin as f64 * 200e-6) as usize } else { 0 };
            let speech = &two.ends[party].speech;
            let first = 8_000 + begin as usize + ahead;
            let said: Vec<i16> = (0..64_000).map(|n| speech[(first + n) % speech.len()]).collect();
            *delay = delay_ms(&said, &recorded);
        }
    }
    std::fs::remove_file(path).unwrap();
    delays
}

#[test]
fn a_call_is_recorded_with_both_parties_side_by_side() {
    let [begin, end] = recorded_delays(12);
    println!("behind what was said, in ms: {begin:?} at the beginning, {end:?} at the end");
    assert!(begin[0] <= 20.0 && end[0] <= 20.0, "our own voice isn't late");
    assert!(begin[1] < 200.0 && (end[1] - begin[1]).abs() < 60.0, "the other is as late as he was heard");
}

#[test]
#[ignore = "a minute: an hour in virtual time"]
fn an_hour_of_clocks_that_differ_stays_side_by_side() {
    let [begin, end] = recorded_delays(3_600);
    println!("behind what was said, in ms: {begin:?} at the beginning, {end:?} at the end");
    assert!(begin[0] <= 20.0 && end[0] <= 20.0);
    // What is heard late by the jitter buffer is late in the recording.
    assert!((end[1] - begin[1]).abs() < 60.0);
}

#[test]
fn a_fork_is_a_second_destination() {
    let mut two = two(NetworkConfig::default());
    let (tap, mut reader) = fork(Forked::Both, 64_000);
    two.ends[0].call.add_tap(Box::new(tap));
    // A fork that nobody reads, beside it.
    let (tap, unread) = fork(Forked::Sources, 16_000);
    two.ends[0].call.add_tap(Box::new(tap));
    // The second destination: a call of its own, which sends what the first one hears.
    let mut sends = call(&CodecFormat::pcmu(), 6_000, 5);
    let mut hears = call(&CodecFormat::pcmu(), 7_000, 6);
    let offer = sends.offer().unwrap();
    let answer = hears.answer(Instant::ZERO, &offer).unwrap();
    sends.accept(Instant::ZERO, &answer).unwrap();
    for call in [&mut sends, &mut hears] {
        call.set_sound(Some((16_000, 1))).unwrap();
    }
    let from = std::net::SocketAddr::from(([127, 0, 0, 1], 6_000));
    let (mut second, mut first) = (Vec::new(), Vec::new());
    let mut near = 0;
    for tick in 1..=800u64 {
        let now = Instant::from_millis(10 * tick);
        two.run_until(now);
        let mut pcm = Vec::new();
        while let Some(piece) = reader.read(&mut pcm) {
            match piece.party {
                Party::Far => {
                    sends.capture(piece.at, &pcm);
                    first.extend_from_slice(&pcm);
                }
                _ => near += piece.samples,
            }
            pcm.clear();
        }
        let mut datagram = [0; 2_000];
        while let Some(sent) = sends.transmit(now, &mut datagram) {
            hears.receive(now, sent.channel, from, &mut datagram[..sent.len]);
        }
        let mut heard = [0; 160];
        hears.play(now, &mut heard);
        second.extend_from_slice(&heard);
    }
    assert_eq!(reader.dropped(), 0);
    assert!(near >= 16_000 * 7, "{near}");
    assert!(unread.dropped() > 100, "who doesn't read loses, and nobody waits");
    let like = likeness(&first[32_000..], 16_000, &second[32_000..], 16_000);
    assert!(like > 0.8, "{like}");
}

/// The second destination over RTP, as our own receiver hears it by the description that was written.
#[test]
fn a_fork_over_rtp_is_received_by_ourselves() {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let to = socket.local_addr().unwrap();
    let mut two = two(NetworkConfig::default());
    let (tap, reader) = fork(Forked::Both, 64_000);
    let parties = vec![Party::Far];
    let config = RtpForkConfig { to, sample_rate_hz: 16_000, channels: 1, parties, begin: Instant::ZERO };
    let forked = RtpFork::start(reader, &config).unwrap();
    two.ends[0].call.set_tap(Box::new(CallRecorder::with_arrivals()));
    two.ends[0].call.add_tap(Box::new(tap));
    let mut hears = Call::new(CallConfig {
        codecs: vec![CodecFormat::l16(16_000, 1)],
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(to.port(), Identity::seeded(9))
    })
    .unwrap();
    let answer = hears.answer(Instant::ZERO, forked.sdp()).unwrap();
    assert!(answer.contains("a=recvonly"), "{answer}");
    let mut second = Vec::new();
    let begin = std::time::Instant::now();
    for tick in 1..=300u64 {
        let now = Instant::from_millis(10 * tick);
        two.run_until(now);
        // Its thread sends in real time what virtual time has made.
        let mut datagram = [0; 2_000];
        while forked.status().packets < (tick / 2).saturating_sub(4) {
            assert!(begin.elapsed().as_secs() < 10, "{:?}", forked.status());
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        while let Ok((bytes, from)) = socket.recv_from(&mut datagram) {
            hears.receive(now, Channel::Rtp, from, &mut datagram[..bytes]);
        }
        let mut heard = [0; 160];
        hears.play(now, &mut heard);
        second.extend_from_slice(&heard);
    }
    let status = forked.stop();
    assert_eq!((status.dropped_pieces, status.refused_packets), (0, 0));
    let first = two.ends[0].call.take_tap::<CallRecorder>().unwrap().heard;
    let like = likeness(&first[16_000..], 16_000, &second[16_000..], 16_000);
    assert!(like > 0.9, "{like}");
}

#[cfg(unix)]
#[test]
fn a_killed_call_leaves_what_was_recorded() {
    let dir = folder("killed-recording");
    let files = [dir.join("call.wav"), dir.join("call.opus")];
    let mut calls: Vec<_> = files
        .iter()
        .map(|file| {
            let mut call = std::process::Command::new(media_core());
            call.args(["demo", "--seconds", "60", "--record"]).arg(file).arg("--out").arg(dir.join("out"));
            call.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let begin = std::time::Instant::now();
    let seconds = || -> [f64; 2] {
        let wav = WavSource::open(&files[0], 8_000).map_or(0.0, |file| file.len() as f64 / 8_000.0);
        let opus = std::fs::File::open(&files[1]).ok().and_then(|file| OpusFile::read(file).ok());
        [wav, opus.map_or(0.0, |file| file.ticks as f64 / 48_000.0)]
    };
    // The calls begin within a second or so, and both files grow with them.
    while seconds().into_iter().any(|seconds| seconds < 2.0) {
        assert!(begin.elapsed().as_secs() < 30, "{:?}", seconds());
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    for call in &mut calls {
        // SIGKILL.
        call.kill().unwrap();
        call.wait().unwrap();
    }
    let left = seconds();
    println!("seconds that are left: {left:?}");
    assert!(left.into_iter().all(|seconds| (2.0..20.0).contains(&seconds)));
    for (file, left) in files.iter().zip(left).filter(|_| installed("ffmpeg", "ffmpeg")) {
        let mut ffmpeg = std::process::Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(file).args(["-f", "s16le", "-ac", "1", "-ar", "8000", "-"]);
        let played = ffmpeg.output().unwrap();
        let seconds = played.stdout.len() as f64 / 16_000.0;
        assert!(played.status.success() && (seconds - left).abs() < 0.1, "{file:?}: {seconds} of {left} s");
    }
    std::fs::remove_dir_all(dir).unwrap();
}

#[test]
fn an_announcement_is_heard_by_the_other_side() {
    let mut two = two(NetworkConfig::default());
    two.ends[0].speech.clear();
    let notice = murmur(5, 16_000, 3);
    two.ends[1].call.set_tap(Box::new(CallRecorder::default()));
    for end_ms in [1_000, 5_000, 8_000] {
        two.run_until(Instant::from_millis(end_ms));
        if end_ms == 1_000 {
            two.ends[0].call.announce(Player::of_samples(notice.clone(), 1, false), Blend::Mixed);
        }
    }
    let heard = two.ends[1].call.take_tap::<CallRecorder>().unwrap().heard;
    let like = likeness(&notice, 16_000, &heard[16_000..], 16_000);
    assert!(like > 0.7, "{like}");
    assert!(!two.ends[0].call.end_announcement(), "it ended by itself");
}
