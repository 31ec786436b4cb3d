//! What the tests of descriptions share: a side of ours, and descriptions around a few lines of another's.

use super::*;

pub(super) fn local() -> LocalMedia {
    LocalMedia {
        address: "192.0.2.10".parse().unwrap(),
        rtp_port: 4000,
        streams: vec![LocalStream::of([
            CodecFormat::opus(),
            CodecFormat::g722(),
            CodecFormat::pcmu(),
            CodecFormat::pcma(),
            CodecFormat::l16(44_100, 2),
        ])],
        ..Default::default()
    }
}

pub(super) fn speaking(codecs: impl Into<Vec<CodecFormat>>) -> LocalMedia {
    LocalMedia { streams: vec![LocalStream::of(codecs)], ..local() }
}

pub(super) fn with(change: impl FnOnce(&mut LocalStream)) -> LocalMedia {
    let mut local = local();
    change(&mut local.streams[0]);
    local
}

pub(super) fn secure(srtp: SrtpPolicy) -> LocalMedia {
    let key = |tag, suite, byte| CryptoLine { tag, suite, key: MasterKey::from_bytes(&[byte; 30]) };
    let crypto = vec![key(1, CryptoSuite::AesCm128HmacSha1_80, 0x11), key(2, CryptoSuite::AesCm128HmacSha1_32, 0x22)];
    LocalMedia { srtp, crypto, ..local() }
}

/// The key of the first example in RFC 4568, 4.2.
pub(super) const KEY: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";

pub(super) fn refusal(local: &LocalMedia, offer: &str) -> String {
    answer(local, offer).unwrap_err().to_string()
}

pub(super) fn first(negotiated: &Negotiated) -> &NegotiatedStream {
    negotiated.stream(0).unwrap()
}

pub(super) fn sent(negotiated: &Negotiated) -> Vec<(u8, &str)> {
    first(negotiated).send.iter().map(|codec| (codec.payload_type.get(), &*codec.format.name)).collect()
}

pub(super) fn with_media(lines: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n{lines}")
}
