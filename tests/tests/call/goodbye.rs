//! How a call ends, and how it doesn't: a goodbye ends a source, which may go on; silence ends a call only if it should;
//! and our own source's number in what comes in makes us another source.

use std::net::SocketAddr;

use dsp_core::streams::sources::Admission;
use dsp_core::time::{Duration, Instant, Ssrc};
use dsp_core::wire::DatagramKind;
use dsp_core::wire::rtcp::{Compound, CompoundRule, Packet};
use dsp_core::wire::rtp::RtpPacket;
use host_std::registry::CodecFormat;
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{Call, CallConfig, CallError, Channel, Ending, Identity, Incoming};
use media_core_tests::tick::Device;

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// Two calls without a network between them, in ticks of 10 ms.
struct Pair {
    calls: [Call; 2],
    devices: [Device; 2],
    now: Instant,
    phase: f64,
    /// Whether the second side sends.
    speaks: bool,
    /// Ticks in which the first did not hear the second.
    unheard: u32,
    /// What the second side has sent: RTP and RTCP.
    sent: Vec<Vec<u8>>,
}

impl Pair {
    fn new(change: impl Fn(&mut CallConfig)) -> Self {
        let call = |port: u16| {
            let base = CallConfig::with_identity(port, Identity::seeded(port.into()));
            let mut config = CallConfig { codecs: vec![CodecFormat::pcmu()], srtp: SrtpPolicy::Off, ..base };
            change(&mut config);
            Call::new(config).unwrap()
        };
        let calls = [call(4_000), call(5_000)];
        let now = Instant::from_millis(1);
        let devices = calls.each_ref().map(Device::new);
        let mut pair = Self { calls, devices, now, phase: 0.0, speaks: true, unheard: 0, sent: Vec::new() };
        pair.negotiate(1, Direction::SendRecv);
        pair.run(1_000);
        pair
    }

    fn negotiate(&mut self, offerer: usize, direction: Direction) {
        self.calls[offerer].set_direction(direction);
        let offer = self.calls[offerer].offer().unwrap();
        let answer = self.calls[1 - offerer].answer(self.now, &offer).unwrap();
        self.calls[offerer].accept(self.now, &answer).unwrap();
    }

    fn receive(&mut self, bytes: &[u8]) -> Incoming {
        self.calls[0].receive(self.now, Channel::Rtp, address(5_000), &mut bytes.to_vec())
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            for side in 0..2 {
                let (call, phase) = (&mut self.calls[side], &mut self.phase);
                if side == 1 && !self.speaks {
                    // It says nothing at all, not even a report.
                    call.play(self.now, &mut [0; 80]);
                    call.skip(80);
                    continue;
                }
                let speech = |pcm: &mut [i16]| {
                    for sample in pcm {
                        *phase = (*phase + 300.0 / 8_000.0).fract();
                        *sample = ((*phase * std::f64::consts::TAU).sin() * 9_000.0) as i16;
                    }
                };
                let mut out = Vec::new();
                let (played, _) = self.devices[side].tick(call, self.now, speech, |_, bytes| out.push(bytes.to_vec()));
                self.unheard += u32::from(side == 0 && played.concealed + played.silence > 0);
                for mut bytes in out {
                    if side == 1 {
                        self.sent.push(bytes.clone());
                    }
                    let from = address(4_000 + 1_000 * side as u16);
                    self.calls[1 - side].receive(self.now, Channel::Rtp, from, &mut bytes);
                }
            }
            self.now += Duration::from_millis(10);
        }
    }

    /// The second side's SSRC.
    fn ssrc(&self) -> u32 {
        let rtp = self.sent.iter().rev().find(|bytes| bytes[1] & 0x7f == 0).unwrap();
        RtpPacket::parse(rtp).unwrap().ssrc().0
    }
}

/// A sender report, a name, and a goodbye: what PJSIP sends at each new offer.
fn report_and_goodbye(ssrc: u32) -> Vec<u8> {
    let ssrc = ssrc.to_be_bytes();
    let report = [&[0x80, 200, 0, 6][..], &ssrc, &[7; 20]].concat();
    let name = [&[0x81, 202, 0, 2][..], &ssrc, &[1, 1, b'x', 0]].concat();
    [report, name, goodbye(u32::from_be_bytes(ssrc))].concat()
}

/// A goodbye that no report leads.
fn goodbye(ssrc: u32) -> Vec<u8> {
    [&[0x81, 203, 0, 1][..], &ssrc.to_be_bytes()].concat()
}

#[test]
fn a_phone_that_says_goodbye_at_each_hold_and_goes_on_is_heard() {
    for sources in [1, 3] {
        for led in [true, false] {
            let mut pair = Pair::new(|config| config.sources = sources);
            let ssrc = pair.ssrc();
            let said = if led { report_and_goodbye(ssrc) } else { goodbye(ssrc) };
            for hold_s in [0, 5, 60] {
                assert_eq!(pair.receive(&said), Incoming::Bye);
                if hold_s > 0 {
                    pair.negotiate(1, Direction::SendOnly);
                    // The goodbye may also come after the answer.
                    pair.receive(&said);
                    // It says nothing meanwhile, but for its reports.
                    for _ in 0..hold_s / 5 {
                        pair.speaks = false;
                        pair.run(5_000);
                        assert_eq!(pair.calls[0].should_end(pair.now), None);
                        let report = report_and_goodbye(ssrc)[..28].to_vec();
                        assert_eq!(pair.receive(&report), Incoming::Control);
                    }
                    pair.speaks = true;
                    assert!(matches!(pair.receive(&said), Incoming::Bye | Incoming::Control));
                    pair.negotiate(1, Direction::SendRecv);
                }
                pair.run(300);
                let unheard = pair.unheard;
                pair.run(20_000);
                assert_eq!(pair.unheard, unheard, "{sources} sources, {hold_s} s of hold: {:?}", pair.calls[0].stats());
                assert_eq!(pair.calls[0].should_end(pair.now), None);
            }
            let stats = pair.calls[0].stats();
            assert_eq!((stats.receiver.ssrc_changes, stats.receiver.restarts), (0, 0), "{stats:?}");
            assert!(stats.goodbyes >= 5, "{stats:?}");
        }
    }
}

#[test]
fn a_call_ends_some_seconds_after_a_goodbye() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        let mut pair = Pair::new(|config| config.srtp = srtp);
        let mut buffer = [0; 1_500];
        pair.calls[1].hang_up();
        let bye = pair.calls[1].transmit(pair.now, &mut buffer).unwrap();
        assert_eq!(pair.receive(&buffer[..bye.len]), Incoming::Bye);
        pair.speaks = false;
        pair.run(6_900);
        assert_eq!(pair.calls[0].should_end(pair.now), None);
        pair.run(200);
        assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::Goodbye));
    }
    // What was still on its way when the goodbye came is no sign of life.
    let mut pair = Pair::new(|_| {});
    let said = goodbye(pair.ssrc());
    pair.receive(&said);
    pair.run(40);
    pair.speaks = false;
    pair.run(7_100);
    assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::Goodbye));
    // Whoever doesn't want that is not asked.
    let mut pair = Pair::new(|config| config.after_goodbye = None);
    let said = goodbye(pair.ssrc());
    assert_eq!(pair.receive(&said), Incoming::Bye);
    pair.speaks = false;
    pair.run(60_000);
    assert_eq!(pair.calls[0].should_end(pair.now), None);
}

/// Another codec was agreed on, so that other receivers wait for its first packet; the goodbye comes before it.
#[test]
fn who_leaves_right_after_an_answer_has_left() {
    let mut pair = Pair::new(|config| config.codecs = vec![CodecFormat::pcmu(), CodecFormat::opus()]);
    pair.calls[1].set_codecs(&[CodecFormat::opus()]).unwrap();
    pair.negotiate(1, Direction::SendRecv);
    let bye = report_and_goodbye(pair.ssrc());
    assert_eq!(pair.receive(&bye), Incoming::Bye);
    pair.speaks = false;
    pair.run(7_500);
    assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::Goodbye));
}

/// A codec of another RTP clock makes the sender another source; whoever hangs up soon after that has left all the same.
#[test]
fn a_hang_up_soon_after_another_codec_is_believed() {
    for talked_ms in (0..300).step_by(10) {
        let codecs = [CodecFormat::opus(), CodecFormat::g722(), CodecFormat::pcmu()];
        let mut pair = Pair::new(|config| {
            config.codecs = codecs.to_vec();
            config.srtp = SrtpPolicy::default();
        });
        pair.calls[1].set_codecs(&[codecs[1].clone(), codecs[2].clone(), codecs[0].clone()]).unwrap();
        pair.negotiate(1, Direction::SendRecv);
        pair.run(talked_ms);
        pair.calls[1].hang_up();
        let (mut datagram, mut heard) = ([0; 1_500], Vec::new());
        while let Some(transmit) = pair.calls[1].transmit(pair.now, &mut datagram) {
            heard.push(pair.receive(&datagram[..transmit.len]));
        }
        pair.speaks = false;
        pair.run(7_500);
        assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::Goodbye), "{talked_ms} ms: {heard:?}");
    }
}

/// On hold nothing is expected; but whoever says goodbye by RTCP would go on with it.
#[test]
fn a_call_on_hold_ends_half_a_minute_after_a_goodbye() {
    let mut pair = Pair::new(|_| {});
    let said = goodbye(pair.ssrc());
    pair.negotiate(0, Direction::SendOnly);
    assert_eq!(pair.receive(&said), Incoming::Bye);
    pair.speaks = false;
    pair.run(29_000);
    assert_eq!(pair.calls[0].should_end(pair.now), None);
    pair.run(2_000);
    assert_eq!(pair.calls[0].should_end(pair.now), Some(Ending::Goodbye));
}

#[test]
fn silence_is_told_and_ends_a_call_that_should_end_by_it() {
    let wait = Some(Duration::from_secs(30));
    let mut pair = Pair::new(|config| config.after_silence = wait);
    // A hold is no silence, however long.
    pair.negotiate(0, Direction::Inactive);
    pair.speaks = false;
    pair.run(120_000);
    assert_eq!((pair.calls[0].silence(pair.now), pair.calls[0].should_end(pair.now)), (None, None));
    pair.negotiate(0, Direction::SendRecv);
    pair.run(20_000);
    assert_eq!(pair.calls[0].should_end(pair.now), None);
    // A report is a sign of life.
    let heard = pair.now;
    let said = report_and_goodbye(pair.ssrc())[..28].to_vec();
    assert_eq!(pair.receive(&said), Incoming::Control);
    pair.run(29_900);
    assert_eq!(pair.calls[0].should_end(pair.now), None);
    assert_eq!(pair.calls[0].stats().last_heard, Some(heard));
    assert_eq!(pair.calls[0].silence(pair.now), Some(Duration::from_millis(29_900)));
    pair.run(100);
    assert_eq!(pair.calls[0].should_end(pair.now), wait.map(Ending::Silence));
    // Without a wish it goes on.
    let mut pair = Pair::new(|_| {});
    pair.speaks = false;
    pair.run(300_000);
    assert_eq!(pair.calls[0].should_end(pair.now), None);
    assert!(pair.calls[0].silence(pair.now) >= Some(Duration::from_secs(299)));
}

#[test]
fn what_loops_back_is_not_played_and_makes_us_another_source_once() {
    for sources in [1, 3] {
        // The first side's own packets come back, and nothing else.
        let mut pair = Pair::new(|config| config.sources = sources);
        pair.speaks = false;
        pair.run(3_000);
        let before = pair.calls[0].stats();
        let (mut byes, mut ssrcs, mut loud) = (Vec::new(), Vec::new(), 0);
        for _ in 0..1_000 {
            pair.now += Duration::from_millis(10);
            let mut out = Vec::new();
            let speech = |pcm: &mut [i16]| pcm.fill(9_000);
            let keep = |_, bytes: &mut [u8]| out.push(bytes.to_vec());
            let (_, heard) = pair.devices[0].tick(&mut pair.calls[0], pair.now, speech, keep);
            loud += u32::from(heard.iter().any(|sample| sample.unsigned_abs() > 200));
            for datagram in out {
                if DatagramKind::of(&datagram) == DatagramKind::Rtp {
                    ssrcs.push(RtpPacket::parse(&datagram).unwrap().ssrc());
                } else {
                    let compound = Compound::parse(&datagram, CompoundRule::ReportFirst).unwrap();
                    for packet in compound.packets().flatten() {
                        if let Packet::Bye(bye) = packet {
                            byes.extend(bye.ssrcs());
                        }
                    }
                }
                assert_eq!(pair.receive(&datagram), Incoming::Unheard(Admission::Own));
            }
        }
        let stats = pair.calls[0].stats();
        assert_eq!(loud, 0, "we hear ourselves");
        assert!(stats.own_source >= 500, "{stats:?}");
        assert_eq!(stats.source_changes, 1, "another packet from there is a loop and no collision");
        assert_eq!(stats.receiver.reception.received, before.receiver.reception.received);
        ssrcs.dedup();
        let first = Identity::seeded(4_000).ssrc;
        assert!(ssrcs.len() == 2 && ssrcs[0] == first, "{ssrcs:?}");
        assert_eq!(byes, [first], "the source before has said goodbye");
    }
}

#[test]
fn a_peer_that_collides_is_heard_when_we_are_another_source() {
    for srtp in [SrtpPolicy::Off, SrtpPolicy::Required] {
        for sources in [1, 2] {
            let mut pair = Pair::new(|config| (config.srtp, config.sources) = (srtp, sources));
            let ours = Identity::seeded(4_000);
            assert!(matches!(
                pair.calls[1].change_source(pair.now, &ours),
                Err(CallError::SourceTaken(ssrc)) if ssrc == ours.ssrc
            ));
            // The peer can't know yet: as if it had drawn the same number in the same moment.
            let mut pair = Pair::new(|config| {
                (config.srtp, config.sources) = (srtp, sources);
                config.identity.ssrc = Ssrc(77);
            });
            pair.run(500);
            let unheard = [pair.unheard, pair.calls[1].stats().receiver.concealment_events];
            pair.run(5_000);
            assert_eq!(unheard, [pair.unheard, pair.calls[1].stats().receiver.concealment_events]);
            let stats = pair.calls.each_ref().map(|call| call.stats());
            assert!(stats.iter().map(|stats| stats.source_changes).sum::<u32>() >= 1, "{stats:?}");
            assert!(stats.iter().all(|stats| stats.receiver.reception.received > 200), "{stats:?}");
        }
    }
}

/// The time of a tick that can't be taken in goes on.
#[test]
fn what_overflows_costs_sound_but_no_time() {
    let mut pair = Pair::new(|_| {});
    let (mut buffer, mut stamps) = ([0; 1_500], Vec::new());
    // Nobody asks for packets, for a second and a half.
    for _ in 0..150 {
        pair.calls[0].capture(pair.now, &[1_000; 80]);
    }
    assert!(pair.calls[0].stats().send_errors > 0);
    for _ in 0..10 {
        while let Some(transmit) = pair.calls[0].transmit(pair.now, &mut buffer) {
            let packet = RtpPacket::parse(&buffer[..transmit.len]).unwrap();
            stamps.push((packet.timestamp().0, packet.marker()));
        }
        pair.calls[0].capture(pair.now, &[1_000; 80]);
    }
    let first = Identity::seeded(4_000).first_timestamp.0;
    let (last, _) = *stamps.last().unwrap();
    // A second before, and the ten ticks: the last packet began up to 20 ms before the end.
    let elapsed = last.wrapping_sub(first);
    assert!((8_000 + 12_000 + 480..=8_000 + 12_000 + 800).contains(&elapsed), "{elapsed} of time: {stamps:?}");
    assert!(stamps.iter().any(|(_, marker)| *marker));
}

#[test]
fn a_report_that_does_not_fit_is_counted() {
    let mut pair = Pair::new(|_| {});
    assert_eq!(pair.calls[0].transmit(pair.now + Duration::from_secs(60), &mut [0; 20]), None);
    assert_eq!(pair.calls[0].stats().send_errors, 1);
    pair.calls[0].hang_up();
    assert_eq!(pair.calls[0].transmit(pair.now, &mut [0; 20]), None);
    assert_eq!(pair.calls[0].stats().send_errors, 2);
}
