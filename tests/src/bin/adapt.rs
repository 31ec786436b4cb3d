//! A call through a narrow link in virtual time: what it sends follows the network, or is fixed. `quality/adapt.py` scores it.
//!
//! ```text
//! adapt IN.wav OUT.wav set=packets link=48000 queue=200 loss=5 bulk=0 seconds=60 seed=1
//! ```
//!
//! IN is mono at 16 kHz and is said by both sides again and again; OUT is what the second side heard of the first. `set` is
//! `packets` (adapts by feedback on packets), `reports` (by reports alone), or fixed: bit rate in bit/s, packet length in ms and
//! expected loss in percent, as `24000/20/10`. `link` is in bit/s with IP headers and `queue` in ms, `loss` in percent behind it;
//! with `bulk=1` a bulk transfer shares the link from second 5 on. `codec` is opus (the default), pcmu or g722; `copies` payloads at
//! most are repeated in a packet (RFC 2198), and `dred` is the reach of Opus' Deep Redundancy in ms, in place of FEC. `trace=1`
//! tells on stderr whenever what is chosen changes, and twice a second what the other side hears. Prints figures of the time
//! after second 10 as JSON, and when the call would have been given up (RFC 8083), if it would.

use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;

use dsp_core::codec::Adaptation;
use dsp_core::time::{Duration, Instant};
use host_std::monitoring::Interval;
use host_std::opus::OpusEncoderConfig;
use host_std::record::call::CallRecorder;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::{FeedbackOptions, SrtpPolicy};
use host_std::session::{AdaptationConfig, AdaptationStats, Call, CallConfig, Identity};
use host_std::simulate::bottleneck::{BottleneckConfig, BulkConfig};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavFrames;

const PORTS: [u16; 2] = [4_000, 5_000];
/// From when on it counts, in s.
const SETTLED_S: u64 = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output, settings @ ..] = &arguments[..] else {
        return Err("usage: adapt IN.wav OUT.wav [name=value ...]".into());
    };
    let settings: HashMap<&str, &str> = settings.iter().filter_map(|setting| setting.split_once('=')).collect();
    let number = |name: &str, default: f64| settings.get(name).map_or(Ok(default), |text| text.parse::<f64>());
    let set = *settings.get("set").unwrap_or(&"packets");
    let (copies, dred_ms) = (number("copies", 0.0)? as u8, number("dred", 0.0)? as u16);
    let (adaptation, fixed) = match set {
        "packets" | "reports" => (Some(AdaptationConfig::with_copies(copies)), None),
        _ => (None, Some(fixed(set)?)),
    };
    let codec = match *settings.get("codec").unwrap_or(&"opus") {
        "opus" => CodecFormat::opus(),
        "pcmu" => CodecFormat::pcmu(),
        "g722" => CodecFormat::g722(),
        other => return Err(format!("codec={other}: opus, pcmu or g722").into()),
    };
    let network = NetworkConfig { loss_percent: number("loss", 0.0)?, delay_ms: 20.0, ..NetworkConfig::default() };
    let bulk = BulkConfig { from_ms: 5_000.0, until_ms: 1e9, round_trip_ms: 47.0 };
    let link = BottleneckConfig {
        rate_bps: number("link", 48_000.0)?,
        queue_ms: number("queue", 200.0)?,
        bulk: (number("bulk", 0.0)? > 0.0).then_some(bulk),
    };
    let seconds = number("seconds", 60.0)? as u64;

    let sends = Sends { codec, adaptation, by_packets: set == "packets", copies, dred_ms };
    let calls = [call(PORTS[0], &sends)?, call(PORTS[1], &sends)?];
    let addresses = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut both = VirtualTime::connect(calls, addresses, network, 0.0, number("seed", 1.0)? as u64)?;
    both.set_bottlenecks(link);
    for end in &mut both.ends {
        end.speech = WavFrames::open(input, end.sample_rate_hz(), 1)?.read_all(Duration::from_secs(600))?;
        if let Some(fixed) = fixed.as_ref().filter(|_| sends.codec == CodecFormat::opus()) {
            end.call.adapt(fixed)?;
        }
    }
    let file = hound::WavSpec {
        channels: 1,
        sample_rate: both.ends[1].sample_rate_hz(),
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    both.ends[1].call.set_tap(Box::new(CallRecorder::default()));
    let is_traced = number("trace", 0.0)? > 0.0;
    let (mut waits_ms, mut given_up, mut chosen) = (Vec::new(), None, None);
    let mut before = [both.ends[0].call.stats(), both.ends[1].call.stats()];
    let mut heard_before = before[1];
    for ms in (0..seconds * 1_000).step_by(100) {
        let now = Instant::from_millis(ms);
        both.run_until(now);
        if ms == SETTLED_S * 1_000 {
            before = [both.ends[0].call.stats(), both.ends[1].call.stats()];
            waits_ms.clear();
        }
        let ending = both.ends[0].call.should_end(now);
        given_up = given_up.or(ending.map(|ending| format!("{:.1} s: {ending:?}", ms as f64 / 1e3)));
        if is_traced {
            let adaptation = both.ends[0].call.stats().adaptation;
            if adaptation != chosen {
                eprintln!("{:.1} s: {adaptation:?}", ms as f64 / 1e3);
                chosen = adaptation;
            }
            if ms % 500 == 0 {
                let heard = both.ends[1].call.stats();
                let interval = Interval::between(&heard_before, &heard);
                eprintln!(
                    "{:.1} s: heard: concealed {:.1?} % playout {:?} queue {:.0} {:?}",
                    ms as f64 / 1e3,
                    interval.concealed_percent(),
                    interval.playout_delay_ms,
                    waits_ms.last().unwrap_or(&0.0),
                    heard.delay_choice
                );
                heard_before = heard;
            }
        }
        waits_ms.push(both.network(0).bottleneck().map_or(0.0, |link| link.waiting(now).as_micros() as f64 / 1e3));
    }
    let after = [both.ends[0].call.stats(), both.ends[1].call.stats()];
    let mut heard = hound::WavWriter::create(output, file)?;
    for sample in both.ends[1].call.take_tap::<CallRecorder>().ok_or("no sound")?.heard {
        heard.write_sample(sample)?;
    }
    heard.finalize()?;
    let counted = (seconds - SETTLED_S) as f64;
    let sent = f64::from(after[0].sender.packets - before[0].sender.packets);
    let octets = f64::from(after[0].sender.octets - before[0].sender.octets);
    let interval = Interval::between(&before[1], &after[1]);
    println!(
        "{}",
        serde_json::json!({
            "payload_bps": octets * 8.0 / counted,
            "packets_a_second": sent / counted,
            "lost_percent": interval.lost_percent(),
            "concealed_percent": interval.concealed_percent(),
            "playout_ms": interval.playout_delay_ms,
            "queue_ms": waits_ms.iter().sum::<f64>() / waits_ms.len().max(1) as f64,
            "given_up": given_up,
            "changes": after[0].adaptation.map(|adaptation| adaptation.changes),
            "chosen": after[0].adaptation.map(|AdaptationStats { taken, copies, .. }| serde_json::json!({
                "bit_rate_bps": taken.bit_rate_bps,
                "packet_ms": taken.packet_ms,
                "expected_loss_percent": taken.expected_loss_percent,
                "copies": copies,
            })),
        })
    );
    Ok(())
}

fn fixed(text: &str) -> Result<Adaptation, Box<dyn Error>> {
    let numbers = text.split('/').map(str::parse).collect::<Result<Vec<u32>, _>>()?;
    let [bps, packet_ms, loss] = numbers[..] else {
        return Err(format!("set={text}: packets, reports or bit/s, ms and percent").into());
    };
    Ok(Adaptation::default().with_bit_rate(bps).with_packet_ms(packet_ms).with_expected_loss(u8::try_from(loss)?))
}

/// What both sides of a call send.
struct Sends {
    codec: CodecFormat,
    adaptation: Option<AdaptationConfig>,
    by_packets: bool,
    copies: u8,
    dred_ms: u16,
}

fn call(port: u16, sends: &Sends) -> Result<Call, Box<dyn Error>> {
    let &Sends { adaptation, by_packets, copies, dred_ms, .. } = sends;
    let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
    let feedback = FeedbackOptions { profile: by_packets, ..FeedbackOptions::default() };
    let usual = OpusEncoderConfig::default();
    let opus = OpusEncoderConfig {
        sample_rate_hz: 16_000,
        expected_loss_percent: 0,
        // They share the bits, and FEC takes its part first.
        fec: usual.fec && dred_ms == 0,
        dred_ms,
        ..usual
    };
    let registry = Registry::builtin().with(Opus(opus));
    let (codecs, srtp) = (vec![sends.codec.clone()], SrtpPolicy::Off);
    let (circuit_breaker, redundancy, redundancy_on_loss) = (true, copies, copies > 0);
    let config = CallConfig { codecs, registry, srtp, adaptation, circuit_breaker, feedback, ..base };
    Ok(Call::new(CallConfig { redundancy, redundancy_on_loss, ..config })?)
}
