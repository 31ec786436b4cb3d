//! Fuzzing of the receive road: arbitrary steps and arbitrary datagrams, with the invariants checked after each one.
//! On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use media_core_tests::road::{JitterModel, ReceiverModel, Step};

/// Pushes and takes beside a model of what the buffer should hold.
#[test]
fn fuzz_jitter_push_pull() {
    bolero::check!().with_max_len(4_096).with_type::<Vec<Step>>().for_each(|steps| {
        let mut small = JitterModel::<8>::default();
        let mut large = JitterModel::<64>::default();
        for &step in steps {
            small.step(step);
            large.step(step);
        }
    });
}

/// A call to which anything may happen, and raw datagrams at any time.
#[test]
fn fuzz_receiver() {
    bolero::check!().with_max_len(8_192).with_type::<(Vec<Step>, Vec<(Vec<u8>, u64)>)>().for_each(|(steps, raw)| {
        let mut model = ReceiverModel::<32, 1_920>::default();
        for &step in steps {
            model.step(step);
        }
        model.finish();
        let mut model = ReceiverModel::<16, 1_920, 2>::default();
        for &step in steps {
            model.step(step);
        }
        model.finish();
        let mut model = ReceiverModel::<8, 1_600>::default();
        for (bytes, micros) in raw {
            // Most random bytes are no RTP; the shift keeps some of the times near each other.
            let mut bytes = bytes.clone();
            if let Some(first) = bytes.first_mut() {
                *first = 0x80 | *first & 0x3f;
            }
            model.set_time(micros >> (micros % 64));
            model.receive(&bytes);
        }
    });
}
