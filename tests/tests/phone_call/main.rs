//! A desk phone's firmware in QEMU (`examples/qemu-phone`) in calls with the command line: keys and ports by offer and answer, sound
//! both ways, and between two desktops the same call to compare with. `phone_call_smoke` runs with all tests, the others are .ci/long's:
//!
//!     cargo test --workspace --test phone_call -- --include-ignored --nocapture --test-threads=1

mod desk;
mod faults;
mod harness;
mod heard;
mod sounds;

use std::fs;
use std::path::Path;

use host_std::simulate::netsim::NetworkConfig;

use harness::{AN386, AN505, Plan, assert_heard, assert_whole, firmware};
use heard::packets_from;

/// Ten seconds of a call. It builds the firmware, which takes a minute the first time.
#[test]
fn phone_call_smoke() {
    let Some(image) = firmware(AN386) else { return };
    ten_seconds(Plan::default(), "phone-smoke", &image);
}

fn ten_seconds(plan: Plan<'_>, name: &str, image: &Path) {
    let outcome = plan.call(name, Some(image));
    assert_whole(&outcome, 10);
    assert_heard(&outcome, 0.9);
    outcome.end();
}

/// The same on a Cortex-M33.
#[test]
#[ignore = "the firmware takes a minute to build: .ci/long"]
fn phone_call_on_a_cortex_m33() {
    let Some(image) = firmware(AN505) else { return };
    for codec in ["pcmu", "g722"] {
        let plan = Plan { board: AN505, codec, srtp: true, ..Plan::default() };
        ten_seconds(plan, &format!("phone-m33-{codec}"), &image);
    }
}

/// The desktop begins, the phone rings for two seconds before it answers, and ends when the desktop says goodbye. What it sends is marked.
#[test]
#[ignore = "the firmware takes a minute to build: .ci/long"]
fn phone_call_rings_is_marked_and_ends_with_the_other_side() {
    let Some(image) = firmware(AN386) else { return };
    let asked: [&[&str]; 2] = [&["ring=2", "seconds=40"], &[]];
    let plan = Plan { srtp: true, seconds: 6, answers: true, asked, ..Plan::default() };
    let outcome = plan.call("phone-rings", Some(&image));
    assert_eq!(outcome.all("goodbye"), ["theirs"]);
    let milliseconds = outcome.told("milliseconds");
    assert!((5_000..12_000).contains(&milliseconds), "{milliseconds} ms");
    // The bell: a second, and 2 s of silence.
    let heard = outcome.sound("first.wav");
    let loudest = |from_ms: usize, to_ms: usize| heard[8 * from_ms..8 * to_ms].iter().map(|x| x.unsigned_abs()).max();
    assert!(loudest(100, 900) > Some(3_000) && loudest(1_150, 1_900) == Some(0), "{:?}", loudest(1_150, 1_900));
    let wire = fs::read(outcome.folder.join("wire.pcap")).unwrap();
    let packets = packets_from(&wire, 5004);
    assert!(packets.len() > 200 && packets.iter().all(|packet| packet[1] == 46 << 2), "{} packets", packets.len());
    outcome.end();
}

/// The desktop's later offer asks for packets of 40 ms.
#[test]
#[ignore = "a call of 10 s in real time: .ci/long"]
fn phone_call_takes_another_packet_length_from_a_later_offer() {
    let Some(image) = firmware(AN386) else { return };
    let longer = |text: String| {
        let later = text.contains("x-media-core:offer") && text.contains("a=sendrecv");
        if later { text.replace("a=ptime:20", "a=ptime:40") } else { text }
    };
    let desktop: &[&str] = &["--hold-at", "3", "--resume-at", "5"];
    let network = Some((NetworkConfig::default(), 1));
    let plan = Plan { asked: [&[], desktop], network, rewrite: longer, ..Plan::default() };
    let outcome = plan.call("phone-ptime", Some(&image));
    assert!(outcome.all("refused").is_empty());
    let wire = fs::read(outcome.folder.join("wire.pcap")).unwrap();
    // UDP's payload, of sound: reports are no such lengths.
    let lengths = packets_from(&wire, 5004).into_iter().map(|packet| u16::from_be_bytes([packet[24], packet[25]]) - 8);
    let lengths: Vec<_> = lengths.filter(|length| [12 + 160, 12 + 320].contains(length)).collect();
    let first_long = lengths.iter().position(|length| *length == 332).expect("packets of 40 ms");
    let (short, long) = lengths.split_at(first_long);
    assert!(short.len() > 75 && short.iter().all(|length| *length == 172), "{short:?}");
    assert!(long.len() > 50 && long.iter().all(|length| *length == 332), "{long:?}");
    assert_heard(&outcome, 0.9);
    outcome.end();
}

/// The desktop begins, both press keys, each puts the other on hold, and the phone takes another SSRC: over a network that loses 3 %
/// and delays each packet by a mean of 30 ms more or less.
#[test]
#[ignore = "two minutes of calls in real time: .ci/long"]
fn phone_call_with_all_that_happens_in_one() {
    let Some(image) = firmware(AN386) else { return };
    let bad = NetworkConfig { loss_percent: 3.0, jitter_ms: 30.0, ..NetworkConfig::default() };
    for (codec, answers) in [("pcmu", true), ("g722", false)] {
        let phone: &[&str] = &["keys=147#@3", "source-at=18", "hold-at=21", "resume-at=24"];
        let desktop: &[&str] = &["--dtmf", "2589*@5", "--hold-at", "10", "--resume-at", "14"];
        let plan = Plan {
            codec,
            srtp: true,
            seconds: 30,
            answers,
            asked: [phone, desktop],
            network: Some((bad, 7)),
            ..Plan::default()
        };
        let outcome = plan.call(&format!("phone-all-{codec}"), Some(&image));
        let [sent, received] = ["sent", "received"].map(|name| outcome.told(name));
        assert!(sent > 600 && received > 500, "{sent} sent, {received} received");
        assert_eq!(outcome.all("key"), ["2", "5", "8", "9", "*"]);
        let changes: Vec<Vec<&str>> = outcome.all("direction").iter().map(|line| line.split(' ').collect()).collect();
        let names: Vec<_> = changes.iter().map(|words| words[0]).collect();
        assert_eq!(names, ["recvonly", "sendrecv", "sendonly", "sendrecv"]);
        // Who is on hold sends nothing but a report, whichever side it is.
        let between = |word: usize, change: usize| {
            let [before, behind] = [change, change + 1].map(|at| changes[at][word].parse::<u64>().unwrap());
            behind - before
        };
        assert!(between(1, 0) <= 3, "{changes:?}");
        assert!(between(2, 2) <= 20, "{changes:?}");
        for name in ["unencoded", "foreign", "refused packets", "undecodable"] {
            assert_eq!(outcome.told(name), 0, "{name}");
        }
        assert!(outcome.told("lost") > 10, "the network has lost something");
        let desktop = outcome.desktop_json();
        let digits: Vec<_> = desktop["digits"].as_array().unwrap().iter().map(|digit| &digit["digit"]).collect();
        assert_eq!(digits, ["1", "4", "7", "#"]);
        assert_eq!((&desktop["ssrc_changes"], &desktop["packets_refused"]), (&1.into(), &0.into()));
        assert!(desktop["protection"].as_str().is_some_and(|words| words.contains("AES_CM_128_HMAC_SHA1_80")));
        for words in ["hold: agreed, ", "resume: agreed, ", "they changed the call: "] {
            assert!(outcome.desktop.stderr.contains(words), "{words}: {}", outcome.desktop.stderr);
        }
        assert_heard(&outcome, 0.8);
        outcome.end();
    }
}
