//! Digits of a call as telephone events (RFC 4733): each is heard once when it begins and once when it ends, whatever the
//! network loses, and nothing of the sound's delay, jitter, loss or quality comes from them.

use std::net::SocketAddr;

use dsp_core::codec::ilbc::IlbcMode;
use dsp_core::send::KeyPress;
use dsp_core::time::{Duration, Instant};
use dsp_core::tone::{Country, Digit, EventCode, ProgressTone, ToneSignal};
use host_std::record::call::CallRecorder;
use host_std::registry::CodecFormat;
use host_std::replay::{CaptureKeys, PayloadMap, digits};
use host_std::sdp::{Direction, SrtpPolicy};
use host_std::session::{
    Call, CallConfig, CallDigit, CallStats, CallTone, DigitError, DigitPhase, DigitSource, DigitsWait, Identity,
    SentTone, Tap, ToneDetection, sign,
};
use host_std::simulate::netsim::NetworkConfig;
use host_std::simulate::virtual_time::VirtualTime;

const ALL: &str = "0123456789*#ABCD";

/// Keys by their signs, `!` is a hook flash.
fn keys(signs: &str) -> Vec<KeyPress> {
    let event = |sign| match sign {
        '!' => EventCode::FLASH,
        sign => Digit::from_char(sign).unwrap().into(),
    };
    signs.chars().map(|sign| KeyPress { duration_ms: 80, gap_ms: 60, ..KeyPress::of(event(sign)) }).collect()
}

fn config(port: u16, codecs: &[CodecFormat]) -> CallConfig {
    CallConfig { codecs: codecs.to_vec(), ..CallConfig::with_identity(port, Identity::seeded(port.into())) }
}

fn connect(calls: [CallConfig; 2], network: NetworkConfig, seed: u64) -> VirtualTime {
    let addresses = calls.each_ref().map(|config| SocketAddr::from(([127, 0, 0, 1], config.rtp_port)));
    VirtualTime::connect(calls.map(|config| Call::new(config).unwrap()), addresses, network, 30.0, seed).unwrap()
}

/// Runs for so long and adds what each side has heard.
fn run(simulation: &mut VirtualTime, until_ms: u64, heard: &mut [Vec<CallDigit>; 2]) {
    let mut at = simulation.ends[0].media_time().as_millis();
    while at < until_ms {
        at = (at + 100).min(until_ms);
        simulation.run_until(Instant::from_millis(at));
        for (end, heard) in simulation.ends.iter_mut().zip(&mut *heard) {
            heard.extend(std::iter::from_fn(|| end.call.next_digit()));
        }
    }
}

/// The signs of what was heard, each of which began and then ended, one after the other.
fn signs(heard: &[CallDigit]) -> String {
    let mut signs = String::new();
    for pair in heard.chunks(2) {
        let [begun, ended] = pair else { panic!("{} events: {heard:?}", heard.len()) };
        assert_eq!((begun.phase, ended.phase), (DigitPhase::Began, DigitPhase::Ended), "{heard:?}");
        assert_eq!((begun.number, begun.event, begun.begun), (ended.number, ended.event, ended.begun));
        assert_eq!(begun.source, ended.source);
        signs += &if begun.event == EventCode::FLASH { "!".into() } else { sign(begun.event) };
    }
    signs
}

/// At the clocks of 8, 16 and 48 kHz, with packets of 10 to 60 ms, plain and in SRTP, 10 % of the packets lost and others
/// late, twice and out of order: none lost, none doubled.
#[test]
fn digits_both_ways_with_a_tenth_of_the_packets_lost() {
    let network = NetworkConfig {
        loss_percent: 10.0,
        burst: 1.5,
        jitter_ms: 8.0,
        reorder_percent: 3.0,
        duplicate_percent: 3.0,
        ..NetworkConfig::default()
    };
    let cases = [
        (CodecFormat::pcmu(), 8_000, 20, SrtpPolicy::Required),
        (CodecFormat::g722(), 8_000, 30, SrtpPolicy::Off),
        (CodecFormat::l16(16_000, 1), 16_000, 10, SrtpPolicy::Required),
        (CodecFormat::opus(), 48_000, 20, SrtpPolicy::Required),
    ];
    for (seed, (codec, clock_hz, ptime_ms, srtp)) in (1..).zip(cases) {
        let side = |port| CallConfig { srtp, ptime_ms, ..config(port, std::slice::from_ref(&codec)) };
        let mut simulation = connect([side(4_000), side(5_000)], network, seed);
        for end in &mut simulation.ends {
            let events = &end.call.negotiated_stream(0).unwrap().send_events;
            assert_eq!(events.iter().map(|events| events.rtp_clock_hz).collect::<Vec<_>>(), [clock_hz]);
            end.call.send_digits(&keys(&format!("{ALL}!"))).unwrap();
        }
        let mut heard = [Vec::new(), Vec::new()];
        run(&mut simulation, 4_000, &mut heard);
        for (end, heard) in simulation.ends.iter().zip(&heard) {
            assert_eq!(signs(heard), format!("{ALL}!"), "{}", codec.to_rtpmap());
            let stats = end.call.stats();
            assert_eq!(stats.unaccounted(), [0; 5]);
            assert_eq!((stats.digits.heard, stats.digits.sent, stats.digits.dropped), (17, 17, 0));
            // Those whose end came have the length that they were pressed for.
            let right = heard.iter().filter(|digit| digit.duration == Duration::from_millis(80)).count();
            assert!(right + 2 >= 17 - stats.digits.lost_ends as usize, "{right} {stats:?}");
            // Where the beginning was not lost, it's told with the first packet.
            let begun = heard.iter().filter(|digit| digit.phase == DigitPhase::Began);
            let first = begun.filter(|digit| digit.duration <= Duration::from_millis(u64::from(ptime_ms)));
            assert!(first.count() >= 11, "{heard:?}");
        }
    }
}

fn quality(stats: &CallStats) -> [i64; 8] {
    let total = &stats.total;
    [
        total.total.lost() as i64,
        total.late.into(),
        total.discarded.into(),
        total.concealed_samples as i64,
        i64::from(total.reception.jitter_ticks) / 8,
        i64::from(total.target_delay_ms) / 10,
        stats.bursts.loss_rate().into(),
        (stats.mos_lq.unwrap_or(0.0) * 10.0).round() as i64,
    ]
}

/// The same call without digits and with as many as there is time for.
#[test]
fn digits_move_neither_delay_nor_jitter_nor_loss_nor_quality() {
    for (codec, jitter_ms) in [(CodecFormat::pcmu(), 0.0), (CodecFormat::opus(), 0.0), (CodecFormat::opus(), 6.0)] {
        let heard = |pressed: &str| {
            let network = NetworkConfig { jitter_ms, ..NetworkConfig::default() };
            let side = |port| config(port, std::slice::from_ref(&codec));
            let mut simulation = connect([side(4_000), side(5_000)], network, 9);
            for end in &mut simulation.ends {
                end.speech = (0..end.sample_rate_hz()).map(|n| ((n * n / 64) % 6_000) as i16 - 3_000).collect();
            }
            let mut heard = [Vec::new(), Vec::new()];
            run(&mut simulation, 4_000, &mut heard);
            simulation.ends[0].call.send_digits(&keys(pressed)).unwrap();
            run(&mut simulation, 12_000, &mut heard);
            assert_eq!(signs(&heard[1]), pressed);
            simulation.ends.map(|end| end.call.stats())
        };
        let (without, with) = (heard(""), heard("147*2580369#"));
        assert!(with[1].total.event_packets > 60, "{with:?}");
        let (without, with) = (quality(&without[1]), quality(&with[1]));
        if jitter_ms == 0.0 {
            assert_eq!(without, with, "{}", codec.to_rtpmap());
            assert_eq!(with[..4], [0; 4]);
        } else {
            let near = |at: usize, by: i64| (without[at] - with[at]).abs() <= by;
            assert!(near(0, 0) && near(4, 4) && near(5, 1) && near(7, 1), "{without:?} {with:?}");
        }
    }
}

/// An event that lasts goes on through a new offer; on hold what waits goes on waiting; another clock ends the one that
/// lasts, and the next goes out at that clock.
#[test]
fn digits_go_on_through_hold_new_offers_and_other_codecs() {
    let both = [CodecFormat::pcmu(), CodecFormat::opus()];
    let mut simulation = connect([config(4_000, &both), config(5_000, &both)], NetworkConfig::default(), 3);
    let reoffer = |simulation: &mut VirtualTime, at_ms: u64| {
        let now = Instant::from_millis(at_ms);
        let [ours, theirs] = &mut simulation.ends;
        let offer = ours.call.offer().unwrap();
        let answer = theirs.call.answer(now, &offer).unwrap();
        ours.call.accept(now, &answer).unwrap();
        offer
    };
    let mut heard = [Vec::new(), Vec::new()];
    let offer = reoffer(&mut simulation, 0);
    assert!(offer.contains("telephone-event/8000") && offer.contains("telephone-event/48000"), "{offer}");
    let long = KeyPress { duration_ms: 900, ..keys("7")[0] };
    simulation.ends[0].call.send_digits(&[long]).unwrap();
    run(&mut simulation, 500, &mut heard);
    // New keys in the midst of a digit.
    simulation.ends[0].call.rekey().unwrap();
    reoffer(&mut simulation, 500);
    run(&mut simulation, 1_500, &mut heard);
    assert_eq!((signs(&heard[1]).as_str(), heard[1][1].duration), ("7", Duration::from_millis(900)));
    // We are on hold, and may say nothing: what is pressed waits.
    simulation.ends[0].call.set_direction(Direction::RecvOnly);
    reoffer(&mut simulation, 1_500);
    simulation.ends[0].call.send_digits(&keys("42")).unwrap();
    run(&mut simulation, 2_500, &mut heard);
    assert_eq!(signs(&heard[1]), "7");
    let ours = &simulation.ends[0].call;
    assert_eq!((ours.digits_wait(), ours.stats().digits.waiting), (Some(DigitsWait::OnHold), 2));
    simulation.ends[0].call.set_direction(Direction::SendRecv);
    reoffer(&mut simulation, 2_500);
    run(&mut simulation, 3_500, &mut heard);
    assert_eq!(signs(&heard[1]), "742");
    let ours = &simulation.ends[0].call;
    assert_eq!((ours.digits_wait(), ours.stats().digits.waiting), (None, 0));
    // The other codec has another clock: the 8 that lasts ends there, the 9 goes out as it should.
    simulation.ends[0].call.send_digits(&[KeyPress { duration_ms: 5_000, ..keys("8")[0] }, keys("9")[0]]).unwrap();
    run(&mut simulation, 4_000, &mut heard);
    simulation.ends[0].call.set_codecs(&[CodecFormat::opus(), CodecFormat::pcmu()]).unwrap();
    reoffer(&mut simulation, 4_000);
    run(&mut simulation, 5_500, &mut heard);
    assert_eq!(signs(&heard[1]), "74289");
    assert_eq!(simulation.ends[0].call.codec().map(|codec| codec.rtp_clock_hz), Some(48_000));
    assert_eq!(heard[1].last().map(|digit| digit.duration), Some(Duration::from_millis(80)));
    assert_eq!(simulation.ends[1].call.stats().unaccounted(), [0; 5]);
    assert!(heard[0].is_empty());
}

/// What the other side doesn't take is refused in words, all of it.
#[test]
fn what_the_other_side_does_not_take_is_refused_in_words() {
    let pcmu = [CodecFormat::pcmu()];
    let mut alone = Call::new(config(4_000, &pcmu)).unwrap();
    assert_eq!(alone.send_digits(&keys("1")), Err(DigitError::Stream(0)));

    let deaf = CallConfig { telephone_events: false, digits_as_tones: false, ..config(5_000, &pcmu) };
    let mut simulation = connect([config(4_000, &pcmu), deaf], NetworkConfig::default(), 1);
    let [ours, theirs] = &mut simulation.ends;
    let refused = theirs.call.send_digits(&keys("1")).unwrap_err();
    assert_eq!(refused, DigitError::NoEvents);
    assert_eq!(refused.to_string(), "no digits can be sent: the other side takes no telephone events");
    // As tones, what is one.
    let refused = ours.call.send_digits(&keys("1!")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "flash (event 16) can't be sent: the other side takes no telephone events, and it is no tone"
    );
    assert_eq!(ours.call.send_digits(&keys(&"5".repeat(33))), Err(DigitError::Full { room: 32, got: 33 }));
    assert_eq!(ours.call.stats().digits.waiting, 0);

    let mut ours = Call::new(config(4_000, &pcmu)).unwrap();
    let mut theirs = Call::new(config(5_000, &pcmu)).unwrap();
    let offer = ours.offer().unwrap();
    assert!(offer.contains("a=fmtp:101 0-16\r\n"), "{offer}");
    let answer = theirs.answer(Instant::ZERO, &offer).unwrap().replace("fmtp:101 0-16", "fmtp:101 0-9,11");
    ours.accept(Instant::ZERO, &answer).unwrap();
    let refused = ours.send_digits(&keys("1*2")).unwrap_err();
    assert_eq!(refused.to_string(), "the other side doesn't take * (event 10): it takes 0-9,11");
    let refused = ours.send_digits(&keys("!")).unwrap_err();
    assert_eq!(refused.to_string(), "the other side doesn't take flash (event 16): it takes 0-9,11");
    assert_eq!(ours.send_digits(&keys("1#2")), Ok(()));
    let refused = ours.send_digits(&keys(&"5".repeat(30))).unwrap_err();
    assert_eq!(refused, DigitError::Full { room: 29, got: 30 });
    assert_eq!(refused.to_string(), "30 digits are too many: 29 more can wait until those before them are sent");
}

/// A peer that has events only at another clock than its codec's: its clock counts in the durations.
#[test]
fn events_at_another_clock_than_the_codecs_are_better_than_none() {
    let opus = [CodecFormat::opus()];
    let mut ours = Call::new(config(4_000, &opus)).unwrap();
    let mut theirs = Call::new(config(5_000, &opus)).unwrap();
    let narrow = |text: String| text.replace("telephone-event/48000", "telephone-event/8000");
    let offer = narrow(ours.offer().unwrap());
    let answer = narrow(theirs.answer(Instant::ZERO, &offer).unwrap());
    let offered = ours.offer().unwrap();
    // We offered another clock than they took: no events, rather than some that mean something else.
    assert!(offered.contains("telephone-event/48000"));
    ours.accept(Instant::ZERO, &answer).unwrap();
    assert_eq!(ours.taken_events(), None);
    assert_eq!(theirs.send_digits(&keys("1")), Ok(()));
    assert_eq!(theirs.negotiated_stream(0).unwrap().send_events[0].rtp_clock_hz, 8_000);
}

/// Who never asks loses the oldest, and is told how many.
#[test]
fn what_nobody_asks_for_is_dropped_and_counted() {
    let pcmu = [CodecFormat::pcmu()];
    let mut simulation = connect([config(4_000, &pcmu), config(5_000, &pcmu)], NetworkConfig::default(), 1);
    for begin_ms in [0, 4_000] {
        simulation.ends[0].call.send_digits(&keys(ALL)).unwrap();
        simulation.run_until(Instant::from_millis(begin_ms + 4_000));
    }
    let call = &mut simulation.ends[1].call;
    assert_eq!(call.stats().digits.dropped, 32);
    let heard: Vec<_> = std::iter::from_fn(|| call.next_digit()).collect();
    assert_eq!(signs(&heard), ALL);
    assert_eq!(heard[0].number, 16);
}

/// SIPp's captures of the twelve keys: events alone, which begin with a duration of 0 and end with three packets of one
/// sequence number.
#[test]
fn captures_of_keys_give_their_digits() {
    for (name, sign) in ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "star", "pound"].into_iter().zip(ALL.chars())
    {
        let Some(path) = media_core_tests::shared(&format!("data/pcap/dtmf_2833_{name}.pcap")) else { return };
        let streams = digits(&path, &CaptureKeys::default(), &PayloadMap::default()).unwrap();
        let found: Vec<_> = streams.iter().flat_map(|stream| &stream.digits).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        let row = found[0];
        assert_eq!((row.digit.as_str(), row.start_ms, row.duration_ms), (sign.to_string().as_str(), 0.0, 280.0));
        assert_eq!((row.level_dbm0, row.source), (-10.0, "event"));
    }
    let Some(speech) = media_core_tests::shared("data/pcap/g711a.pcap") else { return };
    assert!(digits(&speech, &CaptureKeys::default(), &PayloadMap::default()).unwrap().is_empty());
    // Events among packets of sound, which no map names.
    let Some(beside) = media_core_tests::shared("cases/03_dtmf_beside_audio.pcap") else { return };
    let streams = digits(&beside, &CaptureKeys::default(), &PayloadMap::default()).unwrap();
    let rows: Vec<_> = streams[0].digits.iter().map(|row| (row.digit.as_str(), row.duration_ms)).collect();
    assert_eq!(rows, [("5", 200.0), ("6", 200.0), ("7", 200.0), ("8", 200.0)]);
}

/// A digit of 100 ms at so many ms of sound at 8 kHz, -7 dBm0 together.
fn sound(pcm: &mut [i16], sign: char, from_ms: usize, length_ms: usize) {
    let digit = Digit::from_char(sign).unwrap();
    for (n, sample) in pcm[from_ms * 8..][..length_ms * 8].iter_mut().enumerate() {
        let sine = |hz: u32| (n as f64 * f64::from(hz) * std::f64::consts::TAU / 8_000.0).sin();
        // Full scale is 3.14 dBm0; each of the two is 10 dB below 0 dBm0.
        *sample = ((sine(digit.row_hz()) + sine(digit.column_hz())) * 32_768.0 * 10f64.powf(-13.14 / 20.0)) as i16;
    }
}

/// Where no events were agreed on, digits are heard in the sound, once each, and taken out of it where that is wanted.
#[test]
fn tones_are_digits_where_there_are_no_events() {
    for mute_tones in [false, true] {
        let pcmu = [CodecFormat::pcmu()];
        let deaf = |port| CallConfig { telephone_events: false, mute_tones, ..config(port, &pcmu) };
        let mut simulation = connect([deaf(4_000), deaf(5_000)], NetworkConfig::default(), 1);
        simulation.ends[0].speech = vec![0; 8_000 * 4];
        for (at, sign) in ALL.chars().enumerate() {
            sound(&mut simulation.ends[0].speech, sign, 200 + at * 200, 100);
        }
        simulation.ends[1].call.set_tap(Box::new(CallRecorder::default()));
        let mut heard = [Vec::new(), Vec::new()];
        run(&mut simulation, 3_900, &mut heard);
        assert_eq!(signs(&heard[1]), ALL);
        for ended in heard[1].iter().filter(|digit| digit.phase == DigitPhase::Ended) {
            assert_eq!(ended.source, DigitSource::InBand);
            assert!((ended.level_dbm0 + 7.0).abs() < 1.0, "{ended:?}");
            assert!((80..=115).contains(&ended.duration.as_millis()), "{ended:?}");
        }
        let first = heard[1][0].begun.as_millis();
        assert!((215..=290).contains(&first), "said at 200 ms, a packet of 20 ms and 20 ms on the network: {first}");
        let stats = simulation.ends[1].call.stats().digits;
        assert_eq!((stats.heard, stats.in_band), (16, 16));
        let loud = media_core_tests::recorder(&simulation.ends[1].call)
            .heard
            .iter()
            .filter(|&&sample| sample.unsigned_abs() > 1_000);
        let loud_ms = loud.count() / 8;
        if mute_tones {
            assert!(loud_ms < 16 * 18, "{loud_ms}");
        } else {
            assert!(loud_ms > 16 * 60, "{loud_ms}");
        }
    }
}

/// A gateway sends a tone until it has known it, then the event, and once more what is left of the tone: one digit. The
/// same key twice is two.
#[test]
fn a_tone_and_an_event_at_once_are_one_digit() {
    let pcmu = [CodecFormat::pcmu()];
    let side = |port| CallConfig { tones: ToneDetection::Always, ..config(port, &pcmu) };
    let network = NetworkConfig { jitter_ms: 5.0, ..NetworkConfig::default() };
    for leak_ms in [0, 20, 60, 90] {
        let mut simulation = connect([side(4_000), side(5_000)], network, 5);
        simulation.ends[0].speech = vec![0; 8_000 * 5];
        let pressed = [(1_000, '5'), (1_600, '5'), (2_200, '8'), (3_000, '#')];
        let mut heard = [Vec::new(), Vec::new()];
        for (at_ms, sign) in pressed {
            sound(&mut simulation.ends[0].speech, sign, at_ms - leak_ms, 240 + leak_ms);
        }
        // Only as a tone, and only as an event.
        sound(&mut simulation.ends[0].speech, '3', 3_600, 100);
        for (at_ms, sign) in pressed.into_iter().chain([(4_000, '9')]) {
            run(&mut simulation, at_ms as u64, &mut heard);
            let key = KeyPress { duration_ms: 120, ..keys(&sign.to_string())[0] };
            simulation.ends[0].call.send_digits(&[key]).unwrap();
        }
        run(&mut simulation, 4_900, &mut heard);
        heard[1].sort_by_key(|digit| digit.number);
        assert_eq!(signs(&heard[1]), "558#39", "{leak_ms}: {:?}", heard[1]);
        let in_band = simulation.ends[1].call.stats().digits.in_band;
        assert!((1..=5).contains(&in_band) && (leak_ms < 90 || in_band == 5), "{leak_ms}: {in_band}");
    }
}

/// The event is first, and the tone begins within it or behind its end, as a gateway with a slower road for sound has it.
#[test]
fn an_event_before_its_tone_is_one_digit() {
    let pcmu = [CodecFormat::pcmu()];
    let side = |port| CallConfig { tones: ToneDetection::Always, ..config(port, &pcmu) };
    let network = NetworkConfig { jitter_ms: 5.0, ..NetworkConfig::default() };
    for later_ms in [20, 60, 100, 150] {
        let mut simulation = connect([side(4_000), side(5_000)], network, 6);
        simulation.ends[0].speech = vec![0; 8_000 * 5];
        let pressed = [(1_000, '5'), (1_700, '5'), (2_400, '8'), (3_300, '#')];
        let mut heard = [Vec::new(), Vec::new()];
        for (at_ms, sign) in pressed {
            sound(&mut simulation.ends[0].speech, sign, at_ms + later_ms, 250);
        }
        for (at_ms, sign) in pressed {
            run(&mut simulation, at_ms as u64, &mut heard);
            let key = KeyPress { duration_ms: 120, ..keys(&sign.to_string())[0] };
            simulation.ends[0].call.send_digits(&[key]).unwrap();
        }
        run(&mut simulation, 4_900, &mut heard);
        heard[1].sort_by_key(|digit| digit.number);
        assert_eq!(signs(&heard[1]), "558#", "{later_ms}: {:?}", heard[1]);
        assert_eq!(simulation.ends[1].call.stats().digits.in_band, 0);
    }
}

/// To a side that takes no events digits go as tones, in every codec, and on hold they wait.
#[test]
fn digits_go_as_tones_where_there_are_no_events() {
    let codecs = [
        CodecFormat::pcmu(),
        CodecFormat::g722(),
        CodecFormat::ilbc(IlbcMode::Ms20),
        CodecFormat::opus(),
        CodecFormat::l16(16_000, 2),
    ];
    for codec in codecs {
        let side = |port| CallConfig {
            telephone_events: port == 4_000,
            comfort_noise: true,
            ..config(port, std::slice::from_ref(&codec))
        };
        let mut simulation = connect([side(4_000), side(5_000)], NetworkConfig::default(), 7);
        let mut heard = [Vec::new(), Vec::new()];
        run(&mut simulation, 500, &mut heard);
        let presses = keys("147*0#D");
        simulation.ends[0].call.send_digits(&presses).unwrap();
        run(&mut simulation, 1_900, &mut heard);
        assert_eq!(signs(&heard[1]), "147*0#D", "{}: {:?}", codec.to_rtpmap(), heard[1]);
        assert!(heard[1].iter().all(|digit| digit.source == DigitSource::InBand), "{:?}", heard[1]);
        let digits = simulation.ends[0].call.stats().digits;
        assert_eq!((digits.sent, digits.sent_in_band, digits.waiting), (7, 7, 0));
        simulation.ends[0].call.set_direction(Direction::RecvOnly);
        let now = Instant::from_millis(1_900);
        let [ours, theirs] = &mut simulation.ends;
        let answer = theirs.call.answer(now, &ours.call.offer().unwrap()).unwrap();
        ours.call.accept(now, &answer).unwrap();
        ours.call.send_digits(&keys("9")).unwrap();
        run(&mut simulation, 2_400, &mut heard);
        let digits = simulation.ends[0].call.stats().digits;
        assert_eq!((digits.sent, digits.waiting, heard[1].len()), (7, 1, 14));
    }
}

/// Runs for so long and adds the tones that the second side has heard.
fn run_tones(simulation: &mut VirtualTime, until_ms: u64, tones: &mut Vec<CallTone>) {
    run(simulation, until_ms, &mut [Vec::new(), Vec::new()]);
    tones.extend(std::iter::from_fn(|| simulation.ends[1].call.next_tone()));
}

/// A tone of a call is told once when it is known and once when it has ended, at the time when it began, through codecs and
/// lost packets; nobody hears any who doesn't ask.
#[test]
fn tones_of_a_call_are_told_once_each() {
    let germany = Country::of("de").unwrap();
    let cases = [
        (CodecFormat::pcma(), ToneSignal::Progress(ProgressTone::Busy), 8_000),
        (CodecFormat::opus(), ToneSignal::Progress(ProgressTone::Ringing), 16_000),
        (CodecFormat::g722(), ToneSignal::Progress(ProgressTone::Dial), 5_000),
        (CodecFormat::pcmu(), ToneSignal::Cng, 12_000),
        (CodecFormat::pcma(), ToneSignal::Ced, 4_000),
        (CodecFormat::l16(48_000, 2), ToneSignal::Ansam, 5_000),
    ];
    for (codec, signal, length_ms) in cases {
        // A lost packet may hide one of the reversals that make ANSam of CED.
        let loss_percent = if signal == ToneSignal::Ansam { 0.0 } else { 2.0 };
        let network = NetworkConfig { loss_percent, burst: 1.0, ..NetworkConfig::default() };
        let side = |port| CallConfig {
            progress_tones: (port == 5_000).then_some(germany),
            ..config(port, std::slice::from_ref(&codec))
        };
        let mut simulation = connect([side(4_000), side(5_000)], network, 8);
        simulation.ends[1].call.set_tap(Box::new(CallRecorder::default()));
        simulation.ends[1].call.add_tap(Box::new(Told::default()));
        let mut tones = Vec::new();
        run_tones(&mut simulation, 1_000, &mut tones);
        let tone = SentTone { duration: Some(Duration::from_millis(length_ms)), ..SentTone::of(signal, germany) };
        simulation.ends[0].call.send_tone(&tone).unwrap();
        run_tones(&mut simulation, length_ms + 7_000, &mut tones);
        let [began, ended] = &tones[..] else { panic!("{}, {signal:?}: {tones:?}", codec.to_rtpmap()) };
        assert_eq!((began.signal, ended.signal, began.number, ended.number), (signal, signal, 0, 0));
        assert_eq!((began.phase, ended.phase), (DigitPhase::Began, DigitPhase::Ended));
        // A packet, 20 ms of network, and what 20 ms a block leave open; codecs take their time too.
        let late = began.begun.as_millis() as i64 - 1_000;
        assert!((20..=110).contains(&late) && began.begun == ended.begun, "{signal:?}: {late}");
        let pause = signal.segments(germany).last().map_or(0, |last| if last.hz == 0 { u64::from(last.ms) } else { 0 });
        let most = tone_length_ms(&tone, length_ms);
        let lasted = ended.duration.as_millis();
        assert!(lasted <= most + 60 && lasted + pause + 60 >= most, "{signal:?}: {lasted} of {most}");
        let told = simulation.ends[1].call.tap::<Told>().unwrap();
        assert_eq!(told.0, tones);
        assert_eq!(simulation.ends[1].call.stats().unaccounted(), [0; 5]);
        assert_eq!(simulation.ends[0].call.next_tone(), None);
    }
}

/// How long a tone sounds that is asked for so long.
fn tone_length_ms(tone: &SentTone, asked_ms: u64) -> u64 {
    let ends = tone.segments.last().is_some_and(|last| (last.hz, last.ms) == (0, 0));
    let own: u64 = tone.segments.iter().map(|segment| u64::from(segment.ms)).sum();
    if ends { own.min(asked_ms) } else { asked_ms }
}

/// A second tap, which is told of tones too.
#[derive(Default)]
struct Told(Vec<CallTone>);

impl Tap for Told {
    fn tone(&mut self, _: Instant, tone: &CallTone) {
        self.0.push(*tone);
    }
}

/// A tone goes on through a new offer, waits on hold, and has no end where the call has ended first; a closed stream ends it.
#[test]
fn tones_go_on_through_new_offers() {
    let germany = Country::of("de").unwrap();
    let pcmu = [CodecFormat::pcmu(), CodecFormat::opus()];
    let side = |port| CallConfig { progress_tones: Some(germany), ..config(port, &pcmu) };
    let mut simulation = connect([side(4_000), side(5_000)], NetworkConfig::default(), 9);
    let signal = ToneSignal::Progress(ProgressTone::Busy);
    simulation.ends[0].call.send_tone(&SentTone::of(signal, germany)).unwrap();
    let mut tones = Vec::new();
    run_tones(&mut simulation, 5_000, &mut tones);
    assert_eq!(tones.len(), 1, "{tones:?}");
    let reoffer = |simulation: &mut VirtualTime, at_ms: u64| {
        let now = Instant::from_millis(at_ms);
        let [ours, theirs] = &mut simulation.ends;
        let answer = theirs.call.answer(now, &ours.call.offer().unwrap()).unwrap();
        ours.call.accept(now, &answer).unwrap();
    };
    simulation.ends[0].call.rekey().unwrap();
    reoffer(&mut simulation, 5_000);
    run_tones(&mut simulation, 9_000, &mut tones);
    assert_eq!(tones.len(), 1, "{tones:?}");
    // Another codec is another rate of what is captured: the tone begins anew there, and is no other one.
    simulation.ends[0].call.set_codecs(&[CodecFormat::opus(), CodecFormat::pcmu()]).unwrap();
    reoffer(&mut simulation, 9_000);
    run_tones(&mut simulation, 15_000, &mut tones);
    assert!(tones.len() == 1 || (tones.len() == 3 && tones[2].phase == DigitPhase::Began), "{tones:?}");
    assert!(tones.iter().all(|tone| tone.signal == signal));
    assert!(simulation.ends[0].call.end_tone() && !simulation.ends[0].call.end_tone());
    run_tones(&mut simulation, 18_000, &mut tones);
    assert_eq!(tones.last().map(|tone| tone.phase), Some(DigitPhase::Ended));
}
