//! What a running call sends, made to follow the network: bit rate, expected loss and packet length of real speech, as the
//! wire and the other side have them.

use std::net::SocketAddr;

use dsp_core::codec::Adaptation;
use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::rtp::RtpPacket;
use host_std::opus::OpusEncoderConfig;
use host_std::registry::{CodecFormat, Opus, Registry};
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallError, Identity, PacketDirection, Tap};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;
use host_std::wav::WavFrames;
use media_core_tests::score::score;

const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
const PORTS: [u16; 2] = [4_000, 5_000];

fn speech(rate_hz: u32) -> Vec<i16> {
    WavFrames::from_bytes("speech", WOMAN, rate_hz, 1).unwrap().read_all(Duration::from_secs(60)).unwrap()
}

fn call(port: u16, codec: CodecFormat, opus: OpusEncoderConfig) -> Call {
    let identity = Identity::seeded(port.into());
    Call::new(CallConfig {
        codecs: vec![codec],
        registry: Registry::builtin().with(Opus(opus)),
        srtp: SrtpPolicy::Off,
        ..CallConfig::with_identity(port, identity)
    })
    .unwrap()
}

/// Wideband mono at 32 kbit/s, FEC ready for nothing.
const OPUS: OpusEncoderConfig = OpusEncoderConfig {
    sample_rate_hz: 16_000,
    channels: 1,
    application: host_std::opus::OpusApplication::Voip,
    bitrate_bps: 32_000,
    rate_control: host_std::opus::OpusRateControl::ConstrainedVbr,
    complexity: 5,
    max_bandwidth: host_std::opus::OpusBandwidth::Full,
    bandwidth: None,
    coded_channels: None,
    signal: host_std::opus::OpusSignal::Voice,
    fec: true,
    expected_loss_percent: 0,
    dtx: false,
    dred_ms: 0,
};

/// A packet that left, and one tick that was played.
#[derive(Default)]
struct Seen {
    /// Sequence number, timestamp, marker and bytes of payload.
    sent: Vec<(u16, u32, bool, usize)>,
    heard: Vec<i16>,
}

impl Tap for Seen {
    fn packet(&mut self, _: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        if way == PacketDirection::Out {
            self.sent.push((packet.seq().0, packet.timestamp().0, packet.marker(), packet.payload().len()));
        }
    }
    fn played(&mut self, _: Instant, _: usize, _: &dsp_core::receive::Played, pcm: &[i16]) {
        self.heard.extend_from_slice(pcm);
    }
}

/// Two calls that say the same speech.
fn connect(mut calls: [Call; 2], network: NetworkConfig) -> VirtualTime {
    calls.iter_mut().for_each(|call| call.set_tap(Box::new(Seen::default())));
    let addresses = PORTS.map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
    let mut both = VirtualTime::connect(calls, addresses, network, 0.0, 1).unwrap();
    for end in &mut both.ends {
        end.speech = speech(end.sample_rate_hz());
    }
    both
}

const CLEAN: NetworkConfig = NetworkConfig {
    loss_percent: 0.0,
    burst: 1.0,
    delay_ms: 20.0,
    jitter_ms: 0.0,
    reorder_percent: 0.0,
    duplicate_percent: 0.0,
};

/// Ten seconds.
const PHASE: Duration = Duration::from_secs(10);

#[test]
fn the_bit_rate_on_the_wire_falls_in_a_running_call_and_comes_back() {
    let mut both = connect(PORTS.map(|port| call(port, CodecFormat::opus(), OPUS)), CLEAN);
    let (mut now, mut octets, mut measured) = (Instant::ZERO, 0, Vec::new());
    for bps in [32_000, 12_000, 32_000] {
        let wanted = Adaptation::default().with_bit_rate(bps);
        assert_eq!(both.ends[0].call.adapt(&wanted).unwrap(), wanted);
        now += PHASE;
        both.run_until(now);
        let sent = both.ends[0].call.stats().sender.octets;
        measured.push(f64::from(sent - octets) * 8.0 / 10.0);
        octets = sent;
    }
    println!("asked for 32000, 12000 and 32000 bit/s, measured {measured:.0?}");
    // Speech has pauses, in which a variable rate stays below what was asked for.
    assert!(measured[0] < 33_000.0 && measured[1] < 12_500.0, "{measured:?}");
    assert!(measured[1] < 0.5 * measured[0], "{measured:?}");
    assert!((measured[2] / measured[0] - 1.0).abs() < 0.03, "{measured:?}");
    let heard = both.ends[1].call.stats().receiver;
    assert_eq!((heard.undecodable, both.ends[0].call.stats().send_errors), (0, 0));
    // The other way nobody asked for anything.
    let other = f64::from(both.ends[1].call.stats().sender.octets) * 8.0 / 30.0;
    assert!((other / measured[0] - 1.0).abs() < 0.05, "{other}");
    let heard = both.ends[1].call.take_tap::<Seen>().unwrap().heard;
    let score = score(&speech(16_000), &heard, 16_000);
    println!("{score:?}");
    assert!(score.median > 0.9, "{score:?}");
}

#[test]
fn an_expected_loss_turns_redundancy_on_that_the_other_side_uses() {
    // Each loss alone, as in-band FEC is made for.
    let network = NetworkConfig { loss_percent: 8.0, ..CLEAN };
    for fec_there in [true, false] {
        let theirs = OpusEncoderConfig { fec: fec_there, ..OPUS };
        let calls = [call(PORTS[0], CodecFormat::opus(), OPUS), call(PORTS[1], CodecFormat::opus(), theirs)];
        let mut both = connect(calls, network);
        let (mut now, mut before, mut recovered) = (Instant::ZERO, 0, Vec::new());
        for percent in [0, 20, 0] {
            let wanted = Adaptation::default().with_expected_loss(percent);
            assert_eq!(both.ends[0].call.adapt(&wanted).unwrap(), wanted);
            now += PHASE;
            both.run_until(now);
            let stats = both.ends[1].call.stats().receiver;
            recovered.push((stats.recovered_samples - before) / 16);
            before = stats.recovered_samples;
        }
        println!("FEC wanted: {fec_there}; with an expected loss of 0, 20 and 0 %: {recovered:?} ms recovered in 10 s");
        if fec_there {
            // 8 % of 10 s are lost, and what speech has a copy of is heard.
            assert!(recovered[0] <= 40 && recovered[1] > 200 && recovered[2] <= 60, "{recovered:?}");
        } else {
            assert_eq!(recovered, [0, 0, 0], "who doesn't say useinbandfec gets none");
        }
    }
}

#[test]
fn the_packet_length_changes_without_a_gap() {
    for (codec, clock_hz) in [
        (CodecFormat::pcmu(), 8_000),
        (CodecFormat::g722(), 8_000),
        (CodecFormat::opus(), 48_000),
        (CodecFormat::ilbc(IlbcMode::Ms20), 8_000),
    ] {
        let mut both = connect(PORTS.map(|port| call(port, codec.clone(), OPUS)), CLEAN);
        let mut now = Instant::ZERO;
        let mut lengths = Vec::new();
        for (asked, ms) in [(20, 20), (60, 60), (40, 40), (20, 20), (1, 10), (500, 60), (20, 20)] {
            // iLBC has whole frames of 20 ms alone.
            let ms = if codec.is_named("iLBC") { ms.max(20) } else { ms };
            let taken = both.ends[0].call.adapt(&Adaptation::default().with_packet_ms(asked)).unwrap();
            assert_eq!(taken, Adaptation::default().with_packet_ms(ms), "{codec}");
            // Not at the end of a packet.
            now += Duration::from_millis(2_010);
            both.run_until(now);
            if lengths.last() != Some(&ms) {
                lengths.push(ms);
            }
        }
        let seen = both.ends[0].call.take_tap::<Seen>().unwrap();
        let mut ran = Vec::new();
        for pair in seen.sent.windows(2) {
            let ([(seq, timestamp, ..), (next, then, marker, bytes)], ticks_a_ms) =
                ([pair[0], pair[1]], clock_hz / 1_000);
            assert_eq!((next, marker), (seq.wrapping_add(1), false), "{codec}");
            let ms = then.wrapping_sub(timestamp) / ticks_a_ms;
            assert!(bytes > 0 && then.wrapping_sub(timestamp) % ticks_a_ms == 0);
            if ran.last() != Some(&ms) {
                ran.push(ms);
            }
        }
        println!("{codec}: packets of {ran:?} ms, {} in all", seen.sent.len());
        assert_eq!(ran, lengths, "{codec}: each length follows on the one before");
        // All that was captured has left, but for what waits.
        let ticks = seen.sent.last().unwrap().1.wrapping_sub(seen.sent[0].1);
        assert!(ticks / (clock_hz / 1_000) > 7 * 2_010 - 100, "{codec}");
        let stats = both.ends[1].call.stats();
        assert_eq!((stats.receiver.undecodable, stats.receiver.reception.cumulative_lost()), (0, 0), "{codec}");
        assert_eq!(both.ends[0].call.stats().send_errors, 0, "{codec}");
        let heard = both.ends[1].call.take_tap::<Seen>().unwrap().heard;
        let rate_hz = both.ends[1].sample_rate_hz();
        let score = score(&speech(rate_hz), &heard, rate_hz);
        // Packets of 60 ms come 40 ms later than those of 20: that much is made up once, each time.
        println!("{score:?}, {} ms concealed", stats.receiver.concealed_samples * 1_000 / u64::from(rate_hz));
        // iLBC keeps less of the waveform.
        assert!(score.median > if codec.is_named("iLBC") { 0.7 } else { 0.9 }, "{codec}: {score:?}");
        assert!(stats.receiver.concealed_samples * 1_000 / u64::from(rate_hz) < 200, "{codec}");
    }
}

/// Offer and answer with the text of each changed on its way.
fn agree(calls: &mut [Call; 2], now: Instant, change: impl Fn(String) -> String) {
    let offer = change(calls[0].offer().unwrap());
    let answer = change(calls[1].answer(now, &offer).unwrap());
    calls[0].accept(now, &answer).unwrap();
}

/// Says all of the speech; packets a second, and bits a second in their payloads.
fn speak(call: &mut Call) -> [f64; 2] {
    let speech = speech(16_000);
    let (mut now, before) = (Instant::ZERO, call.stats().sender);
    for tick in speech.chunks_exact(160) {
        call.capture(now, tick);
        now += Duration::from_millis(10);
        while call.transmit(now, &mut [0; 1_500]).is_some() {}
    }
    let (seconds, after) = (speech.len() as f64 / 16_000.0, call.stats().sender);
    [f64::from(after.packets - before.packets) / seconds, f64::from(after.octets - before.octets) * 8.0 / seconds]
}

#[test]
fn what_was_agreed_on_bounds_what_is_taken() {
    let wanted = Adaptation::default().with_bit_rate(96_000).with_expected_loss(10).with_packet_ms(60);
    let mut calls = PORTS.map(|port| call(port, CodecFormat::opus(), OPUS));
    assert!(matches!(calls[0].adapt(&wanted), Err(CallError::Stream(0))), "it isn't agreed on yet");
    agree(&mut calls, Instant::ZERO, |sdp| {
        sdp.replace("a=maxptime:60", "a=maxptime:40")
            .replace("useinbandfec=1", "useinbandfec=1;maxaveragebitrate=24000")
    });
    assert_eq!(calls[0].adapt(&wanted).unwrap(), wanted.with_bit_rate(24_000).with_packet_ms(40));
    let below = speak(&mut calls[0]);
    assert!((below[0] - 25.0).abs() < 0.5 && below[1] < 24_500.0, "{below:?}");
    assert!(matches!(calls[0].adapt_stream(1, &wanted), Err(CallError::Stream(1))));
    // A later offer allows more, and what was asked for holds on. Another encoder is set up as the one before was.
    agree(&mut calls, Instant::ZERO, |sdp| sdp);
    let above = speak(&mut calls[0]);
    println!("packets a second and bit/s: {below:.1?} as agreed first, {above:.1?} then");
    assert!((above[0] - 1_000.0 / 60.0).abs() < 0.5 && above[1] > 1.5 * below[1], "{above:?}");

    // G.711 has one bit rate and nothing for losses, and packets of any whole ten milliseconds.
    let mut calls = PORTS.map(|port| call(port, CodecFormat::pcmu(), OPUS));
    agree(&mut calls, Instant::ZERO, |sdp| sdp);
    assert_eq!(calls[0].adapt(&wanted).unwrap(), Adaptation::default().with_packet_ms(60));
    // An MTU of 576 bytes has room for 536 of L16 at 16 kHz: 10 ms.
    let identity = Identity::seeded(1);
    let small = CallConfig {
        codecs: vec![CodecFormat::l16(16_000, 1)],
        srtp: SrtpPolicy::Off,
        mtu: 576,
        ..CallConfig::with_identity(PORTS[0], identity)
    };
    let mut calls = [Call::new(small).unwrap(), call(PORTS[1], CodecFormat::l16(16_000, 1), OPUS)];
    agree(&mut calls, Instant::ZERO, |sdp| sdp);
    assert_eq!(calls[0].adapt(&wanted).unwrap(), Adaptation::default().with_packet_ms(10));
}
