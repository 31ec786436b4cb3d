//! Base64 (RFC 4648, 4) of keys, whose length is known.

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// `bytes` as signs, four for each three; what is left over is padded.
pub(super) fn signs(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.chunks(3).flat_map(|three| {
        let of = |at: usize| u32::from(three.get(at).copied().unwrap_or_default());
        let all = of(0) << 16 | of(1) << 8 | of(2);
        let length = three.len();
        (0..4).map(move |at: usize| match at {
            at if at <= length => char::from(ALPHABET[(all >> (18 - 6 * at)) as usize & 63]),
            _ => '=',
        })
    })
}

/// Fills `out` from `text`, which must have exactly as many bytes in it; padding may be missing (RFC 4568 is read so).
pub(super) fn read(text: &str, out: &mut [u8]) -> Option<()> {
    let text = text.trim_end_matches('=').as_bytes();
    if text.len() != (out.len() * 4).div_ceil(3) {
        return None;
    }
    for (signs, bytes) in text.chunks(4).zip(out.chunks_mut(3)) {
        let mut all = 0u32;
        for at in 0..4 {
            let value = match signs.get(at) {
                Some(sign) => ALPHABET.iter().position(|known| known == sign)?,
                None => 0,
            };
            all = all << 6 | value as u32;
        }
        bytes.iter_mut().zip([16, 8, 0]).for_each(|(byte, shift)| *byte = (all >> shift) as u8);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::String;

    /// RFC 4648, 10.
    #[test]
    fn the_vectors_go_both_ways() {
        for (bytes, text) in [("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("", "")] {
            assert_eq!(signs(bytes.as_bytes()).collect::<String>(), text);
            let mut read_back = std::vec![0; bytes.len()];
            assert_eq!(read(text, &mut read_back), Some(()));
            assert_eq!(read_back, bytes.as_bytes());
        }
        assert_eq!(read("Zm9v", &mut [0; 2]), None);
        assert_eq!(read("Zm9", &mut [0; 3]), None);
        assert_eq!(read("Zm9-", &mut [0; 3]), None);
    }
}
