//! Tones of a call's progress through codecs and lost packets, country by country; and none in hours of voices and of music on hold.

use std::net::SocketAddr;
use std::path::PathBuf;

use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::time::{Duration, Instant};
use dsp_core::tone::{COUNTRIES, Country, ProgressDetector, ProgressTone, ToneSignal};
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::session::{Call, CallConfig, CallTone, DigitPhase, Identity, SentTone};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

use crate::dtmf::{files, speech};

/// Whether a tone has no stretch that is too short to be heard.
fn can_be_heard(country: &Country, signal: ToneSignal) -> bool {
    signal.segments(country).iter().all(|segment| segment.ms == 0 || segment.ms >= 60)
}

/// What a tone is told as: the first of those that are equal, and of two that nobody can tell apart by ear.
fn told_as(country: &Country, signal: ToneSignal) -> ToneSignal {
    match (country.code, signal) {
        ("au", ToneSignal::Progress(ProgressTone::Congestion)) => ToneSignal::Progress(ProgressTone::Busy),
        ("za", ToneSignal::Progress(ProgressTone::CallWaiting)) => ToneSignal::Progress(ProgressTone::Congestion),
        _ => {
            let same = |other: &ToneSignal| other.segments(country) == signal.segments(country);
            ToneSignal::ALL.into_iter().find(same).unwrap_or(signal)
        }
    }
}

/// What one side of a call hears of a tone that the other sends for 30 s.
fn heard(codec: &CodecFormat, country: &'static Country, signal: ToneSignal, loss_percent: f64) -> Vec<CallTone> {
    let opus = OpusEncoderConfig { bitrate_bps: 16_000, ..OpusEncoderConfig::default() };
    let calls = [4_000u16, 5_000].map(|port| {
        let config = CallConfig {
            codecs: vec![codec.clone()],
            registry: Registry::builtin().with(Opus(opus)),
            progress_tones: (port == 5_000).then_some(country),
            ..CallConfig::with_identity(port, Identity::seeded(port.into()))
        };
        Call::new(config).unwrap()
    });
    let addresses = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let network = NetworkConfig { loss_percent, burst: 1.0, ..NetworkConfig::default() };
    let mut simulation = VirtualTime::connect(calls, addresses, network, 0.0, 11).unwrap();
    let tone = SentTone { duration: Some(Duration::from_secs(30)), ..SentTone::of(signal, country) };
    let mut told = Vec::new();
    simulation.run_until(Instant::from_millis(500));
    simulation.ends[0].call.send_tone(&tone).unwrap();
    for second in 1..42 {
        simulation.run_until(Instant::from_millis(500 + 1_000 * second));
        told.extend(std::iter::from_fn(|| simulation.ends[1].call.next_tone()));
    }
    told
}

/// How many tones of these countries are heard as what they are, and nothing else; and how many of those once from beginning to
/// end, of how many.
fn round_trip(codec: &CodecFormat, countries: &'static [Country], loss_percent: f64) -> ([usize; 3], Vec<String>) {
    let ([mut right, mut whole, mut all], mut wrong) = ([0; 3], Vec::new());
    for country in countries {
        // Those of faxes and modems are the same everywhere.
        let signals = ToneSignal::ALL.into_iter().filter(|signal| {
            matches!(signal, ToneSignal::Progress(_)) && can_be_heard(country, *signal) || country.code == "de"
        });
        for signal in signals.filter(|signal| can_be_heard(country, *signal)) {
            let told = heard(codec, country, signal, loss_percent);
            let is_right = !told.is_empty() && told.iter().all(|tone| tone.signal == told_as(country, signal));
            let is_whole = is_right && told.len() == 2 && told[1].phase == DigitPhase::Ended;
            (right, whole, all) = (right + usize::from(is_right), whole + usize::from(is_whole), all + 1);
            if !is_right {
                let names: Vec<_> = told.iter().map(|tone| tone.signal.name()).collect();
                wrong.push(format!("{} {}: {names:?}", country.code, signal.name()));
            }
        }
    }
    ([right, whole, all], wrong)
}

/// Every country's table through G.711, without losses and with one packet in twenty lost.
#[test]
#[ignore = "takes a minute"]
fn each_countrys_tones_through_g711() {
    println!(
        "| tones of {} countries through G.711 | heard as what they are | once, from beginning to end |",
        COUNTRIES.len()
    );
    println!("|---|---|---|");
    for loss_percent in [0.0, 5.0] {
        let ([right, whole, all], wrong) = round_trip(&CodecFormat::pcma(), &COUNTRIES, loss_percent);
        println!("| {loss_percent} % lost | {right} of {all} | {whole} of {all} |");
        assert!(wrong.is_empty(), "{loss_percent} %: {wrong:#?}");
    }
}

/// Some tables through other codecs, Opus at 16 kbit/s.
#[test]
#[ignore = "takes a minute"]
fn tones_through_codecs() {
    let codecs = [
        ("G.711", CodecFormat::pcmu()),
        ("G.722", CodecFormat::g722()),
        ("iLBC", CodecFormat::ilbc(IlbcMode::Ms20)),
        ("Opus, 16 kbit/s", CodecFormat::opus()),
    ];
    println!("| tones of six countries | lost | heard as what they are | once, from beginning to end |");
    println!("|---|---|---|---|");
    for (name, codec) in codecs {
        for loss_percent in [0.0, 5.0] {
            let (mut sums, mut all_wrong) = ([0; 3], Vec::new());
            for code in ["de", "fr", "gb", "in", "jp", "us"] {
                let at = COUNTRIES.iter().position(|country| country.code == code).unwrap();
                let (counts, wrong) = round_trip(&codec, &COUNTRIES[at..=at], loss_percent);
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
                all_wrong.extend(wrong);
            }
            println!("| {name} | {loss_percent} % | {} of {} | {} of {} |", sums[0], sums[2], sums[1], sums[2]);
            all_wrong.iter().for_each(|wrong| println!("    {wrong}"));
            assert!(loss_percent > 0.0 || all_wrong.is_empty(), "{name}: {all_wrong:#?}");
        }
    }
}

/// One country's table through a call, quickly.
#[test]
fn one_countrys_tones_through_a_call() {
    let at = COUNTRIES.iter().position(|country| country.code == "us").unwrap();
    let ([right, _, all], wrong) = round_trip(&CodecFormat::pcmu(), &COUNTRIES[at..=at], 5.0);
    assert!(right == all && all >= 4, "{wrong:?}");
}

/// Asterisk's voices in all languages of Debian's packages, its music on hold and the shared data: no tone of any country in them, at
/// three levels. `MEDIA_CORE_SOUNDS` is where the packages were unpacked.
#[test]
#[ignore = "takes minutes, and needs the packages"]
fn no_speech_and_no_music_is_a_tone() {
    let sounds = std::env::var_os("MEDIA_CORE_SOUNDS").map(PathBuf::from);
    let folders = [sounds, media_core_tests::shared("data")];
    let mut paths = Vec::new();
    folders.iter().flatten().for_each(|folder| files(folder, &mut paths));
    assert!(!paths.is_empty(), "no speech: MEDIA_CORE_SOUNDS is where it is");
    let (mut samples, mut music, mut counts, mut all) = (0, 0, [0; 3], Vec::new());
    for path in &paths {
        let Some(pcm) = speech(path, 8_000) else { continue };
        samples += pcm.len();
        music += if path.components().any(|part| part.as_os_str() == "moh") { pcm.len() } else { 0 };
        for (count, divisor) in counts.iter_mut().zip([1.0, 3.162, 10.0]) {
            let pcm: Vec<i16> = pcm.iter().map(|&sample| (f64::from(sample) / divisor) as i16).collect();
            for country in &COUNTRIES {
                let mut detector = ProgressDetector::new(8_000, country).unwrap();
                detector.hear(&pcm, |tone| {
                    if !tone.ended {
                        *count += 1;
                        let (code, name) = (country.code, tone.signal.name());
                        all.push(format!("{} 1/{divisor} {code} {name} {:?}", path.display(), tone.start));
                    }
                });
            }
        }
    }
    let hours = |samples: usize| samples as f64 / 8_000.0 / 3_600.0;
    println!("| hours of sound | of them music on hold | countries | 0 dB | -10 dB | -20 dB |");
    println!("|---|---|---|---|---|---|");
    println!(
        "| {:.2} | {:.2} | {} | {} | {} | {} |",
        hours(samples),
        hours(music),
        COUNTRIES.len(),
        counts[0],
        counts[1],
        counts[2]
    );
    assert!(all.is_empty(), "{} false tones, of which the first are {:#?}", all.len(), &all[..all.len().min(60)]);
}
