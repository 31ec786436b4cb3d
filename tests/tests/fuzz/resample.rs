//! Fuzzing of the resampler: any rates, quality and ratio, sound in pieces of any length into outputs of any length, steered
//! and begun anew at any time. On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use dsp_core::process::resample::{Design, Line, Plan, Quality};
use media_core_tests::resampling::{RATES, Real};

const QUALITIES: [Quality; 3] = [Quality::Fast, Quality::Good, Quality::Best];

/// Rates in Hz of the table or any, quality, whether it's steered, and the history's length beyond the least.
type Kind = (u32, u32, u8, bool, u8);
/// Samples in and room out, parts per billion, and whether it begins anew.
type Step = (u16, u16, i32, u8);

fn rate(any: u32) -> u32 {
    if any.is_multiple_of(2) { RATES[any as usize / 2 % RATES.len()] } else { 3_900 + any % 189_000 }
}

fn survives<S: Real>((from, to, quality, steered, more): Kind, steps: &[Step]) {
    let (from, to, quality) = (rate(from), rate(to), QUALITIES[usize::from(quality) % 3]);
    let plan = if steered { Plan::steered(from, to, quality) } else { Plan::exact(from, to, quality) };
    let fits = [from, to].iter().all(|rate_hz| (4_000..=192_000).contains(rate_hz));
    let Ok(plan) = plan else {
        assert!(!fits || !steered, "{from} to {to}: {plan:?}");
        return;
    };
    assert!(fits && plan.delay_samples() * 2 == plan.taps());
    // A design of many taps takes longer than all that is done with it.
    if plan.table_len() > 4_096 {
        return;
    }
    let taps = vec![S::Taps::default(); plan.table_len()];
    let design = Design::new::<S>(plan, taps).expect("a table of that length");
    let history = vec![S::default(); plan.taps() + usize::from(more)];
    let mut line = Line::new(plan, history).expect("a history of that length");
    let (mut taken, mut given, mut state) = (0, 0, 1u32);
    let (mut input, mut output) = (vec![S::default(); 2_048], vec![S::default(); 4_096]);
    for &(samples, room, ppb, anew) in steps {
        if anew == 0 {
            line.reset();
            (taken, given) = (0, 0);
        }
        line.steer(ppb);
        let (samples, room) = (usize::from(samples) % input.len(), usize::from(room) % output.len());
        for sample in &mut input[..samples] {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *sample = S::from_i16((state >> 16) as i16);
        }
        let done = design.process(&mut line, &input[..samples], &mut output[..room]);
        (taken, given) = (taken + done.consumed as u64, given + done.produced as u64);
        assert!(done.consumed <= samples && done.produced <= room);
        assert!(done.consumed == samples || done.produced == room, "it stops where one of both is at its end");
        // Full scale in: out at most what the filter's ripples add to it.
        assert!(output[..done.produced].iter().all(|sample| sample.real().abs() < 4.0));
        if !plan.is_steered() {
            let due = plan.output_len(taken);
            assert!(given <= due && (given == due || done.produced == room), "{given} of {due} after {taken}");
        }
    }
}

#[test]
fn fuzz_resample() {
    bolero::check!().with_max_len(1_024).with_type::<(Kind, bool, Vec<Step>)>().for_each(|(kind, float, steps)| {
        if *float { survives::<f32>(*kind, steps) } else { survives::<i16>(*kind, steps) }
    });
}
