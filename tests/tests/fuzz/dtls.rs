//! A handshake of DTLS between two calls, both by the engine for 1.3 and by the one for certificates of RSA, of which
//! datagrams are lost, bent, cut, repeated and forged: nothing panics, nobody has keys that the other side hasn't, and
//! left alone both get them.

use std::net::SocketAddr;

use dsp_core::time::{Duration, Instant};
use host_std::registry::CodecFormat;
use host_std::session::{Call, CallConfig, Certificate, Channel, Ending, Identity, Keying, Protection};

/// What becomes of the next datagram.
#[derive(Clone, Debug, bolero::TypeGenerator)]
enum Step {
    Lost,
    /// With other bytes in it, and cut.
    Bent(Vec<(u16, u8)>, u16),
    /// Something else comes before it: any bytes, as a record of this kind and epoch.
    Before(u8, bool, Vec<u8>),
    /// As a fragment of a handshake message: its kind, number, length, and where it is.
    Fragment(u8, u8, u16, u16, Vec<u8>),
    True,
}

fn address(side: usize) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 4_000 + 1_000 * side as u16))
}

fn record(kind: u8, epoch: bool, bytes: &[u8]) -> Vec<u8> {
    let len = (bytes.len() as u16).to_be_bytes();
    [&[20 + kind % 8, 0xfe, 0xfd, 0, u8::from(epoch), 0, 0, 0, 0, 0, 7, len[0], len[1]][..], bytes].concat()
}

fn shake(refused: bool, steps: &[Step]) {
    let mut calls = [0, 1].map(|side| {
        let (codecs, identity) = (vec![CodecFormat::pcmu()], Identity::seeded(side as u64));
        let config = CallConfig::with_identity(address(side).port(), identity);
        Call::new(CallConfig { codecs, keying: Keying::Dtls, ..config }).unwrap()
    });
    let mut now = Instant::from_millis(1);
    let answer = {
        let offer = calls[0].offer().unwrap();
        calls[1].answer(now, &offer).unwrap()
    };
    calls[0].accept(now, &answer).unwrap();
    if refused {
        let mut alert = record(1, false, &[2, 40]);
        calls[1].receive(now, Channel::Rtp, address(0), &mut alert);
    }
    let (mut steps, mut buffer) = (steps.iter(), [0; 2_048]);
    // Patience is 30 s.
    for _ in 0..3_200 {
        for side in 0..2 {
            while let Some(transmit) = calls[side].transmit(now, &mut buffer) {
                let mut bytes = buffer[..transmit.len].to_vec();
                let mut deliver = |bytes: &mut [u8]| {
                    calls[1 - side].receive(now, Channel::Rtp, address(side), bytes);
                };
                match steps.next() {
                    Some(Step::Lost) => continue,
                    Some(Step::Bent(edits, cut)) => {
                        let len = bytes.len();
                        edits.iter().for_each(|(at, value)| bytes[usize::from(*at) % len] = *value);
                        bytes.truncate(len - usize::from(*cut) % len / 4);
                    }
                    Some(Step::Before(kind, epoch, forged)) => deliver(&mut record(*kind, *epoch, forged)),
                    Some(Step::Fragment(kind, number, total, offset, forged)) => {
                        let [total, offset, len] = [*total, *offset, forged.len() as u16].map(u16::to_be_bytes);
                        let mut body = vec![*kind, 0, total[0], total[1], 0, *number, 0, offset[0], offset[1]];
                        body.extend([0, len[0], len[1]]);
                        body.extend(forged);
                        deliver(&mut record(2, false, &body));
                    }
                    Some(Step::True) | None => {}
                }
                deliver(&mut bytes);
            }
        }
        now += Duration::from_millis(10);
        let keyed = calls.iter().filter(|call| matches!(call.protection(), Some(Protection::Srtp(_)))).count();
        if keyed == 2 {
            let [ours, theirs] = calls.each_ref().map(|call| call.srtp_keys(Channel::Rtp).unwrap());
            assert_eq!((&ours.outgoing, &ours.incoming), (&theirs.incoming, &theirs.outgoing));
            return;
        }
    }
    // Each bad datagram may cost a handshake, and each of these up to seven seconds. Whoever has no keys by then says so.
    for call in calls.iter().filter(|call| call.protection() == Some(Protection::Waiting)) {
        assert!(matches!(call.should_end(now), Some(Ending::Handshake(_))), "{:?}", call.should_end(now));
    }
}

#[test]
fn fuzz_dtls_handshake() {
    bolero::check!().with_type::<(bool, Vec<Step>)>().for_each(|(refused, steps)| {
        shake(*refused, &steps[..steps.len().min(12)]);
    });
}

/// What a description says of the handshake: lines of `a=fingerprint`, `a=setup` and `a=tls-id` of any characters, and
/// the true ones with some of theirs changed. Whatever is agreed on has whole fingerprints, and says who begins.
#[test]
fn fuzz_fingerprint_setup_and_tls_id_lines() {
    let certificate = Certificate::generate().unwrap();
    let digits = ["4A"; 32].join(":");
    bolero::check!().with_type::<(Vec<u8>, Vec<u8>, Vec<u8>, u8)>().for_each(|(fingerprint, setup, tls_id, kind)| {
        let any = |bytes: &[u8]| bytes.iter().take(200).map(|byte| char::from(byte % 95 + 32)).collect::<String>();
        let line = |at: u8, truth: &str, bytes: &[u8]| {
            if kind >> at & 1 == 0 {
                return any(bytes);
            }
            let mut text = truth.as_bytes().to_vec();
            for pair in bytes.chunks_exact(2).take(3) {
                let at = usize::from(pair[0]) % text.len();
                text[at] = pair[1] % 95 + 32;
            }
            String::from_utf8(text).unwrap()
        };
        let offer = format!(
            "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 UDP/TLS/RTP/SAVP 0\r\n\
             a=rtcp-mux\r\na=fingerprint:{}\r\na=setup:{}\r\na=tls-id:{}\r\n",
            line(0, &format!("sha-256 {digits}"), fingerprint),
            line(1, "actpass", setup),
            line(2, "0123456789abcdef0123456789abcdef", tls_id),
        );
        let (codecs, certificate) = (vec![CodecFormat::pcmu()], Some(certificate.clone()));
        let config = CallConfig::with_identity(4_000, Identity::seeded(3));
        let mut call = Call::new(CallConfig { codecs, keying: Keying::Dtls, certificate, ..config }).unwrap();
        let Ok(answer) = call.answer(Instant::ZERO, &offer) else { return };
        let agreed = call.negotiated_transport().unwrap().dtls.clone().unwrap();
        assert!(!agreed.fingerprints.is_empty());
        for known in &agreed.fingerprints {
            let text = known.to_string();
            let (name, digits) = text.split_once(' ').unwrap();
            assert_eq!(digits.len(), known.value().len() * 3 - 1);
            assert!(offer.to_lowercase().contains(&name.to_lowercase()) && offer.to_uppercase().contains(digits), "{text}");
        }
        let says = if agreed.active { "a=setup:active" } else { "a=setup:passive" };
        assert!(answer.contains(says), "{answer}");
    });
}
