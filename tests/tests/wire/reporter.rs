//! Reporters that talk in virtual time (RFC 3550, 6): when they report, and what they measure of the road between them.

use std::slice;

use dsp_core::quality::{
    BurstTracker, CodecImpairment, JitterBufferInfo, JitterEstimator, PacketFate, ReceptionStats, SequenceTracker,
    VoipMetricsInput,
};
use dsp_core::rtcp::{Cname, PeerReport, ReporterConfig, RtcpReporter, SendInfo};
use dsp_core::time::{Duration, Instant, NtpTime, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtcp::{ConcealmentKind, JitterBufferKind, VoipMetrics};

/// One end of a simulated call: 50 packets a second, its own clocks.
struct End {
    ssrc: Ssrc,
    reporter: RtcpReporter<1>,
    sequence: SequenceTracker,
    jitter: JitterEstimator,
    bursts: BurstTracker,
    sent: u32,
    /// Wall clock at time zero: the ends disagree by an hour.
    wall: NtpTime,
    reports: Vec<Instant>,
    heard: Vec<PeerReport>,
}

impl End {
    fn new(ssrc: u32, seed: u32, wall_seconds: u64) -> Self {
        let config = ReporterConfig { ssrc: Ssrc(ssrc), cname: Cname::new("end"), seed, ..ReporterConfig::default() };
        Self {
            ssrc: Ssrc(ssrc),
            reporter: RtcpReporter::<1>::new(config, Instant::ZERO).unwrap(),
            sequence: SequenceTracker::default(),
            jitter: JitterEstimator::new(),
            bursts: BurstTracker::new(),
            sent: 0,
            wall: NtpTime::from_unix_micros(wall_seconds * 1_000_000),
            reports: Vec::new(),
            heard: Vec::new(),
        }
    }

    /// Metrics of what it hears of `peer`: a handset with a jitter buffer of 40 ms.
    fn voip(&self, peer: Ssrc) -> VoipMetrics {
        let buffer = JitterBufferInfo {
            kind: JitterBufferKind::Adaptive,
            nominal_ms: 40,
            maximum_ms: 80,
            absolute_maximum_ms: 2_000,
        };
        let input = VoipMetricsInput {
            ssrc: peer,
            bursts: self.bursts.stats(),
            codec: Some(CodecImpairment::G711_CONCEALED),
            round_trip: self.reporter.round_trip(),
            end_system_delay: Duration::from_millis(60),
            rerl_db: Some(45),
            concealment: ConcealmentKind::Enhanced,
            jitter_buffer: buffer,
            peer: self.reporter.peer_voip(),
        };
        input.block()
    }

    fn send_info(&self, now: Instant) -> SendInfo {
        SendInfo {
            ntp: self.wall.plus(now.since(Instant::ZERO)),
            rtp: RtpTime((now.as_micros() / 125) as u32),
            packets: self.sent,
            octets: self.sent * 160,
        }
    }
}

#[test]
fn two_reporters_measure_the_road_between_them() {
    const MINUTES: u64 = 30;
    // One way 40 ms and the other 25; every tenth packet of the first is lost.
    let delays = [Duration::from_millis(40), Duration::from_millis(25)];
    let mut ends = [End::new(0xaaaa_0001, 1, 1_000_000_000), End::new(0xbbbb_0002, 1, 1_000_003_600)];
    let mut in_flight: Vec<(Instant, usize, Vec<u8>)> = Vec::new();

    for millis in 0..MINUTES * 60_000 {
        let now = Instant::from_millis(millis);
        for from in 0..2 {
            let to = 1 - from;
            if millis % 20 == 0 {
                let seq = Seq(ends[from].sent as u16);
                ends[from].sent += 1;
                let lost = from == 0 && seq.0 % 10 == 9;
                let fate = if lost { PacketFate::Lost } else { PacketFate::Received };
                ends[to].bursts.count(fate, Duration::from_millis(20));
                if !lost {
                    let arrival = now + delays[from];
                    ends[to].sequence.update(seq);
                    ends[to].jitter.update((arrival.as_micros() / 125) as u32, RtpTime((now.as_micros() / 125) as u32));
                }
            }
            let end = &mut ends[from];
            if now >= end.reporter.next_deadline() {
                let peer = [Ssrc(0xbbbb_0002), Ssrc(0xaaaa_0001)][from];
                let stats = ReceptionStats::new(peer, &end.sequence, &end.jitter);
                let send = end.send_info(now);
                end.reporter.set_voip(Some(end.voip(peer)));
                let mut out = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
                if let Some(len) = end.reporter.poll(now, slice::from_ref(&stats), Some(&send), &mut out).unwrap() {
                    end.reports.push(now);
                    in_flight.push((now + delays[from], to, out[..len].to_vec()));
                }
            }
        }
        in_flight.retain(|(arrival, to, bytes)| {
            if *arrival <= now {
                let report = ends[*to].reporter.receive(now, bytes).unwrap();
                assert_eq!((report.collision, report.malformed, report.bye), (false, 0, false));
                ends[*to].heard.push(report);
            }
            *arrival > now
        });
    }

    for (index, end) in ends.iter().enumerate() {
        // The interval (6.3.1): 5 s on average, between 0.41 and 1.23 times that; polls are a millisecond apart.
        let gaps: Vec<u64> = end.reports.windows(2).map(|pair| pair[1].since(pair[0]).as_millis()).collect();
        let mean = gaps.iter().sum::<u64>() as f64 / gaps.len() as f64;
        println!("end {index}: {} reports, mean interval {mean:.0} ms", end.reports.len());
        assert!((4700.0..5300.0).contains(&mean), "{mean}");
        assert!(gaps.iter().all(|gap| (2052..=6158).contains(gap)), "{gaps:?}");
        assert!((1026..=3080).contains(&end.reports[0].as_millis()));

        // After the first exchange every report gives the round trip: 65 ms, to the 1/65536 s of DLSR.
        let trips: Vec<u64> =
            end.heard.iter().filter_map(|report| report.reception?.round_trip.map(Duration::as_micros)).collect();
        assert!(trips.len() + 3 >= end.heard.len(), "{} of {}", trips.len(), end.heard.len());
        assert!(trips.iter().all(|trip| (64_980..=65_020).contains(trip)), "{trips:?}");
        assert_eq!(end.reporter.round_trip().map(|trip| trip.as_millis()), Some(65));

        // The peer's clocks, as its last report told them.
        let clock = end.heard.iter().rev().find_map(|report| report.clock).unwrap();
        let peer = &ends[1 - index];
        let departure = clock.arrived - delays[1 - index];
        assert_eq!((clock.ssrc, clock.info.ntp), (peer.ssrc, peer.send_info(departure).ntp));
        assert_eq!(clock.info.rtp, peer.send_info(departure).rtp);

        // How the peer hears this end, in every report; with delay as soon as it has measured the round trip.
        assert!(end.heard.iter().all(|report| report.voip.is_some_and(|voip| voip.ssrc == end.ssrc)));
        let voip = end.reporter.peer_voip().unwrap();
        assert_eq!(end.heard.last().unwrap().voip, Some(voip));
        println!("end {index} is heard at R {:?}, MOS-LQ {:?}", voip.r_factor, voip.mos_lq_tenths);
        assert_eq!((voip.round_trip_ms, voip.end_system_delay_ms, voip.rerl_db), (65, 60, Some(45)));
        assert_eq!((voip.jitter_buffer_nominal_ms, voip.jitter_buffer_absolute_maximum_ms), (40, 2_000));
        let (r, lq, cq) = (voip.r_factor.unwrap(), voip.mos_lq_tenths.unwrap(), voip.mos_cq_tenths.unwrap());
        if index == 0 {
            // A loss every ten packets never lets a burst of Gmin 16 end.
            assert_eq!((voip.loss_rate, voip.gap_density), (25, 0));
            assert!((25..=26).contains(&voip.burst_density) && voip.burst_duration_ms > 60_000, "{voip:?}");
            // Ie,eff = 95 * 10 / (10 / 0.9 + 25.1) = 26.2 more off 93.2.
            assert!((60..=61).contains(&r) && (34..=35).contains(&lq) && cq <= lq, "{voip:?}");
        } else {
            assert_eq!((voip.loss_rate, voip.burst_density, voip.burst_duration_ms), (0, 0, 0));
            // 92.5 ms from mouth to ear, and an echo of TELR 55 dB: Idte = 5.9, Idle = 0.7.
            assert!(r == 87 && lq == 44 && cq == 43, "{voip:?}");
        }

        // What the peer loses of this end's packets: a tenth, or nothing.
        let last = end.heard.last().unwrap().reception.unwrap().block;
        assert_eq!(last.jitter_ticks, 0);
        if index == 0 {
            let lost_rate = f64::from(last.cumulative_lost) / f64::from(last.extended_highest_seq);
            assert!((0.099..0.101).contains(&lost_rate), "{lost_rate}");
            assert!((23..=28).contains(&last.fraction_lost), "{}", last.fraction_lost);
        } else {
            assert_eq!((last.cumulative_lost, last.fraction_lost), (0, 0));
        }
    }
    assert_ne!(ends[0].reports[..5], ends[1].reports[..5], "the same seed, but another SSRC");

    // Goodbye: the other hears it, once.
    let [one, two] = &mut ends;
    let (now, mut out) = (Instant::from_millis(MINUTES * 60_000), [0; 200]);
    let send = one.send_info(now);
    let len = one.reporter.bye(now, &[], Some(&send), Some("done"), &mut out).unwrap().unwrap();
    assert!(two.reporter.receive(now, &out[..len]).unwrap().bye);
    assert_eq!(one.reporter.next_deadline(), Instant::from_micros(u64::MAX));
}

/// One end only listens, for a minute: by reference times and their answers it measures the 70 ms all the same, if both
/// agreed to that.
#[test]
fn an_end_that_sends_nothing_measures_the_round_trip() {
    for agreed in [true, false] {
        let reporter = |ssrc| {
            let config = ReporterConfig {
                ssrc: Ssrc(ssrc),
                cname: Cname::new("end"),
                receiver_round_trip: agreed,
                ..ReporterConfig::default()
            };
            RtcpReporter::<1>::new(config, Instant::ZERO).unwrap()
        };
        let mut ends = [reporter(1), reporter(2)];
        let mut in_flight: Vec<(Instant, usize, Vec<u8>)> = Vec::new();
        let mut trips = Vec::new();
        for millis in 0..60_000 {
            let now = Instant::from_millis(millis);
            for (from, end) in ends.iter_mut().enumerate() {
                let send = (from == 0).then(|| SendInfo { packets: millis as u32, ..SendInfo::default() });
                let mut out = [0; RtcpReporter::<1>::MAX_REPORT_LEN];
                if let Some(len) = end.poll(now, &[], send.as_ref(), &mut out).unwrap() {
                    in_flight.push((now + Duration::from_millis(35), 1 - from, out[..len].to_vec()));
                }
            }
            in_flight.retain(|(arrival, to, bytes)| {
                if *arrival <= now {
                    let trip = ends[*to].receive(now, bytes).unwrap().receiver_round_trip;
                    trips.extend(trip.map(|trip| (*to, trip.as_micros())));
                }
                *arrival > now
            });
        }
        println!("agreed {agreed}: {} round trips", trips.len());
        assert_eq!(trips.len() >= 8, agreed);
        assert!(trips.iter().all(|(to, trip)| *to == 1 && (69_980..=70_020).contains(trip)), "{trips:?}");
        assert_eq!(ends[1].round_trip().is_some(), agreed);
    }
}

#[test]
fn the_reduced_minimum_shortens_the_interval() {
    for (kbps, reduced_minimum, expected_ms) in [(80, false, 5000.0), (120, true, 3000.0), (720, true, 500.0)] {
        let config = ReporterConfig {
            ssrc: Ssrc(9),
            cname: Cname::new("end"),
            session_bandwidth_kbps: kbps,
            reduced_minimum,
            seed: 3,
            ..ReporterConfig::default()
        };
        let mut reporter = RtcpReporter::<1>::new(config, Instant::ZERO).unwrap();
        let (mut now, mut reports, mut out) = (Instant::ZERO, 0, [0; 200]);
        while reports < 2000 {
            now = reporter.next_deadline();
            reports += u32::from(reporter.poll(now, &[], None, &mut out).unwrap().is_some());
        }
        let mean = now.as_micros() as f64 / 1000.0 / f64::from(reports);
        println!("{kbps} kbit/s, reduced {reduced_minimum}: mean interval {mean:.1} ms");
        assert!((mean / expected_ms - 1.0).abs() < 0.02, "{mean} against {expected_ms}");
    }
}
