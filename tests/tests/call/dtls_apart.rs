//! DTLS where RTP and RTCP have a port each (RFC 5764, 5.1.2): a handshake on each, and keys of its own for each. Sound
//! waits for its own alone, reports for theirs.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use dsp_core::wire::DatagramKind;
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Channel, Identity, Incoming, Keying, Protection};

struct Apart {
    calls: [Call; 2],
    now: Instant,
    /// What is under way to each side.
    way: Vec<(usize, Channel, Vec<u8>)>,
    /// Whether datagrams of RTCP's ports arrive.
    reports_pass: bool,
    /// Handshake datagrams on each port, and reports.
    handshakes: [usize; 2],
    reports: Vec<(usize, Vec<u8>)>,
    heard: i16,
}

fn config(side: usize, rtcp_mux: bool) -> CallConfig {
    let (codecs, keying) = (vec![CodecFormat::pcmu()], Keying::Dtls);
    let config = CallConfig::with_identity(4_000 + 1_000 * side as u16, Identity::seeded(side as u64 + 9));
    CallConfig { codecs, keying, rtcp_mux, ..config }
}

fn address(side: usize, channel: Channel) -> SocketAddr {
    ([127, 0, 0, 1], 4_000 + 1_000 * side as u16 + u16::from(channel == Channel::Rtcp)).into()
}

impl Apart {
    fn new(muxed: [bool; 2]) -> Self {
        let calls = [0, 1].map(|side| Call::new(config(side, muxed[side])).unwrap());
        let (now, way, reports) = (Instant::from_millis(1), Vec::new(), Vec::new());
        let mut made = Self { calls, now, way, reports_pass: true, handshakes: [0; 2], reports, heard: 0 };
        made.negotiate();
        made
    }

    fn negotiate(&mut self) {
        let [ours, theirs] = &mut self.calls;
        let answer = theirs.answer(self.now, &ours.offer().unwrap()).unwrap();
        ours.accept(self.now, &answer).unwrap();
    }

    fn run(&mut self, ms: u64) {
        let mut pcm = [0; 80];
        for _ in 0..ms / 10 {
            for (to, channel, mut bytes) in std::mem::take(&mut self.way) {
                self.calls[to].receive(self.now, channel, address(1 - to, channel), &mut bytes);
            }
            for side in 0..2 {
                self.calls[side].play(self.now, &mut pcm);
                self.heard = self.heard.max(pcm.iter().copied().max().unwrap());
                pcm.iter_mut().zip(0..).for_each(|(sample, n): (&mut i16, i16)| *sample = n % 20 * 400);
                self.calls[side].capture(self.now, &pcm);
                let mut buffer = [0; 2_048];
                while let Some(transmit) = self.calls[side].transmit(self.now, &mut buffer) {
                    let (bytes, channel) = (buffer[..transmit.len].to_vec(), transmit.channel);
                    assert_eq!(transmit.to, address(1 - side, channel));
                    assert_eq!(transmit.from.port(), address(side, channel).port());
                    match DatagramKind::of(&bytes) {
                        DatagramKind::Dtls => self.handshakes[usize::from(channel == Channel::Rtcp)] += 1,
                        DatagramKind::Rtcp => self.reports.push((side, bytes.clone())),
                        _ => assert_eq!(channel, Channel::Rtp),
                    }
                    if channel == Channel::Rtp || self.reports_pass {
                        self.way.push((1 - side, channel, bytes));
                    }
                }
            }
            self.now += Duration::from_millis(10);
        }
    }
}

#[test]
fn each_port_has_a_handshake_and_keys_of_its_own() {
    // Whether we don't want it, or the other side doesn't.
    for muxed in [[false, false], [true, false], [false, true]] {
        let mut apart = Apart::new(muxed);
        apart.run(12_000);
        assert!(!apart.calls[0].negotiated_transport().unwrap().rtcp_mux);
        assert!(apart.heard > 4_000 && apart.handshakes.iter().all(|count| (4..12).contains(count)));
        for side in 0..2 {
            let keys = |channel| apart.calls[side].srtp_keys(channel).unwrap();
            let others = |channel| apart.calls[1 - side].srtp_keys(channel).unwrap();
            for channel in [Channel::Rtp, Channel::Rtcp] {
                assert_eq!(keys(channel).outgoing, others(channel).incoming);
            }
            assert_ne!(keys(Channel::Rtp).outgoing, keys(Channel::Rtcp).outgoing);
            let stats = apart.calls[side].stats();
            assert!(stats.control >= 1 && stats.round_trip.is_some(), "{} reports", stats.control);
            assert_eq!((stats.refused, stats.foreign), (0, 0));
        }
        // A report again, and one on the other port, is nothing.
        let (from, report) = apart.reports.last().unwrap().clone();
        for channel in [Channel::Rtcp, Channel::Rtp] {
            let from_address = address(from, channel);
            let incoming = apart.calls[1 - from].receive(apart.now, channel, from_address, &mut report.clone());
            assert!(matches!(incoming, Incoming::Refused(_) | Incoming::Ignored), "{incoming:?}");
        }
        // New keys for both.
        let before = apart.calls[0].srtp_keys(Channel::Rtcp).unwrap().clone();
        apart.calls[0].rekey().unwrap();
        apart.negotiate();
        apart.run(2_000);
        assert_ne!(apart.calls[0].srtp_keys(Channel::Rtcp), Some(&before));
        apart.heard = 0;
        apart.run(8_000);
        assert!(apart.heard > 4_000);
    }
}

#[test]
fn sound_needs_no_keys_for_reports() {
    let mut apart = Apart::new([false, false]);
    apart.reports_pass = false;
    apart.run(40_000);
    assert!(apart.heard > 4_000);
    assert!(apart.reports.is_empty(), "nothing is said without keys");
    for call in &apart.calls {
        assert!(matches!(call.protection(), Some(Protection::Srtp(_))));
        assert_eq!((call.should_end(apart.now), call.srtp_keys(Channel::Rtcp)), (None, None));
        assert!(call.next_deadline().is_none_or(|deadline| deadline >= apart.now), "nobody is asked in vain");
    }
}
