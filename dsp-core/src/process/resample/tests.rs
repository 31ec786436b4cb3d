//! Counts, edges and memory; what the filters do to sound is measured in `tests/tests/sound/resample.rs`.

use std::vec;
use std::vec::Vec;

use super::*;
use crate::kernel::{Kernel, Taps16};
use crate::sample::Sample;

const RATES: [u32; 10] = [8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];

fn design<S: Kernel>(plan: Plan) -> Design<Vec<S::Taps>> {
    Design::new::<S>(plan, vec![S::Taps::default(); plan.table_len()]).unwrap()
}

fn line<S: Kernel>(plan: Plan, input: usize) -> Line<S, Vec<S>> {
    Line::new(plan, vec![S::default(); plan.history_len(input)]).unwrap()
}

#[test]
fn every_pair_gives_whole_ticks_and_the_same_sound_in_pieces_of_any_length() {
    let mut state = 1u32;
    let mut random = move |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    for (from_hz, to_hz) in RATES.iter().flat_map(|&from| RATES.map(|to| (from, to))) {
        for plan in [Plan::exact(from_hz, to_hz, Quality::Fast), Plan::steered(from_hz, to_hz, Quality::Fast)] {
            let plan = plan.unwrap();
            let design = design::<i16>(plan);
            // 40 ms are whole at every rate here.
            let (tick, whole) = ((from_hz / 25) as usize, (to_hz / 25) as usize);
            let input: Vec<i16> = (0..4 * tick).map(|_| random(20_000) as i16 - 10_000).collect();
            let mut at_once = vec![0; 4 * whole + 1];
            let mut ticks = line(plan, tick);
            for (input, output) in input.chunks(tick).zip(at_once.chunks_mut(whole)) {
                let done = design.process(&mut ticks, input, output);
                assert_eq!(done, Processed { consumed: tick, produced: whole }, "{from_hz} {to_hz}");
            }
            let (mut taken, mut pieces, mut short) = (0, Vec::new(), line(plan, 1));
            while taken < input.len() {
                let most = input.len().min(taken + random(50));
                let mut output = [0; 60];
                let room = random(60);
                let done = design.process(&mut short, &input[taken..most], &mut output[..room]);
                pieces.extend_from_slice(&output[..done.produced]);
                taken += done.consumed;
                let owed = plan.output_len(taken as u64) as usize;
                let full = done.produced == room;
                assert!(
                    pieces.len() == owed || full && pieces.len() < owed,
                    "{from_hz} {to_hz}: {} of {owed}",
                    pieces.len()
                );
                assert!(taken == most || full);
            }
            let mut rest = [0; 60];
            let left = design.process(&mut short, &[], &mut rest).produced;
            pieces.extend_from_slice(&rest[..left]);
            assert!(pieces == at_once[..4 * whole], "{from_hz} {to_hz}");
        }
    }
}

#[test]
fn a_constant_comes_out_as_itself_and_begins_in_silence() {
    for (from_hz, to_hz) in [(8_000, 48_000), (48_000, 8_000), (44_100, 48_000), (48_000, 44_100), (16_000, 16_000)] {
        for quality in [Quality::Fast, Quality::Good, Quality::Best] {
            for plan in [Plan::exact(from_hz, to_hz, quality).unwrap(), Plan::steered(from_hz, to_hz, quality).unwrap()]
            {
                let design = design::<i16>(plan);
                let mut line = line(plan, 500);
                let mut output = vec![0; 8_000];
                design.process(&mut line, &vec![10_000; 8_000], &mut output);
                assert!(output[0].abs() < 30, "{plan:?}: {}", output[0]);
                let settled = plan.output_len(plan.taps() as u64) as usize;
                let (least, most) = output[settled..]
                    .iter()
                    .filter(|x| **x != 0)
                    .fold((i16::MAX, 0), |(a, b), &x| (a.min(x), b.max(x)));
                assert!(
                    (9_990..=10_010).contains(&least) && (9_990..=10_010).contains(&most),
                    "{plan:?} {least} {most}"
                );
            }
        }
    }
}

#[test]
fn an_aligned_line_has_no_delay() {
    for (from_hz, to_hz) in [(16_000, 22_050), (22_050, 16_000), (8_000, 48_000)] {
        let plan = Plan::exact(from_hz, to_hz, Quality::Good).unwrap();
        let (design, mut line) = (design::<f32>(plan), line(plan, 300));
        line.align();
        let wave = |n: usize, hz: u32| libm::sinf(n as f32 * 440.0 * core::f32::consts::TAU / hz as f32);
        let input: Vec<f32> = (0..2_000).map(|n| wave(n, from_hz)).collect();
        let mut output = vec![0.0; 20_000];
        let made = design.process(&mut line, &input, &mut output).produced;
        assert_eq!(made as u64, plan.output_len((input.len() - plan.delay_samples()) as u64));
        let settled = plan.output_len(plan.taps() as u64) as usize;
        let off = output[settled..made].iter().enumerate().map(|(n, y)| (y - wave(settled + n, to_hz)).abs());
        assert!(off.fold(0.0, f32::max) < 2e-3, "{from_hz} to {to_hz}");
    }
}

#[test]
fn the_loudest_sound_is_saturated_and_does_not_wrap() {
    let plan = Plan::exact(8_000, 16_000, Quality::Good).unwrap();
    let (design, mut line) = (design::<i16>(plan), line(plan, 100));
    let square: Vec<i16> = (0..400).map(|n| if n / 9 % 2 == 0 { i16::MIN } else { i16::MAX }).collect();
    let mut output = [0; 800];
    design.process(&mut line, &square, &mut output);
    assert!(output.contains(&i16::MAX) && output.contains(&i16::MIN));
    for (n, &sample) in output.iter().enumerate().skip(2 * plan.delay_samples() + 100) {
        let half = (n / 2 - plan.delay_samples()) % 18;
        if (2..7).contains(&(half % 9)) {
            assert!((sample > 20_000) == (half >= 9), "{n}: {sample}");
        }
    }
}

#[test]
fn a_steered_ratio_is_followed_to_the_sample() {
    let plan = Plan::steered(48_000, 48_000, Quality::Fast).unwrap();
    let design = design::<i16>(plan);
    for ppb in [0, 1, -1, 150_000, -300_000, MAX_PPB, -MAX_PPB, i32::MAX, i32::MIN] {
        let mut line = line(plan, 480);
        line.steer(ppb);
        let mut made = 0;
        let mut output = [0; 500];
        for _ in 0..3_000 {
            let done = design.process(&mut line, &[0; 480], &mut output);
            assert_eq!(done.consumed, 480);
            made += done.produced;
        }
        let expected = 480.0 * 3_000.0 * (1.0 + f64::from(ppb.clamp(-MAX_PPB, MAX_PPB)) * 1e-9);
        assert!((made as f64 - expected).abs() <= 1.0, "{ppb}: {made} of {expected}");
        line.reset();
        assert_eq!(design.process(&mut line, &[0; 480], &mut output).produced, 480);
    }
}

#[test]
fn both_bodies_and_both_ways_to_a_table_agree() {
    const PLAN: Plan = match Plan::exact(8_000, 16_000, Quality::Fast) {
        Ok(plan) => plan,
        Err(_) => panic!(),
    };
    static TABLE: [Taps16; PLAN.table_len()] = table_i16(&PLAN);
    let computed = FixedDesign::<i16, { PLAN.table_len() }>::new::<i16>(PLAN, [Taps16::default(); PLAN.table_len()]);
    let input: Vec<i16> = (0..600).map(|n| ((n * n * 7) % 20_011 - 10_000) as i16).collect();
    let mut outputs = [[0; 1_200]; 2];
    let mut fixed = FixedLine::new(PLAN, [0; PLAN.history_len(80)]).unwrap();
    Design::with_table::<i16>(PLAN, &TABLE).unwrap().process(&mut fixed, &input, &mut outputs[0]);
    computed.unwrap().process(&mut line(PLAN, 7), &input, &mut outputs[1]);
    assert_eq!(outputs[0], outputs[1]);
    let float: Vec<f32> = input.iter().map(|&x| f32::from_i16(x)).collect();
    let mut heard = [0.0; 1_200];
    design::<f32>(PLAN).process(&mut line(PLAN, 7), &float, &mut heard);
    assert!(heard.iter().zip(outputs[0]).all(|(a, b)| (i32::from(a.to_i16()) - i32::from(b)).abs() <= 1));
}

#[test]
fn what_cannot_be_is_said_with_its_numbers() {
    assert_eq!(Plan::exact(3_999, 48_000, Quality::Good), Err(ResampleError::Rate { from_hz: 3_999, to_hz: 48_000 }));
    assert!(Plan::steered(8_000, 192_001, Quality::Good).is_err());
    let odd = ResampleError::Ratio { from_hz: 44_056, to_hz: 48_000, phases: 6_000 };
    assert_eq!(Plan::exact(44_056, 48_000, Quality::Good), Err(odd));
    let plan = Plan::steered(44_056, 48_000, Quality::Fast).unwrap();
    assert_eq!(plan.output_len(44_056), 48_000);
    let (need, got) = (plan.table_len(), 3);
    assert_eq!(Design::new::<f32>(plan, [[0.0; 8]; 3]).err(), Some(ResampleError::Table { need, got }));
    assert_eq!(Design::with_table::<i16>(plan, [Taps16::default(); 3]).err(), Some(ResampleError::Table { need, got }));
    let error = Line::<i16, _>::new(plan, [0; 31]).err();
    assert_eq!(error, Some(ResampleError::History { need: 32, got: 31 }));
    assert_eq!((plan.delay_samples(), plan.delay().as_micros()), (16, 363));
}
