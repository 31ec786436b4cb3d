//! Fuzz target of the iLBC decoder: any payload gives an error that names its length, or sound; after it, a good packet
//! decodes to sound of its own size. On stable with the default engine under `cargo test`;
//! `BOLERO_RANDOM_TEST_TIME_MS` and `BOLERO_RANDOM_ITERATIONS` set how long.

use dsp_core::codec::ilbc::{IlbcDecoder, IlbcEncoder, IlbcMode};
use dsp_core::codec::{DecodeError, Decoder, Encoder};

#[test]
fn fuzz_ilbc_decode() {
    // A second of a buzz to recover with.
    let good = [IlbcMode::Ms20, IlbcMode::Ms30].map(|mode| {
        let pcm: Vec<i16> = (0..10 * mode.samples()).map(|i| if i % 64 < 4 { 6000 } else { -400 }).collect();
        let mut packets = vec![0; 10 * mode.bytes()];
        assert_eq!(IlbcEncoder::new(mode).encode(&pcm, &mut packets), Ok(10 * mode.bytes()));
        (mode, packets)
    });
    bolero::check!().for_each(|input: &[u8]| {
        for (mode, good) in &good {
            let (samples, bytes) = (mode.samples(), mode.bytes());
            for decoder in [IlbcDecoder::new(*mode), IlbcDecoder::new(*mode).without_enhancer()] {
                let mut decoder = decoder;
                let mut pcm = vec![0; 8 * samples];
                match decoder.decode(input, &mut pcm) {
                    Ok(decoded) => assert_eq!(decoded, input.len() / bytes * samples),
                    Err(DecodeError::Empty) => assert!(input.is_empty()),
                    Err(DecodeError::Length { bytes: len }) => {
                        assert!(len == input.len() && !len.is_multiple_of(bytes));
                    }
                    Err(DecodeError::OutputTooSmall { need, got }) => {
                        assert!(need > got && need == input.len() / bytes * samples);
                    }
                    Err(error) => panic!("{error}"),
                }
                // The input again as frames, whole ones and one filled up, with losses between.
                for (i, piece) in input.chunks(bytes).take(8).enumerate() {
                    let mut frame = vec![0; bytes];
                    frame[..piece.len()].copy_from_slice(piece);
                    if i % 2 == 0 {
                        // Else about every second frame is only concealed.
                        frame[bytes - 1] &= 0xfe;
                    }
                    assert_eq!(decoder.decode(&frame, &mut pcm), Ok(samples));
                    assert!(decoder.conceal(&mut pcm[..usize::from(piece[0])]));
                }
                // Sound comes back, and dies away when nothing more comes.
                assert_eq!(decoder.decode(good, &mut vec![0; 10 * samples]), Ok(10 * samples));
                let mut sound = vec![0; 10 * samples];
                decoder.decode(good, &mut sound).unwrap();
                let peak = sound[5 * samples..].iter().map(|x| x.unsigned_abs()).max();
                assert!(peak > Some(1000) && peak < Some(16_000), "{peak:?}");
            }
        }
    });
}
