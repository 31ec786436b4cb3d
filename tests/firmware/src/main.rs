//! The canned call on a Cortex-M: prints golden hashes, executed instructions and memory by semihosting, one
//! `name=value` a line, for `run` to compare.

#![no_std]
#![no_main]

use cortex_m_rt::entry;
use dsp_core::receive::NarrowbandReceiver;
use dsp_core::send::NarrowbandSender;
use host_embedded::phone::Phone;

#[path = "../../src/babble.rs"]
mod babble;
#[path = "../../src/canned.rs"]
mod canned;
mod chain;
#[path = "../../src/chained.rs"]
mod chained;
mod ciphers;
mod echo;
#[path = "../../src/echoed.rs"]
mod echoed;
#[path = "../../src/fnv.rs"]
mod fnv;
#[path = "../../src/golden.rs"]
mod golden;
mod kernels;
mod meter;
#[path = "../../src/phone_flood.rs"]
mod phone_flood;
#[path = "../../src/resampled.rs"]
mod resampled;
mod semihosting;

#[entry]
fn main() -> ! {
    let print = |name: &str, value: u32| semihosting::print("", name, value);

    meter::paint_stack();
    let mut phone = canned::phone();
    print("stack make", meter::painted_stack_used());
    meter::paint_stack();
    let call = canned::call(&mut phone);
    print("stack run", meter::painted_stack_used());
    print("played", call.played);
    print("sent", call.sent);

    let with_block = canned::echo_call(&mut canned::phone_with_block(), true);
    assert!(with_block.played == call.played, "the block has changed the far end");
    print("sent without echo", with_block.sent);

    let own = canned::own_call(&mut canned::phone_with_parts());
    print("played by own parts", own.played);
    print("sent by own parts", own.sent);

    meter::start();
    let (again, costs) = canned::measure(meter::instructions);
    assert!(call == again, "step by step it's another call");
    for (name, cost) in [
        ("tick", costs.tick),
        ("normal", costs.normal),
        ("stretch", costs.stretch),
        ("conceal", costs.conceal),
        ("silence", costs.silence),
        ("send", costs.send),
    ] {
        assert!(cost.frames > 0, "no frame was measured");
        print(name, cost.mean());
        print("  most", cost.most);
        print("  frames", cost.frames);
    }

    let flooded = phone_flood::flood(&mut canned::phone(), meter::instructions);
    assert!(flooded.intake <= phone_flood::budget() + flooded.packet, "the flood keeps audio waiting");
    assert!(flooded.received + flooded.dropped + flooded.waiting == phone_flood::SENT, "a packet is lost silently");
    print("flood tick", flooded.tick);
    print("flood intake", flooded.intake);
    print("flood packet", flooded.packet);
    print("flood received", flooded.received);
    print("flood crowded", flooded.crowded);

    print("receiver", size_of::<NarrowbandReceiver>() as u32);
    print("sender", size_of::<NarrowbandSender>() as u32);
    print("phone", size_of::<Phone>() as u32);

    print("pcmu", golden::pcmu());
    print("pcma", golden::pcma());
    print("l16", golden::l16());
    print("g722 concealed", golden::g722_concealed());
    print("comfort noise", golden::comfort_noise());
    print("energy gate", golden::energy_gate());
    print("voice", golden::voice());
    print("active level", golden::active_level());
    print("level i16", golden::level::<i16>());
    print("gain i16", golden::gain::<i16>());
    print("mixer i16", golden::mixer::<i16>());
    print("conference", golden::conference());
    print("high-pass i16", golden::biquad::<i16>());
    print("goertzel i16", golden::goertzel::<i16>());
    print("digits i16", golden::digits::<i16>());
    print("events", golden::events());
    print("srtp", golden::srtp());
    print("front i16", golden::front_i16());
    let resampled = resampled::resample_i16(meter::instructions);
    print("resample i16", resampled.hash);
    for (name, cost) in resampled::NAMES.into_iter().zip(resampled.costs) {
        semihosting::print("resampled ", name, cost);
    }
    print("echo suppressor", echoed::echo_suppressor(echoed::BLOCKS));
    kernels::measure::<i16>("i16", meter::instructions, print);
    kernels::conference(meter::instructions, print);
    kernels::voice(meter::instructions, print);
    if cfg!(feature = "float") {
        print("appendix 1", golden::appendix1());
        print("agc", golden::agc());
        print("level f32", golden::level::<f32>());
        print("gain f32", golden::gain::<f32>());
        print("mixer f32", golden::mixer::<f32>());
        print("high-pass f32", golden::biquad::<f32>());
        print("goertzel f32", golden::goertzel::<f32>());
        print("digits f32", golden::digits::<f32>());
        // Its filters are designed in double precision when it's made, which an image without floats shall not have.
        print("tones i16", golden::tones::<i16>());
        print("tones f32", golden::tones::<f32>());
        print("front f32", golden::front_f32());
        let resampled = resampled::resample_f32(meter::instructions);
        print("resample f32", resampled.hash);
        for (name, cost) in resampled::NAMES.into_iter().zip(resampled.costs).filter(|(_, cost)| *cost > 0) {
            semihosting::print("resampled f32 ", name, cost);
        }
        kernels::measure::<f32>("f32", meter::instructions, print);
        print("noise suppressor", echoed::noise_suppressor(echoed::FIRST_BLOCKS));
        print("echo first", echoed::small(echoed::FIRST_BLOCKS, || 0).hash);
        print("noise first", chained::noise(echoed::FIRST_BLOCKS, || 0).hash);
    }
    ciphers::measure();
    // Two seconds take too long where floats are emulated.
    if cfg!(target_abi = "eabihf") {
        echo::measure();
        chain::measure();
    }
    semihosting::succeed()
}
