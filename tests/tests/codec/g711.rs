//! G.711 against the sweep of the ITU-T software tool library (G.191): every 16-bit word and every code, both laws.

use dsp_core::codec::g711::{Pcma, Pcmu, WithAppendixI, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
use dsp_core::codec::l16::L16;
use dsp_core::codec::{Decoder, Encoder};
use media_core_tests::shared;

/// A file of 65,536 little-endian 16-bit words, or `None` where the data is missing.
fn words(name: &str) -> Option<Vec<i16>> {
    let bytes = std::fs::read(shared(&format!("data/itu-g711/{name}"))?).unwrap();
    let words: Vec<i16> = bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect();
    assert_eq!(words.len(), 65_536, "{name}");
    Some(words)
}

/// A file of codes: one word a code, in its low byte.
fn codes(name: &str) -> Option<Vec<u8>> {
    Some(words(name)?.into_iter().map(|word| u8::try_from(word).unwrap()).collect())
}

fn sweep<C: Encoder + Decoder>(
    mut codec: C,
    encode: fn(&[i16], &mut [u8]),
    decode: fn(&[u8], &mut [i16]),
    files: [&str; 3],
) {
    let Some(source) = words("sweep.src") else { return };
    let [coded, decoded, there_and_back] = files;
    let coded = codes(coded).unwrap();
    let all: std::collections::BTreeSet<u8> = coded.iter().copied().collect();
    assert_eq!(all.len(), 256, "the sweep holds every code");

    let mut payload = vec![0; source.len()];
    encode(&source, &mut payload);
    assert!(payload == coded);
    let mut pcm = vec![0; source.len()];
    decode(&coded, &mut pcm);
    assert!(pcm == words(decoded).unwrap());
    assert!(pcm == words(there_and_back).unwrap());

    // The same through the codec traits, in packets of 10 to 60 ms.
    for samples in [80, 160, 240, 320, 400, 480] {
        for ((source, coded), decoded) in source.chunks(samples).zip(coded.chunks(samples)).zip(pcm.chunks(samples)) {
            let (mut payload, mut pcm) = ([0; 480], [0; 480]);
            let bytes = codec.encode(source, &mut payload).unwrap();
            assert_eq!(&payload[..bytes], coded);
            let got = codec.decode(&payload[..bytes], &mut pcm).unwrap();
            assert_eq!(&pcm[..got], decoded);
        }
    }
}

#[test]
fn a_law_is_exact() {
    sweep(Pcma, encode_alaw, decode_alaw, ["sweep-r.a", "sweep-r.rea", "sweep-r.a-a"]);
}

#[test]
fn mu_law_is_exact() {
    sweep(Pcmu, encode_ulaw, decode_ulaw, ["sweep-r.u", "sweep-r.reu", "sweep-r.u-u"]);
}

/// A file of 16-bit words of the Appendix I vectors, in the byte order of a PC.
fn appendix1(name: &str) -> Option<Vec<i16>> {
    let bytes = std::fs::read(shared(&format!("data/itu-g711-plc/{name}"))?).unwrap();
    Some(bytes.as_chunks().0.iter().map(|&pair| i16::from_le_bytes(pair)).collect())
}

/// `source` through L16, so that no law changes it, with 10 ms lost where the cyclic pattern of G.192 says so: what
/// comes out, its delay taken off.
fn concealed(source: &[i16], erasures: &[i16]) -> Vec<i16> {
    const FRAME: usize = 80;
    const DELAY: usize = 30;
    const LOST: i16 = 0x6b20;
    let mut decoder = WithAppendixI::new(L16::new(8_000, 1).unwrap()).unwrap();
    let mut out = Vec::new();
    for (frame, &erasure) in source.chunks_exact(FRAME).zip(erasures.iter().cycle()) {
        let mut pcm = [0; FRAME];
        if erasure == LOST {
            assert!(decoder.conceal(&mut pcm));
        } else {
            let payload: Vec<u8> = frame.iter().flat_map(|sample| sample.to_be_bytes()).collect();
            assert_eq!(decoder.decode(&payload, &mut pcm), Ok(FRAME));
        }
        out.extend(pcm);
    }
    // Silence drives the last samples out.
    let mut pcm = [0; DELAY];
    assert_eq!(decoder.decode(&[0; 2 * DELAY], &mut pcm), Ok(DELAY));
    out.extend(pcm);
    out.split_off(DELAY)
}

#[test]
fn appendix_1_is_exact() {
    for (erasures, expected) in [("fe10.g192", "f2_10.raw"), ("fe10_2.g192", "f2_10_2.raw")] {
        let Some(source) = appendix1("f2.le") else { return };
        let ours = concealed(&source, &appendix1(erasures).unwrap());
        let theirs = appendix1(expected).unwrap();
        let different: Vec<usize> = (0..theirs.len()).filter(|&i| ours[i] != theirs[i]).collect();
        let first = different.first().map(|&i| (i, ours[i], theirs[i]));
        assert_eq!((different.len(), first), (0, None), "{expected}");
    }
}
