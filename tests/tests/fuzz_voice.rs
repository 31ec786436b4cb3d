//! Fuzzing of what measures and steers voices: the detector, the gain control and the meters take any samples, in pieces
//! of any length, at any rate. On stable with the default engine; `BOLERO_RANDOM_TEST_TIME_MS` sets how long.

use dsp_core::process::active_level::ActiveLevelMeter;
use dsp_core::process::agc::{Agc, AgcConfig, GainMode};
use dsp_core::process::faults::{FaultConfig, FaultMeter};
use dsp_core::process::voice::{VoiceConfig, VoiceDetector};

/// A rate in units of 8 kHz or of any Hz, and an aggressiveness.
fn rate(any: u16) -> u32 {
    if any.is_multiple_of(8) { u32::from(any) } else { u32::from(any % 8) * 8_000 }
}

#[test]
fn any_16_bits_are_heard() {
    bolero::check!().with_type::<(u16, u8, Vec<(Vec<i16>, u8)>)>().for_each(|(any, aggressiveness, parts)| {
        let config = VoiceConfig { sample_rate_hz: rate(*any), aggressiveness: *aggressiveness, hangover_ms: 30 };
        let (detector, level) = (VoiceDetector::new(config), ActiveLevelMeter::new(rate(*any)));
        let (Ok(mut detector), Ok(mut level)) = (detector, level) else { return };
        let mut faults = FaultMeter::new(FaultConfig { sample_rate_hz: rate(*any) }).expect("a rate of the level's");
        for (part, times) in parts {
            for _ in 0..*times {
                detector.hear(part);
                level.hear(part);
                faults.hear(part);
            }
            let measured = level.read();
            assert!(measured.active.is_none_or(|active| active >= measured.long_term));
            let read = faults.read();
            assert!(read.clipped_ppm <= 1_000_000 && read.silent_ppm <= 1_000_000);
        }
    });
}

#[test]
fn any_floats_leave_below_the_ceiling() {
    bolero::check!().with_type::<(u16, i8, Vec<(u32, u32, u8)>)>().for_each(|(any, fixed, frames)| {
        let mode = if *fixed == 0 { GainMode::Adaptive } else { GainMode::Fixed(*fixed) };
        let Ok(mut agc) = Agc::new(AgcConfig { sample_rate_hz: rate(*any), mode, ..AgcConfig::default() }) else {
            return;
        };
        let mut frame = vec![0.0; rate(*any) as usize / 100];
        for &(even, odd, times) in frames {
            for _ in 0..times % 32 {
                for (n, sample) in frame.iter_mut().enumerate() {
                    *sample = f32::from_bits(if n % 2 == 0 { even } else { odd });
                }
                agc.process(&mut frame);
                // -1 dBov, within 0.01 dB.
                assert!(frame.iter().all(|sample| sample.abs() <= 0.892), "{even:x} {odd:x}");
            }
            agc.analogue_step();
        }
    });
}
