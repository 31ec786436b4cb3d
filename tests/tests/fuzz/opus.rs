//! Any bytes at all into the Opus decoder and the reader of its SDP parameters: an error or sound of the stated length,
//! and the next good packet decodes.

use dsp_core::codec::{DecodeError, Decoder, Encoder};
use host_std::opus::{MAX_PAYLOAD, OpusDecoder, OpusEncoder, OpusEncoderConfig, OpusFmtp, RATES_HZ};
#[cfg(feature = "opus-dred")]
use media_core_tests::road::babble;

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
        let rate = RATES_HZ[usize::from(format % 5)];
        let channels = 1 + (format >> 7);
        let mut decoder = OpusDecoder::new(rate, channels).expect("a decoder");
        let mut pcm = vec![GUARD; 2 * 5760 + 1];
        for packet in packets {
            let lost = usize::from(*stretch) * (rate / 400) as usize * usize::from(channels) / 8;
            let lost = lost.min(pcm.len());
            let before = pcm.clone();
            let ahead = [0, 960, 480, u32::MAX][usize::from(*stretch) % 4];
            assert!(decoder.redundancy(packet) <= 2 * 48_000);
            if !decoder.recover(packet, ahead, &mut pcm[..lost]) {
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
                Err(DecodeError::Malformed(1..) | DecodeError::Empty) => assert!(duration.is_err()),
                Err(DecodeError::Malformed(_)) => {}
                Err(e) => panic!("{e}"),
            }
            let decoded = decoder.decode(&good, &mut pcm);
            assert_eq!(decoded, Ok(rate as usize / 50), "the next good packet");
        }
    });
}

#[test]
fn fuzz_opus_fmtp() {
    bolero::check!().with_type::<(Vec<(u8, u32)>, String)>().for_each(|(parameters, text)| {
        let mut texts = vec![text.clone(), String::new()];
        for (kind, value) in parameters {
            let name = ["MaxPlaybackRate", "maxaveragebitrate", "stereo", "cbr ", "usedtx", "ptime", "x"]
                [usize::from(kind % 7)];
            let value = if kind & 8 == 0 { value % 2 } else { value % 100_000 };
            texts[1] += &format!(" {name}={value};{}", if kind & 16 == 0 { "" } else { text });
        }
        for text in &texts {
            let Ok(fmtp) = OpusFmtp::parse(text) else { continue };
            assert_eq!(OpusFmtp::parse(&fmtp.to_string()), Ok(fmtp), "{text}");
            let mut config = OpusEncoderConfig { channels: 2, ..Default::default() };
            fmtp.apply(&mut config);
            OpusEncoder::new(config).expect("whatever the other side says, there is an encoder");
        }
    });
}

/// Packets that carry Deep Redundancy, with bytes changed: most stay sound to the framing and reach the reader of it.
#[cfg(feature = "opus-dred")]
#[test]
fn fuzz_opus_dred() {
    let config = OpusEncoderConfig {
        sample_rate_hz: 16_000,
        bitrate_bps: 32_000,
        fec: false,
        expected_loss_percent: 20,
        dred_ms: 500,
        ..Default::default()
    };
    let mut encoder = OpusEncoder::new(config).expect("an encoder");
    let packets: Vec<Vec<u8>> = babble(16_000, 1, 0)
        .chunks(320)
        .take(40)
        .map(|pcm| {
            let mut payload = [0; MAX_PAYLOAD];
            let n = encoder.encode(pcm, &mut payload).expect("encodes");
            payload[..n].to_vec()
        })
        .collect();
    let mut sound = OpusDecoder::new(16_000, 1).expect("a decoder");
    sound.decode(&packets[38], &mut [0; 320]).expect("decodes");
    assert!(sound.redundancy(&packets[39]) > 960, "{}", sound.redundancy(&packets[39]));

    bolero::check!().with_type::<(u16, u8, Vec<(u16, u8)>)>().for_each(|(ahead, parts, changes)| {
        let mut next = packets[39].clone();
        for (place, byte) in changes {
            let place = usize::from(*place) % next.len();
            next[place] = *byte;
        }
        let mut decoder = OpusDecoder::new(16_000, 1).expect("a decoder");
        decoder.decode(&packets[38], &mut [0; 320]).expect("decodes");
        let mut pcm = [GUARD; 1601];
        assert!(decoder.redundancy(&next) <= 2 * 48_000);
        for part in 0..u32::from(parts % 4) {
            let ahead = (u32::from(*ahead) % 48_000).saturating_sub(960 * part);
            let recovered = decoder.recover(&next, ahead, &mut pcm[..320 * (1 + usize::from(*parts) % 5)]);
            assert!(recovered || decoder.conceal(&mut pcm[..320]));
        }
        assert_eq!(pcm[1600], GUARD);
        let _ = decoder.decode(&next, &mut [0; 1920]);
        assert_eq!(decoder.decode(&packets[39], &mut pcm), Ok(320), "the next good packet");
    });
}
