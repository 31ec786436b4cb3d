use std::vec::Vec;

use super::*;
use crate::codec::g711::{linear_to_ulaw, ulaw_to_linear};
use crate::tone::countries::COUNTRIES;
use crate::tone::progress::{ANSAM, CED, ProgressGenerator};

fn heard(
    country: &'static Country,
    rate: u32,
    segments: &'static [Segment],
    seconds: u32,
    lost: bool,
) -> Vec<HeardTone> {
    let mut generator = ProgressGenerator::new(rate, -1_300, segments).unwrap();
    let mut detector = ProgressDetector::new(rate, country).unwrap();
    let mut told = Vec::new();
    let mut frame = std::vec![0i16; (rate / 50) as usize];
    let mut state = 7u32;
    detector.hear(&std::vec![0i16; rate as usize / 2 + 37], |tone| told.push(tone));
    let mut last = frame.clone();
    for _ in 0..seconds * 50 {
        generator.fill(&mut frame);
        // Through G.711, and one packet of twenty the same as that before it.
        let coded: Vec<i16> = frame.iter().map(|&x| ulaw_to_linear(linear_to_ulaw(x))).collect();
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if !lost || state >> 16 > 0xffff / 20 {
            last = coded;
        }
        detector.hear(&last, |tone| told.push(tone));
    }
    detector.hear(&std::vec![0i16; rate as usize * 12], |tone| told.push(tone));
    told
}

fn can_be_heard(segments: &[Segment]) -> bool {
    segments.iter().all(|segment| segment.ms == 0 || segment.ms >= 60)
}

#[test]
fn each_countrys_tones_are_heard() {
    let mut wrong = Vec::new();
    for country in &COUNTRIES {
        for tone in ALL {
            let segments = country.tone(tone);
            if !can_be_heard(segments) {
                continue;
            }
            let mut first = ALL.into_iter().find(|&other| country.tone(other) == segments).unwrap();
            match (country.code, tone) {
                // Its level and 5 Hz tell it from busy, and a beat from congestion: nobody hears that.
                ("au", ProgressTone::Congestion) => first = ProgressTone::Busy,
                ("za", ProgressTone::CallWaiting) => first = ProgressTone::Congestion,
                _ => {}
            }
            let told = heard(country, 8_000, segments, 30, false);
            let signals: Vec<_> = told.iter().map(|tone| (tone.signal, tone.ended)).collect();
            let expected = [(ToneSignal::Progress(first), false), (ToneSignal::Progress(first), true)];
            if signals != expected {
                wrong.push((country.code, tone, signals));
            }
        }
    }
    std::println!("{wrong:#?}");
    assert!(wrong.is_empty(), "{} are wrong", wrong.len());
}

#[test]
fn a_lost_packet_in_twenty_hides_no_tone() {
    let (mut all, mut right) = (0, 0);
    for country in COUNTRIES.iter().step_by(3) {
        for tone in ALL.into_iter().filter(|&tone| can_be_heard(country.tone(tone))) {
            let segments = country.tone(tone);
            let told = heard(country, 8_000, segments, 40, true);
            let same = |told: &HeardTone| match told.signal {
                ToneSignal::Progress(signal) => country.tone(signal) == segments || country.code == "au",
                _ => false,
            };
            all += 1;
            let is_right = told.first().is_some_and(same) && told.iter().all(same);
            right += usize::from(is_right);
            if !is_right {
                std::println!(
                    "{} {tone:?} {:?}",
                    country.code,
                    told.iter().map(|tone| (tone.signal, tone.ended)).collect::<Vec<_>>()
                );
            }
        }
    }
    std::println!("{right} of {all} tones");
    assert!(right == all, "{right} of {all}");
}

#[test]
fn faxes_and_modems_are_heard() {
    let country = Country::of("de").unwrap();
    for rate in [8_000, 16_000, 48_000] {
        for (segments, signal) in
            [(&CNG[..], ToneSignal::Cng), (&CED[..], ToneSignal::Ced), (&ANSAM[..], ToneSignal::Ansam)]
        {
            let told = heard(country, rate, segments, 9, false);
            // And with a packet in twenty lost.
            let again = heard(country, rate, segments, 9, true);
            assert_eq!(again.first().map(|tone| tone.signal), Some(signal), "{rate} {again:?}");
            assert_eq!(told.first().map(|tone| (tone.signal, tone.ended)), Some((signal, false)), "{rate} {told:?}");
            assert!(told.iter().all(|tone| tone.signal == signal), "{rate} {told:?}");
            let lasts_ms = [(ToneSignal::Ced, 3_000), (ToneSignal::Ansam, 4_000)]
                .iter()
                .find(|(of, _)| *of == signal)
                .map(|of| of.1);
            let lasted_ms = told.last().map_or(0, |tone| tone.duration.as_millis());
            assert!(lasts_ms.is_none_or(|ms: u64| lasted_ms.abs_diff(ms) <= 40), "{rate} {told:?}");
        }
    }
}

#[test]
fn bad_rates_are_told_and_any_sound_is_survived() {
    let country = Country::of("us").unwrap();
    for rate in [0, 7_999, 8_001, 96_000] {
        assert_eq!(ProgressDetector::new(rate, country).err(), Some(ListenerError { sample_rate_hz: rate }));
    }
    for country in &COUNTRIES {
        assert!(ProgressDetector::new(48_000, country).is_ok(), "{}", country.code);
    }
    let mut detector = ProgressDetector::new(8_000, country).unwrap();
    let mut told = 0;
    for value in [f32::NAN, f32::INFINITY, 1.0, -1.0, 0.0] {
        detector.hear(&[value; 9_001], |_| told += 1);
    }
    let square: Vec<i16> = (0..80_000).map(|n| if n % 10 < 5 { i16::MAX } else { i16::MIN }).collect();
    detector.hear(&square, |_| told += 1);
    assert_eq!((told, detector.sounding()), (0, None));
}
