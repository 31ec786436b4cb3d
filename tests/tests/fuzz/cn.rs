//! Any bytes at all as comfort noise payloads: an error that names what was wrong, or noise no louder than told.

use dsp_core::codec::DecodeError;
use dsp_core::codec::cn::{MAX_ORDER, NoiseDescription, NoiseGenerator};

#[test]
fn fuzz_cn_payload() {
    // (payload, samples after it): a fresh generator for each input, so that a finding replays alone.
    bolero::check!().with_type::<Vec<(Vec<u8>, u16)>>().for_each(|payloads| {
        let mut generator = NoiseGenerator::new();
        let mut pcm = vec![0; 1 << 12];
        for (payload, samples) in payloads {
            match generator.update(payload) {
                Ok(()) => {
                    let description = NoiseDescription::read(payload).expect("the generator took it");
                    assert_eq!(description.level(), payload[0] & 0x7f);
                    assert_eq!(description.order(), (payload.len() - 1).min(MAX_ORDER));
                    let mut again = [0; 1 + MAX_ORDER];
                    let length = description.write(&mut again).expect("room enough");
                    assert_eq!(NoiseDescription::read(&again[..length]), Ok(description));
                }
                Err(DecodeError::Empty) => assert!(payload.is_empty()),
                Err(DecodeError::Malformed(255)) => assert!(payload[1..].contains(&255)),
                Err(error) => panic!("{error}"),
            }
            generator.generate(&mut pcm[..usize::from(samples % (1 << 12))]);
            // After any of it, quiet noise comes down to its level.
            let mut good = generator.clone();
            good.update(&[70]).expect("a good payload");
            good.generate(&mut vec![0; 10_000]);
            good.generate(&mut pcm);
            let power = pcm.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / pcm.len() as f64;
            assert!((60.0..200.0).contains(&power), "{power} for 107");
        }
    });
}
