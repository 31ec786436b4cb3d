//! G.711 against the sweep of the ITU-T software tool library (G.191): every 16-bit word and every code, both laws.

use dsp_core::codec::g711::{Pcma, Pcmu, decode_alaw, decode_ulaw, encode_alaw, encode_ulaw};
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
