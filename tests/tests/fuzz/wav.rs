//! Any bytes at all into the reader of WAV files: an error in one line, or as much sound as the bytes can hold.

use host_std::wav::{WavSource, to_wav};

fn survives(bytes: &[u8]) {
    match WavSource::from_bytes("fuzz.wav", bytes.to_vec(), 8_000) {
        Err(error) => assert!(!error.to_string().contains('\n')),
        Ok(mut source) => {
            let spec = source.spec();
            assert!((1..=64).contains(&spec.channels) && (4_000..=192_000).contains(&spec.sample_rate));
            let frames = bytes.len() as u64 / u64::from(spec.channels);
            assert!(source.len() <= frames * 2, "{} samples of {} bytes", source.len(), bytes.len());
            let (len, mut pcm) = (source.len() as usize, vec![0; source.len() as usize + 1]);
            assert_eq!(source.read(&mut pcm).unwrap(), len);
            source.rewind().unwrap();
            assert_eq!(source.of_channel(9).read(&mut pcm).unwrap(), len);
        }
    }
}

#[test]
fn fuzz_wav() {
    bolero::check!().with_max_len(4_096).for_each(survives);
}

/// A good file with some bytes changed, most of them in its header.
#[test]
fn fuzz_wav_mutated() {
    bolero::check!().with_type::<(Vec<i16>, bool, Vec<(u8, u8)>, Vec<(u16, u8)>)>().for_each(
        |(pcm, stereo, header, edits)| {
            let mut bytes = to_wav(pcm, 8_000, if *stereo { 2 } else { 1 });
            for (place, with) in header {
                bytes[usize::from(*place) % 44] = *with;
            }
            let len = bytes.len();
            for (place, with) in edits {
                bytes[usize::from(*place) % len] = *with;
            }
            survives(&bytes);
        },
    );
}
