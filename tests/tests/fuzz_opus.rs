//! Any bytes at all into the Opus decoder: an error or sound of the stated length, and the next good packet decodes.

use dsp_core::codec::{DecodeError, Decoder, Encoder};
use host_std::opus::{MAX_PAYLOAD, OpusDecoder, OpusEncoder, OpusEncoderConfig};

const GUARD: i16 = 0x5a5a;

#[test]
fn fuzz_opus_decode() {
    let mut payload = [0; MAX_PAYLOAD];
    let config = OpusEncoderConfig { sample_rate_hz: 16_000, ..Default::default() };
    let pcm: Vec<i16> = (0..320).map(|i| (9000.0 * f32::sin(i as f32 * 0.05)) as i16).collect();
    let n = OpusEncoder::new(config).expect("an encoder").encode(&pcm, &mut payload).expect("encodes");
    let good = payload[..n].to_vec();

    // (rate and channels, stretch of a loss, packets): a fresh decoder for each input, so that a finding replays alone.
    bolero::check!().with_type::<(u8, u8, Vec<Vec<u8>>)>().for_each(|(format, stretch, packets)| {
        let rate = [8_000, 12_000, 16_000, 24_000, 48_000][usize::from(format % 5)];
        let channels = 1 + (format >> 7);
        let mut decoder = OpusDecoder::new(rate, channels).expect("a decoder");
        let mut pcm = vec![GUARD; 2 * 5760 + 1];
        for packet in packets {
            let lost = usize::from(*stretch) * (rate / 400) as usize * usize::from(channels) / 8;
            let lost = lost.min(pcm.len());
            let before = pcm.clone();
            if !decoder.recover(packet, 0, &mut pcm[..lost]) {
                assert_eq!(pcm, before, "false, and the sound changed");
                assert!(decoder.conceal(&mut pcm[..lost]) || pcm == before);
            }
            assert!(pcm[lost..] == before[lost..], "wrote past the stretch");

            pcm.fill(GUARD);
            let duration = decoder.duration(packet);
            match decoder.decode(packet, &mut pcm) {
                Ok(samples) => {
                    assert_eq!(duration, Ok(samples as u32 * (48_000 / rate)));
                    assert!(pcm[samples * usize::from(channels)..].iter().all(|&s| s == GUARD));
                }
                Err(DecodeError::Malformed(0) | DecodeError::Empty) => assert!(duration.is_err()),
                Err(DecodeError::Malformed(_)) => {}
                Err(e) => panic!("{e}"),
            }
            let decoded = decoder.decode(&good, &mut pcm);
            assert_eq!(decoded, Ok(rate as usize / 50), "the next good packet");
        }
    });
}
