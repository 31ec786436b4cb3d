//! Any order of packets and losses of any length through the concealment of G.711 Appendix I: sound of the length asked
//! for, never louder than what was heard, and the same however a loss is cut into pieces.

use dsp_core::codec::g711::{Pcma, WithAppendixI};
use dsp_core::codec::{DecodeError, Decoder};

#[test]
fn fuzz_g711_appendix_1() {
    // (payload, samples lost after it, length of the pieces): a fresh decoder for each input.
    bolero::check!().with_type::<Vec<(Vec<u8>, u16, u8)>>().for_each(|steps| {
        let mut whole = WithAppendixI::new(Pcma).expect("8 kHz, mono");
        let mut pieces = whole.clone();
        let mut loudest = 0;
        for (payload, lost, piece) in steps {
            let (mut a, mut b) = (vec![0; payload.len()], vec![0; payload.len()]);
            let decoded = whole.decode(payload, &mut a);
            assert_eq!(decoded, pieces.decode(payload, &mut b));
            match decoded {
                Ok(samples) => assert_eq!(samples, payload.len()),
                Err(error) => assert_eq!((error, payload.len()), (DecodeError::Empty, 0)),
            }
            assert_eq!(a, b);
            let mut plain = vec![0; payload.len()];
            if Pcma.decode(payload, &mut plain).is_ok() {
                loudest = plain.iter().map(|x| x.unsigned_abs()).fold(loudest, u16::max);
            }
            let lost = usize::from(lost % 1_000);
            let (mut a, mut b) = (vec![0; lost], vec![0; lost]);
            assert!(whole.conceal(&mut a));
            for piece in b.chunks_mut(usize::from(*piece) + 1) {
                assert!(pieces.conceal(piece));
            }
            assert_eq!(a, b);
            // A weighted mean of two samples is at most one step of rounding louder.
            assert!(a.iter().all(|x| x.unsigned_abs() <= loudest.saturating_add(1)));
        }
    });
}
