//! The report of a made-up call: what is in the JSON, that the page stays small however long the call, and the
//! summary. The pages are left in the target folder's `tmp/report-*` for whoever wants to look at them.

use std::fs;
use std::path::PathBuf;

use dsp_core::process::metering::SoundMeter;
use host_std::probe::SoundFigures;
use host_std::report::{
    CallSoundFigures, DelayRow, FindingRow, MinMeanMax, PacketOutcome, PacketRow, PlayCause, PlayRow, Report,
    SideReport, Statistics,
};

const RATE_HZ: u32 = 16_000;
const PACKET_MS: f64 = 20.0;

/// Knuth's 64-bit congruential generator: repeatable noise is all this needs.
struct Random(u64);

impl Random {
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn speech(wav: &[u8], seconds: usize) -> Vec<i16> {
    let reader = hound::WavReader::new(wav).unwrap();
    let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
    samples.into_iter().cycle().take(seconds * RATE_HZ as usize).collect()
}

/// A side that hears `said` through losses in bursts and a delay that grows in the middle of the call.
fn side(name: &str, peer: &str, said: Vec<i16>, loss: f64, seed: u64) -> SideReport {
    let mut random = Random(seed);
    let frame = (f64::from(RATE_HZ) * PACKET_MS / 1e3) as usize;
    let total_ms = said.len() as f64 * 1e3 / f64::from(RATE_HZ);
    let mut heard = vec![0; said.len()];
    let (mut packets, mut play, mut delays) = (Vec::new(), Vec::new(), Vec::new());
    let (mut losing, mut playout_ms, mut target_ms) = (false, 70.0f64, 70.0f64);
    let mut s = Statistics::default();
    for (n, samples) in said.chunks(frame).enumerate() {
        let media_ms = n as f64 * PACKET_MS;
        losing = random.unit() < if losing { 0.5 } else { loss / 2.0 / (1.0 - loss) };
        let crowded = (0.42..0.6).contains(&(media_ms / total_ms));
        let spread = if crowded { 45.0 } else { 14.0 };
        let network_ms = 32.0 - spread * (1.0 - random.unit()).ln() * 0.5 + if crowded { 18.0 } else { 0.0 };
        let wanted = if crowded { 128.0 } else { 76.0 };
        target_ms += (wanted - target_ms) * 0.02;
        let late = !losing && network_ms > playout_ms;
        let fate = match () {
            () if losing => PacketOutcome::LostInNetwork,
            () if late => PacketOutcome::Late,
            () => PacketOutcome::Played,
        };
        packets.push(PacketRow {
            seq: 65_400 + n as u64,
            media_ms,
            arrival_ms: (!losing).then_some(media_ms + network_ms),
            fate,
        });
        let at_ms = media_ms + playout_ms;
        let mut mark = |cause| play.push(PlayRow { at_ms, duration_ms: PACKET_MS, cause });
        let gain = if fate == PacketOutcome::Played { 1.0 } else { 0.5 };
        if fate != PacketOutcome::Played {
            let recovered = random.unit() < 0.25;
            mark(if recovered { PlayCause::Recovered } else { PlayCause::Concealed });
            *(if recovered { &mut s.recovered_ms } else { &mut s.concealed_ms }) += PACKET_MS;
            s.concealment_events += u64::from(!recovered);
        } else if target_ms - playout_ms > 8.0 {
            mark(PlayCause::Decelerated);
            playout_ms += 5.0;
            s.stretched_in_ms += 5.0;
        } else if playout_ms - target_ms > 8.0 {
            mark(PlayCause::Accelerated);
            playout_ms -= 5.0;
            s.stretched_out_ms += 5.0;
        }
        delays.push(DelayRow { at_ms: media_ms, target_ms, playout_ms });
        let at = (at_ms / 1e3 * f64::from(RATE_HZ)) as usize;
        for (to, from) in heard.iter_mut().skip(at).zip(samples) {
            *to = (f64::from(*from) * gain) as i16;
        }
    }
    let count = |fate| packets.iter().filter(|packet| packet.fate == fate).count() as u64;
    s.packets_sent = packets.len() as u64;
    s.packets_lost = count(PacketOutcome::LostInNetwork);
    s.packets_late = count(PacketOutcome::Late);
    s.packets_received = s.packets_sent - s.packets_lost;
    s.packets_reordered = 7;
    s.playout_delay_ms = MinMeanMax::of(delays.iter().map(|row| row.playout_ms));
    s.network_delay_ms = MinMeanMax::of(packets.iter().filter_map(|row| Some(row.arrival_ms? - row.media_ms)));
    s.buffer_delay_ms = Some(41.3);
    s.jitter_ms = 11.62;
    s.rtt_ms = Some(88.2);
    s.remote_fraction_lost = Some(13.0 / 256.0);
    s.said_level_dbov = Some(-26.0);
    s.heard_level_dbov = Some(-26.3);
    s.payload_bitrate_bps = Some(24_310.0);
    s.memory_bytes = Some(61_804);
    s.allocations = Some(0);
    SideReport {
        name: name.into(),
        peer: peer.into(),
        codec: "opus/48000, 20 ms".into(),
        sample_rate_hz: RATE_HZ,
        channels: 1,
        said,
        heard,
        wav_file: format!("{name}-heard.wav"),
        packet_ms: PACKET_MS,
        begins_us: None,
        delays_relative: false,
        statistics: s,
        packets,
        play,
        delays,
        digits: Vec::new(),
        tones: Vec::new(),
        echo: None,
        echo_per_second: Vec::new(),
        sound: None,
        findings: Vec::new(),
    }
}

fn call(seconds: usize, loss: f64) -> Report {
    let woman = speech(include_bytes!("../../../host-std/assets/woman.wav"), seconds);
    let man = speech(include_bytes!("../../../host-std/assets/man.wav"), seconds);
    Report {
        title: format!("A made-up call: Opus, {:.0} % loss, 30 ms jitter", loss * 100.0),
        settings: [
            ("codec", "opus"),
            ("loss", "5 %"),
            ("burst", "2"),
            ("jitter", "30 ms"),
            ("srtp", "AES_CM_128_HMAC_SHA1_80"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into(),
        seed: Some(1),
        duration_s: seconds as f64,
        sides: vec![side("a", "b", man, loss, 1), side("b", "a", woman, loss, 2)],
        kept: Default::default(),
    }
}

/// Writes the report where a person can look at it, and returns the folder.
fn write(report: &Report, name: &str) -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&dir).unwrap();
    report.write(&dir).unwrap();
    for side in &report.sides {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: side.sample_rate_hz,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut wav = hound::WavWriter::create(dir.join(&side.wav_file), spec).unwrap();
        side.heard.iter().for_each(|&sample| wav.write_sample(sample).unwrap());
        wav.finalize().unwrap();
    }
    dir
}

#[test]
fn json_holds_rows_and_no_samples() {
    let report = call(20, 0.05);
    let dir = write(&report, "report-20s");
    let text = fs::read_to_string(dir.join("report.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let side = &json["sides"][0];
    assert_eq!(side["packets"].as_array().unwrap().len(), 1_000);
    assert_eq!(side["packets"][0]["seq"], 65_400);
    assert_eq!(side["statistics"]["packets_sent"], 1_000);
    assert_eq!(side["statistics"]["playout_delay_ms"]["min"], report.sides[0].statistics.playout_delay_ms.unwrap().min);
    assert!(side.get("heard").is_none() && side.get("said").is_none());
    let lost = side["packets"].as_array().unwrap().iter().filter(|row| row["fate"] == "lost_in_network");
    assert_eq!(lost.count() as u64, report.sides[0].statistics.packets_lost);
    // A row is a line, for grep and for a person's eye.
    let rows = text.lines().filter(|line| line.trim_start().starts_with("{\"seq\":"));
    assert_eq!(rows.count(), 2_000);
}

#[test]
fn page_stays_small() {
    let short = call(20, 0.05).to_html();
    let sound = 2 * 20 * RATE_HZ as usize * 2 * 4 / 3;
    assert!(short.len() - sound < 700_000, "{} bytes beside the sound", short.len() - sound);
    let report = call(600, 0.2);
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("report-600s");
    fs::create_dir_all(&dir).unwrap();
    report.write(&dir).unwrap();
    let json_bytes = fs::metadata(dir.join("report.json")).unwrap().len();
    assert!(json_bytes < 12_000_000, "{json_bytes} bytes");
    let long = report.to_html();
    assert!(!long.contains("data:audio"), "ten minutes are linked, not embedded");
    assert!(long.len() < 1_500_000, "{} bytes", long.len());
    println!(
        "page of 20 s: {} bytes and {sound} of sound; of 600 s: {} bytes, JSON {json_bytes}",
        short.len() - sound,
        long.len()
    );
}

#[test]
fn summary_fits_a_terminal() {
    let text = call(20, 0.05).to_string();
    println!("{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("lost + late"));
}

#[test]
fn the_sound_of_a_side_is_told_in_sentences_and_figures() {
    let mut report = call(6, 0.0);
    let mut meter = SoundMeter::new(RATE_HZ).unwrap();
    meter.hear(&report.sides[0].heard);
    let microphone = Some(SoundFigures::from(&meter.read()));
    let silence = SoundFigures::default();
    report.sides[0].sound = Some(CallSoundFigures { microphone, sent: silence, received: silence });
    report.sides[1].sound = Some(CallSoundFigures { microphone: None, sent: silence, received: silence });
    let words = "The <microphone> clipped in 3.0 % of its 10 ms blocks, from 00:12 to 00:19".to_owned();
    report.sides[0].findings =
        vec![FindingRow { what: "microphone_clipped", share: 0.03, from_ms: 12_000, until_ms: 19_000, words }];
    let page = report.to_html();
    assert!(
        page.contains("<li>The &lt;microphone&gt; clipped in 3.0 % of its 10 ms blocks, from 00:12 to 00:19.</li>")
    );
    assert_eq!(page.matches("Nothing is wrong: no clipping, no howling, sound both ways.").count(), 1);
    assert_eq!(
        (page.matches("<tr><th>Microphone</th>").count(), page.matches("<tr><th>Received</th>").count()),
        (1, 2)
    );
    assert!(page.contains("<td>silence</td>") && !page.contains("NaN"));
    assert!(report.to_string().contains("  a: The <microphone> clipped in 3.0 %"), "{report}");
    let json: serde_json::Value = serde_json::from_str(&report.to_json()).unwrap();
    let row = &json["sides"][0]["findings"][0];
    assert_eq!(
        (&row["what"], &row["from_ms"], &row["share"]),
        (&"microphone_clipped".into(), &12_000.into(), &0.03.into())
    );
    assert!(json["sides"][0]["sound"]["microphone"]["active_level_dbov"].is_number());
    assert!(json["sides"][1]["sound"]["microphone"].is_null() && json["sides"][1]["findings"].is_null());
}
