//! What a user does with a desk phone: hook switch and keys, a third one in the call; and a codec chip with a clock of its own.

use crate::harness::{AN386, Plan, assert_heard, assert_whole, firmware};
use crate::heard::{amplitude, longest_silence, loudest, seconds};

/// The user lifts the receiver when it rings, goes on over the loudspeaker and puts it down, mutes the microphone for 3 s, takes the
/// receiver again, and hangs up by it.
#[test]
#[ignore = "a call of 15 s in real time: .ci/long"]
fn phone_call_by_hook_switch_and_keys() {
    let Some(image) = firmware(AN386) else { return };
    let phone: &[&str] = &[
        "user=lift@2",
        "user=speaker@5",
        "user=put-down@7",
        "user=mute@8",
        "user=mute@11",
        "user=lift@13",
        "user=put-down@16",
        "loud=loud.wav",
        "seconds=40",
    ];
    let tones = Some([400, 700, 1_100]);
    let plan = Plan { seconds: 18, answers: true, asked: [phone, &[]], tones, ..Plan::default() };
    let outcome = plan.call("phone-hook", Some(&image));
    // It rings over the loudspeaker, too.
    assert_eq!(outcome.all("path"), ["speaker", "handset", "speaker", "handset"]);
    // Not when the receiver was put down beside the loudspeaker, but at 16 s and the time of a flash.
    assert_eq!(outcome.all("goodbye"), ["ours"]);
    let milliseconds = outcome.told("milliseconds");
    assert!((14_000..20_000).contains(&milliseconds), "{milliseconds} ms");
    let (handset, speaker) = (outcome.sound("first.wav"), outcome.sound("loud.wav"));
    assert_eq!(handset.len(), speaker.len());
    let voiced = |heard: &[i16], from, to| loudest(seconds(heard, outcome.rate_hz, from, to));
    assert!(voiced(&speaker, 0.1, 0.9) > 3_000 && voiced(&handset, 0.0, 1.9) == 0, "the bell");
    assert!(voiced(&handset, 2.5, 4.9) > 3_000 && voiced(&speaker, 2.2, 4.9) == 0, "by the receiver");
    assert!(voiced(&speaker, 5.3, 12.8) > 3_000 && voiced(&handset, 5.3, 12.8) == 0, "over the loudspeaker");
    assert!(voiced(&handset, 13.5, 16.0) > 3_000 && voiced(&speaker, 13.3, 16.0) == 0, "by the receiver again");
    // What the microphone hears is sent but for 3 s.
    let there = outcome.sound("second.wav");
    let silent = longest_silence(seconds(&there, outcome.rate_hz, 2.0, 14.0), outcome.rate_hz);
    assert!((2.7..3.3).contains(&silent), "{silent} s of silence");
    outcome.end();
}

/// A codec chip whose clock is slow by 500 ppm: both ways are resampled, and its drift is found.
#[test]
#[ignore = "a call of 40 s in real time: .ci/long"]
fn phone_call_follows_a_codec_chip_whose_clock_is_its_own() {
    let Some(image) = firmware(AN386) else { return };
    for codec in ["pcmu", "g722"] {
        let plan = Plan { codec, seconds: 40, asked: [&["drift=500"], &[]], ..Plan::default() };
        let outcome = plan.call(&format!("phone-drift-{codec}"), Some(&image));
        assert_whole(&outcome, 40);
        // It's followed with a time constant of 50 s.
        let drift = outcome.told("drift, ppb");
        assert!((100_000..=500_000).contains(&drift), "{drift} ppb");
        assert_heard(&outcome, 0.9);
        outcome.end();
    }
}

/// The phone calls a third one and takes them into the call: each hears the two others, and afterwards it goes on between two.
#[test]
#[ignore = "calls of 16 s in real time: .ci/long"]
fn phone_call_of_three() {
    let Some(image) = firmware(AN386) else { return };
    for codec in ["pcmu", "g722"] {
        let asked: [&[&str]; 2] = [&["user=join@3", "user=join@12"], &[]];
        let tones = [400, 700, 1_100];
        let plan = Plan { codec, srtp: true, seconds: 16, asked, tones: Some(tones), third: true, ..Plan::default() };
        let outcome = plan.call(&format!("phone-three-{codec}"), Some(&image));
        assert_eq!(outcome.all("third"), ["joined", "left"]);
        assert!(outcome.told("third sent") > 200 && outcome.told("third received") > 200);
        assert!(outcome.third.is_some());
        // Theirs begins when they are called.
        let heard = [("first.wav", 6.0, 11.0), ("second.wav", 6.0, 11.0), ("third.wav", 2.0, 7.0)];
        for (own, (name, from, to)) in heard.into_iter().enumerate() {
            let heard = outcome.sound(name);
            let part = seconds(&heard, outcome.rate_hz, from, to);
            for (who, hz) in tones.into_iter().enumerate() {
                let level = amplitude(part, hz, outcome.rate_hz);
                println!("{name}: {hz} Hz at {level:.0}");
                assert!(if who == own { level < 200.0 } else { level > 2_000.0 }, "{name}: {hz} Hz at {level}");
            }
        }
        let heard = outcome.sound("first.wav");
        let alone = tones.map(|hz| amplitude(seconds(&heard, outcome.rate_hz, 13.0, 15.0), hz, outcome.rate_hz));
        assert!(alone[0] < 200.0 && alone[1] > 2_000.0 && alone[2] < 200.0, "{alone:?}");
        outcome.end();
    }
}
