//! Parts of a user's own on the media road of a running call, on real speech: a strategy, a speech detector, a table of
//! decoders.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dsp_core::codec::g711::Pcmu;
use dsp_core::codec::l16::L16;
use dsp_core::codec::{CodecInfo, DecodeError, Decoder, Encoder, PayloadTable};
use dsp_core::process::activity::SpeechDetector;
use dsp_core::receive::strategy::{Estimate, Operation, Situation, Standard, Strategy};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::{RtpHeader, RtpPacket};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{
    Call, CallConfig, CallError, Channel, Identity, Incoming, OwnDecoders, OwnDetector, OwnStrategy,
};
use host_std::simulate::netsim::{Network, NetworkConfig};
use host_std::wav::WavFrames;
use media_core_tests::score::score;

const WOMAN: &[u8] = include_bytes!("../../../host-std/assets/woman.wav");
/// Samples of 10 ms at 8 kHz.
const TICK: usize = 80;
/// Where the other side sends from.
const THERE: ([u8; 4], u16) = ([127, 0, 0, 1], 5_000);

fn speech() -> Vec<i16> {
    let source = WavFrames::from_bytes("speech", WOMAN, 8_000, 1).unwrap();
    source.read_all(Duration::from_secs(60)).unwrap()
}

fn config(port: u16) -> CallConfig {
    let codecs = vec![CodecFormat::pcmu()];
    let identity = Identity::seeded(port.into());
    CallConfig { codecs, srtp: SrtpPolicy::Off, ..CallConfig::with_identity(port, identity) }
}

fn agreed(configs: [CallConfig; 2]) -> [Call; 2] {
    let [mut first, mut second] = configs.map(|config| Call::new(config).unwrap());
    let offer = first.offer().unwrap();
    let answer = second.answer(Instant::ZERO, &offer).unwrap();
    first.accept(Instant::ZERO, &answer).unwrap();
    [first, second]
}

/// A delay of so many ticks of the RTP clock, whatever the network does; counts what it is asked.
struct Fixed(u32, Arc<AtomicUsize>);

impl Strategy for Fixed {
    fn target(&mut self, _: &Estimate) -> u32 {
        self.0
    }

    fn operation(&mut self, situation: &Situation) -> Operation {
        self.1.fetch_add(1, Relaxed);
        Standard.operation(situation)
    }
}

/// Speech through a network with jitter to a call with this strategy and so many places: the delay of each tick from the
/// second second on, in ms, and what is heard.
fn delays(strategy: Option<OwnStrategy>, sources: usize) -> (Vec<f64>, Vec<i16>) {
    let said = speech();
    let [mut speaker, mut listener] = agreed([config(5_000), CallConfig { strategy, sources, ..config(4_000) }]);
    let mut network = Network::new(NetworkConfig { delay_ms: 20.0, jitter_ms: 4.0, ..NetworkConfig::default() }, 1);
    let (mut way, mut delays, mut heard) = (Vec::new(), Vec::new(), Vec::new());
    let (mut now, mut buffer) = (Instant::ZERO, [0; 1_500]);
    for tick in said.chunks_exact(TICK) {
        speaker.capture(now, tick);
        now += Duration::from_millis(10);
        while let Some(transmit) = speaker.transmit(now, &mut buffer) {
            for arrival in network.carry(now).into_iter().flatten() {
                way.push((arrival, transmit.channel, buffer[..transmit.len].to_vec()));
            }
        }
        way.sort_by_key(|(arrival, ..)| *arrival);
        while way.first().is_some_and(|(arrival, ..)| *arrival <= now) {
            let (arrival, channel, mut bytes) = way.remove(0);
            listener.receive(arrival, channel, THERE.into(), &mut bytes);
        }
        let mut pcm = [0; TICK];
        let played = listener.play(now, &mut pcm);
        heard.extend_from_slice(&pcm);
        if now > Instant::from_millis(1_000) {
            delays.extend(played.playout_delay_us.map(|us| f64::from(us) / 1_000.0));
        }
    }
    (delays, heard)
}

#[test]
fn a_strategy_s_fixed_target_is_the_delay_of_the_call() {
    let mean = |delays: &[f64]| delays.iter().sum::<f64>() / delays.len() as f64;
    let said = speech();
    let (standard, _) = delays(None, 1);
    assert!(mean(&standard) < 60.0, "{}", mean(&standard));
    for (sources, fixed_ms) in [(1, 80), (1, 150), (3, 150)] {
        let (asked, made) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (asked_by, made_by) = (asked.clone(), made.clone());
        let strategy = OwnStrategy::new(move |receiver| {
            made_by.fetch_add(1, Relaxed);
            assert_eq!((receiver.sample_rate_hz, receiver.rtp_clock_hz), (8_000, 8_000));
            Fixed(receiver.rtp_clock_hz / 1_000 * fixed_ms, asked_by.clone())
        });
        let (delays, heard) = delays(Some(strategy), sources);
        // Within a packet of the target, and in the mean within half of one.
        let most = delays.iter().map(|delay| (delay - f64::from(fixed_ms)).abs()).fold(0.0, f64::max);
        println!("{sources} places, {fixed_ms} ms: mean {:.1}, at most {most:.1} from it", mean(&delays));
        assert!(delays.len() > 200 && most <= 20.0, "{most} ms from the target");
        assert!((mean(&delays) - f64::from(fixed_ms)).abs() < 10.0, "{}", mean(&delays));
        assert!(asked.load(Relaxed) > 200 && made.load(Relaxed) == sources);
        let score = score(&said, &heard, 8_000);
        assert!(score.median > 0.99, "{score:?}");
    }
}

/// Hears speech in the seconds of even number.
struct Clockwork(usize);

impl SpeechDetector for Clockwork {
    fn is_speech(&mut self, pcm: &[i16]) -> bool {
        let second = self.0 / 8_000;
        self.0 += pcm.len();
        second.is_multiple_of(2)
    }
}

#[test]
fn a_detector_decides_what_is_sent_of_the_same_speech() {
    let mut said = speech();
    // In a room of -50 dBov: of a quiet one all that stands out is sent.
    let mut state = 1u32;
    for sample in &mut said {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((state >> 16) as i16 >> 7);
    }
    let seconds = said.len() / 8_000;
    assert!(seconds >= 4);
    let detector = OwnDetector::new(|rate_hz| {
        assert_eq!(rate_hz, 8_000);
        Clockwork(0)
    });
    let noise = |port| CallConfig { comfort_noise: true, ..config(port) };
    let [mut speaker, mut listener] = agreed([CallConfig { detector: Some(detector), ..noise(5_000) }, noise(4_000)]);
    // Packets of sound and of noise in each second, and the ticks in which noise was heard.
    let mut sent = vec![[0u32; 2]; seconds];
    let mut noise_ticks = 0;
    let (mut now, mut buffer) = (Instant::ZERO, [0; 1_500]);
    for tick in said[..seconds * 8_000].chunks_exact(TICK) {
        speaker.capture(now, tick);
        let second = now.as_micros() as usize / 1_000_000;
        now += Duration::from_millis(10);
        while let Some(transmit) = speaker.transmit(now, &mut buffer) {
            if DatagramKind::of(&buffer[..transmit.len]) == DatagramKind::Rtp {
                let packet = RtpPacket::parse(&buffer[..transmit.len]).unwrap();
                let noise = packet.payload_type() == PayloadType::COMFORT_NOISE;
                sent[second][usize::from(noise)] += 1;
            }
            listener.receive(now, transmit.channel, THERE.into(), &mut buffer[..transmit.len]);
        }
        noise_ticks += u32::from(listener.play(now, &mut [0; TICK]).noise > 0);
    }
    println!("packets of sound and noise in each second: {sent:?}; {noise_ticks} ticks of noise heard");
    let told: u32 = sent.iter().map(|[_, noise]| noise).sum();
    for (second, [sound, noise]) in sent.into_iter().enumerate() {
        match second % 2 {
            0 => assert_eq!((sound, noise), (50, 0), "second {second}"),
            // 80 ms are listened to, a word that dies away for up to 240 ms; then what is said counts as noise that may change every
            // 100 ms.
            _ => {
                assert!((4..=12).contains(&sound) && (1..=10).contains(&noise), "second {second}: {sound} and {noise}")
            }
        }
    }
    assert!(noise_ticks as usize > seconds / 2 * 80, "{noise_ticks}");
    assert_eq!(speaker.stats().sender.noise_packets, told);
}

/// Mu-law at half its level, as a wrapper round a decoder that was agreed on; counts the payloads that went through.
struct Halved(Pcmu, Arc<AtomicUsize>);

impl Decoder for Halved {
    fn info(&self) -> CodecInfo {
        Decoder::info(&self.0)
    }

    fn duration(&self, payload: &[u8]) -> Result<u32, DecodeError> {
        self.0.duration(payload)
    }

    fn decode(&mut self, payload: &[u8], pcm: &mut [i16]) -> Result<usize, DecodeError> {
        self.1.fetch_add(1, Relaxed);
        let samples = self.0.decode(payload, pcm)?;
        pcm[..samples].iter_mut().for_each(|sample| *sample /= 2);
        Ok(samples)
    }

    fn reset(&mut self) {}
}

/// L16 as payload type 100, which no SDP has, and mu-law at half its level.
struct Table {
    l16: L16,
    halved: Halved,
}

const NUMBER: PayloadType = PayloadType::from_low_bits(100);

impl PayloadTable for Table {
    fn decoder(&mut self, payload_type: PayloadType) -> Option<&mut dyn Decoder> {
        match payload_type {
            NUMBER => Some(&mut self.l16),
            PayloadType::PCMU => Some(&mut self.halved),
            _ => None,
        }
    }
}

/// Speech in packets of each of these types to a call that agreed on PCMU and PCMA: what is heard of each.
fn listen(decoders: Option<OwnDecoders>, turns: &[PayloadType]) -> (Vec<Vec<i16>>, Call) {
    let both = vec![CodecFormat::pcmu(), CodecFormat::pcma()];
    let codecs = |port| CallConfig { codecs: both.clone(), ..config(port) };
    let [mut call, _] = agreed([CallConfig { decoders, ..codecs(4_000) }, codecs(5_000)]);
    let said = speech();
    let mut l16 = L16::new(8_000, 1).unwrap();
    let mut now = Instant::ZERO;
    let mut heard = vec![Vec::new(); turns.len()];
    for (n, frame) in turns.iter().flat_map(|_| said.chunks_exact(2 * TICK)).enumerate() {
        let turn = n / (said.len() / (2 * TICK));
        let header = RtpHeader {
            payload_type: turns[turn],
            seq: Seq(n as u16),
            timestamp: RtpTime(2 * TICK as u32 * n as u32),
            ssrc: Ssrc(7),
            ..RtpHeader::default()
        };
        let (mut datagram, mut payload) = ([0; 500], [0; 320]);
        let len = match turns[turn] {
            NUMBER => l16.encode(frame, &mut payload),
            PayloadType::PCMA => dsp_core::codec::g711::Pcma.encode(frame, &mut payload),
            _ => Pcmu.encode(frame, &mut payload),
        };
        let len = header.write_packet(&payload[..len.unwrap()], &mut datagram).unwrap();
        let incoming = call.receive(now, Channel::Rtp, SocketAddr::from(THERE), &mut datagram[..len]);
        assert!(matches!(incoming, Incoming::Audio(_) | Incoming::Ignored | Incoming::Foreign), "{incoming:?}");
        for _ in 0..2 {
            let mut pcm = [0; TICK];
            call.play(now, &mut pcm);
            heard[turn].extend_from_slice(&pcm);
            now += Duration::from_millis(10);
        }
    }
    (heard, call)
}

#[test]
fn a_table_of_ones_own_decodes_what_no_sdp_names_and_comes_before_the_registry() {
    let turns = [PayloadType::PCMU, NUMBER, PayloadType::PCMA];
    let said = speech();
    let level = |pcm: &[i16]| (pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len() as f64).sqrt();
    let (without, call) = listen(None, &turns);
    assert_eq!(call.stats().receiver.undecodable, 0);
    // Payload type 100 is nobody's: what is left of it is the concealment's fade.
    assert!(level(&without[1]) < level(&said) / 20.0, "{}", level(&without[1]));

    let through = Arc::new(AtomicUsize::new(0));
    let counted = through.clone();
    let own = OwnDecoders::new(move |sound| {
        assert_eq!((sound.sample_rate_hz, sound.rtp_clock_hz, sound.channels), (8_000, 8_000, 1));
        Table { l16: L16::new(sound.sample_rate_hz, 1).unwrap(), halved: Halved(Pcmu, counted.clone()) }
    });
    let (with, call) = listen(Some(own), &turns);
    let packets = said.len() / (2 * TICK);
    assert_eq!((call.stats().receiver.undecodable, call.stats().receiver.unknown_payload), (0, 0));
    assert!(through.load(Relaxed) >= packets - 5, "{} of {packets}", through.load(Relaxed));
    // Mu-law through the wrapper, L16 as it was sent but for its beginning, and A-law by the registry.
    assert!((level(&with[0]) / level(&without[0]) - 0.5).abs() < 0.02);
    let score = score(&said, &with[1], 8_000);
    println!("L16 without SDP: {score:?}");
    assert!(score.median > 0.999, "{score:?}");
    assert!((level(&with[2]) / level(&without[2]) - 1.0).abs() < 0.02);
}

#[test]
fn a_decoder_of_another_sound_is_refused_with_its_numbers() {
    let own = OwnDecoders::new(|_| (NUMBER, L16::new(16_000, 1).unwrap()));
    let mut caller = Call::new(config(5_000)).unwrap();
    let mut callee = Call::new(CallConfig { decoders: Some(own), ..config(4_000) }).unwrap();
    let error = callee.answer(Instant::ZERO, &caller.offer().unwrap()).unwrap_err();
    assert!(matches!(error, CallError::OwnDecoder { payload_type: NUMBER, .. }));
    assert_eq!(
        error.to_string(),
        "the own decoder of payload type 100 has 16000 Hz, an RTP clock of 16000 Hz, channels: 1; the stream has \
         8000 Hz, an RTP clock of 8000 Hz, channels: 1"
    );
}
