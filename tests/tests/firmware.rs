//! The canned call of the firmware image, on this machine. `tests/firmware/run` plays the same call on Cortex-M and
//! compares with the numbers below; `tests/firmware/run --bless` rewrites them.

use media_core_tests::canned::{self, Hashes};

#[test]
fn hashes_are_unchanged() {
    let Hashes { played, sent } = canned::call(&mut canned::phone());
    let echo = canned::echo_call(&mut canned::phone_with_block(), true);
    let hashes = [("played", played), ("sent", sent), ("sent without echo", echo.sent)];
    for (name, hash) in hashes {
        println!("golden {name}={hash:#010x}");
    }
    let expected: [(&str, u32); 3] = [
        // One a line: `run` reads and writes them.
        ("played", 0xdd61_a1af),
        ("sent", 0xdb90_e7c6),
        ("sent without echo", 0xf684_65de),
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

#[test]
fn everything_happens_in_the_call() {
    let stats = canned::stats();
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
fn a_narrowband_receiver_fits_into_8_kib() {
    let bytes = size_of::<dsp_core::receive::NarrowbandReceiver>();
    println!("{bytes} bytes");
    assert!(bytes <= 8 * 1024);
}
