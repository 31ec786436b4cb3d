//! Redundant audio data (RFC 2198): any blocks there and back, damage, and a stream whose losses redundancy repairs.

use dsp_core::time::{PayloadType, RtpTime};
use dsp_core::wire::red::{
    MAX_BLOCK_LEN, MAX_REDUNDANT_BLOCKS, MAX_TIMESTAMP_OFFSET, RedBlock, RedPayload, RedundancyHistory, write_red,
};
use proptest::prelude::*;

type Plan = Vec<(u8, u32, Vec<u8>)>;

fn plan() -> impl Strategy<Value = (Plan, (u8, Vec<u8>))> {
    let bytes = |max| prop::collection::vec(any::<u8>(), 0..=max);
    let block = (0..128u8, 0..=MAX_TIMESTAMP_OFFSET, prop_oneof![4 => bytes(60), 1 => bytes(MAX_BLOCK_LEN)]);
    (prop::collection::vec(block, 0..=MAX_REDUNDANT_BLOCKS), (0..128u8, bytes(300)))
}

fn write(plan: &Plan, primary: &(u8, Vec<u8>)) -> Vec<u8> {
    let blocks: Vec<RedBlock<'_>> = plan
        .iter()
        .map(|(kind, timestamp_offset, payload)| RedBlock {
            payload_type: PayloadType::new(*kind).unwrap(),
            timestamp_offset: *timestamp_offset,
            payload,
        })
        .collect();
    let mut out = vec![0xee; 20_000];
    let len = write_red(&blocks, PayloadType::new(primary.0).unwrap(), &primary.1, &mut out).unwrap();
    out.truncate(len);
    out
}

proptest! {
    #[test]
    fn there_and_back((plan, primary) in plan()) {
        let bytes = write(&plan, &primary);
        let red = RedPayload::parse(&bytes).unwrap();
        let seen: Plan = red
            .redundant()
            .map(|block| (block.payload_type.get(), block.timestamp_offset, block.payload.to_vec()))
            .collect();
        prop_assert_eq!(&seen, &plan);
        prop_assert_eq!((red.primary().payload_type.get(), red.primary().payload), (primary.0, &primary.1[..]));
    }

    /// A cut within headers or redundant blocks is refused, one within the primary shortens it.
    #[test]
    fn cuts_are_seen((plan, primary) in plan(), cut in any::<prop::sample::Index>()) {
        let bytes = write(&plan, &primary);
        let at = cut.index(bytes.len());
        let fixed = bytes.len() - primary.1.len();
        let parsed = RedPayload::parse(&bytes[..at]);
        prop_assert_eq!(parsed.is_ok(), at >= fixed);
        if let Ok(red) = parsed {
            prop_assert_eq!(red.primary().payload, &bytes[fixed..at]);
        }
    }
}

/// A sender with `BLOCKS` of redundancy, a network that loses runs of up to `BLOCKS` packets, and a receiver that collects
/// payloads by timestamp: nothing is missing. One packet more in a row, and exactly one is.
#[test]
fn redundancy_repairs_runs_as_long_as_itself() {
    fn missing<const BLOCKS: usize>(run: u32) -> Vec<u32> {
        const TICKS: u32 = 160;
        let opus = PayloadType::new(96).unwrap();
        let first = RtpTime(u32::MAX - 10 * TICKS);
        let payload = |n: u32| vec![n as u8; 20 + n as usize % 50];
        let mut history = RedundancyHistory::<BLOCKS, 80>::new();
        let mut heard = [false; 200];
        for n in 0..200u32 {
            let timestamp = first.plus(n * TICKS);
            let mut out = [0; 1_200];
            let len = history.write(BLOCKS, opus, timestamp, &payload(n), &mut out).unwrap();
            history.push(opus, timestamp, &payload(n));
            if n % 20 < run {
                continue;
            }
            let red = RedPayload::parse(&out[..len]).unwrap();
            for block in red.redundant().chain([red.primary()]) {
                let index = block.timestamp(timestamp).0.wrapping_sub(first.0) / TICKS;
                assert_eq!((block.payload_type, block.payload), (opus, &payload(index)[..]));
                heard[index as usize] = true;
            }
        }
        (0..200).filter(|&n| !heard[n as usize]).collect()
    }
    assert!(missing::<1>(1).is_empty());
    assert!(missing::<3>(3).is_empty());
    assert_eq!(missing::<1>(2), (0..200).step_by(20).collect::<Vec<u32>>());
}
