//! G.722 from senders that count it at 16 kHz: heard as it is meant, in a receiver as small as a phone's and in a call.

use dsp_core::codec::Encoder;
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::receive::memory::Arrays;
use dsp_core::receive::{DelayConfig, Receiver, ReceiverConfig, ReceiverStats};
use dsp_core::time::{Instant, PayloadType};
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming};
use host_std::wav::WavSource;
use media_core_tests::captures::rtp;

/// Five seconds of speech in packets of 20 ms whose timestamps go on by `step`, and when each arrives, in ms.
fn packets(step: u32) -> Vec<(u64, Vec<u8>)> {
    let asset = &include_bytes!("../../../host-std/assets/woman.wav")[..];
    let mut source = WavSource::from_bytes("speech", asset, 16_000).unwrap();
    let mut pcm = vec![0; source.len() as usize];
    let length = source.read(&mut pcm).unwrap();
    let mut encoder = G722Encoder::new(Mode::Kbps64);
    let packet = |(n, frame): (usize, &[i16])| {
        let mut payload = [0; 160];
        encoder.encode(frame, &mut payload).unwrap();
        let bytes = rtp(9, 65_500u16.wrapping_add(n as u16), (n as u32 * step).wrapping_sub(9_000), 77, &payload);
        (n as u64 * 20 + n as u64 * 7 % 11, bytes)
    };
    // Every fiftieth is lost.
    let kept = |(n, packet): (usize, (u64, Vec<u8>))| (n % 50 != 33).then_some(packet);
    pcm[..length].chunks_exact(320).take(250).enumerate().map(packet).enumerate().filter_map(kept).collect()
}

/// What a listener hears, tick by tick, and what was counted.
fn heard(step: u32) -> (Vec<i16>, ReceiverStats) {
    let delay = DelayConfig { max_ms: 300, ..DelayConfig::default() };
    let config = ReceiverConfig { sample_rate_hz: 16_000, rtp_clock_hz: 8_000, delay, ..ReceiverConfig::default() };
    let mut receiver: Receiver<Arrays<64, 4_096>, 1> = Receiver::new(config).unwrap();
    let mut payloads = (PayloadType::G722, G722Decoder::new(Mode::Kbps64));
    let (mut sound, mut packets) = (Vec::new(), packets(step).into_iter().peekable());
    for tick in 0..530u64 {
        while let Some((at, packet)) = packets.next_if(|(at, _)| *at <= tick * 10) {
            receiver.receive(Instant::from_millis(at), &packet).unwrap();
        }
        let mut pcm = [0; 160];
        receiver.play(Instant::from_millis(tick * 10), &mut payloads, &mut pcm);
        sound.extend(pcm);
    }
    (sound, receiver.stats())
}

#[test]
fn a_clock_of_16_khz_is_the_same_sound_at_the_same_delay() {
    let (plain, plain_stats) = heard(160);
    let (sound, stats) = heard(320);
    assert!(stats.double_clock && !plain_stats.double_clock);
    assert_eq!(ReceiverStats { double_clock: false, ..stats }, plain_stats);
    assert!(sound == plain);
    assert!(stats.playout_delay.mean_us() < 60_000, "{:?}", stats.playout_delay);
}

/// The same in a call whose other side offered G.722 with this in its `a=rtpmap`.
fn in_call(clock: &str, step: u32) -> ReceiverStats {
    let offer = format!(
        "v=0\r\no=- 1 1 IN IP4 192.0.2.7\r\ns=-\r\nc=IN IP4 192.0.2.7\r\nt=0 0\r\n\
         m=audio 5004 RTP/AVP 9\r\na=rtpmap:9 G722/{clock}\r\n"
    );
    let (codecs, srtp) = (vec![CodecFormat::g722()], SrtpPolicy::Offered);
    let config = CallConfig { codecs, srtp, ..CallConfig::with_identity(4_000, Identity::seeded(1)) };
    let mut call = Call::new(config).unwrap();
    call.answer(Instant::ZERO, &offer).unwrap();
    assert_eq!((call.codec(), call.sample_rate_hz()), (Some(&CodecFormat::g722()), Some(16_000)));
    let mut packets = packets(step).into_iter().peekable();
    for tick in 0..500u64 {
        while let Some((at, mut packet)) = packets.next_if(|(at, _)| *at <= tick * 10) {
            let peer = "192.0.2.7:5004".parse().unwrap();
            let incoming = call.receive(Instant::from_millis(at), Channel::Rtp, peer, &mut packet);
            assert!(matches!(incoming, Incoming::Audio(_)), "{incoming:?}");
        }
        call.play(Instant::from_millis(tick * 10), &mut [0; 160]);
    }
    call.stats().receiver
}

#[test]
fn a_call_that_is_offered_g722_at_16_khz_hears_it_as_it_is_meant() {
    let (plain, meant) = (in_call("8000", 160), in_call("16000", 320));
    assert!(meant.double_clock && !plain.double_clock);
    assert_eq!(ReceiverStats { double_clock: false, ..meant }, plain);
    assert!(meant.playout_delay.mean_us() < 60_000, "{:?}", meant.playout_delay);
    // Who says 16 kHz may count as the standard has it all the same.
    assert_eq!(in_call("16000", 160), plain);
}
