//! Fuzzing of the phone's SDP reader (`dsp_core::sdp`): whatever the other side writes, it returns, what it agrees on is within its
//! bounds, and the host reads its answer.

use bolero::check;
use dsp_core::guard::srtp::MasterKey;
use dsp_core::sdp::{Direction, Format, Local, Remote};
use dsp_core::time::PayloadType;

const SEED: &str = "v=0\r\no=- 20518 0 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 203.0.113.1/3\r\nt=0 0\r\na=recvonly\r\n\
m=video 53000 RTP/AVP 32\r\nm=audio 54400/2 RTP/SAVP 97 0 8 9 101\r\nc=IN IP6 2001:db8::1\r\na=rtpmap:97 G722/8000/1\r\n\
a=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na=maxptime:60\r\na=rtcp-mux\r\na=sendonly\r\n\
a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\nm=audio 54500 RTP/AVP 0\r\n";

const PIECES: [&str; 24] = [
    "m=audio 1 RTP/AVP 0\r\n",
    "m=audio 0 RTP/AVP 0\r\n",
    "m=",
    "\r\n",
    "\n",
    "0",
    "65536",
    "99999999999999999999",
    " ",
    "/",
    ":",
    "=",
    "|",
    "|1:4",
    " WSH=64",
    " UNENCRYPTED_SRTP",
    "a=",
    "a=rtpmap:97 PCMU/8000\r\n",
    "a=inactive\r\n",
    "c=IN IP4 0.0.0.0\r\n",
    "c=IN IP4 phone.example\r\n",
    "o=",
    "é",
    "\0",
];

/// The seed with pieces put in, cut out and bytes changed, as `steps` say.
fn damaged(steps: &[(u16, u8)]) -> Vec<u8> {
    let mut text = SEED.as_bytes().to_vec();
    for (at, what) in steps {
        let at = usize::from(*at) % (text.len() + 1);
        match what {
            0..128 => {
                let piece = PIECES[usize::from(*what) % PIECES.len()].bytes();
                text.splice(at..at, piece);
            }
            128..192 => drop(text.drain(at..(at + usize::from(*what) - 127).min(text.len()))),
            _ => text.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= what),
        }
    }
    text
}

fn hold(bytes: &[u8]) {
    let formats = [
        Format { name: "G722", clock_hz: 8_000, payload_type: PayloadType::from_low_bits(9) },
        Format { name: "PCMU", clock_hz: 8_000, payload_type: PayloadType::PCMU },
    ];
    let key = MasterKey::from_bytes(&[5; 30]);
    let Ok(remote) = Remote::parse(bytes) else { return };
    let _ = (remote.version(), remote.session_attribute("x"), remote.crypto().count());
    for key in [None, Some(&key)] {
        let local = Local {
            address: [192, 0, 2, 1].into(),
            port: 5_004,
            session: 1,
            version: 1,
            formats: &formats,
            events: PayloadType::new(101),
            ptime_ms: 20,
            direction: Direction::SendRecv,
            key,
        };
        for room in [0, 300, 4_096] {
            let mut text = vec![0; room];
            let Ok((answer, agreed)) = local.answer(&remote, &mut text) else { continue };
            assert!((10..=60).contains(&agreed.ptime_ms) && agreed.port > 0);
            assert_eq!(agreed.keys.is_some(), key.is_some());
            // Our own answer can be read again, and says the same. A refused stream of theirs may have any text in its line.
            let read = Remote::parse(answer.as_bytes()).expect("an answer");
            assert_eq!((read.port(), read.direction()), (5_004, agreed.direction));
            assert_eq!(read.number_of(agreed.format.name, 8_000), Some(agreed.format.payload_type));
            assert_eq!(read.crypto().count(), usize::from(key.is_some()));
        }
        let _ = local.accept(&remote);
    }
}

#[test]
fn fuzz_phone_sdp_of_damaged_texts() {
    check!().with_type::<Vec<(u16, u8)>>().for_each(|steps| hold(&damaged(steps)));
}

#[test]
fn fuzz_phone_sdp_of_any_bytes() {
    check!().with_type::<Vec<u8>>().for_each(|bytes| {
        hold(bytes);
        hold(&[b"v=0\r\nc=IN IP4 192.0.2.1\r\nm=audio 1 RTP/AVP 0\r\n", &bytes[..]].concat());
    });
}
