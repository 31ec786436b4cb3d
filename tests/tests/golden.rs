//! The golden hashes on this machine. Other targets must print the same.

use dsp_core::codec::g711::{Pcma, Pcmu};
use dsp_core::codec::g722::{G722Decoder, G722Encoder, Mode};
use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use media_core_tests::{chained, coded, echoed, golden, resampled};

#[test]
fn hashes_are_unchanged() {
    let hashes = [
        ("pcmu", golden::pcmu()),
        ("pcma", golden::pcma()),
        ("l16", golden::l16()),
        ("appendix 1", golden::appendix1()),
        ("g722 concealed", golden::g722_concealed()),
        ("comfort noise", golden::comfort_noise()),
        ("energy gate", golden::energy_gate()),
        ("voice", golden::voice()),
        ("active level", golden::active_level()),
        ("agc", golden::agc()),
        ("level i16", golden::level::<i16>()),
        ("level f32", golden::level::<f32>()),
        ("gain i16", golden::gain::<i16>()),
        ("gain f32", golden::gain::<f32>()),
        ("mixer i16", golden::mixer::<i16>()),
        ("mixer f32", golden::mixer::<f32>()),
        ("conference", golden::conference()),
        ("high-pass i16", golden::biquad::<i16>()),
        ("high-pass f32", golden::biquad::<f32>()),
        ("goertzel i16", golden::goertzel::<i16>()),
        ("goertzel f32", golden::goertzel::<f32>()),
        ("digits i16", golden::digits::<i16>()),
        ("digits f32", golden::digits::<f32>()),
        ("tones i16", golden::tones::<i16>()),
        ("tones f32", golden::tones::<f32>()),
        ("events", golden::events()),
        ("srtp", golden::srtp()),
        ("front i16", golden::front_i16()),
        ("front f32", golden::front_f32()),
        ("resample i16", resampled::resample_i16(|| 0).hash),
        ("resample f32", resampled::resample_f32(|| 0).hash),
        ("echo suppressor", echoed::echo_suppressor(echoed::BLOCKS)),
        ("noise suppressor", echoed::noise_suppressor(echoed::FIRST_BLOCKS)),
        ("echo first", echoed::small(echoed::FIRST_BLOCKS, || 0).hash),
        ("echo small", echoed::small(echoed::BLOCKS, || 0).hash),
        ("echo whole", echoed::whole(echoed::BLOCKS, || 0).hash),
        ("noise first", chained::noise(echoed::FIRST_BLOCKS, || 0).hash),
        ("chain noise", chained::noise(echoed::BLOCKS, || 0).hash),
        ("chain gain", chained::gain(echoed::BLOCKS, || 0).hash),
        ("chain whole", chained::chain(echoed::BLOCKS, || 0).hash),
    ];
    let expected: [(&str, u32); 40] = [
        ("pcmu", 0xf58b_63b0),
        ("pcma", 0xf008_e257),
        ("l16", 0xd86d_49d5),
        ("appendix 1", 0x80cc_fcd6),
        ("g722 concealed", 0xa742_c67f),
        ("comfort noise", 0x1ebe_d0e8),
        ("energy gate", 0x9b79_2059),
        ("voice", 0x4b72_8b7c),
        ("active level", 0xb6bd_e515),
        ("agc", 0x662d_013e),
        ("level i16", 0xba5b_8c65),
        ("level f32", 0xba5b_8c65),
        ("gain i16", 0x92ab_d477),
        ("gain f32", 0xde8a_d3f7),
        ("mixer i16", 0x06bf_5bf3),
        ("mixer f32", 0x2d7e_afad),
        ("conference", 0x1f20_70d8),
        ("high-pass i16", 0x23ba_9fa5),
        ("high-pass f32", 0x0865_0c73),
        ("goertzel i16", 0x923b_35f3),
        ("goertzel f32", 0x9d3a_456b),
        ("digits i16", 0x0678_8506),
        ("digits f32", 0xe530_ff7b),
        ("tones i16", 0x7cbe_34c1),
        ("tones f32", 0x94c3_f0bc),
        ("events", 0xfeec_fc49),
        ("srtp", 0x84f5_d6d8),
        ("front i16", 0x4ec7_d1fd),
        ("front f32", 0x13df_7610),
        ("resample i16", 0x7aaa_2fb6),
        ("resample f32", 0x4fa1_84a8),
        ("echo suppressor", 0x4194_a634),
        ("noise suppressor", 0x2a12_7274),
        ("echo first", 0xcb8f_be95),
        ("echo small", 0xbe70_7136),
        ("echo whole", 0x9122_3e30),
        ("noise first", 0x0d49_25ac),
        ("chain noise", 0xa846_1590),
        ("chain gain", 0xea5b_dc3b),
        ("chain whole", 0xa496_bf0b),
    ];
    assert_eq!(
        hashes.map(|(name, hash)| format!("{name} {hash:#010x}")),
        expected.map(|(name, hash)| format!("{name} {hash:#010x}"))
    );
}

#[test]
fn codecs_are_unchanged() {
    let ilbc = |mode: IlbcMode| {
        coded::run(mode.samples(), &mut IlbcEncoder::new(mode), &mut IlbcDecoder::new(mode), || 0).hash
    };
    let g722 = (&mut G722Encoder::new(Mode::Kbps64), &mut G722Decoder::new(Mode::Kbps64));
    let hashes = [
        ("coded pcmu", coded::run(160, &mut Pcmu, &mut Pcmu, || 0).hash),
        ("coded pcma", coded::run(160, &mut Pcma, &mut Pcma, || 0).hash),
        ("coded g722", coded::run(320, g722.0, g722.1, || 0).hash),
        ("coded ilbc20", ilbc(IlbcMode::Ms20)),
        ("coded ilbc30", ilbc(IlbcMode::Ms30)),
    ];
    let expected: [(&str, u32); 5] = [
        // One a line: `tests/firmware/codecs` reads them.
        ("coded pcmu", 0x5580_2104),
        ("coded pcma", 0xb789_4905),
        ("coded g722", 0x2e8f_aacc),
        ("coded ilbc20", 0x6d9a_cbe0),
        ("coded ilbc30", 0x6d5d_c6f4),
    ];
    assert_eq!(
        hashes.map(|(name, hash)| format!("{name} {hash:#010x}")),
        expected.map(|(name, hash)| format!("{name} {hash:#010x}"))
    );
}
