//! Two streams over one port where something goes wrong or comes late: addresses that no description names, goodbyes that
//! are lost or overtaken, payload types that change hands, answers that can't be used.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtp::RtpPacket;
use host_std::registry::CodecFormat;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, CallError, Channel, Ending, Identity, Incoming, OwnGuard};

/// Samples of the longest tick here.
const TICK: usize = 480;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn config(port: u16) -> CallConfig {
    let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
    CallConfig { codecs: vec![CodecFormat::pcmu()], srtp: SrtpPolicy::Off, ..base }
}

/// What a call sent, and when it arrives where.
struct Sent {
    side: usize,
    bytes: Vec<u8>,
}

impl Sent {
    fn is_report(&self) -> bool {
        DatagramKind::of(&self.bytes) == DatagramKind::Rtcp
    }

    fn ssrc(&self) -> Option<Ssrc> {
        RtpPacket::parse(&self.bytes).ok().map(|packet| packet.ssrc())
    }
}

struct Pair {
    calls: [Call; 2],
    now: Instant,
    /// Where the packets of each side come from.
    from: [SocketAddr; 2],
}

impl Pair {
    fn new(configs: [CallConfig; 2], second: [CodecFormat; 2]) -> Self {
        let mut side = 0;
        let calls = configs.map(|config| {
            let mut call = Call::new(config).unwrap();
            call.add_stream(&[second[side].clone()]).unwrap();
            side += 1;
            call
        });
        let mut pair = Self { calls, now: Instant::from_millis(1), from: [address(4_000), address(5_000)] };
        pair.agree(0);
        pair
    }

    fn plain() -> Self {
        Self::new([config(4_000), config(5_000)], [CodecFormat::g722(), CodecFormat::g722()])
    }

    fn agree(&mut self, side: usize) {
        let offer = self.calls[side].offer().unwrap();
        let answer = self.calls[1 - side].answer(self.now, &offer).unwrap();
        self.calls[side].accept(self.now, &answer).unwrap();
    }

    fn drain(&mut self, side: usize) -> Vec<Sent> {
        let (mut buffer, mut sent) = ([0; 1_500], Vec::new());
        while let Some(transmit) = self.calls[side].transmit(self.now, &mut buffer) {
            sent.push(Sent { side, bytes: buffer[..transmit.len].to_vec() });
        }
        sent
    }

    fn deliver(&mut self, mut sent: Sent) -> Incoming {
        self.calls[1 - sent.side].receive(self.now, Channel::Rtp, self.from[sent.side], &mut sent.bytes)
    }

    /// Ticks for so long; `lost` says what doesn't arrive.
    fn run(&mut self, ms: u64, mut lost: impl FnMut(&Sent) -> bool) {
        for _ in 0..ms / 10 {
            for side in 0..2 {
                for stream in 0..self.calls[side].stream_count() {
                    let (rate_hz, channels) = self.calls[side].stream_sound(stream).unwrap_or((8_000, 1));
                    let samples = rate_hz as usize / 100 * usize::from(channels);
                    self.calls[side].play_stream(self.now, stream, &mut [0; 2 * TICK][..samples]);
                    self.calls[side].capture_stream(self.now, stream, &[3_000; 2 * TICK][..samples]);
                }
                for sent in self.drain(side) {
                    if !lost(&sent) {
                        self.deliver(sent);
                    }
                }
                let stats = self.calls[side].stats();
                assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
            }
            self.now += Duration::from_millis(10);
        }
    }

    fn received(&self, side: usize, stream: usize) -> u64 {
        self.calls[side].stream_stats(stream).map_or(0, |stats| stats.total.received)
    }
}

#[test]
fn two_streams_from_an_address_that_nobody_named_are_followed() {
    let mut pair = Pair::plain();
    // Behind a NAT: both streams of one side come from the same other port, packet by packet in turns.
    pair.from[1] = address(6_000);
    pair.run(1_000, |_| false);
    for stream in 0..2 {
        assert!(pair.received(0, stream) > 40, "{:?}", pair.calls[0].stats());
    }
}

#[test]
fn a_closed_stream_whose_goodbye_was_lost_keeps_no_call_alive() {
    let mut pair = Pair::plain();
    pair.run(1_000, |_| false);
    pair.calls[0].set_open(1, false).unwrap();
    pair.agree(0);
    pair.run(100, Sent::is_report);
    pair.calls[1].hang_up();
    let became: Vec<_> = pair.drain(1).into_iter().map(|sent| pair.deliver(sent)).collect();
    assert_eq!(became, [Incoming::Bye]);
    assert_eq!(pair.calls[0].should_end(pair.now + Duration::from_secs(8)), Some(Ending::Goodbye));
}

#[test]
fn a_packet_that_its_goodbye_overtook_takes_no_goodbye_back() {
    let mut pair = Pair::plain();
    pair.run(1_000, |_| false);
    // The last packet of each stream arrives behind the first goodbye.
    pair.run(10, |_| false);
    let mut last = Vec::new();
    for _ in 0..2 {
        for stream in 0..2 {
            pair.calls[1].capture_stream(pair.now, stream, &[3_000; 160][..80 << stream]);
        }
        last.extend(pair.drain(1).into_iter().filter(|sent| !sent.is_report()));
    }
    pair.calls[1].hang_up();
    let goodbyes = pair.drain(1);
    assert_eq!((last.len(), goodbyes.len()), (2, 2));
    let mut goodbyes = goodbyes.into_iter();
    pair.deliver(goodbyes.next().unwrap());
    for sent in last {
        pair.deliver(sent);
    }
    assert_eq!(pair.deliver(goodbyes.next().unwrap()), Incoming::Bye);
    assert_eq!(pair.calls[0].should_end(pair.now + Duration::from_secs(8)), Some(Ending::Goodbye));
}

#[test]
fn a_payload_type_that_changed_hands_belongs_to_the_stream_that_has_it_now() {
    let codecs = vec![CodecFormat::pcmu(), CodecFormat::l16(8_000, 1)];
    let calls = [4_000, 5_000].map(|port| CallConfig { codecs: codecs.clone(), ..config(port) });
    let mut pair = Pair::new(calls, [CodecFormat::pcma(), CodecFormat::pcma()]);
    pair.run(500, |_| false);
    let number = pair.calls[0].negotiated_stream(0).unwrap().receive[1].payload_type;
    // The first stream gives a codec up, and two offers later the number goes to a third stream.
    for call in &mut pair.calls {
        call.set_codecs(&[CodecFormat::pcmu()]).unwrap();
    }
    pair.agree(0);
    pair.agree(0);
    pair.run(500, |_| false);
    for call in &mut pair.calls {
        assert_eq!(call.add_stream(&[CodecFormat::l16(16_000, 1)]).unwrap(), 2);
    }
    pair.agree(0);
    pair.run(1_000, |_| false);
    for side in 0..2 {
        assert_eq!(pair.calls[side].negotiated_stream(2).unwrap().receive[0].payload_type, number);
        assert!(pair.received(side, 2) > 40, "side {side}: {:?}", pair.calls[side].stream_stats(0));
    }
}

#[test]
fn a_stream_that_was_refused_is_taken_when_the_other_side_offers_it() {
    let mut pair = Pair::plain();
    pair.calls = [4_000, 5_000].map(|port| Call::new(config(port)).unwrap());
    pair.calls[0].add_stream(&[CodecFormat::g722()]).unwrap();
    pair.agree(0);
    assert!(pair.calls.iter().all(|call| call.negotiated_stream(1).is_none()));
    pair.calls[1].add_stream(&[CodecFormat::g722()]).unwrap();
    for side in [1, 0, 1] {
        pair.agree(side);
        assert!(pair.calls.iter().all(|call| call.negotiated_stream(1).is_some()), "side {side} offers");
        pair.run(500, |_| false);
    }
    assert!((0..2).all(|side| pair.received(side, 1) > 60));
}

#[test]
fn packets_of_a_stream_whose_answer_is_late_disturb_no_other() {
    for sources in [1, 3] {
        let configs = [4_000, 5_000].map(|port| CallConfig { sources, ..config(port) });
        let mut pair = Pair::new(configs, [CodecFormat::g722(), CodecFormat::g722()]);
        pair.run(1_000, |_| false);
        for call in &mut pair.calls {
            call.add_stream(&[CodecFormat::opus()]).unwrap();
        }
        let offer = pair.calls[0].offer().unwrap();
        let answer = pair.calls[1].answer(pair.now, &offer).unwrap();
        pair.run(300, |_| false);
        let before = pair.calls[0].sources().count();
        assert_eq!(before, 2, "{sources} places: {:?}", pair.calls[0].sources().collect::<Vec<_>>());
        pair.calls[0].accept(pair.now, &answer).unwrap();
        pair.run(1_000, |_| false);
        assert!(pair.received(0, 2) > 40);
        assert_eq!(pair.calls[0].sources().count(), 3);
        for stream in 0..2 {
            let stats = pair.calls[0].stream_stats(stream).unwrap();
            assert_eq!((stats.receiver.concealed_samples, stats.receiver.ssrc_changes), (0, 0), "{stats:?}");
        }
    }
}

#[test]
fn a_call_that_can_report_nothing_is_not_half_there() {
    let mut config = config(4_000);
    config.identity.cname = String::new();
    let mut call = Call::new(config.clone()).unwrap();
    call.add_stream(&[CodecFormat::g722()]).unwrap();
    let offer = call.offer().unwrap();
    config.rtp_port = 5_000;
    let mut other = Call::new(config).unwrap();
    assert!(matches!(other.answer(Instant::ZERO, &offer), Err(CallError::Rtcp)));
    assert!(other.negotiated_transport().is_none() && other.negotiated_stream(0).is_none());
    assert!(other.next_deadline().is_none());
    other.capture(Instant::ZERO, &[0; 160]);
    assert_eq!(other.transmit(Instant::ZERO, &mut [0; 1_500]), None);
}

#[test]
fn no_stream_of_ours_becomes_the_source_of_another() {
    let mut pair = Pair::plain();
    let mut second = None;
    pair.run(100, |sent| {
        if let (0, Some(ssrc)) = (sent.side, sent.ssrc()) {
            second = second.or(Some(ssrc).filter(|ssrc| *ssrc != Identity::seeded(4_000).ssrc));
        }
        false
    });
    let second = second.unwrap();
    let mut identity = Identity::seeded(9);
    identity.ssrc = second;
    assert!(
        matches!(pair.calls[0].change_source(pair.now, &identity), Err(CallError::SourceTaken(taken)) if taken == second)
    );
}

#[test]
fn a_call_whose_first_stream_is_closed_counts_what_comes() {
    // From the beginning, or later on.
    for later in [false, true] {
        let mut calls = [4_000, 5_000].map(|port| Call::new(config(port)).unwrap());
        for call in &mut calls {
            call.add_stream(&[CodecFormat::g722()]).unwrap();
            call.set_open(0, later).unwrap();
        }
        let mut pair = Pair { calls, now: Instant::from_millis(1), from: [address(4_000), address(5_000)] };
        pair.agree(0);
        pair.run(300, |_| false);
        pair.calls[0].set_open(0, false).unwrap();
        pair.agree(0);
        let before = pair.calls[0].stats().total;
        pair.run(500, |_| false);
        assert!(pair.received(0, 1) > 20);
        assert!(pair.calls[0].stats().total.received >= before.received + 20);
        // What nobody agreed on, and what isn't RTP though it says so.
        let mut unknown = [0; 172];
        unknown[..12].copy_from_slice(&[0x80, 77, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4]);
        let mut malformed = [0x8f, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3, 4];
        let before = pair.calls[0].stats();
        for datagram in [&mut unknown[..], &mut malformed[..]] {
            let became = pair.calls[0].receive(pair.now, Channel::Rtp, pair.from[1], datagram);
            assert!(matches!(became, Incoming::Audio(_) | Incoming::Unusable(_)), "{became:?}");
        }
        let after = pair.calls[0].stats();
        assert_eq!(after.unaccounted(), [0; 5], "{after:?}");
        assert_eq!(after.total.received, before.total.received + 2);
        pair.calls[0].skip(80_000);
        assert_eq!(pair.calls[0].stats().slept, Duration::from_secs(10));
    }
}

#[test]
fn a_buffer_that_is_too_small_ends_the_drain_and_nothing_else() {
    let mut pair = Pair::plain();
    pair.run(500, |_| false);
    for room in 0..60 {
        let mut buffer = vec![0; room];
        for stream in 0..2 {
            pair.calls[0].capture_stream(pair.now, stream, &[3_000; 320][..160 << stream]);
        }
        let sent = (0..100).take_while(|_| pair.calls[0].transmit(pair.now, &mut buffer).is_some()).count();
        assert!(sent < 100, "{room} bytes");
        pair.now += Duration::from_millis(20);
        // A tick of nothing is no sound and no time.
        pair.calls[0].play_stream(pair.now, 1, &mut []);
        pair.calls[0].capture_stream(pair.now, 1, &[]);
    }
    let before = [0, 1].map(|stream| pair.received(1, stream));
    pair.run(500, |_| false);
    assert!((0..2).all(|stream| pair.received(1, stream) > before[stream] + 20));
    assert_eq!(pair.calls[0].stats().unaccounted(), [0; 5]);
}

#[test]
fn a_guard_that_waits_goes_on_waiting_whatever_is_agreed_on() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        let guard = Some(OwnGuard::new(|| None));
        let configs = [CallConfig { guard, srtp, ..config(4_000) }, CallConfig { srtp, ..config(5_000) }];
        let mut pair = Pair::new(configs, [CodecFormat::g722(), CodecFormat::g722()]);
        for change in 0..4 {
            match change {
                0 => pair.calls[0].rekey().unwrap(),
                1 => pair.calls[1].set_open(1, false).unwrap(),
                2 => pair.calls[0].set_codecs(&[CodecFormat::l16(16_000, 1), CodecFormat::pcmu()]).unwrap(),
                _ => pair.calls[1].set_open(1, true).unwrap(),
            }
            pair.agree(change % 2);
            pair.run(7_000, |sent| {
                assert_eq!(sent.side, 1);
                false
            });
            let stats = pair.calls[0].stats();
            assert_eq!(
                (stats.total.received, u64::from(stats.refused), stats.send_errors),
                (0, stats.datagrams, 0),
                "{stats:?}"
            );
            assert!(pair.calls[0].next_deadline().is_none() && stats.datagrams > 100);
        }
    }
}
