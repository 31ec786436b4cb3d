//! Events whatever is lost of them, and in whatever order they come.

use std::vec::Vec;

use proptest::prelude::*;

use super::*;

const SSRC: Ssrc = Ssrc(7);

#[derive(Clone, Copy, Debug)]
struct Sent {
    at_ms: u64,
    header: EventHeader,
    report: TelephoneEvent,
}

/// The packets of an event, as RFC 4733 has them: one every `ptime_ms`, the last three times; segments of 0xFFFF ticks.
fn packets(event: u8, clock_hz: u32, begins: u32, at_ms: u64, length_ms: u32, ptime_ms: u32) -> Vec<Sent> {
    let ticks = |ms: u32| clock_hz / 1_000 * ms;
    let mut sent = Vec::new();
    let (mut segment, mut marker) = (begins, true);
    let mut push = |at_ms: u64, segment: u32, marker, end, duration: u32| {
        let header = EventHeader { ssrc: SSRC, timestamp: RtpTime(segment), marker, clock_hz };
        sent.push(Sent {
            at_ms,
            header,
            report: TelephoneEvent { event: EventCode(event), end, volume: 10, duration: duration as u16 },
        });
    };
    let mut ms = 0;
    loop {
        ms = (ms + ptime_ms).min(length_ms);
        let at_ms = at_ms + u64::from(ms);
        let duration = begins.wrapping_add(ticks(ms)).wrapping_sub(segment);
        if duration > MAX_EVENT_TICKS {
            push(at_ms, segment, marker, false, MAX_EVENT_TICKS);
            segment = segment.wrapping_add(MAX_EVENT_TICKS);
            marker = false;
            if ms < length_ms {
                continue;
            }
        }
        let duration = begins.wrapping_add(ticks(ms)).wrapping_sub(segment);
        for copy in 0..if ms == length_ms { 3 } else { 1 } {
            push(at_ms + u64::from(copy * ptime_ms), segment, marker, ms == length_ms, duration);
            marker = false;
        }
        if ms == length_ms {
            return sent;
        }
    }
}

/// What is told of packets that arrive in this order, and until a second later.
fn heard<const PLACES: usize>(packets: &[Sent]) -> Vec<EventReport> {
    let mut events = EventReceiver::<PLACES>::new(EventsConfig::default());
    let (mut told, mut now) = (Vec::new(), Instant::ZERO);
    for packet in packets {
        now = now + Duration::ZERO.max(Instant::from_millis(packet.at_ms).since(now));
        events.receive(now, &packet.header, &packet.report.to_bytes()).unwrap();
        told.extend(std::iter::from_fn(|| events.next(now)));
    }
    for _ in 0..100 {
        now += Duration::from_millis(10);
        told.extend(std::iter::from_fn(|| events.next(now)));
    }
    told
}

/// The digits of which each was told to begin and then to have ended, and nothing else was told.
fn digits(told: &[EventReport]) -> Vec<u8> {
    let mut open: Vec<(u8, RtpTime)> = Vec::new();
    let mut begun = Vec::new();
    for report in told {
        let name = (report.event.0, report.timestamp);
        match report.phase {
            EventPhase::Began => {
                assert!(!begun.contains(&name), "told twice: {told:?}");
                begun.push(name);
                open.push(name);
            }
            EventPhase::Ended | EventPhase::Lost => {
                let at = open.iter().position(|open| *open == name).expect("ends without beginning");
                open.remove(at);
            }
        }
    }
    assert!(open.is_empty(), "{told:?}");
    begun.iter().map(|(event, _)| *event).collect()
}

#[test]
fn a_digit_begins_with_its_first_packet_and_ends_with_the_first_that_says_so() {
    for (clock_hz, ptime_ms) in [(8_000, 20), (16_000, 30), (48_000, 10)] {
        let told = heard::<4>(&packets(5, clock_hz, u32::MAX - 100, 1_000, 120, ptime_ms));
        let of = |phase, ms| EventReport {
            phase,
            event: EventCode(5),
            ssrc: SSRC,
            timestamp: RtpTime(u32::MAX - 100),
            begun: Instant::from_millis(1_000),
            duration: Duration::from_millis(ms),
            volume: 10,
        };
        assert_eq!(told, [of(EventPhase::Began, ptime_ms.into()), of(EventPhase::Ended, 120)]);
    }
}

#[test]
fn an_event_whose_end_is_lost_ends_by_silence_or_with_the_next() {
    let first: Vec<_> = packets(1, 8_000, 0, 0, 100, 20).into_iter().filter(|sent| !sent.report.end).collect();
    let told = heard::<4>(&first);
    assert_eq!((told.len(), told[1].phase, told[1].duration), (2, EventPhase::Lost, Duration::from_millis(80)));
    let both = [&first[..], &packets(1, 8_000, 1_280, 160, 100, 20)].concat();
    assert_eq!(digits(&heard::<4>(&both)), [1, 1]);
    let told = heard::<4>(&both);
    assert_eq!(told[1].phase, EventPhase::Lost);
    assert_eq!(told[2].phase, EventPhase::Began);
}

#[test]
fn a_long_event_is_one() {
    for (clock_hz, segments) in [(8_000, 3), (48_000, 15)] {
        let sent = packets(9, clock_hz, 1_000, 0, 20_000, 20);
        let begun: std::collections::BTreeSet<_> = sent.iter().map(|sent| sent.header.timestamp.0).collect();
        assert_eq!(begun.len(), segments);
        let told = heard::<4>(&sent);
        assert_eq!(digits(&told), [9]);
        assert_eq!(told[1].duration, Duration::from_secs(20));
        // Without all that stands at the borders of segments, too.
        let without: Vec<_> =
            sent.iter().filter(|sent| (1_000..60_000).contains(&sent.report.duration)).copied().collect();
        assert_eq!(digits(&heard::<4>(&without)), [9]);
    }
}

#[test]
fn events_of_two_sources_and_in_one_packet() {
    let other = |sent: &Sent| Sent { header: EventHeader { ssrc: Ssrc(8), ..sent.header }, ..*sent };
    let sent = packets(3, 8_000, 0, 0, 100, 20);
    let both: Vec<_> = sent.iter().flat_map(|sent| [*sent, other(sent)]).collect();
    assert_eq!(digits_of(&heard::<4>(&both), SSRC), [3]);
    assert_eq!(digits_of(&heard::<4>(&both), Ssrc(8)), [3]);

    let mut events = EventReceiver::<4>::new(EventsConfig::default());
    let header = sent[0].header;
    let of = |event, duration| TelephoneEvent { event: EventCode(event), end: true, volume: 0, duration }.to_bytes();
    events.receive(Instant::from_millis(100), &header, &[of(1, 400), of(2, 400)].concat()).unwrap();
    let told: Vec<_> = std::iter::from_fn(|| events.next(Instant::from_millis(100))).collect();
    assert_eq!(digits(&told), [1, 2]);
    assert_eq!(told[2].timestamp, RtpTime(400));
    assert!(events.receive(Instant::ZERO, &header, &[1, 2]).is_err());
    assert_eq!((events.stats().events, events.stats().malformed), (2, 1));
}

fn digits_of(told: &[EventReport], ssrc: Ssrc) -> Vec<u8> {
    digits(&told.iter().filter(|report| report.ssrc == ssrc).copied().collect::<Vec<_>>())
}

#[test]
fn what_was_forgotten_does_not_come_again() {
    let all: Vec<_> =
        (0..6).flat_map(|n| packets(n, 8_000, u32::from(n) * 1_600, u64::from(n) * 200, 100, 20)).collect();
    let again = [&all[..], &all[..]].concat();
    assert_eq!(digits(&heard::<2>(&again)), [0, 1, 2, 3, 4, 5]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever is lost, repeated and reordered: as long as one packet of an event arrives, it is told once.
    #[test]
    fn any_loss_that_leaves_a_packet_gives_one_digit(
        clock in prop::sample::select(&[8_000_u32, 16_000, 48_000][..]),
        ptime_ms in prop::sample::select(&[10_u32, 20, 30, 60][..]),
        begins in any::<u32>(),
        keys in prop::collection::vec((0..17_u8, 40..400_u32, 40..300_u32), 1..6),
        long in prop::option::of(1_400..9_000_u32),
        kept in prop::collection::vec((any::<bool>(), 0..6_u64, any::<bool>()), 600),
        left in prop::collection::vec(any::<prop::sample::Index>(), 6),
    ) {
        let (mut timestamp, mut at_ms) = (begins, 0);
        let (mut sent, mut expected) = (Vec::new(), Vec::new());
        let mut kept = kept.into_iter().cycle();
        for (number, (event, length_ms, gap_ms)) in keys.into_iter().enumerate() {
            // One of them may be a long one.
            let length_ms = long.filter(|_| number == 0).unwrap_or(length_ms).div_ceil(ptime_ms) * ptime_ms;
            let gap_ms = gap_ms.div_ceil(ptime_ms) * ptime_ms;
            let own = packets(event, clock, timestamp, at_ms, length_ms, ptime_ms);
            let survivor = left[number].index(own.len());
            for (at, packet) in own.into_iter().enumerate() {
                let (keep, later, twice) = kept.next().unwrap_or_default();
                if keep || at == survivor {
                    for _ in 0..1 + usize::from(twice) {
                        let at_ms = packet.at_ms + later * u64::from(ptime_ms);
                        sent.push(Sent { at_ms, ..packet });
                    }
                }
            }
            expected.push(event);
            timestamp = timestamp.wrapping_add(clock / 1_000 * (length_ms + gap_ms));
            at_ms += u64::from(length_ms + gap_ms);
        }
        sent.sort_by_key(|sent| sent.at_ms);
        let mut found = digits(&heard::<16>(&sent));
        found.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(found, expected);
    }
}
