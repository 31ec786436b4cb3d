//! Two audio streams in one call over one port (BUNDLE, RFC 9143): they talk, hold and close apart from each other.

use std::net::SocketAddr;

use dsp_core::front::Step;
use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet};
use dsp_core::wire::rtp::RtpPacket;
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{Call, CallConfig, CallError, Channel, Ending, Identity, Incoming, PacketDirection, Tap};

/// What each side says in each stream, in Hz.
const TONES: [[f64; 2]; 2] = [[440.0, 1_000.0], [700.0, 1_700.0]];

/// What left a call before it was protected.
#[derive(Default)]
struct Sent {
    /// SSRC and payload type of each packet.
    packets: Vec<(u32, u8)>,
}

impl Tap for Sent {
    fn packet(&mut self, _: Instant, way: PacketDirection, packet: &RtpPacket<'_>) {
        if way == PacketDirection::Out {
            self.packets.push((packet.ssrc().0, packet.payload_type().get()));
        }
    }
}

struct Pair {
    calls: [Call; 2],
    now: Instant,
    /// What was heard since this was cleared, of each side and stream.
    heard: [[Vec<i16>; 2]; 2],
    said: [[f64; 2]; 2],
    /// Which of them are so loud that they clip.
    loud: [[bool; 2]; 2],
    addresses: Vec<SocketAddr>,
    goodbyes: Vec<u32>,
}

impl Pair {
    fn new(codecs: [CodecFormat; 2], srtp: SrtpPolicy, streams: [usize; 2]) -> Self {
        let calls = [0, 1].map(|side: usize| {
            let port = 4_000 + 1_000 * side as u16;
            let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
            let mut call =
                Call::new(CallConfig { codecs: vec![codecs[0].clone()], srtp, metering: true, ..base }).unwrap();
            for _ in 1..streams[side] {
                assert_eq!(call.add_stream(&[codecs[1].clone()]).unwrap(), 1);
            }
            call.set_tap(Box::new(Sent::default()));
            call
        });
        let (heard, addresses, goodbyes) = (Default::default(), Vec::new(), Vec::new());
        let mut pair =
            Self { calls, now: Instant::ZERO, heard, said: [[0.0; 2]; 2], loud: [[false; 2]; 2], addresses, goodbyes };
        pair.agree(0);
        pair
    }

    /// An offer of this side, and the other's answer.
    fn agree(&mut self, side: usize) {
        let offer = self.calls[side].offer().unwrap();
        let answer = self.calls[1 - side].answer(self.now, &offer).unwrap();
        self.calls[side].accept(self.now, &answer).unwrap();
    }

    fn run(&mut self, ms: u64) {
        self.heard = Default::default();
        self.goodbyes.clear();
        self.calls.iter_mut().for_each(|call| call.set_tap(Box::new(Sent::default())));
        let mut buffer = [0; 1_500];
        // Each stream has a device of its own.
        let mut fronts = self.calls.each_ref().map(|call| [0, 1].map(|stream| call.stream_front_end(stream).unwrap()));
        for _ in 0..ms / 10 {
            for (side, tones) in TONES.iter().enumerate() {
                let mut out = Vec::new();
                for (stream, tone) in tones.iter().enumerate() {
                    let front = &mut fronts[side][stream];
                    let rate_hz = front.config().sample_rate_hz;
                    front.begin(self.now, rate_hz as usize / 100, true).unwrap();
                    while let Some(step) = front.step(&mut self.calls[side].stream(stream), &mut buffer) {
                        match step {
                            Step::Loudspeaker { pcm, .. } => self.heard[side][stream].extend_from_slice(pcm),
                            Step::Microphone(microphone) => {
                                for sample in microphone.pcm {
                                    let phase = &mut self.said[side][stream];
                                    *phase = (*phase + tone / f64::from(rate_hz)).fract();
                                    let amplitude = if self.loud[side][stream] { 60_000.0 } else { 8_000.0 };
                                    *sample = ((*phase * std::f64::consts::TAU).sin() * amplitude) as i16;
                                }
                            }
                            Step::Transmit(transmit) => out.push((transmit, buffer[..transmit.len].to_vec())),
                        }
                    }
                }
                for (transmit, mut bytes) in out {
                    if !self.addresses.contains(&transmit.to) {
                        self.addresses.push(transmit.to);
                    }
                    if DatagramKind::of(&bytes) == DatagramKind::Rtcp {
                        // Protected, its goodbyes are not to be read.
                        let compound = Compound::parse(&bytes, CompoundRule::ReportFirst);
                        for packet in compound.iter().flat_map(|compound| compound.packets().flatten()) {
                            if let Packet::Bye(bye) = packet {
                                self.goodbyes.extend(bye.ssrcs().map(|ssrc| ssrc.0));
                            }
                        }
                    }
                    self.calls[1 - side].receive(self.now, Channel::Rtp, transmit.from, &mut bytes);
                }
                let stats = self.calls[side].stats();
                assert_eq!(stats.unaccounted(), [0; 5], "{stats:?}");
                assert_eq!((stats.refused, stats.foreign, stats.send_errors), (0, 0, 0), "{stats:?}");
            }
            self.now += Duration::from_millis(10);
        }
    }

    /// Whether this side hears the other's tone in this stream, and only that: in the last half of what was heard.
    fn hears(&self, side: usize, stream: usize) -> bool {
        let pcm = &self.heard[side][stream];
        let pcm = &pcm[pcm.len() / 2..];
        let rate_hz = f64::from(self.calls[side].stream_sound(stream).map_or(8_000, |(rate_hz, _)| rate_hz));
        let energy: f64 = pcm.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        let loud = (energy / pcm.len() as f64).sqrt();
        if loud < 50.0 {
            return false;
        }
        let (mut real, mut imaginary) = (0.0, 0.0);
        for (n, &sample) in pcm.iter().enumerate() {
            let angle = std::f64::consts::TAU * TONES[1 - side][stream] * n as f64 / rate_hz;
            real += f64::from(sample) * angle.cos();
            imaginary += f64::from(sample) * angle.sin();
        }
        let tone = 2.0 * (real * real + imaginary * imaginary) / pcm.len() as f64;
        assert!(tone > 0.9 * energy, "side {side}, stream {stream}: another sound, {loud:.0} loud");
        true
    }

    fn all_heard(&self) -> [[bool; 2]; 2] {
        [0, 1].map(|side| [0, 1].map(|stream| self.hears(side, stream)))
    }

    fn sent(&self, side: usize) -> Vec<(u32, u8)> {
        let mut kinds = self.calls[side].tap::<Sent>().unwrap().packets.clone();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }
}

fn grid() -> impl Iterator<Item = Pair> {
    let codecs = [
        [CodecFormat::pcmu(), CodecFormat::g722()],
        // The same twice: only one of them can have the static payload type.
        [CodecFormat::pcmu(), CodecFormat::pcmu()],
        [CodecFormat::opus(), CodecFormat::l16(16_000, 1)],
    ];
    let policies = [SrtpPolicy::Off, SrtpPolicy::Required];
    codecs.into_iter().flat_map(move |codecs| policies.map(|srtp| Pair::new(codecs.clone(), srtp, [2, 2])))
}

#[test]
fn both_streams_are_heard_each_by_itself_over_one_port() {
    for mut pair in grid() {
        pair.run(2_000);
        assert_eq!(pair.all_heard(), [[true; 2]; 2]);
        for side in 0..2 {
            // Two sources with payload types of their own.
            let sent = pair.sent(side);
            assert_eq!(sent.len(), 2, "{sent:?}");
            assert!(sent[0].0 != sent[1].0 && sent[0].1 != sent[1].1, "{sent:?}");
            for stream in 0..2 {
                let stats = pair.calls[side].stream_stats(stream).unwrap();
                assert!(stats.receiver.reception.received > 90, "{stats:?}");
                assert_eq!(stats.receiver.concealed_samples, 0, "{stats:?}");
            }
        }
        pair.addresses.sort_unstable();
        let one_each = [4_000, 5_000].map(|port| SocketAddr::from(([127, 0, 0, 1], port)));
        assert_eq!(pair.addresses, one_each, "media and reports of both streams go over one port");
        // Each stream is reported on, and as a whole they add up.
        pair.run(12_000);
        for call in &pair.calls {
            let streams = [0, 1].map(|stream| call.stream_stats(stream).unwrap());
            assert!(streams.iter().all(|stats| stats.remote_fraction_lost == Some(0.0)), "{streams:?}");
            assert!(streams.iter().all(|stats| stats.round_trip.is_some()), "{streams:?}");
            let sum: u64 = streams.iter().map(|stats| stats.total.received).sum();
            assert_eq!(call.stats().total.received, sum);
        }
    }
}

#[test]
fn the_sound_of_each_stream_is_metered_by_itself() {
    for mut pair in grid() {
        pair.loud[0][1] = true;
        pair.run(4_000);
        let levels = |call: &Call| {
            [0, 1].map(|stream| {
                let sound = call.stream_stats(stream).unwrap().sound.unwrap();
                [sound.microphone.unwrap(), sound.sent, sound.received].map(|sound| sound.peak)
            })
        };
        let [first, second] = pair.calls.each_ref().map(levels);
        for (stream, [microphone, sent, _]) in first.iter().enumerate() {
            assert_eq!((microphone, sent.hundredths_dbov() > -100), (sent, stream == 1), "{first:?}");
        }
        assert!(second[0][2].hundredths_dbov() < -900 && second[1][2].hundredths_dbov() > -200, "{second:?}");
        let names = |call: &Call| call.findings().map(|(stream, finding)| (stream, finding.name())).collect::<Vec<_>>();
        assert!(names(&pair.calls[0]).contains(&(1, "microphone_clipped")), "{:?}", names(&pair.calls[0]));
        assert!(names(&pair.calls[0]).iter().all(|(stream, _)| *stream == 1), "{:?}", names(&pair.calls[0]));
        // Of the whole call the first stream's are told.
        assert_eq!(pair.calls[0].stats().sound, pair.calls[0].stream_stats(0).unwrap().sound);
    }
}

#[test]
fn one_stream_is_held_and_resumed_while_the_other_goes_on() {
    for mut pair in grid() {
        for held in [1, 0] {
            pair.calls[0].set_stream_direction(held, Direction::SendOnly).unwrap();
            pair.agree(0);
            // A codec with pauses of its own is heard for a second more: it may be silent.
            pair.run(3_000);
            let mut expected = [[true; 2]; 2];
            expected[0][held] = false;
            assert_eq!(pair.all_heard(), expected, "stream {held} is held by the first side");
            assert_eq!(pair.calls[1].negotiated_stream(held).unwrap().direction, Direction::RecvOnly);
            pair.calls[0].set_stream_direction(held, Direction::SendRecv).unwrap();
            pair.agree(1);
            pair.run(1_500);
            assert_eq!(pair.all_heard(), [[true; 2]; 2], "stream {held} is resumed by the other side's offer");
        }
    }
}

#[test]
fn one_stream_closes_and_opens_again_while_the_other_goes_on() {
    for mut pair in grid() {
        for closed in [1, 0] {
            pair.run(1_000);
            let before = [0, 1].map(|side| pair.sent(side));
            assert_eq!(pair.all_heard(), [[true; 2]; 2]);
            let received = pair.calls[0].stats().total.received;
            pair.calls[0].set_open(closed, false).unwrap();
            pair.agree(0);
            assert!(pair.calls.iter().all(|call| call.negotiated_stream(closed).is_none()));
            pair.run(1_500);
            let mut expected = [[false; 2]; 2];
            expected.iter_mut().for_each(|heard| heard[1 - closed] = true);
            assert_eq!(pair.all_heard(), expected, "stream {closed} is closed");
            assert!(pair.calls.iter().all(|call| call.should_end(pair.now).is_none()));
            assert!((0..2).all(|side| pair.sent(side).len() == 1));
            assert!(pair.calls[0].stats().total.received > received + 60, "what was counted stays");
            if pair.calls[0].negotiated_transport().unwrap().srtp.is_none() {
                assert_eq!(pair.goodbyes.len(), 2, "each side says goodbye for its source of the closed stream");
                assert!(pair.goodbyes.iter().all(|gone| before.iter().flatten().any(|(ssrc, _)| ssrc == gone)));
            }
            pair.calls[0].set_open(closed, true).unwrap();
            pair.agree(0);
            pair.run(1_500);
            assert_eq!(pair.all_heard(), [[true; 2]; 2], "stream {closed} is open again");
            for side in 0..2 {
                let (new, old) = (pair.sent(side), &before[side]);
                let kept = new.iter().filter(|(ssrc, _)| old.iter().any(|(before, _)| before == ssrc)).count();
                assert_eq!((new.len(), kept), (2, 1), "opened again it is another source");
            }
        }
    }
}

#[test]
fn a_peer_with_one_stream_takes_one() {
    for streams in [[2, 1], [1, 2]] {
        let mut pair = Pair::new([CodecFormat::pcmu(), CodecFormat::g722()], SrtpPolicy::Required, streams);
        pair.run(1_500);
        assert_eq!(pair.all_heard(), [[true, false]; 2]);
        assert!(pair.calls.iter().all(|call| call.negotiated_stream(1).is_none()));
        // A second stream comes into a running call, whoever offers it.
        let missing = usize::from(streams[1] == 1);
        pair.calls[missing].add_stream(&[CodecFormat::g722()]).unwrap();
        pair.agree(0);
        pair.run(1_500);
        assert_eq!(pair.all_heard(), [[true; 2]; 2]);
    }
}

#[test]
fn a_stream_that_is_not_there_is_an_error_and_silent() {
    let mut pair = Pair::new([CodecFormat::pcmu(), CodecFormat::g722()], SrtpPolicy::Off, [1, 1]);
    let call = &mut pair.calls[0];
    assert!(matches!(call.set_open(1, false), Err(CallError::Stream(1))));
    assert!(matches!(call.set_stream_direction(7, Direction::Inactive), Err(CallError::Stream(7))));
    let mut pcm = [5; 80];
    assert_eq!(call.play_stream(Instant::ZERO, 3, &mut pcm).silence, 80);
    assert_eq!(pcm, [0; 80]);
    call.capture_stream(Instant::ZERO, 3, &pcm);
    assert!(call.stream_stats(3).is_none() && call.stream_sound(3).is_none());
}

#[test]
fn a_call_with_two_streams_ends_when_both_have_said_goodbye() {
    let mut pair = Pair::new([CodecFormat::pcmu(), CodecFormat::g722()], SrtpPolicy::Required, [2, 2]);
    pair.run(2_000);
    pair.calls[1].hang_up();
    let (mut buffer, mut became) = ([0; 1_500], Vec::new());
    while let Some(transmit) = pair.calls[1].transmit(pair.now, &mut buffer) {
        became.push(pair.calls[0].receive(pair.now, Channel::Rtp, transmit.from, &mut buffer[..transmit.len]));
    }
    assert_eq!(became, [Incoming::Control, Incoming::Bye]);
    assert_eq!(pair.calls[0].stats().goodbyes, 2);
    assert_eq!(pair.calls[0].should_end(pair.now + Duration::from_secs(8)), Some(Ending::Goodbye));
}

/// A peer that answers the second stream from another port can't have it over this transport: the first goes on, and the
/// reason is told.
#[test]
fn a_stream_that_is_answered_from_another_port_is_refused_in_words() {
    let config = |port: u16| {
        let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
        CallConfig { codecs: vec![CodecFormat::pcmu()], srtp: SrtpPolicy::Off, ..base }
    };
    let mut call = Call::new(config(4_000)).unwrap();
    call.add_stream(&[CodecFormat::g722()]).unwrap();
    let offer = call.offer().unwrap();
    let mut peer = Call::new(config(5_000)).unwrap();
    peer.add_stream(&[CodecFormat::g722()]).unwrap();
    let answer = peer.answer(Instant::ZERO, &offer).unwrap();
    // As a peer without BUNDLE would write it.
    let apart: String = answer
        .lines()
        .filter(|line| !line.starts_with("a=group") && !line.starts_with("a=mid"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let second = apart.rfind("m=audio 5000").unwrap();
    let apart = format!("{}{}", &apart[..second], apart[second..].replacen("m=audio 5000", "m=audio 5002", 1));
    call.accept(Instant::ZERO, &apart).unwrap();
    assert!(call.negotiated_stream(0).is_some() && call.negotiated_stream(1).is_none());
    let told: Vec<_> = call.refused().iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with("m= line 2: "), "{told:?}");
}

/// Closed and opened again at once: the goodbye of the source before is not forgotten.
#[test]
fn a_stream_that_opens_again_at_once_says_goodbye_for_the_source_before() {
    let mut pair = Pair::new([CodecFormat::pcmu(), CodecFormat::g722()], SrtpPolicy::Off, [2, 2]);
    pair.run(1_000);
    let before = [0, 1].map(|side| pair.sent(side));
    for open in [false, true] {
        pair.calls[0].set_open(1, open).unwrap();
        pair.agree(0);
    }
    pair.run(1_500);
    assert_eq!(pair.all_heard(), [[true; 2]; 2]);
    assert_eq!(pair.goodbyes.len(), 2, "{:?}", pair.goodbyes);
    for (side, before) in before.iter().enumerate() {
        let gone: Vec<_> = before.iter().filter(|sent| !pair.sent(side).contains(sent)).collect();
        assert!(gone.len() == 1 && pair.goodbyes.contains(&gone[0].0), "{gone:?} {:?}", pair.goodbyes);
    }
}
