//! Any bytes at all into the G.722 decoder: an error or sound of the stated length, never a panic, and a good packet
//! after any of them decodes.

use dsp_core::codec::g722::{G722Decoder, Mode};
use dsp_core::codec::{DecodeError, Decoder};

const GUARD: i16 = 0x5a5a;

#[test]
fn fuzz_g722_decode() {
    // (mode, room for samples, packets and whether something was lost before each): a fresh decoder for each input, so
    // that a finding replays alone.
    bolero::check!().with_type::<(u8, u16, Vec<(bool, Vec<u8>)>)>().for_each(|(mode, room, packets)| {
        let mode = [Mode::Kbps64, Mode::Kbps56, Mode::Kbps48][usize::from(mode % 3)];
        let sounds = room % 2 == 1;
        let mut decoder = G722Decoder::new(mode);
        if sounds {
            decoder = decoder.with_concealment();
        }
        let mut pcm = vec![GUARD; usize::from(*room) + 1];
        for (lost, packet) in packets {
            if *lost {
                let before = pcm.clone();
                // An odd number of samples too.
                assert_eq!(decoder.conceal(&mut pcm), sounds);
                assert!(sounds || pcm == before, "false, and the sound changed");
                if !sounds {
                    decoder.follow(pcm.len());
                }
            }
            pcm.fill(GUARD);
            let duration = decoder.duration(packet);
            let end = match decoder.decode(packet, &mut pcm[..usize::from(*room)]) {
                Ok(samples) => {
                    assert_eq!(duration, Ok(samples as u32 / 2));
                    assert_eq!(samples, 2 * packet.len());
                    samples
                }
                Err(DecodeError::Empty) => {
                    assert_eq!((packet.len(), duration), (0, Err(DecodeError::Empty)));
                    0
                }
                Err(DecodeError::OutputTooSmall { need, got }) => {
                    assert_eq!((need, got), (2 * packet.len(), usize::from(*room)));
                    assert!(need > got);
                    0
                }
                Err(e) => panic!("{e}"),
            };
            assert!(pcm[end..].iter().all(|&sample| sample == GUARD));
            assert_eq!(decoder.decode(&[0xfa; 160], &mut [0; 320]), Ok(320), "the next good packet");
        }
    });
}
