//! Fuzzing of what a browser's endpoint reads (WHIP): offers, later offers, fragments and names, whatever is in them.

use bolero::check;
use host_std::sdp::SrtpPolicy;
use host_std::session::{Call, CallConfig, IceConfig, IceMode, Identity, Keying};
use host_std::web::fuzz_texts;

/// As Chromium writes one, shortened.
const OFFER: &str = "v=0\r
o=- 4611731400430051336 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0 1\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS x\r
m=audio 9 UDP/TLS/RTP/SAVPF 63 111 9 0 8 13 110 126\r
c=IN IP4 0.0.0.0\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1 1 udp 2113937151 7f3c2a10-aaaa-bbbb-cccc-000000000000.local 50000 typ host generation 0 network-cost 999\r
a=candidate:2 1 udp 2113937151 192.0.2.7 50001 typ host\r
a=ice-ufrag:8hhY\r
a=ice-pwd:asd88fgpdd777uzjYhagZg12\r
a=ice-options:trickle\r
a=fingerprint:sha-256 6B:8B:F0:65:5F:78:E2:51:3B:AC:6F:F3:3F:46:1B:35:DC:B8:5F:64:1A:24:C2:43:F0:A1:58:D0:A1:2C:19:08\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendrecv\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:110 telephone-event/48000\r
a=ssrc:1 cname:x\r
m=video 9 UDP/TLS/RTP/SAVPF 96\r
c=IN IP4 0.0.0.0\r
a=mid:1\r
a=rtpmap:96 VP8/90000\r
";

const FRAGMENT: &str = "a=ice-ufrag:EsAw\r
a=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r
m=audio 9 RTP/AVP 0\r
a=mid:0\r
a=candidate:3 1 udp 2113937151 192.0.2.8 50002 typ host\r
a=end-of-candidates\r
";

/// A text with some bytes of it changed, cut or doubled.
fn damaged(text: &str, input: &[u8]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for step in input.chunks(4) {
        let [a, b, what, with] = std::array::from_fn(|n| step.get(n).copied().unwrap_or(0));
        if bytes.is_empty() {
            break;
        }
        let at = usize::from(u16::from_le_bytes([a, b])) % bytes.len();
        match what % 4 {
            0 => bytes[at] = with,
            1 => bytes.truncate(at),
            2 => drop(bytes.remove(at)),
            _ => {
                let until = (at + usize::from(with)).min(bytes.len());
                let part = bytes[at..until].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn call() -> Call {
    Call::new(CallConfig {
        srtp: SrtpPolicy::Required,
        keying: Keying::Dtls,
        ice: IceConfig { mode: IceMode::Full, required: true, ..IceConfig::default() },
        redundancy: 1,
        ask_redundancy: true,
        ..CallConfig::with_identity(4_000, Identity::seeded(1))
    })
    .expect("a call")
}

#[test]
fn fuzz_web_bodies() {
    let now = dsp_core::time::Instant::ZERO;
    // Nothing else would be fuzzed.
    assert!(call().answer(now, OFFER).is_ok() && fuzz_texts(OFFER, FRAGMENT, "name=x").is_some());
    check!().for_each(|input: &[u8]| {
        let (first, second) = input.split_at(input.len() / 2);
        let (offer, fragment) = (damaged(OFFER, first), damaged(FRAGMENT, second));
        let query = format!("name={}", String::from_utf8_lossy(input));
        if let Some(part) = fuzz_texts(&offer, &fragment, &query) {
            assert!(part.len() <= offer.len() + fragment.len() * 2, "{part}");
        }
        let mut call = call();
        if let Ok(answer) = call.answer(now, &offer) {
            assert!(answer.contains("a=fingerprint:") && answer.contains("a=ice-ufrag:"), "{answer}");
            call.trickle(now, &fragment);
            // What a restart makes of it is an offer as any other.
            let _ = call.answer(now, &damaged(OFFER, second));
        }
    });
}
