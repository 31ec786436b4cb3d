//! Jumps of the sender's clock and of the network, pauses, and what lies in the buffer: for every jump, bound and tick
//! length the sound is there again at once, and afterwards the delay is that of the network.

use std::fs;

use dsp_core::codec::g711::{Pcmu, linear_to_ulaw};
use dsp_core::receive::{DelayConfig, HostReceiver, Played, ReceiverConfig};
use dsp_core::time::{Duration, Instant, PayloadType, RtpTime, Seq, Ssrc};
use dsp_core::wire::rtp::RtpHeader;
use host_std::registry::{CodecFormat, Registry};
use host_std::replay::trace::{Trace, TraceConfig, play};
use host_std::replay::{CaptureKeys, CaptureReport, ReplayConfig, replay_bytes};
use media_core_tests::road::babble;
use media_core_tests::shared;

/// What happens after six seconds of a good call.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The timestamps jump by so many ms; the sound goes on.
    Timestamps(i64),
    /// The sequence numbers jump too, by so many.
    Both(i64, u16),
    /// Nothing is sent for so many ms, and the timestamps don't count them.
    Mute(u64),
    /// Nothing is sent for so many ms, and the timestamps jump by others.
    Hold(u64, i64),
    /// Nothing is sent for so many ms, and the timestamps count them.
    Pause(u64),
    /// The network takes so many ms longer.
    Longer(u64),
    /// It took so many ms longer before.
    Shorter(u64),
    /// It becomes slower by so many ms within so many seconds, and after ten more all comes at once.
    Ramp(u64, u64),
}

#[derive(Clone, Copy, Debug)]
struct Case {
    event: Event,
    delay: DelayConfig,
    tick_ms: u64,
    jitter_ms: u64,
    /// The first packet after the event has the marker.
    marker: bool,
}

const BEFORE_MS: u64 = 6_000;
const PACKET_MS: u64 = 20;
const TICKS_A_MS: i64 = 8;

/// What one tick was.
#[derive(Clone, Copy)]
struct Tick {
    at_ms: u64,
    played: Played,
}

/// What a listener had of it.
struct Heard {
    ticks: Vec<Tick>,
    tick_ms: u64,
    /// When the first packet after the event came.
    again_ms: u64,
    /// Packets dropped since the event.
    discarded: u32,
}

fn dice(n: u64) -> u64 {
    let mut x = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^= x >> 29;
    x.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 33
}

impl Case {
    /// What the network adds to a packet sent at `sent_ms`, in ms.
    fn network_ms(&self, sent_ms: u64) -> u64 {
        let since = sent_ms.saturating_sub(BEFORE_MS);
        match self.event {
            Event::Longer(by) if sent_ms >= BEFORE_MS => by,
            // What is on its way comes at once.
            Event::Shorter(by) => by.min(BEFORE_MS.saturating_sub(sent_ms)),
            Event::Ramp(by, seconds) => {
                let (rise, end) = (seconds * 1_000, seconds * 1_000 + 10_000);
                if since < rise { by * since / rise } else { by.min((end + by).saturating_sub(since)) }
            }
            _ => 0,
        }
    }

    fn run(&self, after_ms: u64) -> Heard {
        let config = ReceiverConfig { delay: self.delay, ..ReceiverConfig::default() };
        let mut receiver = Box::new(HostReceiver::new(config).unwrap());
        let mut table = (PayloadType::PCMU, Pcmu);
        let speech: Vec<u8> = babble(8_000, 3, 0).into_iter().map(|sample| linear_to_ulaw(sample | 64)).collect();
        let mut header = RtpHeader {
            payload_type: PayloadType::PCMU,
            seq: Seq(65_400),
            timestamp: RtpTime(u32::MAX - 30_000),
            ssrc: Ssrc(5),
            ..RtpHeader::default()
        };
        let (mut sent_ms, mut number, mut happened, mut again_ms) = (0, 0u64, false, 0);
        let (mut newest_ms, mut coming) = (0, std::collections::VecDeque::<(u64, Vec<u8>)>::new());
        let silent = match self.event {
            Event::Mute(ms) | Event::Hold(ms, _) | Event::Pause(ms) => ms,
            _ => 0,
        };
        let longer = if let Event::Longer(ms) = self.event { ms } else { 0 };
        let end_ms = BEFORE_MS + silent + longer + after_ms;
        let mut pcm = vec![0; (self.tick_ms * 8) as usize];
        let mut ticks = Vec::new();
        let mut now_ms = 100;
        let mut discarded = 0;
        while now_ms < end_ms {
            while sent_ms <= now_ms {
                if !happened && sent_ms >= BEFORE_MS {
                    happened = true;
                    discarded = receiver.stats().discarded;
                    sent_ms += silent;
                    let jump = |ms: i64| (ms * TICKS_A_MS) as u32;
                    match self.event {
                        Event::Timestamps(ms) | Event::Hold(_, ms) => {
                            header.timestamp = header.timestamp.plus(jump(ms))
                        }
                        Event::Both(ms, numbers) => {
                            header.timestamp = header.timestamp.plus(jump(ms));
                            header.seq = header.seq.plus(numbers);
                        }
                        Event::Pause(ms) => header.timestamp = header.timestamp.plus(jump(ms as i64)),
                        _ => {}
                    }
                    header.marker = self.marker;
                    if silent > 0 {
                        continue;
                    }
                }
                let begin = (number * 160) as usize % (speech.len() - 160);
                let mut datagram = vec![0; 172];
                header.write_packet(&speech[begin..begin + 160], &mut datagram).unwrap();
                header.marker = false;
                header.seq = header.seq.plus(1);
                header.timestamp = header.timestamp.plus(160);
                let jitter = if self.jitter_ms > 0 { dice(number) % self.jitter_ms } else { 0 };
                newest_ms = newest_ms.max(sent_ms + self.network_ms(sent_ms) + jitter);
                if happened && again_ms == 0 {
                    again_ms = newest_ms;
                }
                coming.push_back((newest_ms, datagram));
                number += 1;
                sent_ms += PACKET_MS;
            }
            while let Some((arrival, datagram)) = coming.pop_front_if(|(arrival, _)| *arrival <= now_ms) {
                receiver.receive(Instant::from_millis(arrival), &datagram).unwrap();
            }
            let played = receiver.play(Instant::from_millis(now_ms), &mut table, &mut pcm);
            ticks.push(Tick { at_ms: now_ms, played });
            now_ms += self.tick_ms;
        }
        discarded = receiver.stats().discarded - discarded;
        Heard { ticks, tick_ms: self.tick_ms, again_ms, discarded }
    }
}

impl Heard {
    /// Ticks from so many ms on.
    fn from(&self, ms: u64) -> &[Tick] {
        &self.ticks[self.ticks.partition_point(|tick| tick.at_ms < ms)..]
    }

    /// How many ms of the half second from `ms` on were sound of the sender.
    fn sound_ms(&self, ms: u64) -> u64 {
        let ticks = &self.from(ms)[..(500 / self.tick_ms) as usize];
        500 - ticks.iter().map(|tick| u64::from(tick.played.concealed + tick.played.silence)).sum::<u64>() / 8
    }

    /// How many ms after the first packet behind the event the sound was there again for at least half a second.
    fn heard_after_ms(&self, least_ms: u64) -> u32 {
        (0..7_000).step_by(10).find(|after| self.sound_ms(self.again_ms + after) >= least_ms).unwrap_or(7_000) as u32
    }

    /// The longest delay in the buffer and over the fastest packet, and the highest target, from so many ms on.
    fn delays(&self, ms: u64) -> [u32; 3] {
        let most = |of: fn(&Played) -> Option<u32>| {
            self.from(ms).iter().filter_map(|tick| of(&tick.played)).max().unwrap_or(0) / 1_000
        };
        [
            most(|played| played.buffer_delay_us),
            most(|played| played.playout_delay_us),
            most(|played| Some(played.target_delay_ms * 1_000)),
        ]
    }
}

/// The usual dead band of the delay about its target, a packet, and a tick.
fn most_over(target_ms: u32, tick_ms: u64) -> u32 {
    target_ms + (target_ms / 8).clamp(10, 40).max(30_u32.saturating_sub(target_ms)) + 20 + tick_ms as u32
}

/// Of sound that is listened to: a conversation gives up what was made up for.
const BOUNDS: [DelayConfig; 4] = [
    DelayConfig::fixed(60),
    DelayConfig { max_ms: 250, target_max_ms: 250, ..DelayConfig::listening() },
    DelayConfig { target_max_ms: 2_000, ..DelayConfig::listening() },
    DelayConfig { max_ms: 10_000, target_max_ms: 10_000, ..DelayConfig::listening() },
];

/// Every event with each bound, and ticks, jitter and marker by lot.
fn cases(events: &[Event], most: usize) -> Vec<Case> {
    let mut all = Vec::new();
    for &event in events {
        let mut of_event = Vec::new();
        for delay in BOUNDS {
            for tick_ms in [5, 10, 20] {
                for jitter_ms in [0, 30] {
                    for marker in [false, true] {
                        of_event.push(Case { event, delay, tick_ms, jitter_ms, marker });
                    }
                }
            }
        }
        of_event.sort_by_key(|case| {
            dice(
                u64::from(case.delay.max_ms) * 7
                    + case.tick_ms * 1_009
                    + case.jitter_ms * 31
                    + u64::from(case.marker)
                    + all.len() as u64 * 77_777,
            )
        });
        // One of each bound at least.
        of_event.sort_by_key(|case| case.delay.max_ms);
        let step = (of_event.len() / most).max(1);
        all.extend(of_event.into_iter().step_by(step));
    }
    all
}

const JUMPS_MS: [u64; 14] = [10, 55, 64, 240, 255, 1_000, 1_965, 1_990, 2_000, 4_900, 5_100, 9_985, 60_000, 3_600_000];

/// Jitter costs a little, where the delay is short by choice.
fn least_ms(case: &Case) -> u64 {
    if case.jitter_ms > 0 { 400 } else { 480 }
}

/// Plays all cases, and fails with what is wrong with them.
fn all_hold(cases: &[Case], check: impl Fn(&Case) -> Result<(), String>) {
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| check(case).err().map(|what| format!("{case:?}: {what}"))).collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong[..wrong.len().min(40)].join("\n"));
}

fn no_more(what: &str, value: u32, most: u32) -> Result<(), String> {
    if value <= most { Ok(()) } else { Err(format!("{what} {value}, {most} at most")) }
}

#[test]
fn after_a_jump_of_the_senders_clock_under_unbroken_sound_nobody_waits_and_no_delay_is_told() {
    let events: Vec<Event> = JUMPS_MS
        .iter()
        .flat_map(|&ms| {
            let ms = ms as i64;
            [Event::Timestamps(ms), Event::Timestamps(-ms), Event::Both(ms, 300), Event::Both(-ms, 20_000)]
        })
        .collect();
    all_hold(&cases(&events, 4), |case| {
        let heard = case.run(8_000);
        no_more("sound after ms", heard.heard_after_ms(least_ms(case)), 500)?;
        let [buffer, playout, target] = heard.delays(BEFORE_MS + 4_000);
        let [_, whole, target_of_whole] = heard.delays(0);
        no_more("delay in the buffer", buffer, most_over(target, case.tick_ms))?;
        no_more("delay", playout, most_over(target, case.tick_ms))?;
        if let Event::Timestamps(_) = case.event {
            // By less than 60 ms networks jump too.
            no_more("delay meanwhile", whole, most_over(target_of_whole, case.tick_ms) + 60)?;
            no_more("discarded", heard.discarded, may_exceed(case))?;
        }
        Ok(())
    });
}

#[test]
fn after_a_mute_or_a_hold_whose_time_is_not_counted_the_sound_is_there_at_once() {
    let events: Vec<Event> = JUMPS_MS
        .iter()
        .flat_map(|&ms| {
            let (silent, jump) = (ms.min(60_000), ms as i64);
            [Event::Mute(silent), Event::Hold(3_000, jump), Event::Hold(3_000, -jump), Event::Pause(silent)]
        })
        .collect();
    all_hold(&cases(&events, 4), |case| {
        let heard = case.run(30_000);
        no_more("sound after ms", heard.heard_after_ms(least_ms(case)), 500)?;
        // What lies in the buffer is the network's at once; over the fastest packet when that is forgotten.
        let [buffer, _, target] = heard.delays(heard.again_ms + 1_000);
        no_more("delay in the buffer at once", buffer, most_over(target, case.tick_ms))?;
        settled(case, &heard, 26_000)?;
        no_more("discarded", heard.discarded, may_exceed(case))
    });
}

/// Packets that may be dropped: where the delay is fixed at the bound, each is that comes faster than all before it.
fn may_exceed(case: &Case) -> u32 {
    if case.delay.min_ms == case.delay.max_ms && case.jitter_ms > 0 { 3 } else { 0 }
}

/// The delay is that of the network, from so many ms after the event on.
fn settled(case: &Case, heard: &Heard, after_ms: u64) -> Result<(), String> {
    let [buffer, playout, target] = heard.delays(heard.again_ms + after_ms);
    // What was later than the fastest packet before was counted in steps of a sixteenth.
    let step = match case.event {
        Event::Mute(ms) | Event::Longer(ms) | Event::Ramp(ms, _) => ms.min(2_000) as u32 / 16,
        // A call that began with a queue keeps a delay for it for a while.
        Event::Shorter(ms) if ms < 100 => ms as u32,
        Event::Hold(ms, jump) => ms.abs_diff(jump.max(0) as u64).min(2_000) as u32 / 16,
        _ => 0,
    };
    let least = case.delay.min_ms.max(case.jitter_ms as u32);
    no_more("target in the end", target, least + 2 * case.tick_ms as u32 + 20 + step)?;
    no_more("delay in the buffer in the end", buffer, most_over(target, case.tick_ms))?;
    no_more("delay in the end", playout, most_over(target, case.tick_ms))
}

#[test]
fn after_a_jump_of_the_network_the_sound_is_there_within_a_second_and_the_delay_is_its_own() {
    let lengths = [10, 55, 64, 240, 255, 1_000, 1_965, 1_990, 2_000, 4_900];
    let mut events: Vec<Event> = lengths.iter().flat_map(|&ms| [Event::Longer(ms), Event::Shorter(ms)]).collect();
    events.extend([Event::Longer(5_100), Event::Longer(9_985), Event::Longer(60_000)]);
    events.extend([Event::Ramp(1_000, 4), Event::Ramp(4_000, 10), Event::Ramp(6_000, 20)]);
    all_hold(&cases(&events, 4), |case| {
        let settled_ms = match case.event {
            // A queue of a second is waited for until it's forgotten.
            Event::Ramp(_, seconds) => seconds * 1_000 + 90_000,
            Event::Shorter(_) => 40_000,
            _ => 26_000,
        };
        let heard = case.run(settled_ms + 4_000);
        if !matches!(case.event, Event::Ramp(..)) {
            no_more("sound after ms", heard.heard_after_ms(least_ms(case)), 1_000)?;
        }
        settled(case, &heard, settled_ms)?;
        // The bound limits what lies in the buffer, at every moment.
        let [most, ..] = heard.delays(0);
        no_more("ms in the buffer", most, case.delay.max_ms)?;
        no_more("discarded", if matches!(case.event, Event::Longer(_)) { heard.discarded } else { 0 }, may_exceed(case))
    });
}

fn replayed(name: &str, delay: DelayConfig) -> Option<CaptureReport> {
    let bytes = fs::read(shared(&format!("cases/{name}"))?).unwrap();
    let config = ReplayConfig { delay, ..ReplayConfig::default() };
    Some(replay_bytes(name, &bytes, &CaptureKeys::default(), &config).unwrap())
}

#[test]
fn a_clock_that_goes_back_by_the_bound_is_not_heard() {
    let Some(report) = replayed("01_ts_back_2000ms.pcap", DelayConfig::default()) else { return };
    let numbers = &report.streams[0].numbers;
    assert!(numbers.concealed_ratio < 0.002 && numbers.silence_ratio < 0.005, "{numbers:?}");
    assert!(numbers.mean_playout_delay_ms < 60.0 && numbers.discarded == 0, "{numbers:?}");
}

#[test]
fn a_mute_as_long_as_the_bound_is_followed_by_sound() {
    for delay in [DelayConfig::default(), DelayConfig::conversation(), DelayConfig::fixed(60)] {
        let Some(report) = replayed("01b_mute_2000ms_frozen_ts.pcap", delay) else { return };
        let numbers = &report.streams[0].numbers;
        // Two seconds of 24 were mute, of which the first was made up and fell silent.
        assert!(numbers.concealed_ratio < 0.05 && numbers.silence_ratio < 0.06, "{numbers:?}");
        assert!(numbers.mean_buffer_delay_ms < 160.0 && numbers.discarded == 0, "{numbers:?}");
    }
}

#[test]
fn pauses_without_comfort_noise_are_pauses_and_not_losses() {
    let Some(report) = replayed("02_dtx_without_cn.pcap", DelayConfig::default()) else { return };
    let stream = &report.streams[0];
    let numbers = &stream.numbers;
    assert!(numbers.concealed_ratio < 0.001 && numbers.concealment_events == 0, "{numbers:?}");
    assert!((0.40..0.45).contains(&numbers.silence_ratio), "{numbers:?}");
    assert!(numbers.mos_lq.unwrap() > 4.1 && numbers.mean_playout_delay_ms < 40.0, "{numbers:?}");
    assert_eq!(numbers.target_delay_ms, 10, "{numbers:?}");
    assert!(!stream.verdict.starts_with("Bad"), "{}", stream.verdict);
}

#[test]
fn a_hold_of_a_phone_is_a_pause() {
    let Some(report) = replayed("18_hold_of_a_phone.pcapng", DelayConfig::listening()) else { return };
    let stream = &report.streams[0];
    assert!(stream.numbers.concealed_ratio < 0.01, "{:?}", stream.numbers);
    assert!(!stream.verdict.starts_with("Bad"), "{}", stream.verdict);
}

#[test]
fn a_network_that_becomes_seconds_slower_has_nothing_discarded() {
    let Some(path) = shared("cases/19_network_slows_to_6s.csv") else { return };
    let csv = fs::read_to_string(path).unwrap();
    let speech: Vec<i16> = babble(8_000, 20, 0);
    let config =
        TraceConfig { codec: CodecFormat::pcmu(), registry: Registry::builtin(), delay: DelayConfig::listening() };
    // Until the queue begins to come back.
    let comes_by =
        |line: &&str| line.split(',').next().and_then(|ms| ms.parse().ok()).is_none_or(|ms: f64| ms < 70_000.0);
    let slow: String = csv.lines().take_while(comes_by).map(|line| format!("{line}\n")).collect();
    let trace = Trace::parse(&slow, Duration::from_secs(120)).unwrap();
    let report = play(&trace, &speech, &config).unwrap().report;
    assert_eq!((report.discarded, report.late), (0, 0), "{report:?}");
    let whole = Trace::parse(&csv, Duration::from_secs(120)).unwrap();
    let report = play(&whole, &speech, &config).unwrap().report;
    // It starves by six seconds of ninety; one percent more is made up at most.
    assert!(report.concealed_ratio * report.duration_s <= 6.0 + 0.01 * report.duration_s, "{report:?}");
    // Six seconds come back, of which two may lie in the buffer.
    assert!(report.discarded <= 4_000 / 20, "{report:?}");
    assert!(report.max_buffer_delay_ms <= 2_000.0, "{report:?}");
}
