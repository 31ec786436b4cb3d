//! The resampler on seeded noise: golden hashes of what comes out, and what a sample costs. Uses nothing but `core` and
//! `dsp_core`, so that a firmware image can include this very file and compare.

use dsp_core::kernel::{Kernel, Taps16};
use dsp_core::process::resample::{Design, FixedDesign, FixedLine, Plan, Quality, table_i16};

use super::fnv::Fnv;

const fn plan(from_hz: u32, to_hz: u32) -> Plan {
    match Plan::exact(from_hz, to_hz, Quality::Fast) {
        Ok(plan) => plan,
        Err(_) => panic!("rates of the resampler"),
    }
}

const STEERED: Plan = match Plan::steered(16_000, 16_000, Quality::Fast) {
    Ok(plan) => plan,
    Err(_) => panic!("rates of the resampler"),
};

/// What a telephone resamples: 8 kHz to and from 16 and 48 kHz, and 16 kHz from 48 kHz.
const PLANS: [Plan; 6] = [
    plan(8_000, 16_000),
    plan(16_000, 8_000),
    plan(8_000, 48_000),
    plan(48_000, 8_000),
    plan(16_000, 48_000),
    plan(48_000, 16_000),
];

/// The names of the plans, and of the steered one, in the order of the costs.
pub const NAMES: [&str; 7] = ["8 to 16", "16 to 8", "8 to 48", "48 to 8", "16 to 48", "48 to 16", "steered 16 to 16"];

// In flash: made by the compiler.
static UP_2: [Taps16; PLANS[0].table_len()] = table_i16(&PLANS[0]);
static DOWN_2: [Taps16; PLANS[1].table_len()] = table_i16(&PLANS[1]);
static UP_6: [Taps16; PLANS[2].table_len()] = table_i16(&PLANS[2]);
static DOWN_6: [Taps16; PLANS[3].table_len()] = table_i16(&PLANS[3]);
static UP_3: [Taps16; PLANS[4].table_len()] = table_i16(&PLANS[4]);
static DOWN_3: [Taps16; PLANS[5].table_len()] = table_i16(&PLANS[5]);
static BETWEEN: [Taps16; STEERED.table_len()] = table_i16(&STEERED);

/// The hash of what came, and instructions (or whatever `clock` counts) a sample out of each plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resampled {
    /// Of all samples out, in 32 bits.
    pub hash: u32,
    /// In the order of [`NAMES`]; of `f32` the first, the fourth and the last.
    pub costs: [u32; 7],
}

/// 20 ticks of noise through one plan, at a ratio that moves if it is steered.
fn run<S: Kernel, T: AsRef<[S::Taps]>>(design: &Design<T>, hash: &mut Fnv, clock: &impl Fn() -> u32) -> u32 {
    let plan = *design.plan();
    let (tick, whole) = ((plan.from_hz() / 100) as usize, (plan.to_hz() / 100) as usize);
    let mut line = FixedLine::<S, 800>::new(plan, [S::default(); 800]).expect("the longest filter and tick have room");
    let (mut input, mut output) = ([S::default(); 480], [S::default(); 500]);
    let (mut state, mut cost, mut made) = (0x2026u32, 0, 0);
    for n in 0..20 {
        for sample in &mut input[..tick] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = S::from_i16((state >> 16) as i16);
        }
        line.steer(n * 200_000 - 1_700_000);
        let began = clock();
        let done = design.process(&mut line, &input[..tick], &mut output);
        cost += clock() - began;
        made += done.produced as u32;
        assert!(done.consumed == tick && done.produced.abs_diff(whole) <= 2, "a tick in is a tick out");
        output[..done.produced].iter().for_each(|sample| hash.write(&sample.to_i32().to_le_bytes()));
    }
    cost / made
}

/// `i16`, with tables in flash.
pub fn resample_i16(clock: impl Fn() -> u32) -> Resampled {
    let mut hash = Fnv::default();
    let mut one = |plan: Plan, table: &'static [Taps16]| {
        let design = Design::with_table::<i16>(plan, table).expect("a table of that plan");
        run::<i16, _>(&design, &mut hash, &clock)
    };
    let costs = [
        one(PLANS[0], &UP_2),
        one(PLANS[1], &DOWN_2),
        one(PLANS[2], &UP_6),
        one(PLANS[3], &DOWN_6),
        one(PLANS[4], &UP_3),
        one(PLANS[5], &DOWN_3),
        one(STEERED, &BETWEEN),
    ];
    Resampled { hash: hash.finish(), costs }
}

/// `f32`, with tables made here: of 8 to 16 kHz, 48 to 8 kHz, and steered.
pub fn resample_f32(clock: impl Fn() -> u32) -> Resampled {
    fn one<const N: usize>(plan: Plan, hash: &mut Fnv, clock: &impl Fn() -> u32) -> u32 {
        let design = FixedDesign::<f32, N>::new::<f32>(plan, [[0.0; 8]; N]).expect("N is the plan's");
        run::<f32, _>(&design, hash, clock)
    }
    let mut hash = Fnv::default();
    let costs = [
        one::<{ PLANS[0].table_len() }>(PLANS[0], &mut hash, &clock),
        0,
        0,
        one::<{ PLANS[3].table_len() }>(PLANS[3], &mut hash, &clock),
        0,
        0,
        one::<{ STEERED.table_len() }>(STEERED, &mut hash, &clock),
    ];
    Resampled { hash: hash.finish(), costs }
}
