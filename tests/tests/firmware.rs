//! The canned call of the firmware image, on this machine. `tests/firmware/run` plays the same call on Cortex-M and
//! compares with the numbers below; `tests/firmware/run --bless` rewrites them.

use std::cell::Cell;

use media_core_tests::canned::{self, Hashes};
use media_core_tests::phone_flood;

#[test]
fn hashes_are_unchanged() {
    let Hashes { played, sent } = canned::call(&mut canned::phone());
    let echo = canned::echo_call(&mut canned::phone_with_block(), true);
    let own = canned::own_call(&mut canned::phone_with_parts());
    let hashes = [
        ("played", played),
        ("sent", sent),
        ("sent without echo", echo.sent),
        ("played by own parts", own.played),
        ("sent by own parts", own.sent),
    ];
    for (name, hash) in hashes {
        println!("golden {name}={hash:#010x}");
    }
    let expected: [(&str, u32); 5] = [
        // One a line: `run` reads and writes them.
        ("played", 0x35d0_d3bf),
        ("sent", 0xdb90_e7c6),
        ("sent without echo", 0xf684_65de),
        ("played by own parts", 0xe084_19b9),
        ("sent by own parts", 0x6a18_e079),
    ];
    assert_eq!(
        hashes.map(|(name, hash)| format!("{name} {hash:#010x}")),
        expected.map(|(name, hash)| format!("{name} {hash:#010x}"))
    );
}

#[test]
fn step_by_step_is_the_same_call() {
    assert_eq!(canned::measure(|| 0).0, canned::call(&mut canned::phone()));
}

#[test]
fn a_block_of_ones_own_takes_the_echo_out_of_the_call() {
    let nothing_to_take_out = canned::echo_call(&mut canned::phone(), false);
    let without_a_block = canned::echo_call(&mut canned::phone(), true);
    let with_a_block = canned::echo_call(&mut canned::phone_with_block(), true);
    assert_eq!(with_a_block, nothing_to_take_out);
    assert_ne!(without_a_block.sent, nothing_to_take_out.sent);
}

/// In the same call a fixed strategy's target is the delay, a detector decides what is sent, and a table decodes L16 and
/// knows comfort noise.
#[test]
fn parts_of_ones_own_do_what_is_theirs() {
    let (plain, targets) = canned::stats(canned::phone(), false);
    let (own, own_targets) = canned::stats(canned::phone_with_parts(), true);
    println!("targets in ms and ticks: {targets:?} and {own_targets:?}");
    assert!(targets.len() > 3 && own_targets.keys().eq(&[canned::Fixed::DELAY_MS]));
    let (heard, sent) = (own.receiver_stats(), own.send_stats());
    println!("{sent:?}, {:?} without parts", plain.send_stats());
    assert!(sent.noise_packets >= 5 && sent.packets + 40 < plain.send_stats().packets, "{sent:?}");
    // L16 but for the noise: 320 bytes a packet.
    assert!(sent.octets > (sent.packets - sent.noise_packets) * 320);
    assert_eq!((heard.undecodable, heard.noise_packets > 0), (0, true), "{heard:?}");
    assert!(heard.decoded_packets > 600 && heard.unknown_payload < plain.receiver_stats().unknown_payload);
    // Without the table nothing of the first source is heard.
    let (deaf, _) = canned::stats(canned::phone(), true);
    assert!(deaf.receiver_stats().decoded_packets < 160, "{:?}", deaf.receiver_stats());
}

#[test]
fn everything_happens_in_the_call() {
    let stats = canned::stats(canned::phone(), false).0.receiver_stats();
    println!("{stats:#?}");
    assert_eq!((stats.ssrc_changes, stats.restarts), (1, 1));
    assert!(stats.duplicate > 0 && stats.malformed > 0 && stats.unknown_payload > 0 && stats.probation > 0);
    assert!(stats.inserted_samples > 0 && stats.removed_samples > 0 && stats.silence_samples > 0);
    assert!(stats.concealment_events > 15 && stats.concealed_samples > 4_000);
    let (_, costs) = canned::measure(|| 0);
    println!("{costs:#?}");
    assert!(costs.normal.frames > 500 && costs.stretch.frames >= 5 && costs.conceal.frames > 30);
}

#[test]
fn a_flood_delays_a_tick_by_the_budget_and_one_packet() {
    // What a packet costs, in instructions: from next to nothing to nearly the budget.
    for cost in [0, 100, 3_000, 9_000, 60_000] {
        let (meter, mut phone) = (Cell::new(0u32), canned::phone());
        let read = || meter.replace(meter.get() + cost);
        let flooded = phone_flood::flood(&mut phone, read);
        println!("{cost}: {flooded:?}");
        assert!(flooded.intake <= phone_flood::budget() + flooded.packet, "{flooded:?}");
        assert_eq!(flooded.received + flooded.dropped + flooded.waiting, phone_flood::SENT, "none is lost silently");
        assert_eq!(u64::from(flooded.received), phone.receiver_stats().received);
        // Where there is time for them, all packets are taken in.
        assert_eq!(flooded.dropped == 0, cost <= 3_000, "{flooded:?}");
        assert!(phone.receiver_stats().decoded_packets > 0);
    }
}

#[test]
fn a_narrowband_receiver_fits_into_8_kib() {
    let bytes = size_of::<dsp_core::receive::NarrowbandReceiver>();
    println!("{bytes} bytes");
    assert!(bytes <= 8 * 1024, "{bytes}");
}
